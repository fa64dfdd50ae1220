//! Signatures in this protocol's own field. Clients keep what stands on a call and drop thought parts (Gemini CLI does),
//! so reasoning of another maker travels packed on the call that follows it.

use std::borrow::Cow;

use super::ORIGIN;
use crate::chat::seal::{self, SEALED};
use crate::chat::{Signature, Text};

/// The origin of a pack.
const PACK: &str = "reasoning";

/// One reasoning part in a pack.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) signature: Option<Signature<'static>>,
    pub(super) redacted: bool,
    pub(super) summary: bool,
}

/// Reads what stands in `thoughtSignature`. The Python SDK writes bytes back in the alphabet for URLs.
pub(super) fn read(written: Text<'_>) -> Signature<'_> {
    if written.starts_with(SEALED) {
        return seal::read(ORIGIN, super::media::standard_base64(written));
    }
    Signature {
        origin: Cow::Borrowed(ORIGIN),
        data: written,
    }
}

pub(super) fn is_pack(signature: &Signature<'_>) -> bool {
    signature.origin == PACK
}

pub(super) fn unpack(pack: &Signature<'_>) -> Vec<Thought> {
    type Written = (String, String, String, bool, bool);
    let all: Vec<Written> = serde_json::from_str(&pack.data).unwrap_or_default();
    all.into_iter()
        .map(|(text, origin, data, redacted, summary)| Thought {
            text,
            signature: (!data.is_empty()).then_some(Signature {
                origin: Cow::Owned(origin),
                data: Cow::Owned(data),
            }),
            redacted,
            summary,
        })
        .collect()
}

/// What stands in `thoughtSignature` for reasoning that must come back whole.
pub(super) fn pack(thoughts: &[Thought]) -> String {
    let all: Vec<(&str, &str, &str, bool, bool)> = thoughts
        .iter()
        .map(|thought| {
            let (origin, data) = thought
                .signature
                .as_ref()
                .map_or(("", ""), |signature| (&*signature.origin, &*signature.data));
            (
                &*thought.text,
                origin,
                data,
                thought.redacted,
                thought.summary,
            )
        })
        .collect();
    seal::seal(&Signature {
        origin: Cow::Borrowed(PACK),
        // A list of texts always serialises.
        data: Cow::Owned(serde_json::to_string(&all).unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_comes_back_also_in_the_alphabet_for_urls() {
        let thoughts = vec![
            Thought {
                text: "ä?>~ÿ".into(),
                signature: Some(Signature::new("anthropic", "Eq/+==")),
                redacted: false,
                summary: false,
            },
            Thought {
                text: String::new(),
                signature: Some(Signature::new("openai_chat", "x")),
                redacted: true,
                summary: true,
            },
            Thought {
                text: "unsigned".into(),
                signature: None,
                redacted: false,
                summary: false,
            },
        ];
        let written = pack(&thoughts);
        for spelling in [
            written.clone(),
            written.replace('+', "-").replace('/', "_"),
            written.trim_end_matches('=').to_owned(),
        ] {
            let signature = read(spelling.into());
            assert!(is_pack(&signature));
            assert_eq!(unpack(&signature), thoughts);
        }
        assert_eq!(read("AY_-".into()), Signature::new(ORIGIN, "AY_-"));
    }
}
