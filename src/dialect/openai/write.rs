//! What requests for providers of both protocols say alike.

use crate::chat::{Effort, ServiceTier};

pub fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        // More models know this word than know `max`.
        Effort::XHigh | Effort::Max => "xhigh",
    }
}

pub fn tier_word(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Auto => "auto",
        ServiceTier::Standard => "default",
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
    }
}
