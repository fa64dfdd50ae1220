//! Reasoning of other makers in a request that passes as it is: a conversation may have been answered by another
//! provider in between. Its sealed signatures mean nothing to this one, which would refuse them: they are taken out, and
//! nothing else is touched.

use super::Dialect;
use crate::chat::seal::SEALED;
use crate::wire::edit::Edit;

/// What stands for a signature that this provider did not make
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "\"skip_thought_signature_validator\"";

/// The edits that take sealed signatures out; none for nearly all bodies. The body is valid JSON.
pub fn edits(dialect: Dialect, body: &[u8]) -> Vec<Edit> {
    if memchr::memmem::find(body, SEALED.as_bytes()).is_none() {
        return Vec::new();
    }
    match dialect {
        // The block or detail that holds one goes as a whole.
        Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses => elements(body),
        Dialect::Gemini => strings(body),
    }
}

/// Is the string that begins at `at` (at its quote) a sealed signature?
fn is_sealed(body: &[u8], at: usize) -> bool {
    body[at + 1..].starts_with(SEALED.as_bytes())
}

/// Index behind the string that begins at `at`.
fn string_end(body: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &body[at..]) {
        at += next + 1;
        if body[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    body.len()
}

fn strings(body: &[u8]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', &body[at..]) {
        let start = at + quote;
        at = string_end(body, start);
        // A sealed one is base64: it holds no escapes, and no key begins so.
        if is_sealed(body, start) {
            edits.push(Edit::replace(start..at, NO_SIGNATURE));
        }
    }
    edits
}

/// A container that is open.
struct Open {
    start: usize,
    is_array: bool,
    /// Elements of an array that have ended: where they stand, and whether they go.
    elements: Vec<(usize, usize, bool)>,
    /// An object that holds a sealed string itself.
    sealed: bool,
}

/// Takes out the elements of arrays that are objects with a sealed string in them.
fn elements(body: &[u8]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let start = at;
        at += 1;
        match body[start] {
            b'"' => {
                at = string_end(body, start);
                if let Some(top) = open.last_mut().filter(|top| !top.is_array) {
                    top.sealed |= is_sealed(body, start);
                }
            }
            byte @ (b'{' | b'[') => open.push(Open {
                start,
                is_array: byte == b'[',
                elements: Vec::new(),
                sealed: false,
            }),
            b'}' | b']' => {
                let Some(closed) = open.pop() else { break };
                if closed.sealed {
                    // It goes as a whole, with what would go inside it.
                    edits.retain(|edit: &Edit| edit.at.start < closed.start);
                }
                if closed.is_array {
                    edits.extend(removals(&closed.elements));
                }
                if let Some(array) = open.last_mut().filter(|top| top.is_array) {
                    array.elements.push((closed.start, at, closed.sealed));
                }
            }
            _ => {}
        }
    }
    edits
}

/// Runs of elements that go, each with one of the commas beside it.
fn removals(elements: &[(usize, usize, bool)]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut at = 0;
    while at < elements.len() {
        if !elements[at].2 {
            at += 1;
            continue;
        }
        let first = at;
        while at < elements.len() && elements[at].2 {
            at += 1;
        }
        let range = match (elements.get(at), first.checked_sub(1)) {
            (Some(next), _) => elements[first].0..next.0,
            (None, Some(previous)) => elements[previous].1..elements[at - 1].1,
            (None, None) => elements[first].0..elements[at - 1].1,
        };
        edits.push(Edit::replace(range, ""));
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Signature;
    use crate::chat::seal::seal;
    use crate::wire::edit::apply;
    use bytes::Bytes;

    fn cleaned(dialect: Dialect, body: &str) -> String {
        let foreign = seal(&Signature::new("x", "secret"));
        let body = Bytes::from(body.replace("FOREIGN", &foreign));
        let mut edits = edits(dialect, &body);
        String::from_utf8(apply(&body, &mut edits).to_vec()).expect("text")
    }

    #[test]
    fn foreign_thinking_goes_and_every_other_byte_stays() {
        let f = r#"{"type":"thinking","thinking":"","signature":"FOREIGN"}"#;
        let own = r#"{"type":"thinking","thinking":"a \" ] {","signature":"Eq"}"#;
        let text = r#"{ "type" : "text", "text":"dG9yb3V0ZXI" }"#;
        for (content, expected) in [
            (format!("[{f}, {text}]"), format!("[{text}]")),
            (format!("[{text} ,{f}]"), format!("[{text}]")),
            (format!("[{own},{f},{f},{text}]"), format!("[{own},{text}]")),
            (format!("[{f}]"), "[]".to_owned()),
            (format!("[{own},{text}]"), format!("[{own},{text}]")),
        ] {
            let body = |content: &str| {
                format!(r#"{{"messages":[{{"role":"assistant","content":{content}}}, 1.50e+2]}}"#)
            };
            assert_eq!(
                cleaned(Dialect::Anthropic, &body(&content)),
                body(&expected)
            );
        }
    }

    #[test]
    fn a_call_keeps_its_place_with_the_documented_stand_in() {
        let body = r#"{"contents":[{"parts":[{"functionCall":{"name":"a"},"thoughtSignature":"FOREIGN"}]}]}"#;
        assert_eq!(
            cleaned(Dialect::Gemini, body),
            body.replace("FOREIGN", "skip_thought_signature_validator")
        );
    }
}
