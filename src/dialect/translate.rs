//! From one protocol to another, through the canonical conversation: `read_request`, `write_request` for the channel's
//! protocol, then a `Reader` of what comes back and a `Writer` of what the client gets. Four folders, not twelve pairs.

use crate::base::{Fault, FaultKind, Ids};
use crate::chat::{Answer, Event, Loss, MediaKind, Request, Severity, Tool};

use super::{Dialect, Operation, anthropic, gemini, hosted, openai_chat, openai_responses};

/// What a platform says of the protocol and the model that a request is to be written for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    OpenAiChat(openai_chat::Target<'a>),
    OpenAiResponses(openai_responses::Target<'a>),
    Anthropic(anthropic::Target<'a>),
    Gemini(gemini::Target<'a>),
}

/// A request as its channel gets it.
#[derive(Debug, Default)]
pub struct Rendered {
    pub body: Vec<u8>,
    /// Headers without which the provider would not understand the body.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What has no counterpart: both kinds.
    pub losses: Vec<Loss>,
    /// A tool that stands for structured output: a call of it is the answer's text.
    pub text_tool: Option<String>,
    /// Tools whose names the protocol does not take: `(sent, wanted)`.
    pub renamed: Vec<(String, String)>,
}

/// What a writer must know of the client's request.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    /// Makes ids in the protocol's form.
    pub ids: Option<Ids>,
    /// The model as the client asked for it.
    pub model: String,
    /// Unix seconds, where the provider does not say when it made the answer.
    pub now: u64,
    /// The client asked for usage in a stream of a protocol that leaves it out otherwise.
    pub include_usage: bool,
    /// The client spoke the old form of tools.
    pub legacy_functions: bool,
    /// About how many tokens the input has, for a protocol that states it before the provider does.
    pub input_estimate: u64,
    /// The stream is one JSON array, not events.
    pub array: bool,
    /// The client did not ask to see the reasoning, in a protocol that shows it only then.
    pub hide_thoughts: bool,
    /// What an answer of the Responses API repeats of its request.
    pub repeat: Option<Box<openai_responses::Repeat>>,
}

impl Dialect {
    /// Reads a request for an answer. `stream`: whether one was asked for, where the path says it and not the body.
    pub fn read_request(self, body: &[u8], stream: bool) -> Result<Request<'_>, Fault> {
        match self {
            Self::OpenAiChat => openai_chat::read_request(body),
            Self::Anthropic => anthropic::read_request(body),
            Self::Gemini => gemini::read_request(body, stream),
            Self::OpenAiResponses => openai_responses::read_request(body),
        }
    }
}

impl Dialect {
    /// Reads a request whose tokens are to be counted: it need not say how long the answer may be.
    pub fn read_count_request(self, body: &[u8]) -> Result<Request<'_>, Fault> {
        match self {
            Self::Anthropic => anthropic::read_count_request(body),
            Self::OpenAiChat | Self::Gemini | Self::OpenAiResponses => {
                self.read_request(body, false)
            }
        }
    }
}

impl Target<'_> {
    /// With the most output that the model has, where the protocol demands that a request says how much it may be.
    #[must_use]
    pub fn with_max_output(self, max_output: u64) -> Self {
        match self {
            Self::Anthropic(target) => Self::Anthropic(anthropic::Target {
                max_output,
                ..target
            }),
            Self::OpenAiChat(_) | Self::OpenAiResponses(_) | Self::Gemini(_) => self,
        }
    }

    /// Writes the request. A loss that changes the meaning is a refusal that names the field.
    pub fn write_request(&self, request: &Request<'_>) -> Result<Rendered, Fault> {
        self.write_request_for(request, None)
    }

    /// The same; losses are named as the client's protocol spells them.
    pub fn write_request_for(
        &self,
        request: &Request<'_>,
        client: Option<Dialect>,
    ) -> Result<Rendered, Fault> {
        let fitted = hosted::fit(request, self);
        let (request, unfit) = match &fitted {
            Some((request, losses)) => (request, &losses[..]),
            None => (request, &[][..]),
        };
        let mut rendered = match self {
            Self::OpenAiChat(target) => openai_chat::write_request(request, target)?,
            Self::OpenAiResponses(target) => openai_responses::write_request(request, target)?,
            Self::Anthropic(target) => anthropic::write_request(request, target)?,
            Self::Gemini(target) => gemini::write_request(request, target)?,
        };
        for loss in &mut rendered.losses {
            name_tool(request, loss);
            if let Some(spelled) = client.and_then(|client| spell(client, &loss.path)) {
                loss.path = spelled.into();
            }
        }
        let before = request.losses.iter().chain(unfit).cloned();
        rendered.losses.splice(0..0, before);
        match rendered
            .losses
            .iter()
            .find(|loss| loss.severity == Severity::Meaning)
        {
            Some(loss) => Err(refusal(loss)),
            None => Ok(rendered),
        }
    }

    /// Does the provider read media of this kind from a URL by itself?
    pub fn takes_url(&self, kind: MediaKind, url: &str) -> bool {
        match (self, kind) {
            (
                Self::OpenAiChat(_) | Self::OpenAiResponses(_) | Self::Anthropic(_),
                MediaKind::Image,
            )
            | (Self::OpenAiResponses(_) | Self::Anthropic(_), MediaKind::Document) => true,
            (Self::OpenAiChat(_), MediaKind::Document | MediaKind::Audio | MediaKind::Video)
            | (
                Self::OpenAiResponses(_) | Self::Anthropic(_),
                MediaKind::Audio | MediaKind::Video,
            ) => false,
            // It takes videos of one site; other URLs only newer models do.
            (Self::Gemini(_), _) => url.contains("youtube.com/") || url.contains("youtu.be/"),
        }
    }

    /// The model as the provider calls it.
    pub fn model(&self) -> &str {
        match self {
            Self::OpenAiChat(target) => target.model,
            Self::OpenAiResponses(target) => target.model,
            Self::Anthropic(target) => target.model,
            Self::Gemini(target) => target.model,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::OpenAiChat(_) => Dialect::OpenAiChat,
            Self::OpenAiResponses(_) => Dialect::OpenAiResponses,
            Self::Anthropic(_) => Dialect::Anthropic,
            Self::Gemini(_) => Dialect::Gemini,
        }
    }

    /// The operation that asks this target for an answer.
    pub fn operation(&self, stream: bool) -> Operation {
        match self {
            Self::OpenAiChat(_) => Operation::Chat,
            Self::OpenAiResponses(_) => Operation::Responses,
            Self::Anthropic(_) => Operation::Messages,
            Self::Gemini(_) if stream => Operation::StreamGenerateContent,
            Self::Gemini(_) => Operation::GenerateContent,
        }
    }
}

/// A tool that nobody else has is one of the `tools`.
fn name_tool(request: &Request<'_>, loss: &mut Loss) {
    let is_tool = request
        .tools
        .iter()
        .any(|tool| matches!(tool, Tool::Hosted { name, .. } if *name == loss.path));
    if is_tool {
        loss.why = format!("the tool '{}' is not known there; {}", loss.path, loss.why).into();
        loss.path = "tools".into();
    }
}

/// How a client's protocol spells what the writers call by its common name; `None`: as it is.
fn spell(client: Dialect, common: &str) -> Option<&'static str> {
    let names: &[(&str, &str)] = match client {
        Dialect::OpenAiChat => &[],
        Dialect::OpenAiResponses => &[
            ("max_tokens", "max_output_tokens"),
            ("reasoning_effort", "reasoning.effort"),
            ("response_format", "text.format"),
            ("thinking", "reasoning"),
            ("verbosity", "text.verbosity"),
            ("messages", "input"),
            ("system", "instructions"),
        ],
        Dialect::Anthropic => &[
            ("stop", "stop_sequences"),
            ("response_format", "output_config.format"),
            ("reasoning_effort", "thinking"),
            ("user", "metadata.user_id"),
            (
                "parallel_tool_calls",
                "tool_choice.disable_parallel_tool_use",
            ),
        ],
        Dialect::Gemini => &[
            ("n", "generationConfig.candidateCount"),
            ("seed", "generationConfig.seed"),
            ("stop", "generationConfig.stopSequences"),
            ("temperature", "generationConfig.temperature"),
            ("top_p", "generationConfig.topP"),
            ("top_k", "generationConfig.topK"),
            ("max_tokens", "generationConfig.maxOutputTokens"),
            ("presence_penalty", "generationConfig.presencePenalty"),
            ("frequency_penalty", "generationConfig.frequencyPenalty"),
            ("logprobs", "generationConfig.responseLogprobs"),
            ("response_format", "generationConfig.responseSchema"),
            ("reasoning_effort", "generationConfig.thinkingConfig"),
            ("thinking", "generationConfig.thinkingConfig"),
            ("modalities", "generationConfig.responseModalities"),
            ("voice", "generationConfig.speechConfig"),
            ("audio.voice", "generationConfig.speechConfig"),
            ("image_config", "generationConfig.imageConfig"),
            ("image_aspect", "generationConfig.imageConfig.aspectRatio"),
            ("image_size", "generationConfig.imageConfig.imageSize"),
            ("tool_choice", "toolConfig.functionCallingConfig"),
            ("messages", "contents"),
            ("messages.media", "contents[].parts[]"),
            ("system", "systemInstruction"),
            ("service_tier", "serviceTier"),
        ],
    };
    names
        .iter()
        .find(|(name, _)| *name == common)
        .map(|(_, spelled)| *spelled)
}

/// The parameter as a metric names it: without indexes, and only names of the protocols' own.
pub fn parameter_label(path: &str) -> &'static str {
    let mut plain = String::with_capacity(path.len());
    for c in path.chars() {
        if !c.is_ascii_digit() || !plain.ends_with(['[', '0']) {
            plain.push(c);
        }
    }
    // Kinds of tools have dates behind them.
    if plain.starts_with(SEARCH) {
        return SEARCH;
    }
    let known = [
        openai_chat::SAMPLES,
        openai_responses::SAMPLES,
        anthropic::SAMPLES,
        gemini::SAMPLES,
    ];
    known
        .iter()
        .flat_map(|samples| samples.iter())
        .map(|(name, _)| *name)
        .chain(COMMON)
        .find(|name| *name == plain)
        .unwrap_or("other")
}

const SEARCH: &str = "tools[].web_search";

/// What writers call what they cannot express.
const COMMON: [&str; 37] = [
    "audio",
    "citations",
    "detail",
    "file",
    "image",
    "image_aspect",
    "image_size",
    "messages",
    "messages.media",
    "name",
    "response_format.description",
    "system",
    "video",
    "anthropic-beta",
    "cache_control",
    "frequency_penalty",
    "logprobs",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "strict",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user",
    "verbosity",
    "voice",
];

fn refusal(loss: &Loss) -> Fault {
    Fault::new(
        FaultKind::UnsupportedParameter,
        format!(
            "'{}' is not supported for this model: {}",
            loss.path, loss.why
        ),
    )
    .param(loss.path.clone())
}

/// Makes events of what a provider sends. One for each answer.
#[derive(Debug)]
pub enum Reader {
    OpenAiChat(openai_chat::Reader),
    OpenAiResponses(openai_responses::Reader),
    Anthropic(anthropic::Reader),
    Gemini(gemini::Reader),
}

/// Where events go.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;

impl Reader {
    /// `None`: nothing is read from this protocol yet.
    pub fn new(dialect: Dialect, ids: Ids) -> Option<Self> {
        match dialect {
            Dialect::OpenAiChat => Some(Self::OpenAiChat(openai_chat::Reader::new(ids))),
            Dialect::Anthropic => Some(Self::Anthropic(anthropic::Reader::new(ids))),
            Dialect::Gemini => Some(Self::Gemini(gemini::Reader::new(ids))),
            Dialect::OpenAiResponses => {
                Some(Self::OpenAiResponses(openai_responses::Reader::new(ids)))
            }
        }
    }

    /// Reads the data of one event of a stream.
    pub fn data(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        match self {
            Self::OpenAiChat(reader) => reader.data(data, sink),
            Self::OpenAiResponses(reader) => reader.data(data, sink),
            Self::Anthropic(reader) => reader.data(data, sink),
            Self::Gemini(reader) => reader.data(data, sink),
        }
    }

    /// The stream has ended: what is open is closed. A stream that stopped before its answer was whole ends in a fault.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        match self {
            Self::OpenAiChat(reader) => reader.end(sink),
            Self::OpenAiResponses(reader) => reader.end(sink),
            Self::Anthropic(reader) => reader.end(sink),
            Self::Gemini(reader) => reader.end(sink),
        }
    }

    /// Reads a whole body: the same events, all at once.
    pub fn body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        match self {
            Self::OpenAiChat(reader) => reader.body(body, sink),
            Self::OpenAiResponses(reader) => reader.body(body, sink),
            Self::Anthropic(reader) => reader.body(body, sink),
            Self::Gemini(reader) => reader.body(body, sink),
        }
    }
}

/// Writes events of a stream as the client's protocol has them. One for each answer.
#[derive(Debug)]
pub enum Writer {
    OpenAiChat(openai_chat::Writer),
    OpenAiResponses(openai_responses::Writer),
    Anthropic(anthropic::Writer),
    Gemini(gemini::Writer),
}

impl Writer {
    pub fn new(dialect: Dialect, echo: Echo) -> Option<Self> {
        match dialect {
            Dialect::OpenAiChat => Some(Self::OpenAiChat(openai_chat::Writer::new(echo))),
            Dialect::Anthropic => Some(Self::Anthropic(anthropic::Writer::new(echo))),
            Dialect::Gemini => Some(Self::Gemini(gemini::Writer::new(echo))),
            Dialect::OpenAiResponses => {
                let repeat = echo.repeat.clone().unwrap_or_default();
                Some(Self::OpenAiResponses(openai_responses::Writer::with(
                    echo, *repeat,
                )))
            }
        }
    }

    /// Ends the stream of an answer that broke, as far as the protocol has more to say than an error event; `false`: it
    /// has not.
    pub fn failed(&mut self, fault: &Fault, out: &mut Vec<u8>) -> bool {
        match self {
            Self::OpenAiResponses(writer) => {
                writer.failed(fault, out);
                true
            }
            Self::OpenAiChat(_) | Self::Anthropic(_) | Self::Gemini(_) => false,
        }
    }

    /// The answer as it is kept, once it is over, in the protocol that keeps answers.
    pub fn kept(&self) -> Option<Vec<u8>> {
        match self {
            Self::OpenAiResponses(writer) => writer.is_over().then(|| writer.response()),
            Self::OpenAiChat(_) | Self::Anthropic(_) | Self::Gemini(_) => None,
        }
    }

    /// The answer as far as it has come, in the protocol that keeps answers; `None`: it has not begun.
    pub fn so_far(&self) -> Option<Vec<u8>> {
        match self {
            Self::OpenAiResponses(writer) => (!writer.id().is_empty()).then(|| writer.response()),
            Self::OpenAiChat(_) | Self::Anthropic(_) | Self::Gemini(_) => None,
        }
    }

    /// Appends whole events only.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(writer) => writer.event(event, out),
            Self::OpenAiResponses(writer) => writer.event(event, out),
            Self::Anthropic(writer) => writer.event(event, out),
            Self::Gemini(writer) => writer.event(event, out),
        }
    }
}

/// Writes a whole answer as the body of the client's protocol.
pub fn write_answer(dialect: Dialect, answer: &Answer, echo: &mut Echo) -> Option<Vec<u8>> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::write_answer(answer, echo)),
        Dialect::Anthropic => Some(anthropic::write_answer(answer, echo)),
        Dialect::Gemini => Some(gemini::write_answer(answer, echo)),
        Dialect::OpenAiResponses => {
            let repeat = echo.repeat.clone().unwrap_or_default();
            Some(openai_responses::write_answer_with(answer, echo, *repeat))
        }
    }
}
