//! Streams, put together as SDKs do, are whole answers.

mod put_together;

use serde_json::{Value, json};

use super::*;
use crate::base::Ids;
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{Delta, Fold, Json, Media, MediaKind, Open, Reasoning, Source, StopReason};
use crate::dialect::openai_chat::{Reader, read_request, write_answer};
use put_together::put_together;

/// What only streams have: the index of calls, and the place of reasoning in place of its text.
fn without_places(mut value: Value) -> Value {
    for choice in value["choices"].as_array_mut().expect("choices") {
        let message = choice["message"].as_object_mut().expect("message");
        for call in message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            call.as_object_mut().expect("call").remove("index");
        }
        for entry in message
            .get_mut("reasoning_details")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let entry = entry.as_object_mut().expect("entry");
            for name in ["text", "summary", "text_start", "text_length", "index"] {
                entry.remove(name);
            }
        }
    }
    value
}

fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(1)),
        model: "asked".to_owned(),
        now: 1_700_000_000,
        include_usage: true,
        ..Echo::default()
    }
}

/// Streamed and whole, both as values.
fn both(events: &[Event<'_>], echo: &Echo) -> (Value, Value) {
    let (mut writer, mut fold) = (Writer::new(echo.clone()), Fold::default());
    let mut out = Vec::new();
    for event in events {
        writer.event(event.clone(), &mut out);
        fold.event(event.clone());
    }
    let whole = write_answer(&fold.finish(), &mut echo.clone());
    (
        put_together(&String::from_utf8(out).expect("text")),
        serde_json::from_slice(&whole).expect("JSON"),
    )
}

fn start() -> Event<'static> {
    Event::Start {
        id: Some("msg_1".into()),
        model: Some("real".into()),
        created: None,
    }
}

fn stop(choice: u32, reason: StopReason) -> Event<'static> {
    Event::Stop(Stop {
        choice,
        reason,
        sequence: None,
        detail: None,
    })
}

fn open(part: u32, kind: Open<'static>) -> Event<'static> {
    Event::Open {
        part,
        choice: 0,
        kind,
    }
}

fn text(part: u32, text: &'static str) -> Event<'static> {
    Event::Delta {
        part,
        delta: Delta::Text(text.into()),
    }
}

fn delta(part: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { part, delta }
}

fn close(part: u32) -> Event<'static> {
    Event::Close { part }
}

fn call(id: &'static str, custom: bool) -> Open<'static> {
    Open::ToolCall {
        id: id.into(),
        name: "f".into(),
        custom,
    }
}

const THOUGHT: Open<'static> = Open::Reasoning {
    redacted: false,
    summary: false,
};

fn everything() -> Vec<Event<'static>> {
    vec![
        start(),
        open(0, THOUGHT),
        text(0, "één"),
        delta(0, Delta::Signature(Signature::new("anthropic", "Eq"))),
        delta(0, Delta::Signature(Signature::new("anthropic", "QB"))),
        close(0),
        open(
            1,
            Open::Reasoning {
                redacted: true,
                summary: false,
            },
        ),
        delta(1, Delta::Signature(Signature::new("anthropic", "red"))),
        close(1),
        open(2, Open::Text),
        text(2, "a\u{1F600}"),
        delta(
            2,
            Delta::Citation(Citation {
                url: Some("u".into()),
                title: Some("t".into()),
                span: Some((0, 2)),
                ..Citation::default()
            }),
        ),
        close(2),
        open(3, THOUGHT),
        text(3, "twee"),
        delta(3, Delta::Signature(Signature::new("anthropic", "two"))),
        close(3),
        open(4, Open::Text),
        text(4, "b"),
        delta(
            4,
            Delta::Citation(Citation {
                url: Some("v".into()),
                span: Some((0, 1)),
                quote: Some("q".into()),
                ..Citation::default()
            }),
        ),
        Event::Logprobs {
            choice: 0,
            tokens: vec![TokenLogprob {
                token: "b".into(),
                logprob: Number(Json::Owned(
                    serde_json::value::RawValue::from_string("-0.5".to_owned()).expect("JSON"),
                )),
                bytes: Some(vec![98]),
                top: Vec::new(),
            }],
        },
        close(4),
        open(5, call("c1", false)),
        open(6, call("c2", true)),
        delta(5, Delta::Arguments("{\"x\"".into())),
        delta(6, Delta::Arguments("raw".into())),
        delta(5, Delta::Arguments(":1}".into())),
        delta(5, Delta::Signature(Signature::new("gemini", "S="))),
        close(5),
        close(6),
        open(7, call("c3", false)),
        close(7),
        open(
            8,
            Open::Media(Media::new(
                MediaKind::Image,
                Some("image/png".into()),
                Source::Base64("".into()),
            )),
        ),
        delta(8, Delta::Data("AA==".into())),
        delta(8, Delta::Data("AA==".into())),
        close(8),
        open(
            9,
            Open::Media(Media::new(
                MediaKind::Audio,
                None,
                Source::Base64("".into()),
            )),
        ),
        delta(9, Delta::Data("AAAA".into())),
        text(9, "hi"),
        close(9),
        Event::Usage(Usage {
            uncached: 5,
            cache_read: 3,
            cache_write_5m: 2,
            output: 4,
            reasoning: 1,
            ..Usage::default()
        }),
        Event::ServiceTier("standard".into()),
        stop(0, StopReason::ToolCalls),
        Event::Finish,
    ]
}

#[test]
fn what_an_sdk_puts_together_is_the_whole_answer() {
    let (streamed, whole) = both(&everything(), &echo());
    assert_eq!(without_places(streamed), without_places(whole.clone()));
    assert_eq!(whole["id"].as_str().map(str::len), Some(33));
    assert_eq!(whole["model"], "asked");
    assert_eq!(whole["usage"]["prompt_tokens"], 10);
    assert_eq!(
        whole["usage"]["prompt_tokens_details"],
        json!({"cached_tokens": 3, "cache_write_tokens": 2})
    );
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["tool_calls"][2]["function"]["arguments"], "{}");
    assert_eq!(
        message["tool_calls"][0]["extra_content"]["google"]["thought_signature"],
        "S="
    );
    assert_eq!(message["annotations"][1]["url_citation"]["start_index"], 2);
    assert_eq!(
        message["images"][0]["image_url"]["url"],
        "data:image/png;base64,AAA="
    );
}

#[test]
fn simple_answers_are_the_same_to_the_last_field() {
    for events in [
        vec![
            start(),
            open(0, Open::Text),
            text(0, "a"),
            close(0),
            stop(0, StopReason::End),
            Event::Finish,
        ],
        vec![
            start(),
            open(0, Open::Refusal),
            text(0, "no"),
            close(0),
            stop(0, StopReason::Refusal),
            Event::Finish,
        ],
        vec![start(), stop(0, StopReason::Filtered), Event::Finish],
        vec![
            start(),
            open(0, Open::Text),
            Event::Open {
                part: 1,
                choice: 1,
                kind: Open::Text,
            },
            text(1, "b"),
            text(0, "a"),
            close(0),
            close(1),
            stop(0, StopReason::End),
            stop(1, StopReason::MaxTokens),
            Event::Finish,
        ],
    ] {
        let (streamed, whole) = both(&events, &echo());
        assert_eq!(streamed, whole);
    }
}

#[test]
fn a_message_sent_back_returns_all_streamed_or_not() {
    let (streamed, whole) = both(&everything(), &echo());
    let read = |answer: &Value| {
        let mut message = answer["choices"][0]["message"].clone();
        // A request cannot say these.
        for name in ["audio", "images", "annotations"] {
            message.as_object_mut().expect("object").remove(name);
        }
        let body = json!({"messages": [message]}).to_string();
        let request = read_request(body.as_bytes()).expect("valid");
        assert!(request.losses.is_empty(), "{:?}", request.losses);
        format!("{:?}", request.turns)
    };
    assert_eq!(read(&streamed), read(&whole));
    let body = json!({"messages": [streamed["choices"][0]["message"]]}).to_string();
    let request = read_request(body.as_bytes()).expect("valid");
    let thoughts: Vec<&Reasoning<'_>> = request.turns[0]
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            crate::chat::PartKind::Reasoning(reasoning) => Some(reasoning),
            _ => None,
        })
        .collect();
    let seen: Vec<(&str, bool, Option<&Signature<'_>>)> = thoughts
        .iter()
        .map(|r| (&*r.text, r.redacted, r.signature.as_ref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("één", false, Some(&Signature::new("anthropic", "EqQB"))),
            ("", true, Some(&Signature::new("anthropic", "red"))),
            ("twee", false, Some(&Signature::new("anthropic", "two"))),
        ]
    );
}

#[test]
fn the_old_form_of_tools_is_answered_in_it() {
    let events = [
        start(),
        open(0, call("c1", false)),
        delta(0, Delta::Arguments("{}".into())),
        close(0),
        open(1, call("c2", false)),
        delta(1, Delta::Arguments("{}".into())),
        close(1),
        stop(0, StopReason::ToolCalls),
        Event::Finish,
    ];
    let (streamed, whole) = both(
        &events,
        &Echo {
            legacy_functions: true,
            ..echo()
        },
    );
    assert_eq!(streamed, whole);
    assert_eq!(
        whole["choices"][0]["message"]["function_call"],
        json!({"name": "f", "arguments": "{}"})
    );
    assert_eq!(whole["choices"][0]["finish_reason"], "function_call");
}

#[test]
fn usage_comes_only_where_it_was_asked_for() {
    let events = [
        start(),
        open(0, Open::Text),
        text(0, "a"),
        close(0),
        Event::Usage(Usage {
            uncached: 1,
            output: 1,
            ..Usage::default()
        }),
        stop(0, StopReason::End),
        Event::Finish,
    ];
    let written = |include_usage: bool| {
        let mut writer = Writer::new(Echo {
            include_usage,
            ..echo()
        });
        let mut out = Vec::new();
        for event in &events {
            writer.event(event.clone(), &mut out);
        }
        String::from_utf8(out).expect("text")
    };
    assert!(!written(false).contains("usage"));
    let with = written(true);
    assert_eq!(with.matches("\"usage\":null").count(), 3);
    assert!(with.ends_with("\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\ndata: [DONE]\n\n"));
}

#[test]
fn the_first_chunk_and_a_delta_look_like_openais() {
    let mut writer = Writer::new(Echo {
        include_usage: false,
        ..echo()
    });
    let mut out = Vec::new();
    writer.event(
        Event::Start {
            id: Some("chatcmpl-9".into()),
            model: None,
            created: Some(9),
        },
        &mut out,
    );
    writer.event(open(0, Open::Text), &mut out);
    writer.event(text(0, "\"hi\""), &mut out);
    assert_eq!(
        String::from_utf8(out).expect("text"),
        concat!(
            r#"data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":9,"model":"asked","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}"#,
            "\n\n",
            r#"data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":9,"model":"asked","choices":[{"index":0,"delta":{"content":"\"hi\""},"logprobs":null,"finish_reason":null}]}"#,
            "\n\n"
        )
    );
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let mut writer = Writer::new(echo());
    let (mut before, mut after) = (Fold::default(), Fold::default());
    let mut out = Vec::new();
    // Expiry and reasoning's spans aside, which nobody reads of an answer.
    let events: Vec<Event<'_>> = everything()
        .into_iter()
        .filter(|event| {
            !matches!(
                event,
                Event::Delta {
                    delta: Delta::Citation(_) | Delta::Signature(_),
                    ..
                }
            )
        })
        .collect();
    for event in events {
        writer.event(event.clone(), &mut out);
        before.event(event);
    }
    let mut reader = Reader::new(Ids::new(3));
    for frame in String::from_utf8(out)
        .expect("text")
        .split_terminator("\n\n")
    {
        let data = frame.strip_prefix("data: ").expect("data");
        reader.data(data.as_bytes(), &mut |event| after.event(event));
    }
    let texts = |fold: Fold| {
        let answer = fold.finish();
        let kinds: Vec<String> = answer.choices[0]
            .parts
            .iter()
            .filter(|part| !matches!(&part.kind, crate::chat::PartKind::Reasoning(r) if r.redacted))
            .map(|part| match &part.kind {
                crate::chat::PartKind::ToolCall(call) => {
                    format!("{} {} {}", call.id, call.arguments, call.custom)
                }
                crate::chat::PartKind::Media(media) => {
                    format!("{:?} {:?}", media.kind, media.transcript)
                }
                crate::chat::PartKind::Reasoning(r) => format!("thought {}", r.text),
                other => format!("{:?}", std::mem::discriminant(other)),
            })
            .collect();
        (kinds, answer.usage, answer.choices[0].stop)
    };
    let before = texts(before);
    let after = texts(after);
    assert_eq!(before.0.len(), after.0.len());
    assert_eq!(
        (before.1.map(|u| u.input()), before.2),
        (after.1.map(|u| u.input()), after.2)
    );
    assert_eq!(before.0, after.0);
}
