//! OpenAI Responses. As `accumulate_event` of openai-python (src/openai/lib/streaming/responses/_responses.py): items and
//! their contents are found by their indexes, and what is done must be what its pieces made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Choice, Heard, input, list, need, read, text};

/// The field of an item, or of its content, that the pieces of an event go to.
fn field(event: &str) -> Option<(&'static str, &'static str)> {
    let (name, _) = event.rsplit_once('.')?;
    match name {
        "response.output_text" => Some(("content", "text")),
        "response.refusal" => Some(("content", "refusal")),
        "response.reasoning_summary_text" => Some(("summary", "text")),
        "response.reasoning_text" => Some(("content", "text")),
        "response.function_call_arguments" => Some(("", "arguments")),
        "response.custom_tool_call_input" => Some(("", "input")),
        _ => None,
    }
}

/// What an event is about: the item, or a part of it.
fn place<'i>(items: &'i mut [Value], event: &Value, within: &str) -> Result<&'i mut Value, String> {
    let index = event["output_index"].as_u64().unwrap_or(u64::MAX) as usize;
    let item = items
        .get_mut(index)
        .filter(|item| item["id"] == event["item_id"])
        .ok_or_else(|| format!("no such item: {event}"))?;
    let number = match within {
        "" => return Ok(item),
        "summary" => &event["summary_index"],
        _ => &event["content_index"],
    };
    let number = number.as_u64().unwrap_or(u64::MAX) as usize;
    item[within]
        .get_mut(number)
        .ok_or_else(|| format!("no such part: {event}"))
}

fn piece(items: &mut [Value], name: &str, event: &Value) -> Result<(), String> {
    let Some((within, key)) = field(name) else {
        return Err(format!("an event that is not known: {event}"));
    };
    let place = place(items, event, within)?;
    if matches!(name.rsplit_once('.'), Some((_, "delta"))) {
        let more = event["delta"].as_str().ok_or("a delta without text")?;
        let told = format!("{}{more}", text(&place[key]));
        place[key] = json!(told);
        if let Some(more) = event["logprobs"].as_array() {
            let mut all = list(&place["logprobs"]).to_vec();
            all.extend(more.iter().cloned());
            place["logprobs"] = json!(all);
        }
        return Ok(());
    }
    need(place[key] == event[key], "not what its pieces made", event)
}

pub fn stream(events: &[(String, String)]) -> Result<Heard, String> {
    let mut items: Vec<Value> = Vec::new();
    let mut done = 0;
    let mut last = Value::Null;
    for (at, (name, data)) in events.iter().enumerate() {
        let event = read(data)?;
        need(
            event["type"] == name.as_str(),
            "the event's name is not its type",
            &event,
        )?;
        need(event["sequence_number"] == at, "sequence numbers", &event)?;
        need(last.is_null(), "something after the end", &event)?;
        let opening = ["response.created", "response.in_progress"];
        if let Some(opening) = opening.get(at) {
            need(name == opening, "out of order", &event)?;
            need(
                event["response"]["status"] == "in_progress",
                "status",
                &event,
            )?;
            continue;
        }
        match name.as_str() {
            "response.completed" | "response.incomplete" => last = event["response"].clone(),
            "response.output_item.added" => {
                need(
                    event["output_index"] == items.len(),
                    "indexes are not contiguous",
                    &event,
                )?;
                need(
                    !text(&event["item"]["id"]).is_empty(),
                    "an item without an id",
                    &event,
                )?;
                items.push(event["item"].clone());
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                let (within, number) = if name.contains("summary") {
                    ("summary", &event["summary_index"])
                } else {
                    ("content", &event["content_index"])
                };
                let item = place(&mut items, &event, "")?;
                let parts = item[within].as_array_mut().ok_or("no list of parts")?;
                need(*number == parts.len(), "indexes are not contiguous", &event)?;
                parts.push(event["part"].clone());
            }
            "response.content_part.done" => {
                let part = place(&mut items, &event, "content")?;
                need(*part == event["part"], "not what its pieces made", &event)?;
            }
            "response.reasoning_summary_part.done" => {
                let part = place(&mut items, &event, "summary")?;
                need(*part == event["part"], "not what its pieces made", &event)?;
            }
            "response.output_text.annotation.added" => {
                let part = place(&mut items, &event, "content")?;
                let all = part["annotations"].as_array_mut().ok_or("no annotations")?;
                need(
                    event["annotation_index"] == all.len(),
                    "indexes are not contiguous",
                    &event,
                )?;
                all.push(event["annotation"].clone());
            }
            "response.image_generation_call.completed" => {
                place(&mut items, &event, "")?;
            }
            "response.output_item.done" => {
                let index = event["output_index"].as_u64().unwrap_or(u64::MAX) as usize;
                let made = items.get_mut(index).ok_or("no such item")?;
                for key in [
                    "content",
                    "arguments",
                    "input",
                    "call_id",
                    "name",
                    "type",
                    "id",
                ] {
                    need(
                        made[key] == event["item"][key],
                        "not what its pieces made",
                        &event,
                    )?;
                }
                *made = event["item"].clone();
                done += 1;
            }
            other => piece(&mut items, other, &event)?,
        }
    }
    need(!last.is_null(), "the stream does not end", &last)?;
    need(done == items.len(), "an item that is not done", &last)?;
    need(
        last["output"] == json!(items),
        "the output is not that of the stream",
        &last,
    )?;
    whole(&last)
}

pub fn whole(body: &Value) -> Result<Heard, String> {
    need(body["object"] == "response", "object", body)?;
    need(text(&body["id"]).starts_with("resp_"), "id", body)?;
    need(
        body["created_at"].is_u64() && body["model"].is_string(),
        "created_at or model",
        body,
    )?;
    need(body["error"].is_null(), "an error", body)?;
    let mut heard = Choice {
        stop: vec![
            body["status"].clone(),
            body["incomplete_details"]["reason"].clone(),
        ],
        ..Choice::default()
    };
    for item in list(&body["output"]) {
        match text(&item["type"]) {
            "message" => {
                need(item["role"] == "assistant", "role", item)?;
                for part in list(&item["content"]) {
                    message(part, &mut heard)?;
                }
            }
            "reasoning" => {
                need(item["summary"].is_array(), "no summary", item)?;
                for part in list(&item["summary"]).iter().chain(list(&item["content"])) {
                    heard.reasoning.push_str(text(&part["text"]));
                }
                let signature = item["encrypted_content"].as_str();
                heard.signatures.extend(signature.map(str::to_owned));
            }
            kind @ ("function_call" | "custom_tool_call") => {
                let key = if kind == "function_call" {
                    "arguments"
                } else {
                    "input"
                };
                need(
                    item["name"].is_string() && item[key].is_string(),
                    "a call",
                    item,
                )?;
                need(
                    !text(&item["call_id"]).is_empty(),
                    "a call without an id",
                    item,
                )?;
                heard.calls.push(Call {
                    id: text(&item["call_id"]).to_owned(),
                    name: text(&item["name"]).to_owned(),
                    input: input(text(&item[key])),
                });
            }
            "image_generation_call" => heard.images += 1,
            _ => return Err(format!("an item that is not known: {item}")),
        }
    }
    Ok(Heard {
        choices: BTreeMap::from([(0, heard)]),
        usage: body["usage"].clone(),
    })
}

fn message(part: &Value, heard: &mut Choice) -> Result<(), String> {
    match text(&part["type"]) {
        "output_text" => {
            need(part["annotations"].is_array(), "no annotations", part)?;
            heard.text.push_str(text(&part["text"]));
            heard.citations += list(&part["annotations"]).len();
            heard
                .logprobs
                .extend(list(&part["logprobs"]).iter().cloned());
        }
        "refusal" => heard.refusal.push_str(text(&part["refusal"])),
        _ => return Err(format!("a part that is not known: {part}")),
    }
    Ok(())
}
