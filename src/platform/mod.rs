//! The providers. One file each, mostly data; a vendor's name stands nowhere else.

mod anthropic;
mod gemini;
pub mod models;
mod openai;
mod openai_compatible;
mod openrouter;
pub mod reset;
pub mod scrub;

use std::borrow::Cow;

use crate::base::Fault;
use crate::dialect::answering::{self, Counterpart};
use crate::dialect::translate::Target;
use crate::dialect::{Endpoint, Operation, Peek, openai_responses};
use crate::wire::edit::Edit;

/// What the gateway must know of a provider to speak to it.
pub struct Platform {
    /// The word in the config.
    pub name: &'static str,
    /// What stands before `/v1` or `/v1beta`; `None`: the config must say.
    pub base_url: Option<&'static str>,
    /// The prefix that names this provider in `vendor/model` ids; `None`: such ids are its own.
    pub vendor: Option<&'static str>,
    pub auth: Auth,
    /// The path that lists models, to probe a credential with.
    pub probe_path: &'static str,
    /// Where the provider's own id of a request stands in its answer.
    pub request_id_header: &'static str,
    /// Client headers that speak of the client's own account here.
    pub account_headers: &'static [&'static str],
    /// Starts of answer headers that tell of the channel's account, and stay inside.
    pub private_headers: &'static [&'static str],
    /// Does a streamed chat state its usage only when asked?
    pub asks_usage: bool,
    /// Does the `cost` in its usage say what it has charged, in USD?
    pub states_cost: bool,
    /// The operations that it serves in their own dialect.
    pub serves: fn(Operation) -> bool,
    /// The edits that turn its models' reasoning on.
    pub reason: fn(&Reasoning<'_>) -> Result<Option<Edit>, Fault>,
    /// Does it keep the responses that it makes, so that only it can continue them?
    pub keeps_responses: bool,
    /// Does it speak Responses over a WebSocket, too?
    pub responses_socket: bool,
    /// A header without which the provider refuses, and its value where the client sent none.
    pub default_header: Option<(&'static str, &'static str)>,
    /// How a request of another protocol is to be written for a model of this platform.
    pub target: for<'a> fn(&'a str) -> Target<'a>,
    /// Models that it has on the Responses API only, as globs, where the config does not say.
    pub responses_only: &'static [&'static str],
}

/// How a channel's credential is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Bearer,
    Header(&'static str),
}

/// What an edit that turns reasoning on may look at.
pub struct Reasoning<'a> {
    pub operation: Operation,
    pub model: &'a str,
    pub body: &'a [u8],
    pub peek: &'a Peek,
}

static ALL: [&Platform; 5] = [
    &openai::PLATFORM,
    &anthropic::PLATFORM,
    &gemini::PLATFORM,
    &openrouter::PLATFORM,
    &openai_compatible::PLATFORM,
];

/// The platform of a name in the config.
pub fn by_name(name: &str) -> Option<&'static Platform> {
    ALL.iter().copied().find(|platform| platform.name == name)
}

pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|platform| platform.name).collect()
}

impl Platform {
    /// How an operation that it does not serve itself can be served all the same.
    pub fn counterpart(&self, operation: Operation) -> Option<Counterpart> {
        answering::counterpart(operation, self.serves)
    }

    /// How a request is to be written for this model.
    pub fn target<'a>(&self, model: &'a str) -> Target<'a> {
        (self.target)(model)
    }

    /// The same for a model that it has on the Responses API only.
    pub fn responses_target<'a>(&self, model: &'a str) -> Target<'a> {
        Target::OpenAiResponses(openai_responses::Target {
            model,
            reasons: openai::is_reasoning_model(model),
        })
    }

    /// The id without a prefix that names this provider.
    pub fn strip_vendor<'a>(&self, model: &'a str) -> &'a str {
        self.vendor
            .and_then(|vendor| model.strip_prefix(vendor)?.strip_prefix('/'))
            .filter(|rest| !rest.is_empty())
            .unwrap_or(model)
    }

    /// May this answer header reach the client?
    pub fn is_private(&self, header: &str) -> bool {
        self.private_headers
            .iter()
            .any(|start| header.starts_with(start))
    }

    pub fn is_account_header(&self, header: &str) -> bool {
        self.account_headers.contains(&header)
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The path to ask the provider for, with the model that it is to run.
pub fn upstream_path<'a>(endpoint: &Endpoint<'a>, model: &str) -> Cow<'a, str> {
    match endpoint.model {
        Some(asked) if asked != model => {
            // The model is what follows; the same word may stand before it.
            let (before, after) = endpoint.path.split_once("/models/").unwrap_or_default();
            format!("{before}/models/{model}{}", &after[asked.len()..]).into()
        }
        _ => endpoint.path.into(),
    }
}

/// The path and query of an operation that a translation asks for.
pub fn path_of(operation: Operation, model: &str) -> String {
    let verb = |verb: &str| format!("/v1beta/models/{}:{verb}", encode(model));
    match operation {
        Operation::Messages => "/v1/messages".to_owned(),
        Operation::MessagesCountTokens => "/v1/messages/count_tokens".to_owned(),
        Operation::GenerateContent => verb("generateContent"),
        Operation::StreamGenerateContent => verb("streamGenerateContent?alt=sse"),
        Operation::CountTokens => verb("countTokens"),
        Operation::EmbedContent => verb("embedContent"),
        Operation::BatchEmbedContents => verb("batchEmbedContents"),
        Operation::Embeddings => "/v1/embeddings".to_owned(),
        Operation::Responses => "/v1/responses".to_owned(),
        Operation::Chat
        | Operation::Completions
        | Operation::ImagesGenerations
        | Operation::ImagesEdits
        | Operation::AudioSpeech
        | Operation::AudioTranscriptions
        | Operation::AudioTranslations
        | Operation::Moderations
        | Operation::Rerank
        | Operation::ResponseGet
        | Operation::ResponseDelete
        | Operation::ResponseInputItems
        | Operation::ResponseCancel
        | Operation::ResponsesCompact
        | Operation::ResponsesInputTokens
        | Operation::Conversations
        | Operation::ModelsList
        | Operation::ModelGet => "/v1/chat/completions".to_owned(),
    }
}

/// A model's id as one segment of a path: a client chose it, and it must not lead elsewhere.
fn encode(model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Operations of the `OpenAI` family that pass between same-dialect ends.
fn is_openai_operation(operation: Operation) -> bool {
    match operation {
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::ImagesGenerations
        | Operation::ImagesEdits
        | Operation::AudioSpeech
        | Operation::AudioTranscriptions
        | Operation::AudioTranslations
        | Operation::Moderations
        | Operation::Rerank
        | Operation::Responses
        | Operation::ResponseGet
        | Operation::ResponseDelete
        | Operation::ResponseInputItems
        | Operation::ResponseCancel
        | Operation::ResponsesCompact
        | Operation::ResponsesInputTokens => true,
        Operation::Messages
        | Operation::MessagesCountTokens
        | Operation::GenerateContent
        | Operation::StreamGenerateContent
        | Operation::CountTokens
        | Operation::EmbedContent
        | Operation::BatchEmbedContents
        | Operation::Conversations
        | Operation::ModelsList
        | Operation::ModelGet => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_vendors_prefix_is_dropped() {
        assert_eq!(openai::PLATFORM.strip_vendor("openai/gpt-5"), "gpt-5");
        assert_eq!(
            openai::PLATFORM.strip_vendor("anthropic/claude"),
            "anthropic/claude"
        );
        assert_eq!(
            openrouter::PLATFORM.strip_vendor("openai/gpt-5"),
            "openai/gpt-5"
        );
        assert_eq!(gemini::PLATFORM.strip_vendor("google/gemini-3"), "gemini-3");
        assert_eq!(openai::PLATFORM.strip_vendor("openai/"), "openai/");
    }

    #[test]
    fn the_model_in_a_path_is_replaced_and_nothing_else() {
        let endpoint = |path: &'static str, model| Endpoint {
            surface: crate::dialect::Surface::Gemini,
            operation: Operation::GenerateContent,
            path,
            model: Some(model),
        };
        let path = "/v1beta/models/models:generateContent";
        assert_eq!(
            upstream_path(&endpoint(path, "models"), "x"),
            "/v1beta/models/x:generateContent"
        );
        assert_eq!(upstream_path(&endpoint(path, "models"), "models"), path);
    }

    #[test]
    fn a_model_in_a_path_leads_nowhere_else() {
        assert_eq!(
            path_of(Operation::StreamGenerateContent, "gemini-3"),
            "/v1beta/models/gemini-3:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            path_of(Operation::GenerateContent, "g/../x?key=1#"),
            "/v1beta/models/g%2F..%2Fx%3Fkey%3D1%23:generateContent"
        );
    }

    #[test]
    fn names_are_those_of_the_contract() {
        assert_eq!(
            names(),
            [
                "openai",
                "anthropic",
                "gemini",
                "openrouter",
                "openai-compatible"
            ]
        );
    }
}
