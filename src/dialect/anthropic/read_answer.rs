//! A provider's answer, streamed or whole, read into events (<https://docs.anthropic.com/en/api/messages-streaming>).

use serde_json::Value;
use serde_json::value::RawValue;

use super::{ORIGIN, citation, read_error, read_usage};
use crate::base::{Ids, UpstreamError, Usage};
use crate::chat::seal;
use crate::chat::{Delta, Event, Open, Stop, StopReason, Text};
use crate::dialect::translate::Sink;
use crate::wire::read::{Count, Lenient, Str, object};

object! {
    struct Frame<'a> {
        "type" => kind: Str<'a>,
        "index" => index: Count,
        "delta" => delta: Change<'a>,
        "content_block" => block: Block<'a>,
        "message" => message: Message<'a>,
        "usage" => usage: &'a RawValue,
    }
}

object! {
    /// Of a block, or of the message.
    struct Change<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "partial_json" => partial_json: Str<'a>,
        "thinking" => thinking: Str<'a>,
        "signature" => signature: Str<'a>,
        "citation" => citation: citation::Form<'a>,
        "stop_reason" => stop_reason: Str<'a>,
        "stop_sequence" => stop_sequence: Str<'a>,
        "stop_details" => stop_details: Lenient<StopDetails<'a>>,
    }
}

object! {
    struct StopDetails<'a> {
        "category" => category: Str<'a>,
        "explanation" => explanation: Str<'a>,
    }
}

object! {
    struct Block<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "thinking" => thinking: Str<'a>,
        "signature" => signature: Str<'a>,
        "data" => data: Str<'a>,
        "id" => id: Lenient<Str<'a>>,
        "name" => name: Str<'a>,
        "input" => input: &'a RawValue,
        "citations" => citations: Lenient<Vec<citation::Form<'a>>>,
    }
}

object! {
    struct Message<'a> {
        "type" => kind: Str<'a>,
        "id" => id: Str<'a>,
        "model" => model: Str<'a>,
        "content" => content: Vec<&'a RawValue>,
        "stop_reason" => stop_reason: Str<'a>,
        "stop_sequence" => stop_sequence: Str<'a>,
        "stop_details" => stop_details: Lenient<StopDetails<'a>>,
        "usage" => usage: &'a RawValue,
    }
}

object! {
    struct Served<'a> {
        "service_tier" => service_tier: Lenient<Str<'a>>,
    }
}

#[derive(Debug)]
pub struct Reader {
    ids: Ids,
    started: bool,
    done: bool,
    usage: Usage,
    /// Blocks that are open, by the provider's index: it may leave gaps, and use one again.
    open: Vec<OpenBlock>,
    parts: u32,
    called: bool,
    stop: Option<Stop<'static>>,
}

#[derive(Debug)]
struct OpenBlock {
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text {
        part: u32,
    },
    Thinking {
        part: u32,
    },
    Redacted {
        part: u32,
    },
    ToolUse {
        part: u32,
        /// Input that came whole with the start; deltas take its place.
        whole: Option<String>,
    },
    /// Of tools that the provider runs itself, and of kinds to come.
    Other,
}

fn text(text: Option<Str<'_>>) -> Option<Text<'_>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// `{}` says nothing: whoever needs an object makes one.
fn input(raw: Option<&RawValue>) -> Option<&str> {
    let input = raw?.get();
    let inner = input.trim().strip_prefix('{')?.strip_suffix('}')?;
    (!inner.trim().is_empty()).then_some(input)
}

impl Reader {
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            started: false,
            done: false,
            usage: Usage::default(),
            open: Vec::new(),
            parts: 0,
            called: false,
            stop: None,
        }
    }

    /// Reads the data of one event. What is not JSON, or of a type that nobody knows, is passed over.
    pub fn data(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        let Ok(frame) = serde_json::from_slice::<Frame<'_>>(data) else {
            self.odd(data, sink);
            return;
        };
        let index = frame.index.unwrap_or_default().0;
        match frame.kind.as_deref() {
            Some("content_block_delta") => {
                if let Some(delta) = frame.delta {
                    self.block_delta(index, delta, sink);
                }
            }
            Some("content_block_start") => {
                if let Some(block) = frame.block {
                    self.block_start(index, block, sink);
                }
            }
            Some("content_block_stop") => self.block_stop(index, sink),
            Some("ping") => {
                self.start(None, None, sink);
                sink(Event::Ping);
            }
            Some("message_start") => {
                if let Some(message) = frame.message {
                    self.start(message.id, message.model, sink);
                    self.usage(message.usage, sink);
                }
            }
            Some("message_delta") => {
                if let Some(delta) = frame.delta {
                    self.stopped(delta.stop_reason, delta.stop_sequence, delta.stop_details);
                }
                self.usage(frame.usage, sink);
            }
            Some("message_stop") => self.finish(sink),
            Some("error") | None => self.odd(data, sink),
            Some(_) => {}
        }
    }

    /// The end of the stream.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if self.stop.is_some() {
            self.finish(sink);
        } else {
            self.fail(
                502,
                "The provider's stream ended before the answer was whole.",
                sink,
            );
        }
    }

    /// Reads a whole body.
    pub fn body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        let message = match serde_json::from_slice::<Message<'_>>(body) {
            Ok(message) if message.kind.as_deref() != Some("error") => message,
            Ok(_) | Err(_) => {
                self.odd_body(body, sink);
                return;
            }
        };
        let content = match message.content {
            Some(content) => content,
            None if message.stop_reason.is_some() => Vec::new(),
            None => {
                self.odd_body(body, sink);
                return;
            }
        };
        self.start(message.id, message.model, sink);
        for (index, raw) in content.into_iter().enumerate() {
            // A block that cannot be read is none that is known.
            if let Ok(block) = serde_json::from_str::<Block<'_>>(raw.get()) {
                self.block_start(index as u64, block, sink);
                self.block_stop(index as u64, sink);
            }
        }
        self.usage(message.usage, sink);
        self.stopped(
            message.stop_reason,
            message.stop_sequence,
            message.stop_details,
        );
        self.finish(sink);
    }

    fn odd_body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        self.odd(body, sink);
        if !self.done {
            self.fail(502, "The provider's answer could not be read.", sink);
        }
    }

    /// An error, or something that is nothing of this protocol.
    fn odd(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        let Ok(value) = serde_json::from_slice::<Value>(data) else {
            return;
        };
        if let Some(error) = read_error(200, &value) {
            self.fault(error, sink);
        } else if value.get("type").and_then(Value::as_str) == Some("error") {
            self.fail(500, "The provider reported an error without details.", sink);
        }
    }

    fn fail(&mut self, status: u16, message: &str, sink: &mut Sink<'_>) {
        let error = UpstreamError {
            status,
            message: message.to_owned(),
            kind: None,
            retry_after: None,
            bad_credential: false,
        };
        self.fault(error, sink);
    }

    fn fault(&mut self, error: UpstreamError, sink: &mut Sink<'_>) {
        self.start(None, None, sink);
        self.close_all(sink);
        self.done = true;
        sink(Event::Fault(error));
    }

    fn start(&mut self, id: Option<Str<'_>>, model: Option<Str<'_>>, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            sink(Event::Start {
                id: text(id),
                model: text(model),
                created: None,
            });
        }
    }

    fn usage(&mut self, raw: Option<&RawValue>, sink: &mut Sink<'_>) {
        let Some(raw) = raw else { return };
        self.start(None, None, sink);
        if let Ok(Served {
            service_tier: Some(Lenient(Some(tier))),
            ..
        }) = serde_json::from_str::<Served<'_>>(raw.get())
        {
            sink(Event::ServiceTier(tier.0));
        }
        if read_usage(raw.get().as_bytes(), &mut self.usage) {
            sink(Event::Usage(self.usage));
        }
    }

    fn next_part(&mut self) -> u32 {
        self.parts += 1;
        self.parts - 1
    }

    fn open_part(&mut self, kind: Open<'_>, sink: &mut Sink<'_>) -> u32 {
        self.start(None, None, sink);
        let part = self.next_part();
        sink(Event::Open {
            part,
            choice: 0,
            kind,
        });
        part
    }

    fn block_start(&mut self, index: u64, block: Block<'_>, sink: &mut Sink<'_>) {
        // An index that is used again begins something new.
        self.block_stop(index, sink);
        let kind = match block.kind.as_deref() {
            Some("text") => {
                let part = self.open_part(Open::Text, sink);
                let citations = block.citations.and_then(|all| all.0);
                for form in citations.into_iter().flatten() {
                    cite(part, form, sink);
                }
                say(part, block.text, sink);
                Kind::Text { part }
            }
            Some("thinking") => {
                let kind = Open::Reasoning {
                    redacted: false,
                    summary: false,
                };
                let part = self.open_part(kind, sink);
                say(part, block.thinking, sink);
                sign(part, block.signature, sink);
                Kind::Thinking { part }
            }
            Some("redacted_thinking") => {
                let kind = Open::Reasoning {
                    redacted: true,
                    summary: false,
                };
                let part = self.open_part(kind, sink);
                sign(part, block.data, sink);
                Kind::Redacted { part }
            }
            Some("tool_use") => {
                let id = match text(block.id.and_then(|id| id.0)) {
                    Some(id) => id,
                    None => Text::Owned(self.ids.next("call_")),
                };
                let name = block.name.unwrap_or_default().0;
                let kind = Open::ToolCall {
                    id,
                    name,
                    custom: false,
                };
                let part = self.open_part(kind, sink);
                self.called = true;
                Kind::ToolUse {
                    part,
                    whole: input(block.input).map(str::to_owned),
                }
            }
            Some(_) | None => Kind::Other,
        };
        self.open.push(OpenBlock { index, kind });
    }

    fn block_delta(&mut self, index: u64, delta: Change<'_>, sink: &mut Sink<'_>) {
        let at = self.open.iter().rposition(|block| block.index == index);
        let open = at.and_then(|at| self.open.get_mut(at));
        let kind = open.map(|block| &mut block.kind);
        match (delta.kind.as_deref(), kind) {
            (_, Some(Kind::Other)) => {}
            (Some("text_delta"), Some(Kind::Text { part })) => say(*part, delta.text, sink),
            (Some("thinking_delta"), Some(Kind::Thinking { part })) => {
                say(*part, delta.thinking, sink);
            }
            (Some("signature_delta"), Some(Kind::Thinking { part } | Kind::Redacted { part })) => {
                sign(*part, delta.signature, sink);
            }
            (Some("citations_delta"), Some(Kind::Text { part })) => {
                if let Some(form) = delta.citation {
                    cite(*part, form, sink);
                }
            }
            (Some("input_json_delta"), Some(Kind::ToolUse { part, whole })) => {
                if let Some(piece) = text(delta.partial_json) {
                    *whole = None;
                    sink(Event::Delta {
                        part: *part,
                        delta: Delta::Arguments(piece),
                    });
                }
            }
            // Text of a block that was not announced, or was as something else.
            (Some("text_delta"), _) if delta.text.as_ref().is_some_and(|t| !t.is_empty()) => {
                self.block_start(index, unannounced("text"), sink);
                self.block_delta(index, delta, sink);
            }
            (Some("thinking_delta"), _)
                if delta.thinking.as_ref().is_some_and(|t| !t.is_empty()) =>
            {
                self.block_start(index, unannounced("thinking"), sink);
                self.block_delta(index, delta, sink);
            }
            (Some(_) | None, _) => {}
        }
    }

    fn block_stop(&mut self, index: u64, sink: &mut Sink<'_>) {
        if let Some(at) = self.open.iter().position(|block| block.index == index) {
            close(self.open.remove(at), sink);
        }
    }

    fn close_all(&mut self, sink: &mut Sink<'_>) {
        for block in self.open.drain(..) {
            close(block, sink);
        }
    }

    fn stopped(
        &mut self,
        reason: Option<Str<'_>>,
        sequence: Option<Str<'_>>,
        details: Option<Lenient<StopDetails<'_>>>,
    ) {
        let Some(written) = text(reason) else { return };
        let reason = match &*written {
            "end_turn" => StopReason::End,
            "max_tokens" => StopReason::MaxTokens,
            "stop_sequence" => StopReason::StopSequence,
            "tool_use" => StopReason::ToolCalls,
            "pause_turn" => StopReason::Paused,
            "refusal" => StopReason::Refusal,
            "model_context_window_exceeded" => StopReason::ContextFull,
            _ => StopReason::Other,
        };
        let detail = match reason {
            StopReason::Refusal => details
                .and_then(|details| details.0)
                .and_then(|details| text(details.explanation).or(text(details.category))),
            StopReason::Other => Some(written),
            StopReason::End
            | StopReason::StopSequence
            | StopReason::MaxTokens
            | StopReason::ToolCalls
            | StopReason::Filtered
            | StopReason::Paused
            | StopReason::ContextFull
            | StopReason::MalformedCall => None,
        };
        let owned = |text: Text<'_>| Text::Owned(text.into_owned());
        self.stop = Some(Stop {
            choice: 0,
            reason,
            sequence: text(sequence).map(owned),
            detail: detail.map(owned),
        });
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        self.start(None, None, sink);
        self.close_all(sink);
        self.done = true;
        let stop = self.stop.take().unwrap_or(Stop {
            choice: 0,
            reason: if self.called {
                StopReason::ToolCalls
            } else {
                StopReason::End
            },
            sequence: None,
            detail: None,
        });
        sink(Event::Stop(stop));
        sink(Event::Finish);
    }
}

fn unannounced(kind: &'static str) -> Block<'static> {
    Block {
        kind: Some(Str(Text::Borrowed(kind))),
        ..Block::default()
    }
}

fn say(part: u32, piece: Option<Str<'_>>, sink: &mut Sink<'_>) {
    if let Some(piece) = text(piece) {
        sink(Event::Delta {
            part,
            delta: Delta::Text(piece),
        });
    }
}

fn sign(part: u32, written: Option<Str<'_>>, sink: &mut Sink<'_>) {
    if let Some(written) = text(written) {
        sink(Event::Delta {
            part,
            delta: Delta::Signature(seal::read(ORIGIN, written)),
        });
    }
}

fn cite(part: u32, form: citation::Form<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta {
        part,
        delta: Delta::Citation(citation::read(form)),
    });
}

fn close(block: OpenBlock, sink: &mut Sink<'_>) {
    let part = match block.kind {
        Kind::Text { part } | Kind::Thinking { part } | Kind::Redacted { part } => part,
        Kind::ToolUse { part, whole } => {
            if let Some(whole) = whole {
                sink(Event::Delta {
                    part,
                    delta: Delta::Arguments(Text::Owned(whole)),
                });
            }
            part
        }
        Kind::Other => return,
    };
    sink(Event::Close { part });
}
