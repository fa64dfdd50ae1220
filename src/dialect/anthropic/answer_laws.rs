//! Answers read and written: streamed and whole agree, whatever comes.

mod accumulate;

use serde_json::{Value, json};

use accumulate::accumulate;

use super::request_laws::recordings;
use super::{Reader, Writer, read_request, write_answer};
use crate::base::{Ids, Usage};
use crate::chat::{
    Answer, Citation, Delta, Event, Fold, Media, MediaKind, Open, Part, PartKind, Signature,
    Source, Stop, StopReason,
};
use crate::dialect::translate::Echo;

fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: "asked".to_owned(),
        input_estimate: 12,
        ..Echo::default()
    }
}

/// Checks the grammar of events, and folds them.
#[derive(Default)]
struct Law {
    started: bool,
    ended: bool,
    open: Vec<u32>,
    parts: u32,
    stops: u32,
}

impl Law {
    fn event(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "after the end: {event:?}");
        match event {
            Event::Start { .. } => {
                assert!(!self.started);
                self.started = true;
                return;
            }
            Event::Open { part, .. } => {
                assert_eq!(*part, self.parts);
                self.parts += 1;
                self.open.push(*part);
            }
            Event::Delta { part, delta } => {
                assert!(self.open.contains(part));
                if let Delta::Text(text) | Delta::Arguments(text) = delta {
                    assert!(!text.is_empty());
                }
            }
            Event::Close { part } => {
                let at = self.open.iter().position(|one| one == part).expect("open");
                self.open.remove(at);
            }
            Event::Stop(_) => {
                assert!(self.open.is_empty());
                self.stops += 1;
            }
            Event::Finish | Event::Fault(_) => {
                assert!(self.open.is_empty());
                self.ended = true;
            }
            Event::Logprobs { .. } | Event::Usage(_) | Event::ServiceTier(_) | Event::Ping => {}
        }
        assert!(self.started, "before the start: {event:?}");
    }
}

/// What a stream of this protocol is read into, and what a writer makes of it.
fn translate(feed: impl FnOnce(&mut Reader, &mut dyn FnMut(Event<'_>))) -> (Answer, Vec<u8>, u32) {
    let (mut law, mut fold, mut out) = (Law::default(), Fold::default(), Vec::new());
    let mut writer = Writer::new(echo());
    let mut reader = Reader::new(Ids::new(1));
    feed(&mut reader, &mut |event| {
        law.event(&event);
        fold.event(event.clone());
        writer.event(event, &mut out);
    });
    assert!(law.ended);
    (fold.finish(), out, law.stops)
}

fn whole(answer: &Answer) -> Value {
    serde_json::from_slice(&write_answer(answer, &mut echo())).expect("JSON")
}

/// Feeds events to the writer, and compares what an SDK makes of them with the body of the same answer.
fn agree(events: &[Event<'_>]) -> Value {
    let (mut law, mut fold, mut out) = (Law::default(), Fold::default(), Vec::new());
    let mut writer = Writer::new(echo());
    for event in events {
        law.event(event);
        fold.event(event.clone());
        writer.event(event.clone(), &mut out);
    }
    let streamed = accumulate(&out);
    assert_eq!(streamed, whole(&fold.finish()));
    streamed
}

fn start() -> Event<'static> {
    Event::Start {
        id: Some("chatcmpl-1".into()),
        model: Some("m".into()),
        created: None,
    }
}

fn open(part: u32, kind: Open<'_>) -> Event<'_> {
    Event::Open {
        part,
        choice: 0,
        kind,
    }
}

fn delta(part: u32, delta: Delta<'_>) -> Event<'_> {
    Event::Delta { part, delta }
}

fn tool(id: &str) -> Open<'_> {
    Open::ToolCall {
        id: id.into(),
        name: "f".into(),
        custom: false,
    }
}

fn stop(reason: StopReason) -> Event<'static> {
    Event::Stop(Stop {
        choice: 0,
        reason,
        sequence: None,
        detail: None,
    })
}

#[test]
fn parts_that_interleave_become_blocks_in_a_row_with_numbers_in_order() {
    let message = agree(&[
        start(),
        Event::Ping,
        open(
            0,
            Open::Reasoning {
                redacted: false,
                summary: false,
            },
        ),
        delta(0, Delta::Text("hm".into())),
        open(1, Open::Text),
        delta(1, Delta::Text("é\n\"".into())),
        open(2, tool("a")),
        open(3, tool("b")),
        delta(3, Delta::Arguments("{\"n\":".into())),
        delta(2, Delta::Arguments("{\"s\":\"".into())),
        delta(0, Delta::Signature(Signature::new("gemini", "S"))),
        Event::Close { part: 0 },
        delta(2, Delta::Arguments("ü\"}".into())),
        delta(1, Delta::Text("x".into())),
        Event::Close { part: 1 },
        delta(3, Delta::Arguments("1}".into())),
        Event::Close { part: 3 },
        Event::Close { part: 2 },
        open(4, tool("c")),
        Event::Close { part: 4 },
        open(5, Open::Text),
        Event::Close { part: 5 },
        Event::Usage(Usage {
            uncached: 5,
            cache_read: 7,
            output: 9,
            reasoning: 2,
            ..Usage::default()
        }),
        stop(StopReason::End),
        Event::Finish,
    ]);
    let content = message["content"].as_array().expect("content");
    assert_eq!(content.len(), 5);
    assert_eq!(content[1]["text"], "é\n\"x");
    assert_eq!(content[2]["input"], json!({"s": "ü"}));
    assert_eq!(content[3]["input"], json!({"n": 1}));
    assert_eq!(content[4]["input"], json!({}));
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(
        message["usage"],
        json!({"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 2}})
    );
    assert_eq!(message["model"], "asked");
    assert!(
        message["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("msg_"))
    );
}

#[test]
fn signatures_of_calls_come_back_to_where_they_were() {
    let signed = |data: &'static str| Delta::Signature(Signature::new("gemini", data));
    let events = [
        start(),
        open(0, Open::Text),
        delta(0, Delta::Text("a".into())),
        Event::Close { part: 0 },
        open(1, tool("x")),
        delta(1, Delta::Arguments("{\"n\":1}".into())),
        delta(1, signed("C")),
        Event::Close { part: 1 },
        open(2, tool("y")),
        Event::Close { part: 2 },
        open(
            3,
            Open::Reasoning {
                redacted: true,
                summary: false,
            },
        ),
        delta(3, Delta::Signature(Signature::new("openai_chat", "E"))),
        Event::Close { part: 3 },
        open(
            4,
            Open::Reasoning {
                redacted: false,
                summary: false,
            },
        ),
        delta(4, signed("R")),
        Event::Close { part: 4 },
        open(5, tool("z")),
        Event::Close { part: 5 },
        stop(StopReason::ToolCalls),
        Event::Finish,
    ];
    let message = agree(&events);
    let body = json!({"max_tokens": 1, "messages": [
        {"role": "user", "content": "q"}, {"role": "assistant", "content": message["content"]}]})
    .to_string();
    let request = read_request(body.as_bytes()).expect("valid");
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    let answer = fold.finish();
    let shown = |parts: &[Part<'_>]| -> Vec<String> {
        parts.iter().map(|part| format!("{part:?}")).collect()
    };
    assert_eq!(
        shown(&request.turns[1].parts),
        shown(&answer.choices[0].parts)
    );
}

#[test]
fn media_refusals_and_citations_are_told_as_far_as_the_protocol_goes() {
    let message = agree(&[
        start(),
        Event::ServiceTier("default".into()),
        Event::Usage(Usage {
            uncached: 3,
            cache_write_1h: 2,
            ..Usage::default()
        }),
        open(
            0,
            Open::Media(Media::new(
                MediaKind::Audio,
                Some("audio/wav".into()),
                Source::Base64("".into()),
            )),
        ),
        delta(0, Delta::Data("AAAA".into())),
        delta(0, Delta::Text("hel".into())),
        delta(0, Delta::Text("lo".into())),
        Event::Close { part: 0 },
        open(1, Open::Text),
        delta(1, Delta::Text("see".into())),
        delta(
            1,
            Delta::Citation(Citation {
                url: Some("https://x".into()),
                quote: Some("q".into()),
                ..Citation::default()
            }),
        ),
        Event::Close { part: 1 },
        open(2, Open::Refusal),
        delta(2, Delta::Text("no".into())),
        Event::Close { part: 2 },
        Event::Usage(Usage {
            uncached: 3,
            cache_write_1h: 2,
            output: 8,
            ..Usage::default()
        }),
        Event::Stop(Stop {
            choice: 0,
            reason: StopReason::Filtered,
            sequence: None,
            detail: Some("policy".into()),
        }),
        Event::Finish,
    ]);
    assert_eq!(
        message["content"][0]["text"],
        "[The model produced audio (audio/wav), which this API cannot show.]\nhello"
    );
    assert_eq!(message["content"][1]["citations"][0]["url"], "https://x");
    assert_eq!(message["stop_reason"], "refusal");
    assert_eq!(message["stop_details"]["explanation"], "policy");
    assert_eq!(message["usage"]["service_tier"], "standard");
    assert_eq!(message["usage"]["cache_creation_input_tokens"], 2);
}

#[test]
fn an_empty_answer_without_usage_is_still_a_message() {
    let message = agree(&[start(), stop(StopReason::End), Event::Finish]);
    assert_eq!(message["content"], json!([]));
    assert_eq!(message["usage"]["input_tokens"], 12);
}

fn frames(all: &[&str]) -> (Answer, Vec<u8>, u32) {
    translate(|reader, sink| {
        for data in all {
            reader.data(data.as_bytes(), sink);
        }
        reader.end(sink);
        reader.end(sink);
    })
}

#[test]
fn a_messy_stream_still_obeys_the_grammar() {
    let (answer, out, stops) = frames(&[
        "garbage",
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"a"}}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"","name":"f","input":{"n": 1.50e+2}}}"#,
        r#"{"type":"content_block_start","index":9,"content_block":{"type":"tool_use","id":null,"name":"g","input":{"x":1}}}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}"#,
        r#"{"type":"content_block_start","index":10,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":10,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"thinking_delta","thinking":"late"}}"#,
        r#"{"type":"something_new","x":[1]}"#,
        r#"{"type":"message_stop"}"#,
        r#"{"type":"message_stop"}"#,
    ]);
    let choice = &answer.choices[0];
    assert_eq!(stops, 1);
    assert_eq!(choice.stop, Some(StopReason::ToolCalls));
    assert_eq!(choice.parts.len(), 4);
    assert_eq!(choice.parts[0].as_text(), Some("a"));
    let arguments: Vec<(&str, bool)> = choice
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some((&*call.arguments, call.id.starts_with("call_"))),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, [("{\"n\": 1.50e+2}", true), ("{\"x\":1}", true)]);
    assert_eq!(accumulate(&out), whole(&answer));
}

#[test]
fn a_stream_that_breaks_ends_in_a_fault() {
    let begun = [
        r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    ];
    let (answer, _, stops) = frames(&begun);
    assert_eq!(answer.fault.expect("a fault").status, 502);
    assert_eq!(stops, 0);
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (answer, _, _) = frames(&[begun[0], begun[1], error, begun[1]]);
    assert_eq!(answer.fault.expect("a fault").status, 529);
    let (answer, _, _) = translate(|reader, sink| reader.body(error.as_bytes(), sink));
    assert_eq!(answer.fault.expect("a fault").status, 529);
    let (answer, _, _) = translate(|reader, sink| reader.body(b"<html>", sink));
    assert_eq!(answer.fault.expect("a fault").status, 502);
}

#[test]
fn each_recorded_answer_is_read_and_written_the_same_streamed_and_whole() {
    for (name, recording) in recordings() {
        let response = &recording["response"];
        let (answer, out, _) = translate(|reader, sink| {
            if let Some(stream) = response["sse"].as_str() {
                for line in stream.lines().filter_map(|line| line.strip_prefix("data:")) {
                    reader.data(line.as_bytes(), sink);
                }
                reader.end(sink);
            } else {
                reader.body(response["body"].to_string().as_bytes(), sink);
            }
        });
        if response["status"].as_u64() >= Some(400) {
            assert!(answer.fault.is_some(), "{name}");
            continue;
        }
        assert!(answer.fault.is_none(), "{name}: {:?}", answer.fault);
        let message = accumulate(&out);
        assert_eq!(message, whole(&answer), "{name}");
        if let Some(content) = response["body"]["content"].as_array() {
            // What is not a hosted tool's comes out as it went in.
            let kept = |all: &[Value]| -> Vec<Value> {
                all.iter()
                    .filter(|block| {
                        ["text", "thinking", "redacted_thinking", "tool_use"]
                            .contains(&block["type"].as_str().unwrap_or_default())
                    })
                    .map(|block| {
                        let mut block = block.clone();
                        let fields = block.as_object_mut().expect("an object");
                        fields.remove("citations");
                        fields.remove("caller");
                        block
                    })
                    .collect()
            };
            let written = message["content"].as_array().expect("content");
            assert_eq!(kept(written), kept(content), "{name}");
            assert_eq!(message["stop_reason"], response["body"]["stop_reason"]);
        }
    }
}
