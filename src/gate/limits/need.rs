//! Limits and requests in the units that are counted in.

use super::{Ask, Limit};
use crate::base::{Limits, Span, Usd};

/// The limits that have a window, in the order in which they are told; the first four are of requests.
pub const WINDOWS: [(Limit, Span); 9] = [
    (Limit::Rpm, Span::Minute),
    (Limit::Rp5h, Span::FiveHours),
    (Limit::Rpd, Span::Day),
    (Limit::Rp7d, Span::SevenDays),
    (Limit::Tpm, Span::Minute),
    (Limit::SpendUsd5h, Span::FiveHours),
    (Limit::SpendUsdDay, Span::Day),
    (Limit::SpendUsd7d, Span::SevenDays),
    (Limit::SpendUsd30d, Span::ThirtyDays),
];
pub const REQUESTS: std::ops::Range<usize> = 0..4;
pub const TOKENS: usize = 4;
pub const SPEND: std::ops::Range<usize> = 5..9;

/// Output that is reserved where the client has stated no maximum.
const UNSTATED_OUTPUT: u64 = 2048;

/// Spend is counted in billionths of a dollar, rounded up: Redis counts exactly to 9 million dollars with them.
const NANO: i128 = 1000;

pub fn nano(amount: Usd) -> u64 {
    let pico = amount.pico().max(0);
    match u64::try_from(pico) {
        Ok(pico) => pico.div_ceil(NANO as u64),
        Err(_) => u64::try_from((pico + NANO - 1) / NANO).unwrap_or(u64::MAX),
    }
}

/// What there may be at most; `None`: no limit.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub windows: [Option<u64>; WINDOWS.len()],
    pub in_flight: Option<u64>,
    pub total: Option<u64>,
    pub spend: bool,
}

impl Caps {
    pub fn new(limits: &Limits) -> Self {
        let count = |limit: u64| (limit > 0).then_some(limit);
        // Rounded down, as what is used is rounded up.
        let amount = |limit: Usd| {
            let pico = limit.pico();
            (pico > 0).then(|| match u64::try_from(pico) {
                Ok(pico) => pico / NANO as u64,
                Err(_) => u64::try_from(pico / NANO).unwrap_or(u64::MAX),
            })
        };
        Self {
            windows: [
                count(limits.rpm),
                count(limits.rp5h),
                count(limits.rpd),
                count(limits.rp7d),
                count(limits.tpm),
                amount(limits.spend_usd_5h),
                amount(limits.spend_usd_day),
                amount(limits.spend_usd_7d),
                amount(limits.spend_usd_30d),
            ],
            in_flight: count(limits.max_in_flight),
            total: amount(limits.spend_usd),
            spend: limits.limit_spend(),
        }
    }
}

/// What is asked for, in the units that are counted in.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub counts: bool,
    /// What is reserved if there is room, and what there must be room for at least.
    pub tokens: (u64, u64),
    pub spend: (u64, u64),
    /// Spend is limited, and nobody knows what the request costs.
    pub unpriced: bool,
}

impl Need {
    pub fn new(ask: &Ask, caps: &Caps) -> Self {
        let tokens = match (caps.windows[TOKENS].is_some(), ask.tokens) {
            (false, _) => (0, 0),
            (true, t) if t.stated => {
                let most = t.input.saturating_add(t.output);
                (most, most)
            }
            (true, t) => {
                let most = t.input.saturating_add(t.output.min(UNSTATED_OUTPUT));
                (most, t.input.saturating_add(1).min(most))
            }
        };
        let spend = match ask.spend.most.filter(|_| caps.spend).map(nano) {
            None => (0, 0),
            Some(most) if ask.spend.stated => (most, most),
            // Where something may be spent, there must be something left.
            Some(most) => {
                let least = ask.spend.least.map_or(most, nano);
                (most, least.max(1).min(most))
            }
        };
        Self {
            counts: ask.counts,
            tokens,
            spend,
            unpriced: caps.spend && ask.spend.most.is_none(),
        }
    }
}
