//! Upstreams that answer oddly.

use crate::stand::{CHAT, CHAT_STREAM, Gateway, KEY, RawUpstream, channel};

fn through(answer: &str, body: &str) -> (crate::http1::Answer, Gateway) {
    let upstream = RawUpstream::start(answer.as_bytes(), 1);
    let gateway = Gateway::start(upstream.address, "", &[channel("odd", "openai", "")]);
    (gateway.post("/v1/chat/completions", body), gateway)
}

fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_refusal_in_one_packet_is_scrubbed_and_has_its_new_length() {
    let body = r#"{"error":{"message":"organization org-AbC123xyz789 may not","type":"invalid_request_error","code":null}}"#;
    let (answer, _gateway) = through(&json("400 Bad Request", body), CHAT);
    assert_eq!((answer.status, answer.whole), (400, true));
    assert_eq!(answer.text(), body.replace("org-AbC123xyz789", "[removed]"));
}

#[test]
fn a_refusal_without_a_body_or_with_half_of_one_is_told_in_our_words() {
    let half = json("422 Unprocessable", "{\"error\":{}}")
        .replace("content-length: 12", "content-length: 100");
    let large = json(
        "400 Bad Request",
        &format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(100_000)),
    );
    for (upstream, status) in [
        (json("400 Bad Request", ""), 400),
        (json("404 Not Found", ""), 404),
        (half, 422),
        (large, 400),
    ] {
        for body in [CHAT, CHAT_STREAM] {
            let (answer, gateway) = through(&upstream, body);
            assert_eq!((answer.status, answer.whole), (status, true));
            let message = answer.json()["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(message.contains("refused"), "{message}");
            let counted = gateway.metric(
                "torouter_upstream_attempts_total",
                &[("outcome", "status_4xx")],
            );
            assert!((counted - 1.0).abs() < 0.1);
        }
    }
}

#[test]
fn a_stream_that_states_its_length_is_sent_without_it() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    let upstream = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
        events.len()
    );
    let (answer, gateway) = through(&upstream, CHAT_STREAM);
    assert_eq!(
        (answer.status, answer.whole, answer.header("content-length")),
        (200, true, None)
    );
    assert!(!answer.text().contains("prompt_tokens") && answer.text().ends_with("[DONE]\n\n"));
    crate::stand::eventually("the tokens are counted", || {
        (gateway.metric("torouter_tokens_total", &[]) > 1.5).then_some(())
    });
}

#[test]
fn connections_that_go_stale_are_never_seen_by_clients() {
    let good = json("200 OK", "{\"id\":\"a\",\"choices\":[]}");
    let upstream = RawUpstream::start(good.as_bytes(), 1);
    let gateway = Gateway::start(upstream.address, "", &[channel("odd", "openai", "")]);
    for _ in 0..8 {
        let answer = gateway.post("/v1/chat/completions", CHAT);
        assert_eq!(
            (answer.status, answer.header("x-torouter-attempts")),
            (200, Some("1")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_head_before_the_head_is_between_us_and_the_upstream() {
    let good = json("200 OK", "{\"id\":\"a\",\"choices\":[]}");
    let early =
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{good}");
    let (answer, _gateway) = through(&early, CHAT);
    assert_eq!((answer.status, answer.whole), (200, true));
}

#[test]
fn json_errors_are_seen_where_anything_may_come() {
    let upstream = RawUpstream::start(
        json(
            "200 OK",
            "{\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}",
        )
        .as_bytes(),
        1,
    );
    let gateway = Gateway::start(upstream.address, "", &[channel("odd", "openai", "")]);
    let answer = gateway.post(
        "/v1/audio/speech",
        r#"{"model":"tts","input":"a","voice":"b"}"#,
    );
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_error")
    );
}

#[test]
fn an_answer_without_content_passes() {
    let upstream = RawUpstream::start(b"HTTP/1.1 204 No Content\r\n\r\n", 1);
    let gateway = Gateway::start(upstream.address, "", &[channel("odd", "openai", "")]);
    let answer = gateway.send(
        "POST",
        "/v1/moderations",
        &[("x-api-key", KEY), ("connection", "close")],
        br#"{"model":"m","input":"x"}"#,
    );
    assert_eq!(answer.status, 204);
}

#[test]
fn absurd_numbers_and_an_absurd_wait_spoil_nothing() {
    let body = "{\"choices\":[],\"usage\":{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":1e300}}";
    let (answer, _gateway) = through(&json("200 OK", body), CHAT);
    assert_eq!((answer.status, answer.text().as_str()), (200, body));
    let wait = json("429 Too Many", "{\"error\":{\"message\":\"m\"}}").replace(
        "content-type",
        "retry-after: 99999999999999999999\r\ncontent-type",
    );
    let (answer, gateway) = through(&wait, CHAT);
    assert_eq!(answer.status, 429);
    let next = gateway.post("/v1/chat/completions", CHAT);
    let seconds: u64 = next
        .header("retry-after")
        .and_then(|s| s.parse().ok())
        .expect("a wait");
    assert!(seconds <= 24 * 3600, "{seconds}");
}
