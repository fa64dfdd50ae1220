//! A refusal: which limit, and when it is back.

use std::time::Duration;

use super::Standing;
use super::account::{BUSY_MS, Full};
use crate::base::{Fault, FaultKind, Usd};

/// Every 429 says when to come again. What is not back by itself may be by then because somebody gave more.
const NEVER: Duration = Duration::from_secs(86_400);

/// What has refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    MaxInFlight,
    Rpm,
    Rp5h,
    Rpd,
    Rp7d,
    Tpm,
    SpendUsd,
    SpendUsd5h,
    SpendUsdDay,
    SpendUsd7d,
    SpendUsd30d,
    /// Spend is limited, and the model's price is not known.
    Unpriced,
    /// Redis is away.
    Unavailable,
}

impl Limit {
    pub const ALL: [Self; 13] = [
        Self::MaxInFlight,
        Self::Rpm,
        Self::Rp5h,
        Self::Rpd,
        Self::Rp7d,
        Self::Tpm,
        Self::SpendUsd,
        Self::SpendUsd5h,
        Self::SpendUsdDay,
        Self::SpendUsd7d,
        Self::SpendUsd30d,
        Self::Unpriced,
        Self::Unavailable,
    ];

    /// As it is set, and as the metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxInFlight => "max_in_flight",
            Self::Rpm => "rpm",
            Self::Rp5h => "rp5h",
            Self::Rpd => "rpd",
            Self::Rp7d => "rp7d",
            Self::Tpm => "tpm",
            Self::SpendUsd => "spend_usd",
            Self::SpendUsd5h => "spend_usd_5h",
            Self::SpendUsdDay => "spend_usd_day",
            Self::SpendUsd7d => "spend_usd_7d",
            Self::SpendUsd30d => "spend_usd_30d",
            Self::Unpriced => "unpriced",
            Self::Unavailable => "unavailable",
        }
    }

    fn is_spend(self) -> bool {
        self.name().starts_with("spend")
    }

    /// What it limits, behind an amount.
    fn what(self) -> &'static str {
        match self {
            Self::MaxInFlight => "requests under way at a time",
            Self::Rpm => "requests in a minute",
            Self::Rp5h => "requests in 5 hours",
            Self::Rpd => "requests in 24 hours",
            Self::Rp7d => "requests in 7 days",
            Self::Tpm => "tokens in a minute",
            Self::SpendUsd => "USD in all",
            Self::SpendUsd5h => "USD in 5 hours",
            Self::SpendUsdDay => "USD in 24 hours",
            Self::SpendUsd7d => "USD in 7 days",
            Self::SpendUsd30d => "USD in 30 days",
            Self::Unpriced | Self::Unavailable => "",
        }
    }
}

/// Why a request may not be sent now. Of several limits, the one that lasts longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub limit: Limit,
    /// The limit's value, as it is written: a number, or an amount in USD.
    pub max: String,
    /// When there will be room, if nobody else uses it. `None`: never by itself.
    pub retry_after: Option<Duration>,
    pub standing: Standing,
    /// It asks alone for more than the whole limit.
    pub too_large: bool,
    /// What is really used leaves no room. Else there would be, if the requests under way gave back what they hold.
    pub used_up: bool,
}

impl Denied {
    pub(super) fn new(full: Full, standing: Standing) -> Self {
        Self {
            limit: full.limit,
            max: if full.limit.is_spend() {
                Usd::from_pico(i128::from(full.max) * 1000).to_string()
            } else {
                full.max.to_string()
            },
            retry_after: full.retry_ms.map(Duration::from_millis),
            standing,
            too_large: full.too_large,
            used_up: full.used_up,
        }
    }

    /// Redis is away, and requests are refused meanwhile.
    pub(super) fn unavailable() -> Self {
        let full = Full {
            limit: Limit::Unavailable,
            max: 0,
            retry_ms: Some(BUSY_MS),
            too_large: false,
            used_up: false,
        };
        Self::new(full, Standing::default())
    }

    pub fn fault(&self, key: &str) -> Fault {
        let (kind, message) = self.told(key);
        let mut fault = Fault::new(kind, message);
        let never = (fault.status == 429).then_some(NEVER);
        fault.retry_after = self.wait().map(Duration::from_secs).or(never);
        fault
    }

    /// In whole seconds, so that it is not too early.
    fn wait(&self) -> Option<u64> {
        let wait = self.retry_after?;
        Some((wait.as_millis().div_ceil(1000) as u64).max(1))
    }

    fn told(&self, key: &str) -> (FaultKind, String) {
        let (max, what, name) = (&self.max, self.limit.what(), self.limit.name());
        let limit = format!("The API key \"{key}\" is limited to {max} {what} ({name})");
        let back = match self.wait() {
            Some(wait) => format!("Try again in {wait} s, or ask the operator for more."),
            None => "Ask the operator for more.".to_owned(),
        };
        let busy = FaultKind::RateLimited;
        match self.limit {
            Limit::Unpriced => (
                FaultKind::ModelNotAllowed,
                format!(
                    "The spend of the API key \"{key}\" is limited, and what this model costs is not known. Use another model, or ask the operator to add its price to the catalogue."
                ),
            ),
            Limit::Unavailable => (
                FaultKind::LimitsUnavailable,
                "The limits of this API key cannot be checked right now. Try again in a second."
                    .to_owned(),
            ),
            Limit::MaxInFlight => (
                busy,
                format!("{limit}, and so many are. Try again when one of them has ended."),
            ),
            Limit::Rpm | Limit::Rp5h | Limit::Rpd | Limit::Rp7d => {
                (busy, format!("{limit}, and has made them. {back}"))
            }
            _ if self.too_large => (
                busy,
                format!(
                    "{limit}, and this request alone may use more than that. Send less input, ask for less output, or ask the operator for more."
                ),
            ),
            _ if !self.used_up => (
                busy,
                format!("{limit}, and its requests under way may use what is left. {back}"),
            ),
            Limit::Tpm => (
                busy,
                format!("{limit}, and not enough of them are left for this request. {back}"),
            ),
            Limit::SpendUsd
            | Limit::SpendUsd5h
            | Limit::SpendUsdDay
            | Limit::SpendUsd7d
            | Limit::SpendUsd30d => (
                FaultKind::QuotaExhausted,
                format!("{limit}, and what is left is not enough for this request. {back}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Surface;

    fn denied(
        limit: Limit,
        max: u64,
        retry_ms: Option<u64>,
        too_large: bool,
        used_up: bool,
    ) -> Fault {
        let full = Full {
            limit,
            max,
            retry_ms,
            too_large,
            used_up,
        };
        Denied::new(full, Standing::default()).fault("a")
    }

    #[test]
    fn a_refusal_says_which_limit_its_value_when_it_is_back_and_what_to_do() {
        let fault = denied(Limit::Rpm, 5, Some(36_001), false, true);
        assert_eq!(
            fault.message,
            "The API key \"a\" is limited to 5 requests in a minute (rpm), and has made them. Try again in 37 s, or ask the operator for more."
        );
        assert_eq!((fault.kind, fault.status), (FaultKind::RateLimited, 429));
        assert_eq!(fault.retry_after, Some(Duration::from_secs(37)));
        let fault = denied(Limit::SpendUsd, 12_500_000_000, None, false, true);
        assert_eq!(
            fault.message,
            "The API key \"a\" is limited to 12.5 USD in all (spend_usd), and what is left is not enough for this request. Ask the operator for more."
        );
        assert_eq!(
            (fault.kind.code(), fault.status),
            ("API_KEY_QUOTA_EXHAUSTED", 429)
        );
        assert_eq!(fault.retry_after, Some(NEVER));
    }

    #[test]
    fn only_what_is_really_spent_exhausts_a_quota() {
        let busy = denied(Limit::SpendUsdDay, 1, Some(1000), false, false);
        assert_eq!(
            (busy.kind, busy.retry_after),
            (FaultKind::RateLimited, Some(Duration::from_secs(1)))
        );
        assert_eq!(
            denied(Limit::SpendUsdDay, 1, None, true, false).kind,
            FaultKind::RateLimited
        );
        let unpriced = denied(Limit::Unpriced, 0, None, false, false);
        assert_eq!(
            (unpriced.kind.code(), unpriced.status),
            ("model_not_allowed", 403)
        );
        let away = Denied::unavailable().fault("a");
        assert_eq!(
            (away.status, away.retry_after),
            (503, Some(Duration::from_secs(1)))
        );
    }

    #[test]
    fn each_protocol_calls_a_limit_by_its_own_word() {
        for (surface, word) in [
            (Surface::OpenAi, "\"rate_limit_error\""),
            (Surface::Anthropic, "\"rate_limit_error\""),
            (Surface::Gemini, "\"RESOURCE_EXHAUSTED\""),
        ] {
            for fault in [
                denied(Limit::Tpm, 5, Some(1), false, true),
                denied(Limit::SpendUsd, 5, None, false, true),
            ] {
                let body = surface.error_body(&fault, "req_1");
                let body = String::from_utf8_lossy(&body);
                assert!(
                    body.contains(word) && body.contains(fault.kind.code()),
                    "{body}"
                );
            }
        }
    }
}
