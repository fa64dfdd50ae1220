//! Writing JSON by appending bytes: no tree is built, and what was raw stays raw.

/// A text, with its quotes and escapes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory always succeeds.
    let _ = serde_json::to_writer(out, text);
}

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

/// What lies between the quotes of a text: its escapes only.
pub(super) fn inside(out: &mut Vec<u8>, piece: &str) {
    let from = out.len();
    text(out, piece);
    out.pop();
    out.remove(from);
}

/// Begins a field: a comma where one is due, its name, a colon.
pub(super) fn key(out: &mut Vec<u8>, name: &str) {
    next(out);
    text(out, name);
    out.push(b':');
}

/// Begins an element or a field: a comma, unless it is the first. No value ends in an opening bracket.
pub(super) fn next(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[')) {
        out.push(b',');
    }
}

pub(super) fn text_field(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    text(out, value);
}

pub(super) fn number_field(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    number(out, value);
}

/// `json` is JSON already.
pub(super) fn raw_field(out: &mut Vec<u8>, name: &str, json: &str) {
    key(out, name);
    out.extend_from_slice(json.as_bytes());
}

/// A text or `null`.
pub(super) fn maybe_text_field(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    key(out, name);
    match value {
        Some(value) => text(out, value),
        None => out.extend_from_slice(b"null"),
    }
}
