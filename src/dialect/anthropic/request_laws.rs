//! Requests written for a provider: each rule by a sentence, and laws over the recordings.

use serde_json::{Value, json};

use super::{Sampling, Target, Thinking, read_request, write_request};
use crate::chat::{
    Media, MediaKind, Part, PartKind, Reasoning, Request, Role, Severity, Signature, Source, Text,
    ToolCall, ToolResult, Turn,
};
use crate::dialect::translate::Rendered;

const TARGET: Target<'static> = Target {
    model: "claude-x",
    thinking: Some(Thinking::Budget),
    max_output: 8192,
    structured: true,
    effort: false,
    samples: Sampling::Free,
    prefill: true,
};

fn text(text: &str) -> Part<'_> {
    Part::text(text)
}

fn call<'a>(id: &'a str, arguments: &'a str) -> Part<'a> {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        custom: false,
        signature: None,
    }))
}

fn result<'a>(id: &'a str, content: &'a str) -> Part<'a> {
    Part::new(PartKind::ToolResult(ToolResult {
        call_id: id.into(),
        name: None,
        content: vec![Part::text(content)],
        json: None,
        is_error: false,
    }))
}

fn thought(origin: &'static str) -> Part<'static> {
    Part::new(PartKind::Reasoning(Reasoning {
        text: "hm".into(),
        signature: Some(Signature::new(origin, "sig")),
        ..Reasoning::default()
    }))
}

fn asks(turns: Vec<(Role, Vec<Part<'_>>)>) -> Request<'_> {
    Request {
        turns: turns
            .into_iter()
            .map(|(role, parts)| Turn::new(role, parts))
            .collect(),
        ..Request::default()
    }
}

fn write(request: &Request<'_>, target: &Target<'_>) -> (Value, Rendered) {
    let rendered = write_request(request, target).expect("written");
    let body = serde_json::from_slice(&rendered.body)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&rendered.body)));
    (body, rendered)
}

fn lost(rendered: &Rendered, severity: Severity) -> Vec<&str> {
    rendered
        .losses
        .iter()
        .filter(|loss| loss.severity == severity)
        .map(|loss| &*loss.path)
        .collect()
}

/// Reads fields in the client's protocol, for tests of the way out.
fn fields(fields: &str) -> String {
    format!(r#"{{"max_tokens":4096,"messages":[{{"role":"user","content":"a"}}],{fields}}}"#)
}

#[test]
fn roles_take_turns_and_results_of_parallel_calls_come_first_in_one_turn() {
    let request = asks(vec![
        (Role::System, vec![text("S")]),
        (Role::Assistant, vec![text("")]),
        (Role::Assistant, vec![text("hello"), thought("gemini")]),
        (Role::User, vec![text("go")]),
        (Role::Assistant, vec![call("a.1", "{\"n\": 1.50e+2}")]),
        (Role::Assistant, vec![call("b", "")]),
        (Role::User, vec![result("a.1", "1")]),
        (Role::System, vec![text("be quick")]),
        (Role::User, vec![result("b", ""), text("and?")]),
    ]);
    let (body, rendered) = write(&request, &TARGET);
    let raw = String::from_utf8(rendered.body.clone()).expect("text");
    assert!(raw.contains(r#""input":{"n": 1.50e+2}"#), "{raw}");
    let id = &body["messages"][3]["content"][0]["id"];
    assert!(id.as_str().is_some_and(|id| id.starts_with("a_1_")));
    assert_eq!(
        body,
        json!({"model": "claude-x", "max_tokens": 8192, "system": "S", "messages": [
            {"role": "user", "content": "."},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": id, "name": "f", "input": {"n": 150.0}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": id, "content": "1"},
                {"type": "tool_result", "tool_use_id": "b"},
                {"type": "text", "text": "<system-reminder>\nbe quick\n</system-reminder>"},
                {"type": "text", "text": "and?"}]},
        ]})
    );
    assert!(rendered.losses.is_empty(), "{:?}", rendered.losses);
}

#[test]
fn a_prefill_loses_its_trailing_space_or_is_refused() {
    let request = asks(vec![
        (Role::User, vec![text("a")]),
        (Role::Assistant, vec![text("b \n")]),
    ]);
    let (body, _) = write(&request, &TARGET);
    assert_eq!(body["messages"][1]["content"], "b");
    let target = Target {
        prefill: false,
        ..TARGET
    };
    let (_, rendered) = write(&request, &target);
    assert_eq!(lost(&rendered, Severity::Meaning), ["messages"]);
}

#[test]
fn only_anthropics_own_thinking_goes_out_and_first() {
    let request = asks(vec![
        (Role::User, vec![text("a")]),
        (
            Role::Assistant,
            vec![
                thought("gemini"),
                text("b"),
                thought("anthropic"),
                call("c", "{}"),
            ],
        ),
        (Role::User, vec![result("c", "d")]),
    ]);
    let (body, _) = write(&request, &TARGET);
    let kinds: Vec<&Value> = body["messages"][1]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| &block["type"])
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
}

#[test]
fn thinking_is_left_off_where_anthropic_would_refuse_it() {
    let with = |body: &str, target: &Target<'_>| {
        let request = read_request(body.as_bytes()).expect("valid");
        let (body, rendered) = write(&request, target);
        let dropped = lost(&rendered, Severity::Cosmetic).join(",");
        (
            body["thinking"].clone(),
            body["output_config"].clone(),
            dropped,
        )
    };
    let on = r#""thinking":{"type":"enabled","budget_tokens":2000}"#;
    let enabled = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    assert_eq!(with(&fields(on), &TARGET).0, enabled(2000));
    // The budget lies below max_tokens.
    assert_eq!(
        with(
            &fields(r#""thinking":{"type":"enabled","budget_tokens":9000}"#),
            &TARGET
        )
        .0,
        enabled(2048)
    );
    let little = fields(on).replace("4096", "1024");
    assert_eq!(
        with(&little, &TARGET),
        (Value::Null, Value::Null, "thinking".to_owned())
    );
    // A forced call.
    let forced = fields(&format!(
        r#"{on},"tools":[{{"name":"f","input_schema":{{"type":"object"}}}}],"tool_choice":{{"type":"any"}}"#
    ));
    assert_eq!(with(&forced, &TARGET).0, Value::Null);
    // A loop whose turn was thought by another.
    let mut request = asks(vec![
        (Role::User, vec![text("a")]),
        (Role::Assistant, vec![thought("gemini"), call("c", "{}")]),
        (Role::User, vec![result("c", "d")]),
    ]);
    request.thinking = Some(crate::chat::Thinking {
        depth: Some(crate::chat::Depth::Budget(2000)),
        show: None,
    });
    let (body, rendered) = write(&request, &TARGET);
    assert_eq!(body["thinking"], Value::Null);
    assert_eq!(lost(&rendered, Severity::Cosmetic), ["thinking"]);
    let adaptive = Target {
        thinking: Some(Thinking::Adaptive),
        effort: true,
        samples: Sampling::None,
        ..TARGET
    };
    let (body, _) = write(&request, &adaptive);
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    let asked = fields(
        r#""thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"xhigh"},"temperature":0.3"#,
    );
    assert_eq!(
        with(&asked, &adaptive),
        (
            json!({"type": "adaptive", "display": "omitted"}),
            json!({"effort": "max"}),
            "temperature".to_owned()
        )
    );
}

#[test]
fn sampling_goes_out_as_the_model_takes_it() {
    let with = |text: &str, target: &Target<'_>| {
        let body = fields(text);
        let request = read_request(body.as_bytes()).expect("valid");
        let rendered = write_request(&request, target).expect("written");
        let body = String::from_utf8(rendered.body.clone()).expect("text");
        (body, lost(&rendered, Severity::Cosmetic).join(","))
    };
    let (body, dropped) = with(r#""temperature":1.50e-1,"top_p":0.9"#, &TARGET);
    assert!(
        body.contains(r#""temperature":1.50e-1,"top_p":0.9"#),
        "{body}"
    );
    assert_eq!(dropped, "");
    let one = Target {
        samples: Sampling::OneOf,
        ..TARGET
    };
    assert_eq!(with(r#""temperature":0.1,"top_p":0.9"#, &one).1, "top_p");
    let (body, dropped) = with(r#""temperature":1.7"#, &TARGET);
    assert!(body.contains(r#""temperature":1"#) && dropped == "temperature");
}

#[test]
fn structured_output_is_native_or_a_tool_that_must_be_called() {
    let body = fields(
        r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"b":{"type":"string"}}}}}"#,
    );
    let request = read_request(body.as_bytes()).expect("valid");
    let (body, rendered) = write(&request, &TARGET);
    assert_eq!(rendered.text_tool, None);
    assert_eq!(
        body["output_config"]["format"],
        json!({"type": "json_schema", "schema": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": false}})
    );
    let old = Target {
        structured: false,
        ..TARGET
    };
    let (body, rendered) = write(&request, &old);
    assert_eq!(rendered.text_tool.as_deref(), Some("response"));
    assert_eq!(body["tools"][0]["name"], "response");
    assert_eq!(
        body["tool_choice"],
        json!({"type": "tool", "name": "response", "disable_parallel_tool_use": true})
    );
}

#[test]
fn a_tool_whose_name_is_not_taken_is_renamed_wherever_it_stands() {
    let body = r#"{"max_tokens":1,"tools":[{"name":"a.b"},{"name":"c"}],"tool_choice":{"type":"tool","name":"a.b"},
        "messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"a.b","input":{}}]}]}"#;
    let request = read_request(body.as_bytes()).expect("valid");
    let (body, rendered) = write(&request, &TARGET);
    let [(sent, wanted)] = rendered.renamed.as_slice() else {
        panic!("one");
    };
    assert!(wanted == "a.b" && sent.starts_with("a_b_"));
    assert_eq!(body["tools"][0]["name"], sent.as_str());
    assert_eq!(body["tool_choice"]["name"], sent.as_str());
    assert_eq!(body["messages"][1]["content"][0]["name"], sent.as_str());
}

#[test]
fn the_last_four_cache_marks_stay() {
    let marked = |n: usize| {
        format!(
            r#"{{"type":"text","text":"{n}","cache_control":{{"type":"ephemeral","ttl":"1h"}}}}"#
        )
    };
    let body = format!(
        r#"{{"max_tokens":1,"system":[{}],"messages":[{{"role":"user","content":[{},{},{},{}]}}]}}"#,
        marked(0),
        marked(1),
        marked(2),
        marked(3),
        marked(4)
    );
    let request = read_request(body.as_bytes()).expect("valid");
    let (body, rendered) = write(&request, &TARGET);
    assert_eq!(body["system"][0].get("cache_control"), None);
    for at in 0..4 {
        assert_eq!(
            body["messages"][0]["content"][at]["cache_control"],
            json!({"type": "ephemeral", "ttl": "1h"})
        );
    }
    assert_eq!(lost(&rendered, Severity::Cosmetic), ["cache_control"]);
}

#[test]
fn media_becomes_what_anthropic_reads_or_a_refusal() {
    let media = |kind, mime: Option<&'static str>, source| {
        Part::new(PartKind::Media(Media {
            kind,
            mime: mime.map(Text::Borrowed),
            source,
            name: Some("n.txt".into()),
            detail: None,
            transcript: None,
        }))
    };
    let request = asks(vec![(
        Role::User,
        vec![
            media(
                MediaKind::Image,
                Some("image/jpg"),
                Source::Base64("AAAA".into()),
            ),
            media(
                MediaKind::Document,
                None,
                Source::Base64("JVBERi0xLjQK".into()),
            ),
            media(
                MediaKind::Document,
                Some("text/csv"),
                Source::Base64("YSxi".into()),
            ),
        ],
    )]);
    let (body, rendered) = write(&request, &TARGET);
    assert!(rendered.losses.is_empty());
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}, "title": "n.txt"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}, "title": "n.txt"},
        ])
    );
    let request = asks(vec![(
        Role::User,
        vec![
            media(MediaKind::Audio, None, Source::Base64("AAAA".into())),
            media(MediaKind::Image, None, Source::File("file-1".into())),
            media(
                MediaKind::Document,
                Some("x/y"),
                Source::Base64("//79".into()),
            ),
        ],
    )]);
    let (_, rendered) = write(&request, &TARGET);
    assert_eq!(
        lost(&rendered, Severity::Meaning),
        ["audio", "file", "file"]
    );
}

#[test]
fn every_sample_is_read_and_written_back_as_json() {
    for (name, fields) in super::SAMPLES {
        let mut body = json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "a"}]});
        let extra: Value = serde_json::from_str(&format!("{{{fields}}}"))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let whole = body.as_object_mut().expect("an object");
        whole.extend(extra.as_object().expect("an object").clone());
        let body = body.to_string();
        match read_request(body.as_bytes()) {
            Ok(request) => {
                let rendered = write_request(&request, &TARGET).expect("written");
                assert!(
                    rendered.body.is_empty()
                        || serde_json::from_slice::<Value>(&rendered.body).is_ok(),
                    "{name}"
                );
            }
            Err(fault) => assert_eq!(*name, "thread", "{fault:?}"),
        }
    }
}

/// Recordings lie beside the project; a clone alone has none.
pub(super) fn recordings() -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|above| above.join("shared/recordings/anthropic/messages"))
        .find(|folder| folder.is_dir());
    let Some(folder) = folder else {
        return Vec::new();
    };
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (
                name.into_owned(),
                serde_json::from_str(&text).expect("JSON"),
            )
        })
        .collect()
}

#[test]
fn each_recorded_request_is_read_and_written_back() {
    for (name, recording) in recordings() {
        let body = &recording["request"]["body"];
        let is_good = recording["response"]["status"].as_u64() < Some(400);
        if !body.is_object() || !is_good {
            continue;
        }
        let body = body.to_string();
        let request = read_request(body.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let (written, _) = write(&request, &TARGET);
        let again = written.to_string();
        let again = read_request(again.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(!again.turns.is_empty());
    }
}
