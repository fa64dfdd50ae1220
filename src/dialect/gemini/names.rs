//! Names of functions. Other protocols take any text here or there; this one only
//! `[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}` (<https://ai.google.dev/api/caching#FunctionDeclaration>).

use std::borrow::Cow;

use crate::chat::{PartKind, Request, Tool};

const LONGEST: usize = 64;

/// The names that this protocol does not take, and what stands for them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// As sent, and as the client has it.
    pub(super) renamed: Vec<(String, String)>,
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.:-".contains(c)
}

fn is_valid(name: &str) -> bool {
    name.len() <= LONGEST && name.starts_with(is_start) && name.chars().all(is_plain)
}

/// The same for the same name, whatever else is in the request (FNV-1a).
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

impl Names {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let declared = request.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(&*function.name),
            Tool::Hosted { .. } => None,
        });
        let called = request.turns.iter().flat_map(|turn| &turn.parts);
        let called = called.filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(&*call.name),
            PartKind::ToolResult(result) => result.name.as_deref(),
            PartKind::Text { .. }
            | PartKind::Media(_)
            | PartKind::Reasoning(_)
            | PartKind::Refusal(_) => None,
        });
        let mut names = Self::default();
        let all: Vec<&str> = declared.chain(called).collect();
        for name in all.iter().filter(|name| !is_valid(name)) {
            names.add(name, &all);
        }
        names
    }

    fn add(&mut self, name: &str, all: &[&str]) {
        if self.renamed.iter().any(|(_, known)| known == name) {
            return;
        }
        let mut plain: String = name
            .chars()
            .map(|c| if is_plain(c) { c } else { '_' })
            .take(LONGEST)
            .collect();
        if !plain.starts_with(is_start) {
            plain.insert(0, '_');
        }
        let is_taken = |wanted: &str| {
            all.contains(&wanted) || self.renamed.iter().any(|(sent, _)| sent == wanted)
        };
        if name.chars().count() > LONGEST || plain.len() > LONGEST || is_taken(&plain) {
            plain.truncate(LONGEST - 9);
            plain = format!("{plain}_{:08x}", hash(name));
        }
        self.renamed.push((plain, name.to_owned()));
    }

    /// The name as it is sent.
    pub(super) fn sent<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        let renamed = self.renamed.iter().find(|(_, known)| known == name);
        match renamed {
            Some((sent, _)) => Cow::Borrowed(sent),
            None if is_valid(name) => Cow::Borrowed(name),
            // A choice of a function that is not declared: refused by whoever reads it.
            None => Cow::Owned(
                name.chars()
                    .filter(|c| is_plain(*c))
                    .take(LONGEST)
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Function;

    #[test]
    fn names_that_gemini_does_not_take_are_replaced_one_by_one() {
        let long = "x".repeat(80);
        let wanted = ["fine.name:x-1", "a b", "a_b", "1st", "ünï", "", &long];
        let mut request = Request::default();
        for name in wanted {
            request.tools.push(Tool::Function(Function {
                name: name.into(),
                description: None,
                parameters: None,
                strict: None,
                custom: false,
                cache: None,
            }));
        }
        let names = Names::of(&request);
        let sent: Vec<String> = wanted.iter().map(|n| names.sent(n).into_owned()).collect();
        assert!(sent.iter().all(|name| is_valid(name)), "{sent:?}");
        assert_eq!((&*sent[0], &*sent[2]), ("fine.name:x-1", "a_b"));
        let mut unique = sent.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), sent.len(), "{sent:?}");
        assert_eq!(names.renamed.len(), 5);
    }
}
