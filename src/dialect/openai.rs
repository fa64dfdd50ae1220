//! What the two OpenAI protocols share: errors here, usage and parts of requests in the files below
//! (<https://platform.openai.com/docs/api-reference>).

pub mod read;
pub mod write;

mod usage;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

pub use usage::read_usage;

use super::UpstreamError;
use crate::base::{Fault, FaultKind};

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
        FaultKind::RateLimited | FaultKind::QuotaExhausted | FaultKind::UpstreamRateLimited => {
            "rate_limit_error"
        }
        FaultKind::UpstreamOverloaded
        | FaultKind::UpstreamError
        | FaultKind::UpstreamUnavailable
        | FaultKind::UpstreamTimeout
        | FaultKind::StoreUnavailable
        | FaultKind::LimitsUnavailable
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
