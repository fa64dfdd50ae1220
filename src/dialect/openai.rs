//! What the two OpenAI protocols share: errors and usage
//! (<https://platform.openai.com/docs/api-reference>).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{UpstreamError, tokens};
use crate::base::{Fault, FaultKind, Usage};

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
pub(super) struct ErrorObject<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

pub(super) fn error_object(fault: &Fault) -> ErrorObject<'_> {
    ErrorObject {
        message: &fault.message,
        r#type: fault
            .upstream_type
            .as_deref()
            .unwrap_or(error_type(fault.kind)),
        param: fault.param.as_deref(),
        code: fault.kind.code(),
    }
}

/// `{"error": {"message", "type", "param", "code"}}`
pub fn error_body(fault: &Fault) -> Bytes {
    let body = ErrorBody {
        error: error_object(fault),
    };
    // A struct of strings always serialises.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

fn error_type(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::InvalidJson
        | FaultKind::InvalidRequest
        | FaultKind::UnsupportedParameter
        | FaultKind::ApiKeyInQuery
        | FaultKind::ModelNotFound
        | FaultKind::EndpointNotFound
        | FaultKind::NotFound
        | FaultKind::PreviousResponseNotFound
        | FaultKind::Conflict
        | FaultKind::MethodNotAllowed
        | FaultKind::RequestTimeout
        | FaultKind::TooLarge => "invalid_request_error",
        FaultKind::ApiKeyRequired | FaultKind::InvalidApiKey | FaultKind::ApiKeyDisabled => {
            "authentication_error"
        }
        FaultKind::ApiKeyExpired | FaultKind::AccessDenied | FaultKind::ModelNotAllowed => {
            "permission_error"
        }
        FaultKind::UpstreamRateLimited => "rate_limit_error",
        FaultKind::UpstreamOverloaded
        | FaultKind::UpstreamError
        | FaultKind::UpstreamUnavailable
        | FaultKind::UpstreamTimeout
        | FaultKind::StoreUnavailable
        | FaultKind::Internal => "server_error",
    }
}

/// Reads `{"error": {…}}`, also with a number as `code` (OpenRouter) or a bare string (some
/// compatible servers).
pub fn read_error(status: u16, body: &Value) -> Option<UpstreamError> {
    let error = body.get("error").filter(|e| !e.is_null())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = error
        .as_str()
        .map(str::to_owned)
        .or_else(|| text("message"))
        .unwrap_or_default();
    let kind = text("type");
    let code = text("code");
    let number = error.get("code").and_then(Value::as_u64);
    let status = if status == 200 {
        status_of(kind.as_deref(), code.as_deref(), number)
    } else {
        status
    };
    let bad_credential = status == 401 || code.as_deref() == Some("invalid_api_key");
    Some(UpstreamError {
        status,
        message,
        kind: kind.or(code),
        retry_after: None,
        bad_credential,
    })
}

/// The status that an error inside a 200 means.
fn status_of(kind: Option<&str>, code: Option<&str>, number: Option<u64>) -> u16 {
    if let Some(number @ 400..=599) = number {
        return number as u16;
    }
    match (code, kind) {
        (Some("rate_limit_exceeded" | "insufficient_quota"), _)
        | (_, Some("rate_limit_error" | "tokens" | "requests")) => 429,
        (Some("invalid_api_key"), _) | (_, Some("authentication_error")) => 401,
        (Some("server_error" | "internal_error"), _) | (_, Some("server_error")) => 500,
        (
            Some(
                "context_length_exceeded"
                | "content_policy_violation"
                | "content_filter"
                | "invalid_prompt"
                | "model_not_found"
                | "string_above_max_length",
            ),
            _,
        )
        | (_, Some("invalid_request_error")) => 400,
        (Some(code), _) if code.starts_with("invalid_") || code.starts_with("image_") => 400,
        _ => 500,
    }
}

/// Both spellings: `prompt_tokens` of Chat, embeddings and completions; `input_tokens` of Responses,
/// images and transcriptions. Some aggregators send both, one of them 0.
#[derive(Deserialize)]
struct WrittenUsage {
    prompt_tokens: Option<f64>,
    input_tokens: Option<f64>,
    completion_tokens: Option<f64>,
    output_tokens: Option<f64>,
    total_tokens: Option<f64>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// `DeepSeek`'s name for cached input.
    prompt_cache_hit_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<f64>,
    cache_write_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<f64>,
}

pub fn read_usage(object: &[u8], usage: &mut Usage) -> bool {
    let Ok(w) = serde_json::from_slice::<WrittenUsage>(object) else {
        return false;
    };
    let either = |a, b| tokens(a).max(tokens(b));
    let stated = [
        w.prompt_tokens,
        w.input_tokens,
        w.completion_tokens,
        w.output_tokens,
    ];
    if stated.iter().all(Option::is_none) {
        return false;
    }
    let input = either(w.prompt_tokens, w.input_tokens);
    let details = [w.prompt_tokens_details, w.input_tokens_details];
    let detail = |read: fn(&InputDetails) -> Option<f64>| {
        details.iter().flatten().map(|d| tokens(read(d))).max()
    };
    let cached = detail(|d| d.cached_tokens)
        .unwrap_or(0)
        .max(tokens(w.prompt_cache_hit_tokens))
        .min(input);
    let cache_write = detail(|d| d.cache_write_tokens)
        .unwrap_or(0)
        .min(input - cached);
    let reasoning = [w.completion_tokens_details, w.output_tokens_details]
        .iter()
        .flatten()
        .map(|d| tokens(d.reasoning_tokens))
        .max()
        .unwrap_or(0);
    let mut output = either(w.completion_tokens, w.output_tokens);
    // Some (xAI) count reasoning beside the completion, as their total shows.
    if reasoning > 0 && tokens(w.total_tokens) == input + output + reasoning {
        output += reasoning;
    }
    *usage = Usage {
        uncached: input - cached - cache_write,
        cache_read: cached,
        cache_write_5m: cache_write,
        cache_write_1h: 0,
        output: output.max(reasoning),
        reasoning,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Usage {
        let mut usage = Usage::default();
        assert!(read_usage(text.as_bytes(), &mut usage), "{text}");
        usage
    }

    #[test]
    fn usage_of_both_protocols_becomes_disjoint() {
        let chat = usage(
            r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
               "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},
               "completion_tokens_details":{"reasoning_tokens":5}}"#,
        );
        assert_eq!(
            (chat.uncached, chat.cache_read, chat.input()),
            (40, 60, 100)
        );
        assert_eq!((chat.output, chat.reasoning), (20, 5));
        let responses = usage(
            r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,
               "output_tokens_details":{"reasoning_tokens":0},"total_tokens":12}"#,
        );
        assert_eq!((responses.input(), responses.output), (9, 3));
    }

    #[test]
    fn reasoning_beside_the_completion_is_part_of_the_output() {
        let xai = usage(
            r#"{"prompt_tokens":10,"completion_tokens":4,"total_tokens":44,
               "completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        assert_eq!((xai.output, xai.reasoning), (34, 30));
    }

    #[test]
    fn odd_numbers_and_both_spellings_are_understood() {
        let both = usage(
            r#"{"prompt_tokens":3,"completion_tokens":2,"input_tokens":0,"output_tokens":0,"total_tokens":5}"#,
        );
        assert_eq!((both.input(), both.output), (3, 2));
        let floats = usage(r#"{"prompt_tokens":3.0,"completion_tokens":2e0}"#);
        assert_eq!((floats.input(), floats.output), (3, 2));
        let absurd = usage(r#"{"prompt_tokens":18446744073709551615,"completion_tokens":-5}"#);
        assert!(absurd.input() <= 1 << 40 && absurd.output == 0);
    }

    #[test]
    fn an_object_without_totals_is_no_usage() {
        let mut untouched = Usage::default();
        assert!(!read_usage(br#"{"type":"string"}"#, &mut untouched));
        assert!(!read_usage(br#"{"prompt_tokens":"many"}"#, &mut untouched));
        assert!(untouched.is_empty());
    }
}
