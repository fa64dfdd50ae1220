//! `OpenAI` (<https://platform.openai.com/docs/api-reference>).

use super::{Auth, Platform, Reasoning, is_openai_operation};
use crate::base::Fault;
use crate::dialect::openai_chat::{self, ReasoningField};
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
    serves: is_openai_operation,
    reason,
    default_header: None,
};

/// Chat takes `reasoning_effort`, Responses takes `reasoning.effort`.
pub fn reason(request: &Reasoning<'_>) -> Result<Option<Edit>, Fault> {
    Ok(match (request.operation, request.operation.dialect()) {
        (Operation::Chat, _) => openai_chat::reason(request.peek, ReasoningField::Effort),
        (Operation::Responses, Dialect::OpenAiResponses) => openai_responses::reason(request.peek),
        _ => None,
    })
}
