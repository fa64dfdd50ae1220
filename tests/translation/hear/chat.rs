//! OpenAI chat. `gather` is `accumulate_delta` of openai-python (src/openai/lib/streaming/_deltas.py), which the Node SDK
//! shares in substance: texts and numbers are added, elements of lists are found by their `index`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, Choice, Heard, input, list, need, read, text};

fn gather(gathered: &mut Map<String, Value>, delta: &Map<String, Value>) -> Result<(), String> {
    for (key, more) in delta {
        let old = gathered.entry(key.clone()).or_insert(Value::Null);
        match (old, more) {
            (old @ Value::Null, more) => *old = more.clone(),
            (_, Value::Null) => {}
            (old, more) if key == "index" || key == "type" => *old = more.clone(),
            (Value::String(old), Value::String(more)) => old.push_str(more),
            (Value::Object(old), Value::Object(more)) => gather(old, more)?,
            (Value::Array(old), Value::Array(more)) => {
                for element in more {
                    let Some(index) = element["index"].as_u64() else {
                        return Err(format!("an element of {key} has no index: {element}"));
                    };
                    match (old.get_mut(index as usize), element) {
                        (Some(Value::Object(old)), Value::Object(more)) => gather(old, more)?,
                        _ => old.push(element.clone()),
                    }
                }
            }
            (old, more) => return Err(format!("{key} was {old} and then {more}")),
        }
    }
    Ok(())
}

pub fn stream(events: &[(String, String)]) -> Result<Heard, String> {
    let Some(((_, done), chunks)) = events.split_last() else {
        return Err("an empty stream".to_owned());
    };
    if done != "[DONE]" {
        return Err(format!("the stream ends in {done}"));
    }
    let mut choices: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    let mut whole = Map::new();
    for (_, data) in chunks {
        let chunk = read(data)?;
        need(chunk["object"] == "chat.completion.chunk", "object", &chunk)?;
        need(chunk["choices"].is_array(), "no choices", &chunk)?;
        need(chunk["created"].is_u64(), "no created", &chunk)?;
        for name in ["id", "model", "created"] {
            let first = whole.entry(name).or_insert_with(|| chunk[name].clone());
            need(
                *first == chunk[name],
                "another id, model or time than the first's",
                &chunk,
            )?;
        }
        need(
            whole.get("usage").is_none_or(Value::is_null),
            "something after usage",
            &chunk,
        )?;
        if !chunk["usage"].is_null() {
            whole.insert("usage".to_owned(), chunk["usage"].clone());
        }
        for choice in list(&chunk["choices"]) {
            let Some(index) = choice["index"].as_u64() else {
                return Err(format!("a choice without an index: {choice}"));
            };
            let Some(delta) = choice["delta"].as_object() else {
                return Err(format!("a choice without a delta: {choice}"));
            };
            let gathered = choices.entry(index).or_default();
            need(
                gathered.get("finish_reason").is_none_or(Value::is_null),
                "something after the finish reason",
                choice,
            )?;
            let message = gathered.entry("message").or_insert_with(|| json!({}));
            gather(message.as_object_mut().expect("an object"), delta)?;
            if !choice["finish_reason"].is_null() {
                gathered.insert("finish_reason".to_owned(), choice["finish_reason"].clone());
            }
            if let Some(more) = choice["logprobs"]["content"].as_array() {
                let logprobs = gathered
                    .entry("logprobs")
                    .or_insert_with(|| json!({"content": []}));
                logprobs["content"]
                    .as_array_mut()
                    .expect("a list")
                    .extend(more.iter().cloned());
            }
        }
    }
    let choices: Vec<Value> = choices
        .into_iter()
        .map(|(index, mut choice)| {
            choice.insert("index".to_owned(), json!(index));
            Value::Object(choice)
        })
        .collect();
    whole.insert("object".to_owned(), json!("whole"));
    whole.insert("choices".to_owned(), json!(choices));
    self::whole(&Value::Object(whole), "whole")
}

pub fn whole(body: &Value, object: &str) -> Result<Heard, String> {
    need(body["object"] == object, "object", body)?;
    need(
        text(&body["id"]).starts_with("chatcmpl-") || text(&body["id"]).starts_with("gen-"),
        "id",
        body,
    )?;
    need(
        body["created"].is_u64() && body["model"].is_string(),
        "created or model",
        body,
    )?;
    let mut choices = BTreeMap::new();
    for choice in list(&body["choices"]) {
        let message = &choice["message"];
        need(message["role"] == "assistant", "role", choice)?;
        need(
            choice["finish_reason"].is_string(),
            "no finish reason",
            choice,
        )?;
        let mut heard = Choice {
            text: text(&message["content"]).to_owned(),
            reasoning: text(&message["reasoning_content"]).to_owned(),
            refusal: text(&message["refusal"]).to_owned(),
            citations: list(&message["annotations"]).len(),
            images: list(&message["images"]).len(),
            logprobs: list(&choice["logprobs"]["content"]).to_vec(),
            stop: vec![choice["finish_reason"].clone()],
            ..Choice::default()
        };
        for call in list(&message["tool_calls"]) {
            need(!text(&call["id"]).is_empty(), "a call without an id", call)?;
            let (name, written) = match text(&call["type"]) {
                "function" => (&call["function"]["name"], &call["function"]["arguments"]),
                "custom" => (&call["custom"]["name"], &call["custom"]["input"]),
                _ => return Err(format!("a call without a type: {call}")),
            };
            need(
                name.is_string() && written.is_string(),
                "a call without name or arguments",
                call,
            )?;
            heard.calls.push(Call {
                id: text(&call["id"]).to_owned(),
                name: text(name).to_owned(),
                input: input(text(written)),
            });
        }
        for detail in list(&message["reasoning_details"]) {
            let signature = [&detail["signature"], &detail["data"]];
            let found = signature.into_iter().map(text).find(|s| !s.is_empty());
            heard.signatures.extend(found.map(str::to_owned));
        }
        choices.insert(choice["index"].as_u64().unwrap_or(u64::MAX), heard);
    }
    need(!choices.is_empty(), "no choices", body)?;
    Ok(Heard {
        choices,
        usage: body["usage"].clone(),
    })
}
