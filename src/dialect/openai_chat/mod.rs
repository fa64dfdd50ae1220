//! `OpenAI` Chat Completions (<https://platform.openai.com/docs/api-reference/chat>), and what is built
//! like it: completions, embeddings, images, audio.

mod calls;
mod detail;
mod flavor;
mod loose;
mod read_answer;
mod read_choice;
mod read_media;
mod read_request;
mod read_tools;
mod read_turns;
mod samples;
mod write_answer;
mod write_media;
mod write_request;
mod write_stream;
mod write_turns;

pub use flavor::{Flavor, History, Target, WebSearch};
pub use read_answer::Reader;
pub use read_request::read_request;
pub use samples::SAMPLES;
pub use write_answer::write_answer;
pub use write_request::write_request;
pub use write_stream::Writer;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::openai::{error_object, read_error};
use super::{Opening, Peek, UpstreamError, is_blank};
use crate::base::Fault;
use crate::wire::edit::Edit;
use crate::wire::sse;
use crate::wire::watch::{Spec, WordSpec};

/// Whose signatures stand in this protocol's own fields: nobody's, as OpenAI shows none.
pub const ORIGIN: &str = "openai_chat";

pub const WATCH: Spec = Spec {
    capture: "usage",
    // Groq puts a second one under `x_groq`.
    max_depth: 2,
    text: &[
        "content",
        "reasoning_content",
        "reasoning",
        "arguments",
        "refusal",
        "text",
    ],
    word: Some(WordSpec {
        key: "service_tier",
        depth: 1,
        event_depth: 1,
    }),
};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    /// Streams of images and audio name their events.
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<BTreeMap<String, &'a RawValue>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Has it anything to show, or an end?
    fn speaks(&self) -> bool {
        let shows = |raw: &&RawValue| !is_blank(raw.get());
        self.finish_reason.as_ref().is_some_and(shows)
            || self.text.as_ref().is_some_and(shows)
            || self
                .delta
                .as_ref()
                .is_some_and(|delta| delta.iter().any(|(name, raw)| name != "role" && shows(raw)))
    }
}

pub fn opening(data: &[u8]) -> Opening {
    if data.trim_ascii() == b"[DONE]" {
        return Opening::End;
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
        return Opening::Garbage;
    };
    let choices = chunk.choices.as_deref().unwrap_or_default();
    let has_error = |raw: Option<&RawValue>| raw.is_some_and(|raw| !is_blank(raw.get()));
    if has_error(chunk.error) || choices.iter().any(|c| has_error(c.error)) {
        let value = serde_json::from_slice(data).unwrap_or(Value::Null);
        return error_in_body(&value).map_or(Opening::Garbage, Opening::Fault);
    }
    let named_event = chunk.r#type.is_some() && chunk.choices.is_none();
    if named_event || choices.iter().any(Choice::speaks) {
        Opening::Output
    } else {
        Opening::Hold
    }
}

/// The error of a body or chunk: on the outside, or in a choice (`OpenRouter`).
pub fn error_in_body(body: &Value) -> Option<UpstreamError> {
    if body.get("error").is_some_and(|e| !e.is_null()) {
        return read_error(200, body);
    }
    body.get("choices")?
        .as_array()?
        .iter()
        .find(|choice| choice.get("error").is_some_and(|e| !e.is_null()))
        .and_then(|choice| read_error(200, choice))
}

/// `data: {"error": {…}}`, then the end marker, as the provider's own broken streams have it.
pub fn error_event(fault: &Fault) -> Bytes {
    let error = serde_json::to_string(&error_object(fault)).unwrap_or_default();
    Bytes::from(format!("data: {{\"error\":{error}}}\n\ndata: [DONE]\n\n"))
}

/// The edits that make a streamed request ask for usage; none when it asks already.
pub fn ask_usage(body: &[u8], peek: &Peek) -> Option<Edit> {
    let Some(at) = peek.stream_options.clone() else {
        let comma = if peek.empty { "" } else { "," };
        return Some(Edit::insert(
            peek.front,
            format!("\"stream_options\":{{\"include_usage\":true}}{comma}"),
        ));
    };
    let written = &body[at.clone()];
    let options: BTreeMap<String, &RawValue> = match serde_json::from_slice(written) {
        Ok(options) => options,
        Err(_) if written == b"null" => {
            return Some(Edit::replace(at, "{\"include_usage\":true}"));
        }
        // Not an object: the provider will say so.
        Err(_) => return None,
    };
    match options.get("include_usage").map(|raw| raw.get()) {
        Some("true") => None,
        Some("false" | "null") => {
            let mut all: Vec<String> = options
                .iter()
                .filter(|(name, _)| *name != "include_usage")
                .map(|(name, raw)| format!("{}:{}", crate::wire::json::quote(name), raw.get()))
                .collect();
            all.push("\"include_usage\":true".to_owned());
            Some(Edit::replace(at, format!("{{{}}}", all.join(","))))
        }
        Some(_) => None,
        None => {
            let comma = if options.is_empty() { "" } else { "," };
            let brace = written.iter().position(|&b| b == b'{')?;
            Some(Edit::insert(
                at.start + brace + 1,
                format!("\"include_usage\":true{comma}"),
            ))
        }
    }
}

/// Is this frame the chunk that exists only because usage was asked for: no choices, but usage?
pub fn is_usage_only(frame: &[u8]) -> bool {
    if memchr::memmem::find(frame, b"prompt_tokens").is_none() {
        return false;
    }
    let event = sse::parse(frame);
    let Some(data) = event.data else { return false };
    serde_json::from_slice::<Chunk>(&data).is_ok_and(|chunk| {
        chunk.choices.is_some_and(|choices| choices.is_empty())
            && chunk
                .usage
                .is_some_and(|usage| usage.get().starts_with('{'))
    })
}

/// How a provider of this protocol is told to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_effort: "medium"`
    Effort,
    /// `reasoning: {"effort": "medium"}`
    Object,
}

/// The edit that turns reasoning on; none when the request says something about it already.
pub fn reason(peek: &Peek, field: ReasoningField) -> Option<Edit> {
    if peek.reasoning_effort.is_some() || peek.reasoning.is_some() {
        return None;
    }
    let field = match field {
        ReasoningField::Effort => "\"reasoning_effort\":\"medium\",",
        ReasoningField::Object => "\"reasoning\":{\"effort\":\"medium\"},",
    };
    Some(Edit::insert(peek.front, field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::edit::apply;

    #[test]
    fn opening_chunks_are_told_from_output() {
        for (data, expected) in [
            (
                r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                Opening::Hold,
            ),
            (
                r#"{"choices":[{"delta":{"role":"assistant","content":null,"refusal":null}}]}"#,
                Opening::Hold,
            ),
            (
                r#"{"choices":[],"prompt_filter_results":[]}"#,
                Opening::Hold,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"}}]}"#,
                Opening::Output,
            ),
            (
                r#"{"choices":[{"delta":{"reasoning_content":"a"}}]}"#,
                Opening::Output,
            ),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
                Opening::Output,
            ),
            (
                r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
                Opening::Output,
            ),
            (r#"{"choices":[{"text":"a","index":0}]}"#, Opening::Output),
            ("[DONE]", Opening::End),
            ("<html>", Opening::Garbage),
        ] {
            assert_eq!(opening(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn errors_in_chunks_carry_the_status_they_mean() {
        for (data, status) in [
            (
                r#"{"error":{"message":"m","type":"server_error","code":null}}"#,
                500,
            ),
            (r#"{"error":{"message":"m","code":429},"choices":[]}"#, 429),
            (
                r#"{"choices":[{"delta":{},"finish_reason":"error","error":{"code":502,"message":"m"}}]}"#,
                502,
            ),
            (
                r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
                400,
            ),
        ] {
            match opening(data.as_bytes()) {
                Opening::Fault(error) => assert_eq!(error.status, status, "{data}"),
                other => panic!("{data}: {other:?}"),
            }
        }
    }

    #[test]
    fn usage_is_asked_for_without_touching_the_rest() {
        for (body, expected) in [
            (
                r#"{"model":"a"}"#,
                r#"{"stream_options":{"include_usage":true},"model":"a"}"#,
            ),
            (
                r#"{"stream_options":{}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{ "x":1 }}"#,
                r#"{"stream_options":{"include_usage":true, "x":1 }}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":false,"x":1.0}}"#,
                r#"{"stream_options":{"x":1.0,"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":null}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":true}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            let peek = Peek::json(body.as_bytes()).expect("valid");
            let mut edits: Vec<Edit> = ask_usage(body.as_bytes(), &peek).into_iter().collect();
            let edited = apply(&Bytes::copy_from_slice(body.as_bytes()), &mut edits);
            assert_eq!(edited, expected, "{body}");
        }
    }

    #[test]
    fn only_the_extra_chunk_is_the_extra_chunk() {
        assert!(is_usage_only(
            b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
        ));
        assert!(!is_usage_only(
            b"data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}\n\n"
        ));
        assert!(!is_usage_only(b"data: {\"choices\":[],\"usage\":null}\n\n"));
        assert!(!is_usage_only(
            b"data: {\"choices\":[{\"delta\":{\"content\":\"prompt_tokens\"}}]}\n\n"
        ));
    }
}
