//! Events as this protocol streams them, and whole answers. Each piece of output is a whole response with one part; the
//! reason of the end and the usage stand in the last.

mod parts;
mod stream;

use super::json::{Object, number, string};
use super::sealed::{self, Thought};
use crate::base::Usage;
use crate::chat::event::TokenLogprob;
use crate::chat::{Answer, Choice, PartKind, Source, StopReason};
use crate::dialect::translate::Echo;

use parts::{Cited, Said};

pub use stream::Writer;

/// Writes a whole answer as the body of a response.
pub fn write_answer(answer: &Answer, echo: &mut Echo) -> Vec<u8> {
    let id = response_id(echo, answer.id.as_deref());
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::open(&mut out);
    let candidates = body.key("candidates");
    super::json::list(
        candidates,
        answer.choices.iter().enumerate(),
        |out, (at, choice)| {
            candidate(at, choice, echo.hide_thoughts, out);
        },
    );
    if let Some(usage) = &answer.usage {
        write_usage(
            usage,
            answer.service_tier.as_deref(),
            body.key("usageMetadata"),
        );
    }
    body.text("modelVersion", &echo.model);
    body.text("responseId", &id);
    body.close();
    out
}

/// Nothing tells an id of this protocol's from another: always one of our own.
fn response_id(echo: &mut Echo, given: Option<&str>) -> String {
    match &mut echo.ids {
        Some(ids) => ids.next(""),
        None => given.unwrap_or("response").to_owned(),
    }
}

fn candidate(at: usize, choice: &Choice, hide_thoughts: bool, out: &mut Vec<u8>) {
    let mut candidate = Object::open(out);
    let mut content = Object::open(candidate.key("content"));
    let mut cited = Cited::default();
    if !choice.parts.is_empty() {
        let mut list = parts::List::open(content.key("parts"));
        let mut thoughts: Vec<Thought> = Vec::new();
        let mut called = false;
        for part in &choice.parts {
            whole_part(
                &part.kind,
                hide_thoughts,
                (&mut thoughts, &mut called),
                &mut cited,
                &mut list,
            );
        }
        list.close();
    }
    content.text("role", "model");
    content.close();
    let reason = choice.stop.unwrap_or(StopReason::End);
    finish(reason, choice.detail.as_deref(), &mut candidate);
    candidate.number("index", at as u64);
    cited.write(&mut candidate);
    if !choice.logprobs.is_empty() {
        logprobs(&choice.logprobs, candidate.key("logprobsResult"));
    }
    candidate.close();
}

fn whole_part(
    kind: &PartKind<'static>,
    hide_thoughts: bool,
    (thoughts, called): (&mut Vec<Thought>, &mut bool),
    cited: &mut Cited,
    list: &mut parts::List<'_>,
) {
    match kind {
        PartKind::Text {
            text,
            citations,
            signature,
        } => {
            let begin = cited.said(text);
            for citation in citations {
                cited.cite(begin, citation);
            }
            let signature = signature.as_ref().map(parts::sign);
            list.add(Said::Text, text, signature.as_deref());
        }
        PartKind::Refusal(text) => {
            cited.said(text);
            list.add(Said::Text, text, None);
        }
        PartKind::Reasoning(reasoning) => {
            let thought = Thought {
                text: reasoning.text.clone().into_owned(),
                signature: reasoning.signature.clone(),
                redacted: reasoning.redacted,
                summary: reasoning.summary,
            };
            if !hide_thoughts {
                let signature = parts::sign_thought(&thought);
                list.add(Said::Thought, &reasoning.text, signature.as_deref());
            }
            thoughts.push(thought);
        }
        PartKind::ToolCall(call) => {
            let signature = match &call.signature {
                Some(signature) => Some(parts::sign(signature).into_owned()),
                None => parts::pack(thoughts, !*called),
            };
            *called = true;
            let out = list.next();
            let arguments = &call.arguments;
            parts::call(
                out,
                &call.id,
                &call.name,
                arguments,
                call.custom,
                signature.as_deref(),
            );
        }
        PartKind::Media(media) => {
            if let Some(said) = &media.transcript {
                cited.said(said);
                list.add(Said::Text, said, None);
            }
            let mime = media.mime.as_deref();
            match &media.source {
                Source::Base64(data) if data.is_empty() => {}
                Source::Base64(data) => parts::inline(list.next(), mime, media.kind, data),
                Source::Url(uri) | Source::File(uri) => parts::file(list.next(), mime, uri),
                Source::Plain(text) => list.add(Said::Text, text, None),
            }
        }
        // No answer has one.
        PartKind::ToolResult(_) => {}
    }
}

/// Words that clients of this protocol know
/// (<https://ai.google.dev/api/generate-content#FinishReason>).
const FINISH_WORDS: [&str; 17] = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MODEL_ARMOR",
    "MISSING_THOUGHT_SIGNATURE",
];

fn finish(reason: StopReason, detail: Option<&str>, candidate: &mut Object<'_>) {
    let known = detail.and_then(|detail| FINISH_WORDS.iter().find(|word| **word == detail));
    let word = match reason {
        StopReason::End | StopReason::StopSequence | StopReason::ToolCalls | StopReason::Paused => {
            "STOP"
        }
        StopReason::MaxTokens | StopReason::ContextFull => "MAX_TOKENS",
        StopReason::Refusal | StopReason::Filtered => known.copied().unwrap_or("SAFETY"),
        StopReason::MalformedCall => known.copied().unwrap_or("MALFORMED_FUNCTION_CALL"),
        StopReason::Other => known.copied().unwrap_or("OTHER"),
    };
    candidate.text("finishReason", word);
    if let Some(detail) = detail.filter(|detail| *detail != word) {
        candidate.text("finishMessage", detail);
    }
}

/// Thoughts are counted beside the candidates, what was cached as a part of the prompt.
fn write_usage(usage: &Usage, tier: Option<&str>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.number("promptTokenCount", usage.input());
    if usage.cache_read > 0 {
        object.number("cachedContentTokenCount", usage.cache_read);
    }
    let said = usage.output.saturating_sub(usage.reasoning);
    object.number("candidatesTokenCount", said);
    if usage.reasoning > 0 {
        object.number("thoughtsTokenCount", usage.reasoning);
    }
    object.number("totalTokenCount", usage.input() + said + usage.reasoning);
    if let Some(tier) = tier {
        object.text("serviceTier", tier);
    }
    object.close();
}

fn logprobs(tokens: &[TokenLogprob<'_>], out: &mut Vec<u8>) {
    fn one(out: &mut Vec<u8>, token: &str, logprob: &str) {
        let mut object = Object::open(out);
        object.text("token", token);
        object.raw("logProbability", logprob);
        object.close();
    }
    let mut result = Object::open(out);
    super::json::list(result.key("chosenCandidates"), tokens, |out, token| {
        one(out, &token.token, token.logprob.0.get());
    });
    if tokens.iter().any(|token| !token.top.is_empty()) {
        super::json::list(result.key("topCandidates"), tokens, |out, token| {
            let mut top = Object::open(out);
            super::json::list(top.key("candidates"), &token.top, |out, (text, p, _)| {
                one(out, text, p.0.get());
            });
            top.close();
        });
    }
    result.close();
}

#[cfg(test)]
mod tests;
