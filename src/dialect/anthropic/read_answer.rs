//! A provider's answer, streamed or whole, read into events (<https://docs.anthropic.com/en/api/messages-streaming>).

mod blocks;
mod wire;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{read_error, read_usage};
use crate::base::{Ids, UpstreamError, Usage};
use crate::chat::{Event, Open, Stop, StopReason, Text};
use crate::dialect::translate::Sink;
use crate::wire::read::{Lenient, Str};

use wire::{Block, Frame, Message, Served, StopDetails};

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
        let error = UpstreamError::new(status, message);
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
