//! Signatures in this protocol: the `encrypted_content` of a reasoning item.
//!
//! Its own maker's are kept as the whole item, so that it can be sent back as it was. Those of others are sealed; and as
//! some makers sign a call or a text, for which this protocol has no field, such a signature stands in a reasoning item
//! of its own, with a note of what it belongs to.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ORIGIN;
use crate::chat::{Reasoning, Signature, Text, seal};
use crate::wire::emit::{Emit, string};
use crate::wire::read::{Lenient, Str, object};

/// The origin of a seal with a note in it: no protocol's.
const NOTED: &str = "@";
/// The origin of a seal on what nobody signed: no protocol's.
pub(super) const NOBODY: &str = "@nobody";
/// The origin of a compacted history that was made here.
const COMPACTION: &str = "@compaction";

/// What a signature belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owner {
    /// The reasoning item that it stands in.
    Thought { redacted: bool, summary: bool },
    /// The call with this id.
    Call(String),
    /// The n-th text of the answer.
    Text(u32),
}

#[derive(Serialize, Deserialize)]
struct Noted {
    owner: Owner,
    origin: String,
    data: String,
}

object! {
    struct Held<'a> {
        "encrypted_content" => encrypted: Lenient<Str<'a>>,
    }
}

/// What stands in `encrypted_content` of an answer's reasoning item.
pub(super) fn seal_reasoning(
    text: &str,
    redacted: bool,
    summary: bool,
    signature: &Signature<'_>,
) -> String {
    if signature.origin == ORIGIN {
        return serde_json::from_str::<Held<'_>>(&signature.data)
            .ok()
            .and_then(|held| held.encrypted?.0)
            .map_or_else(
                || signature.data.clone().into_owned(),
                |Str(text)| text.into_owned(),
            );
    }
    if redacted == text.is_empty() && !summary {
        return seal::seal(signature);
    }
    note(Owner::Thought { redacted, summary }, signature)
}

/// A seal that says what its signature belongs to.
pub(super) fn note(owner: Owner, signature: &Signature<'_>) -> String {
    let noted = Noted {
        owner,
        origin: signature.origin.clone().into_owned(),
        data: signature.data.clone().into_owned(),
    };
    // A struct of texts always serialises.
    let data = serde_json::to_string(&noted).unwrap_or_default();
    seal::seal(&Signature::new(NOTED, data))
}

/// Reads `encrypted_content` of a reasoning item that a client sent: whose it is, and its signature.
pub(super) fn read<'a>(written: &str, item: &'a RawValue, bare: bool) -> (Owner, Signature<'a>) {
    let own = Owner::Thought {
        redacted: bare,
        summary: false,
    };
    match seal::unseal(written) {
        None => (own, Signature::new(ORIGIN, item.get())),
        Some(signature) if signature.origin == NOTED => {
            match serde_json::from_str::<Noted>(&signature.data) {
                Ok(noted) => (
                    noted.owner,
                    Signature {
                        origin: Text::Owned(noted.origin),
                        data: Text::Owned(noted.data),
                    },
                ),
                Err(_) => (own, signature),
            }
        }
        Some(signature) => (own, signature),
    }
}

/// Writes a reasoning item for its own maker; `false`: it is none of its, or says nothing.
///
/// Without storage it reads only what is encrypted (<https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items>),
/// and refuses a `status` and members that are null.
pub(super) fn write(out: &mut Vec<u8>, reasoning: &Reasoning<'_>) -> bool {
    let Some(signature) = reasoning.signature.as_ref().filter(|s| s.origin == ORIGIN) else {
        return false;
    };
    let Ok(members) = serde_json::from_str::<Members<'_>>(&signature.data) else {
        return false;
    };
    if !members
        .0
        .iter()
        .any(|(name, raw)| &**name == "encrypted_content" && raw.get().len() > 2)
    {
        return false;
    }
    let mut item = Emit::object(out);
    for (name, raw) in &members.0 {
        let skip = matches!(&**name, "status" | "created_by")
            || raw.get() == "null"
            || (&**name == "content" && raw.get() == "[]");
        if !skip {
            // The name is the client's: it may need escapes.
            let out = item.item();
            string(out, name);
            out.push(b':');
            out.extend_from_slice(raw.get().as_bytes());
        }
    }
    if !members.0.iter().any(|(name, _)| &**name == "summary") {
        item.literal("summary", "[]");
    }
    item.end();
    true
}

/// The members of an object in their order, as they were written.
pub(super) struct Members<'a>(pub(super) Vec<(Str<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> serde::de::Visitor<'de> for All<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<'a>, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }

        deserializer.deserialize_map(All(std::marker::PhantomData))
    }
}

/// The `encrypted_content` of a compaction item that is made here: what was said so far, in short.
pub fn compaction(summary: &str) -> String {
    seal::seal(&Signature::new(COMPACTION, summary.to_owned()))
}

/// What was said so far; `None`: it was not compacted here.
pub fn read_compaction(written: &str) -> Option<String> {
    seal::unseal(written)
        .filter(|signature| signature.origin == COMPACTION)
        .map(|signature| signature.data.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn a_signature_comes_back_with_what_it_belongs_to() {
        let signature = Signature::new("gemini", "a:b\"c");
        let item = raw("{}");
        for owner in [
            Owner::Call("call:1".into()),
            Owner::Text(3),
            Owner::Thought {
                redacted: false,
                summary: true,
            },
        ] {
            let sealed = note(owner.clone(), &signature);
            assert_eq!(read(&sealed, &item, true), (owner, signature.clone()));
        }
        for (text, redacted, summary) in [
            ("", true, false),
            ("t", false, false),
            ("", false, false),
            ("t", false, true),
        ] {
            let sealed = seal_reasoning(text, redacted, summary, &signature);
            assert_eq!(
                read(&sealed, &item, text.is_empty()),
                (Owner::Thought { redacted, summary }, signature.clone())
            );
        }
    }

    #[test]
    fn its_own_makers_item_goes_back_as_it_was() {
        let item = raw(
            r#"{"type":"reasoning","id":"rs_1","status":"completed","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":"a"}],"content":[],"format":null}"#,
        );
        let (_, signature) = read("gAAA", &item, false);
        assert_eq!(seal_reasoning("a", false, true, &signature), "gAAA");
        let mut out = Vec::new();
        let reasoning = Reasoning {
            signature: Some(signature),
            ..Reasoning::default()
        };
        assert!(write(&mut out, &reasoning));
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"type":"reasoning","id":"rs_1","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":"a"}]}"#
        );
        let odd = Reasoning {
            signature: Some(Signature::new(
                ORIGIN,
                r#"{"encrypted_content":"gAAA","a\"\n":1}"#,
            )),
            ..Reasoning::default()
        };
        let mut out = Vec::new();
        assert!(write(&mut out, &odd));
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"encrypted_content":"gAAA","a\"\n":1,"summary":[]}"#
        );
        let foreign = Reasoning {
            signature: Some(Signature::new("anthropic", "x")),
            ..Reasoning::default()
        };
        assert!(!write(&mut Vec::new(), &foreign));
    }

    #[test]
    fn a_compacted_history_is_read_where_it_was_made() {
        assert_eq!(
            read_compaction(&compaction("a: b")).as_deref(),
            Some("a: b")
        );
        assert_eq!(read_compaction("gAAAA"), None);
    }
}
