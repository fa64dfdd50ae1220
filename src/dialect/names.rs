//! Names of tools. Some protocols take any text, others a few characters and a bounded length: what does not fit is
//! replaced on the way there, and put back on the way home.

use std::borrow::Cow;

use crate::chat::{PartKind, Request, Tool};

/// What a protocol takes as the name of a tool: ASCII letters, digits and some more.
#[derive(Debug)]
pub struct Rule {
    pub longest: usize,
    /// What else may stand in a name.
    pub punctuation: &'static str,
    /// The first character is a letter or `_`.
    pub begins_as_word: bool,
}

/// The same for the same text, whatever else is in the request (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>).
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

impl Rule {
    fn takes(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.punctuation.contains(c)
    }

    pub fn is_valid(&self, name: &str) -> bool {
        !name.is_empty()
            && name.len() <= self.longest
            && (!self.begins_as_word || name.starts_with(begins_word))
            && name.chars().all(|c| self.takes(c))
    }
}

/// The names that a protocol does not take, and what stands for them.
#[derive(Debug)]
pub struct Names {
    rule: &'static Rule,
    /// As sent, and as the client has it.
    pub renamed: Vec<(String, String)>,
}

impl Names {
    pub fn of(request: &Request<'_>, rule: &'static Rule) -> Self {
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
        let mut names = Self {
            rule,
            renamed: Vec::new(),
        };
        let all: Vec<&str> = declared.chain(called).collect();
        for name in all.iter().filter(|name| !rule.is_valid(name)) {
            names.add(name, &all);
        }
        names
    }

    fn add(&mut self, name: &str, all: &[&str]) {
        let (rule, longest) = (self.rule, self.rule.longest);
        if self.renamed.iter().any(|(_, known)| known == name) {
            return;
        }
        let mut plain: String = name
            .chars()
            .map(|c| if rule.takes(c) { c } else { '_' })
            .take(longest)
            .collect();
        if rule.begins_as_word && !plain.starts_with(begins_word) {
            plain.insert(0, '_');
        }
        let is_taken = |wanted: &str| {
            all.contains(&wanted) || self.renamed.iter().any(|(sent, _)| sent == wanted)
        };
        let is_cut = name.chars().count() > longest || plain.len() > longest;
        if plain.is_empty() || is_cut || is_taken(&plain) {
            plain.truncate(longest - 17);
            plain = format!("{plain}_{:016x}", hash(name));
        }
        self.renamed.push((plain, name.to_owned()));
    }

    /// The name as it is sent.
    pub fn sent<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        let renamed = self.renamed.iter().find(|(_, known)| known == name);
        match renamed {
            Some((sent, _)) => Cow::Borrowed(sent),
            None if self.rule.is_valid(name) => Cow::Borrowed(name),
            // A choice of a function that is not declared: refused by whoever reads it.
            None => Cow::Owned(
                name.chars()
                    .filter(|c| self.rule.takes(*c))
                    .take(self.rule.longest)
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Function;

    static RULES: [Rule; 2] = [
        Rule {
            longest: 64,
            punctuation: "_.:-",
            begins_as_word: true,
        },
        Rule {
            longest: 64,
            punctuation: "_-",
            begins_as_word: false,
        },
    ];

    #[test]
    fn names_that_a_protocol_does_not_take_are_replaced_one_by_one() {
        let long = "x".repeat(80);
        let wanted = [
            "plain-1", "a.b", "a_b", "a:b", "a b", "1st", "ünï", "", &long,
        ];
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
        for (rule, kept) in [
            (&RULES[0], ["plain-1", "a.b", "a_b", "a:b"].as_slice()),
            (&RULES[1], ["plain-1", "a_b", "1st"].as_slice()),
        ] {
            let names = Names::of(&request, rule);
            let sent: Vec<Cow<'_, str>> = wanted.iter().map(|name| names.sent(name)).collect();
            assert!(sent.iter().all(|name| rule.is_valid(name)), "{sent:?}");
            let mut unique = sent.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), sent.len(), "{sent:?}");
            for name in kept {
                assert_eq!(names.sent(name), *name);
            }
            assert_eq!(names.renamed.len(), wanted.len() - kept.len());
        }
    }
}
