//! Google's Gemini API (<https://ai.google.dev/api/generate-content>).

mod json;
mod media;
mod read_answer;
mod read_request;
mod samples;
mod schema;
mod sealed;
mod usage;
mod write_answer;
mod write_request;

pub use read_answer::Reader;
pub use read_request::read_request;
pub use samples::SAMPLES;
pub use write_answer::{Writer, write_answer};
pub use write_request::write_request;

pub use usage::read_usage;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Opening, Peek, UpstreamError, is_blank, parse_seconds};
use crate::base::{Fault, FaultKind};
use crate::wire::edit::Edit;
use crate::wire::watch::Spec;

/// Whose a signature is that stands in this protocol's own field.
pub const ORIGIN: &str = "gemini";

pub const WATCH: Spec = Spec {
    capture: "usageMetadata",
    max_depth: 1,
    text: &["text"],
    word: None,
};

#[derive(Deserialize)]
struct NamedBody<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    requests: Option<Vec<NamedRequest<'a>>>,
    #[serde(borrow, alias = "generate_content_request")]
    #[serde(rename = "generateContentRequest")]
    generate: Option<NamedRequest<'a>>,
}

#[derive(Deserialize)]
struct NamedRequest<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The edits that call the model by another name wherever the body repeats the one in the path (embeddings
/// and counts do): the provider refuses a body that disagrees with its path.
pub fn rename(body: &[u8], from: &str, to: &str) -> Vec<Edit> {
    let Ok(named) = serde_json::from_slice::<NamedBody>(body) else {
        return Vec::new();
    };
    let nested = named.requests.into_iter().flatten().chain(named.generate);
    let all = nested
        .filter_map(|request| request.model)
        .chain(named.model);
    all.filter_map(|raw| {
        let written = raw.get();
        let name = crate::wire::json::string_value(written.as_bytes())?;
        if name.strip_prefix("models/").unwrap_or(&name) != from {
            return None;
        }
        // A raw value is a slice of the body that it was read from.
        let start = (written.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        let renamed = crate::wire::json::quote(&format!("models/{to}"));
        Some(Edit::replace(start..start + written.len(), renamed))
    })
    .collect()
}

/// What a model of this protocol is told to make it think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// `thinkingBudget: -1`: the model decides how much.
    Budget,
    /// `thinkingLevel: "high"`
    Level,
}

/// What the platform knows of the model that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub model: &'a str,
    /// `None`: it cannot think.
    pub thinking: Option<Thinking>,
    /// A budget of 0 is allowed.
    pub can_disable: bool,
    /// The level `minimal` exists.
    pub minimal_level: bool,
    /// The third generation: calls in the history must be signed, and results may hold media.
    pub signed_calls: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    candidates: Option<&'a RawValue>,
    #[serde(borrow, rename = "promptFeedback")]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

pub fn opening(data: &[u8]) -> Opening {
    let Ok(answer) = serde_json::from_slice::<Answer>(data) else {
        return Opening::Garbage;
    };
    let has = |raw: Option<&RawValue>| raw.is_some_and(|raw| !is_blank(raw.get()));
    if has(answer.error) {
        let value = serde_json::from_slice(data).unwrap_or(Value::Null);
        return read_error(200, &value).map_or(Opening::Garbage, Opening::Fault);
    }
    if has(answer.candidates) || has(answer.prompt_feedback) {
        Opening::Output
    } else {
        Opening::Hold
    }
}

/// The first whole element of a JSON array that comes in pieces; `None` until it is whole.
pub fn first_element(array: &[u8]) -> Option<&[u8]> {
    let start = array.iter().position(|&b| b == b'{')?;
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for (at, &byte) in array.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&array[start..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

pub fn error_in_body(body: &Value) -> Option<UpstreamError> {
    read_error(200, body)
}

/// `{"error":{"code","message","status","details"}}`, which a stream of arrays wraps in a list.
pub fn read_error(status: u16, body: &Value) -> Option<UpstreamError> {
    let body = body
        .as_array()
        .and_then(|list| list.first())
        .unwrap_or(body);
    let error = body.get("error").filter(|e| !e.is_null())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = error.get("code").and_then(Value::as_u64);
    let status = match code {
        Some(code @ 400..=599) if status == 200 => code as u16,
        _ if status == 200 => 500,
        _ => status,
    };
    let details = error.get("details").and_then(Value::as_array);
    let detail = |name: &str| {
        details?
            .iter()
            .find_map(|d| d.get(name).and_then(Value::as_str))
    };
    let message = text("message").unwrap_or_default();
    // A wrong key is a 400 here: https://ai.google.dev/gemini-api/docs/troubleshooting
    let bad_credential = status == 401
        || matches!(
            detail("reason"),
            Some("API_KEY_INVALID" | "API_KEY_EXPIRED")
        )
        || (status == 400 && message.starts_with("API key "));
    Some(UpstreamError {
        status,
        message,
        kind: text("status"),
        retry_after: detail("retryDelay").and_then(parse_seconds),
        bad_credential,
    })
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: [Detail<'a>; 1],
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'static str,
    domain: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    provider_type: &'a str,
}

/// `{"error":{"code","message","status","details"}}` (<https://cloud.google.com/apis/design/errors>);
/// the gateway's stable word is the `reason` of an `ErrorInfo`.
pub fn error_body(fault: &Fault) -> Bytes {
    let code = if fault.status == 529 {
        503
    } else {
        fault.status
    };
    let word = fault.upstream_type.as_deref();
    // The words of this protocol are upper-case; what another provider calls its error stands beside them.
    let own = word.filter(|word| word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    let body = ErrorBody {
        error: ErrorObject {
            code,
            message: &fault.message,
            status: own.unwrap_or(status_word(fault)),
            details: [Detail {
                kind: "type.googleapis.com/google.rpc.ErrorInfo",
                reason: fault.kind.code(),
                domain: "torouter",
                metadata: word
                    .filter(|_| own.is_none())
                    .map(|provider_type| Metadata { provider_type }),
            }],
        },
    };
    // A struct of strings always serialises.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

fn status_word(fault: &Fault) -> &'static str {
    match (fault.kind, fault.status) {
        (FaultKind::InvalidRequest, 404) => return "NOT_FOUND",
        (FaultKind::InvalidRequest, 403) => return "PERMISSION_DENIED",
        _ => {}
    }
    match fault.kind {
        FaultKind::InvalidJson
        | FaultKind::InvalidRequest
        | FaultKind::UnsupportedParameter
        | FaultKind::ApiKeyInQuery
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge => "INVALID_ARGUMENT",
        FaultKind::ApiKeyRequired | FaultKind::InvalidApiKey | FaultKind::ApiKeyDisabled => {
            "UNAUTHENTICATED"
        }
        FaultKind::ApiKeyExpired | FaultKind::AccessDenied | FaultKind::ModelNotAllowed => {
            "PERMISSION_DENIED"
        }
        FaultKind::ModelNotFound
        | FaultKind::EndpointNotFound
        | FaultKind::NotFound
        | FaultKind::PreviousResponseNotFound => "NOT_FOUND",
        FaultKind::Conflict => "ABORTED",
        FaultKind::RateLimited | FaultKind::QuotaExhausted | FaultKind::UpstreamRateLimited => {
            "RESOURCE_EXHAUSTED"
        }
        FaultKind::RequestTimeout | FaultKind::UpstreamTimeout => "DEADLINE_EXCEEDED",
        FaultKind::UpstreamError
        | FaultKind::UpstreamOverloaded
        | FaultKind::UpstreamUnavailable
        | FaultKind::StoreUnavailable
        | FaultKind::LimitsUnavailable => "UNAVAILABLE",
        FaultKind::Internal => "INTERNAL",
    }
}

/// The error as an event.
pub fn error_event(fault: &Fault) -> Bytes {
    [&b"data: "[..], &error_body(fault), b"\n\n"]
        .concat()
        .into()
}

/// The edit that turns thinking on; none when the request says something about it already.
pub fn reason(body: &[u8], peek: &Peek, thinking: Thinking) -> Option<Edit> {
    let config = match thinking {
        Thinking::Budget => "\"thinkingConfig\":{\"thinkingBudget\":-1,\"includeThoughts\":true}",
        Thinking::Level => {
            "\"thinkingConfig\":{\"thinkingLevel\":\"high\",\"includeThoughts\":true}"
        }
    };
    let Some(at) = peek.generation_config.clone() else {
        let comma = if peek.empty { "" } else { "," };
        return Some(Edit::insert(
            peek.front,
            format!("\"generationConfig\":{{{config}}}{comma}"),
        ));
    };
    let written = &body[at.clone()];
    let settings: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_slice(written).ok()?;
    if settings.contains_key("thinkingConfig") || settings.contains_key("thinking_config") {
        return None;
    }
    let comma = if settings.is_empty() { "" } else { "," };
    let brace = written.iter().position(|&b| b == b'{')?;
    Some(Edit::insert(
        at.start + brace + 1,
        format!("{config}{comma}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::edit::apply;

    #[test]
    fn opening_answers_are_told_from_output() {
        for (data, expected) in [
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
                Opening::Output,
            ),
            (
                r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
                Opening::Output,
            ),
            (r#"{"usageMetadata":{"promptTokenCount":1}}"#, Opening::Hold),
            ("[", Opening::Garbage),
        ] {
            assert_eq!(opening(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn a_wrong_key_is_known_although_it_is_a_400() {
        let body = serde_json::json!({"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",
            "status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}});
        let error = read_error(400, &body).expect("an error");
        assert!(error.bad_credential && !error.is_clients_fault());
        let other = serde_json::json!({"error":{"code":400,"message":"bad field","status":"INVALID_ARGUMENT"}});
        assert!(
            read_error(400, &other)
                .expect("an error")
                .is_clients_fault()
        );
    }

    #[test]
    fn retry_info_is_read() {
        let body = serde_json::json!({"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED",
            "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}]}});
        let error = read_error(429, &body).expect("an error");
        assert_eq!(
            error.retry_after,
            Some(std::time::Duration::from_millis(12_500))
        );
    }

    #[test]
    fn thinking_is_put_into_the_config_that_is_there() {
        for (body, expected) in [
            (
                r"{}",
                r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":-1,"includeThoughts":true}}}"#,
            ),
            (
                r#"{"generationConfig":{ "topK":1}}"#,
                r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":-1,"includeThoughts":true}, "topK":1}}"#,
            ),
            (
                r#"{"generation_config":{"thinkingConfig":{}}}"#,
                r#"{"generation_config":{"thinkingConfig":{}}}"#,
            ),
        ] {
            let peek = Peek::json(body.as_bytes()).expect("valid");
            let mut edits: Vec<Edit> = reason(body.as_bytes(), &peek, Thinking::Budget)
                .into_iter()
                .collect();
            assert_eq!(
                apply(&Bytes::copy_from_slice(body.as_bytes()), &mut edits),
                expected
            );
        }
    }

    #[test]
    fn the_model_is_renamed_wherever_the_body_repeats_it() {
        let body = r#"{"requests":[{"model":"models/a", "content":{"model":"models/a"}},{"model":"other"}],"model":"a"}"#;
        let mut edits = rename(body.as_bytes(), "a", "b");
        assert_eq!(
            apply(&Bytes::copy_from_slice(body.as_bytes()), &mut edits),
            r#"{"requests":[{"model":"models/b", "content":{"model":"models/a"}},{"model":"other"}],"model":"models/b"}"#
        );
        assert!(rename(b"{}", "a", "b").is_empty());
    }

    #[test]
    fn the_first_element_of_a_streamed_array_is_found_when_whole() {
        assert_eq!(
            first_element(b"[{\"a\":\"}\\\"\"}"),
            Some(&b"{\"a\":\"}\\\"\"}"[..])
        );
        assert_eq!(first_element(b"[{\"a\":{}"), None);
        assert_eq!(first_element(b"["), None);
    }
}
