//! Writes an answer as the stream of this protocol (<https://platform.openai.com/docs/api-reference/chat-streaming>), so
//! that what an SDK puts together is what `write_answer` writes.
//!
//! SDKs put lists together by the `index` of their entries, and concatenate texts of one name: an entry of
//! `reasoning_details` or `images` comes once, whole, and citations come all at once, as OpenAI sends them.

use super::detail::{self, Told};
use super::write_answer::{
    answer_id, finish_word, head, next_id, tier_word, write_citation, write_image, write_logprobs,
    write_usage,
};
use crate::base::Usage;
use crate::chat::part::append_base64;
use crate::chat::{Citation, Delta, Event, MediaKind, Open, Signature, Source, Stop, Text, seal};
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

    fn open(&mut self, part: u32, choice: u32, kind: Open<'_>, out: &mut Vec<u8>) {
        let begins = matches!(kind, Open::Text).then_some("");
        self.begin(choice, begins, out);
        let legacy = self.echo.legacy_functions;
        let Some(state) = self.choice(choice) else {
            return;
        };
        let kind = match kind {
            Open::Text => Kind::Text { start: state.text },
            Open::Refusal => Kind::Refusal,
            Open::Reasoning { redacted, summary } => Kind::Reasoning {
                redacted,
                summary,
                start: state.reasoning,
                length: 0,
                said: Some(String::new()),
                signature: None,
            },
            Open::ToolCall { id, name, custom } => {
                let index = state.calls;
                state.calls += 1;
                if legacy && index > 0 {
                    // The old form has room for one.
                    Kind::Silent
                } else {
                    self.open_call(choice, index, &id, &name, custom, out);
                    Kind::Call {
                        index,
                        custom,
                        spoke: false,
                        signature: None,
                    }
                }
            }
            Open::Media(media) => match (media.kind, media.source) {
                (MediaKind::Image, Source::Base64(data)) => Kind::Image {
                    mime: media.mime.map(Text::into_owned),
                    data: data.into_owned(),
                },
                (MediaKind::Image, source) => {
                    self.image(choice, None, &source, out);
                    Kind::Silent
                }
                (MediaKind::Audio, Source::Base64(data)) => {
                    let id = next_id(&mut self.echo.ids, "audio_");
                    self.open_chunk(choice, out);
                    out.extend_from_slice(b"\"audio\":{\"id\":");
                    string(out, &id);
                    out.extend_from_slice(b",\"data\":");
                    string(out, &data);
                    out.extend_from_slice(b",\"transcript\":");
                    string(out, media.transcript.as_deref().unwrap_or_default());
                    out.push(b'}');
                    self.close_chunk(out);
                    Kind::Audio
                }
                (MediaKind::Audio | MediaKind::Video | MediaKind::Document, _) => Kind::Silent,
            },
        };
        let at = part as usize;
        // Numbers are contiguous; one that is not belongs to no reader.
        if at == self.parts.len() {
            self.parts.push(Some(Part { choice, kind }));
        }
    }

    fn open_call(
        &self,
        choice: u32,
        index: u64,
        id: &str,
        name: &str,
        custom: bool,
        out: &mut Vec<u8>,
    ) {
        self.open_chunk(choice, out);
        if self.echo.legacy_functions {
            out.extend_from_slice(b"\"function_call\":{\"name\":");
            string(out, name);
            out.extend_from_slice(b",\"arguments\":\"\"}");
        } else {
            out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
            number(out, index);
            out.extend_from_slice(b",\"id\":");
            string(out, id);
            out.extend_from_slice(if custom {
                b",\"type\":\"custom\",\"custom\":{\"name\":" as &[u8]
            } else {
                b",\"type\":\"function\",\"function\":{\"name\":"
            });
            string(out, name);
            out.extend_from_slice(if custom {
                b",\"input\":\"\"}}]" as &[u8]
            } else {
                b",\"arguments\":\"\"}}]"
            });
        }
        self.close_chunk(out);
    }

    fn call_piece(&self, choice: u32, index: u64, custom: bool, piece: &str, out: &mut Vec<u8>) {
        self.open_chunk(choice, out);
        if self.echo.legacy_functions {
            out.extend_from_slice(b"\"function_call\":{\"arguments\":");
            string(out, piece);
            out.push(b'}');
        } else {
            out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
            number(out, index);
            out.extend_from_slice(if custom {
                b",\"custom\":{\"input\":" as &[u8]
            } else {
                b",\"function\":{\"arguments\":"
            });
            string(out, piece);
            out.extend_from_slice(b"}}]");
        }
        self.close_chunk(out);
    }

    fn image(&mut self, choice: u32, mime: Option<&str>, source: &Source<'_>, out: &mut Vec<u8>) {
        let Some(state) = self.choice(choice) else {
            return;
        };
        let index = state.images;
        state.images += 1;
        self.open_chunk(choice, out);
        out.extend_from_slice(b"\"images\":");
        let mut list = Emit::list(out);
        write_image(&mut list, index, mime, source);
        list.end();
        self.close_chunk(out);
    }

    fn delta(&mut self, part: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        let at = part as usize;
        // Taken out, so that the rest can be used beside it.
        let Some(mut state) = self.parts.get_mut(at).and_then(Option::take) else {
            return;
        };
        let choice = state.choice;
        match (&mut state.kind, delta) {
            (Kind::Text { .. }, Delta::Text(text)) => {
                if let Some(choice) = self.choice(choice) {
                    choice.text += text.chars().count() as u64;
                }
                self.say(choice, b"\"content\":", &text, out);
            }
            (Kind::Text { start }, Delta::Citation(citation)) => {
                let start = *start;
                if let Some(choice) = self.choice(choice) {
                    choice.citations.push((citation.into_owned(), start));
                }
            }
            (Kind::Refusal, Delta::Text(text)) => self.say(choice, b"\"refusal\":", &text, out),
            (Kind::Reasoning { length, said, .. }, Delta::Text(text)) => {
                if said
                    .as_ref()
                    .is_some_and(|said| said.len() + text.len() > MOST_SAID)
                {
                    *said = None;
                }
                if let Some(said) = said {
                    said.push_str(&text);
                }
                let characters = text.chars().count() as u64;
                *length += characters;
                if let Some(choice) = self.choice(choice) {
                    choice.reasoning += characters;
                }
                self.say(choice, b"\"reasoning_content\":", &text, out);
            }
            (
                Kind::Reasoning { signature, .. } | Kind::Call { signature, .. },
                Delta::Signature(more),
            ) => Signature::join(signature, more),
            (
                Kind::Call {
                    index,
                    custom,
                    spoke,
                    ..
                },
                Delta::Arguments(piece),
            ) => {
                *spoke |= !piece.trim().is_empty();
                let (index, custom) = (*index, *custom);
                self.call_piece(choice, index, custom, &piece, out);
            }
            (Kind::Image { data, .. }, Delta::Data(more)) => append_base64(data, &more),
            (Kind::Audio, Delta::Data(data)) => self.audio(choice, b"\"data\":", &data, out),
            (Kind::Audio, Delta::Text(text)) => self.audio(choice, b"\"transcript\":", &text, out),
            // No reader sends these, or this protocol has no place for them.
            (
                Kind::Text { .. }
                | Kind::Refusal
                | Kind::Reasoning { .. }
                | Kind::Call { .. }
                | Kind::Image { .. }
                | Kind::Audio
                | Kind::Silent,
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Citation(_)
                | Delta::Data(_),
            ) => {}
        }
        if let Some(place) = self.parts.get_mut(at) {
            *place = Some(state);
        }
    }

    fn audio(&self, choice: u32, field: &[u8], text: &str, out: &mut Vec<u8>) {
        self.open_chunk(choice, out);
        out.extend_from_slice(b"\"audio\":{");
        out.extend_from_slice(field);
        string(out, text);
        out.push(b'}');
        self.close_chunk(out);
    }

    fn close(&mut self, part: u32, out: &mut Vec<u8>) {
        let Some(state) = self.parts.get_mut(part as usize).and_then(Option::take) else {
            return;
        };
        let choice = state.choice;
        match state.kind {
            Kind::Text { .. } | Kind::Refusal | Kind::Silent => {}
            Kind::Reasoning {
                redacted,
                summary,
                start,
                length,
                said,
                signature,
            } => {
                if signature.is_none() {
                    return;
                }
                let Some(state) = self.choice(choice) else {
                    return;
                };
                let index = state.details;
                state.details += 1;
                self.open_chunk(choice, out);
                out.extend_from_slice(b"\"reasoning_details\":[");
                detail::entry(
                    out,
                    index,
                    // Some put only the last piece of `reasoning_content` into the message that they keep.
                    said.as_deref()
                        .map_or(Told::Span(start, length), Told::Whole),
                    signature.as_ref(),
                    (redacted, summary),
                );
                out.push(b']');
                self.close_chunk(out);
            }
            Kind::Call {
                index,
                custom,
                spoke,
                signature,
            } => {
                if !custom && !spoke {
                    self.call_piece(choice, index, custom, "{}", out);
                }
                if let Some(signature) = signature.filter(|_| !self.echo.legacy_functions) {
                    self.open_chunk(choice, out);
                    out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                    number(out, index);
                    out.extend_from_slice(
                        b",\"function\":{\"arguments\":\"\"},\"extra_content\":{\"google\":{\"thought_signature\":",
                    );
                    string(out, &seal::write("gemini", &signature));
                    out.extend_from_slice(b"}}}]");
                    self.close_chunk(out);
                }
            }
            Kind::Image { mime, data } => {
                let source = Source::Base64(Text::Owned(data));
                self.image(choice, mime.as_deref(), &source, out);
            }
            Kind::Audio => {
                self.open_chunk(choice, out);
                // Nobody keeps it: it cannot be referred to.
                out.extend_from_slice(b"\"audio\":{\"expires_at\":");
                number(out, self.created);
                out.push(b'}');
                self.close_chunk(out);
            }
        }
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
