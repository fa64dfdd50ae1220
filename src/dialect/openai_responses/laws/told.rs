//! Events of every kind, as a provider could tell them.

use crate::base::{Ids, Usage};
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{
    Citation, Delta, Event, Json, Media, MediaKind, Open, Signature, Source, Stop, StopReason,
};
use crate::dialect::translate::Echo;

pub(super) fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: "asked".into(),
        now: 99,
        ..Echo::default()
    }
}

pub(super) fn open(part: u32, kind: Open<'static>) -> Event<'static> {
    Event::Open {
        part,
        choice: 0,
        kind,
    }
}

pub(super) fn delta(part: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { part, delta }
}

pub(super) fn call(id: &'static str, name: &'static str, custom: bool) -> Open<'static> {
    Open::ToolCall {
        id: id.into(),
        name: name.into(),
        custom,
    }
}

pub(super) fn everything() -> Vec<Event<'static>> {
    let citation = |span| Citation {
        url: Some("https://a".into()),
        title: Some("A".into()),
        span,
        ..Citation::default()
    };
    let raw = |text: &str| {
        Json::Owned(serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON"))
    };
    vec![
        Event::Start {
            id: Some("chatcmpl-1".into()),
            model: Some("m".into()),
            created: Some(5),
        },
        open(
            0,
            Open::Reasoning {
                redacted: false,
                summary: false,
            },
        ),
        delta(0, Delta::Text("I ".into())),
        delta(0, Delta::Text("think".into())),
        delta(0, Delta::Signature(Signature::new("anthropic", "Eq"))),
        Event::Close { part: 0 },
        open(
            1,
            Open::Reasoning {
                redacted: true,
                summary: false,
            },
        ),
        delta(1, Delta::Signature(Signature::new("anthropic", "Rd"))),
        Event::Close { part: 1 },
        open(2, Open::Text),
        delta(2, Delta::Text("Hé".into())),
        delta(2, Delta::Citation(citation(None))),
        Event::Logprobs {
            choice: 0,
            tokens: vec![TokenLogprob {
                token: "Hé".into(),
                logprob: Number(raw("-1.50e-2")),
                bytes: None,
                top: vec![("H".into(), Number(raw("-2")), Some(vec![72]))],
            }],
        },
        delta(2, Delta::Text("llo\n\"".into())),
        delta(2, Delta::Citation(citation(Some((0, 1))))),
        delta(2, Delta::Signature(Signature::new("gemini", "Tx"))),
        Event::Close { part: 2 },
        open(3, Open::Text),
        delta(3, Delta::Text("and".into())),
        // Two that interleave.
        open(4, call("c1", "crm__find", false)),
        Event::Close { part: 3 },
        open(5, call("c2", "apply_patch", true)),
        delta(5, Delta::Arguments("*** ".into())),
        delta(4, Delta::Arguments("{\"a\":".into())),
        delta(4, Delta::Arguments("1.0}".into())),
        delta(4, Delta::Signature(Signature::new("gemini", "Cq"))),
        delta(5, Delta::Arguments("Begin".into())),
        Event::Close { part: 4 },
        Event::Close { part: 5 },
        open(6, call("c3", "f", false)),
        Event::Close { part: 6 },
        open(
            7,
            Open::Media(Media::new(
                MediaKind::Image,
                Some("image/webp".into()),
                Source::Base64("".into()),
            )),
        ),
        delta(7, Delta::Data("QQ==".into())),
        delta(7, Delta::Data("Qg==".into())),
        Event::Close { part: 7 },
        open(8, Open::Refusal),
        delta(8, Delta::Text("no".into())),
        Event::Close { part: 8 },
        Event::Usage(Usage {
            uncached: 3,
            cache_read: 4,
            output: 5,
            reasoning: 2,
            ..Usage::default()
        }),
        Event::ServiceTier("priority".into()),
        Event::Stop(Stop {
            choice: 0,
            reason: StopReason::ToolCalls,
            sequence: None,
            detail: None,
        }),
        Event::Finish,
    ]
}
