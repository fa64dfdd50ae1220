//! The protocols. One folder each; this file holds what they share and the `match`es that choose
//! among them, each naming its variants so that a new protocol cannot slip through.

pub mod answering;
pub mod anthropic;
pub mod bill;
pub mod embeddings;
pub mod endpoint;
pub mod gemini;
mod hosted;
pub mod images;
pub mod models;
mod names;
mod openai;
pub mod openai_chat;
pub mod openai_responses;
pub mod peek;
pub mod sealed;
pub mod translate;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

pub use endpoint::{Endpoint, Expect, Operation, Surface};
pub use peek::Peek;

pub use crate::base::UpstreamError;
use crate::base::{Fault, Usage};
use crate::wire::edit::Edit;
use crate::wire::sse;
use crate::wire::watch::Spec;

/// A protocol that bodies are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAiChat,
    OpenAiResponses,
    Anthropic,
    Gemini,
}

/// What the opening events of a stream tell, before anything is committed to the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing that a client could show: hold it back.
    Hold,
    /// Output, or a proper end: the answer stands.
    Output,
    /// The provider says that it failed.
    Fault(UpstreamError),
    /// The stream says that it is over.
    End,
    /// Not this protocol.
    Garbage,
}

impl Dialect {
    /// Where usage and text stand in what this protocol sends.
    pub fn watch_spec(self) -> &'static Spec {
        match self {
            Self::OpenAiChat => &openai_chat::WATCH,
            Self::OpenAiResponses => &openai_responses::WATCH,
            Self::Anthropic => &anthropic::WATCH,
            Self::Gemini => &gemini::WATCH,
        }
    }

    /// Takes over the totals that a usage object states. `false` when it states none.
    pub fn read_usage(self, object: &[u8], usage: &mut Usage) -> bool {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => openai::read_usage(object, usage),
            Self::Anthropic => anthropic::read_usage(object, usage),
            Self::Gemini => gemini::read_usage(object, usage),
        }
    }

    /// The edits that rename the model in a body whose path names it.
    pub fn rename(self, body: &[u8], from: &str, to: &str) -> Vec<Edit> {
        match self {
            Self::Gemini => gemini::rename(body, from, to),
            Self::OpenAiChat | Self::OpenAiResponses | Self::Anthropic => Vec::new(),
        }
    }

    /// Does a stream state part of its usage at its start, and the rest at its end?
    pub fn opens_with_usage(self) -> bool {
        match self {
            Self::Anthropic => true,
            Self::OpenAiChat | Self::OpenAiResponses | Self::Gemini => false,
        }
    }

    /// Judges one frame of a stream that nothing has been committed of.
    pub fn opening(self, frame: &[u8]) -> Opening {
        let event = sse::parse(frame);
        let Some(data) = event.data else {
            return Opening::Hold;
        };
        match self.opening_of(&data) {
            // Some leave out the blank lines between their events: then each line is one.
            Opening::Garbage if data.contains(&b'\n') => data
                .split(|&b| b == b'\n')
                .map(|line| self.opening_of(line))
                .find(|opening| *opening != Opening::Hold)
                .unwrap_or(Opening::Hold),
            opening => opening,
        }
    }

    fn opening_of(self, data: &[u8]) -> Opening {
        match self {
            Self::OpenAiChat => openai_chat::opening(data),
            Self::OpenAiResponses => openai_responses::opening(data),
            Self::Anthropic => anthropic::opening(data),
            Self::Gemini => gemini::opening(data),
        }
    }

    /// The error that an unstreamed 200 body is, if it is one.
    pub fn error_in_body(self, body: &[u8]) -> Option<UpstreamError> {
        // A good answer may have an `"error": null`; only a body with the word is read at all.
        memchr::memmem::find(body, b"\"error\"")?;
        let value: Value = serde_json::from_slice(body).ok()?;
        match self {
            Self::OpenAiChat => openai_chat::error_in_body(&value),
            Self::OpenAiResponses => openai_responses::error_in_body(&value),
            Self::Anthropic => anthropic::error_in_body(&value),
            Self::Gemini => gemini::error_in_body(&value),
        }
    }

    /// Reads the body of a refusal (any status but 2xx).
    pub fn read_error(self, status: u16, body: &[u8]) -> UpstreamError {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let read = match self {
            Self::OpenAiChat | Self::OpenAiResponses => openai::read_error(status, &value),
            Self::Anthropic => anthropic::read_error(status, &value),
            Self::Gemini => gemini::read_error(status, &value),
        };
        read.unwrap_or_else(|| UpstreamError {
            status,
            message: format!("the provider answered with status {status}"),
            kind: None,
            retry_after: None,
            bad_credential: status == 401,
        })
    }
}

impl Surface {
    /// The body of an error response on this surface.
    pub fn error_body(self, fault: &Fault, request_id: &str) -> Bytes {
        match self {
            Self::OpenAi => openai::error_body(fault),
            Self::Anthropic => anthropic::error_body(fault, request_id),
            Self::Gemini => gemini::error_body(fault),
        }
    }

    /// The status that the fault has on this surface.
    pub fn error_status(self, fault: &Fault) -> u16 {
        match (self, fault.status) {
            // 529 is Anthropic's own; its SDK knows it.
            (Self::OpenAi | Self::Gemini, 529) => 503,
            (Self::OpenAi | Self::Anthropic | Self::Gemini, status) => status,
        }
    }
}

impl Operation {
    /// What ends a stream of this operation whose upstream died after the first byte.
    pub fn error_event(self, fault: &Fault, request_id: &str) -> Bytes {
        match self.dialect() {
            Dialect::OpenAiChat => openai_chat::error_event(fault),
            Dialect::OpenAiResponses => openai_responses::error_event(fault),
            Dialect::Anthropic => anthropic::error_event(fault, request_id),
            Dialect::Gemini => gemini::error_event(fault),
        }
    }
}

/// Does this request header speak of one protocol or its SDK, so that it means nothing to the provider of another?
pub fn is_protocol_header(name: &str) -> bool {
    const STARTS: [&str; 5] = [
        "anthropic-",
        "openai-",
        "x-goog-",
        "x-stainless-",
        "x-gemini-",
    ];
    matches!(name, "content-type" | "accept" | "http-referer" | "x-title")
        || STARTS.iter().any(|start| name.starts_with(start))
}

/// A number of tokens as somebody wrote it: some write floats, and a broken one must spoil no sum.
fn tokens(written: Option<f64>) -> u64 {
    const MOST: f64 = (1_u64 << 40) as f64;
    written.unwrap_or(0.0).clamp(0.0, MOST) as u64
}

/// `"12s"`, `"1.5s"`: durations as JSON-mapped protocol buffers write them.
fn parse_seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Is this raw JSON value empty, so that a client would have nothing to show of it?
fn is_blank(raw: &str) -> bool {
    matches!(raw.trim(), "null" | "\"\"" | "[]" | "{}" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_without_blank_lines_between_them_are_still_events() {
        let frame = b"data: {\"usageMetadata\":{}}\ndata: {\"candidates\":[{\"content\":{}}]}\n\n";
        assert_eq!(Dialect::Gemini.opening(frame), Opening::Output);
        assert_eq!(
            Dialect::Gemini.opening(b"data: <html>\ndata: </html>\n\n"),
            Opening::Garbage
        );
    }
}
