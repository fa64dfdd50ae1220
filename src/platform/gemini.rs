//! Google's Gemini API (<https://ai.google.dev/api>).

use super::{Auth, Platform, Reasoning};
use crate::base::Fault;
use crate::dialect::Operation;
use crate::dialect::gemini::{self, Thinking};
use crate::dialect::translate::Target;
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
    states_cost: false,
    serves,
    reason,
    keeps_responses: false,
    responses_socket: false,
    default_header: None,
    target,
    responses_only: &[],
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
    let thinking = thinking(request.model);
    Ok(gemini::reason(request.body, request.peek, thinking))
}

/// Generation and step of an id: `(3, 5)` of `gemini-3.5-flash`. `None`: an alias.
fn version(model: &str) -> Option<(u32, u32)> {
    let number = model.strip_prefix("gemini-")?.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The third generation takes levels, and budgets for old clients' sake
/// (<https://ai.google.dev/gemini-api/docs/thinking>).
fn thinking(model: &str) -> Thinking {
    match version(model) {
        Some((3.., _)) => Thinking::Level,
        Some((0..=2, _)) | None => Thinking::Budget,
    }
}

/// What the models of a generation take.
fn target(model: &str) -> Target<'_> {
    let version = version(model);
    let speaks_only = ["-image", "-tts", "-audio", "-live", "embedding", "gemma"]
        .iter()
        .any(|word| model.contains(word));
    let thinks = match version {
        Some((0..=1, _) | (2, 0..=4)) => false,
        Some((2, _)) => !speaks_only,
        Some((3.., _)) => !model.contains("-tts"),
        None => model.starts_with("gemini-"),
    };
    let is_flash = model.contains("flash");
    Target::Gemini(gemini::Target {
        model,
        thinking: thinks.then(|| thinking(model)),
        can_disable: is_flash && version.is_none_or(|v| v < (3, 0)),
        minimal_level: is_flash && version.is_some_and(|v| v < (3, 7)),
        signed_calls: version.is_none_or(|v| v >= (3, 0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_in_an_id_tells_what_it_takes() {
        assert_eq!(version("gemini-3.5-flash"), Some((3, 5)));
        assert_eq!(version("gemini-3-pro-preview"), Some((3, 0)));
        assert_eq!(version("gemini-flash-latest"), None);
        assert_eq!(thinking("gemini-2.5-pro"), Thinking::Budget);
        assert_eq!(thinking("gemini-4-argon"), Thinking::Level);
        for (model, thinks) in [
            ("gemini-2.0-flash", false),
            ("gemini-2.5-flash-image", false),
            ("gemini-2.5-pro", true),
            ("gemini-3-flash-preview", true),
            ("gemma-3-27b-it", false),
        ] {
            let Target::Gemini(target) = target(model) else {
                panic!("another protocol");
            };
            assert_eq!(target.thinking.is_some(), thinks, "{model}");
        }
    }
}
