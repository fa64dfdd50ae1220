//! `OpenAI` (<https://platform.openai.com/docs/api-reference>).

use super::{Auth, Platform, Reasoning, is_openai_operation};
use crate::base::Fault;
use crate::dialect::openai_chat::{self, Flavor, History, ReasoningField, WebSearch};
use crate::dialect::translate::Target;
use crate::dialect::{Dialect, Operation, openai_responses};
use crate::wire::edit::Edit;

pub static PLATFORM: Platform = Platform {
    name: "openai",
    base_url: Some("https://api.openai.com"),
    vendor: Some("openai"),
    auth: Auth::Bearer,
    probe_path: "/v1/models",
    request_id_header: "x-request-id",
    account_headers: &["openai-organization", "openai-project"],
    private_headers: &["openai-organization", "openai-project", "x-ratelimit-"],
    asks_usage: true,
    states_cost: false,
    serves: is_openai_operation,
    reason,
    keeps_responses: true,
    responses_socket: true,
    default_header: None,
    target,
    responses_only: RESPONSES_ONLY,
};

const PLAIN: Flavor = Flavor {
    reasoning: ReasoningField::Effort,
    refuses_effort: true,
    max_tokens: "max_completion_tokens",
    developer: true,
    history: History::Nothing,
    refusal: true,
    cache_control: false,
    file_urls: false,
    audio_formats: &["wav", "mp3"],
    video: false,
    tool_media: false,
    image_output: false,
    audio_output: true,
    custom_tools: true,
    allowed_tools: true,
    web_search: WebSearch::Responses,
    top_k: false,
    n: true,
    verbosity: true,
    service_tier: true,
    stops: 4,
    longest_id: 40,
};

static FLAVOR: Flavor = PLAIN;

/// Of the models that search in each answer, and have no other API
/// (<https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat>).
static SEARCHING: Flavor = Flavor {
    web_search: WebSearch::Options,
    ..PLAIN
};

/// Models that only the Responses API has (<https://platform.openai.com/docs/models>). All of them are there, so that a
/// pattern that takes in one too many costs nothing but what Chat alone has.
const RESPONSES_ONLY: &[&str] = &[
    "o1-pro*",
    "o3-pro*",
    "gpt-5-pro*",
    "gpt-5.*-pro*",
    "*codex*",
    "*-deep-research*",
    "computer-use-preview*",
];

/// Models that reason take no sampling parameters
/// (<https://platform.openai.com/docs/guides/latest-model#parameter-compatibility>).
pub fn is_reasoning_model(model: &str) -> bool {
    let id = model.rsplit('/').next().unwrap_or(model);
    let is_o = id
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let gpt = id.strip_prefix("gpt-").and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    is_o || id.starts_with("codex") || (gpt.is_some_and(|n| n >= 5) && !id.contains("-chat"))
}

fn target(model: &str) -> Target<'_> {
    Target::OpenAiChat(openai_chat::Target {
        model,
        flavor: if model.contains("-search-") {
            &SEARCHING
        } else {
            &FLAVOR
        },
        reasons: is_reasoning_model(model),
    })
}

/// Chat takes `reasoning_effort`, Responses takes `reasoning.effort`.
pub fn reason(request: &Reasoning<'_>) -> Result<Option<Edit>, Fault> {
    Ok(match (request.operation, request.operation.dialect()) {
        (Operation::Chat, _) => openai_chat::reason(request.peek, ReasoningField::Effort),
        (Operation::Responses, Dialect::OpenAiResponses) => openai_responses::reason(request.peek),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::is_reasoning_model;

    #[test]
    fn models_that_reason_are_known_by_their_ids() {
        for (model, expected) in [
            ("gpt-5", true),
            ("gpt-5.2-pro", true),
            ("openai/o4-mini", true),
            ("codex-mini-latest", true),
            ("gpt-5-chat-latest", false),
            ("gpt-4o", false),
            ("gpt-4.1", false),
            ("omni-moderation-latest", false),
        ] {
            assert_eq!(is_reasoning_model(model), expected, "{model}");
        }
    }
}
