//! Anthropic (<https://docs.anthropic.com/en/api/overview>).

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::Operation;
use crate::dialect::anthropic::{self, Thinking};
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
    serves,
    reason,
    default_header: Some(("anthropic-version", "2023-06-01")),
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

/// From 4.6 on models choose how much to think, and later ones refuse a budget
/// (<https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking>).
fn is_adaptive(model: &str) -> bool {
    let mut numbers = model
        .split(['-', '.', '@'])
        .skip_while(|word| word.parse::<u32>().is_err())
        .map_while(|word| word.parse::<u32>().ok().filter(|&n| n < 1000));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // Ids of the third generation put the version before the family (`claude-3-7-sonnet`).
    version >= (4, 6)
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
            ("claude-haiku", false),
        ] {
            assert_eq!(is_adaptive(model), expected, "{model}");
        }
    }
}
