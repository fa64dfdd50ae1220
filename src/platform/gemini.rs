//! Google's Gemini API (<https://ai.google.dev/api>).

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::Operation;
use crate::dialect::gemini::{self, Thinking};
use crate::wire::edit::Edit;

pub static PLATFORM: Platform = Platform {
    name: "gemini",
    base_url: Some("https://generativelanguage.googleapis.com"),
    vendor: Some("google"),
    auth: Auth::Header("x-goog-api-key"),
    probe_path: "/v1beta/models",
    request_id_header: "x-request-id",
    account_headers: &["x-goog-user-project"],
    private_headers: &["x-goog-", "x-gemini-service-"],
    asks_usage: false,
    serves,
    reason,
    default_header: None,
};

fn serves(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::GenerateContent
            | Operation::StreamGenerateContent
            | Operation::CountTokens
            | Operation::EmbedContent
            | Operation::BatchEmbedContents
    )
}

fn reason(request: &Reasoning<'_>) -> Result<Option<Edit>, Fault> {
    let generates = matches!(
        request.operation,
        Operation::GenerateContent | Operation::StreamGenerateContent
    );
    if !generates {
        return Ok(None);
    }
    // The third generation takes levels (https://ai.google.dev/gemini-api/docs/thinking).
    let thinking = if request.model.starts_with("gemini-2") || request.model.starts_with("gemini-1")
    {
        Thinking::Budget
    } else {
        Thinking::Level
    };
    Ok(gemini::reason(request.body, request.peek, thinking))
}
