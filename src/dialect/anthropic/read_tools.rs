//! Tools and their choice.

use super::form::{Tool as WrittenTool, ToolChoice as WrittenChoice};
use super::read_request::{Path, cache_mark, missing};
use crate::base::Fault;
use crate::chat::{Function, Hosted, Json, Loss, Text, Tool, ToolChoice};
use crate::wire::read::Str;

pub(super) fn tool<'a>(
    written: WrittenTool<'a>,
    at: &Path<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Tool<'a>>, Fault> {
    at.lost_fields(&written.unknown, losses);
    for (is_lost, name) in [
        // All tools are shown at once instead.
        (written.defer_loading == Some(true), "defer_loading"),
        (
            written.eager_input_streaming == Some(true),
            "eager_input_streaming",
        ),
        (written.input_examples.is_some(), "input_examples"),
        (written.user_location.is_some(), "user_location"),
        (
            written
                .allowed_callers
                .as_ref()
                .is_some_and(|callers| callers.iter().any(|caller| &**caller != "direct")),
            "allowed_callers",
        ),
    ] {
        if is_lost {
            Path::Field(at, name).lost(losses);
        }
    }
    let cache = written.cache_control.as_ref().map(cache_mark);
    let kind = match written.kind {
        Some(Str(kind)) if kind != "custom" => kind,
        Some(_) | None => {
            let Some(Str(name)) = written.name else {
                return Err(missing(format!("{at}.name")));
            };
            return Ok(Some(Tool::Function(Function {
                name,
                description: written.description.map(|text| text.0),
                parameters: written.input_schema.map(Json::Borrowed),
                strict: written.strict,
                custom: false,
                cache,
            })));
        }
    };
    // It finds tools whose loading was deferred; for others all of them are there from the start.
    if kind.starts_with("tool_search_tool_") {
        at.lost(losses);
        return Ok(None);
    }
    if cache.is_some() {
        Path::Field(at, "cache_control").lost(losses);
    }
    let texts = |all: Option<Vec<Str<'a>>>| -> Vec<Text<'a>> {
        all.into_iter().flatten().map(|text| text.0).collect()
    };
    Ok(Some(Tool::Hosted {
        kind: hosted(&kind),
        name: kind,
        allowed_domains: texts(written.allowed_domains),
        blocked_domains: texts(written.blocked_domains),
        max_uses: written.max_uses.map(|count| count.0),
    }))
}

/// Kinds have dates behind them. Those that run at the client's (`bash_…`, `text_editor_…`, `computer_…`, `memory_…`) have
/// no schema, because Anthropic's models know them by heart: to any other model they mean nothing.
fn hosted(kind: &str) -> Hosted {
    let is = |name: &str| {
        kind.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('_'))
    };
    if is("web_search") {
        Hosted::WebSearch
    } else if is("web_fetch") {
        Hosted::WebFetch
    } else if is("code_execution") {
        Hosted::CodeExecution
    } else {
        Hosted::Other
    }
}

/// The choice, and whether several calls at once are allowed.
pub(super) fn choice(written: WrittenChoice<'_>) -> Result<(ToolChoice<'_>, Option<bool>), Fault> {
    let choice = match written.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => match written.name {
            Some(name) => ToolChoice::Named(name.0),
            None => return Err(missing("tool_choice.name")),
        },
        Some(other) => {
            return Err(Path::Top("tool_choice.type").wrong(&format!(
                "'{other}' is none of 'auto', 'any', 'tool' and 'none'"
            )));
        }
        None => return Err(missing("tool_choice.type")),
    };
    Ok((
        choice,
        (written.one_at_a_time == Some(true)).then_some(false),
    ))
}
