//! What an SDK makes of a stream.

use serde_json::{Value, json};

use crate::wire::sse;

/// Puts a stream together as the official SDKs do, and checks the order of its events.
pub(super) fn accumulate(stream: &[u8]) -> Value {
    let mut message = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    let mut open: Option<usize> = None;
    let mut ended = false;
    let mut frames = sse::Frames::new(1 << 20);
    let chunk = bytes::Bytes::copy_from_slice(stream);
    let mut all = Vec::new();
    frames.push(&chunk, |frame| all.push(frame)).expect("small");
    assert!(frames.rest().is_empty(), "whole events only");
    for frame in all {
        let event = sse::parse(&frame);
        let data: Value = serde_json::from_slice(&event.data.expect("data")).expect("JSON");
        assert_eq!(data["type"].as_str().map(str::as_bytes), Some(event.name));
        assert!(!ended);
        let index = data["index"].as_u64().map(|index| index as usize);
        match data["type"].as_str().expect("type") {
            "message_start" => {
                assert!(message.is_null());
                message = data["message"].clone();
                assert!(
                    message["usage"]["input_tokens"].as_u64() > Some(0)
                        || message["usage"]["cache_read_input_tokens"].as_u64() > Some(0)
                );
            }
            "ping" => {}
            "content_block_start" => {
                let content = message["content"].as_array_mut().expect("content");
                assert_eq!(index, Some(content.len()), "contiguous");
                assert_eq!(open, None);
                open = index;
                content.push(data["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(index, open);
                let at = index.expect("index");
                let block = &mut message["content"][at];
                let delta = &data["delta"];
                let join = |block: &mut Value, name: &str| {
                    let text = format!(
                        "{}{}",
                        block[name].as_str().expect("text"),
                        delta[name].as_str().expect("text")
                    );
                    block[name] = Value::String(text);
                };
                match delta["type"].as_str().expect("type") {
                    "text_delta" => join(block, "text"),
                    "thinking_delta" => join(block, "thinking"),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => {
                        inputs[at].push_str(delta["partial_json"].as_str().expect("text"));
                    }
                    "citations_delta" => match block["citations"].as_array_mut() {
                        Some(all) => all.push(delta["citation"].clone()),
                        None => block["citations"] = json!([delta["citation"]]),
                    },
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(index, open.take());
                let at = index.expect("index");
                if !inputs[at].is_empty() {
                    message["content"][at]["input"] =
                        serde_json::from_str(&inputs[at]).expect("whole JSON");
                }
            }
            "message_delta" => {
                assert_eq!(open, None);
                for (name, value) in data["delta"].as_object().expect("delta") {
                    message[name] = value.clone();
                }
                for (name, value) in data["usage"].as_object().expect("usage") {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" => ended = true,
            other => panic!("{other}"),
        }
    }
    assert!(ended);
    message
}
