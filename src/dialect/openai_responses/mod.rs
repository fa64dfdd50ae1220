//! `OpenAI` Responses (<https://platform.openai.com/docs/api-reference/responses>).

mod names;
mod read_answer;
mod read_item;
mod read_items;
mod read_parts;
mod read_request;
mod read_tools;
mod repeat;
mod samples;
pub mod socket;
pub mod state;
pub mod stored;
mod thought;
mod write_answer;
mod write_item;
mod write_items;
mod write_parts;
mod write_request;
mod write_response;
mod write_stream;

#[cfg(test)]
mod laws;

pub use read_answer::Reader;
pub use read_request::read_request;
pub use repeat::{Repeat, Settled};
pub use samples::SAMPLES;
pub use thought::{compaction, read_compaction};
pub use write_answer::{output_items, write_answer, write_answer_with};
pub use write_request::{Target, write_request};
pub use write_stream::Writer;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::openai::read_error;
use super::{Opening, Peek, UpstreamError};
use crate::base::Fault;
use crate::wire::edit::Edit;
use crate::wire::json;
use crate::wire::watch::{Spec, WordSpec};

/// Whose signatures stand in this protocol's own fields: each is the reasoning item as its maker wrote it.
pub const ORIGIN: &str = "openai_responses";

pub const WATCH: Spec = Spec {
    capture: "usage",
    // In a stream it stands in the `response` of the last event.
    max_depth: 2,
    text: &["delta"],
    word: Some(WordSpec {
        key: "service_tier",
        depth: 1,
        event_depth: 2,
    }),
};

#[derive(Deserialize)]
struct Event {
    r#type: String,
    item: Option<Item>,
}

#[derive(Deserialize)]
struct Item {
    r#type: String,
}

pub fn opening(data: &[u8]) -> Opening {
    let Ok(event) = serde_json::from_slice::<Event>(data) else {
        return if data.trim_ascii() == b"[DONE]" {
            Opening::End
        } else {
            Opening::Garbage
        };
    };
    match event.r#type.as_str() {
        "error" | "response.failed" => {
            let value = serde_json::from_slice(data).unwrap_or(Value::Null);
            fault_in_event(&value).map_or(Opening::Garbage, Opening::Fault)
        }
        "response.created"
        | "response.queued"
        | "response.in_progress"
        | "response.content_part.added"
        | "response.reasoning_summary_part.added"
        | "keepalive" => Opening::Hold,
        "response.output_item.added" => match event.item.map(|item| item.r#type) {
            Some(kind) if kind == "message" || kind == "reasoning" => Opening::Hold,
            _ => Opening::Output,
        },
        _ => Opening::Output,
    }
}

/// `response.failed` carries the error in its response; `error` is one itself, flat or nested.
fn fault_in_event(event: &Value) -> Option<UpstreamError> {
    if let Some(response) = event.get("response") {
        return read_error(200, response);
    }
    if event.get("error").is_some() {
        return read_error(200, event);
    }
    read_error(200, &serde_json::json!({ "error": event }))
}

/// A response that failed, or an error in the place of one.
pub fn error_in_body(body: &Value) -> Option<UpstreamError> {
    let failed = body.get("status").and_then(Value::as_str) == Some("failed");
    if failed || body.get("id").is_none() {
        return read_error(200, body);
    }
    None
}

/// `event: error`, which the official clients raise as an API error.
pub fn error_event(fault: &Fault) -> Bytes {
    let param = fault
        .param
        .as_deref()
        .map_or_else(|| "null".to_owned(), json::quote);
    Bytes::from(format!(
        "event: error\ndata: {{\"type\":\"error\",\"code\":\"{}\",\"message\":{},\"param\":{param},\"sequence_number\":0}}\n\n",
        fault.kind.code(),
        json::quote(&fault.message),
    ))
}

/// The edit that turns reasoning on; none when the request says something about it already.
pub fn reason(peek: &Peek) -> Option<Edit> {
    peek.reasoning
        .is_none()
        .then(|| Edit::insert(peek.front, "\"reasoning\":{\"effort\":\"medium\"},"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_events_are_told_from_output() {
        for (data, expected) in [
            (
                r#"{"type":"response.created","response":{"status":"in_progress","error":null}}"#,
                Opening::Hold,
            ),
            (
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
                Opening::Hold,
            ),
            (
                r#"{"type":"response.output_item.added","item":{"type":"function_call"}}"#,
                Opening::Output,
            ),
            (
                r#"{"type":"response.output_text.delta","delta":"a"}"#,
                Opening::Output,
            ),
            (
                r#"{"type":"response.completed","response":{}}"#,
                Opening::Output,
            ),
            ("{}", Opening::Garbage),
        ] {
            assert_eq!(opening(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn failures_are_read_in_their_three_forms() {
        for (data, status) in [
            (
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
                500,
            ),
            (
                r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}"#,
                429,
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","code":"x","message":"m"}}"#,
                400,
            ),
        ] {
            match opening(data.as_bytes()) {
                Opening::Fault(error) => {
                    assert_eq!((error.status, error.message.as_str()), (status, "m"));
                }
                other => panic!("{data}: {other:?}"),
            }
        }
        let failed = serde_json::json!({"id":"r","status":"failed","error":{"code":"server_error","message":"m"}});
        assert_eq!(error_in_body(&failed).map(|e| e.status), Some(500));
        let good = serde_json::json!({"id":"r","status":"completed","error":null});
        assert_eq!(error_in_body(&good), None);
    }
}
