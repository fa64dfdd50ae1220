//! `OpenRouter` (<https://openrouter.ai/docs/api-reference>). Usage comes unasked in each stream.

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::openai_chat::{self, ReasoningField};
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
    serves,
    reason,
    default_header: None,
};

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
