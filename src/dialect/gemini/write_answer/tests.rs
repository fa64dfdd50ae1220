use serde_json::{Value, json};

use super::*;
use crate::base::Ids;
use crate::chat::event::Number;
use crate::chat::{Citation, Delta, Event, Fold, Media, MediaKind, Open, Signature, Stop};

fn echo(array: bool) -> Echo {
    Echo {
        ids: Some(Ids::new(3)),
        model: "asked".to_owned(),
        array,
        ..Echo::default()
    }
}

fn open(part: u32, kind: Open<'static>) -> Event<'static> {
    Event::Open {
        part,
        choice: 0,
        kind,
    }
}

fn delta(part: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { part, delta }
}

fn text(part: u32, text: &'static str) -> Event<'static> {
    delta(part, Delta::Text(text.into()))
}

fn call(part: u32, id: &'static str) -> Event<'static> {
    open(
        part,
        Open::ToolCall {
            id: id.into(),
            name: "f".into(),
            custom: false,
        },
    )
}

fn stop(reason: StopReason) -> Vec<Event<'static>> {
    vec![
        Event::Stop(Stop {
            choice: 0,
            reason,
            sequence: None,
            detail: None,
        }),
        Event::Finish,
    ]
}

const START: Event<'static> = Event::Start {
    id: None,
    model: None,
    created: None,
};

fn thinking() -> Event<'static> {
    open(
        0,
        Open::Reasoning {
            redacted: false,
            summary: false,
        },
    )
}

fn written(events: &[Event<'static>], array: bool) -> String {
    let mut writer = Writer::new(echo(array));
    let mut out = Vec::new();
    for event in events {
        writer.event(event.clone(), &mut out);
    }
    String::from_utf8(out).expect("UTF-8")
}

fn chunks(events: &[Event<'static>]) -> Vec<Value> {
    let stream = written(events, false);
    let array: Vec<Value> = serde_json::from_str(&written(events, true)).expect("an array");
    let chunks: Vec<Value> = stream
        .split_terminator("\r\n\r\n")
        .map(|event| {
            serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON")
        })
        .collect();
    assert_eq!(chunks, array);
    chunks
}

fn whole(events: &[Event<'static>]) -> Value {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    serde_json::from_slice(&write_answer(&fold.finish(), &mut echo(false))).expect("JSON")
}

/// Puts responses together as clients do: text of one kind is one part, the last word counts.
fn accumulated(chunks: &[Value]) -> Value {
    let mut all = json!({});
    let mut parts: Vec<Value> = Vec::new();
    for chunk in chunks {
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = part["text"].as_str();
            let last = parts.last_mut().filter(|last| {
                text.is_some()
                    && last["text"].is_string()
                    && last["thought"] == part["thought"]
                    && last["thoughtSignature"].is_null()
            });
            match last {
                Some(last) => {
                    last["text"] = format!(
                        "{}{}",
                        last["text"].as_str().unwrap_or_default(),
                        text.unwrap_or_default()
                    )
                    .into();
                    if !part["thoughtSignature"].is_null() {
                        last["thoughtSignature"] = part["thoughtSignature"].clone();
                    }
                }
                None if text == Some("") && part["thoughtSignature"].is_null() => {}
                None => parts.push(part.clone()),
            }
        }
        for (name, value) in candidate.as_object().expect("a candidate") {
            all[name] = value.clone();
        }
        for name in ["usageMetadata", "modelVersion", "responseId"] {
            if !chunk[name].is_null() {
                all[name] = chunk[name].clone();
            }
        }
    }
    all["content"] = json!({"role":"model"});
    if !parts.is_empty() {
        all["content"]["parts"] = parts.into();
    }
    all
}

fn agree(events: &[Event<'static>]) {
    let mut whole = whole(events);
    let mut flat = whole["candidates"][0].take();
    for name in ["usageMetadata", "modelVersion", "responseId"] {
        if !whole[name].is_null() {
            flat[name] = whole[name].clone();
        }
    }
    assert_eq!(accumulated(&chunks(events)), flat);
}

#[test]
fn each_piece_is_a_response_and_the_last_has_reason_and_usage() {
    let mut events = vec![
        START,
        open(0, Open::Text),
        text(0, "Hal"),
        text(0, "lo"),
        Event::Close { part: 0 },
    ];
    events.push(Event::Usage(Usage {
        uncached: 10,
        cache_read: 5,
        cache_write_5m: 1,
        cache_write_1h: 0,
        output: 9,
        reasoning: 4,
        ..Usage::default()
    }));
    events.extend(stop(StopReason::StopSequence));
    let id = Ids::new(3).next("");
    let expected = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"Hal\"}}],\"role\":\"model\"}},\"index\":0}}],\"modelVersion\":\"asked\",\"responseId\":\"{id}\"}}\r\n\r\n"
    );
    let stream = written(&events, false);
    assert!(stream.starts_with(&expected), "{stream}");
    let chunks = chunks(&events);
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[2]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(
        chunks[2]["usageMetadata"],
        json!({"promptTokenCount":16,"cachedContentTokenCount":5,"candidatesTokenCount":5,"thoughtsTokenCount":4,"totalTokenCount":25})
    );
    agree(&events);
}

#[test]
fn an_array_is_closed_at_the_end_and_empty_without_elements() {
    assert_eq!(written(&[START, Event::Finish], true), "[]");
    let events = [
        vec![START, open(0, Open::Text), text(0, "a")],
        stop(StopReason::End),
    ]
    .concat();
    let array = written(&events, true);
    assert!(
        array.starts_with("[{") && array.ends_with("}\n]") && array.contains("}\n,\r\n{"),
        "{array}"
    );
}

#[test]
fn calls_that_interleave_come_whole_and_in_order() {
    let mut events = vec![
        START,
        call(0, "a"),
        call(1, "b"),
        delta(1, Delta::Arguments("{\"y\":".into())),
        delta(0, Delta::Arguments("{\"x\":1.50e+2".into())),
        delta(1, Delta::Arguments("2}".into())),
        Event::Close { part: 1 },
        open(2, Open::Text),
        text(2, "la"),
        delta(0, Delta::Arguments("}".into())),
        Event::Close { part: 0 },
        text(2, "ter"),
        Event::Close { part: 2 },
        call(3, "c"),
        Event::Close { part: 3 },
    ];
    events.extend(stop(StopReason::ToolCalls));
    agree(&events);
    let all = accumulated(&chunks(&events));
    assert_eq!(
        all["content"]["parts"],
        json!([{"functionCall":{"id":"a","name":"f","args":{"x":150.0}},"thoughtSignature":crate::dialect::gemini::sealed::pack(&[])},{"functionCall":{"id":"b","name":"f","args":{"y":2}}},
            {"text":"later"},{"functionCall":{"id":"c","name":"f","args":{}}}])
    );
    assert!(written(&events, false).contains(r#""args":{"x":1.50e+2}"#));
}

#[test]
fn reasoning_of_another_maker_travels_on_its_part_and_on_the_call() {
    let signature = Signature::new("anthropic", "Eq+/==");
    let mut events = vec![
        START,
        thinking(),
        text(0, "dee"),
        text(0, "p"),
        delta(0, Delta::Signature(signature.clone())),
        Event::Close { part: 0 },
        open(
            1,
            Open::Reasoning {
                redacted: true,
                summary: false,
            },
        ),
        delta(1, Delta::Signature(Signature::new("anthropic", "hidden"))),
        Event::Close { part: 1 },
        open(2, Open::Text),
        text(2, "so"),
        Event::Close { part: 2 },
        call(3, "a"),
        Event::Close { part: 3 },
        call(4, "b"),
        Event::Close { part: 4 },
    ];
    events.extend(stop(StopReason::ToolCalls));
    agree(&events);
    // What the client sends back, with and without its thoughts, is what was thought.
    let answer = whole(&events);
    let parts = answer["candidates"][0]["content"]["parts"]
        .as_array()
        .expect("parts")
        .clone();
    let kept: Vec<Value> = parts
        .iter()
        .filter(|part| part["thought"].is_null())
        .cloned()
        .collect();
    assert_eq!((parts.len(), kept.len()), (5, 3));
    assert!(
        kept[2]["thoughtSignature"].is_null(),
        "only the first call carries it"
    );
    for parts in [parts, kept] {
        let body = json!({"contents":["go",{"role":"model","parts":parts}]}).to_string();
        let request = crate::dialect::gemini::read_request(body.as_bytes(), false).expect("read");
        let thoughts: Vec<_> = request.turns[1]
            .parts
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Reasoning(r) => Some((&*r.text, r.signature.clone(), r.redacted)),
                _ => None,
            })
            .collect();
        assert_eq!(
            thoughts,
            [
                ("deep", Some(signature.clone()), false),
                ("", Some(Signature::new("anthropic", "hidden")), true)
            ]
        );
    }
}

#[test]
fn googles_own_signatures_stand_raw() {
    let mut events = vec![
        START,
        thinking(),
        text(0, "hm"),
        Event::Close { part: 0 },
        call(1, "a"),
        delta(1, Delta::Signature(Signature::new("gemini", "own"))),
        Event::Close { part: 1 },
    ];
    events.extend(stop(StopReason::ToolCalls));
    agree(&events);
    let all = whole(&events);
    assert_eq!(
        all["candidates"][0]["content"]["parts"][1]["thoughtSignature"],
        "own"
    );
}

#[test]
fn sources_media_refusals_and_logprobs_are_carried() {
    let image = |source: &'static str| {
        Open::Media(Media::new(
            MediaKind::Image,
            Some("image/png".into()),
            Source::Base64(source.into()),
        ))
    };
    let cite = |url: &'static str, span| {
        delta(
            1,
            Delta::Citation(Citation {
                url: Some(url.into()),
                title: Some("T".into()),
                span,
                ..Citation::default()
            }),
        )
    };
    let mut events = vec![
        START,
        open(0, Open::Refusal),
        text(0, "nö. "),
        Event::Close { part: 0 },
        open(1, Open::Text),
        text(1, "Grüße Welt"),
        cite("https://a", Some((6, 10))),
        cite("https://b", None),
        cite("https://a", None),
        Event::Close { part: 1 },
        open(2, image("AAAA")),
        Event::Close { part: 2 },
        open(3, image("")),
        delta(3, Delta::Data("AA==".into())),
        delta(3, Delta::Data("AAAA".into())),
        Event::Close { part: 3 },
        Event::Logprobs {
            choice: 0,
            tokens: vec![TokenLogprob {
                token: "x".into(),
                logprob: Number(std::borrow::Cow::Borrowed(
                    serde_json::from_str("-0.50").expect("JSON"),
                )),
                bytes: None,
                top: Vec::new(),
            }],
        },
    ];
    events.extend(stop(StopReason::Refusal));
    let all = accumulated(&chunks(&events));
    assert_eq!(all["finishReason"], "SAFETY");
    assert_eq!(
        all["logprobsResult"],
        json!({"chosenCandidates":[{"token":"x","logProbability":-0.5}]})
    );
    assert_eq!(
        all["groundingMetadata"],
        json!({"groundingChunks":[{"web":{"uri":"https://a","title":"T"}},{"web":{"uri":"https://b","title":"T"}}],
            "groundingSupports":[{"segment":{"startIndex":13,"endIndex":17,"text":"Welt"},"groundingChunkIndices":[0]}]})
    );
    assert_eq!(
        all["content"]["parts"],
        json!([{"text":"nö. Grüße Welt"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"inlineData":{"mimeType":"image/png","data":"AAAAAA=="}}])
    );
    let whole = whole(&events);
    assert_eq!(
        whole["candidates"][0]["groundingMetadata"],
        all["groundingMetadata"]
    );
}

#[test]
fn reasons_of_the_end_are_words_that_clients_know() {
    for (reason, detail, word, message) in [
        (StopReason::Paused, None, "STOP", None),
        (StopReason::ContextFull, None, "MAX_TOKENS", None),
        (StopReason::Filtered, Some("RECITATION"), "RECITATION", None),
        (
            StopReason::Filtered,
            Some("content_filter"),
            "SAFETY",
            Some("content_filter"),
        ),
        (
            StopReason::MalformedCall,
            None,
            "MALFORMED_FUNCTION_CALL",
            None,
        ),
        (StopReason::Other, Some("LANGUAGE"), "LANGUAGE", None),
        (StopReason::Other, None, "OTHER", None),
    ] {
        let mut out = Vec::new();
        let mut candidate = Object::open(&mut out);
        finish(reason, detail, &mut candidate);
        candidate.close();
        let mut expected = json!({"finishReason": word});
        if let Some(message) = message {
            expected["finishMessage"] = Value::from(message);
        }
        assert_eq!(
            serde_json::from_slice::<Value>(&out).expect("JSON"),
            expected
        );
    }
}

#[test]
fn what_was_recorded_and_written_again_reads_the_same() {
    // From this protocol into this protocol: nothing is lost on the way.
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a","thoughtSignature":"AA=="},{"functionCall":{"id":"x","name":"f","args":{"a":[1]}},"thoughtSignature":"BB=="}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;
    let mut fold = Fold::default();
    crate::dialect::gemini::Reader::new(Ids::new(1))
        .body(body.as_bytes(), &mut |event| fold.event(event));
    let mut written: Value =
        serde_json::from_slice(&write_answer(&fold.finish(), &mut echo(false))).expect("JSON");
    let object = written.as_object_mut().expect("an object");
    object.remove("modelVersion");
    object.remove("responseId");
    assert_eq!(written, serde_json::from_str::<Value>(body).expect("JSON"));
}
