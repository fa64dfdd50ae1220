//! One block of the stream: its start, its pieces, its end.

use super::{Block, Kind, Place};
use crate::chat::{Citation, Signature, seal};
use crate::dialect::anthropic::json::{inside, key, number, number_field, text, text_field};
use crate::dialect::anthropic::{ORIGIN, citation, thought};

impl Block {
    /// Signatures may come in pieces; they go out in one.
    pub(super) fn sign(&mut self, more: Signature<'_>) {
        Signature::join(&mut self.signature, more);
    }

    pub(super) fn say(&mut self, piece: &str, next: &mut Place, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        match &mut self.kind {
            Kind::Text => {
                self.begin(next, out);
                write_delta(out, next.last(), br#""text_delta","text":"#, piece);
            }
            Kind::Thinking { has_text } => {
                *has_text = true;
                self.begin(next, out);
                write_delta(out, next.last(), br#""thinking_delta","thinking":"#, piece);
            }
            Kind::ToolUse { held, .. } => {
                if !self.begun && held.is_none() && self.signature.is_none() {
                    *held = Some(piece.to_owned());
                    return;
                }
                self.begin(next, out);
                write_delta(out, next.last(), INPUT, piece);
            }
            Kind::Custom { text, .. } => text.push_str(piece),
            Kind::Note { has_transcript, .. } => {
                let is_first = !std::mem::replace(has_transcript, true);
                self.begin(next, out);
                if is_first {
                    write_delta(out, next.last(), br#""text_delta","text":"#, "\n");
                }
                write_delta(out, next.last(), br#""text_delta","text":"#, piece);
            }
            // Encrypted: there is no text.
            Kind::Redacted => {}
        }
    }

    pub(super) fn cite(&mut self, citation: &Citation<'_>, next: &mut Place, out: &mut Vec<u8>) {
        if !matches!(self.kind, Kind::Text) {
            return;
        }
        self.begin(next, out);
        delta_head(out, next.last());
        out.extend_from_slice(br#""citations_delta","citation":"#);
        citation::write(out, citation);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Writes the block's start, unless it is out.
    pub(super) fn begin(&mut self, next: &mut Place, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match &mut self.kind {
            Kind::Text => start_block(out, next, |out| {
                out.extend_from_slice(br#""text","text":"""#);
            }),
            Kind::Thinking { .. } => start_thinking(out, next),
            Kind::Redacted => {
                let signature = self.signature.as_ref();
                start_block(out, next, |out| {
                    out.extend_from_slice(br#""redacted_thinking""#);
                    let data = signature.map(|signature| seal::write(ORIGIN, signature));
                    text_field(out, "data", data.as_deref().unwrap_or_default());
                });
            }
            Kind::ToolUse { id, name, held } => {
                if let Some(signature) = self.signature.take() {
                    sign_call(out, next, &signature);
                }
                start_call(out, next, id, name);
                if let Some(first) = held.take() {
                    write_delta(out, next.last(), INPUT, &first);
                }
            }
            Kind::Custom { id, name, text } => {
                if let Some(signature) = self.signature.take() {
                    sign_call(out, next, &signature);
                }
                start_call(out, next, id, name);
                let mut input = br#"{"input":""#.to_vec();
                inside(&mut input, text);
                input.extend_from_slice(b"\"}");
                let input = String::from_utf8(input).unwrap_or_default();
                write_delta(out, next.last(), INPUT, &input);
            }
            Kind::Note { note, .. } => {
                start_block(out, next, |out| {
                    out.extend_from_slice(br#""text","text":"""#);
                });
                write_delta(out, next.last(), br#""text_delta","text":"#, note);
            }
        }
    }

    pub(super) fn end(&mut self, next: &mut Place, out: &mut Vec<u8>) {
        match &self.kind {
            // These are something even without content.
            Kind::ToolUse { .. } | Kind::Custom { .. } | Kind::Note { .. } => {
                self.begin(next, out);
            }
            Kind::Thinking { .. } | Kind::Redacted if self.signature.is_some() => {
                self.begin(next, out);
            }
            Kind::Text | Kind::Thinking { .. } | Kind::Redacted => {}
        }
        if let (Kind::Thinking { has_text }, Some(signature)) = (&self.kind, &self.signature) {
            let written = thought::of_thought(*has_text, signature);
            write_delta(out, next.last(), SIGNATURE, &written);
        }
        if self.begun {
            if matches!(self.kind, Kind::Thinking { .. }) && self.signature.is_none() {
                next.unsigned = true;
                return;
            }
            stop_block(out, next.last());
        }
        match self.kind {
            Kind::ToolUse { .. } | Kind::Custom { .. } => {
                if let Some(signature) = &self.signature {
                    lone_signature(out, next, &thought::of_what_is_before(signature));
                }
            }
            // The protocol has no place for the signature of a text, and nobody demands it back.
            Kind::Text | Kind::Thinking { .. } | Kind::Redacted | Kind::Note { .. } => {}
        }
    }
}

const INPUT: &[u8] = br#""input_json_delta","partial_json":"#;
pub(super) const SIGNATURE: &[u8] = br#""signature_delta","signature":"#;

pub(super) fn start_block(out: &mut Vec<u8>, next: &mut Place, content: impl FnOnce(&mut Vec<u8>)) {
    next.close_thought(out, thought::of_nobody);
    out.extend_from_slice(
        b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
    );
    number(out, next.number);
    next.number += 1;
    out.extend_from_slice(br#","content_block":{"type":"#);
    content(out);
    out.extend_from_slice(b"}}\n\n");
}

pub(super) fn start_thinking(out: &mut Vec<u8>, next: &mut Place) {
    start_block(out, next, |out| {
        out.extend_from_slice(br#""thinking","thinking":"","signature":"""#);
    });
}

pub(super) fn start_call(out: &mut Vec<u8>, next: &mut Place, id: &str, name: &str) {
    start_block(out, next, |out| {
        out.extend_from_slice(br#""tool_use""#);
        text_field(out, "id", id);
        text_field(out, "name", name);
        key(out, "input");
        out.extend_from_slice(b"{}");
    });
}

/// The signature of a call goes into the unsigned thought before it, or into a block of its own.
pub(super) fn sign_call(out: &mut Vec<u8>, next: &mut Place, signature: &Signature<'_>) {
    if !next.close_thought(out, || thought::of_call_behind(signature)) {
        lone_signature(out, next, &thought::of_call(signature));
    }
}

/// A thinking block that only carries the signature of something else.
pub(super) fn lone_signature(out: &mut Vec<u8>, next: &mut Place, written: &str) {
    start_thinking(out, next);
    write_delta(out, next.last(), SIGNATURE, written);
    stop_block(out, next.last());
}

pub(super) fn stop_block(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\"");
    number_field(out, "index", index);
    out.extend_from_slice(b"}\n\n");
}

pub(super) fn delta_head(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
    );
    number(out, index);
    out.extend_from_slice(br#","delta":{"type":"#);
}

/// `kind`: the delta's type and the name of its only field.
pub(super) fn write_delta(out: &mut Vec<u8>, index: u64, kind: &[u8], piece: &str) {
    delta_head(out, index);
    out.extend_from_slice(kind);
    text(out, piece);
    out.extend_from_slice(b"}}\n\n");
}
