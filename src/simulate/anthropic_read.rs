//! Reads a Messages request as strictly as Anthropic does.
//! <https://docs.anthropic.com/en/api/messages>

mod turns;

use serde_json::Value;

use super::answer::{Ask, Choice, Tool};
use super::cache::{Life, Prompt};
use super::exchange::{Context, Problem};
use super::json::{items, string, yes};
use super::{route, schema};

use turns::{conversation, thinks_first};

/// Who signs thinking here.
pub(super) const MAKER: &str = "anthropic";

/// The fields of a request; any other is refused.
const FIELDS: [&str; 22] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "tools",
    "tool_choice",
    "thinking",
    "service_tier",
    "container",
    "context_management",
    "mcp_servers",
    "output_config",
    "output_format",
    "cache_control",
    "inference_geo",
    "speed",
];

/// The content blocks that a request may hold.
const BLOCKS: [&str; 20] = [
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
    "tool_search_tool_result",
    "tool_reference",
];

/// The most blocks that may have a `cache_control`.
const MOST_MARKS: usize = 4;

/// A request, understood.
pub(super) struct Message {
    pub(super) ask: Ask,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
}

/// Reads the body of `/v1/messages`; when only tokens are counted, `max_tokens` may be missing.
pub(super) fn read(
    context: &Context<'_>,
    body: &Value,
    counting: bool,
) -> Result<Message, Problem> {
    for name in body
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys())
    {
        if name == "thread" {
            // An organization without threads: clients then send the whole conversation.
            return Err(
                Problem::bad("thread: Threads are not available to this organization")
                    .code("thread_unsupported_request"),
            );
        }
        if !FIELDS.contains(&name.as_str()) {
            return Err(Problem::bad(format!(
                "{name}: Extra inputs are not permitted"
            )));
        }
    }
    // A beta's field is only known to those who send the beta's name.
    let betas = context.request.header("anthropic-beta").unwrap_or_default();
    if body.get("context_management").is_some()
        && !betas.contains("context-management")
        && !betas.contains("compact")
    {
        return Err(Problem::bad(
            "context_management: Extra inputs are not permitted",
        ));
    }
    let model = string(body, "model");
    if model.is_empty() {
        return Err(Problem::bad("model: Field required"));
    }
    let limit = match body.get("max_tokens") {
        None | Some(Value::Null) if counting => None,
        None | Some(Value::Null) => return Err(Problem::bad("max_tokens: Field required")),
        Some(value) => match value.as_u64() {
            Some(limit) if limit > 0 => Some(limit),
            _ => {
                return Err(Problem::bad(
                    "max_tokens: Input should be greater than or equal to 1",
                ));
            }
        },
    };
    let messages = match body.get("messages") {
        None => return Err(Problem::bad("messages: Field required")),
        Some(Value::Array(messages)) if messages.is_empty() => {
            return Err(Problem::bad("messages: at least one message is required"));
        }
        Some(Value::Array(messages)) => messages,
        Some(_) => return Err(Problem::bad("messages: Input should be a valid list")),
    };
    route::known_model(context, model)?;
    if body
        .get("temperature")
        .and_then(Value::as_f64)
        .is_some_and(|value| !(0.0..=1.0).contains(&value))
    {
        return Err(Problem::bad("temperature: range: 0..1"));
    }
    let mut prompt = Prompt::default();
    let tools = tools(body, &mut prompt)?;
    let choice = choice(body, !items(body, "tools").is_empty())?;
    let reasoning = thinking(body, limit, &choice)?;
    system(body, &mut prompt)?;
    let mut ask = Ask {
        model: model.to_owned(),
        tools,
        choice,
        parallel: !body
            .get("tool_choice")
            .is_some_and(|choice| yes(choice, "disable_parallel_tool_use")),
        limit,
        stops: items(body, "stop_sequences")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        schema: structured(body)?,
        reasoning,
        ..Ask::default()
    };
    conversation(messages, &mut ask, &mut prompt)?;
    if string(body.get("thinking").unwrap_or(&Value::Null), "type") == "enabled" {
        thinks_first(messages)?;
    }
    if let Some(mark) = body.get("cache_control").filter(|mark| !mark.is_null()) {
        prompt.mark(Life::read(mark));
    }
    let marks = marks(body);
    if marks > MOST_MARKS {
        return Err(Problem::bad(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {marks}."
        )));
    }
    Ok(Message {
        ask,
        prompt,
        stream: yes(body, "stream"),
    })
}

/// How many `cache_control`s there are on tools and blocks, however deep.
fn marks(value: &Value) -> usize {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, inner)| match name.as_str() {
                // What a tool is given or declares is the client's own text.
                "input" | "input_schema" => 0,
                "cache_control" => usize::from(!inner.is_null()),
                _ => marks(inner),
            })
            .sum(),
        Value::Array(items) => items.iter().map(marks).sum(),
        _ => 0,
    }
}

fn mark(prompt: &mut Prompt, block: &Value) {
    if let Some(mark) = block.get("cache_control").filter(|mark| !mark.is_null()) {
        prompt.mark(Life::read(mark));
    }
}

fn named_well(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<Vec<Tool>, Problem> {
    let mut out: Vec<Tool> = Vec::new();
    for (at, tool) in items(body, "tools").iter().enumerate() {
        prompt.value(tool);
        mark(prompt, tool);
        let kind = string(tool, "type");
        if !kind.is_empty() && kind != "custom" {
            // A tool that the provider runs itself.
            continue;
        }
        let name = string(tool, "name");
        if name.is_empty() {
            return Err(Problem::bad(format!(
                "tools.{at}.custom.name: Field required"
            )));
        }
        if !named_well(name) || name.len() > 128 {
            return Err(Problem::bad(format!(
                "tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )));
        }
        if out.iter().any(|one| one.name == name) {
            return Err(Problem::bad("tools: Tool names must be unique."));
        }
        let input = tool.get("input_schema");
        schema::check_anthropic(input, &format!("tools.{at}.custom.input_schema"))?;
        out.push(Tool {
            name: name.to_owned(),
            schema: input.cloned().unwrap_or(Value::Null),
            custom: false,
        });
    }
    Ok(out)
}

fn choice(body: &Value, offered: bool) -> Result<Choice, Problem> {
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(Choice::Auto);
    };
    if !offered {
        return Err(Problem::bad(
            "tool_choice: tool_choice may only be specified while providing tools",
        ));
    }
    match string(choice, "type") {
        "auto" => Ok(Choice::Auto),
        "none" => Ok(Choice::None),
        "any" => Ok(Choice::Any),
        "tool" if string(choice, "name").is_empty() => {
            Err(Problem::bad("tool_choice.tool.name: Field required"))
        }
        "tool" => Ok(Choice::Named(string(choice, "name").to_owned())),
        other => Err(Problem::bad(format!(
            "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
        ))),
    }
}

/// Whether to think. <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>
fn thinking(body: &Value, limit: Option<u64>, choice: &Choice) -> Result<bool, Problem> {
    let Some(thinking) = body.get("thinking").filter(|thinking| !thinking.is_null()) else {
        return Ok(false);
    };
    match string(thinking, "type") {
        "disabled" => return Ok(false),
        "adaptive" => {}
        "enabled" => match thinking.get("budget_tokens").and_then(Value::as_u64) {
            None => {
                return Err(Problem::bad(
                    "thinking.enabled.budget_tokens: Field required",
                ));
            }
            Some(budget) if budget < 1024 => {
                return Err(Problem::bad(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                ));
            }
            Some(budget) if limit.is_some_and(|limit| limit <= budget) => {
                return Err(Problem::bad(
                    "`max_tokens` must be greater than `thinking.budget_tokens`.",
                ));
            }
            Some(_) => {}
        },
        other => {
            return Err(Problem::bad(format!(
                "thinking: Input tag '{other}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'"
            )));
        }
    }
    if matches!(choice, Choice::Any | Choice::Named(_)) {
        return Err(Problem::bad(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    if body
        .get("temperature")
        .and_then(Value::as_f64)
        .is_some_and(|value| (value - 1.0).abs() > f64::EPSILON)
    {
        return Err(Problem::bad(
            "`temperature` may only be set to 1 when thinking is enabled.",
        ));
    }
    Ok(true)
}

fn structured(body: &Value) -> Result<Option<Value>, Problem> {
    let format = body
        .get("output_config")
        .and_then(|config| config.get("format"))
        .or_else(|| body.get("output_format"));
    let Some(format) = format.filter(|format| !format.is_null()) else {
        return Ok(None);
    };
    match format.get("schema").filter(|schema| schema.is_object()) {
        Some(wanted) => Ok(Some(wanted.clone())),
        None => Err(Problem::bad("output_config.format.schema: Field required")),
    }
}

fn system(body: &Value, prompt: &mut Prompt) -> Result<(), Problem> {
    match body.get("system") {
        Some(Value::String(text)) if !text.is_empty() => prompt.text(text),
        Some(Value::Array(blocks)) => {
            for (at, block) in blocks.iter().enumerate() {
                if string(block, "type") != "text" {
                    return Err(Problem::bad(format!(
                        "system.{at}.type: Input should be 'text'"
                    )));
                }
                non_empty(string(block, "text"), "system")?;
                prompt.text(string(block, "text"));
                mark(prompt, block);
            }
        }
        Some(Value::String(_) | Value::Null) | None => {}
        Some(_) => {
            return Err(Problem::bad(
                "system: Input should be a valid string or a valid list",
            ));
        }
    }
    Ok(())
}

fn non_empty(text: &str, place: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::bad(format!(
            "{place}: text content blocks must be non-empty"
        )));
    }
    if text.trim().is_empty() {
        return Err(Problem::bad(format!(
            "{place}: text content blocks must contain non-whitespace text"
        )));
    }
    Ok(())
}
