//! An answer, streamed to a client of this protocol (<https://docs.anthropic.com/en/api/messages-streaming>).
//!
//! Blocks come one after another, numbered without gaps. Parts that interleave are put in a row: the first that was opened
//! streams, the others wait until it is closed.

mod block;

use std::collections::VecDeque;

use super::json::text;
use super::thought;
use super::write_body::{self, Bill};
use crate::base::{Ids, Usage};
use crate::chat::{Citation, Delta, Event, Media, Open, Signature, Stop, StopReason};
use crate::dialect::translate::Echo;

use block::{SIGNATURE, stop_block, write_delta};

#[derive(Debug)]
pub struct Writer {
    ids: Ids,
    model: String,
    bill: Bill,
    /// The provider's, where it has this protocol's form.
    id: Option<String>,
    /// `message_start` is out.
    started: bool,
    next: Place,
    called: bool,
    current: Option<Block>,
    waiting: VecDeque<Waiting>,
    stop: Option<Stop<'static>>,
}

/// Where the next block goes.
#[derive(Debug, Default)]
struct Place {
    number: u64,
    /// The last block is a thought that nobody signed, and still open: a call behind it may bring a signature.
    unsigned: bool,
}

impl Place {
    /// Number of the block that was begun last.
    fn last(&self) -> u64 {
        self.number.saturating_sub(1)
    }

    /// Ends an unsigned thought with this signature; `false`: there is none.
    fn close_thought(&mut self, out: &mut Vec<u8>, signature: impl FnOnce() -> String) -> bool {
        let is_open = std::mem::take(&mut self.unsigned);
        if is_open {
            write_delta(out, self.last(), SIGNATURE, &signature());
            stop_block(out, self.last());
        }
        is_open
    }
}

/// The part that is being streamed.
#[derive(Debug)]
struct Block {
    part: u32,
    kind: Kind,
    /// `content_block_start` is out: a block begins with its first content, so that there are no empty ones.
    begun: bool,
    signature: Option<Signature<'static>>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking {
        has_text: bool,
    },
    Redacted,
    ToolUse {
        id: String,
        name: String,
        /// The first piece of its arguments is held until the next word of this part: a signature stands before the call.
        held: Option<String>,
    },
    /// A free-form call, whose text becomes the input's only field.
    Custom {
        id: String,
        name: String,
        text: String,
    },
    /// What says that there was an image; behind it, what was said in audio.
    Note {
        note: String,
        has_transcript: bool,
    },
}

/// A part that waits for its turn, with what has come of it.
#[derive(Debug)]
struct Waiting {
    block: Block,
    text: String,
    citations: Vec<Citation<'static>>,
    closed: bool,
}

impl Writer {
    pub fn new(echo: Echo) -> Self {
        Self {
            ids: echo.ids.unwrap_or_else(|| Ids::new(echo.now)),
            model: echo.model,
            bill: Bill::new(echo.input_estimate),
            id: None,
            started: false,
            next: Place::default(),
            called: false,
            current: None,
            waiting: VecDeque::new(),
            stop: None,
        }
    }

    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        match event {
            // The message begins with what comes next, so that its usage is in it where it comes at once.
            Event::Start { id, .. } => {
                self.id = id.filter(|id| id.starts_with("msg_")).map(Into::into);
            }
            Event::Open {
                part,
                choice: 0,
                kind,
            } => self.open(part, kind, out),
            Event::Delta { part, delta } => self.delta(part, delta, out),
            Event::Close { part } => self.close(part, out),
            Event::Usage(usage) => self.usage(usage),
            Event::ServiceTier(tier) => self.bill.tier = write_body::tier(&tier),
            Event::Ping => {
                self.start(out);
                out.extend_from_slice(b"event: ping\ndata: {\"type\": \"ping\"}\n\n");
            }
            Event::Stop(stop) if stop.choice == 0 => {
                self.stop = Some(Stop {
                    choice: 0,
                    reason: stop.reason,
                    sequence: stop.sequence.map(|text| text.into_owned().into()),
                    detail: stop.detail.map(|text| text.into_owned().into()),
                });
            }
            Event::Finish => self.finish(out),
            // The protocol has one answer, and no probabilities. A fault is written by whoever ends the stream.
            Event::Open { .. } | Event::Logprobs { .. } | Event::Stop(_) | Event::Fault(_) => {}
        }
    }

    fn usage(&mut self, usage: Usage) {
        self.bill.usage = Some(usage);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        let id = match self.id.take() {
            Some(id) => id,
            None => self.ids.next("msg_"),
        };
        out.extend_from_slice(
            b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":",
        );
        text(out, &id);
        out.extend_from_slice(br#","type":"message","role":"assistant","model":"#);
        text(out, &self.model);
        out.extend_from_slice(br#","content":[],"stop_reason":null,"stop_sequence":null"#);
        self.bill.write_start(out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn open(&mut self, part: u32, kind: Open<'_>, out: &mut Vec<u8>) {
        self.start(out);
        let kind = match kind {
            Open::Text | Open::Refusal => Kind::Text,
            Open::Reasoning { redacted: true, .. } => Kind::Redacted,
            Open::Reasoning {
                redacted: false, ..
            } => Kind::Thinking { has_text: false },
            Open::ToolCall {
                id,
                name,
                custom: false,
            } => Kind::ToolUse {
                id: id.into_owned(),
                name: name.into_owned(),
                held: None,
            },
            Open::ToolCall {
                id,
                name,
                custom: true,
            } => Kind::Custom {
                id: id.into_owned(),
                name: name.into_owned(),
                text: String::new(),
            },
            Open::Media(media) => note(&media),
        };
        let block = Block {
            part,
            kind,
            begun: false,
            signature: None,
        };
        if self.current.is_none() && self.waiting.is_empty() {
            self.current = Some(block);
        } else {
            self.waiting.push_back(Waiting {
                block,
                text: String::new(),
                citations: Vec::new(),
                closed: false,
            });
        }
    }

    fn delta(&mut self, part: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        match &mut self.current {
            Some(block) if block.part == part => match delta {
                Delta::Text(piece) | Delta::Arguments(piece) => {
                    self.bill.output_bytes += piece.len() as u64;
                    block.say(&piece, &mut self.next, out);
                }
                Delta::Citation(citation) => block.cite(&citation, &mut self.next, out),
                Delta::Signature(more) => block.sign(more),
                // Images and audio cannot be shown.
                Delta::Data(_) => {}
            },
            Some(_) | None => {
                let waiting = self.waiting.iter_mut().find(|one| one.block.part == part);
                let Some(waiting) = waiting else { return };
                match delta {
                    Delta::Text(piece) | Delta::Arguments(piece) => {
                        self.bill.output_bytes += piece.len() as u64;
                        waiting.text.push_str(&piece);
                    }
                    Delta::Citation(citation) => {
                        waiting.citations.push(write_body::own(&citation));
                    }
                    Delta::Signature(more) => waiting.block.sign(more),
                    Delta::Data(_) => {}
                }
            }
        }
    }

    fn close(&mut self, part: u32, out: &mut Vec<u8>) {
        match &self.current {
            Some(block) if block.part == part => self.advance(out),
            Some(_) | None => {
                if let Some(waiting) = self.waiting.iter_mut().find(|one| one.block.part == part) {
                    waiting.closed = true;
                }
            }
        }
    }

    /// Ends the current block; what waited behind it comes up, until one is not yet closed.
    fn advance(&mut self, out: &mut Vec<u8>) {
        if let Some(block) = self.current.take() {
            self.end_block(block, out);
        }
        while let Some(Waiting {
            mut block,
            text,
            citations,
            closed,
        }) = self.waiting.pop_front()
        {
            for citation in &citations {
                block.cite(citation, &mut self.next, out);
            }
            block.say(&text, &mut self.next, out);
            if !closed {
                self.current = Some(block);
                return;
            }
            self.end_block(block, out);
        }
    }

    fn end_block(&mut self, mut block: Block, out: &mut Vec<u8>) {
        self.called |= matches!(block.kind, Kind::ToolUse { .. } | Kind::Custom { .. });
        if matches!(block.kind, Kind::ToolUse { held: None, .. }) && !block.begun {
            // No arguments stand for `{}`.
            self.bill.output_bytes += 2;
        }
        block.end(&mut self.next, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        while self.current.is_some() || !self.waiting.is_empty() {
            self.advance(out);
        }
        self.next.close_thought(out, thought::of_nobody);
        let stop = self.stop.take();
        let reason = stop.as_ref().map_or(StopReason::End, |stop| stop.reason);
        out.extend_from_slice(
            b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{",
        );
        write_body::write_stop(
            out,
            reason,
            stop.as_ref().and_then(|stop| stop.sequence.as_deref()),
            stop.as_ref().and_then(|stop| stop.detail.as_deref()),
            self.called,
        );
        out.push(b'}');
        self.bill.write_end(out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}

/// What says that media came, which this protocol cannot show.
fn note(media: &Media<'_>) -> Kind {
    let mut note = write_body::media_note(media);
    let has_transcript = media.transcript.as_ref().is_some_and(|t| !t.is_empty());
    if let Some(transcript) = media.transcript.as_deref().filter(|_| has_transcript) {
        note.push('\n');
        note.push_str(transcript);
    }
    Kind::Note {
        note,
        has_transcript,
    }
}
