//! An answer, streamed to a client of this protocol (<https://docs.anthropic.com/en/api/messages-streaming>).
//!
//! Blocks come one after another, numbered without gaps. Parts that interleave are put in a row: the first that was opened
//! streams, the others wait until it is closed.

use std::collections::VecDeque;

use super::json::{inside, key, number, number_field, text, text_field};
use super::write_body::{self, Bill};
use super::{citation, thought};
use crate::base::{Ids, Usage};
use crate::chat::seal;
use crate::chat::{Citation, Delta, Event, Media, Open, Signature, Stop, StopReason};
use crate::dialect::translate::Echo;

use super::ORIGIN;

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

impl Block {
    /// Signatures may come in pieces; they go out in one.
    fn sign(&mut self, more: Signature<'_>) {
        match &mut self.signature {
            Some(signature) => signature.data.to_mut().push_str(&more.data),
            None => self.signature = Some(more.into_owned()),
        }
    }

    fn say(&mut self, piece: &str, next: &mut Place, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        match &mut self.kind {
            Kind::Text => {
                self.begin(next, out);
                write_delta(out, next.last(), br#""text_delta","text":"#, piece);
            }
            Kind::Thinking { has_text } => {
                *has_text = true;
                self.begin(next, out);
                write_delta(out, next.last(), br#""thinking_delta","thinking":"#, piece);
            }
            Kind::ToolUse { held, .. } => {
                if !self.begun && held.is_none() && self.signature.is_none() {
                    *held = Some(piece.to_owned());
                    return;
                }
                self.begin(next, out);
                write_delta(out, next.last(), INPUT, piece);
            }
            Kind::Custom { text, .. } => text.push_str(piece),
            Kind::Note { has_transcript, .. } => {
                let is_first = !std::mem::replace(has_transcript, true);
                self.begin(next, out);
                if is_first {
                    write_delta(out, next.last(), br#""text_delta","text":"#, "\n");
                }
                write_delta(out, next.last(), br#""text_delta","text":"#, piece);
            }
            // Encrypted: there is no text.
            Kind::Redacted => {}
        }
    }

    fn cite(&mut self, citation: &Citation<'_>, next: &mut Place, out: &mut Vec<u8>) {
        if !matches!(self.kind, Kind::Text) {
            return;
        }
        self.begin(next, out);
        delta_head(out, next.last());
        out.extend_from_slice(br#""citations_delta","citation":"#);
        citation::write(out, citation);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Writes the block's start, unless it is out.
    fn begin(&mut self, next: &mut Place, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        match &mut self.kind {
            Kind::Text => start_block(out, next, |out| {
                out.extend_from_slice(br#""text","text":"""#);
            }),
            Kind::Thinking { .. } => start_thinking(out, next),
            Kind::Redacted => {
                let signature = self.signature.as_ref();
                start_block(out, next, |out| {
                    out.extend_from_slice(br#""redacted_thinking""#);
                    let data = signature.map(|signature| seal::write(ORIGIN, signature));
                    text_field(out, "data", data.as_deref().unwrap_or_default());
                });
            }
            Kind::ToolUse { id, name, held } => {
                if let Some(signature) = self.signature.take() {
                    sign_call(out, next, &signature);
                }
                start_call(out, next, id, name);
                if let Some(first) = held.take() {
                    write_delta(out, next.last(), INPUT, &first);
                }
            }
            Kind::Custom { id, name, text } => {
                if let Some(signature) = self.signature.take() {
                    sign_call(out, next, &signature);
                }
                start_call(out, next, id, name);
                let mut input = br#"{"input":""#.to_vec();
                inside(&mut input, text);
                input.extend_from_slice(b"\"}");
                let input = String::from_utf8(input).unwrap_or_default();
                write_delta(out, next.last(), INPUT, &input);
            }
            Kind::Note { note, .. } => {
                start_block(out, next, |out| {
                    out.extend_from_slice(br#""text","text":"""#);
                });
                write_delta(out, next.last(), br#""text_delta","text":"#, note);
            }
        }
    }

    fn end(&mut self, next: &mut Place, out: &mut Vec<u8>) {
        match &self.kind {
            // These are something even without content.
            Kind::ToolUse { .. } | Kind::Custom { .. } | Kind::Note { .. } => {
                self.begin(next, out);
            }
            Kind::Thinking { .. } | Kind::Redacted if self.signature.is_some() => {
                self.begin(next, out);
            }
            Kind::Text | Kind::Thinking { .. } | Kind::Redacted => {}
        }
        if let (Kind::Thinking { has_text }, Some(signature)) = (&self.kind, &self.signature) {
            let written = thought::of_thought(*has_text, signature);
            write_delta(out, next.last(), SIGNATURE, &written);
        }
        if self.begun {
            if matches!(self.kind, Kind::Thinking { .. }) && self.signature.is_none() {
                next.unsigned = true;
                return;
            }
            stop_block(out, next.last());
        }
        match self.kind {
            Kind::ToolUse { .. } | Kind::Custom { .. } => {
                if let Some(signature) = &self.signature {
                    lone_signature(out, next, &thought::of_what_is_before(signature));
                }
            }
            // The protocol has no place for the signature of a text, and nobody demands it back.
            Kind::Text | Kind::Thinking { .. } | Kind::Redacted | Kind::Note { .. } => {}
        }
    }
}

const INPUT: &[u8] = br#""input_json_delta","partial_json":"#;
const SIGNATURE: &[u8] = br#""signature_delta","signature":"#;

fn start_block(out: &mut Vec<u8>, next: &mut Place, content: impl FnOnce(&mut Vec<u8>)) {
    next.close_thought(out, thought::of_nobody);
    out.extend_from_slice(
        b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
    );
    number(out, next.number);
    next.number += 1;
    out.extend_from_slice(br#","content_block":{"type":"#);
    content(out);
    out.extend_from_slice(b"}}\n\n");
}

fn start_thinking(out: &mut Vec<u8>, next: &mut Place) {
    start_block(out, next, |out| {
        out.extend_from_slice(br#""thinking","thinking":"","signature":"""#);
    });
}

fn start_call(out: &mut Vec<u8>, next: &mut Place, id: &str, name: &str) {
    start_block(out, next, |out| {
        out.extend_from_slice(br#""tool_use""#);
        text_field(out, "id", id);
        text_field(out, "name", name);
        key(out, "input");
        out.extend_from_slice(b"{}");
    });
}

/// The signature of a call goes into the unsigned thought before it, or into a block of its own.
fn sign_call(out: &mut Vec<u8>, next: &mut Place, signature: &Signature<'_>) {
    if !next.close_thought(out, || thought::of_call_behind(signature)) {
        lone_signature(out, next, &thought::of_call(signature));
    }
}

/// A thinking block that only carries the signature of something else.
fn lone_signature(out: &mut Vec<u8>, next: &mut Place, written: &str) {
    start_thinking(out, next);
    write_delta(out, next.last(), SIGNATURE, written);
    stop_block(out, next.last());
}

fn stop_block(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\"");
    number_field(out, "index", index);
    out.extend_from_slice(b"}\n\n");
}

fn delta_head(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
    );
    number(out, index);
    out.extend_from_slice(br#","delta":{"type":"#);
}

/// `kind`: the delta's type and the name of its only field.
fn write_delta(out: &mut Vec<u8>, index: u64, kind: &[u8], piece: &str) {
    delta_head(out, index);
    out.extend_from_slice(kind);
    text(out, piece);
    out.extend_from_slice(b"}}\n\n");
}
