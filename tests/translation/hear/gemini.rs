//! Gemini. The SDKs gather nothing: a client puts the parts of all chunks together; usage is that of the last.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, Choice, Heard, list, need, text};

pub fn all(chunks: &[Value]) -> Result<Heard, String> {
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    let mut usage = Value::Null;
    for chunk in chunks {
        let known = [
            "candidates",
            "usageMetadata",
            "promptFeedback",
            "modelVersion",
            "responseId",
            "createTime",
        ];
        for name in chunk.as_object().into_iter().flat_map(Map::keys) {
            need(
                known.contains(&name.as_str()),
                "a field that the API does not have",
                chunk,
            )?;
        }
        if chunk["usageMetadata"].is_object() {
            usage = chunk["usageMetadata"].clone();
        }
        for (at, candidate) in list(&chunk["candidates"]).iter().enumerate() {
            let index = candidate["index"].as_u64().unwrap_or(at as u64);
            let heard = choices.entry(index).or_default();
            need(
                heard.stop.is_empty(),
                "something after the finish reason",
                candidate,
            )?;
            for part in list(&candidate["content"]["parts"]) {
                need(candidate["content"]["role"] == "model", "role", candidate)?;
                hear_part(heard, part)?;
            }
            heard.citations += list(&candidate["citationMetadata"]["citationSources"]).len()
                + list(&candidate["groundingMetadata"]["groundingChunks"]).len();
            if !candidate["finishReason"].is_null() {
                heard.stop.push(candidate["finishReason"].clone());
            }
        }
    }
    Ok(Heard { choices, usage })
}

fn hear_part(heard: &mut Choice, part: &Value) -> Result<(), String> {
    if let Some(said) = part["text"].as_str() {
        if part["thought"] == true {
            heard.reasoning.push_str(said);
        } else {
            heard.text.push_str(said);
        }
    } else if part["functionCall"].is_object() {
        let call = &part["functionCall"];
        let args = if call["args"].is_null() {
            json!({})
        } else {
            call["args"].clone()
        };
        need(
            call["name"].is_string() && args.is_object(),
            "a broken call",
            part,
        )?;
        heard.calls.push(Call {
            id: text(&call["id"]).to_owned(),
            name: text(&call["name"]).to_owned(),
            input: args,
        });
    } else if part["inlineData"].is_object() {
        heard.images += 1;
    } else {
        need(
            part["thoughtSignature"].is_string(),
            "a part without content",
            part,
        )?;
    }
    let signature = text(&part["thoughtSignature"]);
    if !signature.is_empty() {
        heard.signatures.push(signature.to_owned());
    }
    Ok(())
}
