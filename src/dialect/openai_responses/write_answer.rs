//! A whole answer as this protocol has it: its events go through the writer of streams.

use super::repeat::Repeat;
use super::write_stream::Writer;
use crate::base::Usage;
use crate::chat::event::TokenLogprob;
use crate::chat::{Answer, Delta, Event, Open, Part, PartKind, Signature, Stop, StopReason};
use crate::dialect::translate::Echo;
use crate::wire::emit::Emit;

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
