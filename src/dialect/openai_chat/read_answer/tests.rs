//! What is read of answers as they are found.

use std::collections::BTreeMap;

use super::*;
use crate::chat::{Answer, Delta, Fold, PartKind, StopReason};

/// Gathers events and checks their grammar.
#[derive(Default)]
struct Checked {
    fold: Fold,
    started: bool,
    stops: Vec<u32>,
    over: bool,
    open: BTreeMap<u32, bool>,
    next: u32,
    faulted: bool,
}

impl Checked {
    fn event(&mut self, event: Event<'_>) {
        assert!(!self.over, "after the end: {event:?}");
        assert!(
            self.started || matches!(event, Event::Start { .. }),
            "before the start: {event:?}"
        );
        let ends = matches!(event, Event::Stop(_) | Event::Finish | Event::Fault(_));
        assert!(self.stops.is_empty() || ends, "after a stop: {event:?}");
        match &event {
            Event::Start { .. } => assert!(!std::mem::replace(&mut self.started, true)),
            Event::Open { part, .. } => {
                assert_eq!(*part, self.next);
                self.next += 1;
                self.open.insert(*part, true);
            }
            Event::Delta { part, delta } => {
                assert_eq!(self.open.get(part), Some(&true), "{event:?}");
                if let Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) = delta {
                    assert!(!text.is_empty(), "{event:?}");
                }
            }
            Event::Close { part } => assert_eq!(self.open.insert(*part, false), Some(true)),
            Event::Stop(stop) => {
                assert!(!self.open.values().any(|open| *open));
                assert!(!self.stops.contains(&stop.choice));
                self.stops.push(stop.choice);
            }
            Event::Finish => {
                assert!(!self.stops.is_empty());
                self.over = true;
            }
            Event::Fault(_) => {
                assert!(!self.open.values().any(|open| *open));
                self.over = true;
                self.faulted = true;
            }
            Event::Logprobs { .. } | Event::Usage(_) | Event::ServiceTier(_) | Event::Ping => {}
        }
        self.fold.event(event);
    }

    fn finish(self) -> Answer {
        assert!(self.over, "no end");
        self.fold.finish()
    }
}

fn stream(chunks: &[&str]) -> Answer {
    let mut checked = Checked::default();
    let mut reader = Reader::new(Ids::new(7));
    for chunk in chunks {
        reader.data(chunk.as_bytes(), &mut |event| checked.event(event));
    }
    reader.end(&mut |event| checked.event(event));
    checked.finish()
}

fn whole(body: &str) -> Answer {
    let mut checked = Checked::default();
    Reader::new(Ids::new(7)).body(body.as_bytes(), &mut |event| checked.event(event));
    checked.finish()
}

/// One choice, shortly: `text(…) call(id,name,arguments) … | stop`.
fn short(answer: &Answer) -> String {
    if let Some(fault) = &answer.fault {
        return format!("fault {} {}", fault.status, fault.message);
    }
    let choice = &answer.choices[0];
    let mut out = String::new();
    for part in &choice.parts {
        out += &match &part.kind {
            PartKind::Text {
                text, citations, ..
            } if citations.is_empty() => format!("text({text}) "),
            PartKind::Text {
                text, citations, ..
            } => format!("text({text};{}) ", citations.len()),
            PartKind::Reasoning(r) => format!(
                "{}({}{}) ",
                if r.redacted { "redacted" } else { "reasoning" },
                r.text,
                if r.signature.is_some() { ";signed" } else { "" }
            ),
            PartKind::ToolCall(c) if c.id.len() == 29 => {
                format!("call({},{}) ", c.name, c.arguments)
            }
            PartKind::ToolCall(c) => format!("call({},{},{}) ", c.id, c.name, c.arguments),
            PartKind::Refusal(t) => format!("refusal({t}) "),
            PartKind::Media(m) => format!(
                "media({:?},{}) ",
                m.kind,
                m.transcript.as_deref().unwrap_or("")
            ),
            PartKind::ToolResult(_) => "result ".to_owned(),
        };
    }
    format!("{out}| {:?}", choice.stop.expect("stopped"))
}

/// Deltas of choice 0 as chunks, the last with a finish reason.
fn deltas(deltas: &[&str], finish: &str) -> String {
    let chunks: Vec<String> = deltas
        .iter()
        .map(|delta| format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{delta}}}]}}"#))
        .chain([
            format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":{finish}}}]}}"#),
            "[DONE]".to_owned(),
        ])
        .collect();
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    short(&stream(&chunks))
}

#[test]
fn kinds_of_output_are_parts_of_their_own() {
    for (pieces, finish, expected) in [
        (
            &[
                r#"{"role":"assistant","content":""}"#,
                r#"{"content":"a"}"#,
                r#"{"content":"b"}"#,
            ][..],
            "\"stop\"",
            "text(ab) | End",
        ),
        (
            &[
                r#"{"reasoning_content":"h"}"#,
                r#"{"reasoning_content":"m","content":""}"#,
                r#"{"content":"a"}"#,
            ],
            "\"stop\"",
            "reasoning(hm) text(a) | End",
        ),
        (
            &[r#"{"content":null,"refusal":"no"}"#, r#"{"refusal":"."}"#],
            "\"stop\"",
            "refusal(no.) | Refusal",
        ),
        (
            &[
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
                r#"{"content":[{"type":"text","text":"a"}]}"#,
            ],
            "\"stop\"",
            "reasoning(hm) text(a) | End",
        ),
        (
            &[
                r#"{"reasoning":"h","reasoning_details":[{"type":"reasoning.text","text":"h","index":0}]}"#,
                r#"{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"m","index":0}]}"#,
                r#"{"content":"","reasoning_details":[{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1","index":0}]}"#,
                r#"{"content":"a"}"#,
            ],
            "\"stop\"",
            "reasoning(hm;signed) text(a) | End",
        ),
        (
            &[
                r#"{"content":"a","reasoning_details":[]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":0}]}"#,
            ],
            "\"stop\"",
            "text(a) redacted(;signed) | End",
        ),
        (
            &[
                r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}"#,
                r#"{"audio":{"id":"a","data":"AAAA","transcript":"hi"}}"#,
                r#"{"audio":{"transcript":"!"}}"#,
            ],
            "\"stop\"",
            "media(Image,) media(Audio,hi!) | End",
        ),
        (
            &[
                r#"{"content":"a"}"#,
                r#"{"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":1}}]}"#,
                r#"{"content":"b"}"#,
            ],
            "\"length\"",
            "text(ab;1) | MaxTokens",
        ),
        (
            &[
                r#"{"content":7}"#,
                r#"{"content":"a","tool_calls":null,"reasoning":{}}"#,
            ],
            "3",
            "text(a) | Other",
        ),
    ] {
        assert_eq!(deltas(pieces, finish), expected, "{pieces:?}");
    }
}

#[test]
fn calls_are_told_apart_however_they_come() {
    for (pieces, expected) in [
        // As the protocol has it, two at once.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#,
                r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":"}"}}]}"#,
            ][..],
            "call(a,f,{\"x\":1}) call(b,g,{}) | ToolCalls",
        ),
        // Without index: by id, else the last.
        (
            &[
                r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
                r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
                r#"{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
            ],
            "call(a,f,{}) call(b,f,{}) | ToolCalls",
        ),
        // Every call numbered 0.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            ],
            "call(a,f,{}) call(b,f,{\"x\":1}) | ToolCalls",
        ),
        // Name and id in each piece, and opened twice.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}]}"#,
            ],
            "call(a,f,{\"x\":1}) | ToolCalls",
        ),
        // The whole again at the end.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
            ],
            "call(a,f,{\"x\":1}) | ToolCalls",
        ),
        // Neither index nor id, and an object for a text.
        (
            &[
                r#"{"tool_calls":[{"function":{"name":"f","arguments":{"x":1.50}}}]}"#,
                r#"{"tool_calls":[{"function":{"name":"f","arguments":{"x":2}}}]}"#,
            ],
            "call(f,{\"x\":1.50}) call(f,{\"x\":2}) | ToolCalls",
        ),
        // Opened with `{}`, then the arguments.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}"#,
            ],
            "call(a,f,{\"x\":1}) | ToolCalls",
        ),
        // The id before the name.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","type":"function"}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#,
            ],
            "call(a,f,{}) | ToolCalls",
        ),
        (
            &[
                r#"{"function_call":{"name":"f","arguments":""}}"#,
                r#"{"function_call":{"arguments":"{\"x\":1}"}}"#,
            ],
            "call(f,{\"x\":1}) | ToolCalls",
        ),
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"c","input":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"custom":{"input":"raw {"}}]}"#,
                r#"{"content":"t"}"#,
            ],
            "call(a,c,raw {) text(t) | ToolCalls",
        ),
    ] {
        assert_eq!(deltas(pieces, "\"stop\""), expected, "{pieces:?}");
    }
}

#[test]
fn nothing_ends_before_the_stream_does() {
    let answer = stream(&[
        r#"{"id":"","choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"chatcmpl-1","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2},"service_tier":"default"}"#,
        "[DONE]",
        r#"{"choices":[{"delta":{"content":"late"}}]}"#,
    ]);
    assert_eq!(short(&answer), "text(ab) | End");
    assert_eq!(
        (answer.id.as_deref(), answer.created),
        (Some("chatcmpl-1"), Some(5))
    );
    assert_eq!(answer.usage.map(|usage| usage.input()), Some(3));
    assert_eq!(answer.service_tier.as_deref(), Some("default"));
}

#[test]
fn a_stream_ends_well_with_a_marker_or_a_reason_and_else_in_a_fault() {
    let text = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let reason = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    assert_eq!(short(&stream(&[text, "[DONE]"])), "text(a) | End");
    assert_eq!(short(&stream(&[text, reason])), "text(a) | End");
    for chunks in [&[text][..], &["[DONE]"], &[]] {
        assert!(
            short(&stream(chunks)).starts_with("fault 502"),
            "{chunks:?}"
        );
    }
}

#[test]
fn an_error_ends_the_answer() {
    for (chunk, expected) in [
        (r#"{"error":{"message":"m","code":429}}"#, "fault 429 m"),
        (
            r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"error","error":{"code":502,"message":"m"}}]}"#,
            "fault 502 m",
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            "fault 502 The provider ended its answer with an error that it did not name.",
        ),
        (
            r#"{"object":"error","message":"m","code":400}"#,
            "fault 400 m",
        ),
    ] {
        let text = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        assert_eq!(short(&stream(&[text, chunk, "[DONE]"])), expected);
        assert_eq!(short(&whole(chunk)), expected);
    }
    assert!(short(&whole("<html>")).starts_with("fault 502"));
}

#[test]
fn several_choices_stop_each_for_itself() {
    let answer = stream(&[
        r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(answer.choices.len(), 2);
    assert_eq!(answer.choices[0].stop, Some(StopReason::End));
    assert_eq!(answer.choices[1].stop, Some(StopReason::MaxTokens));
    assert_eq!(answer.choices[1].parts[0].as_text(), Some("b"));
}

#[test]
fn a_whole_body_gives_the_same() {
    let answer = whole(
        r#"{"id":"gen-1","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning":"hm","tool_calls":[{"id":"c","type":"function",
           "function":{"name":"f","arguments":"{\"x\":1}"},"extra_content":{"google":{"thought_signature":"S"}}}]},
           "logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1e1}]}]},"finish_reason":"stop"}],
           "usage":{"prompt_tokens":2,"completion_tokens":1}}"#,
    );
    assert_eq!(
        short(&answer),
        "reasoning(hm) text(a) call(c,f,{\"x\":1}) | ToolCalls"
    );
    let PartKind::ToolCall(call) = &answer.choices[0].parts[2].kind else {
        panic!("call")
    };
    assert_eq!(
        call.signature,
        Some(crate::chat::Signature::new("gemini", "S"))
    );
    let token = &answer.choices[0].logprobs[0];
    assert_eq!(
        (token.logprob.0.get(), token.bytes.as_deref()),
        ("-0.10", Some(&[97][..]))
    );
    assert_eq!(token.top[0].1.0.get(), "-1e1");
}

#[test]
fn spans_of_citations_count_from_their_part() {
    let answer = stream(&[
        r#"{"choices":[{"index":0,"delta":{"content":"één"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning":"hm"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"twee","annotations":[{"type":"url_citation","url_citation":{"url":"u","start_index":3,"end_index":7}}]}}]}"#,
        "[DONE]",
    ]);
    let PartKind::Text { citations, .. } = &answer.choices[0].parts[2].kind else {
        panic!("text")
    };
    assert_eq!(citations[0].span, Some((0, 4)));
}

/// Every recording of this protocol, if they are there.
fn recordings() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let Ok(providers) = std::fs::read_dir("../shared/recordings") else {
        return all;
    };
    for provider in providers.flatten() {
        let Ok(files) = std::fs::read_dir(provider.path().join("chat")) else {
            continue;
        };
        for file in files.flatten() {
            let text = std::fs::read(file.path()).expect("readable");
            let value: Value = serde_json::from_slice(&text).expect("JSON");
            all.push((file.path().display().to_string(), value));
        }
    }
    all
}

fn said<'v>(value: &'v Value, which: &str, field: &str) -> Vec<&'v str> {
    let choices = value["choices"].as_array().map_or(&[][..], |all| all);
    choices
        .iter()
        .filter(|choice| choice["index"] == 0)
        .filter_map(|choice| choice[which][field].as_str())
        .collect()
}

#[test]
fn recordings_are_read_without_loss_and_by_the_grammar() {
    for (name, record) in recordings() {
        let response = &record["response"];
        if response["status"] != 200 {
            continue;
        }
        let (answer, expected) = if let Some(sse) = response["sse"].as_str() {
            let data: Vec<&str> = sse
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(str::trim)
                .collect();
            let text: String = data
                .iter()
                .filter_map(|data| serde_json::from_str::<Value>(data).ok())
                .flat_map(|v| {
                    said(&v, "delta", "content")
                        .concat()
                        .chars()
                        .collect::<Vec<_>>()
                })
                .collect();
            (stream(&data), text)
        } else {
            let body = &response["body"];
            (
                whole(&body.to_string()),
                said(body, "message", "content").concat(),
            )
        };
        if name.contains("error") {
            assert!(answer.fault.is_some(), "{name}");
            continue;
        }
        assert!(answer.fault.is_none(), "{name}: {:?}", answer.fault);
        let text: String = answer.choices[0]
            .parts
            .iter()
            .filter_map(|part| part.as_text())
            .collect();
        assert_eq!(text, expected, "{name}");
        let states_usage = record["response"].to_string().contains("prompt_tokens");
        assert_eq!(answer.usage.is_some(), states_usage, "{name}");
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{name}\n    {}", short(&answer));
        }
    }
}
