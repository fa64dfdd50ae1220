//! What holds for any answer: streamed and unstreamed agree, the stream is one that strict clients take, and what is
//! written can be read again.

use serde_json::{Value, json};

use super::*;
use crate::base::{FaultKind, Ids, Usage};
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{
    Answer, Citation, Delta, Event, Fold, Json, Media, MediaKind, Open, PartKind, Signature,
    Source, Stop, StopReason,
};
use crate::dialect::translate::Echo;

fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: "asked".into(),
        now: 99,
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

fn call(id: &'static str, name: &'static str, custom: bool) -> Open<'static> {
    Open::ToolCall {
        id: id.into(),
        name: name.into(),
        custom,
    }
}

fn everything() -> Vec<Event<'static>> {
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
            Open::Media(Media {
                kind: MediaKind::Image,
                mime: Some("image/webp".into()),
                source: Source::Base64("".into()),
                name: None,
                detail: None,
                transcript: None,
            }),
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

const REQUEST: &[u8] = br#"{"input":"x","store":false,"tools":[{"type":"namespace","name":"crm","description":"d","tools":[{"type":"function","name":"find"}]},{"type":"function","name":"f"}]}"#;

fn streamed(events: Vec<Event<'static>>) -> Vec<Value> {
    let mut out = Vec::new();
    let mut writer = Writer::with(echo(), Repeat::of(REQUEST));
    for event in events {
        writer.event(event, &mut out);
    }
    frames(&out)
}

fn frames(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("text");
    text.split_terminator("\n\n")
        .map(|frame| {
            let (name, data) = frame.split_once('\n').expect("two lines");
            let value: Value =
                serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            assert_eq!(name.strip_prefix("event: "), value["type"].as_str());
            value
        })
        .collect()
}

fn whole(events: Vec<Event<'static>>) -> Value {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event);
    }
    let body = write_answer_with(&fold.finish(), &mut echo(), Repeat::of(REQUEST));
    serde_json::from_slice(&body).expect("JSON")
}

/// Puts a response together from its events as the official clients do, and fails where they would.
fn accumulated(events: &[Value]) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let at = event["output_index"].as_u64().unwrap_or(0) as usize;
        let content = event["content_index"].as_u64().unwrap_or(0) as usize;
        if let Some(id) = event.get("item_id") {
            assert_eq!(output[at]["id"], *id, "{event}");
        }
        let add = |value: &mut Value| {
            let more = event["delta"].as_str().expect("delta");
            *value = json!(format!("{}{more}", value.as_str().expect("text")));
        };
        match event["type"].as_str().expect("type") {
            "response.output_item.added" => {
                assert_eq!(at, output.len());
                output.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let contents = output[at]["content"].as_array_mut().expect("content");
                assert_eq!(content, contents.len());
                contents.push(event["part"].clone());
            }
            "response.output_text.delta" => {
                assert!(event["logprobs"].is_array());
                add(&mut output[at]["content"][content]["text"]);
            }
            "response.refusal.delta" => add(&mut output[at]["content"][content]["refusal"]),
            "response.function_call_arguments.delta" => add(&mut output[at]["arguments"]),
            "response.custom_tool_call_input.delta" => add(&mut output[at]["input"]),
            "response.reasoning_summary_part.added" => {
                output[at]["summary"]
                    .as_array_mut()
                    .expect("summary")
                    .push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => add(&mut output[at]["summary"][0]["text"]),
            "response.output_text.done" => {
                assert_eq!(output[at]["content"][content]["text"], event["text"]);
            }
            "response.function_call_arguments.done" => {
                assert_eq!(output[at]["arguments"], event["arguments"]);
                assert_eq!(output[at]["name"], event["name"]);
            }
            "response.custom_tool_call_input.done" => {
                assert_eq!(output[at]["input"], event["input"]);
            }
            "response.reasoning_summary_text.done" => {
                assert_eq!(output[at]["summary"][0]["text"], event["text"]);
            }
            "response.output_item.done" => {
                let item = &event["item"];
                for field in [
                    "id",
                    "type",
                    "arguments",
                    "input",
                    "call_id",
                    "name",
                    "summary",
                ] {
                    assert_eq!(output[at].get(field), item.get(field), "{item}");
                }
                output[at] = item.clone();
            }
            _ => {}
        }
    }
    output
}

#[test]
fn a_stream_put_together_is_the_whole_answer() {
    let events = streamed(everything());
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events[1]["type"], "response.in_progress");
    let last = events.last().expect("an end");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(
        Value::from(accumulated(&events)),
        last["response"]["output"]
    );
    assert_eq!(last["response"], whole(everything()));
    let added = events
        .iter()
        .filter(|e| e["type"] == "response.output_item.added")
        .count();
    let done = events
        .iter()
        .filter(|e| e["type"] == "response.output_item.done")
        .count();
    assert_eq!(added, done);
}

#[test]
fn the_response_has_what_the_clients_models_ask_for() {
    let response = whole(everything());
    for field in [
        "id",
        "object",
        "created_at",
        "status",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "output",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "usage",
        "metadata",
        "text",
        "truncation",
        "reasoning",
        "previous_response_id",
        "store",
        "background",
    ] {
        assert!(response.get(field).is_some(), "{field}");
    }
    assert!(
        response["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("resp_"))
    );
    assert_eq!(
        (&response["model"], &response["created_at"]),
        (&json!("asked"), &json!(5))
    );
    assert_eq!(
        response["usage"]["input_tokens_details"]["cached_tokens"],
        4
    );
    assert_eq!(response["usage"]["total_tokens"], 12);
    assert_eq!(response["service_tier"], "priority");
    let kinds: Vec<&str> = response["output"]
        .as_array()
        .expect("output")
        .iter()
        .map(|item| item["type"].as_str().expect("type"))
        .collect();
    assert_eq!(
        kinds,
        [
            "reasoning",
            "reasoning",
            "message",
            "function_call",
            "custom_tool_call",
            "function_call",
            "image_generation_call",
            "message",
            "reasoning",
            "reasoning",
        ]
    );
    let message = &response["output"][2];
    assert_eq!(message["content"].as_array().map(Vec::len), Some(2));
    assert_eq!(message["content"][0]["annotations"][1]["end_index"], 7);
    assert_eq!(
        message["content"][0]["logprobs"][0]["top_logprobs"][0]["bytes"],
        json!([72])
    );
    assert_eq!(response["output"][3]["namespace"], "crm");
    assert_eq!(response["output"][3]["name"], "find");
    assert_eq!(response["output"][5]["arguments"], "{}");
    assert_eq!(response["output"][6]["result"], "QUI=");
}

#[test]
fn what_a_client_sends_back_is_what_it_got() {
    let response = whole(everything());
    let mut input = vec![json!({"role":"user","content":"x"})];
    input.extend(
        response["output"]
            .as_array()
            .expect("output")
            .iter()
            .cloned(),
    );
    let body = serde_json::to_vec(&json!({ "input": input })).expect("JSON");
    let request = read_request(&body).expect("read");
    assert!(request.losses.is_empty(), "{:?}", request.losses);
    let mut fold = Fold::default();
    for event in everything() {
        fold.event(event);
    }
    let answer = fold.finish();
    let told: Vec<String> = answer.choices[0]
        .parts
        .iter()
        .map(|part| strip(&part.kind))
        .collect();
    let read: Vec<String> = request.turns[1]
        .parts
        .iter()
        .map(|part| strip(&part.kind))
        .collect();
    assert_eq!(read, told);
}

/// What must survive, without what the protocol has no field for.
fn strip(kind: &PartKind<'_>) -> String {
    match kind {
        PartKind::Text {
            text,
            citations,
            signature,
        } => format!("{text:?} {} {signature:?}", citations.len()),
        PartKind::Reasoning(reasoning) => format!("{reasoning:?}"),
        PartKind::ToolCall(call) => format!("{call:?}"),
        PartKind::Media(media) => format!("{:?} {:?}", media.mime, media.source),
        PartKind::Refusal(text) => format!("refusal {text}"),
        PartKind::ToolResult(_) => "result".to_owned(),
    }
}

#[test]
fn its_own_reader_reads_what_is_written() {
    let mut out = Vec::new();
    let mut writer = Writer::new(echo());
    for event in everything() {
        writer.event(event, &mut out);
    }
    let mut fold = Fold::default();
    let mut reader = Reader::new(Ids::new(1));
    let text = std::str::from_utf8(&out).expect("text");
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        reader.data(data.as_bytes(), &mut |event| fold.event(event));
    }
    let streamed = fold.finish();
    let mut fold = Fold::default();
    Reader::new(Ids::new(1)).body(&writer.response(), &mut |event| fold.event(event));
    let whole = fold.finish();
    let texts = |answer: &Answer| -> Vec<String> {
        answer.choices[0]
            .parts
            .iter()
            .filter(|part| !matches!(part.kind, PartKind::Reasoning(_)))
            .map(|part| strip(&part.kind))
            .collect()
    };
    assert_eq!(texts(&streamed), texts(&whole));
    assert_eq!(streamed.usage, whole.usage);
    assert_eq!(streamed.choices[0].logprobs, whole.choices[0].logprobs);
    assert!(streamed.fault.is_none() && whole.fault.is_none());
}

#[test]
fn an_answer_that_is_cut_is_incomplete() {
    let events = |reason| {
        vec![
            Event::Start {
                id: Some("resp_9".into()),
                model: None,
                created: None,
            },
            open(0, Open::Text),
            delta(0, Delta::Text("a".into())),
            Event::Close { part: 0 },
            Event::Stop(Stop {
                choice: 0,
                reason,
                sequence: None,
                detail: None,
            }),
            Event::Finish,
        ]
    };
    for (reason, word) in [
        (StopReason::MaxTokens, "max_output_tokens"),
        (StopReason::Filtered, "content_filter"),
        (StopReason::Refusal, "content_filter"),
    ] {
        let events_written = streamed(events(reason));
        let last = events_written.last().expect("an end");
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], word);
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        assert_eq!(last["response"], whole(events(reason)));
        assert_eq!(last["response"]["id"], "resp_9");
    }
}

#[test]
fn a_failure_ends_the_stream_with_the_response() {
    let mut out = Vec::new();
    let mut writer = Writer::new(echo());
    writer.failed(
        &Fault::new(FaultKind::UpstreamRateLimited, "slow\ndown"),
        &mut out,
    );
    writer.event(Event::Finish, &mut out);
    let events = frames(&out);
    assert_eq!(events.len(), 3);
    assert_eq!(events[2]["type"], "response.failed");
    assert_eq!(events[2]["response"]["status"], "failed");
    assert_eq!(
        events[2]["response"]["error"],
        json!({"code":"rate_limit_exceeded","message":"slow\ndown"})
    );
}

#[test]
fn samples_are_requests_that_are_read() {
    for (name, fields) in SAMPLES {
        let base = if fields.contains("\"input\":") {
            ""
        } else {
            "\"input\":\"x\","
        };
        let body = format!("{{\"model\":\"m\",{base}{fields}}}");
        let read = read_request(body.as_bytes());
        assert!(
            read.is_ok() || *name == "input[].type: item_reference",
            "{name}: {:?}",
            read.err()
        );
    }
}

/// Every recording is read to its end, streamed and whole alike, and written again.
#[test]
fn recordings_are_read_and_written() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    let mut seen = 0;
    for provider in [
        "openai",
        "openrouter",
        "deepseek",
        "lmstudio",
        "xai",
        "azure-openai",
    ] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            let name = entry.file_name();
            if record["response"]["status"] != 200 {
                continue;
            }
            seen += 1;
            let mut fold = Fold::default();
            let mut events: Vec<String> = Vec::new();
            let mut out = Vec::new();
            let mut writer = Writer::new(echo());
            let mut reader = Reader::new(Ids::new(1));
            let mut last = None;
            {
                let mut sink = |event: Event<'_>| {
                    events.push(format!("{event:?}").chars().take(60).collect());
                    writer.event(event.clone(), &mut out);
                    fold.event(event);
                };
                if let Some(sse) = record["response"]["sse"].as_str() {
                    for data in sse.lines().filter_map(|line| line.strip_prefix("data:")) {
                        let data = data.trim();
                        if let Ok(value) = serde_json::from_str::<Value>(data)
                            && value.get("response").is_some()
                        {
                            last = Some(value["response"].clone());
                        }
                        reader.data(data.as_bytes(), &mut sink);
                    }
                    reader.end(&mut sink);
                } else {
                    let body = record["response"]["body"].to_string();
                    last = Some(record["response"]["body"].clone());
                    reader.body(body.as_bytes(), &mut sink);
                }
            }
            let answer = fold.finish();
            let last = last.expect("a response");
            if last["status"] == "failed" {
                assert!(answer.fault.is_some(), "{name:?}");
                continue;
            }
            assert!(answer.fault.is_none(), "{name:?} {:?}", answer.fault);
            // The response at the end of a stream says the same as its pieces.
            let mut fold = Fold::default();
            Reader::new(Ids::new(1))
                .body(last.to_string().as_bytes(), &mut |event| fold.event(event));
            let whole = fold.finish();
            let told = |answer: &Answer| -> Vec<String> {
                answer.choices[0]
                    .parts
                    .iter()
                    .map(|part| match &part.kind {
                        // Ids of items differ here and there.
                        PartKind::Reasoning(reasoning) => reasoning.text.clone().into_owned(),
                        other => strip(other),
                    })
                    .collect()
            };
            // One was edited by hand in its deltas only.
            let edited = name.to_string_lossy().contains("shell-container");
            if !edited && !last["output"].as_array().is_none_or(Vec::is_empty) {
                assert_eq!(told(&answer), told(&whole), "{name:?}\n{events:#?}");
            }
            assert_eq!(answer.usage, whole.usage);
            assert_eq!(answer.choices[0].stop, whole.choices[0].stop, "{name:?}");
            let events = frames(&out);
            let written = events.last().expect("an end")["response"].clone();
            assert_eq!(
                Value::from(accumulated(&events)),
                written["output"],
                "{name:?}"
            );
            let again: Value =
                serde_json::from_slice(&write_answer(&answer, &mut echo())).expect("JSON");
            assert_eq!(written, again, "{name:?}");
        }
    }
    assert!(seen == 0 || seen > 30, "{seen}");
}

/// What any reader owes whoever listens.
#[derive(Default)]
struct Grammar {
    started: bool,
    ended: bool,
    stopped: bool,
    open: Vec<bool>,
}

impl Grammar {
    fn event(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "{event:?} behind the end");
        assert_eq!(
            self.started,
            !matches!(event, Event::Start { .. }),
            "{event:?}"
        );
        match event {
            Event::Start { .. } => self.started = true,
            Event::Open { part, choice, .. } => {
                assert_eq!(
                    (*part as usize, *choice, self.stopped),
                    (self.open.len(), 0, false)
                );
                self.open.push(true);
            }
            Event::Delta { part, delta } => {
                assert!(self.open[*part as usize], "{event:?}");
                if let Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) = delta {
                    assert!(!text.is_empty());
                }
            }
            Event::Close { part } => assert!(std::mem::take(&mut self.open[*part as usize])),
            Event::Stop(_) => {
                assert!(!self.stopped && !self.open.contains(&true));
                self.stopped = true;
            }
            Event::Finish => {
                assert!(self.stopped);
                self.ended = true;
            }
            Event::Fault(_) => {
                assert!(!self.open.contains(&true));
                self.ended = true;
            }
            Event::Logprobs { .. } | Event::Usage(_) | Event::ServiceTier(_) | Event::Ping => {}
        }
    }
}

/// Events that are missing, doubled or out of order break no rule of what is told.
#[test]
fn whatever_the_provider_sends_the_grammar_is_kept() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut streams: Vec<Vec<String>> = Vec::new();
    for provider in ["openai", "openrouter", "deepseek", "lmstudio"] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            if let Some(sse) = record["response"]["sse"].as_str() {
                let lines = sse.lines().filter_map(|line| line.strip_prefix("data:"));
                streams.push(lines.map(|line| line.trim().to_owned()).take(400).collect());
            }
        }
    }
    let everything = streams.concat();
    for stream in &streams {
        for _ in 0..20 {
            let mut events = stream.clone();
            for _ in 0..=random(4) {
                let at = random(events.len());
                match random(5) {
                    0 => {
                        events.remove(at);
                        events.push(String::new());
                    }
                    1 => events.insert(at, everything[random(everything.len())].clone()),
                    2 => {
                        let to = random(events.len());
                        events.swap(at, to);
                    }
                    3 => {
                        events[at] =
                            events[at].replacen(r#""output_index":0"#, r#""output_index":1"#, 1);
                    }
                    _ => {
                        let name = ["item_id", "output_index", "delta", "call_id", "id", "type"]
                            [random(6)];
                        events[at] = events[at].replace(&format!("\"{name}\":"), "\"gone\":");
                    }
                }
            }
            let mut grammar = Grammar::default();
            let mut reader = Reader::new(Ids::new(1));
            let mut writer = Writer::new(echo());
            let mut out = Vec::new();
            let mut sink = |event: Event<'_>| {
                grammar.event(&event);
                writer.event(event, &mut out);
            };
            for event in &events {
                reader.data(event.as_bytes(), &mut sink);
            }
            reader.end(&mut sink);
            assert!(grammar.ended);
            accumulated(&frames(&out));
        }
    }
}

/// Every request that was recorded is read, and what is written of it is read as the same.
#[test]
fn recorded_requests_are_read_and_written() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    for provider in [
        "openai",
        "openrouter",
        "deepseek",
        "lmstudio",
        "xai",
        "azure-openai",
    ] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            let body = &record["request"]["body"];
            if !body.is_object() {
                continue;
            }
            let body = body.to_string();
            let name = entry.file_name();
            let request =
                read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{name:?} {fault:?}"));
            let target = Target {
                model: "m",
                reasons: true,
            };
            let rendered = write_request(&request, &target).expect("written");
            let again = read_request(&rendered.body);
            // A client is told what its provider refuses.
            let is_refused =
                |loss: &crate::chat::Loss| loss.severity == crate::chat::Severity::Meaning;
            if request.turns.is_empty() || rendered.losses.iter().any(is_refused) {
                continue;
            }
            let again = again.unwrap_or_else(|fault| panic!("{name:?} {fault:?}"));
            let kinds = |request: &crate::chat::Request<'_>| -> Vec<String> {
                request
                    .turns
                    .iter()
                    .flat_map(|turn| &turn.parts)
                    .map(|part| match &part.kind {
                        PartKind::Reasoning(r) => format!("reasoning {}", r.signature.is_some()),
                        other => strip(other),
                    })
                    .filter(|text| text != "reasoning false")
                    .collect()
            };
            assert_eq!(kinds(&request), kinds(&again), "{name:?}");
        }
    }
}
