//! `OpenRouter` (<https://openrouter.ai/docs/api-reference>). Usage comes unasked in each stream.

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::openai_chat::{self, Flavor, History, ReasoningField, WebSearch};
use crate::dialect::translate::Target;
use crate::dialect::{Operation, openai_responses};
use crate::wire::edit::Edit;

pub static PLATFORM: Platform = Platform {
    name: "openrouter",
    base_url: Some("https://openrouter.ai/api"),
    vendor: None,
    auth: Auth::Bearer,
    probe_path: "/v1/key",
    request_id_header: "x-generation-id",
    account_headers: &["openai-organization", "openai-project"],
    private_headers: &["x-ratelimit-"],
    asks_usage: false,
    states_cost: true,
    serves,
    reason,
    keeps_responses: false,
    responses_socket: false,
    default_header: None,
    target,
    responses_only: &[],
};

static FLAVOR: Flavor = Flavor {
    reasoning: ReasoningField::Object,
    refuses_effort: false,
    max_tokens: "max_tokens",
    developer: false,
    history: History::ReasoningDetails,
    refusal: true,
    cache_control: true,
    file_urls: true,
    audio_formats: &["wav", "mp3", "flac", "m4a", "ogg", "aac", "aiff", "pcm16"],
    video: true,
    tool_media: true,
    image_output: true,
    audio_output: false,
    custom_tools: false,
    allowed_tools: false,
    web_search: WebSearch::Plugin,
    top_k: true,
    n: false,
    verbosity: true,
    service_tier: true,
    stops: 4,
    longest_id: usize::MAX,
};

fn target(model: &str) -> Target<'_> {
    Target::OpenAiChat(openai_chat::Target {
        model,
        flavor: &FLAVOR,
        reasons: false,
    })
}

fn serves(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Responses
    )
}

/// Its own `reasoning` object, on both protocols
/// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
fn reason(request: &Reasoning<'_>) -> Result<Option<Edit>, Fault> {
    Ok(match request.operation {
        Operation::Chat => openai_chat::reason(request.peek, ReasoningField::Object),
        Operation::Responses => openai_responses::reason(request.peek),
        _ => None,
    })
}
