//! Signatures of others in a client's history. The protocol has one place for a signature, a thinking block; others sign
//! calls and texts as well. Theirs stand sealed in thinking blocks without text, before the call or behind the text,
//! and a word behind the seal says to what they belong where that could be mistaken.

use super::ORIGIN;
use crate::chat::seal::{self, SEALED};
use crate::chat::{PartKind, Reasoning, Signature, Text};

/// The signature of what stands in front of the block, not of the call behind it.
const OF_WHAT_IS_BEFORE: &str = "#before";
/// The signature of a thought whose text its maker does not show.
const OF_ITSELF: &str = "#thought";

/// The signature of the call behind the thought, which is not signed itself.
const OF_THE_CALL: &str = "#call";
/// Whose signature a thought has that nobody signed: a block without one is refused, here it says that there is none.
const NOBODY: &str = "none";

/// To what a thinking block's signature belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Thought,
    /// The call that comes next, if one does.
    Next,
    /// The text or call before.
    Before,
}

/// Reads the signature of a thinking block whose text is `thinking`.
pub(super) fn read<'a>(thinking: &str, written: Text<'a>) -> (Owner, Option<Signature<'a>>) {
    if written.is_empty() {
        return (Owner::Thought, None);
    }
    if let Some(signature) = written.strip_suffix(OF_THE_CALL).and_then(seal::unseal) {
        return (Owner::Next, Some(signature));
    }
    if !thinking.is_empty() || !written.starts_with(SEALED) {
        let signature = seal::read(ORIGIN, written);
        return (
            Owner::Thought,
            Some(signature).filter(|s| s.origin != NOBODY),
        );
    }
    let (owner, sealed) = if let Some(sealed) = written.strip_suffix(OF_WHAT_IS_BEFORE) {
        (Owner::Before, sealed)
    } else if let Some(sealed) = written.strip_suffix(OF_ITSELF) {
        (Owner::Thought, sealed)
    } else {
        (Owner::Next, &*written)
    };
    match seal::unseal(sealed) {
        Some(signature) => (owner, Some(signature)),
        None => (Owner::Thought, Some(Signature::new(ORIGIN, written))),
    }
}

/// The signature of a thought as its block has it.
pub(super) fn of_thought<'a>(has_text: bool, signature: &'a Signature<'_>) -> Text<'a> {
    if has_text || signature.origin == ORIGIN {
        seal::write(ORIGIN, signature)
    } else {
        Text::Owned(seal::seal(signature) + OF_ITSELF)
    }
}

/// The signature of a call, for the block before it. Always sealed: Anthropic signs no calls.
pub(super) fn of_call(signature: &Signature<'_>) -> String {
    seal::seal(signature)
}

/// The signature of a call, for the unsigned thought before it.
pub(super) fn of_call_behind(signature: &Signature<'_>) -> String {
    seal::seal(signature) + OF_THE_CALL
}

/// For a thought that nobody signed.
pub(super) fn of_nobody() -> String {
    seal::seal(&Signature::new(NOBODY, ""))
}

/// The signature of a call that came too late to stand before it.
pub(super) fn of_what_is_before(signature: &Signature<'_>) -> String {
    seal::seal(signature) + OF_WHAT_IS_BEFORE
}

/// Is this reasoning that Anthropic can be given back?
pub(super) fn is_own(reasoning: &Reasoning<'_>) -> bool {
    reasoning
        .signature
        .as_ref()
        .is_some_and(|signature| signature.origin == ORIGIN && !signature.data.is_empty())
}

/// Puts a signature onto a part that can have one.
pub(super) fn sign<'a>(kind: &mut PartKind<'a>, new: Signature<'a>) -> Result<(), Signature<'a>> {
    match kind {
        PartKind::Text { signature, .. } => *signature = Some(new),
        PartKind::ToolCall(call) => call.signature = Some(new),
        PartKind::Media(_)
        | PartKind::Reasoning(_)
        | PartKind::ToolResult(_)
        | PartKind::Refusal(_) => return Err(new),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_foreign_signature_survives_the_client() {
        let foreign = Signature::new("gemini", "AbC+/=");
        let own = Signature::new(ORIGIN, "EqQB");
        let read = |thinking: &str, text: &str| {
            let (owner, signature) = super::read(thinking, Text::Owned(text.to_owned()));
            (owner, signature.map(Signature::into_owned))
        };
        assert_eq!(
            read("", &of_call(&foreign)),
            (Owner::Next, Some(foreign.clone()))
        );
        assert_eq!(
            read("", &of_what_is_before(&foreign)),
            (Owner::Before, Some(foreign.clone()))
        );
        assert_eq!(
            read("", &of_thought(false, &foreign)),
            (Owner::Thought, Some(foreign.clone()))
        );
        assert_eq!(
            read("hm", &of_thought(true, &foreign)),
            (Owner::Thought, Some(foreign.clone()))
        );
        assert_eq!(
            read("hm", &of_call_behind(&foreign)),
            (Owner::Next, Some(Signature::new("gemini", "AbC+/=")))
        );
        assert_eq!(read("hm", &of_nobody()), (Owner::Thought, None));
        assert_eq!(of_thought(false, &own), "EqQB");
        assert_eq!(read("", "EqQB"), (Owner::Thought, Some(own)));
        assert_eq!(read("hm", ""), (Owner::Thought, None));
    }
}
