//! The Responses WebSocket: over translation, and relayed to a channel that has one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http1::{Connection, request};
use crate::socket::{Socket, id, text};
use crate::stand::{Gateway, KEY, Simulator, channel, eventually};

fn open(gateway: &Gateway) -> Socket {
    Socket::open(gateway.address, &[("x-api-key", KEY)]).expect("an open WebSocket")
}

fn create(model: &str, input: &str) -> Value {
    json!({"type": "response.create", "model": model, "store": false, "input": input})
}

fn last_type(frames: &[Value]) -> &str {
    frames.last().expect("a frame")["type"]
        .as_str()
        .unwrap_or_default()
}

/// The bodies that the upstream was asked with, as they were sent.
fn asked(simulator: &Simulator) -> Vec<(String, Value)> {
    let all = simulator.requests();
    all.iter()
        .map(|request| {
            let method = request["method"].as_str().unwrap_or_default().to_owned();
            let body = match &request["body"] {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                body => body.clone(),
            };
            (method, body)
        })
        .collect()
}

fn counted(gateway: &Gateway, count: f64, labels: &[(&str, &str)]) {
    let what = format!("{labels:?} counts {count}");
    eventually(&what, || {
        let counted = gateway.metric("torouter_requests_total", labels);
        ((counted - count).abs() < 0.1).then_some(())
    });
}

#[test]
fn turns_over_translation_continue_what_nobody_stores() {
    let simulator = Simulator::start(&[]);
    for (platform, model) in [
        ("anthropic", "claude-opus-4-7"),
        ("gemini", "gemini-3-flash-preview"),
        ("openai-compatible", "llama3:8b"),
    ] {
        let gateway = Gateway::start(
            simulator.address,
            "",
            &[channel("c", platform, "models = [\"*\"]")],
        );
        let mut socket = open(&gateway);
        let first = socket.turn(&create(model, "Remember the word apple"));
        assert_eq!(first[0]["type"], "response.created", "{first:?}");
        assert_eq!(last_type(&first), "response.completed", "{platform}");
        let said = text(&first).to_owned();
        assert!(!said.is_empty());
        let mut second = create(model, "And now the word pear");
        second["previous_response_id"] = json!(id(&first));
        let second = socket.turn(&second);
        assert_eq!(last_type(&second), "response.completed", "{second:?}");
        let repeated = &second.last().expect("a frame")["response"]["previous_response_id"];
        assert_eq!(repeated, id(&first), "{platform}");
        let (_, body) = asked(&simulator).pop().expect("a request");
        let body = body.to_string();
        for part in ["apple", "pear", &said[..said.len().min(12)]] {
            assert!(body.contains(part), "{platform}: {part} in {body}");
        }
        counted(&gateway, 2.0, &[("key", "test"), ("status", "200")]);
    }
}

#[test]
fn a_first_frame_that_asks_for_nothing_is_answered_here_and_holds() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "anthropic", "")]);
    let mut socket = open(&gateway);
    let mut ready = create("claude-opus-4-7", "The project is called zebra");
    ready["generate"] = json!(false);
    ready["instructions"] = json!("Speak like a pirate");
    ready["tools"] = json!([{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]);
    let ready = socket.turn(&ready);
    assert_eq!(last_type(&ready), "response.completed", "{ready:?}");
    assert_eq!(ready[1]["response"]["usage"]["total_tokens"], 0);
    assert!(simulator.requests().is_empty());
    let mut next = create("claude-opus-4-7", "Hello");
    next["previous_response_id"] = json!(id(&ready));
    let second = socket.turn(&next);
    assert_eq!(last_type(&second), "response.completed", "{second:?}");
    // The simulator calls a tool that it is offered.
    let output = second.last().expect("a frame")["response"]["output"].clone();
    let call = output
        .as_array()
        .and_then(|items| items.last())
        .expect("a call");
    let mut third = create("claude-opus-4-7", "");
    third["input"] =
        json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}]);
    third["previous_response_id"] = json!(id(&second));
    let third = socket.turn(&third);
    assert_eq!(last_type(&third), "response.completed", "{third:?}");
    for (_, body) in asked(&simulator) {
        let body = body.to_string();
        for part in ["pirate", "zebra", "\"look\""] {
            assert!(body.contains(part), "{part} in {body}");
        }
    }
    assert_eq!(simulator.requests().len(), 2);
}

#[test]
fn errors_are_frames_and_the_connection_stays() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("c", "anthropic", "models = [\"claude-*\"]")],
    );
    let mut socket = open(&gateway);
    let unknown = socket.turn(&create("unknown-model", "Hello"));
    assert_eq!(unknown[0]["type"], "error");
    assert_eq!(unknown[0]["status"], 404);
    assert_eq!(unknown[0]["error"]["code"], "model_not_found");
    socket.say("{\"type\":");
    let broken = socket.rest();
    assert_eq!(
        (&broken[0]["status"], &broken[0]["error"]["code"]),
        (&json!(400), &json!("invalid_json"))
    );
    socket.say(r#"{"type":"session.update","stream_id":"lane-1"}"#);
    let other = socket.rest();
    assert_eq!(
        (&other[0]["status"], &other[0]["stream_id"]),
        (&json!(400), &json!("lane-1"))
    );
    let mut lane = create("claude-opus-4-7", "Hello");
    lane["stream_id"] = json!("lane-2");
    let frames = socket.turn(&lane);
    assert_eq!(last_type(&frames), "response.completed");
    assert!(frames.iter().all(|frame| frame["stream_id"] == "lane-2"));
}

#[test]
fn what_can_be_known_is_refused_before_the_upgrade() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "anthropic", "")]);
    let refused = Socket::open(gateway.address, &[("x-api-key", "sk-wrong")]);
    assert_eq!(refused.err(), Some(Some(401)));
    counted(&gateway, 1.0, &[("status", "401")]);
    let upgrade = [
        ("x-api-key", KEY),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut old = upgrade.to_vec();
    old.push(("sec-websocket-version", "8"));
    let answer = gateway.send("GET", "/v1/responses", &old, b"");
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let mut bad = upgrade.to_vec();
    bad[3] = ("sec-websocket-key", "short");
    bad.push(("sec-websocket-version", "13"));
    assert_eq!(gateway.send("GET", "/v1/responses", &bad, b"").status, 400);
    let plain = gateway.send("GET", "/v1/responses", &[("x-api-key", KEY)], b"");
    assert_eq!(plain.status, 405);
    let mut good = upgrade.to_vec();
    good.push(("sec-websocket-version", "13"));
    good.push(("sec-websocket-extensions", "permessage-deflate"));
    good.push(("x-request-id", "mine"));
    let mut connection = Connection::open(gateway.address);
    connection.send(&request("GET", "/api/v1/responses", &good, b""));
    let head = connection.head().expect("a head");
    assert_eq!(head.status, 101);
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(head.header("x-request-id"), Some("mine"));
    assert_eq!(head.header("sec-websocket-extensions"), None);
}

#[test]
fn a_failing_channel_fails_over_within_a_turn() {
    let simulator = Simulator::start(&[]);
    let bad = "priority = 1\nheaders = { x-sim-fail = \"500\" }";
    let channels = [
        channel("bad", "anthropic", bad),
        channel("good", "gemini", "priority = 2"),
    ];
    let gateway = Gateway::start(simulator.address, "", &channels);
    let frames = open(&gateway).turn(&create("claude-opus-4-7", "Hello"));
    assert_eq!(last_type(&frames), "response.completed", "{frames:?}");
    counted(&gateway, 1.0, &[("channel", "good"), ("status", "200")]);
}

#[test]
fn a_second_frame_waits_and_a_third_is_refused() {
    let simulator = Simulator::start(&["--gap", "50ms", "--events", "10"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "anthropic", "")]);
    let mut socket = open(&gateway);
    for input in ["one", "two", "three"] {
        socket.send(&create("claude-opus-4-7", input));
    }
    let (mut completed, mut refused) = (0, 0);
    while completed < 2 {
        let frames = socket.rest();
        match last_type(&frames) {
            "response.completed" => completed += 1,
            "error" => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 1);
    assert_eq!(simulator.requests().len(), 2);
}

#[test]
fn a_client_that_leaves_in_mid_turn_cancels_it_and_is_metered() {
    for platform in ["anthropic", "openai"] {
        let simulator = Simulator::start(&["--gap", "50ms", "--events", "200"]);
        let gateway = Gateway::start(
            simulator.address,
            "",
            &[channel("c", platform, "models = [\"*\"]")],
        );
        let mut socket = open(&gateway);
        socket.send(&create("some-model", "Hello"));
        for _ in 0..8 {
            socket.next().expect("a frame");
        }
        drop(socket);
        let left = Instant::now();
        eventually("the upstream is left", || {
            let seen = simulator.get("/__sim/state")["in_flight"].as_u64();
            (seen == Some(0)).then_some(())
        });
        assert!(left.elapsed() < Duration::from_secs(2), "{platform}");
        counted(&gateway, 1.0, &[("status", "499")]);
        let output = gateway.metric("torouter_tokens_total", &[("type", "output")]);
        assert!(output > 0.0, "{platform}");
    }
}

#[test]
fn a_channel_with_a_websocket_gets_the_frames_as_they_are() {
    let simulator = Simulator::start(&[]);
    let lines = "models = [\"gpt-*\"]\nmodel_map = { latest = \"gpt-5\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", lines)]);
    let mut socket = open(&gateway);
    socket.say(r#"{"type":"response.create", "model": "latest" ,"store":false,"input":"Hello one","n":1.50e+2}"#);
    let first = socket.rest();
    assert_eq!(last_type(&first), "response.completed", "{first:?}");
    let mut second = create("latest", "Hello two");
    second["previous_response_id"] = json!(id(&first));
    let second = socket.turn(&second);
    assert_eq!(last_type(&second), "response.completed", "{second:?}");
    let seen = simulator.requests();
    let methods: Vec<_> = seen.iter().map(|r| r["method"].as_str()).collect();
    // One connection for all turns.
    assert_eq!(methods, [Some("GET"), Some("WS"), Some("WS")]);
    let (_, body) = &asked(&simulator)[1];
    let sent = seen[1]["body"].as_str().unwrap_or_default();
    assert!(sent.contains(r#""model": "gpt-5" ,"store":false"#) && sent.contains("1.50e+2"));
    assert_eq!(body["model"], "gpt-5");
    assert_eq!(body["type"], "response.create");
    let headers = seen[0]["headers"].to_string();
    assert!(
        headers.contains("upstream-secret-c") && !headers.contains(KEY),
        "{headers}"
    );
    counted(&gateway, 2.0, &[("channel", "c"), ("status", "200")]);
    assert!(gateway.metric("torouter_tokens_total", &[("type", "output")]) > 0.0);
    let log = gateway.process.log();
    assert!(!log.contains("Hello one"));
}

#[test]
fn a_channel_that_refuses_its_websocket_is_asked_over_http() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-fail = \"no-upgrade\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", lines)]);
    let mut socket = open(&gateway);
    let first = socket.turn(&create("gpt-5", "Hello one"));
    assert_eq!(last_type(&first), "response.completed", "{first:?}");
    let mut second = create("gpt-5", "Hello two");
    second["previous_response_id"] = json!(id(&first));
    let second = socket.turn(&second);
    assert_eq!(last_type(&second), "response.completed", "{second:?}");
    let (_, body) = asked(&simulator).pop().expect("a request");
    assert!(body.to_string().contains("Hello one"), "{body}");
    let upgrades = simulator.requests();
    let upgrades = upgrades.iter().filter(|r| r["method"] == "GET").count();
    assert_eq!(upgrades, 1);
    counted(&gateway, 2.0, &[("channel", "c"), ("status", "200")]);
}

#[test]
fn a_channel_that_dies_in_mid_turn_leaves_an_error_frame_and_a_good_connection() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-fail = \"cut=6\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", lines)]);
    let mut socket = open(&gateway);
    let frames = socket.turn(&create("gpt-5", "Hello"));
    let last = frames.last().expect("a frame");
    assert_eq!(
        (&last["type"], &last["status"]),
        (&json!("error"), &json!(502)),
        "{frames:?}"
    );
    counted(&gateway, 1.0, &[("channel", "c")]);
    socket.say("no JSON");
    assert_eq!(last_type(&socket.rest()), "error");
}

#[test]
fn an_error_of_one_channels_websocket_is_mended_by_another_channel() {
    let simulator = Simulator::start(&[]);
    let bad = "priority = 1\nheaders = { x-sim-fail = \"429\" }";
    let channels = [
        channel("bad", "openai", bad),
        channel("good", "anthropic", "priority = 2"),
    ];
    let gateway = Gateway::start(simulator.address, "", &channels);
    let mut socket = open(&gateway);
    let frames = socket.turn(&create("gpt-5", "Hello"));
    assert_eq!(last_type(&frames), "response.completed", "{frames:?}");
    counted(&gateway, 1.0, &[("channel", "good"), ("status", "200")]);
    counted(&gateway, 1.0, &[("key", "test")]);
}

#[test]
fn a_turn_is_finished_before_the_gateway_ends() {
    for platform in ["anthropic", "openai"] {
        let simulator = Simulator::start(&["--gap", "50ms", "--events", "20"]);
        let mut gateway = Gateway::start(
            simulator.address,
            "",
            &[channel("c", platform, "models = [\"*\"]")],
        );
        let mut idle = open(&gateway);
        let mut socket = open(&gateway);
        socket.send(&create("some-model", "Hello"));
        socket.next().expect("it has begun");
        gateway.process.signal("-TERM");
        assert_eq!(idle.close_code(), Some(1001));
        assert_eq!(
            last_type(&socket.rest()),
            "response.completed",
            "{platform}"
        );
        assert_eq!(socket.close_code(), Some(1001));
        assert!(gateway.process.wait().success());
    }
}
