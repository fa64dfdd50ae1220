//! Turns that have been: calls, their results, texts.

use serde_json::{Value, json};

use torouter::dialect::Dialect::{Anthropic, OpenAiChat};

use super::{sent, text_for};

fn tool_loop() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "call_b", "type": "function", "function": {"name": "f", "arguments": "{\"a\":2}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_b", "content": "of b"},
            {"role": "tool", "tool_call_id": "call_a", "content": "of a"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}],
    })
}

#[test]
fn results_of_parallel_calls_stand_in_one_turn_and_are_no_plain_text() {
    let claude = sent(OpenAiChat, &tool_loop(), "anthropic");
    assert_eq!(
        claude["messages"].as_array().expect("messages").len(),
        3,
        "{claude}"
    );
    let results = claude["messages"][2]["content"].as_array().expect("blocks");
    assert!(
        results.len() == 2 && results.iter().all(|block| block["type"] == "tool_result"),
        "{claude}"
    );
    let gemini = sent(OpenAiChat, &tool_loop(), "gemini");
    assert_eq!(
        gemini["contents"].as_array().expect("contents").len(),
        3,
        "{gemini}"
    );
    let parts = gemini["contents"][2]["parts"].as_array().expect("parts");
    assert!(
        parts.len() == 2
            && parts
                .iter()
                .all(|part| part["functionResponse"].is_object()),
        "{gemini}"
    );
}

#[test]
fn results_belong_to_calls_by_id_and_not_by_name() {
    let claude = sent(OpenAiChat, &tool_loop(), "anthropic");
    for block in claude["messages"][2]["content"].as_array().expect("blocks") {
        let expected = if block["tool_use_id"] == "call_a" {
            "of a"
        } else {
            "of b"
        };
        assert!(block["content"].to_string().contains(expected), "{claude}");
    }
    let gemini = sent(OpenAiChat, &tool_loop(), "gemini");
    let calls = gemini["contents"][1]["parts"].as_array().expect("parts");
    let results = gemini["contents"][2]["parts"].as_array().expect("parts");
    for (at, call) in calls.iter().enumerate() {
        let expected = ["of a", "of b"][at];
        let id = &call["functionCall"]["id"];
        // Without ids, the order is what tells two of one name apart.
        let result = if id.is_null() {
            &results[at]
        } else {
            let found = results
                .iter()
                .find(|part| part["functionResponse"]["id"] == *id);
            found.expect("a result with this id")
        };
        assert!(result.to_string().contains(expected), "{gemini}");
    }
}

#[test]
fn images_inside_tool_results_are_still_seen() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}});
    let body = json!({
        "model": "m", "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                {"type": "text", "text": "Here."}, image,
            ]}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    });
    for platform in ["openai", "gemini", "openrouter"] {
        let text = text_for(Anthropic, &body.to_string(), platform);
        assert!(
            text.contains("iVBORw0KGgo=") && text.contains("Here."),
            "{platform}: {text}"
        );
    }
}

#[test]
fn empty_texts_do_not_become_blocks_that_anthropic_refuses() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "call_a", "content": ""},
        ],
    });
    let claude = sent(OpenAiChat, &body, "anthropic");
    let text = claude.to_string();
    assert!(!text.contains(r#""text":"""#), "{text}");
    assert!(
        !text.contains(r#""content":[]"#) && !text.contains(r#""system":"""#),
        "{text}"
    );
    let call = claude["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .find_map(|message| {
            let blocks = message["content"].as_array()?;
            blocks.iter().find(|block| block["type"] == "tool_use")
        });
    assert_eq!(call.expect("a call")["input"], json!({}));
}

#[test]
fn turns_of_one_role_are_merged_where_a_protocol_alternates() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "One."},
            {"role": "user", "content": "Two."},
            {"role": "system", "content": "In the middle."},
            {"role": "assistant", "content": "Three."},
            {"role": "developer", "content": "Late."},
            {"role": "user", "content": "Four."},
        ],
    });
    for (platform, turns) in [("anthropic", "messages"), ("gemini", "contents")] {
        let sent = sent(OpenAiChat, &body, platform);
        let roles: Vec<&Value> = sent[turns]
            .as_array()
            .expect("turns")
            .iter()
            .map(|turn| &turn["role"])
            .collect();
        assert!(
            roles.windows(2).all(|pair| pair[0] != pair[1]),
            "{platform}: {sent}"
        );
        for text in ["One.", "Two.", "In the middle.", "Three.", "Late.", "Four."] {
            assert!(
                sent.to_string().contains(text),
                "{platform}: {text} is gone: {sent}"
            );
        }
    }
}

#[test]
fn the_old_form_of_tools_is_understood() {
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}],
        "function_call": {"name": "f"},
    });
    let claude = sent(OpenAiChat, &body, "anthropic");
    let call = &claude["messages"][1]["content"][0];
    assert_eq!(
        (&call["type"], &call["input"]),
        (&json!("tool_use"), &json!({"a": 1})),
        "{claude}"
    );
    let result = &claude["messages"][2]["content"][0];
    assert_eq!(result["tool_use_id"], call["id"], "{claude}");
    assert_eq!(claude["tool_choice"]["name"], "f", "{claude}");
}
