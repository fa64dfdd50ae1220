//! Reads a Responses request as strictly as OpenAI does.
//! <https://platform.openai.com/docs/api-reference/responses/create>

use serde_json::Value;

use super::answer::{Ask, Choice, Tool};
use super::cache::Prompt;
use super::exchange::{Context, Problem, Voice};
use super::json::{items, string, yes};
use super::openai_read::{choice, format, function_tool, limit, missing, model};
use super::{held, openrouter, sign};

/// Who seals `encrypted_content` here.
pub(super) const MAKER: &str = "openai";

/// A request, understood.
pub(super) struct Turn {
    pub(super) ask: Ask,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    pub(super) store: bool,
    pub(super) background: bool,
    pub(super) encrypted: bool,
    /// Whether a summary of the reasoning is shown.
    pub(super) summary: bool,
    /// Without output: what follows on the same WebSocket is prepared.
    pub(super) warms: bool,
    /// What came before this request, and the conversation to which it belongs.
    pub(super) history: Vec<Value>,
    pub(super) conversation: Option<String>,
    pub(super) input: Vec<Value>,
}

pub(super) fn read(context: &Context<'_>, body: &Value) -> Result<Turn, Problem> {
    let model = model(context, body)?;
    let conversation = conversation_id(body)?;
    let history = history(context, body, conversation.as_deref())?;
    let input = resolved(context, input(body, !history.is_empty())?)?;
    let limit = limit(body, &["max_output_tokens"])?;
    if let Some(few) = limit.filter(|limit| *limit < 16 && context.voice == Voice::Responses) {
        return Err(Problem::bad(format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {few} instead."
        ))
        .code("integer_below_min_value")
        .param("max_output_tokens"));
    }
    let mut prompt = Prompt::default();
    let instructions = string(body, "instructions");
    if !instructions.is_empty() {
        prompt.text(instructions);
    }
    let reasoning = body.get("reasoning").unwrap_or(&Value::Null);
    let effort = string(reasoning, "effort");
    let mut ask = Ask {
        model,
        tools: tools(body, &mut prompt)?,
        choice: choice(body, true)?,
        parallel: body
            .get("parallel_tool_calls")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        limit,
        schema: format(body.get("text").and_then(|text| text.get("format")), false)?,
        reasoning: match context.voice {
            Voice::RouterResponses => openrouter::reasons(body),
            _ => {
                (!effort.is_empty() && effort != "none")
                    || reasoning.get("summary").is_some_and(Value::is_string)
            }
        },
        ..Ask::default()
    };
    if matches!(ask.choice, Choice::Any | Choice::Named(_)) && items(body, "tools").is_empty() {
        return Err(Problem::bad(
            "Tool choice 'required' must be specified with 'tools' parameter.",
        )
        .param("tool_choice"));
    }
    walk(
        history.iter().chain(&input),
        history.len(),
        &mut ask,
        &mut prompt,
    )?;
    let store = body.get("store").and_then(Value::as_bool).unwrap_or(true);
    let socket = context.lane.is_some();
    let background = yes(body, "background") && !socket;
    if background && !store {
        return Err(
            Problem::bad("Background mode requires 'store' to be true.").param("background")
        );
    }
    Ok(Turn {
        ask,
        prompt,
        stream: yes(body, "stream") || socket,
        store: store && context.voice == Voice::Responses,
        background,
        encrypted: items(body, "include")
            .iter()
            .any(|one| one.as_str() == Some("reasoning.encrypted_content")),
        summary: context.voice == Voice::RouterResponses
            || reasoning.get("summary").is_some_and(Value::is_string),
        warms: socket && body.get("generate") == Some(&Value::Bool(false)),
        history,
        conversation,
        input,
    })
}

/// `conversation`: an id, or an object with one.
fn conversation_id(body: &Value) -> Result<Option<String>, Problem> {
    let id = match body.get("conversation") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(id)) => id.as_str(),
        Some(object) => string(object, "id"),
    };
    if id.is_empty() {
        return Err(missing("conversation.id"));
    }
    if !string(body, "previous_response_id").is_empty() {
        return Err(Problem::bad(
            "Mutually exclusive parameters: Ensure you are only providing one of: 'previous_response_id' or 'conversation'.",
        )
        .code("mutually_exclusive_parameters"));
    }
    Ok(Some(id.to_owned()))
}

/// What came before: of the response that the WebSocket remembers, of a kept one, or of the conversation.
fn history(
    context: &Context<'_>,
    body: &Value,
    conversation: Option<&str>,
) -> Result<Vec<Value>, Problem> {
    let account = context.request.account();
    if let Some(id) = conversation {
        return held(&context.sim.conversations).history(account, id);
    }
    let previous = string(body, "previous_response_id");
    if previous.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(history) = context.lane.and_then(|lane| lane.history(previous)) {
        return Ok(history);
    }
    held(&context.sim.store).history(account, previous)
}

/// The input with each `item_reference` replaced by the item that it means.
fn resolved(context: &Context<'_>, input: Vec<Value>) -> Result<Vec<Value>, Problem> {
    let account = context.request.account();
    let mean = |item: Value| {
        let is_reference = string(&item, "type") == "item_reference"
            || (item.get("type").is_none_or(Value::is_null) && item.get("role").is_none());
        let id = string(&item, "id");
        if !is_reference || id.is_empty() {
            return Ok(item);
        }
        held(&context.sim.store)
            .item(account, id)
            .or_else(|| held(&context.sim.conversations).item(account, id))
            .or_else(|| context.lane.and_then(|lane| lane.item(id)))
            .ok_or_else(|| {
                Problem::new(404, format!("Item with id '{id}' not found.")).param("input")
            })
    };
    input.into_iter().map(mean).collect()
}

/// `input` as items: a string is a message of the user.
fn input(body: &Value, continues: bool) -> Result<Vec<Value>, Problem> {
    match body.get("input") {
        Some(Value::String(text)) => Ok(vec![serde_json::json!({
            "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }]
        })]),
        Some(Value::Array(items)) => Ok(items.clone()),
        None | Some(Value::Null) if continues || body.get("prompt").is_some() => Ok(Vec::new()),
        None | Some(Value::Null) => Err(missing("input")),
        Some(_) => Err(Problem::bad(
            "Invalid type for 'input': expected one of a string or array of input items.",
        )
        .code("invalid_type")
        .param("input")),
    }
}

/// Walks through the items: what is asked, what it costs, and whether calls and outputs belong together.
fn walk<'a>(
    all: impl Iterator<Item = &'a Value>,
    before: usize,
    ask: &mut Ask,
    prompt: &mut Prompt,
) -> Result<(), Problem> {
    let mut called: Vec<&str> = Vec::new();
    let mut answered: Vec<&str> = Vec::new();
    for (position, item) in all.enumerate() {
        let at = position.saturating_sub(before);
        let written = string(item, "type");
        // The type may be left out of a message.
        let kind = if written.is_empty() && item.get("role").is_some() {
            "message"
        } else {
            written
        };
        match kind {
            "message" => {
                let text = message(item, at, prompt)?;
                ask.results.clear();
                match string(item, "role") {
                    "user" => ask.hear(text),
                    "assistant" => ask.answered += usize::from(!text.is_empty()),
                    _ => {}
                }
            }
            "function_call" | "custom_tool_call" => {
                prompt.value(item);
                called.push(string(item, "call_id"));
                ask.results.clear();
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = string(item, "call_id");
                if !called.contains(&id) {
                    return Err(Problem::bad(format!(
                        "No tool call found for function call output with call_id {id}."
                    ))
                    .param("input"));
                }
                answered.push(id);
                let text = output(item.get("output").unwrap_or(&Value::Null));
                prompt.text(&text);
                ask.used += 1;
                ask.results.push(text);
            }
            "reasoning" | "compaction" | "compaction_summary" => {
                let sealed = string(item, "encrypted_content");
                if !sealed.is_empty() && !sign::genuine(MAKER, sealed, "") {
                    return Err(Problem::bad(
                        "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
                    )
                    .code("invalid_encrypted_content"));
                }
                prompt.value(item);
            }
            "" => return Err(missing(&format!("input[{at}].type"))),
            _ => prompt.value(item),
        }
    }
    match called.iter().find(|id| !answered.contains(id)) {
        Some(id) => Err(
            Problem::bad(format!("No tool output found for function call {id}.")).param("input"),
        ),
        None => Ok(()),
    }
}

/// Counts a message and gives back its text.
fn message(item: &Value, at: usize, prompt: &mut Prompt) -> Result<String, Problem> {
    let role = string(item, "role");
    if !["user", "assistant", "system", "developer"].contains(&role) {
        return Err(Problem::bad(format!(
            "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
        ))
        .code("invalid_value")
        .param(format!("input[{at}].role")));
    }
    let parts = match item.get("content") {
        Some(Value::String(text)) => {
            prompt.text(text);
            return Ok(text.clone());
        }
        Some(Value::Array(parts)) => parts,
        _ => return Err(missing(&format!("input[{at}].content"))),
    };
    let known: &[&str] = if role == "assistant" {
        &["output_text", "refusal"]
    } else {
        &["input_text", "input_image", "input_file", "input_audio"]
    };
    let mut texts: Vec<&str> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let kind = string(part, "type");
        if !known.contains(&kind) {
            let list = known
                .iter()
                .map(|one| format!("'{one}'"))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Problem::bad(format!(
                "Invalid value: '{kind}'. Supported values are: {list}."
            ))
            .code("invalid_value")
            .param(format!("input[{at}].content[{number}]")));
        }
        match kind {
            "input_text" | "output_text" => {
                prompt.text(string(part, "text"));
                texts.push(string(part, "text"));
            }
            "refusal" => prompt.text(string(part, "refusal")),
            _ => prompt.image(part),
        }
    }
    Ok(texts.join("\n"))
}

/// The text of a tool's output: a string, or parts of which the texts count.
fn output(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .map(|part| string(part, "text"))
                .filter(|text| !text.is_empty())
                .collect();
            texts.join(" ")
        }
        other => other.to_string(),
    }
}

/// The callable tools; the provider's own ones (search, shell …) are taken and never called.
fn tools(body: &Value, prompt: &mut Prompt) -> Result<Vec<Tool>, Problem> {
    let mut out = Vec::new();
    for (at, tool) in items(body, "tools").iter().enumerate() {
        prompt.value(tool);
        match string(tool, "type") {
            "function" => out.push(function_tool(tool, &format!("tools[{at}]"))?),
            "custom" => out.push(Tool {
                name: string(tool, "name").to_owned(),
                schema: Value::Null,
                custom: true,
            }),
            "" => return Err(missing(&format!("tools[{at}].type"))),
            _ => {}
        }
    }
    Ok(out)
}
