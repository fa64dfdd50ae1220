//! What an SDK makes of a stream.

use serde_json::{Map, Value, json};

/// As `accumulate_delta` of openai-python does it
/// (<https://github.com/openai/openai-python/blob/main/src/openai/lib/streaming/_deltas.py>).
fn accumulate(known: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (key, more) in delta {
        let Some(old) = known.get_mut(key) else {
            known.insert(key.clone(), more.clone());
            continue;
        };
        match (&mut *old, more) {
            (Value::Null, more) => *old = more.clone(),
            (_, Value::Null) => {}
            (old, more) if key == "index" || key == "type" => *old = more.clone(),
            (Value::String(old), Value::String(more)) => old.push_str(more),
            (Value::Object(old), Value::Object(more)) => accumulate(old, more),
            (Value::Array(old), Value::Array(more)) => {
                for entry in more {
                    let index = entry["index"]
                        .as_u64()
                        .expect("entries of lists have an index");
                    match old.get_mut(index as usize) {
                        Some(Value::Object(old)) => {
                            accumulate(old, entry.as_object().expect("object"));
                        }
                        Some(other) => panic!("{other}"),
                        None => old.insert(index as usize, entry.clone()),
                    }
                }
            }
            (old, more) => panic!("{key}: {old} and {more}"),
        }
    }
}

pub(super) fn put_together(stream: &str) -> Value {
    let mut whole = Map::new();
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    let mut ended = false;
    for frame in stream.split_terminator("\n\n") {
        let data = frame.strip_prefix("data: ").expect("data");
        assert!(!ended, "after the end: {data}");
        if data == "[DONE]" {
            ended = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{data}: {e}"));
        assert_eq!(chunk["object"], "chat.completion.chunk");
        for name in ["id", "created", "model", "service_tier", "usage"] {
            if let Some(value) = chunk.get(name).filter(|v| !v.is_null()) {
                whole.insert(name.to_owned(), value.clone());
            }
        }
        for choice in chunk["choices"].as_array().expect("choices") {
            let index = choice["index"].as_u64().expect("index") as usize;
            if choices.len() <= index {
                choices.resize_with(index + 1, Map::new);
            }
            let known = &mut choices[index];
            known.insert("index".to_owned(), json!(index));
            let message = known.entry("message").or_insert_with(|| json!({}));
            accumulate(
                message.as_object_mut().expect("object"),
                choice["delta"].as_object().expect("delta"),
            );
            match (known.get_mut("logprobs"), &choice["logprobs"]) {
                (Some(Value::Object(old)), Value::Object(more)) => {
                    let more = more["content"].as_array().expect("list").clone();
                    old["content"].as_array_mut().expect("list").extend(more);
                }
                (Some(Value::Object(_)), _) => {}
                (_, more) => {
                    known.insert("logprobs".to_owned(), more.clone());
                }
            }
            if !choice["finish_reason"].is_null() {
                assert!(
                    known.get("finish_reason").is_none_or(Value::is_null),
                    "twice"
                );
            }
            known.insert("finish_reason".to_owned(), choice["finish_reason"].clone());
        }
    }
    assert!(ended);
    whole.insert("object".to_owned(), json!("chat.completion"));
    whole.insert("choices".to_owned(), json!(choices));
    Value::Object(whole)
}
