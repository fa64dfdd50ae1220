//! The simulator alone: what OpenAI remembers, so that a gateway can be tested as a relay to it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http1::{Connection, request};
use crate::socket::{Socket, id, text};
use crate::stand::{Simulator, eventually};

const ADA: &str = "Bearer sk-ada";
const BOB: &str = "Bearer sk-bob";

fn ask(address: SocketAddr, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut headers = vec![("authorization", who), ("connection", "close")];
    if path == "/v1/messages" {
        headers.push(("anthropic-version", "2023-06-01"));
    }
    let mut connection = Connection::open(address);
    connection.send(&request(method, path, &headers, body.as_bytes()));
    let answer = connection.answer().expect("an answer");
    (answer.status, answer.json())
}

fn create(address: SocketAddr, who: &str, body: &Value) -> Value {
    let (status, response) = ask(address, who, "POST", "/v1/responses", body);
    assert_eq!(status, 200, "{response}");
    response
}

/// The events of a stream: type, sequence number, and how long after the request it came.
fn events(address: SocketAddr, method: &str, path: &str, body: &Value) -> Vec<(Value, Duration)> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut connection = Connection::open(address);
    let began = Instant::now();
    let headers = [("authorization", ADA), ("connection", "close")];
    connection.send(&request(method, path, &headers, body.as_bytes()));
    assert_eq!(connection.head().expect("a head").status, 200);
    let mut all = Vec::new();
    while let Ok(chunk) = connection.chunk() {
        let chunk = String::from_utf8(chunk).expect("text");
        let data = chunk.lines().find_map(|line| line.strip_prefix("data: "));
        let event = serde_json::from_str(data.expect("data")).expect("JSON");
        all.push((event, began.elapsed()));
    }
    all
}

fn said(response: &Value) -> &str {
    let output = response["output"].as_array().expect("an output");
    output
        .iter()
        .find_map(|item| item["content"][0]["text"].as_str())
        .expect("a text")
}

#[test]
fn every_protocol_recalls_what_it_was_sent() {
    let simulator = Simulator::start(&[]);
    let cases = [
        (
            "/v1/chat/completions",
            json!({ "model": "m", "messages": [
                { "role": "user", "content": "I am Ada" },
                { "role": "assistant", "content": "Hello" },
                { "role": "user", "content": "RECALL" },
            ] }),
        ),
        (
            "/v1/responses",
            json!({ "model": "m", "input": [
                { "role": "user", "content": "I am Ada" },
                { "role": "assistant", "content": "Hello" },
                { "role": "user", "content": "RECALL" },
            ] }),
        ),
        (
            "/v1/messages",
            json!({ "model": "m", "max_tokens": 100, "messages": [
                { "role": "user", "content": "I am Ada" },
                { "role": "assistant", "content": "Hello" },
                { "role": "user", "content": "RECALL" },
            ] }),
        ),
        (
            "/v1beta/models/m:generateContent",
            json!({ "contents": [
                { "role": "user", "parts": [{ "text": "I am Ada" }] },
                { "role": "model", "parts": [{ "text": "Hello" }] },
                { "role": "user", "parts": [{ "text": "RECALL" }] },
            ] }),
        ),
    ];
    for (path, body) in cases {
        let (status, answer) = ask(simulator.address, ADA, "POST", path, &body);
        assert_eq!(status, 200, "{path}: {answer}");
        let expected = "Before this you said: I am Ada. Answers: 1. Tool results: 0.";
        assert!(answer.to_string().contains(expected), "{path}: {answer}");
    }
}

#[test]
fn a_response_belongs_to_the_account_that_made_it() {
    let simulator = Simulator::start(&[]);
    let address = simulator.address;
    let made = create(address, ADA, &json!({ "model": "m", "input": "I am Ada" }));
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(
        ask(address, ADA, "GET", &path, &Value::Null),
        (200, made.clone())
    );
    assert_eq!(ask(address, BOB, "GET", &path, &Value::Null).0, 404);
    assert_eq!(ask(address, BOB, "DELETE", &path, &Value::Null).0, 404);
    let follow = json!({ "model": "m", "input": "RECALL", "previous_response_id": made["id"] });
    let (status, refused) = ask(address, BOB, "POST", "/v1/responses", &follow);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("previous_response_not_found"))
    );
    let second = create(address, ADA, &follow);
    assert!(
        said(&second).contains("you said: I am Ada. Answers: 1."),
        "{second}"
    );
    let items = format!(
        "/v1/responses/{}/input_items?order=asc&limit=2",
        second["id"].as_str().unwrap()
    );
    let (_, items) = ask(address, ADA, "GET", &items, &Value::Null);
    assert_eq!(items["data"][0]["content"][0]["text"], "I am Ada");
    assert_eq!(items["data"][1]["id"], made["output"][0]["id"]);
    assert_eq!(items["has_more"], true);
    assert_eq!(ask(address, ADA, "DELETE", &path, &Value::Null).0, 200);
    assert_eq!(ask(address, ADA, "POST", "/v1/responses", &follow).0, 400);
    let forgotten = create(
        address,
        ADA,
        &json!({ "model": "m", "input": "Hi", "store": false }),
    );
    let path = format!("/v1/responses/{}", forgotten["id"].as_str().unwrap());
    assert_eq!(ask(address, ADA, "GET", &path, &Value::Null).0, 404);
}

#[test]
fn a_reference_means_an_earlier_item() {
    let simulator = Simulator::start(&[]);
    let address = simulator.address;
    let made = create(address, ADA, &json!({ "model": "m", "input": "I am Ada" }));
    let mut refers = json!({ "model": "m", "input": [
        { "type": "item_reference", "id": made["output"][0]["id"] },
        { "role": "user", "content": "RECALL" },
    ] });
    assert!(said(&create(address, ADA, &refers)).contains("nothing. Answers: 1."));
    let (status, refused) = ask(address, BOB, "POST", "/v1/responses", &refers);
    assert_eq!((status, &refused["error"]["param"]), (404, &json!("input")));
    refers["input"][0]["id"] = json!("msg_nobody");
    assert_eq!(ask(address, ADA, "POST", "/v1/responses", &refers).0, 404);
}

#[test]
fn a_background_stream_can_be_taken_up_where_it_was_left() {
    let simulator = Simulator::start(&[]);
    let body =
        json!({ "model": "m", "input": "one two three", "background": true, "stream": true });
    let whole = events(simulator.address, "POST", "/v1/responses", &body);
    let kinds: Vec<&str> = whole
        .iter()
        .map(|(event, _)| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[..3],
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    assert_eq!(kinds.last(), Some(&"response.completed"));
    assert!(
        whole[2].1 >= Duration::from_millis(95),
        "it was not queued: {:?}",
        whole[2].1
    );
    let id = whole[0].0["response"]["id"].as_str().unwrap();
    let rest = format!("/v1/responses/{id}?stream=true&starting_after=4");
    let rest = events(simulator.address, "GET", &rest, &Value::Null);
    let (rest, expected): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .zip(&whole[5..])
        .map(|(is, should)| (is.0, should.0.clone()))
        .unzip();
    assert_eq!(rest, expected);
    assert_eq!(rest[0]["sequence_number"], 5);
    let plain = create(
        simulator.address,
        ADA,
        &json!({ "model": "m", "input": "Hi" }),
    );
    let path = format!(
        "/v1/responses/{}?stream=true",
        plain["id"].as_str().unwrap()
    );
    let (status, refused) = ask(simulator.address, ADA, "GET", &path, &Value::Null);
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("stream"))
    );
}

#[test]
fn a_background_response_goes_its_way_or_is_cancelled() {
    let simulator = Simulator::start(&[]);
    let address = simulator.address;
    let body = json!({ "model": "m", "input": "Hi", "background": true });
    let made = create(address, ADA, &body);
    assert_eq!(made["status"], "queued");
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    let done = eventually("it is completed", || {
        let (_, now) = ask(address, ADA, "GET", &path, &Value::Null);
        (now["status"] == "completed").then_some(now)
    });
    assert_eq!(said(&done), "Hello from m. You said: Hi");
    let (status, late) = ask(
        address,
        ADA,
        "POST",
        &format!("{path}/cancel"),
        &Value::Null,
    );
    assert_eq!((status, &late["status"]), (200, &json!("completed")));

    let slow = json!({ "model": "m", "input": "SLOWLY please", "background": true });
    let made = create(address, ADA, &slow);
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    let follow = json!({ "model": "m", "input": "Hi", "previous_response_id": made["id"] });
    assert_eq!(ask(address, ADA, "POST", "/v1/responses", &follow).0, 400);
    let (status, now) = ask(
        address,
        ADA,
        "POST",
        &format!("{path}/cancel"),
        &Value::Null,
    );
    assert_eq!(
        (status, &now["status"], &now["output"]),
        (200, &json!("cancelled"), &json!([]))
    );
    assert_eq!(ask(address, ADA, "GET", &path, &Value::Null), (200, now));

    let plain = create(address, ADA, &json!({ "model": "m", "input": "Hi" }));
    let path = format!("/v1/responses/{}/cancel", plain["id"].as_str().unwrap());
    assert_eq!(ask(address, ADA, "POST", &path, &Value::Null).0, 400);
}

#[test]
fn a_conversation_gathers_what_was_said_in_it() {
    let simulator = Simulator::start(&[]);
    let address = simulator.address;
    let begin = json!({ "metadata": { "topic": "demo" }, "items": [{ "role": "user", "content": "I am Ada" }] });
    let (status, made) = ask(address, ADA, "POST", "/v1/conversations", &begin);
    assert_eq!((status, &made["metadata"]["topic"]), (200, &json!("demo")));
    let path = format!("/v1/conversations/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(address, BOB, "GET", &path, &Value::Null).0, 404);
    for question in ["And I like tea", "RECALL"] {
        let body = json!({ "model": "m", "input": question, "conversation": made["id"] });
        let response = create(address, ADA, &body);
        assert_eq!(response["conversation"]["id"], made["id"]);
        if question == "RECALL" {
            let text = said(&response);
            assert!(
                text.contains("I am Ada | And I like tea. Answers: 1."),
                "{text}"
            );
        }
    }
    let (_, items) = ask(
        address,
        ADA,
        "GET",
        &format!("{path}/items?order=asc"),
        &Value::Null,
    );
    let items = items["data"].as_array().unwrap().clone();
    assert_eq!(items.len(), 5);
    let item = format!("{path}/items/{}", items[1]["id"].as_str().unwrap());
    assert_eq!(ask(address, ADA, "GET", &item, &Value::Null).1, items[1]);
    assert_eq!(ask(address, ADA, "DELETE", &item, &Value::Null).0, 200);
    assert_eq!(ask(address, ADA, "GET", &item, &Value::Null).0, 404);
    let both = json!({ "model": "m", "input": "Hi", "conversation": made["id"], "previous_response_id": "resp_1" });
    assert_eq!(ask(address, ADA, "POST", "/v1/responses", &both).0, 400);
    let renamed = json!({ "metadata": { "topic": "other" } });
    assert_eq!(
        ask(address, ADA, "POST", &path, &renamed).1["metadata"]["topic"],
        "other"
    );
    assert_eq!(
        ask(address, ADA, "DELETE", &path, &Value::Null).1["deleted"],
        true
    );
    let gone = json!({ "model": "m", "input": "Hi", "conversation": made["id"] });
    assert_eq!(ask(address, ADA, "POST", "/v1/responses", &gone).0, 404);
}

#[test]
fn a_socket_remembers_its_last_response_though_nothing_is_stored() {
    let simulator = Simulator::start(&[]);
    let mut socket = Socket::open(simulator.address, &[("authorization", ADA)])
        .ok()
        .unwrap();
    let turn = |input: Value, previous: Option<&str>| json!({ "type": "response.create", "model": "m", "store": false, "input": input, "previous_response_id": previous });
    let mut first = turn(json!("I am Ada"), None);
    first["generate"] = json!(false);
    let warm = socket.turn(&first);
    let kinds: Vec<&Value> = warm.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["response.created", "response.completed"]);
    assert_eq!(warm[1]["response"]["output"], json!([]));
    let second = socket.turn(&turn(json!("I like tea"), Some(id(&warm))));
    assert_eq!(text(&second), "Hello from m. You said: I like tea");
    let numbers: Vec<u64> = second
        .iter()
        .map(|frame| frame["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..second.len() as u64).collect::<Vec<_>>());
    let third = socket.turn(&turn(json!("RECALL"), Some(id(&second))));
    assert!(
        text(&third).contains("I am Ada | I like tea. Answers: 1."),
        "{}",
        text(&third)
    );
    // Only the last one is remembered, and another connection knows none.
    let (status, error) = (400, "previous_response_not_found");
    let old = socket.turn(&turn(json!("Hi"), Some(id(&second))));
    assert_eq!(
        (&old[0]["status"], &old[0]["error"]["code"]),
        (&json!(status), &json!(error))
    );
    let mut other = Socket::open(simulator.address, &[("authorization", ADA)])
        .ok()
        .unwrap();
    let foreign = other.turn(&turn(json!("Hi"), Some(id(&third))));
    assert_eq!(foreign[0]["error"]["code"], error);
    let unknown =
        other.turn(&json!({ "type": "response.create", "model": "missing-1", "input": "Hi" }));
    assert_eq!(
        (&unknown[0]["type"], &unknown[0]["status"]),
        (&json!("error"), &json!(404))
    );
    assert_eq!(other.turn(&json!({ "type": "other" }))[0]["status"], 400);
}

#[test]
fn turns_on_a_socket_come_one_after_the_other() {
    let simulator = Simulator::start(&["--gap", "2ms"]);
    let mut socket = Socket::open(simulator.address, &[]).ok().unwrap();
    for input in ["first", "second"] {
        socket.send(&json!({ "type": "response.create", "model": "m", "input": input }));
    }
    assert_eq!(text(&socket.rest()), "Hello from m. You said: first");
    assert_eq!(text(&socket.rest()), "Hello from m. You said: second");
    let frames: Vec<Value> = simulator
        .requests()
        .into_iter()
        .filter(|request| request["method"] == "WS")
        .collect();
    assert_eq!(frames.len(), 2);
}

#[test]
fn a_socket_can_be_refused_and_cut() {
    let simulator = Simulator::start(&[]);
    let refused = Socket::open(simulator.address, &[("x-sim-fail", "no-upgrade")]).err();
    assert_eq!(refused, Some(Some(405)));
    let refused = Socket::open(simulator.address, &[("x-sim-fail", "503")]).err();
    assert_eq!(refused, Some(Some(503)));
    let cut = [("x-sim-fail", "cut=3;skip=1;id=cut")];
    let mut socket = Socket::open(simulator.address, &cut).ok().unwrap();
    let turn = json!({ "type": "response.create", "model": "m", "input": "Hi" });
    assert_eq!(text(&socket.turn(&turn)), "Hello from m. You said: Hi");
    let broken = socket.turn(&turn);
    assert_eq!(broken.len(), 3);
    assert!(socket.next().is_none());
    let never = Simulator::start(&["--fail", "no-upgrade"]);
    assert_eq!(Socket::open(never.address, &[]).err(), Some(Some(405)));
    create(never.address, ADA, &json!({ "model": "m", "input": "Hi" }));
}
