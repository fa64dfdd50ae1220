//! What a key has used before this process counted, as the store's rows tell it.

use crate::base::{Span, Usd};

use super::need::{REQUESTS, TOKENS, nano};
use super::window::Shape;

/// What was used in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Unix ms by the width of the span's buckets.
    pub bucket: u64,
    pub requests: u64,
    pub tokens: u64,
    pub cost: Usd,
}

impl Past {
    /// What of it counts for this window.
    pub(super) fn of(&self, window: usize) -> u64 {
        if REQUESTS.contains(&window) {
            self.requests
        } else if window == TOKENS {
            self.tokens
        } else {
            nano(self.cost)
        }
    }
}

/// A list of buckets for each span, and what was spent in all.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    pub minute: Vec<Past>,
    pub five_hours: Vec<Past>,
    pub day: Vec<Past>,
    pub seven_days: Vec<Past>,
    pub thirty_days: Vec<Past>,
    pub total: Usd,
}

impl Seed {
    pub fn past(&self, span: Span) -> &[Past] {
        match span {
            Span::Minute => &self.minute,
            Span::FiveHours => &self.five_hours,
            Span::Day => &self.day,
            Span::SevenDays => &self.seven_days,
            Span::ThirtyDays => &self.thirty_days,
        }
    }

    pub fn past_mut(&mut self, span: Span) -> &mut Vec<Past> {
        match span {
            Span::Minute => &mut self.minute,
            Span::FiveHours => &mut self.five_hours,
            Span::Day => &mut self.day,
            Span::SevenDays => &mut self.seven_days,
            Span::ThirtyDays => &mut self.thirty_days,
        }
    }

    /// The width of a span's buckets, in ms.
    pub fn step_ms(span: Span) -> u64 {
        Shape::of(span).step_ms
    }

    /// From when on the rows of a span still count, in Unix ms.
    pub fn since(span: Span, now: u64) -> u64 {
        let shape = Shape::of(span);
        (now / shape.step_ms).saturating_sub(shape.buckets) * shape.step_ms
    }
}
