//! Streams as the providers send them, made of what each test needs.

use serde_json::{Value, json};

use torouter::dialect::Dialect::{self, Anthropic, Gemini, OpenAiChat};

pub fn chat_chunk(delta: &Value, finish: &Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

pub fn chat_stream(deltas: &[Value], finish: &str) -> Vec<Value> {
    let mut events: Vec<Value> = deltas
        .iter()
        .map(|delta| chat_chunk(delta, &Value::Null))
        .collect();
    events.push(chat_chunk(&json!({}), &json!(finish)));
    events.push(json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 10},
        },
    }));
    events
}

pub fn chat_call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut function = json!({"arguments": arguments});
    let mut call = json!({"index": index});
    if let Some(id) = id {
        call["id"] = json!(id);
        call["type"] = json!("function");
    }
    if let Some(name) = name {
        function["name"] = json!(name);
    }
    call["function"] = function;
    json!({"tool_calls": [call]})
}

/// `blocks`: how each opens, and its deltas.
pub fn anthropic_stream(blocks: &[(Value, Vec<Value>)], stop: &str) -> Vec<Value> {
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": 50, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10, "output_tokens": 1,
        },
    }})];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({
        "type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 30},
    }));
    events.push(json!({"type": "message_stop"}));
    events
}

pub fn anthropic_tool(id: &str, name: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": {}})
}

pub fn gemini_stream(parts: &[Value]) -> Vec<Value> {
    let last = parts.len().saturating_sub(1);
    let chunk = |(at, part): (usize, &Value)| {
        let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
        if at == last {
            candidate["finishReason"] = json!("STOP");
        }
        json!({
            "candidates": [candidate], "modelVersion": "up", "responseId": "r1",
            "usageMetadata": {
                "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20,
                "thoughtsTokenCount": 10, "totalTokenCount": 130,
            },
        })
    };
    parts.iter().enumerate().map(chunk).collect()
}

pub fn gemini_call(name: &str, args: &Value) -> Value {
    json!({"functionCall": {"name": name, "args": args}})
}

/// Items that come whole.
pub fn responses_stream(items: &[Value]) -> Vec<Value> {
    let response = |status: &str| json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "status": status, "output": items});
    let mut events = vec![json!({"type": "response.created", "response": response("in_progress")})];
    for (at, item) in items.iter().enumerate() {
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    let mut last = response("completed");
    last["usage"] = json!({
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 10}, "total_tokens": 130,
    });
    events.push(json!({"type": "response.completed", "response": last}));
    events
}

pub fn simple(upstream: Dialect) -> Vec<Value> {
    match upstream {
        OpenAiChat => chat_stream(&[json!({"role": "assistant", "content": "Hi"})], "stop"),
        Anthropic => anthropic_stream(
            &[(
                json!({"type": "text", "text": ""}),
                vec![json!({"type": "text_delta", "text": "Hi"})],
            )],
            "end_turn",
        ),
        Gemini => gemini_stream(&[json!({"text": "Hi"})]),
        Dialect::OpenAiResponses => responses_stream(&[json!({
            "id": "msg_1", "type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        })]),
    }
}
