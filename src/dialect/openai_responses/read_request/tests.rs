use super::*;
use crate::chat::{Depth, Effort, Severity};

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","input":"x",{fields}}}"#)
}

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"))
}

#[test]
fn a_text_is_a_message_of_the_user_behind_the_instructions() {
    let body = with(r#""instructions":"be brief","temperature":1.50e+2,"max_output_tokens":20"#);
    let request = read(&body);
    assert_eq!(
        request
            .turns
            .iter()
            .map(|turn| turn.role)
            .collect::<Vec<_>>(),
        [Role::System, Role::User]
    );
    assert_eq!(request.turns[0].parts[0].as_text(), Some("be brief"));
    assert_eq!(
        request.temperature.map(|n| n.get().to_owned()).as_deref(),
        Some("1.50e+2")
    );
    assert_eq!(request.max_tokens, Some(20));
    assert!(request.losses.is_empty());
}

#[test]
fn what_is_asked_of_reasoning_and_text_is_read() {
    let body = with(
        r#""reasoning":{"effort":"xhigh","summary":"auto"},"text":{"verbosity":"low","format":{"type":"json_schema","name":"n","schema":{"b":1,"a":2},"strict":true}},"include":["reasoning.encrypted_content","message.output_text.logprobs"],"top_logprobs":3"#,
    );
    let request = read(&body);
    assert_eq!(
        request.thinking,
        Some(Thinking {
            depth: Some(Depth::Effort(Effort::XHigh)),
            show: Some(true)
        })
    );
    assert_eq!(request.verbosity.as_deref(), Some("low"));
    assert_eq!(request.logprobs, Some(Logprobs { top: Some(3) }));
    let Some(Format::JsonSchema { schema, strict, .. }) = &request.format else {
        panic!("no schema");
    };
    assert_eq!((schema.get(), *strict), (r#"{"b":1,"a":2}"#, Some(true)));
}

#[test]
fn what_is_held_elsewhere_is_refused_by_name() {
    for (fields, path) in [
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""conversation":{"id":"conv_1"}"#, "conversation"),
        (r#""background":true"#, "background"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
    ] {
        let body = with(fields);
        let request = read(&body);
        assert_eq!(request.losses.len(), 1);
        assert_eq!(
            (&*request.losses[0].path, request.losses[0].severity),
            (path, Severity::Meaning)
        );
    }
    let body = with(
        r#""previous_response_id":null,"background":false,"store":false,"truncation":"disabled","metadata":{"a":"b"}"#,
    );
    assert!(read(&body).losses.is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    for (body, param) in [
        (r#"{"model":"m"}"#.to_owned(), "input"),
        (r#"{"input":[]}"#.to_owned(), "input"),
        (with(r#""reasoning":{"effort":"huge"}"#), "reasoning.effort"),
        (
            with(r#""text":{"format":{"type":"json_schema"}}"#),
            "text.format.schema",
        ),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""max_output_tokens":-5"#), "max_output_tokens"),
        (with(r#""tool_choice":"perhaps""#), "tool_choice"),
        (
            r#"{"input":[{"role":"user","content":[{"type":"input_text","text":5}]}]}"#.to_owned(),
            "input[0].content[0].text",
        ),
        (
            r#"{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]}"#
                .to_owned(),
            "input[1]",
        ),
        (
            r#"{"input":[{"type":"function_call","name":"f","arguments":"{}"}]}"#.to_owned(),
            "input[0].call_id",
        ),
        (
            r#"{"input":[{"type":"function_call_output","call_id":"c"}]}"#.to_owned(),
            "input[0].output",
        ),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].name"),
    ] {
        let fault = read_request(body.as_bytes()).expect_err(&body);
        assert_eq!(
            fault.param.as_deref(),
            Some(param),
            "{body}: {}",
            fault.message
        );
        assert_eq!(fault.kind, FaultKind::InvalidRequest);
    }
}

#[test]
fn unknown_fields_are_named_and_harmless() {
    let body =
        with(r#""client_metadata":{},"reasoning":{"context":"auto"},"prompt_cache_key":"k""#);
    let request = read(&body);
    let paths: Vec<&str> = request.losses.iter().map(|loss| &*loss.path).collect();
    assert_eq!(
        paths,
        ["client_metadata", "prompt_cache_key", "reasoning.context"]
    );
    assert!(
        request
            .losses
            .iter()
            .all(|loss| loss.severity == Severity::Cosmetic)
    );
}
