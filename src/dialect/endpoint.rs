//! The paths of the protocols: which operation on which surface a request is.

use http::{HeaderMap, Method};

use super::Dialect;

/// The family of SDKs that the client speaks with: decides the shape of errors and models lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Surface {
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    Completions,
    Embeddings,
    ImagesGenerations,
    ImagesEdits,
    AudioSpeech,
    AudioTranscriptions,
    AudioTranslations,
    Moderations,
    Rerank,
    Responses,
    ResponseGet,
    ResponseDelete,
    ResponseInputItems,
    ResponseCancel,
    ResponsesCompact,
    ResponsesInputTokens,
    /// Conversations and their items: kept by the gateway, whatever the method.
    Conversations,
    Messages,
    MessagesCountTokens,
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
    ModelsList,
    ModelGet,
}

/// What a good answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Json,
    Sse,
    /// A JSON array whose elements come one by one.
    JsonArray,
    /// Whatever the provider makes of it (audio, plain text), but no web page.
    Any,
}

impl Operation {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::ImagesGenerations => "images.generations",
            Self::ImagesEdits => "images.edits",
            Self::AudioSpeech => "audio.speech",
            Self::AudioTranscriptions => "audio.transcriptions",
            Self::AudioTranslations => "audio.translations",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Responses => "responses",
            Self::ResponseGet => "responses.get",
            Self::ResponseDelete => "responses.delete",
            Self::ResponseInputItems => "responses.input_items",
            Self::ResponseCancel => "responses.cancel",
            Self::ResponsesCompact => "responses.compact",
            Self::ResponsesInputTokens => "responses.input_tokens",
            Self::Conversations => "conversations",
            Self::Messages => "messages",
            Self::MessagesCountTokens => "count_tokens",
            Self::GenerateContent => "generateContent",
            Self::StreamGenerateContent => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
            Self::ModelsList => "models",
            Self::ModelGet => "models.get",
        }
    }

    /// The protocol of its bodies. What is neither chat nor a response speaks the same family's
    /// forms of usage and errors.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::ImagesGenerations
            | Self::ImagesEdits
            | Self::AudioSpeech
            | Self::AudioTranscriptions
            | Self::AudioTranslations
            | Self::Moderations
            | Self::Rerank
            | Self::ModelsList
            | Self::ModelGet => Dialect::OpenAiChat,
            Self::Responses
            | Self::ResponseGet
            | Self::ResponseDelete
            | Self::ResponseInputItems
            | Self::ResponseCancel
            | Self::ResponsesCompact
            | Self::ResponsesInputTokens
            | Self::Conversations => Dialect::OpenAiResponses,
            Self::Messages | Self::MessagesCountTokens => Dialect::Anthropic,
            Self::GenerateContent
            | Self::StreamGenerateContent
            | Self::CountTokens
            | Self::EmbedContent
            | Self::BatchEmbedContents => Dialect::Gemini,
        }
    }

    /// Does the request name a model, in its body or its path?
    pub fn has_model(self) -> bool {
        !matches!(
            self,
            Self::ResponseGet
                | Self::ResponseDelete
                | Self::ResponseInputItems
                | Self::ResponseCancel
                | Self::Conversations
                | Self::ModelsList
                | Self::ModelGet
        )
    }

    /// May the body leave the model out? (The provider has a default, or takes it from a stored
    /// response.)
    pub fn model_is_optional(self) -> bool {
        matches!(self, Self::Moderations | Self::ResponsesInputTokens)
    }

    /// Does the body come as a form, with files?
    pub fn takes_form(self) -> bool {
        matches!(
            self,
            Self::ImagesEdits | Self::AudioTranscriptions | Self::AudioTranslations
        )
    }

    /// Are the tokens that an answer states spent? A count of tokens spends none.
    pub fn spends_tokens(self) -> bool {
        !matches!(
            self,
            Self::MessagesCountTokens
                | Self::CountTokens
                | Self::ResponsesInputTokens
                | Self::ResponseGet
                | Self::ResponseDelete
                | Self::ResponseInputItems
                | Self::ResponseCancel
                | Self::Conversations
                | Self::ModelsList
                | Self::ModelGet
        )
    }

    /// Does it write text, so that tokens can be estimated when the provider states none?
    pub fn generates(self) -> bool {
        matches!(
            self,
            Self::Chat
                | Self::Completions
                | Self::Responses
                | Self::Messages
                | Self::GenerateContent
                | Self::StreamGenerateContent
        )
    }

    /// May its answer cost anything beside the question?
    pub fn has_output(self) -> bool {
        self.spends_tokens()
            && !matches!(
                self,
                Self::Embeddings
                    | Self::EmbedContent
                    | Self::BatchEmbedContents
                    | Self::Moderations
                    | Self::Rerank
            )
    }

    /// What to expect of the answer, by whether the body asks for a stream and what the query says.
    pub fn expect(self, stream: bool, query: &str) -> Expect {
        match self {
            Self::StreamGenerateContent if query.split('&').any(|p| p == "alt=sse") => Expect::Sse,
            Self::StreamGenerateContent => Expect::JsonArray,
            Self::AudioSpeech | Self::AudioTranscriptions | Self::AudioTranslations => Expect::Any,
            Self::ResponseGet if query.split('&').any(|p| p == "stream=true") => Expect::Sse,
            _ if stream => Expect::Sse,
            _ => Expect::Json,
        }
    }
}

/// A request, matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    pub surface: Surface,
    pub operation: Operation,
    /// The path without the `/api` mount: what a provider of the same dialect knows.
    pub path: &'a str,
    /// The model, where the path names it.
    pub model: Option<&'a str>,
}

/// Why no endpoint was found, and on which surface to say so.
#[derive(Debug, PartialEq, Eq)]
pub enum Unmatched {
    Path(Surface),
    Method {
        surface: Surface,
        allow: &'static str,
    },
}

/// Finds the endpoint of a path, as it stands: nothing is decoded or normalised.
pub fn find<'a>(
    method: &Method,
    path: &'a str,
    headers: &HeaderMap,
) -> Result<Endpoint<'a>, Unmatched> {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let surface = surface_of(path, headers);
    let Some(matched) = by_path(path, surface) else {
        return Err(Unmatched::Path(surface));
    };
    let operation = match (matched, method) {
        (Matched::Post(operation), &Method::POST) | (Matched::Get(operation), &Method::GET) => {
            operation
        }
        (Matched::Response, &Method::GET) => Operation::ResponseGet,
        (Matched::Response, &Method::DELETE) => Operation::ResponseDelete,
        (Matched::Conversations(allow), method) if allow.contains(method.as_str()) => {
            Operation::Conversations
        }
        (Matched::Post(_), _) => return wrong_method(surface, "POST"),
        (Matched::Get(_), _) => return wrong_method(surface, "GET"),
        (Matched::Response, _) => return wrong_method(surface, "GET, DELETE"),
        (Matched::Conversations(allow), _) => return wrong_method(surface, allow),
    };
    Ok(Endpoint {
        surface,
        operation,
        path,
        model: model_in(path),
    })
}

fn wrong_method<'a>(surface: Surface, allow: &'static str) -> Result<Endpoint<'a>, Unmatched> {
    Err(Unmatched::Method { surface, allow })
}

/// What a path is, by the methods that it takes.
#[derive(Clone, Copy)]
enum Matched {
    Post(Operation),
    Get(Operation),
    /// A stored response, to read or to delete.
    Response,
    /// With the methods that this one takes.
    Conversations(&'static str),
}

/// The surface that a path suggests; where two share it, the headers decide.
fn surface_of(path: &str, headers: &HeaderMap) -> Surface {
    let shared = path == "/v1/models" || path.starts_with("/v1/models/");
    if path.starts_with("/v1beta/") || path == "/v1beta" {
        Surface::Gemini
    } else if path.starts_with("/v1/messages") {
        Surface::Anthropic
    } else if shared && (verb_of(path).is_some() || headers.contains_key("x-goog-api-key")) {
        Surface::Gemini
    } else if (shared || !path.starts_with("/v1/")) && headers.contains_key("anthropic-version") {
        Surface::Anthropic
    } else {
        Surface::OpenAi
    }
}

fn by_path(path: &str, surface: Surface) -> Option<Matched> {
    use Operation as Op;
    let post = |operation| Some(Matched::Post(operation));
    let get = |operation| Some(Matched::Get(operation));
    if surface == Surface::Gemini {
        let rest = path
            .strip_prefix("/v1beta/")
            .or_else(|| path.strip_prefix("/v1/"))?;
        if rest == "models" {
            return get(Op::ModelsList);
        }
        let id = rest.strip_prefix("models/").filter(|id| is_id(id))?;
        return match verb_of(path) {
            Some(verb) if id.len() > verb.len() + 1 => post(gemini_verb(verb)?),
            Some(_) => None,
            None => get(Op::ModelGet),
        };
    }
    let rest = path.strip_prefix("/v1/")?;
    match rest {
        "chat/completions" => return post(Op::Chat),
        "completions" => return post(Op::Completions),
        "embeddings" => return post(Op::Embeddings),
        "images/generations" => return post(Op::ImagesGenerations),
        "images/edits" => return post(Op::ImagesEdits),
        "audio/speech" => return post(Op::AudioSpeech),
        "audio/transcriptions" => return post(Op::AudioTranscriptions),
        "audio/translations" => return post(Op::AudioTranslations),
        "moderations" => return post(Op::Moderations),
        "rerank" => return post(Op::Rerank),
        "responses" => return post(Op::Responses),
        "responses/compact" => return post(Op::ResponsesCompact),
        "responses/input_tokens" => return post(Op::ResponsesInputTokens),
        "messages" => return post(Op::Messages),
        "messages/count_tokens" => return post(Op::MessagesCountTokens),
        "models" => return get(Op::ModelsList),
        _ => {}
    }
    if let Some(id) = rest.strip_prefix("models/") {
        return if is_id(id) { get(Op::ModelGet) } else { None };
    }
    if let Some(rest) = rest.strip_prefix("conversations") {
        return conversations(rest);
    }
    let (id, tail) = match rest.strip_prefix("responses/")?.split_once('/') {
        Some((id, tail)) => (id, tail),
        None => (rest.strip_prefix("responses/")?, ""),
    };
    if !is_id(id) {
        return None;
    }
    match tail {
        "" if !rest.ends_with('/') => Some(Matched::Response),
        "input_items" => get(Op::ResponseInputItems),
        "cancel" => post(Op::ResponseCancel),
        _ => None,
    }
}

/// What follows `/v1/conversations`.
fn conversations(rest: &str) -> Option<Matched> {
    let segments: Vec<&str> = rest.split('/').collect();
    let allow = match segments.as_slice() {
        [""] => "POST",
        ["", id] if is_id(id) => "GET, POST, DELETE",
        ["", id, "items"] if is_id(id) => "GET, POST",
        ["", id, "items", item] if is_id(id) && is_id(item) => "GET, DELETE",
        _ => return None,
    };
    Some(Matched::Conversations(allow))
}

fn gemini_verb(verb: &str) -> Option<Operation> {
    Some(match verb {
        "generateContent" => Operation::GenerateContent,
        "streamGenerateContent" => Operation::StreamGenerateContent,
        "countTokens" => Operation::CountTokens,
        "embedContent" => Operation::EmbedContent,
        "batchEmbedContents" => Operation::BatchEmbedContents,
        _ => return None,
    })
}

/// The verb behind the last colon of `/v1…/models/{m}:verb`. A colon may also belong to a model
/// (`llama3:8b`), so only what looks like a verb counts.
fn verb_of(path: &str) -> Option<&str> {
    let (before, verb) = path.rsplit_once(':')?;
    let is_verb = before.contains("/models/")
        && verb.starts_with(|c: char| c.is_ascii_lowercase())
        && (gemini_verb(verb).is_some() || path.starts_with("/v1beta/"))
        && verb.chars().all(|c| c.is_ascii_alphabetic());
    is_verb.then_some(verb)
}

fn model_in(path: &str) -> Option<&str> {
    let (_, id) = path.split_once("/models/")?;
    Some(match verb_of(path) {
        Some(verb) => &id[..id.len() - verb.len() - 1],
        None => id,
    })
}

/// An id in a path: the characters that ids are made of, no empty or dotted segment.
fn is_id(id: &str) -> bool {
    id.len() <= 256
        && id.split('/').all(|segment| {
            !segment.is_empty()
                && segment.bytes().any(|b| b != b'.')
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.:@~+".contains(&b))
        })
}

#[cfg(test)]
mod tests;
