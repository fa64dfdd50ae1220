//! Everything that comes back is a stream of these events, streamed or not:
//!
//! `Start (Open Delta* Close | Usage | Ping | Logprobs)* Stop* (Finish | Fault)`
//!
//! A part is opened once and closed once; parts may interleave; their numbers are not reused. `Stop` comes once for each
//! choice, after its last part. Totals of usage replace, they do not add.

use super::part::{Citation, Media, Signature};
use super::request::{Json, Text};
use crate::base::{UpstreamError, Usage};

#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// First, once.
    Start {
        /// The provider's own id of the answer.
        id: Option<Text<'a>>,
        model: Option<Text<'a>>,
        /// Unix seconds.
        created: Option<u64>,
    },
    Open {
        part: u32,
        /// Which of `n` answers; 0 where there is one.
        choice: u32,
        kind: Open<'a>,
    },
    Delta {
        part: u32,
        delta: Delta<'a>,
    },
    Close {
        part: u32,
    },
    /// Log-probabilities of tokens of a choice, in the order of its text.
    Logprobs {
        choice: u32,
        tokens: Vec<TokenLogprob<'a>>,
    },
    /// So far, or in all.
    Usage(Usage),
    /// The tier that served the request, as the provider names it.
    ServiceTier(Text<'a>),
    Ping,
    Stop(Stop<'a>),
    /// Last: the answer is whole.
    Finish,
    /// Last: it broke.
    Fault(UpstreamError),
}

/// What a part is. Text, reasoning, refusals, arguments and data come in deltas; `Media` without data too.
#[derive(Clone, Debug)]
pub enum Open<'a> {
    Text,
    Reasoning {
        /// Encrypted; its signature comes as a delta, text does not.
        redacted: bool,
        summary: bool,
    },
    ToolCall {
        /// Never empty.
        id: Text<'a>,
        name: Text<'a>,
        custom: bool,
    },
    Refusal,
    /// An image or audio; `source` is `Base64("")` where its data comes in deltas.
    Media(Media<'a>),
}

#[derive(Clone, Debug)]
pub enum Delta<'a> {
    /// Of text, reasoning, a refusal; of audio: its transcript.
    Text(Text<'a>),
    /// A piece of a call's arguments: of JSON text, or of the bare input of a free-form call.
    Arguments(Text<'a>),
    Signature(Signature<'a>),
    Citation(Citation<'a>),
    /// A piece of base64 that decodes by itself.
    Data(Text<'a>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob<'a> {
    pub token: Text<'a>,
    pub logprob: Number<'a>,
    pub bytes: Option<Vec<u8>>,
    pub top: Vec<(Text<'a>, Number<'a>, Option<Vec<u8>>)>,
}

/// A number as it was written.
#[derive(Clone, Debug)]
pub struct Number<'a>(pub Json<'a>);

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop<'a> {
    pub choice: u32,
    pub reason: StopReason,
    /// The sequence that was met, where the provider says.
    pub sequence: Option<Text<'a>>,
    /// The provider's own word, where `reason` does not say all.
    pub detail: Option<Text<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    End,
    StopSequence,
    MaxTokens,
    ToolCalls,
    /// The model would not.
    Refusal,
    /// A filter of the provider stopped it, or the prompt.
    Filtered,
    /// The provider paused a long turn: the client may send it back to go on.
    Paused,
    /// The input filled the context.
    ContextFull,
    /// The model called a tool in a way that cannot be read.
    MalformedCall,
    Other,
}
