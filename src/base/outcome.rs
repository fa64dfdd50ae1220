//! How one attempt on a channel ended.

/// The word is a metric label; the order is that of `ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Connect,
    Timeout,
    Reset,
    Status4xx,
    Status5xx,
    RateLimited,
    Auth,
    BadResponse,
}

impl Outcome {
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Status4xx,
        Self::Status5xx,
        Self::RateLimited,
        Self::Auth,
        Self::BadResponse,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Status4xx => "status_4xx",
            Self::Status5xx => "status_5xx",
            Self::RateLimited => "rate_limited",
            Self::Auth => "auth",
            Self::BadResponse => "bad_response",
        }
    }
}
