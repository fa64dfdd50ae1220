//! The blocks of an answer, from their start to their end.

use serde_json::value::RawValue;

use super::wire::{Block, Change};
use super::{Kind, OpenBlock, Reader, text};
use crate::chat::{Delta, Event, Open, Text, seal};
use crate::dialect::anthropic::{ORIGIN, citation};
use crate::dialect::translate::Sink;
use crate::wire::read::Str;

/// `{}` says nothing: whoever needs an object makes one.
fn input(raw: Option<&RawValue>) -> Option<&str> {
    let input = raw?.get();
    let inner = input.trim().strip_prefix('{')?.strip_suffix('}')?;
    (!inner.trim().is_empty()).then_some(input)
}

impl Reader {
    pub(super) fn block_start(&mut self, index: u64, block: Block<'_>, sink: &mut Sink<'_>) {
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

    pub(super) fn block_delta(&mut self, index: u64, delta: Change<'_>, sink: &mut Sink<'_>) {
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

    pub(super) fn block_stop(&mut self, index: u64, sink: &mut Sink<'_>) {
        if let Some(at) = self.open.iter().position(|block| block.index == index) {
            close(self.open.remove(at), sink);
        }
    }

    pub(super) fn close_all(&mut self, sink: &mut Sink<'_>) {
        for block in self.open.drain(..) {
            close(block, sink);
        }
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
