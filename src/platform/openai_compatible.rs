//! Anything that speaks like `OpenAI`: vLLM, Ollama, `DeepSeek`, Groq and the rest. A new one needs
//! only a channel in the config.

use crate::dialect::openai_chat::{self, Flavor, History, ReasoningField, WebSearch};
use crate::dialect::translate::Target;
use crate::dialect::{Dialect, Operation};

use super::{Auth, Platform, is_openai_operation, openai};

static FLAVOR: Flavor = Flavor {
    reasoning: ReasoningField::Effort,
    refuses_effort: false,
    max_tokens: "max_tokens",
    developer: false,
    history: History::ReasoningContent,
    refusal: false,
    cache_control: false,
    file_urls: false,
    audio_formats: &["wav", "mp3"],
    video: false,
    tool_media: false,
    image_output: false,
    audio_output: false,
    custom_tools: false,
    allowed_tools: false,
    web_search: WebSearch::None,
    top_k: true,
    n: true,
    verbosity: false,
    service_tier: false,
    stops: usize::MAX,
    longest_id: 40,
};

fn target(model: &str) -> Target<'_> {
    Target::OpenAiChat(openai_chat::Target {
        model,
        flavor: &FLAVOR,
        reasons: false,
    })
}

/// Some have the Responses API, each a part of it, and hardly one keeps anything: all have Chat.
fn serves(operation: Operation) -> bool {
    is_openai_operation(operation) && operation.dialect() != Dialect::OpenAiResponses
}

pub static PLATFORM: Platform = Platform {
    name: "openai-compatible",
    base_url: None,
    vendor: None,
    auth: Auth::Bearer,
    probe_path: "/v1/models",
    request_id_header: "x-request-id",
    account_headers: &["openai-organization", "openai-project"],
    private_headers: &["openai-organization", "openai-project", "x-ratelimit-"],
    asks_usage: true,
    states_cost: false,
    serves,
    reason: openai::reason,
    keeps_responses: false,
    responses_socket: false,
    default_header: None,
    target,
    responses_only: &[],
};
