//! An answer that is whole, folded from its events.

use super::event::{Delta, Event, Number, Open, StopReason, TokenLogprob};
use super::part::{Part, PartKind, Reasoning, Signature, Source, ToolCall, append_base64};
use super::request::Text;
use crate::base::{UpstreamError, Usage};

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub id: Option<String>,
    pub model: Option<String>,
    /// Unix seconds.
    pub created: Option<u64>,
    /// By number; at least one.
    pub choices: Vec<Choice>,
    /// `None`: the provider said nothing.
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
    /// It broke: nothing else counts.
    pub fault: Option<UpstreamError>,
}

#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// In the order they were opened.
    pub parts: Vec<Part<'static>>,
    pub stop: Option<StopReason>,
    pub sequence: Option<String>,
    pub detail: Option<String>,
    pub logprobs: Vec<TokenLogprob<'static>>,
}

/// Gathers events into an answer.
#[derive(Debug, Default)]
pub struct Fold {
    answer: Answer,
    /// By the part's number: choice, and place in it.
    places: Vec<Option<(usize, usize)>>,
}

/// More parts than this in one answer are none that a model made.
const MOST_PARTS: usize = 1 << 16;

fn own(text: Text<'_>) -> Text<'static> {
    Text::Owned(text.into_owned())
}

fn own_number(n: Number<'_>) -> Number<'static> {
    Number(super::request::Json::Owned(n.0.into_owned()))
}

fn own_logprob(t: TokenLogprob<'_>) -> TokenLogprob<'static> {
    TokenLogprob {
        token: own(t.token),
        logprob: own_number(t.logprob),
        bytes: t.bytes,
        top: t
            .top
            .into_iter()
            .map(|(token, p, bytes)| (own(token), own_number(p), bytes))
            .collect(),
    }
}

impl Fold {
    pub fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start { id, model, created } => {
                self.answer.id = id.map(Text::into_owned);
                self.answer.model = model.map(Text::into_owned);
                self.answer.created = created;
                self.choice(0);
            }
            Event::Open { part, choice, kind } => self.open(part as usize, choice, kind),
            Event::Delta { part, delta } => self.delta(part as usize, delta),
            Event::Close { part } => self.close(part as usize),
            Event::Logprobs { choice, tokens } => {
                let at = self.choice(choice);
                self.answer.choices[at]
                    .logprobs
                    .extend(tokens.into_iter().map(own_logprob));
            }
            Event::Usage(usage) => self.answer.usage = Some(usage),
            Event::ServiceTier(tier) => self.answer.service_tier = Some(tier.into_owned()),
            Event::Ping | Event::Finish => {}
            Event::Stop(stop) => {
                let at = self.choice(stop.choice);
                let choice = &mut self.answer.choices[at];
                choice.stop = Some(stop.reason);
                choice.sequence = stop.sequence.map(Text::into_owned);
                choice.detail = stop.detail.map(Text::into_owned);
            }
            Event::Fault(error) => self.answer.fault = Some(error),
        }
    }

    pub fn finish(mut self) -> Answer {
        self.choice(0);
        self.answer
    }

    fn choice(&mut self, choice: u32) -> usize {
        let at = (choice as usize).min(127);
        while self.answer.choices.len() <= at {
            self.answer.choices.push(Choice::default());
        }
        at
    }

    fn open(&mut self, part: usize, choice: u32, kind: Open<'_>) {
        if part >= MOST_PARTS {
            return;
        }
        let kind = match kind {
            Open::Text => PartKind::Text {
                text: Text::default(),
                citations: Vec::new(),
                signature: None,
            },
            Open::Reasoning { redacted, summary } => PartKind::Reasoning(Reasoning {
                redacted,
                summary,
                ..Reasoning::default()
            }),
            Open::ToolCall { id, name, custom } => PartKind::ToolCall(ToolCall {
                id: own(id),
                name: own(name),
                arguments: Text::default(),
                custom,
                signature: None,
            }),
            Open::Refusal => PartKind::Refusal(Text::default()),
            Open::Media(media) => PartKind::Media(media.into_owned()),
        };
        let at = self.choice(choice);
        if self.places.len() <= part {
            self.places.resize(part + 1, None);
        }
        let parts = &mut self.answer.choices[at].parts;
        self.places[part] = Some((at, parts.len()));
        parts.push(Part::new(kind));
    }

    fn part(&mut self, part: usize) -> Option<&mut PartKind<'static>> {
        let (choice, at) = (*self.places.get(part)?)?;
        Some(&mut self.answer.choices[choice].parts[at].kind)
    }

    fn delta(&mut self, part: usize, delta: Delta<'_>) {
        let Some(kind) = self.part(part) else { return };
        match (kind, delta) {
            (
                PartKind::Text { text, .. }
                | PartKind::Refusal(text)
                | PartKind::Reasoning(Reasoning { text, .. }),
                Delta::Text(more),
            )
            | (
                PartKind::ToolCall(ToolCall {
                    arguments: text, ..
                }),
                Delta::Arguments(more),
            ) => {
                text.to_mut().push_str(&more);
            }
            (
                PartKind::Text { signature, .. }
                | PartKind::Reasoning(Reasoning { signature, .. })
                | PartKind::ToolCall(ToolCall { signature, .. }),
                Delta::Signature(more),
            ) => Signature::join(signature, more),
            (PartKind::Text { citations, .. }, Delta::Citation(citation)) => {
                citations.push(citation.into_owned());
            }
            (PartKind::Media(media), Delta::Data(more)) => {
                if let Source::Base64(data) = &mut media.source {
                    append_base64(data.to_mut(), &more);
                }
            }
            (PartKind::Media(media), Delta::Text(more)) => {
                media
                    .transcript
                    .get_or_insert_with(Text::default)
                    .to_mut()
                    .push_str(&more);
            }
            // No reader sends these.
            (
                PartKind::Text { .. }
                | PartKind::Refusal(_)
                | PartKind::Reasoning(_)
                | PartKind::ToolCall(_)
                | PartKind::ToolResult(_)
                | PartKind::Media(_),
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Citation(_)
                | Delta::Data(_),
            ) => {}
        }
    }

    fn close(&mut self, part: usize) {
        if let Some(PartKind::ToolCall(call)) = self.part(part)
            && !call.custom
            && call.arguments.trim().is_empty()
        {
            call.arguments = Text::Borrowed("{}");
        }
    }
}
