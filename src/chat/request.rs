//! What a client asks for.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::loss::Loss;
use super::part::{CacheMark, Part};

pub type Text<'a> = Cow<'a, str>;
/// JSON as it was written: key order and the spelling of numbers survive.
pub type Json<'a> = Cow<'a, RawValue>;

/// A request for an answer, read from one protocol, to be written in another.
///
/// `None` and empty mean that the client said nothing of it: a writer adds nothing that nobody asked for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// In the order they came; system turns stand where they stood (the leading ones first).
    pub turns: Vec<Turn<'a>>,
    pub tools: Vec<Tool<'a>>,
    pub tool_choice: Option<ToolChoice<'a>>,
    /// `Some(false)`: one call at a time.
    pub parallel_tools: Option<bool>,
    pub format: Option<Format<'a>>,
    pub thinking: Option<Thinking>,
    pub max_tokens: Option<u64>,
    /// Numbers as they were written.
    pub temperature: Option<Json<'a>>,
    pub top_p: Option<Json<'a>>,
    pub top_k: Option<Json<'a>>,
    pub presence_penalty: Option<Json<'a>>,
    pub frequency_penalty: Option<Json<'a>>,
    pub seed: Option<Json<'a>>,
    pub stop: Vec<Text<'a>>,
    /// How many answers; `None` is one.
    pub n: Option<u32>,
    pub logprobs: Option<Logprobs>,
    pub service_tier: Option<ServiceTier>,
    /// Who the end user is: one opaque id.
    pub user: Option<Text<'a>>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<Text<'a>>,
    /// The end of the prompt is to be cached, wherever it is.
    pub cache: Option<CacheMark>,
    /// Output besides text, as lower-case words (`image`, `audio`); empty: text only.
    pub modalities: Vec<Text<'a>>,
    /// `(voice, format)` of audio output, where the client chose.
    pub voice: Option<(Option<Text<'a>>, Option<Text<'a>>)>,
    /// Width to height of images, as `16:9`, and their size (`1K`, `2K`).
    pub image_aspect: Option<Text<'a>>,
    pub image_size: Option<Text<'a>>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The protocol leaves usage out of a stream unless it is asked for, and it was.
    pub include_usage: bool,
    /// The client spoke the old form of tools (`functions`), and is answered in it.
    pub legacy_functions: bool,
    /// What its reader could not put into this form.
    pub losses: Vec<Loss>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of whoever built the application.
    System,
    /// The same, in a protocol that tells the two apart.
    Developer,
    User,
    Assistant,
}

/// Several turns of one role may follow each other; tool results stand in user turns.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    pub role: Role,
    /// Of the participant, where the protocol has one.
    pub name: Option<Text<'a>>,
    pub parts: Vec<Part<'a>>,
}

#[derive(Clone, Debug)]
pub enum Tool<'a> {
    Function(Function<'a>),
    /// Run by the provider.
    Hosted {
        kind: Hosted,
        /// The name that the client's protocol has for it, for messages.
        name: Text<'a>,
        /// Domains to search in only, and never, where the client chose.
        allowed_domains: Vec<Text<'a>>,
        blocked_domains: Vec<Text<'a>>,
        /// At most so many uses.
        max_uses: Option<u64>,
    },
}

/// Tools that several providers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    WebSearch,
    /// Reading pages whose addresses are given.
    WebFetch,
    CodeExecution,
    /// Any other: nobody else has it.
    Other,
}

#[derive(Clone, Debug)]
pub struct Function<'a> {
    pub name: Text<'a>,
    pub description: Option<Text<'a>>,
    /// JSON Schema of the arguments, in its standard spelling (lower-case types); `None`: no arguments.
    pub parameters: Option<Json<'a>>,
    pub strict: Option<bool>,
    /// Free-form: the input is text. `parameters` is `None` then.
    pub custom: bool,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    Named(Text<'a>),
    /// Only these may be called; `required`: one of them must be.
    Allowed {
        names: Vec<Text<'a>>,
        required: bool,
    },
}

#[derive(Clone, Debug)]
pub enum Format<'a> {
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        name: Option<Text<'a>>,
        description: Option<Text<'a>>,
        /// In standard spelling.
        schema: Json<'a>,
        strict: Option<bool>,
    },
}

/// How much to think, and whether to show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// `None`: the provider's default.
    pub depth: Option<Depth>,
    /// The client wants to see the reasoning's text.
    pub show: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Off,
    /// The model decides.
    Dynamic,
    Effort(Effort),
    /// Tokens.
    Budget(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logprobs {
    /// So many alternatives for each token.
    pub top: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceTier {
    Auto,
    Standard,
    Flex,
    Priority,
}

impl Effort {
    /// Tokens of thinking that stand for this effort
    /// (<https://ai.google.dev/gemini-api/docs/openai#thinking>, extended upward).
    pub fn budget(self) -> u64 {
        match self {
            Self::Minimal | Self::Low => 1024,
            Self::Medium => 8192,
            Self::High => 24_576,
            Self::XHigh | Self::Max => 32_768,
        }
    }

    /// The effort that stands for a budget: the inverse of `budget`, with the borders between.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..=4096 => Self::Low,
            4097..=16_384 => Self::Medium,
            _ => Self::High,
        }
    }
}

impl Request<'_> {
    /// The name of the tool that a call id belongs to, looked for among the calls of the turns.
    pub fn tool_name(&self, call_id: &str) -> Option<&str> {
        self.turns
            .iter()
            .flat_map(|turn| &turn.parts)
            .find_map(|part| match &part.kind {
                super::PartKind::ToolCall(call) if call.id == call_id => Some(&*call.name),
                _ => None,
            })
    }

    /// Names of free-form tools: an answer's calls of them are texts, not JSON.
    pub fn custom_tools(&self) -> Vec<String> {
        self.tools
            .iter()
            .filter_map(|tool| match tool {
                Tool::Function(f) if f.custom => Some(f.name.clone().into_owned()),
                Tool::Function(_) | Tool::Hosted { .. } => None,
            })
            .collect()
    }
}

impl<'a> Turn<'a> {
    pub fn new(role: Role, parts: Vec<Part<'a>>) -> Self {
        Self {
            role,
            name: None,
            parts,
        }
    }
}
