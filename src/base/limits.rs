//! What a key may use up. Whoever holds it to them is `gate`; config and store only tell them.

use super::Usd;

/// A span of time that something is limited over. Windows slide; days are 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    Minute,
    FiveHours,
    Day,
    SevenDays,
    ThirtyDays,
}

/// The largest limit of a number, and of an amount, that can be set.
pub const MAX_COUNT: i64 = 1_000_000_000_000;
pub const MAX_USD: Usd = Usd::from_pico(1_000_000_000 * super::money::PICO);

/// The limits of a key; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute, 5 hours, day, 7 days.
    pub rpm: u64,
    pub rp5h: u64,
    pub rpd: u64,
    pub rp7d: u64,
    /// Tokens (input and output) per minute.
    pub tpm: u64,
    /// Requests under way at a time.
    pub max_in_flight: u64,
    /// In all.
    pub spend_usd: Usd,
    pub spend_usd_5h: Usd,
    pub spend_usd_day: Usd,
    pub spend_usd_7d: Usd,
    pub spend_usd_30d: Usd,
}

impl Limits {
    /// There is none.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Does any of them limit what is spent?
    pub fn limit_spend(&self) -> bool {
        [
            self.spend_usd,
            self.spend_usd_5h,
            self.spend_usd_day,
            self.spend_usd_7d,
            self.spend_usd_30d,
        ]
        .iter()
        .any(|limit| !limit.is_zero())
    }
}
