//! What holds for any answer: streamed and unstreamed agree, the stream is one that strict clients take, and what is
//! written can be read again.

mod recordings;
mod told;

use serde_json::{Value, json};

use told::{delta, echo, everything, open};

use super::*;
use crate::base::{FaultKind, Ids};
use crate::chat::{Answer, Delta, Event, Fold, Open, PartKind, Stop, StopReason};

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
