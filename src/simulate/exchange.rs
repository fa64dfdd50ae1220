//! What a request and an answer are inside the simulator, before and after any bytes.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::Simulator;
use super::fault::Steer;
use super::json::Json;
use super::openai_run::Run;
use super::openai_socket::Lane;

/// Whose dialect an answer is in: it decides the shape of errors and the provider's own headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    OpenRouter,
    RouterResponses,
}

impl Voice {
    /// The platform's name in the books.
    pub(super) fn platform(self) -> &'static str {
        match self {
            Voice::OpenAi | Voice::Responses => "openai",
            Voice::Anthropic => "anthropic",
            Voice::Gemini => "gemini",
            Voice::OpenRouter | Voice::RouterResponses => "openrouter",
        }
    }

    /// OpenRouter serves OpenAI's two dialects with additions of its own.
    pub(super) fn is_router(self) -> bool {
        matches!(self, Voice::OpenRouter | Voice::RouterResponses)
    }
}

/// A request, read in full.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// A header as text; one that is no text counts as absent.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a query parameter as it stands (nothing that is asked for here needs decoding).
    pub(super) fn query_value(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| {
            pair.split_once('=')
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
        })
    }

    /// Whose request it is: responses and conversations belong to the account that made them.
    pub(super) fn account(&self) -> &str {
        self.header("authorization").unwrap_or_default()
    }

    /// The body as a JSON object, or the provider's complaint about it.
    pub(super) fn json(&self) -> Result<Value, Problem> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) if value.is_object() => Ok(value),
            Ok(_) => Err(Problem::bad(
                "The body of your request is not a JSON object.",
            )),
            Err(error) => Err(Problem::bad(format!(
                "We could not parse the JSON body of your request: {error}."
            ))),
        }
    }
}

/// All that an answer is made from.
pub(super) struct Context<'a> {
    pub(super) sim: &'a Simulator,
    pub(super) request: &'a Request,
    pub(super) steer: &'a Steer,
    pub(super) voice: Voice,
    /// The WebSocket over which the request came.
    pub(super) lane: Option<&'a Lane>,
}

/// One event of a stream, still without line ends.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The `event:` line, for the dialects that have one.
    pub(super) name: Option<&'static str>,
    pub(super) data: String,
    /// How many characters of output it carries: what a cut stream really sent.
    pub(super) said: usize,
}

impl Event {
    pub(super) fn data(json: &Json) -> Self {
        Event {
            name: None,
            data: json.text(),
            said: 0,
        }
    }

    pub(super) fn named(name: &'static str, json: &Json) -> Self {
        Event {
            name: Some(name),
            data: json.text(),
            said: 0,
        }
    }

    /// The same event, carrying this piece of output.
    pub(super) fn saying(mut self, piece: &str) -> Self {
        self.said = piece.chars().count();
        self
    }

    /// The marker that ends streams in OpenAI's dialects.
    pub(super) fn done() -> Self {
        Event {
            name: None,
            data: "[DONE]".to_owned(),
            said: 0,
        }
    }
}

/// What the answer's body is.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Json(Vec<u8>),
    Events(Vec<Event>),
    Raw {
        content_type: String,
        bytes: Bytes,
    },
    /// Gemini's stream without `alt=sse`: one JSON array, an element at a time.
    Array(Vec<Event>),
}

/// Token counts of one answer. `input` is the whole prompt: uncached, read from and written to the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    /// Reasoning included.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl Usage {
    pub(super) fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    pub(super) fn uncached(&self) -> u64 {
        self.input
            .saturating_sub(self.cache_read + self.cache_write())
    }
}

/// What goes into the books when the answer has gone out.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) model: String,
    pub(super) usage: Usage,
    /// Whether the answer itself states its usage.
    pub(super) reported: bool,
}

/// A whole answer, before faults and pacing.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    /// How many events come before the first one that carries output.
    pub(super) opening: usize,
    pub(super) bill: Option<Bill>,
    /// Whether it takes its time.
    pub(super) slow: bool,
    /// The moments of the events of a background response, and the number of the first one here.
    pub(super) run: Option<(Run, usize)>,
}

impl Reply {
    pub(super) fn json(json: &Json) -> Self {
        Self::of(Body::Json(json.text().into_bytes()))
    }

    pub(super) fn raw(content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self::of(Body::Raw {
            content_type: content_type.to_owned(),
            bytes: bytes.into(),
        })
    }

    pub(super) fn events(events: Vec<Event>, opening: usize) -> Self {
        let mut reply = Self::of(Body::Events(events));
        reply.opening = opening;
        reply
    }

    pub(super) fn of(body: Body) -> Self {
        Reply {
            status: 200,
            headers: Vec::new(),
            body,
            opening: 0,
            bill: None,
            slow: false,
            run: None,
        }
    }

    pub(super) fn billed(mut self, model: &str, usage: Usage, reported: bool) -> Self {
        self.bill = Some(Bill {
            model: model.to_owned(),
            usage,
            reported,
        });
        self
    }

    /// The events from number `first` on, each at its moment of the run.
    pub(super) fn over(mut self, run: Run, first: usize) -> Self {
        self.run = Some((run, first));
        self
    }

    pub(super) fn paced(mut self, slow: bool) -> Self {
        self.slow = slow;
        self
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Events(_) | Body::Array(_))
    }
}

/// A refusal of a request, without the dress of any dialect.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) message: String,
    /// OpenAI's and Anthropic's `type`, where it is not the usual one of the status.
    pub(super) kind: Option<&'static str>,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<String>,
    /// Google's `details` of a credential that is no good.
    pub(super) bad_key: bool,
    pub(super) retry_after: Option<String>,
}

impl Problem {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Problem {
            status,
            message: message.into(),
            kind: None,
            code: None,
            param: None,
            bad_key: false,
            retry_after: None,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }
}
