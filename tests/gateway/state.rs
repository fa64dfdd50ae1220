//! Responses that are kept: continued, read, listed, cancelled and deleted; over a restart; and a store in trouble.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http1::{Answer, Connection, request};
use crate::place::{Place, Postgres};
use crate::stand::{Gateway, KEY, Simulator, channel, eventually, free_address};

const CLAUDE: &str = "claude-sonnet-4-5";

/// A folder of the test's own, gone with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "torouter-state-{}-{}",
            std::process::id(),
            free_address().port()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn database(&self) -> std::path::PathBuf {
        self.0.join("torouter.db")
    }

    /// The section of a config that keeps what is kept in this folder.
    fn store(&self, more: &str) -> String {
        format!(
            "[store]\nurl = \"sqlite:{}\"\n{more}\n",
            self.database().display()
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ask(gateway: &Gateway, method: &str, path: &str, body: &str) -> Answer {
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    gateway.send(method, path, &headers, body.as_bytes())
}

fn create(gateway: &Gateway, body: &Value) -> Value {
    let answer = gateway.post("/v1/responses", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn text(response: &Value) -> &str {
    let output = response["output"].as_array().expect("an output");
    output
        .iter()
        .find_map(|item| item["content"][0]["text"].as_str())
        .unwrap_or_else(|| panic!("no text: {response}"))
}

fn id(response: &Value) -> &str {
    response["id"].as_str().expect("an id")
}

/// The last event of a stream.
fn last_event(stream: &str) -> Value {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .next_back();
    serde_json::from_str(data.expect("an event")).expect("JSON")
}

/// The response of an answer, streamed or not.
fn made(answer: &Answer, stream: bool) -> Value {
    if stream {
        last_event(&answer.text())["response"].clone()
    } else {
        answer.json()
    }
}

/// A gateway whose only channel speaks another protocol.
fn over(platform: &str, simulator: &Simulator, head: &str) -> Gateway {
    Gateway::start(simulator.address, head, &[channel("c", platform, "")])
}

#[test]
fn a_turn_brings_all_that_came_before_on_every_platform() {
    let simulator = Simulator::start(&[]);
    for platform in ["openai", "anthropic", "gemini", "openai-compatible"] {
        let gateway = over(platform, &simulator, "");
        let mut previous = Value::Null;
        for said in ["I am Ada", "I like rivers", "RECALL"] {
            let body = json!({"model": "m", "input": said, "previous_response_id": previous});
            let response = create(&gateway, &body);
            assert_eq!(response["previous_response_id"], previous, "{platform}");
            previous = response["id"].clone();
            if said == "RECALL" {
                let told = text(&response);
                assert!(
                    told.contains("I am Ada | I like rivers"),
                    "{platform}: {told}"
                );
                assert!(told.contains("Answers: 2"), "{platform}: {told}");
            }
        }
    }
}

#[test]
fn a_streamed_turn_is_kept_and_continued() {
    let simulator = Simulator::start(&[]);
    let gateway = over("gemini", &simulator, "");
    let first = gateway.post(
        "/v1/responses",
        r#"{"model":"gemini-2.5-pro","input":"I am Ada","stream":true}"#,
    );
    let over = last_event(&first.text());
    assert_eq!(over["type"], "response.completed");
    let id = over["response"]["id"].as_str().expect("an id");
    let kept = ask(&gateway, "GET", &format!("/v1/responses/{id}"), "").json();
    assert_eq!(
        kept, over["response"],
        "what is kept is what the client was told"
    );
    let next = create(
        &gateway,
        &json!({"model": "gemini-2.5-pro", "input": "RECALL", "previous_response_id": id}),
    );
    assert!(text(&next).contains("I am Ada"), "{next}");
}

/// Each odd turn calls a tool, each even one brings its result.
#[test]
fn ten_turns_with_tools_survive_kill_9_between_any_two() {
    let (simulator, folder) = (Simulator::start(&[]), Folder::new());
    let mut gateway = over("anthropic", &simulator, &folder.store(""));
    let tools = json!([{"type": "function", "name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]);
    let (mut previous, mut call) = (Value::Null, Value::Null);
    for turn in 1..=10 {
        let input = if call.is_null() {
            json!(format!("Turn {turn}: what is the weather?"))
        } else {
            json!([{"type": "function_call_output", "call_id": call, "output": format!("rain {turn}")}])
        };
        let response = create(
            &gateway,
            &json!({"model": CLAUDE, "input": input, "tools": tools, "previous_response_id": previous,
                "reasoning": {"effort": "low", "summary": "auto"}}),
        );
        let output = response["output"].as_array().expect("an output");
        let called = output.iter().find(|item| item["type"] == "function_call");
        assert_eq!(called.is_some(), turn % 2 == 1, "turn {turn}: {response}");
        call = called.map_or(Value::Null, |item| item["call_id"].clone());
        previous = response["id"].clone();
        gateway.kill_and_restart();
    }
    let told = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "RECALL", "previous_response_id": previous}),
    );
    for turn in [1, 3, 5, 7, 9] {
        assert!(text(&told).contains(&format!("Turn {turn}:")), "{told}");
    }
    assert!(text(&told).contains("Tool results: 5"), "{told}");
    // Signatures of the reasoning went back to their maker: the simulator refuses wrong ones with a 400.
    let last = simulator.requests().pop().expect("a request");
    assert_eq!(last["path"], "/v1/messages");
}

#[test]
fn what_a_channel_keeps_is_asked_of_that_channel_also_after_a_restart() {
    let (simulator, folder) = (Simulator::start(&[]), Folder::new());
    let mut gateway = Gateway::start(
        simulator.address,
        &folder.store(""),
        &[channel("one", "openai", ""), channel("two", "openai", "")],
    );
    let mut seen = std::collections::HashSet::new();
    for _ in 0..4 {
        let answer = gateway.post("/v1/responses", r#"{"model":"gpt-5","input":"I am Ada"}"#);
        let by = answer
            .header("x-torouter-channel")
            .expect("a channel")
            .to_owned();
        let made = answer.json();
        for n in 0..3 {
            let body =
                json!({"model": "gpt-5", "input": "RECALL", "previous_response_id": id(&made)});
            let next = gateway.post("/v1/responses", &body.to_string());
            assert_eq!(next.status, 200, "{}", next.text());
            assert_eq!(next.header("x-torouter-channel"), Some(by.as_str()));
            assert!(text(&next.json()).contains("I am Ada"));
            let read = ask(&gateway, "GET", &format!("/v1/responses/{}", id(&made)), "");
            assert_eq!(read.header("x-torouter-channel"), Some(by.as_str()));
            if n == 1 {
                gateway.kill_and_restart();
            }
        }
        seen.insert(by);
    }
    assert_eq!(seen.len(), 2, "both channels made some");
}

#[test]
fn a_channel_that_is_gone_is_said_to_be() {
    let (simulator, folder) = (Simulator::start(&[]), Folder::new());
    let gateway = Gateway::start(
        simulator.address,
        &folder.store(""),
        &[channel("old", "openai", "")],
    );
    let made = create(&gateway, &json!({"model": "gpt-5", "input": "hi"}));
    drop(gateway);
    let gateway = Gateway::start(
        simulator.address,
        &folder.store(""),
        &[channel("new", "openai", "")],
    );
    let body = json!({"model": "gpt-5", "input": "hi", "previous_response_id": id(&made)});
    let answer = gateway.post("/v1/responses", &body.to_string());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "previous_response_not_found")
    );
    assert!(answer.text().contains("'old'"), "{}", answer.text());
}

#[test]
fn another_keys_and_another_groups_responses_are_not_found() {
    let simulator = Simulator::start(&[]);
    let upstream = simulator.address;
    let rest = format!(
        "[[channels]]\nname = \"c\"\nplatform = \"anthropic\"\nbase_url = \"http://{upstream}\"\napi_key = {{ value = \"k\" }}\n\
         [[channels]]\nname = \"o\"\nplatform = \"openai\"\nbase_url = \"http://{upstream}\"\napi_key = {{ value = \"k\" }}\nmodels = [\"gpt-5\"]\npriority = 1\n\
         [[groups]]\nname = \"a\"\nchannels = [\"c\", \"o\"]\n[[groups]]\nname = \"b\"\nchannels = [\"c\", \"o\"]\n\
         [[keys]]\nname = \"test\"\ngroup = \"a\"\nsecret = {{ value = \"{KEY}\" }}\n\
         [[keys]]\nname = \"same-group\"\ngroup = \"a\"\nsecret = {{ value = \"sk-test-key-0002\" }}\n\
         [[keys]]\nname = \"other-group\"\ngroup = \"b\"\nsecret = {{ value = \"sk-test-key-0003\" }}\n"
    );
    let gateway = Gateway::with_config("", &rest);
    for model in [CLAUDE, "gpt-5"] {
        let made = create(&gateway, &json!({"model": model, "input": "hi"}));
        let path = format!("/v1/responses/{}", id(&made));
        let body =
            json!({"model": model, "input": "x", "previous_response_id": id(&made)}).to_string();
        let item = json!({"model": model, "input": [
            {"type": "item_reference", "id": made["output"][0]["id"]},
            {"role": "user", "content": "RECALL"}]})
        .to_string();
        for key in ["sk-test-key-0002", "sk-test-key-0003"] {
            let headers = [("x-api-key", key)];
            for (method, path, body) in [
                ("GET", path.clone(), ""),
                ("DELETE", path.clone(), ""),
                ("GET", format!("{path}/input_items"), ""),
                ("POST", format!("{path}/cancel"), ""),
                ("POST", "/v1/responses".to_owned(), body.as_str()),
                ("POST", "/v1/responses".to_owned(), item.as_str()),
            ] {
                let answer = gateway.send(method, &path, &headers, body.as_bytes());
                assert_eq!(
                    answer.status,
                    404,
                    "{model} {method} {path}: {}",
                    answer.text()
                );
            }
        }
        assert_eq!(
            ask(&gateway, "GET", &path, "").status,
            200,
            "still there for its owner"
        );
    }
}

#[test]
fn what_cannot_be_continued_is_refused_by_name() {
    let simulator = Simulator::start(&[]);
    let gateway = over("anthropic", &simulator, "");
    let first = create(&gateway, &json!({"model": CLAUDE, "input": "a"}));
    let second = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "b", "previous_response_id": id(&first)}),
    );
    let unkept = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "c", "store": false}),
    );
    let deleted = ask(
        &gateway,
        "DELETE",
        &format!("/v1/responses/{}", id(&first)),
        "",
    );
    assert_eq!(
        deleted.json(),
        json!({"id": id(&first), "object": "response", "deleted": true})
    );
    let continued = |previous: &str| {
        let body = json!({"model": CLAUDE, "input": "x", "previous_response_id": previous});
        gateway.post("/v1/responses", &body.to_string())
    };
    for (previous, told) in [
        ("resp_unknown", "not found"),
        (id(&unkept), "not found"),
        (id(&first), "not found"),
        (id(&second), "has been deleted"),
    ] {
        let answer = continued(previous);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "previous_response_not_found")
        );
        assert!(answer.text().contains(told), "{}", answer.text());
    }
    assert_eq!(
        ask(
            &gateway,
            "DELETE",
            &format!("/v1/responses/{}", id(&first)),
            ""
        )
        .status,
        404
    );
    let both = gateway.post(
        "/v1/responses",
        r#"{"model":"m","input":"x","previous_response_id":"a","conversation":"b"}"#,
    );
    assert_eq!(both.status, 400);
    assert!(
        simulator.requests().len() == 3,
        "nothing of it reached a provider"
    );
}

#[test]
fn an_expired_response_is_not_found() {
    let simulator = Simulator::start(&[]);
    let gateway = over(
        "anthropic",
        &simulator,
        "[store]\nurl = \"sqlite::memory:\"\nresponses_ttl = \"1s\"\n",
    );
    let made = create(&gateway, &json!({"model": CLAUDE, "input": "a"}));
    let path = format!("/v1/responses/{}", id(&made));
    eventually("it expires", || {
        (ask(&gateway, "GET", &path, "").status == 404).then_some(())
    });
}

#[test]
fn a_response_in_the_background_is_polled_followed_and_taken_up_again() {
    let simulator = Simulator::start(&["--gap", "20ms"]);
    let gateway = over("anthropic", &simulator, "");
    let queued = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "Hello", "background": true}),
    );
    assert_eq!(
        (&queued["status"], &queued["background"]),
        (&json!("queued"), &json!(true))
    );
    let path = format!("/v1/responses/{}", id(&queued));
    let busy = json!({"model": CLAUDE, "input": "x", "previous_response_id": id(&queued)});
    let busy = gateway.post("/v1/responses", &busy.to_string());
    assert_eq!(
        (busy.status, busy.header("retry-after").is_some()),
        (409, true),
        "{}",
        busy.text()
    );
    let done = eventually("it is completed", || {
        let now = ask(&gateway, "GET", &path, "").json();
        (now["status"] == "completed").then_some(now)
    });
    assert!(text(&done).contains("Hello"), "{done}");
    assert_eq!(
        ask(&gateway, "GET", &format!("{path}?stream=true"), "").status,
        400
    );

    let body = json!({"model": CLAUDE, "input": "Hello", "background": true, "stream": true});
    let streamed = gateway.post("/v1/responses", &body.to_string()).text();
    let events = |text: &str| -> Vec<Value> {
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).expect("JSON"))
            .collect()
    };
    let all = events(&streamed);
    let numbers: Vec<u64> = all
        .iter()
        .map(|e| e["sequence_number"].as_u64().expect("n"))
        .collect();
    assert_eq!(numbers, (0..all.len() as u64).collect::<Vec<_>>());
    let made = &all.last().expect("events")["response"];
    let again = ask(
        &gateway,
        "GET",
        &format!("/v1/responses/{}?stream=true&starting_after=3", id(made)),
        "",
    );
    assert_eq!(events(&again.text()), all[4..]);
    let next = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "RECALL", "previous_response_id": id(made)}),
    );
    assert!(
        text(&next).contains("Before this you said: Hello"),
        "{next}"
    );
}

#[test]
fn a_response_in_the_background_can_be_cancelled_and_its_upstream_is_left() {
    let simulator = Simulator::start(&["--gap", "50ms", "--events", "400"]);
    let gateway = over("gemini", &simulator, "");
    let queued = create(
        &gateway,
        &json!({"model": "gemini-2.5-pro", "input": "Hello", "background": true}),
    );
    let path = format!("/v1/responses/{}", id(&queued));
    eventually("it is being made", || {
        (ask(&gateway, "GET", &path, "").json()["status"] == "in_progress").then_some(())
    });
    let cancelled = ask(&gateway, "POST", &format!("{path}/cancel"), "{}");
    assert_eq!(
        cancelled.json()["status"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    eventually("the upstream is left", || {
        (simulator.get("/__sim/state")["in_flight"] == 0).then_some(())
    });
    assert_eq!(
        ask(&gateway, "POST", &format!("{path}/cancel"), "{}").json()["status"],
        "cancelled"
    );
    let direct = create(
        &gateway,
        &json!({"model": "gemini-2.5-pro", "input": "a", "max_output_tokens": 5}),
    );
    let refused = ask(
        &gateway,
        "POST",
        &format!("/v1/responses/{}/cancel", id(&direct)),
        "{}",
    );
    assert_eq!(refused.status, 400, "{}", refused.text());
}

#[test]
fn a_background_response_whose_channels_fail_says_so() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-fail = \"500\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "anthropic", lines)]);
    let body = json!({"model": CLAUDE, "input": "Hello", "background": true, "stream": true});
    let streamed = gateway.post("/v1/responses", &body.to_string()).text();
    let names: Vec<&str> = streamed
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(
        names,
        ["response.created", "response.queued", "response.failed"]
    );
    let last = last_event(&streamed);
    let kept = ask(
        &gateway,
        "GET",
        &format!("/v1/responses/{}", id(&last["response"])),
        "",
    )
    .json();
    assert_eq!(
        (&kept["status"], &kept["error"]["code"]),
        (&json!("failed"), &json!("server_error"))
    );
}

#[test]
fn a_conversation_gathers_the_items_of_its_turns_on_every_platform() {
    let simulator = Simulator::start(&[]);
    for platform in ["openai", "anthropic", "gemini"] {
        let gateway = over(platform, &simulator, "");
        let made = ask(
            &gateway,
            "POST",
            "/v1/conversations",
            r#"{"metadata":{"topic":"rivers"},"items":[{"role":"user","content":"I am Ada"}]}"#,
        );
        let conversation = made.json();
        assert_eq!(
            conversation["metadata"]["topic"],
            "rivers",
            "{}",
            made.text()
        );
        let body =
            json!({"model": "m", "input": "I like rivers", "conversation": id(&conversation)});
        create(&gateway, &body);
        let body =
            json!({"model": "m", "input": "RECALL", "conversation": {"id": id(&conversation)}});
        let told = create(&gateway, &body);
        for said in ["I am Ada", "I like rivers"] {
            assert!(text(&told).contains(said), "{platform}: {told}");
        }
        let path = format!("/v1/conversations/{}", id(&conversation));
        let items = ask(&gateway, "GET", &format!("{path}/items?order=asc"), "").json();
        let roles: Vec<&str> = items["data"]
            .as_array()
            .expect("items")
            .iter()
            .filter_map(|item| item["role"].as_str())
            .collect();
        assert_eq!(
            roles,
            ["user", "user", "assistant", "user", "assistant"],
            "{platform}"
        );
        let first = items["data"][0]["id"].as_str().expect("an id");
        assert_eq!(
            ask(&gateway, "DELETE", &format!("{path}/items/{first}"), "").status,
            200
        );
        assert_eq!(
            ask(&gateway, "GET", &format!("{path}/items/{first}"), "").status,
            404
        );
        let changed = ask(&gateway, "POST", &path, r#"{"metadata":{"topic":"lakes"}}"#).json();
        assert_eq!(changed["metadata"]["topic"], "lakes");
        assert_eq!(
            ask(&gateway, "DELETE", &path, "").json()["object"],
            "conversation.deleted"
        );
        let gone = gateway.post("/v1/responses", &body.to_string());
        assert_eq!(gone.status, 404, "{}", gone.text());
    }
}

#[test]
fn two_turns_that_race_in_one_conversation_are_told_apart_and_two_from_one_response_both_go_on() {
    let simulator = Simulator::start(&["--gap", "30ms"]);
    let gateway = over("anthropic", &simulator, "");
    let conversation = ask(&gateway, "POST", "/v1/conversations", "{}").json();
    let race = |body: &Value| -> Vec<u16> {
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| gateway.post("/v1/responses", &body.to_string()).status))
                .collect();
            let mut statuses: Vec<u16> = asked
                .into_iter()
                .map(|a| a.join().expect("no panic"))
                .collect();
            statuses.sort_unstable();
            statuses
        })
    };
    let body =
        json!({"model": CLAUDE, "input": "a", "conversation": id(&conversation), "stream": true});
    assert_eq!(race(&body), [200, 409]);
    let path = format!("/v1/conversations/{}/items", id(&conversation));
    let items = ask(&gateway, "GET", &path, "").json();
    assert_eq!(
        items["data"].as_array().map(Vec::len),
        Some(2),
        "one turn, whole: {items}"
    );
    let first = create(&gateway, &json!({"model": CLAUDE, "input": "a"}));
    let body =
        json!({"model": CLAUDE, "input": "b", "previous_response_id": id(&first), "stream": true});
    assert_eq!(race(&body), [200, 200]);
}

#[test]
fn items_are_found_by_their_ids() {
    let simulator = Simulator::start(&[]);
    let gateway = over("anthropic", &simulator, "");
    let first = create(&gateway, &json!({"model": CLAUDE, "input": "I am Ada"}));
    let listed = ask(
        &gateway,
        "GET",
        &format!("/v1/responses/{}/input_items", id(&first)),
        "",
    )
    .json();
    let body = json!({"model": CLAUDE, "input": [
        {"type": "item_reference", "id": listed["data"][0]["id"]},
        {"id": first["output"][0]["id"]},
        {"role": "user", "content": "RECALL"}]});
    let told = create(&gateway, &body);
    assert!(text(&told).contains("said: I am Ada. Answers: 1"), "{told}");
    let unknown = json!({"model": CLAUDE, "input": [{"type": "item_reference", "id": "msg_x"}]});
    assert_eq!(
        gateway.post("/v1/responses", &unknown.to_string()).status,
        404
    );
}

/// As the Vercel AI SDK sends its history: single items by name, and no previous response.
#[test]
fn items_that_a_channel_keeps_are_asked_of_that_channel() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("one", "openai", ""), channel("two", "openai", "")],
    );
    for stream in [false, true] {
        let body = json!({"model": "gpt-5", "input": "I am Ada", "stream": stream});
        let answer = gateway.post("/v1/responses", &body.to_string());
        let by = answer.header("x-torouter-channel").map(str::to_owned);
        let made = made(&answer, stream);
        let body = json!({"model": "gpt-5", "input": [
            {"role": "user", "content": "I am Ada"},
            {"type": "item_reference", "id": made["output"][0]["id"]},
            {"role": "user", "content": "RECALL"}]});
        for _ in 0..3 {
            let next = gateway.post("/v1/responses", &body.to_string());
            assert_eq!(next.status, 200, "{}", next.text());
            assert_eq!(
                next.header("x-torouter-channel").map(str::to_owned),
                by,
                "the channel that has the item"
            );
            assert!(text(&next.json()).contains("Answers: 1"), "{}", next.text());
        }
    }
}

#[test]
fn a_conversation_in_the_background_needs_a_channel_that_leaves_it_to_the_gateway() {
    let simulator = Simulator::start(&[]);
    let body = |conversation: &Value| json!({"model": "m", "input": "I am Ada", "background": true, "conversation": id(conversation)});
    let gateway = over("openai", &simulator, "");
    let conversation = ask(&gateway, "POST", "/v1/conversations", "{}").json();
    let refused = gateway.post("/v1/responses", &body(&conversation).to_string());
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "unsupported_parameter"),
        "{}",
        refused.text()
    );
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("native", "openai", "priority = 1"),
            channel("other", "anthropic", "priority = 2"),
        ],
    );
    let conversation = ask(&gateway, "POST", "/v1/conversations", "{}").json();
    let queued = create(&gateway, &body(&conversation));
    let path = format!("/v1/responses/{}", id(&queued));
    eventually("it is completed", || {
        (ask(&gateway, "GET", &path, "").json()["status"] == "completed").then_some(())
    });
    let told = create(
        &gateway,
        &json!({"model": "m", "input": "RECALL", "conversation": id(&conversation)}),
    );
    assert!(text(&told).contains("I am Ada"), "{told}");
}

#[test]
fn wrong_items_of_a_conversation_are_refused_and_none_is_lost_in_silence() {
    let simulator = Simulator::start(&[]);
    let gateway = over("anthropic", &simulator, "");
    for items in [
        r#"[{"role":"user","content":"x"},{}]"#,
        "[5]",
        r#"{"role":"user"}"#,
        r#""x""#,
    ] {
        let body = format!(r#"{{"items":{items}}}"#);
        let answer = ask(&gateway, "POST", "/v1/conversations", &body);
        assert_eq!(answer.status, 400, "{items}: {}", answer.text());
    }
    let long = format!(r#"{{"metadata":{{"k":"{}"}}}}"#, "v".repeat(513));
    assert_eq!(
        ask(&gateway, "POST", "/v1/conversations", &long).status,
        400
    );
}

#[test]
fn a_conversation_that_does_not_store_its_responses_still_gets_their_items() {
    let simulator = Simulator::start(&[]);
    for platform in ["openai", "anthropic"] {
        let gateway = over(platform, &simulator, "");
        let conversation = ask(&gateway, "POST", "/v1/conversations", "{}").json();
        let body = json!({"model": "m", "input": "I am Ada", "store": false, "conversation": id(&conversation)});
        let made = create(&gateway, &body);
        let path = format!("/v1/responses/{}", id(&made));
        assert_eq!(ask(&gateway, "GET", &path, "").status, 404, "{platform}");
        let told = create(
            &gateway,
            &json!({"model": "m", "input": "RECALL", "conversation": id(&conversation)}),
        );
        assert!(text(&told).contains("I am Ada"), "{platform}: {told}");
    }
}

#[test]
fn a_turn_that_fails_over_is_kept_where_it_was_answered_and_leaves_no_half() {
    let simulator = Simulator::start(&[]);
    let bad = "priority = 1\nheaders = { x-sim-fail = \"503\" }";
    for (first, second) in [
        ("anthropic", "openai"),
        ("openai", "anthropic"),
        ("anthropic", "gemini"),
    ] {
        let gateway = Gateway::start(
            simulator.address,
            "",
            &[
                channel("bad", first, bad),
                channel("good", second, "priority = 2"),
            ],
        );
        for stream in [false, true] {
            let body = json!({"model": "m", "input": "I am Ada", "stream": stream});
            let answer = gateway.post("/v1/responses", &body.to_string());
            assert_eq!(
                (answer.status, answer.header("x-torouter-channel")),
                (200, Some("good"))
            );
            let made = made(&answer, stream);
            let body = json!({"model": "m", "input": "RECALL", "previous_response_id": id(&made)});
            let told = create(&gateway, &body);
            assert!(
                text(&told).contains("I am Ada"),
                "{first} to {second}: {told}"
            );
        }
    }
}

#[test]
fn a_client_that_leaves_can_take_up_what_it_has_seen() {
    let simulator = Simulator::start(&["--gap", "30ms", "--events", "200"]);
    let gateway = over("anthropic", &simulator, "");
    let body = json!({"model": CLAUDE, "input": "I am Ada", "stream": true}).to_string();
    let mut connection = Connection::open(gateway.address);
    connection.send(&request(
        "POST",
        "/v1/responses",
        &[("x-api-key", KEY)],
        body.as_bytes(),
    ));
    assert_eq!(connection.head().map(|head| head.status), Some(200));
    let mut seen = String::new();
    while !seen.contains("output_text.delta") {
        seen += &String::from_utf8_lossy(&connection.chunk().expect("an event"));
    }
    drop(connection);
    let opening = seen
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .expect("an event");
    let opening: Value = serde_json::from_str(opening).expect("JSON");
    let path = format!("/v1/responses/{}", id(&opening["response"]));
    let kept = eventually("it is cancelled", || {
        let now = ask(&gateway, "GET", &path, "").json();
        (now["status"] == "cancelled").then_some(now)
    });
    assert_eq!(id(&kept), id(&opening["response"]));
}

fn stateless_still_works(gateway: &Gateway) {
    create(
        gateway,
        &json!({"model": CLAUDE, "input": "x", "store": false}),
    );
    let body = format!(
        r#"{{"model":"{CLAUDE}","max_tokens":9,"messages":[{{"role":"user","content":"x"}}]}}"#
    );
    assert_eq!(gateway.post("/v1/messages", &body).status, 200);
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        answer.text()
    );
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_store_that_is_down_stops_what_needs_it_and_nothing_else() {
    let simulator = Simulator::start(&[]);
    let nobody = free_address();
    let head = format!("[store]\nurl = \"postgres://u:secret-password@{nobody}/none\"\n");
    let gateway =
        Gateway::start_unready(simulator.address, &head, &[channel("c", "anthropic", "")]);
    stateless_still_works(&gateway);
    is_unavailable(&gateway.post(
        "/v1/responses",
        &json!({"model": CLAUDE, "input": "x"}).to_string(),
    ));
    is_unavailable(&ask(&gateway, "GET", "/v1/responses/resp_1", ""));
    is_unavailable(&ask(&gateway, "POST", "/v1/conversations", "{}"));
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.json()["store"].is_string(), "{}", ready.text());
    assert!(!gateway.process.log().contains("secret-password"));
    assert!(!ready.text().contains("secret-password"));
}

#[test]
fn a_store_that_is_locked_stops_what_needs_it_until_it_is_free() {
    let (simulator, folder) = (Simulator::start(&[]), Folder::new());
    let gateway = over("anthropic", &simulator, &folder.store(""));
    let first = create(&gateway, &json!({"model": CLAUDE, "input": "I am Ada"}));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let url = format!("sqlite:{}", folder.database().display());
    let mut other = runtime.block_on(async {
        use sqlx::{Connection as _, Executor as _};
        let mut other = sqlx::SqliteConnection::connect(&url)
            .await
            .expect("a connection");
        other.execute("BEGIN EXCLUSIVE").await.expect("the lock");
        other
    });
    let begun = Instant::now();
    let body =
        json!({"model": CLAUDE, "input": "RECALL", "previous_response_id": id(&first)}).to_string();
    is_unavailable(&gateway.post("/v1/responses", &body));
    assert!(begun.elapsed() < Duration::from_secs(12));
    stateless_still_works(&gateway);
    runtime.block_on(async {
        use sqlx::Executor as _;
        other.execute("ROLLBACK").await.expect("free again");
    });
    let told = create(&gateway, &serde_json::from_str(&body).expect("JSON"));
    assert!(text(&told).contains("I am Ada"));
}

#[test]
fn a_store_that_is_full_stops_what_would_be_kept_and_loses_nothing() {
    let simulator = Simulator::start(&[]);
    let head = "[store]\nurl = \"sqlite::memory:\"\nresponses_max_bytes = \"20KiB\"\n";
    let gateway = over("anthropic", &simulator, head);
    let first = create(
        &gateway,
        &json!({"model": CLAUDE, "input": "a".repeat(8000)}),
    );
    let full = eventually("it is full", || {
        let answer = gateway.post(
            "/v1/responses",
            &json!({"model": CLAUDE, "input": "a".repeat(8000)}).to_string(),
        );
        (answer.status != 200).then_some(answer)
    });
    is_unavailable(&full);
    stateless_still_works(&gateway);
    assert_eq!(
        ask(
            &gateway,
            "GET",
            &format!("/v1/responses/{}", id(&first)),
            ""
        )
        .status,
        200
    );
}

#[test]
fn two_gateways_on_one_postgresql_are_one() {
    let simulator = Simulator::start(&[]);
    let server = Postgres::start();
    let database = Place::postgres(&server, "pair");
    let head = format!("[store]\nurl = \"{}\"\n", database.url);
    let (one, two) = (
        over("anthropic", &simulator, &head),
        over("anthropic", &simulator, &head),
    );
    let first = create(&one, &json!({"model": CLAUDE, "input": "I am Ada"}));
    let second = create(
        &two,
        &json!({"model": CLAUDE, "input": "I like rivers", "previous_response_id": id(&first)}),
    );
    let told = create(
        &one,
        &json!({"model": CLAUDE, "input": "RECALL", "previous_response_id": id(&second)}),
    );
    assert!(text(&told).contains("I am Ada | I like rivers"), "{told}");

    let slow = format!("SLOWLY {}", "count ".repeat(500));
    let queued = create(
        &one,
        &json!({"model": CLAUDE, "input": slow, "background": true}),
    );
    let path = format!("/v1/responses/{}", id(&queued));
    eventually("it is being made", || {
        (ask(&two, "GET", &path, "").json()["status"] == "in_progress").then_some(())
    });
    let cancelled = ask(&two, "POST", &format!("{path}/cancel"), "{}");
    assert_eq!(
        cancelled.json()["status"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    eventually("the upstream is left", || {
        (simulator.get("/__sim/state")["in_flight"] == 0).then_some(())
    });

    let conversation = ask(&one, "POST", "/v1/conversations", "{}").json();
    let body = json!({"model": CLAUDE, "input": "SLOWLY hello", "conversation": id(&conversation)});
    let statuses = std::thread::scope(|scope| {
        let asked = [&one, &two].map(|gateway| {
            let body = body.to_string();
            scope.spawn(move || gateway.post("/v1/responses", &body).status)
        });
        let mut statuses = asked.map(|asked| asked.join().expect("no panic"));
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [200, 409]);
}

#[test]
fn a_turn_that_fails_leaves_its_conversation_free() {
    let simulator = Simulator::start(&[]);
    let fails = "headers = { x-sim-fail = \"500;times=1;id=once\" }";
    for platform in ["anthropic", "openai"] {
        let gateway = Gateway::start(
            simulator.address,
            "",
            &[channel("c", platform, &fails.replace("once", platform))],
        );
        let conversation = ask(&gateway, "POST", "/v1/conversations", "{}").json();
        let body = json!({"model": "m", "input": "I am Ada", "conversation": id(&conversation)});
        let failed = gateway.post("/v1/responses", &body.to_string());
        assert_eq!(failed.status, 502, "{platform}: {}", failed.text());
        // The channel cools down; the conversation is not what keeps the next turn away.
        let next = gateway.post("/v1/responses", &body.to_string());
        assert_ne!(next.status, 409, "{platform}: {}", next.text());
        let items = format!("/v1/conversations/{}/items", id(&conversation));
        eventually("a turn goes through", || {
            (gateway.post("/v1/responses", &body.to_string()).status == 200).then_some(())
        });
        let items = ask(&gateway, "GET", &items, "").json();
        assert_eq!(
            items["data"].as_array().map(Vec::len),
            Some(2),
            "{platform}: {items}"
        );
    }
}

#[test]
fn a_chain_made_by_translation_goes_on_at_an_openai_channel() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("claude", "anthropic", "models = [\"claude-*\"]"),
            channel("local", "openai-compatible", "models = [\"deepseek-*\"]"),
            channel("openai", "openai", "models = [\"gpt-5\"]"),
        ],
    );
    let mut previous = Value::Null;
    for (model, said) in [
        (CLAUDE, "I am Ada"),
        ("deepseek-reasoner", "I like rivers"),
        ("gpt-5", "RECALL"),
    ] {
        let body = json!({"model": model, "input": said, "previous_response_id": previous,
            "reasoning": {"effort": "low", "summary": "auto"}});
        let response = create(&gateway, &body);
        previous = response["id"].clone();
        if said == "RECALL" {
            let told = text(&response);
            assert!(told.contains("I am Ada | I like rivers"), "{told}");
        }
    }
    // Reasoning that others made says nothing there, and would be refused.
    let last = simulator.requests().pop().expect("a request");
    assert_eq!(last["path"], "/v1/responses");
    let body = last["body"].to_string().replace('\\', "");
    assert!(body.contains("I like rivers"), "{body}");
    assert!(!body.contains("\"type\":\"reasoning\""), "{body}");
}
