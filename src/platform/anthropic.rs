//! Anthropic (<https://docs.anthropic.com/en/api/overview>).

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::Operation;
use crate::dialect::anthropic::{self, Sampling, Thinking};
use crate::dialect::translate::Target;
use crate::wire::edit::Edit;

pub static PLATFORM: Platform = Platform {
    name: "anthropic",
    base_url: Some("https://api.anthropic.com"),
    vendor: Some("anthropic"),
    auth: Auth::Header("x-api-key"),
    probe_path: "/v1/models",
    request_id_header: "request-id",
    account_headers: &[],
    private_headers: &["anthropic-organization-id", "anthropic-ratelimit-"],
    asks_usage: false,
    states_cost: false,
    serves,
    reason,
    keeps_responses: false,
    responses_socket: false,
    default_header: Some(("anthropic-version", "2023-06-01")),
    target,
    responses_only: &[],
};

fn serves(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Messages | Operation::MessagesCountTokens
    )
}

fn reason(request: &Reasoning<'_>) -> Result<Option<Edit>, Fault> {
    if request.operation != Operation::Messages {
        return Ok(None);
    }
    let thinking = if is_adaptive(request.model) {
        Thinking::Adaptive
    } else {
        Thinking::Budget
    };
    anthropic::reason(request.body, request.peek, thinking)
}

/// Whether its models choose for themselves how much to think: from 4.6 on, and later ones refuse a budget
/// (<https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking>).
fn is_adaptive(model: &str) -> bool {
    version(model) >= (4, 6)
}

/// The version in an id: `(4, 7)`. Ids of the third generation put it before the family (`claude-3-7-sonnet`). An id without
/// one is an alias for the newest.
fn version(model: &str) -> (u32, u32) {
    let mut numbers = model
        .split(['-', '.', '@'])
        .skip_while(|word| word.parse::<u32>().is_err())
        .map_while(|word| word.parse::<u32>().ok().filter(|&n| n < 1000));
    match (numbers.next(), numbers.next()) {
        (None, _) => (u32::MAX, 0),
        (Some(major), minor) => (major, minor.unwrap_or(0)),
    }
}

/// What the models of a version take
/// (<https://platform.claude.com/docs/en/about-claude/models/overview>).
fn target(model: &str) -> Target<'_> {
    let version = version(model);
    let is_opus = model.contains("opus");
    let thinking = match version {
        (0..=2, _) | (3, 0..=6) => None,
        (3, _) | (4, 0..=5) => Some(Thinking::Budget),
        _ => Some(Thinking::Adaptive),
    };
    let max_output = match version {
        (0..=2, _) | (3, 0..=4) => 4096,
        (3, 5..=6) => 8192,
        (4, 0..=4) if is_opus => 32_000,
        (3, _) | (4, 0..=5) => 64_000,
        _ => 128_000,
    };
    let samples = match version {
        (0..=3, _) | (4, 0) => Sampling::Free,
        (4, 1..=6) => Sampling::OneOf,
        _ => Sampling::None,
    };
    Target::Anthropic(anthropic::Target {
        model,
        thinking,
        max_output,
        structured: version >= (4, 5) || (is_opus && version >= (4, 1)),
        effort: version >= (4, 6) || (is_opus && version >= (4, 5)),
        samples,
        prefill: version < (4, 6),
    })
}

#[cfg(test)]
mod tests {
    use super::is_adaptive;

    #[test]
    fn the_version_in_an_id_tells_how_thinking_is_asked_for() {
        for (model, expected) in [
            ("claude-opus-4-7", true),
            ("claude-sonnet-4-6", true),
            ("claude-opus-5", true),
            ("claude-sonnet-4-5-20250929", false),
            ("claude-opus-4-20250514", false),
            ("claude-3-7-sonnet-20250219", false),
            ("claude-haiku", true),
            ("claude-fable-5-1", true),
        ] {
            assert_eq!(is_adaptive(model), expected, "{model}");
        }
    }
}
