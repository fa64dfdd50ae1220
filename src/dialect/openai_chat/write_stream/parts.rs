//! The parts of a choice as they are opened, grow and end.

use super::{Kind, MOST_SAID, Part, Writer};
use crate::chat::part::append_base64;
use crate::chat::{Delta, MediaKind, Open, Signature, Source, Text, seal};
use crate::dialect::openai_chat::detail::{self, Told};
use crate::dialect::openai_chat::write_answer::{next_id, write_image};
use crate::wire::emit::{Emit, number, string};

impl Writer {
    pub(super) fn open(&mut self, part: u32, choice: u32, kind: Open<'_>, out: &mut Vec<u8>) {
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

    pub(super) fn delta(&mut self, part: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
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

    pub(super) fn close(&mut self, part: u32, out: &mut Vec<u8>) {
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
}
