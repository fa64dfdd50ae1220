//! What requests for providers of both protocols say alike.

use crate::chat::{Depth, Effort, ServiceTier};

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

/// How deep to think, in a word; `None`: the model decides.
pub fn depth_word(depth: Option<Depth>) -> Option<&'static str> {
    match depth {
        None | Some(Depth::Dynamic) => None,
        Some(Depth::Off) => Some("none"),
        Some(Depth::Effort(effort)) => Some(effort_word(effort)),
        Some(Depth::Budget(tokens)) => Some(effort_word(Effort::of_budget(tokens))),
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
