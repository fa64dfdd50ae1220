//! What an open part gets: more of its text, its citations, tokens, signature.

use super::{Writer, end};
use crate::chat::event::TokenLogprob;
use crate::chat::part::append_base64;
use crate::chat::{Citation, Delta, Signature};
use crate::dialect::openai_responses::write_item::{Body, Content, Item, logprobs};
use crate::dialect::openai_responses::write_items::annotation;
use crate::wire::emit::{number, string};

impl Writer {
    pub(super) fn delta(&mut self, place: (usize, usize), delta: Delta<'_>, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(place.0) else {
            return;
        };
        match (&mut item.body, delta) {
            (Body::Message(_), Delta::Text(more)) => self.say(place, &more, out),
            (Body::Message(_), Delta::Citation(citation)) => self.cite(place, citation, out),
            (Body::Message(contents), Delta::Signature(signature)) => {
                if let Some(content) = contents.get_mut(place.1) {
                    Signature::join(&mut content.signature, signature);
                }
            }
            (Body::Reasoning(_), Delta::Text(more)) => self.think(place.0, &more, out),
            (Body::Reasoning(thought), Delta::Signature(signature)) => {
                Signature::join(&mut thought.signature, signature);
            }
            (Body::Call(_), Delta::Arguments(more)) => self.argue(place.0, &more, out),
            (Body::Call(call), Delta::Signature(signature)) => {
                Signature::join(&mut call.signature, signature);
            }
            (Body::Image(image), Delta::Data(more)) => append_base64(&mut image.data, &more),
            // No reader sends these; the data of audio has no field.
            (
                Body::Message(_) | Body::Reasoning(_) | Body::Call(_) | Body::Image(_),
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Citation(_)
                | Delta::Data(_),
            ) => {}
        }
    }

    pub(super) fn content(&mut self, (item, content): (usize, usize)) -> Option<&mut Content> {
        match &mut self.items.get_mut(item)?.body {
            Body::Message(contents) => contents.get_mut(content),
            Body::Reasoning(_) | Body::Call(_) | Body::Image(_) => None,
        }
    }

    pub(super) fn say(&mut self, place: (usize, usize), more: &str, out: &mut Vec<u8>) {
        if more.is_empty() {
            return;
        }
        let Some(content) = self.content(place) else {
            return;
        };
        content.text.push_str(more);
        if content.refusal {
            self.content_head("response.refusal.delta", place, out);
            out.extend_from_slice(b",\"delta\":");
            string(out, more);
        } else {
            self.content_head("response.output_text.delta", place, out);
            out.extend_from_slice(b",\"delta\":");
            string(out, more);
            out.extend_from_slice(b",\"logprobs\":[]");
        }
        end(out);
    }

    /// Tokens come behind their text: they get an event without more of it.
    pub(super) fn logprobs(&mut self, tokens: &[TokenLogprob<'_>], out: &mut Vec<u8>) {
        let Some(place) = self.text else { return };
        let is_open = self.items.get(place.0).is_some_and(|item| item.open > 0);
        let mut written = Vec::new();
        logprobs(&mut written, tokens);
        let Some(content) = self.content(place).filter(|_| !written.is_empty()) else {
            return;
        };
        if !content.logprobs.is_empty() {
            content.logprobs.push(b',');
        }
        content.logprobs.extend_from_slice(&written);
        if is_open {
            self.content_head("response.output_text.delta", place, out);
            out.extend_from_slice(b",\"delta\":\"\",\"logprobs\":[");
            out.extend_from_slice(&written);
            out.push(b']');
            end(out);
        }
    }

    pub(super) fn cite(
        &mut self,
        place: (usize, usize),
        citation: Citation<'_>,
        out: &mut Vec<u8>,
    ) {
        if citation.span.is_some() {
            self.annotate(place, &citation, 0, out);
        } else {
            self.cited.push((place.0, place.1, citation.into_owned()));
        }
    }

    pub(super) fn annotate(
        &mut self,
        place: (usize, usize),
        citation: &Citation<'_>,
        length: u64,
        out: &mut Vec<u8>,
    ) {
        let Some(content) = self.content(place).filter(|content| !content.refusal) else {
            return;
        };
        let index = content.cited;
        content.cited += 1;
        if index > 0 {
            content.annotations.push(b',');
        }
        let mut written = Vec::new();
        annotation(&mut written, citation, length);
        content.annotations.extend_from_slice(&written);
        self.content_head("response.output_text.annotation.added", place, out);
        out.extend_from_slice(b",\"annotation_index\":");
        number(out, index);
        out.extend_from_slice(b",\"annotation\":");
        out.extend_from_slice(&written);
        end(out);
    }

    pub(super) fn think(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(Item {
            body: Body::Reasoning(thought),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if more.is_empty() {
            return;
        }
        let first = !thought.shown;
        thought.shown = true;
        thought.text.push_str(more);
        if first {
            self.item_head("response.reasoning_summary_part.added", at, out);
            out.extend_from_slice(
                b",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}",
            );
            end(out);
        }
        self.item_head("response.reasoning_summary_text.delta", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"delta\":");
        string(out, more);
        end(out);
    }

    pub(super) fn argue(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(Item {
            body: Body::Call(call),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if more.is_empty() {
            return;
        }
        call.arguments.push_str(more);
        let name = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.item_head(name, at, out);
        out.extend_from_slice(b",\"delta\":");
        string(out, more);
        end(out);
    }
}
