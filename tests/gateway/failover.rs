//! One clean answer from two channels, of which the first is broken in every way there is.

use std::time::{Duration, Instant};

use crate::stand::{CHAT, CHAT_STREAM, Gateway, KEY, Simulator, channel};

const FAST: &str =
    "timeouts = { connect = \"1s\", first_byte = \"400ms\", idle = \"400ms\", total = \"10s\" }";

/// A bad channel that is asked first, and a good one.
fn pair(simulator: &Simulator, platform: &str, fail: &str) -> Gateway {
    let bad = format!("priority = 1\n{FAST}\nheaders = {{ x-sim-fail = \"{fail}\" }}");
    let good = format!("priority = 2\n{FAST}");
    Gateway::start(
        simulator.address,
        "",
        &[
            channel("bad", platform, &bad),
            channel("good", platform, &good),
        ],
    )
}

struct Surface {
    platform: &'static str,
    path: &'static str,
    body: &'static str,
    stream: &'static str,
    end: &'static str,
}

const SURFACES: [Surface; 4] = [
    Surface {
        platform: "openai",
        path: "/v1/chat/completions",
        body: CHAT,
        stream: CHAT_STREAM,
        end: "[DONE]",
    },
    Surface {
        platform: "openai",
        path: "/v1/responses",
        body: r#"{"model":"gpt-5","input":"Hello there"}"#,
        stream: r#"{"model":"gpt-5","stream":true,"input":"Hello there"}"#,
        end: "response.completed",
    },
    Surface {
        platform: "anthropic",
        path: "/v1/messages",
        body: r#"{"model":"claude-opus-4-7","max_tokens":99,"messages":[{"role":"user","content":"Hello there"}]}"#,
        stream: r#"{"model":"claude-opus-4-7","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"Hello there"}]}"#,
        end: "message_stop",
    },
    Surface {
        platform: "gemini",
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        body: "",
        stream: r#"{"contents":[{"role":"user","parts":[{"text":"Hello there"}]}]}"#,
        end: "STOP",
    },
];

fn clean_after(fail: &str, outcome: &str, only_streams: bool) {
    let simulator = Simulator::start(&[]);
    for surface in &SURFACES {
        for body in [surface.body, surface.stream] {
            if body.is_empty() || (only_streams && body == surface.body) {
                continue;
            }
            let gateway = pair(&simulator, surface.platform, fail);
            let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
            let answer = gateway.send("POST", surface.path, &headers, body.as_bytes());
            let what = format!("{fail} on {}: {body}: {}", surface.path, answer.text());
            assert_eq!(answer.status, 200, "{what}");
            assert!(answer.whole && answer.text().contains("Hello"), "{what}");
            assert!(!answer.text().contains("\"error\":{"), "{what}");
            assert!(
                body == surface.body || answer.text().contains(surface.end),
                "{what}"
            );
            assert_eq!(answer.header("x-torouter-attempts"), Some("2"), "{what}");
            assert_eq!(answer.header("x-torouter-channel"), Some("good"), "{what}");
            let attempts = |channel, outcome| {
                gateway.metric(
                    "torouter_upstream_attempts_total",
                    &[("channel", channel), ("outcome", outcome)],
                )
            };
            assert!(
                (attempts("bad", outcome) - 1.0).abs() < 0.1,
                "{what}\n{}",
                gateway.admin("/metrics").text()
            );
            assert!((attempts("good", "ok") - 1.0).abs() < 0.1, "{what}");
        }
    }
}

#[test]
fn a_server_error_moves_on() {
    clean_after("503", "status_5xx", false);
    clean_after("529", "status_5xx", false);
}

#[test]
fn a_rate_limit_moves_on() {
    clean_after("429", "rate_limited", false);
}

#[test]
fn a_refused_credential_moves_on() {
    clean_after("401", "auth", false);
    clean_after("bad-key", "auth", false);
    clean_after("402", "auth", false);
}

#[test]
fn a_hanging_upstream_moves_on() {
    clean_after("hang", "timeout", false);
}

#[test]
fn a_closed_connection_moves_on() {
    clean_after("close", "reset", false);
}

#[test]
fn an_error_inside_a_200_moves_on() {
    clean_after("error-first", "bad_response", false);
    clean_after("error-late", "bad_response", true);
    clean_after("error-body", "bad_response", false);
}

#[test]
fn an_answer_that_is_none_moves_on() {
    for fail in ["empty", "garbage", "html", "redirect"] {
        clean_after(fail, "bad_response", false);
    }
}

#[test]
fn a_stream_cut_before_its_output_moves_on() {
    clean_after("cut:0", "reset", true);
}

#[test]
fn a_refused_connection_moves_on_and_the_pass_over_ends() {
    let simulator = Simulator::start(&[]);
    let nobody = crate::stand::free_address();
    let bad =
        format!("priority = 1\nbase_url = \"http://{nobody}\"\nhealth = {{ unhealthy = 100 }}");
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("bad", "openai", &bad),
            channel("good", "openai", "priority = 2"),
        ],
    );
    assert_eq!(
        gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-attempts"),
        Some("2")
    );
    // Passed over for a second, so the next request does not even try.
    assert_eq!(
        gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-attempts"),
        Some("1")
    );
    let connects = |g: &Gateway| {
        g.metric(
            "torouter_upstream_attempts_total",
            &[("channel", "bad"), ("outcome", "connect")],
        )
    };
    assert!((connects(&gateway) - 1.0).abs() < 0.1);
    crate::stand::eventually("it is tried again", || {
        (gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-attempts")
            == Some("2"))
        .then_some(())
    });
}

#[test]
fn a_20_mb_body_reaches_the_second_channel_whole() {
    let simulator = Simulator::start(&[]);
    let bad = "priority = 1\nheaders = { x-sim-fail = \"503\" }";
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("bad", "openai", bad),
            channel("good", "openai", "priority = 2"),
        ],
    );
    let text = "y".repeat(20 << 20);
    let body = format!(r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let answer = gateway.post("/v1/chat/completions", &body);
    assert_eq!(
        (answer.status, answer.header("x-torouter-attempts")),
        (200, Some("2"))
    );
    let seen = simulator.requests();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request["body_len"], body.len());
        assert_eq!(request["body_sha256"], seen_hash(&body));
    }
}

fn seen_hash(body: &str) -> String {
    use sha2::Digest as _;
    let mut hex = String::new();
    for byte in sha2::Sha256::digest(body.as_bytes()) {
        hex += &format!("{byte:02x}");
    }
    hex
}

#[test]
fn three_attempts_are_made_and_no_more() {
    let simulator = Simulator::start(&[]);
    let bad = "headers = { x-sim-fail = \"500\" }";
    let names = ["a", "b", "c", "d"];
    let channels: Vec<_> = names.iter().map(|n| channel(n, "openai", bad)).collect();
    let gateway = Gateway::start(simulator.address, "", &channels);
    let answer = gateway.post("/v1/chat/completions", CHAT);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_error")
    );
    assert_eq!(answer.header("x-torouter-attempts"), Some("3"));
    assert_eq!(simulator.requests().len(), 3);
}

#[test]
fn the_last_refusal_decides_what_the_client_is_told() {
    let simulator = Simulator::start(&[]);
    for (fail, status, code, wait) in [
        ("429;retry-after=7", 429, "rate_limit_exceeded", Some("7")),
        ("503;retry-after=9", 503, "upstream_overloaded", Some("9")),
        ("500", 502, "upstream_error", None),
        ("401", 502, "upstream_error", None),
        ("403", 502, "upstream_error", None),
        ("hang", 504, "upstream_timeout", None),
        ("close", 502, "upstream_error", None),
        ("html", 502, "upstream_error", None),
    ] {
        let lines = format!("{FAST}\nheaders = {{ x-sim-fail = \"{fail}\" }}");
        let gateway = Gateway::start(simulator.address, "", &[channel("only", "openai", &lines)]);
        let answer = gateway.post("/v1/chat/completions", CHAT_STREAM);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{fail}: {}",
            answer.text()
        );
        if wait.is_some() {
            assert_eq!(answer.header("retry-after"), wait, "{fail}");
            let next = gateway.post("/v1/chat/completions", CHAT);
            assert_eq!(
                (next.status, next.code().as_str()),
                (503, "upstream_unavailable")
            );
            let seconds: u64 = next
                .header("retry-after")
                .and_then(|s| s.parse().ok())
                .expect("a wait");
            assert!((5..=9).contains(&seconds), "{seconds}");
        }
        assert!(!answer.text().contains("upstream-secret"));
    }
}

#[test]
fn anthropics_own_overload_status_is_kept_on_its_surface() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-fail = \"529\" }";
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("only", "anthropic", lines)],
    );
    let body =
        r#"{"model":"claude-opus-4-7","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    let answer = gateway.post("/v1/messages", body);
    assert_eq!(answer.status, 529);
    assert_eq!(answer.json()["error"]["type"], "overloaded_error");
}

#[test]
fn the_clients_own_fault_goes_back_at_once_and_burns_nothing() {
    let simulator = Simulator::start(&[]);
    for status in ["400", "404", "413", "422"] {
        let gateway = pair(&simulator, "openai", status);
        for _ in 0..3 {
            let answer = gateway.post("/v1/chat/completions", CHAT_STREAM);
            assert_eq!(answer.status.to_string(), status);
            assert_eq!(answer.header("x-torouter-attempts"), Some("1"));
            assert!(
                answer.json()["error"]["message"].is_string(),
                "{}",
                answer.text()
            );
        }
        let counted = gateway.metric(
            "torouter_upstream_attempts_total",
            &[("channel", "bad"), ("outcome", "status_4xx")],
        );
        assert!((counted - 3.0).abs() < 0.1);
    }
}

#[test]
fn a_stream_that_dies_after_the_commit_ends_with_an_error_event() {
    let simulator = Simulator::start(&[]);
    for surface in &SURFACES {
        let gateway = pair(&simulator, surface.platform, "cut:5");
        let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
        let answer = gateway.send("POST", surface.path, &headers, surface.stream.as_bytes());
        let text = answer.text();
        assert_eq!(
            (answer.status, answer.header("x-torouter-attempts")),
            (200, Some("1")),
            "{text}"
        );
        assert!(answer.whole, "the message ends cleanly: {text}");
        assert!(
            text.contains("\"error\"") || text.contains("event: error"),
            "{}: {text}",
            surface.path
        );
        assert!(text.contains("closed the connection"), "{text}");
        // The official clients must be able to tell the end of each event.
        assert!(text.ends_with("\n\n"));
    }
}

#[test]
fn an_unstreamed_answer_that_is_cut_is_a_broken_message() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-fail = \"cut:1\", x-sim-size = \"400000\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("only", "openai", lines)]);
    let answer = gateway.post("/v1/chat/completions", CHAT);
    assert_eq!(answer.status, 200);
    assert!(!answer.whole);
}

#[test]
fn a_stale_pooled_connection_is_no_attempt() {
    let mut simulator = Simulator::start(&[]);
    let gateway = Gateway::start(simulator.address, "", &[channel("only", "openai", "")]);
    assert_eq!(gateway.post("/v1/chat/completions", CHAT).status, 200);
    // The same address, other connections.
    let address = simulator.address.to_string();
    simulator.process.signal("-KILL");
    simulator.process.wait();
    let mut again = crate::stand::torouter();
    again.args(["simulate", "--listen", &address]);
    let mut child = again
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    crate::stand::eventually("it listens again", || {
        std::net::TcpStream::connect(&address).ok()
    });
    let answer = gateway.post("/v1/chat/completions", CHAT);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(
        (answer.status, answer.header("x-torouter-attempts")),
        (200, Some("1"))
    );
}

#[test]
fn opening_events_are_held_no_longer_than_the_commit_may_wait() {
    let simulator = Simulator::start(&[]);
    // The role chunk comes at once, the text a second later.
    let lines = "headers = { x-sim-gap-ms = \"1000\", x-sim-events = \"1\" }";
    let gateway = Gateway::start(
        simulator.address,
        "commit_after = \"200ms\"\n",
        &[channel("only", "openai", lines)],
    );
    let mut connection = crate::http1::Connection::open(gateway.address);
    let headers = [("x-api-key", KEY)];
    let began = Instant::now();
    connection.send(&crate::http1::request(
        "POST",
        "/v1/chat/completions",
        &headers,
        CHAT_STREAM.as_bytes(),
    ));
    assert_eq!(connection.head().map(|h| h.status), Some(200));
    let first = connection.chunk().expect("an event");
    let waited = began.elapsed();
    assert!(String::from_utf8_lossy(&first).contains("assistant"));
    assert!(
        waited >= Duration::from_millis(190) && waited < Duration::from_millis(900),
        "{waited:?}"
    );
}

#[test]
fn a_silent_stream_is_kept_alive_by_comments_between_events() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-gap-ms = \"700\", x-sim-events = \"3\" }";
    let gateway = Gateway::start(
        simulator.address,
        "heartbeat = \"200ms\"\ncommit_after = \"50ms\"\n",
        &[channel("only", "openai", lines)],
    );
    let answer = gateway.post("/v1/chat/completions", CHAT_STREAM);
    let text = answer.text();
    assert!(answer.whole && text.ends_with("[DONE]\n\n"), "{text}");
    let beats = text.matches(": keep-alive\n\n").count();
    assert!((6..=20).contains(&beats), "{beats}: {text}");
    for event in text.split("\n\n").filter(|e| !e.is_empty()) {
        assert!(
            event.starts_with("data: ") || event == ": keep-alive",
            "{event}"
        );
    }
}

#[test]
fn equal_channels_take_turns() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("a", "openai", ""), channel("b", "openai", "")],
    );
    let used: Vec<String> = (0..6)
        .map(|_| {
            gateway
                .post("/v1/chat/completions", CHAT)
                .header("x-torouter-channel")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert!(used.windows(2).all(|w| w[0] != w[1]), "{used:?}");
}

#[test]
fn a_barred_channel_comes_back_when_its_credential_is_accepted() {
    let simulator = Simulator::start(&[]);
    // Refused once; the probe of the credential then succeeds.
    let bad = "priority = 1\nheaders = { x-sim-fail = \"401;times=1;id=barred\" }\nhealth = { interval = \"200ms\" }";
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("bad", "openai", bad),
            channel("good", "openai", "priority = 2"),
        ],
    );
    assert_eq!(
        gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-channel"),
        Some("good")
    );
    crate::stand::eventually("it is used again", || {
        (gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-channel")
            == Some("bad"))
        .then_some(())
    });
}
