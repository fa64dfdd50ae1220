//! What ends a part, and the item that it stands in.

use super::{Writer, end};
use crate::chat::Signature;
use crate::dialect::openai_responses::thought;
use crate::dialect::openai_responses::write_item::{Body, Item, summary_text};
use crate::wire::emit::{number, string};

impl Writer {
    pub(super) fn close(&mut self, place: (usize, usize), out: &mut Vec<u8>) {
        let at = place.0;
        let Some(item) = self.items.get_mut(at).filter(|item| item.open > 0) else {
            return;
        };
        item.open -= 1;
        match &item.body {
            Body::Message(_) => self.close_content(place, out),
            Body::Reasoning(thought) => {
                if thought.shown {
                    self.close_thought(at, out);
                }
            }
            Body::Call(_) => self.close_call(at, out),
            Body::Image(_) => {
                self.item_head("response.image_generation_call.completed", at, out);
                end(out);
            }
        }
        // The last one may yet get more, or be cut.
        if at + 1 < self.items.len() {
            self.item_done(at, "completed", out);
        }
    }

    fn close_content(&mut self, place: (usize, usize), out: &mut Vec<u8>) {
        let length = self
            .content(place)
            .map_or(0, |content| content.text.chars().count() as u64);
        let (due, later) = std::mem::take(&mut self.cited)
            .into_iter()
            .partition(|(item, content, _)| (*item, *content) == place);
        self.cited = later;
        for (_, _, citation) in due {
            self.annotate(place, &citation, length, out);
        }
        let Some(content) = self.content(place).map(std::mem::take) else {
            return;
        };
        if content.refusal {
            self.content_head("response.refusal.done", place, out);
            out.extend_from_slice(b",\"refusal\":");
            string(out, &content.text);
        } else {
            self.content_head("response.output_text.done", place, out);
            out.extend_from_slice(b",\"text\":");
            string(out, &content.text);
            out.extend_from_slice(b",\"logprobs\":[");
            out.extend_from_slice(&content.logprobs);
            out.push(b']');
        }
        end(out);
        self.content_head("response.content_part.done", place, out);
        out.extend_from_slice(b",\"part\":");
        content.write(out);
        end(out);
        if let Some(slot) = self.content(place) {
            *slot = content;
        }
    }

    fn close_thought(&mut self, at: usize, out: &mut Vec<u8>) {
        let text = match self.items.get_mut(at).map(|item| &mut item.body) {
            Some(Body::Reasoning(thought)) => std::mem::take(&mut thought.text),
            Some(Body::Message(_) | Body::Call(_) | Body::Image(_)) | None => return,
        };
        self.item_head("response.reasoning_summary_text.done", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"text\":");
        string(out, &text);
        end(out);
        self.item_head("response.reasoning_summary_part.done", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"part\":");
        summary_text(out, &text);
        end(out);
        if let Some(Item {
            body: Body::Reasoning(thought),
            ..
        }) = self.items.get_mut(at)
        {
            thought.text = text;
        }
    }

    fn close_call(&mut self, at: usize, out: &mut Vec<u8>) {
        let (custom, blank) = match self.items.get(at).map(|item| &item.body) {
            Some(Body::Call(call)) => (call.custom, call.arguments.is_empty()),
            Some(Body::Message(_) | Body::Reasoning(_) | Body::Image(_)) | None => return,
        };
        if blank && !custom {
            // What is put together from the pieces is then what the whole says.
            self.argue(at, "{}", out);
        }
        let name = if custom {
            "response.custom_tool_call_input.done"
        } else {
            "response.function_call_arguments.done"
        };
        self.item_head(name, at, out);
        if let Some(Item {
            body: Body::Call(call),
            ..
        }) = self.items.get(at)
        {
            if custom {
                out.extend_from_slice(b",\"input\":");
            } else {
                out.extend_from_slice(b",\"name\":");
                string(out, &call.name);
                out.extend_from_slice(b",\"arguments\":");
            }
            string(out, call.written());
        }
        end(out);
    }

    /// Ends an item that is closed and has not ended.
    pub(in crate::dialect::openai_responses) fn item_done(
        &mut self,
        at: usize,
        status: &str,
        out: &mut Vec<u8>,
    ) {
        let Some(item) = self
            .items
            .get_mut(at)
            .filter(|item| item.open == 0 && !item.done)
        else {
            return;
        };
        item.done = true;
        if let Body::Reasoning(thought) = &mut item.body {
            // Who asks for it waits for it, also where its maker signs nothing.
            let unsigned = (self.repeat.encrypted && thought.sealed.is_none())
                .then(|| Signature::new(thought::NOBODY, ""));
            if let Some(signature) = thought.signature.as_ref().or(unsigned.as_ref()) {
                thought.sealed = Some(thought::seal_reasoning(
                    &thought.text,
                    thought.redacted,
                    thought.summary,
                    signature,
                ));
            }
        }
        self.head("response.output_item.done", out);
        out.extend_from_slice(b",\"output_index\":");
        number(out, at as u64);
        out.extend_from_slice(b",\"item\":");
        if let Some(item) = self.items.get(at) {
            item.write(out, status, true);
        }
        end(out);
    }
}
