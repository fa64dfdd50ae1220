//! What can go wrong with a request, before it becomes HTTP in some dialect.

use std::borrow::Cow;
use std::time::Duration;

/// The kinds of refusal that a client can see. Status and code are a contract (see the README).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    InvalidJson,
    InvalidRequest,
    UnsupportedParameter,
    ApiKeyInQuery,
    ApiKeyRequired,
    InvalidApiKey,
    ApiKeyDisabled,
    ApiKeyExpired,
    AccessDenied,
    ModelNotAllowed,
    ModelNotFound,
    EndpointNotFound,
    /// Something that is kept: a response, a conversation.
    NotFound,
    PreviousResponseNotFound,
    /// It is being changed by another request, or not finished.
    Conflict,
    StoreUnavailable,
    MethodNotAllowed,
    RequestTimeout,
    TooLarge,
    /// The key's requests, tokens or places.
    RateLimited,
    /// The key's spend.
    QuotaExhausted,
    /// Who counts for the keys' limits is away.
    LimitsUnavailable,
    UpstreamRateLimited,
    UpstreamOverloaded,
    UpstreamError,
    UpstreamUnavailable,
    UpstreamTimeout,
    Internal,
}

impl FaultKind {
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidJson
            | Self::InvalidRequest
            | Self::UnsupportedParameter
            | Self::ApiKeyInQuery => 400,
            Self::ApiKeyRequired | Self::InvalidApiKey | Self::ApiKeyDisabled => 401,
            Self::ApiKeyExpired | Self::AccessDenied | Self::ModelNotAllowed => 403,
            Self::ModelNotFound
            | Self::EndpointNotFound
            | Self::NotFound
            | Self::PreviousResponseNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited | Self::QuotaExhausted | Self::UpstreamRateLimited => 429,
            Self::Internal => 500,
            Self::UpstreamError => 502,
            Self::UpstreamOverloaded
            | Self::UpstreamUnavailable
            | Self::StoreUnavailable
            | Self::LimitsUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// The stable word that scripts match on.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedParameter => "unsupported_parameter",
            Self::ApiKeyInQuery => "api_key_in_query_deprecated",
            Self::ApiKeyRequired => "API_KEY_REQUIRED",
            Self::InvalidApiKey => "INVALID_API_KEY",
            Self::ApiKeyDisabled => "API_KEY_DISABLED",
            Self::ApiKeyExpired => "API_KEY_EXPIRED",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::EndpointNotFound => "endpoint_not_found",
            Self::NotFound => "not_found",
            Self::PreviousResponseNotFound => "previous_response_not_found",
            Self::Conflict => "conflict",
            Self::StoreUnavailable => "store_unavailable",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::TooLarge => "request_too_large",
            Self::RateLimited | Self::UpstreamRateLimited => "rate_limit_exceeded",
            Self::QuotaExhausted => "API_KEY_QUOTA_EXHAUSTED",
            Self::LimitsUnavailable => "limits_unavailable",
            Self::UpstreamOverloaded => "upstream_overloaded",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal_error",
        }
    }
}

/// One refusal: what, where (`param`), how to mend it (in `message`). Making one has no effect;
/// it becomes HTTP once, at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Differs from `kind.status()` only where an upstream's own status is kept (529, say).
    pub status: u16,
    pub message: Cow<'static, str>,
    /// The field or header that is wrong.
    pub param: Option<Cow<'static, str>>,
    /// The type that an upstream gave its error, kept for the client.
    pub upstream_type: Option<String>,
    pub retry_after: Option<Duration>,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status: kind.status(),
            message: message.into(),
            param: None,
            upstream_type: None,
            retry_after: None,
        }
    }

    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// An error as an upstream wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    /// The HTTP status that the error means, also where it came inside a 200.
    pub status: u16,
    pub message: String,
    /// The provider's own word for it.
    pub kind: Option<String>,
    pub retry_after: Option<Duration>,
    /// The provider means the channel's credential, whatever the status.
    pub bad_credential: bool,
}

impl UpstreamError {
    /// An error of which the provider says no more.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: None,
            retry_after: None,
            bad_credential: false,
        }
    }

    /// Is this the request's own fault, so that no other channel would do better?
    pub fn is_clients_fault(&self) -> bool {
        !self.bad_credential && matches!(self.status, 400 | 404 | 405 | 409 | 413 | 415 | 422)
    }
}
