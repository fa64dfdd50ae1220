//! Names. Functions that stand in a namespace get one flat name, which every protocol has; and names and call ids that
//! this protocol does not take are replaced (<https://platform.openai.com/docs/api-reference/responses/create>).

use std::borrow::Cow;

use crate::chat::{PartKind, Request, Tool};

const LONGEST: usize = 64;

/// The one name of a function in a namespace.
pub(super) fn flat<'a>(namespace: Option<&str>, name: Cow<'a, str>) -> Cow<'a, str> {
    match namespace {
        None | Some("") => name,
        Some(space) if space.ends_with('_') => Cow::Owned(format!("{space}{name}")),
        Some(space) => Cow::Owned(format!("{space}__{name}")),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_valid(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_plain)
}

/// The same for the same text, whatever else is in the request (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A call's id within the protocol's bounds: the same for the call and its result.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("call_{:016x}{:016x}", hash(id), id.len()))
    }
}

/// The names that the protocol does not take, and what stands for them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// As sent, and as the client has it.
    pub(super) renamed: Vec<(String, String)>,
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
            PartKind::Text { .. }
            | PartKind::Media(_)
            | PartKind::Reasoning(_)
            | PartKind::ToolResult(_)
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
        let is_taken = |wanted: &str| {
            all.contains(&wanted) || self.renamed.iter().any(|(sent, _)| sent == wanted)
        };
        if plain.is_empty() || name.chars().count() > LONGEST || is_taken(&plain) {
            plain.truncate(LONGEST - 17);
            plain = format!("{plain}_{:016x}", hash(name));
        }
        self.renamed.push((plain, name.to_owned()));
    }

    /// The name as it is sent.
    pub(super) fn sent<'n>(&'n self, name: &'n str) -> &'n str {
        self.renamed
            .iter()
            .find(|(_, known)| known == name)
            .map_or(name, |(sent, _)| sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Function;

    #[test]
    fn a_namespace_is_part_of_the_flat_name() {
        assert_eq!(flat(None, "f".into()), "f");
        assert_eq!(flat(Some("crm"), "f".into()), "crm__f");
        assert_eq!(flat(Some("mcp__crm__"), "f".into()), "mcp__crm__f");
    }

    #[test]
    fn long_ids_are_cut_the_same_each_time() {
        assert_eq!(call_id("call_1"), "call_1");
        let long = "x".repeat(500);
        let cut = call_id(&long);
        assert!(cut.len() <= LONGEST);
        assert_eq!(cut, call_id(&long));
        assert_ne!(cut, call_id(&"y".repeat(500)));
    }

    #[test]
    fn names_that_the_protocol_refuses_are_replaced_by_ones_of_their_own() {
        let function = |name: &'static str| {
            Tool::Function(Function {
                name: name.into(),
                description: None,
                parameters: None,
                strict: None,
                custom: false,
                cache: None,
            })
        };
        let request = Request {
            tools: vec![
                function("a.b"),
                function("a_b"),
                function("a:b"),
                function("plain"),
            ],
            ..Request::default()
        };
        let names = Names::of(&request);
        let sent: Vec<&str> = ["a.b", "a_b", "a:b", "plain"]
            .map(|name| names.sent(name))
            .to_vec();
        assert!(sent.iter().all(|name| is_valid(name)));
        assert_eq!((sent[1], sent[3]), ("a_b", "plain"));
        assert_ne!(sent[0], sent[2]);
        assert_eq!(names.renamed.len(), 2);
    }
}
