//! The items of an answer as this protocol has them, the response that holds them, and a whole answer as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::emit::{Emit, number, string};
use super::repeat::Repeat;
use super::write_stream::Writer;
use crate::base::Usage;
use crate::chat::event::TokenLogprob;
use crate::chat::{
    Answer, Delta, Event, Media, Open, Part, PartKind, Signature, Source, Stop, StopReason,
};
use crate::dialect::translate::Echo;

/// Writes a whole answer for a client of this protocol.
pub fn write_answer(answer: &Answer, echo: &mut Echo) -> Vec<u8> {
    write_answer_with(answer, echo, Repeat::default())
}

/// The same, with what its request said.
pub fn write_answer_with(answer: &Answer, echo: &mut Echo, repeat: Repeat) -> Vec<u8> {
    written(answer, echo, repeat).response()
}

/// The items of a whole answer, as a JSON list.
pub fn output_items(answer: &Answer, echo: &mut Echo, repeat: Repeat) -> Vec<u8> {
    written(answer, echo, repeat).output_items()
}

/// One way for both forms, so that they cannot drift apart: the events of the answer go through the writer of streams.
fn written(answer: &Answer, echo: &mut Echo, repeat: Repeat) -> Writer {
    let mut writer = Writer::with(echo.clone(), repeat);
    let mut unsent = Vec::new();
    events(answer, &mut |event| {
        writer.event(event, &mut unsent);
        unsent.clear();
    });
    echo.ids = writer.ids();
    writer
}

fn events(answer: &Answer, sink: &mut dyn FnMut(Event<'_>)) {
    sink(Event::Start {
        id: answer.id.as_deref().map(Into::into),
        model: answer.model.as_deref().map(Into::into),
        created: answer.created,
    });
    let Some(choice) = answer.choices.first() else {
        return sink(Event::Finish);
    };
    let mut texts = choice
        .parts
        .iter()
        .filter(|part| part.as_text().is_some())
        .count();
    let mut tokens = &choice.logprobs[..];
    for (number, part) in choice.parts.iter().enumerate() {
        // Tokens of the whole answer belong to its texts, one behind the other.
        let mut own: &[TokenLogprob<'_>] = &[];
        if let Some(text) = part.as_text() {
            texts -= 1;
            let mut length = 0;
            let count = tokens
                .iter()
                .take_while(|token| {
                    let before = length;
                    length += token.token.len();
                    texts == 0 || before < text.len()
                })
                .count();
            (own, tokens) = tokens.split_at(count);
        }
        part_events(number as u32, part, own, sink);
    }
    if let Some(usage) = answer.usage {
        sink(Event::Usage(usage));
    }
    if let Some(tier) = &answer.service_tier {
        sink(Event::ServiceTier(tier.as_str().into()));
    }
    if let Some(reason) = choice.stop {
        sink(Event::Stop(Stop {
            choice: 0,
            reason,
            sequence: None,
            detail: None,
        }));
    }
    sink(Event::Finish);
}

fn part_events(
    part: u32,
    written: &Part<'_>,
    tokens: &[TokenLogprob<'_>],
    sink: &mut dyn FnMut(Event<'_>),
) {
    let mut open = |kind| {
        sink(Event::Open {
            part,
            choice: 0,
            kind,
        });
    };
    let mut deltas: Vec<Delta<'_>> = Vec::new();
    let borrowed = |signature: &Option<Signature<'_>>| {
        signature.clone().map(|s| Delta::Signature(s.into_owned()))
    };
    match &written.kind {
        PartKind::Text {
            text,
            citations,
            signature,
        } => {
            open(Open::Text);
            deltas.push(Delta::Text(text.as_ref().into()));
            deltas.extend(citations.iter().cloned().map(Delta::Citation));
            deltas.extend(borrowed(signature));
        }
        PartKind::Refusal(text) => {
            open(Open::Refusal);
            deltas.push(Delta::Text(text.as_ref().into()));
        }
        PartKind::Reasoning(reasoning) => {
            open(Open::Reasoning {
                redacted: reasoning.redacted,
                summary: reasoning.summary,
            });
            deltas.push(Delta::Text(reasoning.text.as_ref().into()));
            deltas.extend(borrowed(&reasoning.signature));
        }
        PartKind::ToolCall(call) => {
            open(Open::ToolCall {
                id: call.id.as_ref().into(),
                name: call.name.as_ref().into(),
                custom: call.custom,
            });
            deltas.push(Delta::Arguments(call.arguments.as_ref().into()));
            deltas.extend(borrowed(&call.signature));
        }
        PartKind::Media(media) => open(Open::Media(media.clone())),
        // None stands in an answer; its number is taken all the same.
        PartKind::ToolResult(_) => open(Open::Text),
    }
    for delta in deltas {
        sink(Event::Delta { part, delta });
    }
    if !tokens.is_empty() {
        sink(Event::Logprobs {
            choice: 0,
            tokens: tokens.to_vec(),
        });
    }
    sink(Event::Close { part });
}

/// One item of the output.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) body: Body,
    /// Parts of it that are open.
    pub(super) open: usize,
    pub(super) done: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    Message(Vec<Content>),
    Reasoning(Thought),
    Call(Call),
    Image(Image),
}

/// A content of a message.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) refusal: bool,
    pub(super) text: String,
    /// Elements of the lists, with commas between.
    pub(super) annotations: Vec<u8>,
    pub(super) cited: u64,
    pub(super) logprobs: Vec<u8>,
    pub(super) signature: Option<Signature<'static>>,
}

#[derive(Debug, Default)]
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) redacted: bool,
    pub(super) summary: bool,
    /// Its text has begun.
    pub(super) shown: bool,
    pub(super) signature: Option<Signature<'static>>,
    /// What is encrypted, once it is known.
    pub(super) sealed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) arguments: String,
    pub(super) custom: bool,
    pub(super) signature: Option<Signature<'static>>,
}

#[derive(Debug)]
pub(super) struct Image {
    pub(super) data: String,
    /// `png`, `webp`
    pub(super) format: String,
}

impl Image {
    /// `None`: the protocol has no field for it.
    pub(super) fn of(media: &Media<'_>) -> Option<Self> {
        let Source::Base64(data) = &media.source else {
            return None;
        };
        let mime = media.mime.as_deref().unwrap_or("image/png");
        Some(Self {
            data: data.clone().into_owned(),
            format: mime.rsplit('/').next().unwrap_or("png").to_owned(),
        })
    }

    /// Pieces decode by themselves, so two cannot just be put together.
    pub(super) fn add(&mut self, more: &str) {
        if self.data.is_empty() || self.data.len().is_multiple_of(4) && !self.data.ends_with('=') {
            self.data.push_str(more);
        } else if let (Ok(mut bytes), Ok(rest)) =
            (STANDARD.decode(&self.data), STANDARD.decode(more))
        {
            bytes.extend(rest);
            self.data = STANDARD.encode(bytes);
        }
    }
}

impl Item {
    pub(super) fn prefix(body: &Body) -> &'static str {
        match body {
            Body::Message(_) => "msg_",
            Body::Reasoning(_) => "rs_",
            Body::Call(call) if call.custom => "ctc_",
            Body::Call(_) => "fc_",
            Body::Image(_) => "ig_",
        }
    }

    /// The item as it stands; `whole`: with what it holds.
    pub(super) fn write(&self, out: &mut Vec<u8>, status: &str, whole: bool) {
        let mut item = Emit::object(out);
        item.text("id", &self.id);
        match &self.body {
            Body::Message(contents) => {
                item.text("type", "message");
                item.text("status", status);
                item.text("role", "assistant");
                let mut list = item.nested_list("content");
                for content in contents.iter().filter(|_| whole) {
                    content.write(list.item());
                }
                list.end();
            }
            Body::Reasoning(thought) => {
                item.text("type", "reasoning");
                let mut list = item.nested_list("summary");
                if whole && !thought.text.is_empty() {
                    summary_text(list.item(), &thought.text);
                }
                list.end();
                if whole {
                    item.text_if("encrypted_content", thought.sealed.as_deref());
                }
            }
            Body::Call(call) => {
                item.text(
                    "type",
                    if call.custom {
                        "custom_tool_call"
                    } else {
                        "function_call"
                    },
                );
                item.text("status", status);
                item.text("call_id", &call.call_id);
                item.text_if("namespace", call.namespace.as_deref());
                item.text("name", &call.name);
                let written = if whole { call.written() } else { "" };
                item.text(if call.custom { "input" } else { "arguments" }, written);
            }
            Body::Image(image) => {
                item.text("type", "image_generation_call");
                item.text("status", status);
                if whole {
                    item.text("output_format", &image.format);
                    item.text("result", &image.data);
                } else {
                    item.literal("result", "null");
                }
            }
        }
        item.end();
    }
}

impl Call {
    /// Arguments are an object, even where there are none.
    pub(super) fn written(&self) -> &str {
        if !self.custom && self.arguments.trim().is_empty() {
            "{}"
        } else {
            &self.arguments
        }
    }
}

impl Content {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.refusal {
            out.extend_from_slice(b"{\"type\":\"refusal\",\"refusal\":");
            string(out, &self.text);
        } else {
            out.extend_from_slice(b"{\"type\":\"output_text\",\"text\":");
            string(out, &self.text);
            out.extend_from_slice(b",\"annotations\":[");
            out.extend_from_slice(&self.annotations);
            out.extend_from_slice(b"],\"logprobs\":[");
            out.extend_from_slice(&self.logprobs);
            out.push(b']');
        }
        out.push(b'}');
    }
}

pub(super) fn summary_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"type\":\"summary_text\",\"text\":");
    string(out, text);
    out.push(b'}');
}

/// Elements of `logprobs`, with commas between.
pub(super) fn logprobs(out: &mut Vec<u8>, tokens: &[TokenLogprob<'_>]) {
    let bytes = |out: &mut Vec<u8>, bytes: Option<&[u8]>, token: &str| {
        let mut list = Emit::list(out);
        for byte in bytes.unwrap_or(token.as_bytes()) {
            number(list.item(), u64::from(*byte));
        }
        list.end();
    };
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut object = Emit::object(out);
        object.text("token", &token.token);
        object.literal("logprob", token.logprob.0.get());
        bytes(object.key("bytes"), token.bytes.as_deref(), &token.token);
        let mut list = object.nested_list("top_logprobs");
        for (text, logprob, own) in &token.top {
            let mut top = list.nested_item();
            top.text("token", text);
            top.literal("logprob", logprob.0.get());
            bytes(top.key("bytes"), own.as_deref(), text);
            top.end();
        }
        list.end();
        object.end();
    }
}

pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut object = Emit::object(out);
    object.count("input_tokens", usage.input());
    let mut details = object.nested("input_tokens_details");
    details.count("cached_tokens", usage.cache_read);
    details.count("cache_write_tokens", usage.cache_write());
    details.end();
    object.count("output_tokens", usage.output);
    let mut details = object.nested("output_tokens_details");
    details.count("reasoning_tokens", usage.reasoning);
    details.end();
    object.count("total_tokens", usage.input() + usage.output);
    object.end();
}

/// The words of this protocol for tiers, and those of others that mean the same.
pub(super) fn tier_word(tier: &str) -> Option<&'static str> {
    Some(match tier.to_ascii_lowercase().as_str() {
        "auto" => "auto",
        "default" | "standard" | "on_demand" => "default",
        "flex" => "flex",
        "scale" => "scale",
        "priority" | "fast" => "priority",
        _ => return None,
    })
}

/// Why the answer is not all that it could be; `refused`: it says so itself.
pub(super) fn incomplete(stop: Option<StopReason>, refused: bool) -> Option<&'static str> {
    match stop? {
        StopReason::MaxTokens | StopReason::ContextFull => Some("max_output_tokens"),
        StopReason::Filtered => Some("content_filter"),
        StopReason::Refusal if !refused => Some("content_filter"),
        StopReason::Refusal
        | StopReason::End
        | StopReason::StopSequence
        | StopReason::ToolCalls
        | StopReason::Paused
        | StopReason::MalformedCall
        | StopReason::Other => None,
    }
}
