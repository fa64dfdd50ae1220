//! Anthropic Messages (<https://docs.anthropic.com/en/api/messages>).

mod citation;
mod depth;
mod form;
mod json;
mod read_answer;
mod read_request;
mod read_tools;
mod read_turns;
mod samples;
mod schema;
mod thought;
mod write_answer;
mod write_body;
mod write_media;
mod write_request;
mod write_tools;
mod write_turns;

pub use read_answer::Reader;
pub use read_request::{read_count_request, read_request};
pub use samples::SAMPLES;
pub use write_answer::Writer;
pub use write_body::write_answer;
pub use write_request::write_request;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Opening, Peek, UpstreamError, tokens};
use crate::base::{Fault, FaultKind, Usage};
use crate::wire::edit::Edit;
use crate::wire::watch::Spec;

pub const WATCH: Spec = Spec {
    capture: "usage",
    // `message_start` has it in its `message`.
    max_depth: 2,
    text: &["text", "partial_json", "thinking"],
    word: None,
};

/// Whose signatures stand in this protocol's own fields.
pub const ORIGIN: &str = "anthropic";

/// What a platform knows of the model that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub model: &'a str,
    /// `None`: the model cannot think.
    pub thinking: Option<Thinking>,
    /// For `max_tokens`, which the protocol demands, where the client set none.
    pub max_output: u64,
    /// `output_config.format` makes structured output.
    pub structured: bool,
    /// `output_config.effort` is understood.
    pub effort: bool,
    pub samples: Sampling,
    /// The last turn may be the assistant's, to be gone on with.
    pub prefill: bool,
}

/// Which parameters of sampling a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    Free,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// None at all.
    None,
}

/// What a provider of this protocol is told to make it think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// `{"type":"enabled","budget_tokens":N}`
    Budget,
    /// `{"type":"adaptive"}`: newer models choose for themselves and refuse a budget.
    Adaptive,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    content_block: Option<Block>,
}

#[derive(Deserialize)]
struct Block {
    r#type: String,
}

pub fn opening(data: &[u8]) -> Opening {
    let Ok(event) = serde_json::from_slice::<Event>(data) else {
        return Opening::Garbage;
    };
    match event.r#type.as_str() {
        "error" => {
            let value = serde_json::from_slice(data).unwrap_or(Value::Null);
            read_error(200, &value).map_or(Opening::Garbage, Opening::Fault)
        }
        "message_start" | "ping" => Opening::Hold,
        "content_block_start" => match event.content_block.map(|block| block.r#type) {
            Some(kind) if kind == "text" || kind == "thinking" => Opening::Hold,
            _ => Opening::Output,
        },
        _ => Opening::Output,
    }
}

/// `{"type":"error","error":{…}}`
pub fn error_in_body(body: &Value) -> Option<UpstreamError> {
    (body.get("type").and_then(Value::as_str) == Some("error")
        || (body.get("error").is_some() && body.get("content").is_none()))
    .then(|| read_error(200, body))
    .flatten()
}

pub fn read_error(status: u16, body: &Value) -> Option<UpstreamError> {
    let error = body.get("error").filter(|e| !e.is_null())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = text("type");
    let status = if status == 200 {
        match kind.as_deref() {
            Some("invalid_request_error") => 400,
            Some("authentication_error") => 401,
            Some("billing_error") => 402,
            Some("permission_error") => 403,
            Some("not_found_error") => 404,
            Some("request_too_large") => 413,
            Some("rate_limit_error") => 429,
            Some("timeout_error") => 504,
            Some("overloaded_error") => 529,
            _ => 500,
        }
    } else {
        status
    };
    Some(UpstreamError {
        status,
        message: text("message").unwrap_or_default(),
        bad_credential: status == 401,
        kind,
        retry_after: None,
    })
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    r#type: &'static str,
    error: ErrorObject<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    r#type: &'a str,
    message: &'a str,
    /// Not Anthropic's: the gateway's stable word, which its clients may ignore.
    code: &'static str,
    /// Another protocol's word for the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetails>,
}

#[derive(Serialize)]
struct ErrorDetails {
    error_code: &'static str,
}

/// By this word clients learn that they have to send the whole conversation instead of a `thread`.
const NO_THREADS: &str = "thread_unsupported_request";

/// `{"type":"error","error":{"type","message"},"request_id"}`
/// (<https://docs.anthropic.com/en/api/errors>)
pub fn error_body(fault: &Fault, request_id: &str) -> Bytes {
    let word = fault.upstream_type.as_deref();
    let upstream_type = word.filter(|word| ERROR_TYPES.contains(word));
    let body = ErrorBody {
        r#type: "error",
        error: ErrorObject {
            r#type: upstream_type.unwrap_or(error_type(fault)),
            provider_type: fault
                .upstream_type
                .as_deref()
                .filter(|_| upstream_type.is_none()),
            message: &fault.message,
            code: fault.kind.code(),
            details: (fault.kind == FaultKind::UnsupportedParameter
                && fault.param.as_deref() == Some("thread"))
            .then_some(ErrorDetails {
                error_code: NO_THREADS,
            }),
        },
        request_id,
    };
    // A struct of strings always serialises.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// The words of this protocol. What another provider calls its error stands beside them.
const ERROR_TYPES: [&str; 10] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "api_error",
];

fn error_type(fault: &Fault) -> &'static str {
    match (fault.kind, fault.status) {
        (FaultKind::InvalidRequest, 404) => return "not_found_error",
        (FaultKind::InvalidRequest, 413) => return "request_too_large",
        _ => {}
    }
    match fault.kind {
        FaultKind::InvalidJson
        | FaultKind::InvalidRequest
        | FaultKind::UnsupportedParameter
        | FaultKind::ApiKeyInQuery
        | FaultKind::Conflict
        | FaultKind::MethodNotAllowed
        | FaultKind::RequestTimeout => "invalid_request_error",
        FaultKind::ApiKeyRequired | FaultKind::InvalidApiKey | FaultKind::ApiKeyDisabled => {
            "authentication_error"
        }
        FaultKind::ApiKeyExpired | FaultKind::AccessDenied | FaultKind::ModelNotAllowed => {
            "permission_error"
        }
        FaultKind::ModelNotFound
        | FaultKind::EndpointNotFound
        | FaultKind::NotFound
        | FaultKind::PreviousResponseNotFound => "not_found_error",
        FaultKind::TooLarge => "request_too_large",
        FaultKind::RateLimited | FaultKind::QuotaExhausted | FaultKind::UpstreamRateLimited => {
            "rate_limit_error"
        }
        FaultKind::UpstreamOverloaded => "overloaded_error",
        FaultKind::UpstreamTimeout => "timeout_error",
        FaultKind::UpstreamError
        | FaultKind::UpstreamUnavailable
        | FaultKind::StoreUnavailable
        | FaultKind::LimitsUnavailable
        | FaultKind::Internal => "api_error",
    }
}

/// `event: error`, after which the stream ends.
pub fn error_event(fault: &Fault, request_id: &str) -> Bytes {
    let mut event = b"event: error\ndata: ".to_vec();
    event.extend_from_slice(&error_body(fault, request_id));
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[derive(Deserialize)]
struct WrittenUsage {
    input_tokens: Option<f64>,
    cache_creation_input_tokens: Option<f64>,
    cache_read_input_tokens: Option<f64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<f64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<f64>,
}

/// Takes over what is stated: `message_delta` repeats some totals and leaves out others.
pub fn read_usage(object: &[u8], usage: &mut Usage) -> bool {
    let Ok(written) = serde_json::from_slice::<WrittenUsage>(object) else {
        return false;
    };
    if written.input_tokens.is_none() && written.output_tokens.is_none() {
        return false;
    }
    if let Some(input) = written.input_tokens {
        usage.uncached = tokens(Some(input));
    }
    if let Some(read) = written.cache_read_input_tokens {
        usage.cache_read = tokens(Some(read));
    }
    if let Some(write) = written.cache_creation_input_tokens {
        let write = tokens(Some(write));
        let split = written.cache_creation;
        let one_hour = match split.and_then(|split| split.ephemeral_1h_input_tokens) {
            Some(one_hour) => tokens(Some(one_hour)).min(write),
            // Repeated without its split: what was said before holds.
            None if write == usage.cache_write() => usage.cache_write_1h,
            None => 0,
        };
        usage.cache_write_1h = one_hour;
        usage.cache_write_5m = write - one_hour;
    }
    if let Some(output) = written.output_tokens {
        usage.output = tokens(Some(output));
    }
    if let Some(details) = written.output_tokens_details {
        usage.reasoning = tokens(details.thinking_tokens);
    }
    true
}

/// The smallest budget that the provider takes.
const MIN_BUDGET: u64 = 1024;

/// The edit that turns thinking on; none when the request says something about it already. The budget
/// must be less than `max_tokens`.
pub fn reason(body: &[u8], peek: &Peek, thinking: Thinking) -> Result<Option<Edit>, Fault> {
    if peek.thinking.is_some() {
        return Ok(None);
    }
    let field = match thinking {
        Thinking::Adaptive => "\"thinking\":{\"type\":\"adaptive\"},".to_owned(),
        Thinking::Budget => {
            let max_tokens = peek
                .max_tokens
                .clone()
                .and_then(|at| std::str::from_utf8(&body[at]).ok()?.parse::<u64>().ok())
                .unwrap_or(0);
            if max_tokens <= MIN_BUDGET {
                return Err(Fault::new(
                    FaultKind::InvalidRequest,
                    "A model with '-thinking' needs 'max_tokens' above 1024, because thinking takes at least 1024 of them.",
                )
                .param("max_tokens"));
            }
            let budget = (max_tokens / 2).clamp(MIN_BUDGET, 16_000);
            format!("\"thinking\":{{\"type\":\"enabled\",\"budget_tokens\":{budget}}},")
        }
    };
    Ok(Some(Edit::insert(peek.front, field)))
}

#[cfg(test)]
mod answer_laws;
#[cfg(test)]
mod request_laws;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_events_are_told_from_output() {
        for (data, expected) in [
            (
                r#"{"type":"message_start","message":{"content":[]}}"#,
                Opening::Hold,
            ),
            (r#"{"type":"ping"}"#, Opening::Hold),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                Opening::Hold,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a"}}"#,
                Opening::Output,
            ),
            (
                r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
                Opening::Output,
            ),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
                Opening::Output,
            ),
            ("<", Opening::Garbage),
        ] {
            assert_eq!(opening(data.as_bytes()), expected, "{data}");
        }
        let Opening::Fault(error) = opening(
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ) else {
            panic!("no fault");
        };
        assert_eq!((error.status, error.message.as_str()), (529, "Overloaded"));
    }

    #[test]
    fn usage_of_start_and_delta_adds_up_to_one() {
        let mut usage = Usage::default();
        assert!(read_usage(
            br#"{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":1}"#,
            &mut usage
        ));
        assert!(read_usage(
            br#"{"output_tokens":42,"cache_creation_input_tokens":30}"#,
            &mut usage
        ));
        assert_eq!(
            usage,
            Usage {
                uncached: 3,
                cache_read: 100,
                cache_write_5m: 20,
                cache_write_1h: 10,
                output: 42,
                reasoning: 0,
                ..Usage::default()
            }
        );
        assert_eq!(usage.input(), 133);
    }

    #[test]
    fn a_thinking_budget_fits_below_max_tokens() {
        let edit = |body: &[u8]| {
            let peek = Peek::json(body).expect("valid");
            reason(body, &peek, Thinking::Budget).map(|e| e.map(|e| e.with))
        };
        assert_eq!(
            edit(br#"{"max_tokens":4000}"#),
            Ok(Some(
                r#""thinking":{"type":"enabled","budget_tokens":2000},"#.to_owned()
            ))
        );
        assert_eq!(edit(br#"{"max_tokens":4000,"thinking":{}}"#), Ok(None));
        assert!(edit(br#"{"max_tokens":1024}"#).is_err());
    }
}
