//! A whole answer for a client of this protocol, and what its body and its stream have in common.

use serde_json::value::RawValue;

use super::json::{key, maybe_text_field, next, number_field, raw_field, text_field};
use super::{ORIGIN, citation, thought};
use crate::base::{Ids, Usage};
use crate::chat::seal;
use crate::chat::{
    Answer, Citation, Media, MediaKind, Part, PartKind, Reasoning, StopReason, Text, ToolCall,
};
use crate::dialect::translate::Echo;

/// How many bytes of output are about one token, where no provider counts.
const BYTES_PER_TOKEN: u64 = 4;

/// What the answer cost.
#[derive(Debug)]
pub(super) struct Bill {
    input_estimate: u64,
    pub(super) usage: Option<Usage>,
    /// Until it is stated.
    pub(super) tier: Option<&'static str>,
    pub(super) output_bytes: u64,
}

impl Bill {
    pub(super) fn new(input_estimate: u64) -> Self {
        Self {
            input_estimate,
            usage: None,
            tier: None,
            output_bytes: 0,
        }
    }

    /// What is known, else what can be told.
    fn counted(&self) -> Usage {
        self.usage.unwrap_or(Usage {
            uncached: self.input_estimate,
            output: self.output_bytes.div_ceil(BYTES_PER_TOKEN),
            ..Usage::default()
        })
    }

    /// At the start of a stream the input is stated; some clients read it nowhere else.
    pub(super) fn write_start(&mut self, out: &mut Vec<u8>) {
        let mut usage = self.counted();
        if usage.input() == 0 {
            usage.uncached = self.input_estimate;
        }
        usage.output = usage.output.max(1);
        write_usage(out, &usage, self.tier.take());
    }

    /// All of it, and the tier if it became known only after the start.
    pub(super) fn write_end(&self, out: &mut Vec<u8>) {
        write_usage(out, &self.counted(), self.tier);
    }
}

fn write_usage(out: &mut Vec<u8>, usage: &Usage, tier: Option<&str>) {
    key(out, "usage");
    out.push(b'{');
    number_field(out, "input_tokens", usage.uncached);
    number_field(out, "cache_creation_input_tokens", usage.cache_write());
    number_field(out, "cache_read_input_tokens", usage.cache_read);
    if usage.cache_write() > 0 {
        key(out, "cache_creation");
        out.push(b'{');
        number_field(out, "ephemeral_5m_input_tokens", usage.cache_write_5m);
        number_field(out, "ephemeral_1h_input_tokens", usage.cache_write_1h);
        out.push(b'}');
    }
    number_field(out, "output_tokens", usage.output);
    if usage.reasoning > 0 {
        key(out, "output_tokens_details");
        out.push(b'{');
        number_field(out, "thinking_tokens", usage.reasoning);
        out.push(b'}');
    }
    if let Some(tier) = tier {
        text_field(out, "service_tier", tier);
    }
    out.push(b'}');
}

/// The tier in this protocol's words, of which there are three.
pub(super) fn tier(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "standard" | "default" | "auto" | "on_demand" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

/// `stop_reason`, `stop_sequence`, and `stop_details` of a refusal. Some providers say that they are done although they
/// call tools, and clients go by this word.
pub(super) fn write_stop(
    out: &mut Vec<u8>,
    reason: StopReason,
    sequence: Option<&str>,
    detail: Option<&str>,
    called: bool,
) {
    let word = match reason {
        StopReason::ToolCalls if !called => "end_turn",
        StopReason::ToolCalls => "tool_use",
        StopReason::End | StopReason::Other | StopReason::MalformedCall if called => "tool_use",
        StopReason::End | StopReason::Other | StopReason::MalformedCall => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::Refusal | StopReason::Filtered => "refusal",
        StopReason::Paused => "pause_turn",
        StopReason::ContextFull => "model_context_window_exceeded",
    };
    text_field(out, "stop_reason", word);
    maybe_text_field(out, "stop_sequence", sequence);
    if word == "refusal" {
        key(out, "stop_details");
        out.push(b'{');
        text_field(out, "type", "refusal");
        raw_field(out, "category", "null");
        maybe_text_field(out, "explanation", detail);
        out.push(b'}');
    }
}

/// Says what came and cannot be shown.
pub(super) fn media_note(media: &Media<'_>) -> String {
    let what = match media.kind {
        MediaKind::Image => "an image",
        MediaKind::Audio => "audio",
        MediaKind::Video => "a video",
        MediaKind::Document => "a document",
    };
    let mime = media.mime.as_deref().unwrap_or("unknown type");
    format!("[The model produced {what} ({mime}), which this API cannot show.]")
}

pub(super) fn own(citation: &Citation<'_>) -> Citation<'static> {
    let own = |text: &Option<Text<'_>>| text.as_ref().map(|text| Text::Owned(text.to_string()));
    Citation {
        url: own(&citation.url),
        title: own(&citation.title),
        quote: own(&citation.quote),
        span: citation.span,
        document: citation.document,
        place: citation.place,
    }
}

/// The answer as one body. Of several choices only the first has a place.
pub fn write_answer(answer: &Answer, echo: &mut Echo) -> Vec<u8> {
    let ids = echo.ids.get_or_insert_with(|| Ids::new(echo.now));
    let id = match answer.id.as_deref().filter(|id| id.starts_with("msg_")) {
        Some(id) => id.to_owned(),
        None => ids.next("msg_"),
    };
    let choice = answer.choices.first();
    let parts = choice
        .map(|choice| choice.parts.as_slice())
        .unwrap_or_default();
    let mut bill = Bill::new(echo.input_estimate);
    bill.usage = answer.usage;
    bill.tier = answer.service_tier.as_deref().and_then(tier);
    bill.output_bytes = parts.iter().map(said).sum();

    let mut body = Vec::with_capacity(512);
    let out = &mut body;
    out.push(b'{');
    text_field(out, "id", &id);
    text_field(out, "type", "message");
    text_field(out, "role", "assistant");
    text_field(out, "model", &echo.model);
    key(out, "content");
    out.push(b'[');
    for (at, part) in parts.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &parts[before].kind);
        let behind = parts.get(at + 1).map(|part| &part.kind);
        write_part(out, &part.kind, before, behind);
    }
    out.push(b']');
    let called = parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    write_stop(
        out,
        choice
            .and_then(|choice| choice.stop)
            .unwrap_or(StopReason::End),
        choice.and_then(|choice| choice.sequence.as_deref()),
        choice.and_then(|choice| choice.detail.as_deref()),
        called,
    );
    bill.write_end(out);
    out.push(b'}');
    body
}

/// Bytes of what the model said in a part.
fn said(part: &Part<'_>) -> u64 {
    let length = match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => text.len(),
        PartKind::Reasoning(reasoning) => reasoning.text.len(),
        PartKind::ToolCall(call) => call.arguments.len(),
        PartKind::Media(media) => media.transcript.as_ref().map_or(0, |text| text.len()),
        PartKind::ToolResult(_) => 0,
    };
    length as u64
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    next(out);
    out.push(b'{');
    text_field(out, "type", kind);
}

/// Is this a thought with a text that nobody signed?
fn is_unsigned(kind: &PartKind<'_>) -> bool {
    matches!(kind, PartKind::Reasoning(r) if !r.redacted && r.signature.is_none() && !r.text.is_empty())
}

fn write_part(
    out: &mut Vec<u8>,
    kind: &PartKind<'_>,
    before: Option<&PartKind<'_>>,
    behind: Option<&PartKind<'_>>,
) {
    match kind {
        PartKind::Text {
            text,
            citations,
            // The protocol has no place for the signature of a text, and nobody demands it back.
            signature: _,
        } => {
            if !text.is_empty() || !citations.is_empty() {
                write_text(out, text, citations);
            }
        }
        PartKind::Refusal(text) => {
            if !text.is_empty() {
                write_text(out, text, &[]);
            }
        }
        PartKind::Media(media) => {
            let mut note = media_note(media);
            if let Some(transcript) = media.transcript.as_deref().filter(|t| !t.is_empty()) {
                note.push('\n');
                note.push_str(transcript);
            }
            write_text(out, &note, &[]);
        }
        PartKind::Reasoning(reasoning) if is_unsigned(kind) => {
            let of_call = match behind {
                Some(PartKind::ToolCall(call)) => call.signature.as_ref(),
                _ => None,
            };
            let written = of_call.map_or_else(thought::of_nobody, thought::of_call_behind);
            write_thinking(out, &reasoning.text, &written);
        }
        PartKind::Reasoning(reasoning) => write_reasoning(out, reasoning),
        PartKind::ToolCall(call) => {
            // An unsigned thought before it has taken it already.
            let is_written = before.is_some_and(is_unsigned);
            if let Some(signature) = call.signature.as_ref().filter(|_| !is_written) {
                write_thinking(out, "", &thought::of_call(signature));
            }
            write_call(out, call);
        }
        // Stands in user turns only.
        PartKind::ToolResult(_) => {}
    }
}

fn write_text(out: &mut Vec<u8>, text: &str, citations: &[Citation<'_>]) {
    begin(out, "text");
    text_field(out, "text", text);
    if !citations.is_empty() {
        key(out, "citations");
        out.push(b'[');
        for one in citations {
            next(out);
            citation::write(out, one);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn write_thinking(out: &mut Vec<u8>, thinking: &str, signature: &str) {
    begin(out, "thinking");
    text_field(out, "thinking", thinking);
    text_field(out, "signature", signature);
    out.push(b'}');
}

fn write_reasoning(out: &mut Vec<u8>, reasoning: &Reasoning<'_>) {
    let has_text = !reasoning.text.is_empty();
    match &reasoning.signature {
        Some(signature) if reasoning.redacted => {
            begin(out, "redacted_thinking");
            text_field(out, "data", &seal::write(ORIGIN, signature));
            out.push(b'}');
        }
        Some(signature) => {
            let written = thought::of_thought(has_text, signature);
            write_thinking(out, &reasoning.text, &written);
        }
        None => {}
    }
}

fn write_call(out: &mut Vec<u8>, call: &ToolCall<'_>) {
    begin(out, "tool_use");
    text_field(out, "id", &call.id);
    text_field(out, "name", &call.name);
    key(out, "input");
    let arguments = call.arguments.trim();
    if call.custom {
        out.push(b'{');
        text_field(out, "input", &call.arguments);
        out.push(b'}');
    } else if arguments.is_empty() {
        out.extend_from_slice(b"{}");
    } else if serde_json::from_str::<&RawValue>(arguments).is_ok() {
        out.extend_from_slice(arguments.as_bytes());
    } else {
        // Cut off by the limit of tokens, or no JSON at all.
        out.push(b'{');
        text_field(out, "partial_json", &call.arguments);
        out.push(b'}');
    }
    out.push(b'}');
}
