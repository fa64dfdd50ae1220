//! Reads answers of this protocol, streamed or whole, into events: as the protocol has them
//! (<https://platform.openai.com/docs/api-reference/chat-streaming>), and as they are found.
//!
//! Nothing ends before the stream does: content after a finish reason, and usage after that, are common.

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::loose::{Items, Loose, LooseCount, filled};
use super::read_choice::{Choice, Logprobs, Message, Out, finish_of, token};
use super::{error_in_body, read_error};
use crate::base::{Ids, UpstreamError, Usage};
use crate::chat::event::TokenLogprob;
use crate::chat::{Citation, Event};
use crate::dialect::is_blank;
use crate::dialect::openai::read_usage;
use crate::dialect::translate::Sink;
use crate::wire::read::object;

object! {
    struct Chunk<'a> {
        "id" => id: Loose<'a>,
        "model" => model: Loose<'a>,
        "created" => created: LooseCount,
        "choices" => choices: Items<ChoicePiece<'a>>,
        "usage" => usage: &'a RawValue,
        "error" => error: &'a RawValue,
        "service_tier" => service_tier: Loose<'a>,
        "x_groq" => x_groq: Groq<'a>,
        // Perplexity's sources.
        "search_results" => search_results: Items<SearchResult<'a>>,
        "object" => object: Loose<'a>,
        // Said in every chunk, of no use.
        "system_fingerprint" | "obfuscation" | "provider" | "p" => skip: IgnoredAny,
    }
}

object! {
    struct Groq<'a> {
        "usage" => usage: &'a RawValue,
    }
}

object! {
    struct SearchResult<'a> {
        "title" => title: Loose<'a>,
        "url" => url: Loose<'a>,
        "snippet" => snippet: Loose<'a>,
    }
}

object! {
    struct ChoicePiece<'a> {
        "index" => index: LooseCount,
        "delta" => delta: Message<'a>,
        "message" => message: Message<'a>,
        "finish_reason" => finish_reason: Loose<'a>,
        "native_finish_reason" => native_finish_reason: Loose<'a>,
        // vLLM's: the sequence that was met.
        "stop_reason" => stop_reason: &'a RawValue,
        "logprobs" => logprobs: Logprobs<'a>,
        "error" => error: &'a RawValue,
    }
}

/// Makes events of one answer.
#[derive(Debug)]
pub struct Reader {
    ids: Ids,
    started: bool,
    done: bool,
    parts: u32,
    choices: Vec<Choice>,
    tier: Option<String>,
    usage: Option<Usage>,
}

/// More answers to one request than any provider gives.
const MOST_CHOICES: u64 = 128;

impl Reader {
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            started: false,
            done: false,
            parts: 0,
            choices: Vec::new(),
            tier: None,
            usage: None,
        }
    }

    /// Reads the data of one event.
    pub fn data(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            if self.choices.is_empty() {
                self.broken(sink);
            } else {
                self.finish(sink);
            }
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            // Some leave out the blank lines between their events: then each line is one.
            if data.contains(&b'\n') && serde_json::from_slice::<IgnoredAny>(data).is_err() {
                for line in data.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                    self.data(line, sink);
                }
            }
            return;
        };
        self.chunk(chunk, data, false, sink);
    }

    /// The stream has ended.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some()) {
            self.finish(sink);
        } else {
            self.broken(sink);
        }
    }

    /// Reads a whole body.
    pub fn body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(body) {
            self.chunk(chunk, body, true, sink);
        }
        if self.done {
            return;
        }
        if self.choices.is_empty() {
            self.fault(
                UpstreamError::new(502, "The provider's answer holds no choices."),
                sink,
            );
        } else {
            self.finish(sink);
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, data: &[u8], whole: bool, sink: &mut Sink<'_>) {
        let choices = chunk.choices.unwrap_or_default().0;
        let id = filled(chunk.id);
        if !self.started && (id.is_some() || !choices.is_empty()) {
            self.started = true;
            sink(Event::Start {
                id,
                model: filled(chunk.model),
                created: chunk
                    .created
                    .and_then(|created| created.0)
                    .filter(|&n| n > 0),
            });
        }
        let errs = |raw: Option<&RawValue>| raw.is_some_and(|raw| !is_blank(raw.get()));
        let mut failed = errs(chunk.error) || choices.iter().any(|choice| errs(choice.error));
        // vLLM's errors are an object of their own.
        failed |= choices.is_empty() && chunk.object.and_then(|o| o.0).as_deref() == Some("error");
        let ended = choices
            .iter()
            .any(|choice| choice.finish_reason.as_ref().is_some_and(|f| f.0.is_some()));
        for piece in choices {
            let index = piece.index.and_then(|index| index.0).unwrap_or(0);
            if index >= MOST_CHOICES {
                continue;
            }
            failed |= self.choice(piece, index as u32, whole, sink);
        }
        if ended || whole {
            self.sources(chunk.search_results.unwrap_or_default().0, sink);
        }
        if let Some(tier) = filled(chunk.service_tier)
            && self.started
            && self.tier.as_deref() != Some(&*tier)
        {
            self.tier = Some(tier.clone().into_owned());
            sink(Event::ServiceTier(tier));
        }
        if let Some(raw) = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage)) {
            let mut usage = Usage::default();
            if self.started
                && read_usage(raw.get().as_bytes(), &mut usage)
                && self.usage != Some(usage)
            {
                self.usage = Some(usage);
                sink(Event::Usage(usage));
            }
        }
        if failed {
            let error = error_of(data);
            self.fault(error, sink);
        }
    }

    /// `true`: the choice says that it failed.
    fn choice(
        &mut self,
        piece: ChoicePiece<'_>,
        index: u32,
        whole: bool,
        sink: &mut Sink<'_>,
    ) -> bool {
        let at = self
            .choices
            .iter()
            .position(|choice| choice.index == index)
            .unwrap_or_else(|| {
                self.choices.push(Choice::new(index));
                self.choices.len() - 1
            });
        let Self {
            ids,
            parts,
            choices,
            ..
        } = self;
        let Some(choice) = choices.get_mut(at) else {
            return false;
        };
        let mut out = Out {
            parts,
            ids,
            sink,
            choice: index,
        };
        // Perplexity sends both: the whole so far beside each delta, an empty delta beside the whole.
        let message = if whole {
            piece.message.or(piece.delta)
        } else {
            piece.delta.or(piece.message)
        };
        if let Some(message) = message {
            choice.message(message, &mut out);
        }
        if let Some(logprobs) = piece.logprobs {
            let tokens: Vec<TokenLogprob<'_>> = logprobs
                .content
                .into_iter()
                .chain(logprobs.refusal)
                .flat_map(|items| items.0)
                .filter_map(token)
                .collect();
            if !tokens.is_empty() {
                (out.sink)(Event::Logprobs {
                    choice: index,
                    tokens,
                });
            }
        }
        if let Some(raw) = piece.stop_reason
            && let Ok(sequence) = serde_json::from_str::<String>(raw.get())
        {
            choice.sequence = Some(sequence);
        }
        let Some(word) = filled(piece.finish_reason) else {
            return false;
        };
        if word == "error" {
            return true;
        }
        let native = filled(piece.native_finish_reason);
        choice.finish = Some(finish_of(&word, native.as_deref()));
        false
    }

    /// Sources of the whole answer, where the provider cites nothing in particular.
    fn sources(&mut self, results: Vec<SearchResult<'_>>, sink: &mut Sink<'_>) {
        let Self {
            ids,
            parts,
            choices,
            ..
        } = self;
        let Some(choice) = choices.first_mut().filter(|choice| !choice.cited) else {
            return;
        };
        let mut out = Out {
            parts,
            ids,
            sink,
            choice: choice.index,
        };
        for result in results {
            choice.cite(
                Citation {
                    url: filled(result.url),
                    title: filled(result.title),
                    quote: filled(result.snippet),
                    ..Citation::default()
                },
                &mut out,
            );
        }
    }

    fn close_all(&mut self, sink: &mut Sink<'_>) {
        let Self {
            ids,
            parts,
            choices,
            ..
        } = self;
        for choice in choices {
            let mut out = Out {
                parts: &mut *parts,
                ids: &mut *ids,
                sink: &mut *sink,
                choice: choice.index,
            };
            choice.hush(&mut out);
            choice.calls.close_all(&mut out);
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        self.close_all(sink);
        self.choices.sort_by_key(|choice| choice.index);
        for choice in &self.choices {
            sink(Event::Stop(choice.stop()));
        }
        sink(Event::Finish);
        self.done = true;
    }

    fn fault(&mut self, error: UpstreamError, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            sink(Event::Start {
                id: None,
                model: None,
                created: None,
            });
        }
        self.close_all(sink);
        sink(Event::Fault(error));
        self.done = true;
    }

    fn broken(&mut self, sink: &mut Sink<'_>) {
        self.fault(
            UpstreamError::new(
                502,
                "The provider's stream ended before the answer was whole.",
            ),
            sink,
        );
    }
}

fn error_of(data: &[u8]) -> UpstreamError {
    let value: Value = serde_json::from_slice(data).unwrap_or(Value::Null);
    error_in_body(&value)
        .or_else(|| {
            let inner = value.get("message").is_some().then(|| {
                let mut outer = serde_json::Map::new();
                outer.insert("error".to_owned(), value.clone());
                Value::Object(outer)
            })?;
            read_error(200, &inner)
        })
        .unwrap_or(UpstreamError::new(
            502,
            "The provider ended its answer with an error that it did not name.",
        ))
}

#[cfg(test)]
mod tests;
