//! Writes an answer as the stream of this protocol (<https://platform.openai.com/docs/api-reference/chat-streaming>), so
//! that what an SDK puts together is what `write_answer` writes.
//!
//! SDKs put lists together by the `index` of their entries, and concatenate texts of one name: an entry of
//! `reasoning_details` or `images` comes once, whole, and citations come all at once, as OpenAI sends them.

mod parts;

use super::write_answer::{
    answer_id, finish_word, head, tier_word, write_citation, write_logprobs, write_usage,
};
use crate::base::Usage;
use crate::chat::{Citation, Event, Signature, Stop};
use crate::dialect::translate::Echo;
use crate::wire::emit::{Emit, number, string};

/// Reasoning that is longer is not kept to be repeated beside its signature: where it stands is told instead.
const MOST_SAID: usize = 256 << 10;

#[derive(Debug)]
pub struct Writer {
    echo: Echo,
    /// What each chunk begins with, up to its choices.
    head: Vec<u8>,
    created: u64,
    parts: Vec<Option<Part>>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Choice {
    /// The chunk with the role is out.
    begun: bool,
    calls: u64,
    details: u64,
    images: u64,
    /// Characters so far: of text, and of reasoning.
    text: u64,
    reasoning: u64,
    citations: Vec<(Citation<'static>, u64)>,
}

#[derive(Debug)]
struct Part {
    choice: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Where it begins in the message.
    Text {
        start: u64,
    },
    Refusal,
    Reasoning {
        redacted: bool,
        summary: bool,
        start: u64,
        length: u64,
        /// As much as is kept; `None`: it was too long.
        said: Option<String>,
        signature: Option<Signature<'static>>,
    },
    Call {
        index: u64,
        custom: bool,
        spoke: bool,
        signature: Option<Signature<'static>>,
    },
    /// Its data so far: an image is shown whole.
    Image {
        mime: Option<String>,
        data: String,
    },
    Audio,
    /// What this protocol has no place for.
    Silent,
}

impl Writer {
    pub fn new(echo: Echo) -> Self {
        Self {
            created: echo.now,
            echo,
            head: Vec::new(),
            parts: Vec::new(),
            choices: Vec::new(),
            usage: None,
        }
    }

    /// Appends what the event is in this protocol.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, created, .. } => self.start(id.as_deref(), created),
            Event::Open { part, choice, kind } => self.open(part, choice, kind, out),
            Event::Delta { part, delta } => self.delta(part, delta, out),
            Event::Close { part } => self.close(part, out),
            Event::Logprobs { choice, tokens } => {
                self.begin(choice, Some(""), out);
                self.open_chunk(choice, out);
                out.extend_from_slice(b"},\"logprobs\":");
                write_logprobs(out, &tokens);
                out.extend_from_slice(b",\"finish_reason\":null}]");
                self.end_chunk(out);
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::ServiceTier(tier) => {
                if let Some(word) = tier_word(&tier)
                    && !self.head.is_empty()
                    && memchr::memmem::find(&self.head, b"\"service_tier\":").is_none()
                {
                    self.head.extend_from_slice(b"\"service_tier\":\"");
                    self.head.extend_from_slice(word.as_bytes());
                    self.head.extend_from_slice(b"\",");
                }
            }
            Event::Stop(stop) => self.stop(&stop, out),
            Event::Finish => self.finish(out),
            // The caller ends a broken stream.
            Event::Ping | Event::Fault(_) => {}
        }
    }

    fn start(&mut self, id: Option<&str>, created: Option<u64>) {
        let id = answer_id(id, &mut self.echo.ids);
        self.created = created.unwrap_or(self.echo.now);
        let mut bytes = b"data: ".to_vec();
        let mut object = Emit::object(&mut bytes);
        head(
            &mut object,
            &id,
            "chat.completion.chunk",
            self.created,
            &self.echo.model,
        );
        bytes.push(b',');
        self.head = bytes;
    }

    /// Begins a chunk, up to the first field of its delta.
    fn open_chunk(&self, choice: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"\"choices\":[{\"index\":");
        number(out, u64::from(choice));
        out.extend_from_slice(b",\"delta\":{");
    }

    fn close_chunk(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":null}]");
        self.end_chunk(out);
    }

    fn end_chunk(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.echo.include_usage {
            b",\"usage\":null}\n\n"
        } else {
            b"}\n\n"
        });
    }

    /// A chunk whose delta is one text.
    fn say(&self, choice: u32, field: &[u8], text: &str, out: &mut Vec<u8>) {
        self.open_chunk(choice, out);
        out.extend_from_slice(field);
        string(out, text);
        self.close_chunk(out);
    }

    fn choice(&mut self, choice: u32) -> Option<&mut Choice> {
        let at = choice as usize;
        if at >= 128 {
            return None;
        }
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        self.choices.get_mut(at)
    }

    /// The chunk with the role, once. Content that there is none of is null, as in the whole answer.
    fn begin(&mut self, choice: u32, content: Option<&str>, out: &mut Vec<u8>) {
        match self.choice(choice) {
            Some(choice) if !choice.begun => choice.begun = true,
            Some(_) | None => return,
        }
        self.open_chunk(choice, out);
        out.extend_from_slice(b"\"role\":\"assistant\",\"content\":");
        match content {
            Some(text) => string(out, text),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"refusal\":null");
        self.close_chunk(out);
    }

    fn stop(&mut self, stop: &Stop<'_>, out: &mut Vec<u8>) {
        self.begin(stop.choice, None, out);
        let citations = self
            .choice(stop.choice)
            .map(|choice| std::mem::take(&mut choice.citations))
            .unwrap_or_default();
        if !citations.is_empty() {
            self.open_chunk(stop.choice, out);
            out.extend_from_slice(b"\"annotations\":");
            let mut list = Emit::list(out);
            for (citation, before) in &citations {
                write_citation(&mut list, citation, *before);
            }
            list.end();
            self.close_chunk(out);
        }
        self.open_chunk(stop.choice, out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        let word = finish_word(Some(stop.reason), self.echo.legacy_functions);
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\"}]");
        self.end_chunk(out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.echo.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"\"choices\":[],\"usage\":");
            write_usage(out, &usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

#[cfg(test)]
mod tests;
