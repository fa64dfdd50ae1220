//! Anthropic. As `MessageStream` of @anthropic-ai/sdk: blocks are appended in order and found by their index.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, Choice, Heard, input, list, need, read, text};

pub fn stream(events: &[(String, String)]) -> Result<Heard, String> {
    let mut message = Value::Null;
    let mut blocks: Vec<Value> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut over = false;
    for (name, data) in events {
        let event = read(data)?;
        need(
            event["type"] == name.as_str(),
            "the event's name is not its type",
            &event,
        )?;
        need(!over, "something after message_stop", &event)?;
        if name == "ping" {
            continue;
        }
        need(
            (name == "message_start") == message.is_null(),
            "out of order",
            &event,
        )?;
        match name.as_str() {
            "message_start" => {
                message = event["message"].clone();
                need(
                    message["content"] == json!([]),
                    "content in message_start",
                    &event,
                )?;
                need(
                    message["usage"]["input_tokens"].is_u64(),
                    "no input_tokens",
                    &event,
                )?;
                need(
                    message["usage"]["output_tokens"].is_u64(),
                    "no output_tokens",
                    &event,
                )?;
            }
            "content_block_start" => {
                need(open.is_none(), "a block within a block", &event)?;
                need(
                    event["index"] == blocks.len(),
                    "indexes are not contiguous",
                    &event,
                )?;
                open = Some((blocks.len(), String::new()));
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let Some((index, json)) = &mut open else {
                    return Err(format!("a delta outside blocks: {event}"));
                };
                need(event["index"] == *index, "a delta of another block", &event)?;
                add_delta(&mut blocks[*index], json, &event["delta"])?;
            }
            "content_block_stop" => {
                let Some((index, json)) = open.take() else {
                    return Err(format!("a stop outside blocks: {event}"));
                };
                need(event["index"] == index, "a stop of another block", &event)?;
                if !json.is_empty() {
                    need(
                        blocks[index]["input"] == json!({}),
                        "input given twice",
                        &event,
                    )?;
                    blocks[index]["input"] = input(&json);
                }
            }
            "message_delta" => {
                need(open.is_none(), "the message ends within a block", &event)?;
                need(
                    message["stop_reason"].is_null(),
                    "a second stop reason",
                    &event,
                )?;
                need(
                    event["usage"]["output_tokens"].is_u64(),
                    "no output_tokens",
                    &event,
                )?;
                for name in ["stop_reason", "stop_sequence"] {
                    message[name] = event["delta"][name].clone();
                }
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    if !value.is_null() {
                        message["usage"][name] = value.clone();
                    }
                }
            }
            "message_stop" => over = true,
            _ => return Err(format!("an event that the API does not have: {event}")),
        }
    }
    need(over, "no message_stop", &message)?;
    message["content"] = json!(blocks);
    whole(&message)
}

fn add_delta(block: &mut Value, json: &mut String, delta: &Value) -> Result<(), String> {
    let add = |block: &mut Value, name: &str| {
        let more = text(&block[name]).to_owned() + text(&delta[name]);
        block[name] = json!(more);
    };
    match (text(&block["type"]), text(&delta["type"])) {
        ("text", "text_delta") => add(block, "text"),
        ("thinking", "thinking_delta") => add(block, "thinking"),
        // Whole, not in pieces: the SDKs replace what was there.
        ("thinking", "signature_delta") => block["signature"] = delta["signature"].clone(),
        ("tool_use" | "server_tool_use", "input_json_delta") => {
            json.push_str(text(&delta["partial_json"]));
        }
        ("text", "citations_delta") => {
            let mut citations = list(&block["citations"]).to_vec();
            citations.push(delta["citation"].clone());
            block["citations"] = json!(citations);
        }
        _ => return Err(format!("{delta} in {block}")),
    }
    Ok(())
}

pub fn whole(message: &Value) -> Result<Heard, String> {
    need(
        message["type"] == "message" && message["role"] == "assistant",
        "type or role",
        message,
    )?;
    need(text(&message["id"]).starts_with("msg_"), "id", message)?;
    need(
        message["stop_reason"].is_string(),
        "no stop reason",
        message,
    )?;
    need(message["model"].is_string(), "no model", message)?;
    let mut heard = Choice {
        stop: vec![
            message["stop_reason"].clone(),
            message["stop_sequence"].clone(),
        ],
        ..Choice::default()
    };
    for block in list(&message["content"]) {
        match text(&block["type"]) {
            "text" => {
                need(
                    block["text"].is_string(),
                    "a text block without text",
                    block,
                )?;
                heard.text.push_str(text(&block["text"]));
                heard.citations += list(&block["citations"]).len();
            }
            "thinking" => {
                need(
                    block["signature"].is_string(),
                    "a thinking block without signature",
                    block,
                )?;
                heard.reasoning.push_str(text(&block["thinking"]));
                let signature = text(&block["signature"]);
                if !signature.is_empty() {
                    heard.signatures.push(signature.to_owned());
                }
            }
            "redacted_thinking" => heard.signatures.push(text(&block["data"]).to_owned()),
            "tool_use" => {
                let is_whole = block["id"].is_string() && block["name"].is_string();
                need(
                    is_whole && block["input"].is_object(),
                    "a broken call",
                    block,
                )?;
                heard.calls.push(Call {
                    id: text(&block["id"]).to_owned(),
                    name: text(&block["name"]).to_owned(),
                    input: block["input"].clone(),
                });
            }
            _ => return Err(format!("a block that was not to be expected: {block}")),
        }
    }
    let usage = [
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ];
    let usage: Map<String, Value> = usage
        .iter()
        .map(|name| {
            let count = message["usage"][name].as_u64().unwrap_or(0);
            ((*name).to_owned(), json!(count))
        })
        .collect();
    Ok(Heard {
        choices: BTreeMap::from([(0, heard)]),
        usage: Value::Object(usage),
    })
}
