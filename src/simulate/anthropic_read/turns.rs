//! The messages of a request: whose turn it is, and what each holds.

use serde_json::Value;

use super::{BLOCKS, MAKER, mark, named_well, non_empty};
use crate::simulate::answer::Ask;
use crate::simulate::cache::Prompt;
use crate::simulate::exchange::Problem;
use crate::simulate::json::{items, string};
use crate::simulate::sign;

/// Walks through the messages: what is asked, what it costs, and whether calls and results belong together.
pub(super) fn conversation(
    messages: &[Value],
    ask: &mut Ask,
    prompt: &mut Prompt,
) -> Result<(), Problem> {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = string(message, "role");
        match role {
            "user" | "assistant" => {}
            "system" => {
                return Err(Problem::bad(
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.",
                ));
            }
            _ => {
                return Err(Problem::bad(format!(
                    "messages.{at}.role: Input should be 'user' or 'assistant'"
                )));
            }
        }
        let content = message.get("content").unwrap_or(&Value::Null);
        results_first(content, at, &open)?;
        open.clear();
        let mut texts: Vec<&str> = Vec::new();
        let mut results = Vec::new();
        match content {
            Value::String(text) => {
                if text.is_empty() {
                    return Err(Problem::bad(format!(
                        "messages.{at}: {role} messages must have non-empty content"
                    )));
                }
                prompt.text(text);
                texts.push(text);
            }
            Value::Array(blocks) => {
                if blocks.is_empty() && at + 1 < messages.len() {
                    return Err(Problem::bad(format!(
                        "messages.{at}: {role} messages must have non-empty content"
                    )));
                }
                for (number, block) in blocks.iter().enumerate() {
                    let place = format!("messages.{at}.content.{number}");
                    read_block(block, &place, prompt)?;
                    mark(prompt, block);
                    match string(block, "type") {
                        "text" => texts.push(string(block, "text")),
                        "tool_use" => open.push(string(block, "id")),
                        "tool_result" => results.push(result_text(block)),
                        _ => {}
                    }
                }
            }
            _ => {
                return Err(Problem::bad(format!(
                    "messages.{at}.content: Field required"
                )));
            }
        }
        if !texts.is_empty() {
            if role == "user" {
                ask.hear(texts.join("\n"));
            } else {
                ask.answered += 1;
            }
        }
        ask.used += results.len();
        ask.results = results;
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(unanswered(messages.len() - 1, &open))
    }
}

/// The results of all calls of the message before, and of no others.
fn results_first(content: &Value, at: usize, open: &[&str]) -> Result<(), Problem> {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut left: Vec<&str> = open.to_vec();
    for (number, block) in blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| string(block, "type") == "tool_result")
    {
        let id = string(block, "tool_use_id");
        let Some(found) = left.iter().position(|one| *one == id) else {
            return Err(Problem::bad(format!(
                "messages.{at}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        };
        left.swap_remove(found);
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(unanswered(at.saturating_sub(1), &left))
    }
}

fn unanswered(at: usize, ids: &[&str]) -> Problem {
    Problem::bad(format!(
        "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    ))
}

/// Checks and counts one content block.
fn read_block(block: &Value, place: &str, prompt: &mut Prompt) -> Result<(), Problem> {
    let kind = string(block, "type");
    if kind.is_empty() {
        return Err(Problem::bad(format!("{place}.type: Field required")));
    }
    if !BLOCKS.contains(&kind) {
        return Err(Problem::bad(format!(
            "{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )));
    }
    match kind {
        "text" => {
            non_empty(string(block, "text"), "messages")?;
            prompt.text(string(block, "text"));
        }
        "image" | "document" => prompt.image(block),
        "tool_use" => {
            if !named_well(string(block, "id")) {
                return Err(Problem::bad(format!(
                    "{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                )));
            }
            if !block.get("input").is_some_and(Value::is_object) {
                return Err(Problem::bad(format!(
                    "{place}.tool_use.input: Input should be a valid dictionary"
                )));
            }
            prompt.value(block);
        }
        "thinking" => {
            let signature = string(block, "signature");
            if signature.is_empty() {
                return Err(Problem::bad(format!(
                    "{place}.thinking.signature: Field required"
                )));
            }
            if !sign::genuine(MAKER, signature, string(block, "thinking")) {
                return Err(Problem::bad(format!(
                    "{place}: Invalid `signature` in `thinking` block"
                )));
            }
        }
        "redacted_thinking" => {
            if !sign::genuine(MAKER, string(block, "data"), "") {
                return Err(Problem::bad(format!(
                    "{place}: Invalid `data` in `redacted_thinking` block"
                )));
            }
        }
        _ => prompt.value(block),
    }
    Ok(())
}

/// The text of a tool's result: a string, or blocks of which the texts count.
fn result_text(block: &Value) -> String {
    match block.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts: Vec<&str> = blocks
                .iter()
                .map(|inner| string(inner, "text"))
                .filter(|text| !text.is_empty())
                .collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

/// In a tool loop with thinking on, the assistant's message must begin with its thinking.
pub(super) fn thinks_first(messages: &[Value]) -> Result<(), Problem> {
    let Some(last) = messages
        .iter()
        .rposition(|message| string(message, "role") == "assistant")
    else {
        return Ok(());
    };
    let blocks = items(&messages[last], "content");
    let calls = blocks
        .iter()
        .any(|block| string(block, "type") == "tool_use");
    let first = blocks
        .first()
        .map(|block| string(block, "type"))
        .unwrap_or_default();
    let answered = messages[last + 1..].iter().any(|message| {
        items(message, "content")
            .iter()
            .any(|block| string(block, "type") == "tool_result")
    });
    if calls && answered && first != "thinking" && first != "redacted_thinking" {
        return Err(Problem::bad(format!(
            "messages.{last}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        )));
    }
    Ok(())
}
