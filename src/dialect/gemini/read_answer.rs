//! What a provider of this protocol sends, as events. A stream is a row of whole responses
//! (<https://ai.google.dev/api/generate-content#generatecontentresponse>), each with some parts of each candidate.

mod citations;
mod parts;
mod wire;

use serde_json::value::RawValue;

use super::{read_error, read_usage};
use crate::base::{Ids, UpstreamError, Usage};
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{Delta, Event, Json, Stop, StopReason, Text};
use crate::dialect::translate::Sink;

use citations::Sources;
use wire::{Candidate, Chunk, Logprobs};

/// More candidates than this nobody makes.
const MOST_CHOICES: u32 = 128;

/// Makes events of an answer.
#[derive(Debug)]
pub struct Reader {
    ids: Ids,
    is_started: bool,
    is_done: bool,
    parts: u32,
    choices: Vec<Choice>,
    usage: Usage,
    has_usage: bool,
    has_tier: bool,
    /// Why the prompt was refused.
    blocked: Option<String>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    open: Option<Opened>,
    has_calls: bool,
    finish: Option<(StopReason, Option<String>)>,
    sources: Sources,
}

/// The part that is being told; a part that is signed takes no more text.
#[derive(Debug)]
struct Opened {
    part: u32,
    kind: Kind,
    is_signed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Call,
    /// Of its type: it comes in pieces.
    Audio(String),
}

impl Reader {
    /// `ids`: for calls that the provider gave none.
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            is_started: false,
            is_done: false,
            parts: 0,
            choices: Vec::new(),
            usage: Usage::default(),
            has_usage: false,
            has_tier: false,
            blocked: None,
        }
    }

    /// Reads the data of one event. What cannot be read is passed over: the stream's end shows whether it mattered.
    pub fn data(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        if self.is_done {
            return;
        }
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, data, sink),
            // Some leave out the blank lines between events, and errors of array streams come in a list.
            Err(_) => {
                let values = serde_json::Deserializer::from_slice(data).into_iter::<&RawValue>();
                for value in values.map_while(Result::ok) {
                    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
                        Ok(list) => list.into_iter().for_each(|one| self.one(one, sink)),
                        Err(_) => self.one(value, sink),
                    }
                }
            }
        }
    }

    fn one(&mut self, raw: &RawValue, sink: &mut Sink<'_>) {
        if let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(raw.get())
            && !self.is_done
        {
            self.chunk(chunk, raw.get().as_bytes(), sink);
        }
    }

    /// The stream has ended.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if self.is_done {
            return;
        }
        if let Some(reason) = self.blocked.take()
            && self.choices.iter().all(|choice| choice.finish.is_none())
        {
            let at = self.choice(0);
            self.choices[at].finish = Some((StopReason::Filtered, Some(reason)));
        }
        let is_whole =
            !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some());
        if !is_whole {
            return self.fault(
                UpstreamError::new(
                    502,
                    "The provider's stream ended before the answer was whole.",
                ),
                sink,
            );
        }
        self.close_all(sink);
        for choice in &self.choices {
            let Some((reason, detail)) = &choice.finish else {
                continue;
            };
            sink(Event::Stop(Stop {
                choice: choice.index,
                reason: match reason {
                    StopReason::End if choice.has_calls => StopReason::ToolCalls,
                    reason => *reason,
                },
                sequence: None,
                detail: detail.as_deref().map(Text::Borrowed),
            }));
        }
        self.is_done = true;
        sink(Event::Finish);
    }

    /// Reads a whole body: a response, or the list that a stream without events is.
    pub fn body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        self.data(body, sink);
        let is_list = body.trim_ascii_start().first() == Some(&b'[');
        if !is_list {
            // A body that is whole JSON is whole, whether or not it says why it ends.
            for choice in &mut self.choices {
                choice.finish.get_or_insert((StopReason::End, None));
            }
        }
        self.end(sink);
    }

    fn start(&mut self, chunk: Option<&Chunk<'_>>, sink: &mut Sink<'_>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let text = |text: &dyn Fn(&Chunk<'_>) -> Option<String>| chunk.and_then(text);
        let id = text(&|chunk| Some(chunk.id.as_ref()?.0.clone().into_owned()));
        let model = text(&|chunk| Some(chunk.model.as_ref()?.0.clone().into_owned()));
        let created = chunk.and_then(|chunk| seconds(chunk.created.as_deref()?));
        let set = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Text::Owned);
        sink(Event::Start {
            id: set(id),
            model: set(model),
            created,
        });
    }

    fn fault(&mut self, error: UpstreamError, sink: &mut Sink<'_>) {
        self.start(None, sink);
        self.close_all(sink);
        self.is_done = true;
        sink(Event::Fault(error));
    }

    fn close_all(&mut self, sink: &mut Sink<'_>) {
        for choice in &mut self.choices {
            choice.close(sink);
        }
    }

    /// Where the choice stands in the list.
    fn choice(&mut self, index: u32) -> usize {
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return at;
        }
        self.choices.push(Choice {
            index,
            ..Choice::default()
        });
        self.choices.len() - 1
    }

    fn chunk(&mut self, chunk: Chunk<'_>, data: &[u8], sink: &mut Sink<'_>) {
        if chunk.error.is_some() {
            let value = serde_json::from_slice(data).unwrap_or_default();
            if let Some(error) = read_error(200, &value) {
                return self.fault(error, sink);
            }
        }
        self.start(Some(&chunk), sink);
        if let Some(reason) = chunk.feedback.and_then(|feedback| feedback.reason) {
            let word = reason.name(&wire::BLOCK_REASONS);
            if !word.is_empty() && !word.ends_with("_UNSPECIFIED") {
                self.blocked = Some(word.into_owned());
            }
        }
        for candidate in chunk.candidates.unwrap_or_default() {
            self.candidate(candidate, sink);
        }
        if let Some(raw) = chunk.usage {
            self.usage(raw, sink);
        }
    }

    /// Totals, repeated in each response: told again only where they have changed.
    fn usage(&mut self, raw: &RawValue, sink: &mut Sink<'_>) {
        let mut usage = Usage::default();
        if read_usage(raw.get().as_bytes(), &mut usage) && !(self.has_usage && usage == self.usage)
        {
            self.usage = usage;
            self.has_usage = true;
            sink(Event::Usage(usage));
        }
        if !self.has_tier
            && let Some(tier) = wire::service_tier(raw)
        {
            self.has_tier = true;
            sink(Event::ServiceTier(tier));
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, sink: &mut Sink<'_>) {
        let index = candidate.index.map_or(0, |index| index.0);
        let Some(index) = u32::try_from(index).ok().filter(|i| *i < MOST_CHOICES) else {
            return;
        };
        let at = self.choice(index);
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.unwrap_or_default() {
            self.part(at, part, sink);
        }
        if let Some(logprobs) = candidate.logprobs {
            let tokens = tokens(logprobs);
            if !tokens.is_empty() {
                sink(Event::Logprobs {
                    choice: index,
                    tokens,
                });
            }
        }
        let choice = &mut self.choices[at];
        choice
            .sources
            .keep(candidate.grounding, candidate.citations);
        if let Some(word) = candidate.finish {
            // Some answers finish more than once, and go on: the last word counts.
            choice.finish = finish(&word.name(&wire::FINISH_REASONS)).or(choice.finish.take());
        }
    }
}

impl Choice {
    fn close(&mut self, sink: &mut Sink<'_>) {
        let Some(open) = self.open.take() else { return };
        if open.kind == Kind::Text {
            self.sources.cite(&mut |citation| {
                sink(Event::Delta {
                    part: open.part,
                    delta: Delta::Citation(citation),
                });
            });
        }
        sink(Event::Close { part: open.part });
    }
}

/// `None`: it says nothing.
fn finish(word: &str) -> Option<(StopReason, Option<String>)> {
    let reason = match word {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" => return Some((StopReason::End, None)),
        "MAX_TOKENS" => return Some((StopReason::MaxTokens, None)),
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => StopReason::Filtered,
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" => {
            StopReason::MalformedCall
        }
        // LANGUAGE, OTHER, NO_IMAGE, TOO_MANY_TOOL_CALLS, and those to come.
        _ => StopReason::Other,
    };
    Some((reason, Some(word.to_owned())))
}

fn tokens(logprobs: Logprobs<'_>) -> Vec<TokenLogprob<'_>> {
    let mut top = logprobs.top.unwrap_or_default().into_iter();
    let number = |raw: Option<&'_ RawValue>| raw.map(|raw| Number(Json::Owned(raw.to_owned())));
    logprobs
        .chosen
        .unwrap_or_default()
        .into_iter()
        .filter_map(|chosen| {
            let beside = top.next().and_then(|top| top.candidates);
            Some(TokenLogprob {
                token: chosen.token.unwrap_or_default().0,
                logprob: number(chosen.logprob)?,
                bytes: None,
                top: beside
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|one| {
                        Some((one.token.unwrap_or_default().0, number(one.logprob)?, None))
                    })
                    .collect(),
            })
        })
        .collect()
}

/// `2026-03-12T18:06:00.786631Z`
fn seconds(written: &str) -> Option<u64> {
    use time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(written, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

#[cfg(test)]
mod tests;
