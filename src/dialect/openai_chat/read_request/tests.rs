use super::*;
use crate::chat::{Effort, Hosted, Severity, Tool};

fn read(fields: &str) -> Request<'_> {
    read_request(fields.as_bytes()).unwrap_or_else(|fault| panic!("{fields}: {fault:?}"))
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#)
}

#[test]
fn numbers_keep_their_spelling() {
    let body = with(r#""temperature":1.50e+2,"seed":12345678901234567890123,"top_k":5.0"#);
    let request = read(&body);
    assert_eq!(
        request.temperature.map(|n| n.get().to_owned()).as_deref(),
        Some("1.50e+2")
    );
    assert_eq!(
        request.seed.map(|n| n.get().to_owned()).as_deref(),
        Some("12345678901234567890123")
    );
    assert!(request.losses.is_empty());
}

#[test]
fn reasoning_is_understood_in_each_spelling() {
    for (fields, depth, show) in [
        (r#""reasoning_effort":"none""#, Some(Depth::Off), None),
        (
            r#""reasoning_effort":"xhigh""#,
            Some(Depth::Effort(Effort::XHigh)),
            None,
        ),
        (
            r#""reasoning":{"effort":"low","exclude":true}"#,
            Some(Depth::Effort(Effort::Low)),
            Some(false),
        ),
        (
            r#""reasoning":{"max_tokens":2000}"#,
            Some(Depth::Budget(2000)),
            None,
        ),
        (
            r#""reasoning":{"enabled":true}"#,
            Some(Depth::Dynamic),
            None,
        ),
        (r#""reasoning":{"enabled":false}"#, Some(Depth::Off), None),
        (
            r#""thinking":{"type":"enabled","budget_tokens":1024}"#,
            Some(Depth::Budget(1024)),
            None,
        ),
        (r#""thinking":{"type":"disabled"}"#, Some(Depth::Off), None),
        (r#""include_reasoning":true"#, None, Some(true)),
    ] {
        let body = with(fields);
        assert_eq!(
            read(&body).thinking,
            Some(Thinking { depth, show }),
            "{fields}"
        );
    }
    assert_eq!(read(&with(r#""reasoning_effort":null"#)).thinking, None);
}

#[test]
fn what_is_wrong_is_named() {
    for (body, param) in [
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (r#"{"messages":[]}"#.to_owned(), "messages"),
        (with(r#""n":0"#), "n"),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""top_logprobs":2"#), "top_logprobs"),
        (with(r#""reasoning_effort":"huge""#), "reasoning_effort"),
        (
            with(r#""response_format":{"type":"json_schema"}"#),
            "response_format.json_schema.schema",
        ),
        (with(r#""max_tokens":-5"#), "max_tokens"),
        (with(r#""tool_choice":"perhaps""#), "tool_choice"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#.to_owned(),
            "messages[0].content[0].text",
        ),
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
        with(r#""logit_bias":{"1":2},"provider":{},"stream_options":{"include_usage":true,"x":1}"#);
    let request = read(&body);
    assert!(request.include_usage);
    let paths: Vec<&str> = request.losses.iter().map(|loss| &*loss.path).collect();
    assert_eq!(paths, ["logit_bias", "provider", "stream_options.x"]);
    assert!(
        request
            .losses
            .iter()
            .all(|loss| loss.severity == Severity::Cosmetic)
    );
}

#[test]
fn searching_is_a_hosted_tool_however_it_is_asked_for() {
    for fields in [
        r#""web_search_options":{}"#,
        r#""plugins":[{"id":"web"}]"#,
        r#""tools":[{"type":"openrouter:web_search"}]"#,
        r#""tools":[{"type":"web_search"}]"#,
    ] {
        let body = with(fields);
        let request = read(&body);
        assert!(
            matches!(
                request.tools[..],
                [Tool::Hosted {
                    kind: Hosted::WebSearch,
                    ..
                }]
            ),
            "{fields}"
        );
    }
}
