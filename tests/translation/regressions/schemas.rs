//! Schemas of tools and of answers, and how numbers are written.

use serde_json::{Value, json};

use torouter::dialect::Dialect::{self, Anthropic, Gemini, OpenAiChat};

use super::{claude_user, sent, text_for, user};
use crate::requests::platform_dialect;

fn with_schema(surface: Dialect, schema: &Value) -> Value {
    match surface {
        OpenAiChat => json!({
            "model": "m", "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        }),
        Anthropic => json!({
            "model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"name": "f", "input_schema": schema}],
        }),
        Gemini | Dialect::OpenAiResponses => json!({
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}],
        }),
    }
}

/// What tools of today write, none of which Gemini's own schemas know.
fn wide_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "city": {"$ref": "#/$defs/City"},
            "unit": {"const": "celsius"},
            "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "required": ["city"],
        "$defs": {"City": {"type": "string", "minLength": 1}},
    })
}

#[test]
fn schemas_are_cut_down_to_what_gemini_knows() {
    for surface in [OpenAiChat, Anthropic] {
        let text = text_for(
            surface,
            &with_schema(surface, &wide_schema()).to_string(),
            "gemini",
        );
        assert!(!text.contains("$schema"), "{text}");
        for name in ["city", "unit", "day", "celsius"] {
            assert!(
                text.contains(&format!("\"{name}\"")),
                "{name} is gone: {text}"
            );
        }
        let sent: Value = serde_json::from_str(&text).expect("JSON");
        let declared = &sent["tools"][0]["functionDeclarations"][0];
        if declared["parameters"].is_object() {
            for word in ["$ref", "$defs", "additionalProperties", "\"const\""] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
    }
}

#[test]
fn upper_case_types_of_gemini_are_lower_case_elsewhere() {
    let schema = json!({
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING", "nullable": true}, "days": {"type": "ARRAY", "items": {"type": "INTEGER"}}},
    });
    for platform in ["openai", "anthropic", "openrouter", "openai-compatible"] {
        let text = text_for(Gemini, &with_schema(Gemini, &schema).to_string(), platform);
        for word in ["OBJECT", "STRING", "ARRAY", "INTEGER", "nullable"] {
            assert!(!text.contains(word), "{platform}: {text}");
        }
        assert!(text.contains("\"integer\""), "{platform}: {text}");
    }
}

#[test]
fn a_tool_without_parameters_has_an_empty_schema_and_not_null() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    });
    let claude = sent(OpenAiChat, &body, "anthropic");
    assert_eq!(
        claude["tools"][0]["input_schema"]["type"], "object",
        "{claude}"
    );
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    });
    let claude = sent(Gemini, &body, "anthropic");
    assert_eq!(
        claude["tools"][0]["input_schema"]["type"], "object",
        "{claude}"
    );
    let chat = sent(Gemini, &body, "openai");
    assert!(
        chat["tools"][0]["function"]
            .get("parameters")
            .is_none_or(Value::is_object),
        "{chat}"
    );
}

#[test]
fn response_schemas_are_kept_in_each_direction() {
    let schema = json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false,
    });
    let mut chat = user(&json!("Hi"));
    chat["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
    let mut claude = claude_user(&json!("Hi"));
    claude["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    let gemini = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
        },
    });
    for (surface, body) in [(OpenAiChat, &chat), (Anthropic, &claude), (Gemini, &gemini)] {
        for platform in ["openai", "anthropic", "gemini"] {
            if platform_dialect(platform) == surface {
                continue;
            }
            let sent = sent(surface, body, platform);
            let found = match platform {
                "openai" => sent["response_format"]["json_schema"]["schema"].clone(),
                // By its own structured output, or by a tool that must be called.
                "anthropic" if sent["output_config"]["format"].is_object() => {
                    sent["output_config"]["format"]["schema"].clone()
                }
                "anthropic" => sent["tools"][0]["input_schema"].clone(),
                _ => {
                    let config = &sent["generationConfig"];
                    assert_eq!(config["responseMimeType"], "application/json", "{sent}");
                    let by_either = [&config["responseJsonSchema"], &config["responseSchema"]];
                    by_either
                        .into_iter()
                        .find(|schema| schema.is_object())
                        .cloned()
                        .unwrap_or_default()
                }
            };
            assert!(
                found["properties"]["city"].is_object(),
                "{surface:?} to {platform}: {sent}"
            );
            assert_eq!(
                found["required"],
                json!(["city"]),
                "{surface:?} to {platform}: {sent}"
            );
        }
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let parameters = r#"{"type":"object","properties":{"a":{"type":"number","maximum":1.50e+2,"description":"d"},"b":{"type":"integer","default":12345678901234567890123}}}"#;
    let tools = format!(
        r#""tools":[{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}}]"#
    );
    let arguments = r#"{\"z\":1.50e+2,\"a\":12345678901234567890123}"#;
    let body = format!(
        r#"{{"model":"m","temperature":0.70,"messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","tool_calls":[{{"id":"call_a","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}},{{"role":"tool","tool_call_id":"call_a","content":"1.50e+2"}}],{tools}}}"#
    );
    let claude = text_for(OpenAiChat, &body, "anthropic");
    assert!(claude.contains(parameters), "{claude}");
    assert!(
        claude.contains(r#"{"z":1.50e+2,"a":12345678901234567890123}"#),
        "{claude}"
    );
    assert!(claude.contains(r#""temperature":0.70"#), "{claude}");
    let gemini = text_for(OpenAiChat, &body, "gemini");
    assert!(
        gemini.contains(r#"{"z":1.50e+2,"a":12345678901234567890123}"#),
        "{gemini}"
    );
    assert!(
        gemini.contains("1.50e+2") && gemini.contains(r#""temperature":0.70"#),
        "{gemini}"
    );
    let claude = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"t1","name":"f","input":{{"z":1.50e+2,"a":12345678901234567890123}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t1","content":"x"}}]}}],"tools":[{{"name":"f","input_schema":{parameters}}}]}}"#
    );
    let chat = text_for(Anthropic, &claude, "openai");
    assert!(
        chat.contains(parameters) && chat.contains(arguments),
        "{chat}"
    );
}
