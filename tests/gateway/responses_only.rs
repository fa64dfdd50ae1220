//! Models that their provider has on the Responses API only, for clients of the other protocols.

use serde_json::{Value, json};

use crate::http1::Answer;
use crate::stand::{Gateway, KEY, Simulator, channel, eventually};
use crate::translation::{SURFACES, events};

const MODEL: &str = "gpt-5-pro";

fn openai() -> (Simulator, Gateway) {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(simulator.address, "", &[channel("openai", "openai", "")]);
    (simulator, gateway)
}

fn paths(simulator: &Simulator) -> Vec<String> {
    let path = |request: &Value| request["path"].as_str().unwrap_or_default().to_owned();
    simulator.requests().iter().map(path).collect()
}

#[test]
fn each_surface_reaches_a_model_that_has_no_chat_streamed_or_not() {
    let (simulator, gateway) = openai();
    for surface in &SURFACES {
        let mut texts = Vec::new();
        for stream in [false, true] {
            let answer = surface.say(&gateway, MODEL, stream, "Hello there");
            let what = format!("{} {stream}: {}", surface.name, answer.text());
            assert_eq!(answer.status, 200, "{what}");
            assert!(answer.header("x-torouter-dropped").is_none(), "{what}");
            texts.push(surface.text_of(&answer, stream));
        }
        assert!(texts[0].contains("Hello there"), "{texts:?}");
        assert_eq!(texts[0], texts[1], "{}", surface.name);
    }
    assert_eq!(paths(&simulator), ["/v1/responses"; 6]);
    let responses = gateway.post("/v1/responses", r#"{"model":"gpt-5-pro","input":"Hi"}"#);
    assert_eq!(responses.status, 200, "{}", responses.text());
    let tokens = [("channel", "openai"), ("model", MODEL), ("type", "output")];
    eventually("tokens are metered", || {
        (gateway.metric("torouter_tokens_total", &tokens) > 7.0).then_some(())
    });
}

#[test]
fn the_provider_is_told_to_keep_nothing_and_gives_its_reasoning_encrypted() {
    let (simulator, gateway) = openai();
    let body = r#"{"model":"o3-pro","reasoning_effort":"high","messages":[{"role":"user","content":"Hello"}]}"#;
    let answer = gateway.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked: Value = simulator.requests()[0]["body"].clone();
    let asked = match asked {
        Value::String(text) => serde_json::from_str(&text).expect("JSON"),
        other => other,
    };
    assert_eq!(asked["store"], json!(false), "{asked}");
    assert_eq!(asked["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(asked["reasoning"]["effort"], "high");
}

fn post(gateway: &Gateway, body: &Value) -> Answer {
    let headers = [("authorization", &*format!("Bearer {KEY}"))];
    let body = body.to_string();
    gateway.send("POST", "/v1/chat/completions", &headers, body.as_bytes())
}

#[test]
fn a_tool_loop_over_chat_goes_round() {
    let (_simulator, gateway) = openai();
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    let mut messages = json!([{"role": "user", "content": "What is the weather in Oslo?"}]);
    for stream in [false, true] {
        let first = post(
            &gateway,
            &json!({"model": "gpt-5-codex", "stream": stream, "messages": messages, "tools": tools, "tool_choice": "required",
                "stream_options": if stream { json!({"include_usage": true}) } else { Value::Null }}),
        );
        assert_eq!(first.status, 200, "{}", first.text());
        let (name, id) = if stream {
            let chunks = events(&first.text());
            let call = chunks
                .iter()
                .find_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0).cloned())
                .expect("a call");
            let usage = &chunks.last().expect("a chunk")["usage"];
            assert!(usage["completion_tokens"].as_u64() > Some(0), "{usage}");
            (call["function"]["name"].clone(), call["id"].clone())
        } else {
            let message = &first.json()["choices"][0]["message"];
            let call = message["tool_calls"][0].clone();
            (call["function"]["name"].clone(), call["id"].clone())
        };
        assert_eq!(name, "weather");
        let call = json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
        let list = messages.as_array_mut().expect("a list");
        list.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        list.push(json!({"role": "tool", "tool_call_id": id, "content": "4 degrees"}));
        let second = post(
            &gateway,
            &json!({"model": "gpt-5-codex", "messages": messages, "tools": tools}),
        );
        assert_eq!(second.status, 200, "{}", second.text());
        assert!(second.text().contains("4 degrees"), "{}", second.text());
        messages
            .as_array_mut()
            .expect("a list")
            .push(json!({"role": "user", "content": "And again?"}));
    }
}

#[test]
fn a_channel_says_which_models_these_are() {
    let simulator = Simulator::start(&[]);
    let only = |lines| Gateway::start(simulator.address, "", &[channel("openai", "openai", lines)]);
    let ask = |gateway: &Gateway, model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        post(gateway, &body).status
    };
    // The name that the provider has for it decides, not the client's.
    let mapped = only("responses_only = [\"new-*\"]\nmodel_map = { latest = \"new-1\" }");
    assert_eq!(ask(&mapped, "latest"), 200);
    assert_eq!(paths(&simulator), ["/v1/responses"]);
    // What the config says holds, in place of what is known: this one is asked over Chat, and says no.
    assert_eq!(ask(&mapped, MODEL), 404);
    assert_eq!(ask(&only(""), "gpt-5"), 200);
    assert_eq!(paths(&simulator)[1..], ["/v1/chat/completions"; 2]);
}

#[test]
fn a_request_that_searches_goes_where_the_provider_searches() {
    let (simulator, gateway) = openai();
    let body = r#"{"model":"gpt-5","max_tokens":500,"messages":[{"role":"user","content":"Hello"}],
        "tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}}"#;
    let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
    let answer = gateway.send("POST", "/v1/messages", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["type"], "message");
    assert_eq!(paths(&simulator), ["/v1/responses"]);
}

/// What Codex sends with each request, as far as it is tools.
#[test]
fn an_agent_that_always_offers_a_search_is_served_where_there_is_none() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("gemini", "gemini", "models = [\"gemini-*\"]"),
            channel("claude", "anthropic", "models = [\"claude-*\"]"),
        ],
    );
    let ask = |model: &str, tools: &str, choice: &str| {
        let body = format!(
            r#"{{"model":"{model}","input":"Hello","store":false,"tools":[{tools}],"tool_choice":{choice}}}"#
        );
        gateway.post("/v1/responses", &body)
    };
    let function =
        r#"{"type":"function","name":"shell","parameters":{"type":"object","properties":{}}}"#;
    let search = r#"{"type":"web_search","external_web_access":false}"#;
    let all = format!(
        r#"{function},{{"type":"custom","name":"apply_patch","format":{{"type":"grammar","syntax":"lark","definition":"start: \"x\""}}}},{search}"#
    );
    for (model, channel, is_dropped) in [
        ("gemini-2.5-flash", "gemini", true),
        ("gemini-3-pro-preview", "gemini", true),
        ("claude-opus-4-7", "claude", false),
    ] {
        let answer = ask(model, &all, "\"none\"");
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(answer.header("x-torouter-channel"), Some(channel));
        let dropped = answer.header("x-torouter-dropped").unwrap_or_default();
        let named = dropped.split(',').any(|name| name == "tools[].web_search");
        assert_eq!(named, is_dropped, "{model}: {dropped}");
    }
    // One that is demanded: the answer was to be made of it.
    let answer = ask("gemini-2.5-flash", &all, r#"{"type":"web_search"}"#);
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "unsupported_parameter");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("'web_search'"), "{message}");
}
