//! What the provider tells of the items of its output, one by one and at the end.

use serde_json::value::RawValue;

use super::{Reader, Response, Told};
use crate::dialect::openai_responses::read_item::{Item, Kind, Out, What, Written, count, filled};
use crate::dialect::translate::Sink;

/// More items than this in one answer are none that a model made.
const MOST_ITEMS: usize = 1 << 14;

impl Reader {
    pub(super) fn in_item(&mut self, word: &str, mut told: Told<'_>, sink: &mut Sink<'_>) {
        // What an event without its item's start tells of its kind.
        let kind =
            match word {
                "response.output_item.added" | "response.output_item.done" => Kind::Other,
                "response.content_part.added"
                | "response.content_part.done"
                | "response.output_text.delta"
                | "response.output_text.done"
                | "response.output_text.annotation.added"
                | "response.refusal.delta"
                | "response.refusal.done" => Kind::Message,
                "response.reasoning_summary_text.delta"
                | "response.reasoning_summary_text.done"
                | "response.reasoning_summary_part.done"
                | "response.reasoning_text.delta"
                | "response.reasoning_text.done" => Kind::Reasoning,
                "response.function_call_arguments.delta"
                | "response.function_call_arguments.done" => Kind::Call { custom: false },
                "response.custom_tool_call_input.delta"
                | "response.custom_tool_call_input.done" => Kind::Call { custom: true },
                // Of tools that the provider runs, and of what is new.
                _ => return,
            };
        if !self.started {
            self.start(&Response::default(), sink);
        }
        if let Some(raw) = told.item {
            let index = count(told.output_index.as_ref());
            self.item(raw, index, word.strip_suffix(".done").is_some(), sink);
            return;
        }
        let content = count(told.content_index.as_ref()).unwrap_or(0);
        let summary = count(told.summary_index.as_ref()).unwrap_or(0);
        let id = filled(told.item_id.take()).unwrap_or_default();
        let Some(at) = self.place(count(told.output_index.as_ref()), &id, kind) else {
            return;
        };
        let Some((item, mut out)) = self.hands(at, sink) else {
            return;
        };
        let delta = filled(told.delta).unwrap_or_default();
        let whole = filled(told.whole).unwrap_or_default();
        let tokens = told.logprobs.and_then(|list| list.0).unwrap_or_default();
        match word {
            "response.output_text.delta" => {
                item.say(What::Text, content, delta, &mut out);
                item.logprobs(content, tokens, false, &mut out);
            }
            "response.output_text.done" => {
                item.said(What::Text, content, &whole, &mut out);
                item.logprobs(content, tokens, true, &mut out);
            }
            "response.output_text.annotation.added" => {
                let annotations = told.annotation.and_then(|one| one.0).into_iter().collect();
                item.cite(content, annotations, false, &mut out);
            }
            "response.refusal.delta" => item.say(What::Refusal, content, delta, &mut out),
            "response.refusal.done" => item.said(What::Refusal, content, &whole, &mut out),
            "response.content_part.done" => {
                if let Some(part) = told.part.and_then(|part| part.0) {
                    item.content(content, part, &mut out);
                }
            }
            "response.reasoning_summary_text.delta" => item.think(true, summary, delta, &mut out),
            "response.reasoning_summary_text.done" => item.thought(true, summary, &whole, &mut out),
            "response.reasoning_summary_part.done" => {
                if let Some(text) = told
                    .part
                    .and_then(|part| part.0)
                    .and_then(|part| filled(part.text))
                {
                    item.thought(true, summary, &text, &mut out);
                }
            }
            "response.reasoning_text.delta" => item.think(false, content, delta, &mut out),
            "response.reasoning_text.done" => item.thought(false, content, &whole, &mut out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                item.argue(delta, &mut out);
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                item.argued(&whole, &mut out);
            }
            _ => {}
        }
    }

    /// The item that an event is about; a new one where none is known.
    fn place(&mut self, index: Option<u64>, id: &str, kind: Kind) -> Option<usize> {
        let found = match index {
            Some(index) => self.items.iter().position(|item| item.index == index),
            None if !id.is_empty() => self.items.iter().position(|item| item.id == id),
            None => self.items.iter().rposition(|item| item.kind == kind),
        };
        if found.is_some() {
            return found;
        }
        self.add(index, id, kind)
    }

    fn add(&mut self, index: Option<u64>, id: &str, kind: Kind) -> Option<usize> {
        if self.items.len() >= MOST_ITEMS {
            return None;
        }
        let next = self
            .items
            .iter()
            .map(|item| item.index + 1)
            .max()
            .unwrap_or(0);
        self.items.push(Item::new(
            index.unwrap_or(next).min(u64::MAX - 1),
            id.to_owned(),
            kind,
        ));
        Some(self.items.len() - 1)
    }

    pub(super) fn hands<'r, 's, 'k>(
        &'r mut self,
        at: usize,
        sink: &'s mut Sink<'k>,
    ) -> Option<(&'r mut Item, Out<'r, 's, 'k>)> {
        let Self {
            ids,
            parts,
            items,
            called,
            refused,
            ..
        } = self;
        let item = items.get_mut(at)?;
        Some((
            item,
            Out {
                parts,
                ids,
                called,
                refused,
                sink,
            },
        ))
    }

    /// An item that begins, or is whole.
    fn item(&mut self, raw: &RawValue, index: Option<u64>, whole: bool, sink: &mut Sink<'_>) {
        let Ok(mut written) = serde_json::from_str::<Written<'_>>(raw.get()) else {
            return;
        };
        let kind = Kind::of(&filled(written.kind.take()).unwrap_or_default());
        let id = filled(written.id.clone()).unwrap_or_default();
        let Some(at) = self.place(index, &id, kind) else {
            return;
        };
        let Some((item, mut out)) = self.hands(at, sink) else {
            return;
        };
        if item.kind == Kind::Other {
            item.kind = kind;
        }
        if item.id.is_empty() {
            item.id = id.into_owned();
        }
        item.name(&mut written, &mut out);
        if whole {
            item.whole(written, raw, &mut out);
        }
    }

    /// The items of a response that is whole: those that the stream did not tell, and what it left out of others.
    pub(super) fn output(&mut self, output: Vec<&RawValue>, sink: &mut Sink<'_>) {
        let streamed = self.items.len();
        for (index, raw) in output.into_iter().enumerate() {
            let Ok(written) = serde_json::from_str::<Written<'_>>(raw.get()) else {
                continue;
            };
            let kind = Kind::of(&filled(written.kind.clone()).unwrap_or_default());
            let id = filled(written.id.clone()).unwrap_or_default();
            let told = self.items.get(..streamed).unwrap_or_default();
            // Some give their items other ids, or other places, at the end.
            let known = told
                .iter()
                .find(|item| !id.is_empty() && item.id == id)
                .or_else(|| {
                    told.iter()
                        .find(|item| item.index == index as u64 && item.kind == kind)
                })
                .map(|item| item.index);
            if known.is_none() && told.iter().any(|item| item.kind == kind) {
                continue;
            }
            let next = self
                .items
                .iter()
                .map(|item| item.index + 1)
                .max()
                .unwrap_or(0);
            self.item(raw, Some(known.unwrap_or(next)), true, sink);
        }
    }
}
