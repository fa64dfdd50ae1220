//! Reads a Chat Completions request as strictly as OpenAI does.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use serde_json::Value;

use super::answer::{Ask, Choice, Tool};
use super::cache::Prompt;
use super::exchange::{Context, Problem, Voice};
use super::json::{items, string, yes};
use super::{openrouter, route, schema};

/// A request, understood.
pub(super) struct Chat {
    pub(super) ask: Ask,
    pub(super) prompt: Prompt,
    pub(super) n: usize,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// Number of alternatives for each token, when log-probs were asked for.
    pub(super) logprobs: Option<usize>,
}

/// The model of a request in OpenAI's dialects.
pub(super) fn model(context: &Context<'_>, body: &Value) -> Result<String, Problem> {
    let model = string(body, "model");
    if model.is_empty() {
        return Err(Problem::bad("you must provide a model parameter"));
    }
    route::known_model(context, model)?;
    Ok(model.to_owned())
}

/// A parameter that must be there.
pub(super) fn missing(name: &str) -> Problem {
    Problem::bad(format!("Missing required parameter: '{name}'."))
        .code("missing_required_parameter")
        .param(name)
}

pub(super) fn read(context: &Context<'_>, body: &Value) -> Result<Chat, Problem> {
    let model = model(context, body)?;
    let messages = match body.get("messages") {
        None => return Err(missing("messages")),
        Some(Value::Array(messages)) if !messages.is_empty() => messages,
        Some(Value::Array(_)) => {
            return Err(Problem::bad("Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
                .code("empty_array")
                .param("messages"));
        }
        Some(_) => {
            return Err(
                Problem::bad("Invalid type for 'messages': expected an array of objects.")
                    .code("invalid_type")
                    .param("messages"),
            );
        }
    };
    parameters(context, body, &model)?;
    order(messages)?;
    let mut prompt = Prompt::default();
    let tools = tools(body, &mut prompt)?;
    let mut ask = Ask {
        model,
        tools,
        choice: choice(body, false)?,
        parallel: body
            .get("parallel_tool_calls")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        limit: limit(body, &["max_completion_tokens", "max_tokens"])?,
        stops: stops(body.get("stop")),
        schema: format(body.get("response_format"), true)?,
        ..Ask::default()
    };
    if matches!(ask.choice, Choice::Any | Choice::Named(_)) && ask.tools.is_empty() {
        return Err(Problem::bad("Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.").param("tool_choice"));
    }
    for (at, message) in messages.iter().enumerate() {
        let text = content(message, at, &mut prompt)?;
        match string(message, "role") {
            "user" => {
                ask.hear(text);
                ask.results.clear();
            }
            "tool" | "function" => {
                ask.used += 1;
                ask.results.push(text);
            }
            role => {
                ask.answered += usize::from(role == "assistant" && !text.is_empty());
                ask.results.clear();
            }
        }
    }
    ask.reasoning = match context.voice {
        Voice::OpenRouter => openrouter::reasons(body),
        _ => {
            let effort = string(body, "reasoning_effort");
            (!effort.is_empty() && effort != "none") || ask.model.starts_with("deepseek-reasoner")
        }
    };
    let stream = yes(body, "stream");
    Ok(Chat {
        ask,
        prompt,
        n: body
            .get("n")
            .and_then(Value::as_u64)
            .map_or(1, |n| usize::try_from(n.clamp(1, 128)).unwrap_or(1)),
        stream,
        include_usage: body
            .get("stream_options")
            .is_some_and(|options| yes(options, "include_usage")),
        logprobs: yes(body, "logprobs").then(|| {
            usize::try_from(
                body.get("top_logprobs")
                    .and_then(Value::as_u64)
                    .unwrap_or(0)
                    .min(20),
            )
            .unwrap_or(0)
        }),
    })
}

/// Parameters that exclude each other.
fn parameters(context: &Context<'_>, body: &Value, model: &str) -> Result<(), Problem> {
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    if given("stream_options") && !yes(body, "stream") {
        return Err(Problem::bad(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
        .param("stream_options"));
    }
    // The reasoning models count reasoning too, under another name.
    let reasons = ["gpt-5", "o1", "o3", "o4"]
        .iter()
        .any(|family| model.starts_with(family));
    if context.voice == Voice::OpenAi && reasons && given("max_tokens") {
        return Err(Problem::bad("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
            .code("unsupported_parameter")
            .param("max_tokens"));
    }
    Ok(())
}

/// Roles, and that calls and results belong together.
fn order(messages: &[Value]) -> Result<(), Problem> {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = string(message, "role");
        if ![
            "system",
            "developer",
            "user",
            "assistant",
            "tool",
            "function",
        ]
        .contains(&role)
        {
            return Err(Problem::bad(format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            ))
            .code("invalid_value")
            .param(format!("messages[{at}].role")));
        }
        if role == "tool" {
            let id = string(message, "tool_call_id");
            if id.is_empty() {
                return Err(Problem::bad(format!(
                    "Missing required parameter: 'messages[{at}].tool_call_id'."
                ))
                .code("missing_required_parameter")
                .param(format!("messages[{at}].tool_call_id")));
            }
            let Some(found) = open.iter().position(|one| *one == id) else {
                return Err(Problem::bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                )
                .param(format!("messages.[{at}].role")));
            };
            open.swap_remove(found);
            continue;
        }
        answered(&open, at)?;
        if role == "assistant" {
            let calls = items(message, "tool_calls");
            let content = message.get("content").unwrap_or(&Value::Null);
            let other = ["function_call", "refusal", "audio"]
                .iter()
                .any(|name| message.get(*name).is_some_and(|value| !value.is_null()));
            if content.is_null() && calls.is_empty() && !other {
                return Err(Problem::bad(
                    "Invalid value for 'content': expected a string, got null.",
                )
                .param(format!("messages.[{at}].content")));
            }
            open = calls.iter().map(|call| string(call, "id")).collect();
        }
    }
    answered(&open, messages.len())
}

fn answered(open: &[&str], at: usize) -> Result<(), Problem> {
    if open.is_empty() {
        return Ok(());
    }
    Err(Problem::bad(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
    .param(format!("messages.[{at}].role")))
}

/// Counts a message and gives back its text.
fn content(message: &Value, at: usize, prompt: &mut Prompt) -> Result<String, Problem> {
    let mut texts: Vec<&str> = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) => {
            prompt.text(text);
            texts.push(text);
        }
        Some(Value::Array(parts)) => {
            for (number, part) in parts.iter().enumerate() {
                match string(part, "type") {
                    "text" => {
                        prompt.text(string(part, "text"));
                        texts.push(string(part, "text"));
                    }
                    "refusal" => prompt.text(string(part, "refusal")),
                    "image_url" | "input_audio" | "file" | "video_url" => prompt.image(part),
                    other => {
                        return Err(Problem::bad(format!(
                            "Invalid value: '{other}'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'."
                        ))
                        .code("invalid_value")
                        .param(format!("messages[{at}].content[{number}].type")));
                    }
                }
            }
        }
        Some(Value::Null) | None => {}
        Some(_) => {
            return Err(Problem::bad(format!(
                "Invalid type for 'messages[{at}].content': expected one of a string or array of objects."
            ))
            .code("invalid_type")
            .param(format!("messages[{at}].content")));
        }
    }
    for call in items(message, "tool_calls") {
        prompt.value(call);
    }
    Ok(texts.join("\n"))
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<Vec<Tool>, Problem> {
    let mut out = Vec::new();
    for (at, tool) in items(body, "tools").iter().enumerate() {
        prompt.value(tool);
        match string(tool, "type") {
            "function" => {
                let function = tool.get("function").unwrap_or(&Value::Null);
                out.push(function_tool(function, &format!("tools[{at}].function"))?);
            }
            "custom" => {
                let name = tool
                    .get("custom")
                    .map(|custom| string(custom, "name"))
                    .unwrap_or_default();
                out.push(Tool {
                    name: name.to_owned(),
                    schema: Value::Null,
                    custom: true,
                });
            }
            // Server tools of OpenRouter and others: taken, never called.
            "" => return Err(missing(&format!("tools[{at}].type"))),
            _ => {}
        }
    }
    Ok(out)
}

/// One function: `name`, `parameters`, `strict`.
pub(super) fn function_tool(function: &Value, at: &str) -> Result<Tool, Problem> {
    let name = string(function, "name");
    if name.is_empty() {
        return Err(missing(&format!("{at}.name")));
    }
    if name.len() > 64
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        return Err(Problem::bad(format!(
            "Invalid '{at}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        ))
        .code("invalid_value")
        .param(format!("{at}.name")));
    }
    let parameters = function
        .get("parameters")
        .filter(|schema| !schema.is_null());
    if let Some(parameters) = parameters {
        let strict = yes(function, "strict");
        schema::check_openai(
            parameters,
            &format!("function '{name}'"),
            strict,
            "invalid_function_parameters",
        )
        .map_err(|problem| problem.param(format!("{at}.parameters")))?;
    }
    Ok(Tool {
        name: name.to_owned(),
        schema: parameters.cloned().unwrap_or(Value::Null),
        custom: false,
    })
}

/// `tool_choice` of Chat (named tools are nested) and of Responses (`flat`).
pub(super) fn choice(body: &Value, flat: bool) -> Result<Choice, Problem> {
    match body.get("tool_choice") {
        None | Some(Value::Null) => Ok(Choice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(Choice::Auto),
            "none" => Ok(Choice::None),
            "required" => Ok(Choice::Any),
            other => Err(Problem::bad(format!(
                "Invalid value: '{other}'. Supported values are: 'none', 'auto', and 'required'."
            ))
            .code("invalid_value")
            .param("tool_choice")),
        },
        Some(named) => {
            let kind = string(named, "type");
            let name = if flat {
                string(named, "name")
            } else {
                named
                    .get(kind)
                    .map(|tool| string(tool, "name"))
                    .unwrap_or_default()
            };
            match kind {
                "function" | "custom" if !name.is_empty() => Ok(Choice::Named(name.to_owned())),
                "function" | "custom" => Err(missing("tool_choice.name")),
                "allowed_tools" => {
                    let inner = if flat {
                        named
                    } else {
                        named.get(kind).unwrap_or(named)
                    };
                    Ok(if string(inner, "mode") == "required" {
                        Choice::Any
                    } else {
                        Choice::Auto
                    })
                }
                "" => Err(missing("tool_choice.type")),
                _ => Ok(Choice::Auto),
            }
        }
    }
}

/// A limit of tokens under the first of these names.
pub(super) fn limit(body: &Value, names: &[&str]) -> Result<Option<u64>, Problem> {
    for name in names {
        match body.get(*name) {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_u64() {
                Some(limit) if limit > 0 => return Ok(Some(limit)),
                _ => {
                    return Err(Problem::bad(format!(
                        "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
                    ))
                    .code("integer_below_min_value")
                    .param(*name));
                }
            },
        }
    }
    Ok(None)
}

/// One stop sequence or a list of them.
pub(super) fn stops(stop: Option<&Value>) -> Vec<String> {
    match stop {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// `response_format` of Chat (the schema is nested) and `text.format` of Responses.
pub(super) fn format(format: Option<&Value>, nested: bool) -> Result<Option<Value>, Problem> {
    let Some(format) = format.filter(|format| !format.is_null()) else {
        return Ok(None);
    };
    match string(format, "type") {
        "text" => Ok(None),
        "json_object" => Ok(Some(serde_json::json!({
            "type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}
        }))),
        "json_schema" => {
            let (inner, path) = if nested {
                (format.get("json_schema").unwrap_or(&Value::Null), "response_format.json_schema")
            } else {
                (format, "text.format")
            };
            let name = string(inner, "name");
            if name.is_empty() {
                return Err(missing(&format!("{path}.name")));
            }
            let Some(wanted) = inner.get("schema").filter(|schema| schema.is_object()) else {
                return Err(missing(&format!("{path}.schema")));
            };
            schema::check_openai(wanted, &format!("response_format '{name}'"), yes(inner, "strict"), "invalid_json_schema")
                .map_err(|problem| problem.param(path))?;
            Ok(Some(wanted.clone()))
        }
        other => Err(Problem::bad(format!(
            "Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        ))
        .code("invalid_value")
        .param("response_format.type")),
    }
}
