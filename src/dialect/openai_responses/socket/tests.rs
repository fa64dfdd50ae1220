use super::*;
use serde_json::Value;

fn create(frame: &str) -> Result<Create, Fault> {
    read(&Bytes::copy_from_slice(frame.as_bytes()))
}

#[test]
fn a_frame_is_the_body_but_for_its_envelope() {
    for (frame, body) in [
        (
            r#"{"type":"response.create", "model": "m" ,"input":[1.50e+2]}"#,
            r#"{"stream":true,"model": "m" ,"input":[1.50e+2]}"#,
        ),
        (
            r#"{"model":"m","stream":false,"type":"response.create","generate":true}"#,
            r#"{"model":"m","stream":true}"#,
        ),
        (
            r#"{"a":1,"stream_id":"x","generate":false,"b":2,"type":"response.create"}"#,
            r#"{"stream":true,"a":1,"b":2}"#,
        ),
    ] {
        let read = create(frame).expect("a frame");
        assert_eq!(read.body, body, "{frame}");
    }
    let only = create(r#"{"type":"response.create"}"#).expect("a frame");
    assert_eq!(
        serde_json::from_slice::<Value>(&only.body).expect("JSON"),
        serde_json::json!({"stream": true})
    );
}

#[test]
fn what_is_no_request_is_refused_by_name() {
    for (frame, param) in [
        (r#"{"type":"session.update"}"#, Some("type")),
        (r#"{"model":"m"}"#, Some("type")),
        (
            r#"{"type":"response.create","stream_id":""}"#,
            Some("stream_id"),
        ),
        (
            r#"{"type":"response.create","background":true}"#,
            Some("background"),
        ),
        (r#"{"type""#, None),
    ] {
        let fault = create(frame).expect_err("refused");
        assert_eq!(fault.status, 400);
        assert_eq!(fault.param.as_deref(), param, "{frame}");
    }
}

#[test]
fn what_was_said_stands_before_what_follows() {
    let ready = Before::ready(
        br#"{"instructions":"be","tools":[{"type":"function"}],"input":"a"}"#,
        None,
    )
    .expect("good");
    let body = ready
        .put_before(br#"{"previous_response_id":"r","input":[{"n":2}]}"#)
        .expect("good");
    let body_read: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body_read["instructions"], "be");
    assert_eq!(body_read["tools"][0]["type"], "function");
    assert_eq!(body_read["previous_response_id"], Value::Null);
    assert_eq!(body_read["input"].as_array().map(Vec::len), Some(2));
    let after = ready
        .followed(&body, r#"{"id":"r2","output":[{"o":1},{"o":2}]}"#)
        .expect("good");
    let items: Value = serde_json::from_str(&after.items).expect("JSON");
    assert_eq!(items.as_array().map(Vec::len), Some(4));
    let own = after
        .put_before(br#"{"instructions":"other","input":"b"}"#)
        .expect("good");
    let own: Value = serde_json::from_slice(&own).expect("JSON");
    assert_eq!(own["instructions"], "other");
    assert_eq!(own["input"].as_array().map(Vec::len), Some(5));
    let empty = Before::default()
        .followed(b"{}", r#"{"output":[]}"#)
        .expect("good");
    assert_eq!(empty.items, "[]");
}

#[test]
fn getting_ready_makes_an_empty_response() {
    let (id, frames) = got_ready(br#"{"instructions":"be"}"#, "m", Some("before"), 7);
    let [created, completed] = frames.map(|f| serde_json::from_str::<Value>(&f).expect("JSON"));
    assert_eq!(created["response"]["status"], "in_progress");
    let response = &completed["response"];
    assert_eq!(response["id"], id);
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"], serde_json::json!([]));
    assert_eq!(response["usage"]["total_tokens"], 0);
    assert_eq!(response["previous_response_id"], "before");
}

#[test]
fn errors_are_frames_with_a_status() {
    let frame = error_frame(429, br#"{"error":{"code":"c"}}"#, Some("3"));
    let frame: Value = serde_json::from_str(&marked(frame, Some("l\""))).expect("JSON");
    assert_eq!(frame["stream_id"], "l\"");
    assert_eq!(frame["error"]["code"], "c");
    assert_eq!(frame["headers"]["retry-after"], "3");
    let event = r#"{"type":"error","code":"x","message":"m","param":null,"sequence_number":4}"#;
    let event: Value = serde_json::from_str(&stream_error(event)).expect("JSON");
    assert_eq!(event["error"]["message"], "m");
    assert_eq!(event["sequence_number"], 4);
}
