//! A client's Messages request, read into the canonical form (<https://docs.anthropic.com/en/api/messages>).

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::{
    CacheControl, Format as WrittenFormat, Message, OutputConfig, Thinking as WrittenThinking,
};
use super::{NO_THREADS, read_tools, read_turns};
use crate::base::{Fault, FaultKind};
use crate::chat::{CacheMark, Depth, Effort, Format, Json, Loss, Request, ServiceTier, Thinking};
use crate::wire::read::whole;

/// Where something stands in the request; written out only when it must be told.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Top(&'p str),
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

impl Path<'_> {
    pub(super) fn lost(&self, losses: &mut Vec<Loss>) {
        losses.push(Loss::cosmetic(self.to_string()));
    }

    /// Fields that nobody knows, one loss each.
    pub(super) fn lost_fields<S: AsRef<str>>(&self, names: &[S], losses: &mut Vec<Loss>) {
        for name in names {
            Path::Field(self, name.as_ref()).lost(losses);
        }
    }

    pub(super) fn wrong(&self, what: &str) -> Fault {
        wrong(self.to_string(), what)
    }

    /// Reads what was left raw until its kind was known.
    pub(super) fn read<'a, T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Fault> {
        whole(raw.get().as_bytes()).map_err(|(inner, what)| {
            let path = match inner.as_str() {
                "" | "." => self.to_string(),
                inner if inner.starts_with('[') => format!("{self}{inner}"),
                inner => format!("{self}.{inner}"),
            };
            wrong(path, &what)
        })
    }
}

fn wrong(path: String, what: &str) -> Fault {
    Fault::new(
        FaultKind::InvalidRequest,
        format!("'{path}' is wrong: {what}."),
    )
    .param(path)
}

pub(super) fn missing(path: impl Into<String>) -> Fault {
    let path = path.into();
    Fault::new(
        FaultKind::InvalidRequest,
        format!("'{path}' is missing: the Messages API requires it."),
    )
    .param(path)
}

/// Reads a request for an answer.
pub fn read_request(body: &[u8]) -> Result<Request<'_>, Fault> {
    let request = read_count_request(body)?;
    if request.max_tokens.is_none() {
        return Err(missing("max_tokens"));
    }
    Ok(request)
}

/// Reads a request for a count of tokens: the same, but that `max_tokens` may be missing.
pub fn read_count_request(body: &[u8]) -> Result<Request<'_>, Fault> {
    let message: Message<'_> = whole(body).map_err(|(path, what)| wrong(path, &what))?;
    if message.thread.is_some() {
        // Clients that meet this word send the whole conversation instead.
        return Err(Fault::new(
            FaultKind::UnsupportedParameter,
            format!("{NO_THREADS}: 'thread' is not supported for this model; send the whole conversation in 'messages'."),
        )
        .param("thread"));
    }
    let mut losses = Vec::new();
    for name in &message.unknown {
        losses.push(Loss::cosmetic(name.to_string()));
    }
    if message
        .mcp_servers
        .is_some_and(|servers| !servers.is_empty())
    {
        losses.push(Loss::meaning(
            "mcp_servers",
            "only Anthropic connects to MCP servers itself; connect to them in your client and send their tools in 'tools'.",
        ));
    }
    let mut request = Request {
        max_tokens: message.max_tokens.map(|count| count.0),
        temperature: number("temperature", message.temperature)?,
        top_p: number("top_p", message.top_p)?,
        top_k: number("top_k", message.top_k)?,
        stop: message
            .stop_sequences
            .into_iter()
            .flatten()
            .map(|stop| stop.0)
            .collect(),
        cache: message.cache_control.as_ref().map(cache_mark),
        stream: message.stream.unwrap_or(false),
        ..Request::default()
    };
    if let Some(system) = message.system {
        request
            .turns
            .extend(read_turns::system(system, &mut losses)?);
    }
    let Some(turns) = message.messages else {
        return Err(missing("messages"));
    };
    if turns.is_empty() {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "'messages' is empty: at least one message is required.",
        )
        .param("messages"));
    }
    for (at, turn) in turns.into_iter().enumerate() {
        let path = Path::Item(&Path::Top("messages"), at);
        request
            .turns
            .extend(read_turns::turn(turn, &path, &mut losses)?);
    }
    for (at, tool) in message.tools.into_iter().flatten().enumerate() {
        let path = Path::Item(&Path::Top("tools"), at);
        request
            .tools
            .extend(read_tools::tool(tool, &path, &mut losses)?);
    }
    if let Some(choice) = message.tool_choice {
        let (choice, parallel) = read_tools::choice(choice)?;
        request.tool_choice = Some(choice);
        request.parallel_tools = parallel;
    }
    request.thinking = thinking(
        message.thinking,
        message.output_config.as_ref(),
        &mut losses,
    )?;
    if let Some(config) = &message.output_config {
        Path::Top("output_config").lost_fields(&config.unknown, &mut losses);
    }
    let written = message
        .output_config
        .and_then(|config| config.format)
        .map(|format| ("output_config.format", format))
        .or(message
            .output_format
            .map(|format| ("output_format", format)));
    if let Some((path, written)) = written {
        request.format = Some(format(path, &written)?);
    }
    if let Some(metadata) = message.metadata {
        request.user = metadata.user_id.map(|id| id.0);
        Path::Top("metadata").lost_fields(&metadata.unknown, &mut losses);
    }
    request.service_tier = match message.service_tier.as_deref() {
        None => None,
        Some("auto") => Some(ServiceTier::Auto),
        Some("standard_only") => Some(ServiceTier::Standard),
        Some(_) => {
            losses.push(Loss::cosmetic("service_tier"));
            None
        }
    };
    request.losses = losses;
    Ok(request)
}

fn number<'a>(name: &'static str, raw: Option<&'a RawValue>) -> Result<Option<Json<'a>>, Fault> {
    match raw {
        Some(raw)
            if !raw
                .get()
                .starts_with(|c: char| c == '-' || c.is_ascii_digit()) =>
        {
            Err(Path::Top(name).wrong("it must be a number"))
        }
        raw => Ok(raw.map(Json::Borrowed)),
    }
}

pub(super) fn cache_mark(written: &CacheControl<'_>) -> CacheMark {
    match written.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some(_) | None => CacheMark::FiveMinutes,
    }
}

/// <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking> and `effort` beside it.
fn thinking(
    written: Option<WrittenThinking<'_>>,
    config: Option<&OutputConfig<'_>>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Thinking>, Fault> {
    let effort = match config.and_then(|config| config.effort.as_deref()) {
        None => None,
        Some("low") => Some(Effort::Low),
        Some("medium") => Some(Effort::Medium),
        Some("high") => Some(Effort::High),
        Some("xhigh") => Some(Effort::XHigh),
        Some("max") => Some(Effort::Max),
        Some(_) => {
            losses.push(Loss::cosmetic("output_config.effort"));
            None
        }
    };
    let Some(written) = written else {
        return Ok(effort.map(|effort| Thinking {
            depth: Some(Depth::Effort(effort)),
            show: None,
        }));
    };
    Path::Top("thinking").lost_fields(&written.unknown, losses);
    let depth = match written.kind.as_deref() {
        Some("disabled") => Depth::Off,
        Some("adaptive") => effort.map_or(Depth::Dynamic, Depth::Effort),
        Some("enabled") => match written.budget_tokens {
            Some(budget) => Depth::Budget(budget.0),
            None => return Err(missing("thinking.budget_tokens")),
        },
        Some(other) => {
            return Err(Path::Top("thinking.type").wrong(&format!(
                "'{other}' is none of 'adaptive', 'disabled' and 'enabled'"
            )));
        }
        None => return Err(missing("thinking.type")),
    };
    if effort.is_some() && !matches!(depth, Depth::Effort(_)) {
        losses.push(Loss::cosmetic("output_config.effort"));
    }
    let show = match (written.display.as_deref(), depth) {
        (_, Depth::Off) => None,
        (Some("omitted"), _) => Some(false),
        // The protocol's default.
        (Some(_) | None, _) => Some(true),
    };
    Ok(Some(Thinking {
        depth: Some(depth),
        show,
    }))
}

/// <https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs>
fn format<'a>(path: &'static str, written: &WrittenFormat<'a>) -> Result<Format<'a>, Fault> {
    match (written.kind.as_deref(), written.schema) {
        (Some("json_schema") | None, Some(schema)) if schema.get().starts_with('{') => {
            Ok(Format::JsonSchema {
                name: None,
                description: None,
                schema: Json::Borrowed(schema),
                strict: None,
            })
        }
        (Some("json_schema") | None, _) => Err(missing(format!("{path}.schema"))),
        (Some("text"), _) => Ok(Format::Text),
        (Some(other), _) => {
            Err(Path::Field(&Path::Top(path), "type")
                .wrong(&format!("'{other}' is not 'json_schema'")))
        }
    }
}

#[cfg(test)]
mod tests;
