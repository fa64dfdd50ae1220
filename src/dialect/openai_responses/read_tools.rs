//! Reads tools, and which of them may or must be called.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::names::flat;
use super::read_request::inner;
use crate::base::Fault;
use crate::chat::{Function, Hosted, Json, Loss, Text, Tool, ToolChoice};
use crate::dialect::openai::read::{missing, unknown, with_grammar, wrong};
use crate::wire::read::{Lenient, Str, object};

object! {
    struct ToolWritten<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "parameters" => parameters: &'a RawValue,
        "strict" => strict: bool,
        "format" => format: &'a RawValue,
        "tools" => tools: Vec<&'a RawValue>,
        "filters" => filters: &'a RawValue,
        "container" => container: &'a RawValue,
    }
}

object! {
    struct Grammar<'a> {
        "syntax" => syntax: Str<'a>,
        "definition" => definition: Str<'a>,
    }
}

object! {
    struct Filters<'a> {
        "allowed_domains" => allowed: Vec<Str<'a>>,
        "blocked_domains" => blocked: Vec<Str<'a>>,
    }
}

object! {
    struct Container<'a> {
        "type" | "memory_limit" | "network_policy" => skip: IgnoredAny,
        "file_ids" => files: Vec<Str<'a>>,
    }
}

object! {
    struct Choice<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "namespace" => namespace: Str<'a>,
        "mode" => mode: Str<'a>,
        "tools" => tools: Vec<Choice<'a>>,
        // Chat's spelling.
        "function" | "custom" => inner: Lenient<Named<'a>>,
    }
}

object! {
    struct Named<'a> {
        "name" => name: Str<'a>,
    }
}

/// Reads a tool; a namespace holds several.
pub(super) fn tool<'a>(
    raw: &'a RawValue,
    path: &str,
    losses: &mut Vec<Loss>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<(), Fault> {
    let written: ToolWritten<'a> = inner(raw, path)?;
    if written.kind.as_deref() == Some("namespace") {
        let Some(Str(space)) = written.name else {
            return Err(missing(
                format!("{path}.name"),
                "the name of the namespace is expected.",
            ));
        };
        // What its tools have in common is said once, with the first.
        let about = written.description.as_deref().unwrap_or_default();
        for (at, raw) in written.tools.into_iter().flatten().enumerate() {
            let path = format!("{path}.tools[{at}]");
            let one: ToolWritten<'a> = inner(raw, &path)?;
            let first = tools.len();
            declared(one, &path, losses, tools)?;
            for tool in tools.iter_mut().skip(first) {
                if let Tool::Function(function) = tool {
                    function.name = flat(Some(&space), std::mem::take(&mut function.name));
                    if at == 0 && !about.is_empty() {
                        let own = function.description.take().unwrap_or_default();
                        let gap = if own.is_empty() { "" } else { "\n\n" };
                        function.description =
                            Some(Text::Owned(format!("{own}{gap}({space}: {about})")));
                    }
                }
            }
        }
        return Ok(());
    }
    declared(written, path, losses, tools)
}

fn declared<'a>(
    written: ToolWritten<'a>,
    path: &str,
    losses: &mut Vec<Loss>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<(), Fault> {
    let Some(Str(kind)) = written.kind.clone() else {
        return Err(missing(
            format!("{path}.type"),
            "the kind of the tool is expected.",
        ));
    };
    match &*kind {
        "function" | "custom" => {
            tools.push(Tool::Function(function(written, &kind, path, losses)?));
        }
        "tool_search" => {
            // It only finds tools that are offered anyway.
            losses.push(Loss::cosmetic(path.to_owned()));
        }
        "code_interpreter" => {
            code_interpreter(&written, path, losses);
            tools.push(hosted(Hosted::CodeExecution, kind));
        }
        _ if kind.starts_with("web_search") => {
            unknown(&format!("{path}."), &written.unknown, losses);
            let filters: Filters<'a> = match written.filters {
                Some(raw) => inner(raw, &format!("{path}.filters"))?,
                None => Filters::default(),
            };
            unknown(&format!("{path}.filters."), &filters.unknown, losses);
            let domains = |written: Option<Vec<Str<'a>>>| -> Vec<Text<'a>> {
                written
                    .into_iter()
                    .flatten()
                    .map(|Str(text)| text)
                    .collect()
            };
            tools.push(Tool::Hosted {
                kind: Hosted::WebSearch,
                name: kind,
                allowed_domains: domains(filters.allowed),
                blocked_domains: domains(filters.blocked),
                max_uses: None,
            });
        }
        _ => tools.push(hosted(Hosted::Other, kind)),
    }
    Ok(())
}

fn hosted(kind: Hosted, name: Text<'_>) -> Tool<'_> {
    Tool::Hosted {
        kind,
        name,
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
    }
}

fn code_interpreter(written: &ToolWritten<'_>, path: &str, losses: &mut Vec<Loss>) {
    let Some(raw) = written.container else { return };
    let holds_files = serde_json::from_str::<Container<'_>>(raw.get()).map_or(true, |container| {
        container.files.is_some_and(|files| !files.is_empty())
    });
    if holds_files {
        losses.push(Loss::meaning(
            format!("{path}.container"),
            "the container and its files are at OpenAI, where other providers cannot reach them; use {\"type\":\"auto\"}.",
        ));
    }
}

fn function<'a>(
    written: ToolWritten<'a>,
    kind: &str,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Function<'a>, Fault> {
    unknown(&format!("{path}."), &written.unknown, losses);
    let Some(Str(name)) = written.name.filter(|name| !name.is_empty()) else {
        return Err(missing(
            format!("{path}.name"),
            "the name of the tool is expected.",
        ));
    };
    let custom = kind == "custom";
    let mut description = written.description.map(|Str(text)| text);
    let grammar = written
        .format
        .and_then(|raw| serde_json::from_str::<Grammar<'a>>(raw.get()).ok())
        .and_then(|grammar| Some((grammar.syntax?, grammar.definition?)));
    if let Some((Str(syntax), Str(definition))) = grammar {
        losses.push(Loss::cosmetic(format!("{path}.format")));
        description = with_grammar(description, &syntax, &definition);
    }
    Ok(Function {
        name,
        description,
        parameters: written.parameters.filter(|_| !custom).map(Json::Borrowed),
        strict: written.strict,
        custom,
        cache: None,
    })
}

impl<'a> Choice<'a> {
    fn name(self) -> Option<Text<'a>> {
        let inner = self
            .inner
            .and_then(|inner| inner.0)
            .and_then(|inner| inner.name);
        let Str(name) = self.name.or(inner)?;
        Some(flat(self.namespace.as_deref(), name))
    }
}

/// `None`: it cannot be said, and is told so.
pub(super) fn choice<'a>(
    raw: &'a RawValue,
    tools: &[Tool<'a>],
    losses: &mut Vec<Loss>,
) -> Result<Option<ToolChoice<'a>>, Fault> {
    const WORDS: &str = "'auto', 'none', 'required' or an object that names a tool is expected.";
    if raw.get().starts_with('"') {
        return match inner::<Str<'a>>(raw, "tool_choice")?.0.as_ref() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong("tool_choice", WORDS)),
        };
    }
    let choice: Choice<'a> = inner(raw, "tool_choice")?;
    match choice.kind.as_deref() {
        Some("function" | "custom") => match choice.name() {
            Some(name) => Ok(Some(ToolChoice::Named(name))),
            None => Err(missing(
                "tool_choice.name",
                "the name of a tool is expected.",
            )),
        },
        Some("allowed_tools") => {
            let required = choice.mode.as_deref() == Some("required");
            let names = choice
                .tools
                .into_iter()
                .flatten()
                .filter_map(|tool| {
                    // A hosted one has its kind only.
                    let kind = tool.kind.clone().map(|Str(kind)| kind);
                    tool.name().or(kind)
                })
                .collect();
            Ok(Some(ToolChoice::Allowed { names, required }))
        }
        Some(kind) => {
            let is_it = |tool: &Tool<'_>| matches!(tool, Tool::Hosted { name, .. } if name == kind);
            if tools.iter().any(is_it) {
                return Ok(Some(match tools {
                    [_] => ToolChoice::Required,
                    _ => ToolChoice::Named(Text::Owned(kind.to_owned())),
                }));
            }
            losses.push(Loss::meaning(
                "tool_choice",
                format!("it demands '{kind}', which is none of the tools that are offered; use 'auto', or offer that tool alone with 'required'."),
            ));
            Ok(None)
        }
        None => Err(wrong("tool_choice", WORDS)),
    }
}

#[cfg(test)]
mod tests;
