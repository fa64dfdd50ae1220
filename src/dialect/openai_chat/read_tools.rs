//! Reads tools, and which of them may or must be called.

use serde_json::value::RawValue;

use super::read_request::Plugin;
use super::read_turns::{CacheWritten, mark};
use crate::base::Fault;
use crate::chat::{Function, Hosted, Json, Loss, Text, Tool, ToolChoice};
use crate::dialect::openai::read::{unknown, with_grammar, wrong};
use crate::wire::read::{Count, Str, object};

object! {
    pub(super) struct ToolWritten<'a> {
        "type" => kind: Str<'a>,
        "function" => function: FunctionWritten<'a>,
        "custom" => custom: CustomWritten<'a>,
        "cache_control" => cache_control: CacheWritten<'a>,
        // Of OpenRouter's own tools.
        "parameters" => parameters: SearchWritten<'a>,
        "allowed_domains" => allowed: Vec<Str<'a>>,
        "excluded_domains" | "blocked_domains" => blocked: Vec<Str<'a>>,
        "max_uses" => max_uses: Count,
    }
}

object! {
    pub(super) struct SearchWritten<'a> {
        "allowed_domains" => allowed: Vec<Str<'a>>,
        "excluded_domains" | "blocked_domains" => blocked: Vec<Str<'a>>,
        "max_uses" => max_uses: Count,
    }
}

object! {
    pub(super) struct FunctionWritten<'a> {
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "parameters" => parameters: &'a RawValue,
        "strict" => strict: bool,
        "cache_control" => cache_control: CacheWritten<'a>,
    }
}

object! {
    pub(super) struct CustomWritten<'a> {
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "format" => format: FormatWritten<'a>,
    }
}

object! {
    pub(super) struct FormatWritten<'a> {
        "type" => kind: Str<'a>,
        "grammar" => grammar: Grammar<'a>,
    }
}

object! {
    pub(super) struct Grammar<'a> {
        "syntax" => syntax: Str<'a>,
        "definition" => definition: Str<'a>,
    }
}

object! {
    struct Choice<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "mode" => mode: Str<'a>,
        "function" | "custom" => named: Named<'a>,
        "allowed_tools" => allowed: Allowed<'a>,
        "tools" => tools: Vec<Choice<'a>>,
    }
}

object! {
    struct Named<'a> {
        "name" => name: Str<'a>,
    }
}

object! {
    struct Allowed<'a> {
        "mode" => mode: Str<'a>,
        "tools" => tools: Vec<Choice<'a>>,
    }
}

fn texts(all: Option<Vec<Str<'_>>>) -> Vec<Text<'_>> {
    all.into_iter().flatten().map(|Str(text)| text).collect()
}

pub(super) fn web_search(name: &'static str) -> Tool<'static> {
    Tool::Hosted {
        kind: Hosted::WebSearch,
        name: Text::Borrowed(name),
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
    }
}

pub(super) fn tool<'a>(
    written: ToolWritten<'a>,
    at: usize,
    losses: &mut Vec<Loss>,
) -> Result<Tool<'a>, Fault> {
    let path = format!("tools[{at}]");
    unknown(&format!("{path}."), &written.unknown, losses);
    let kind = match (&written.kind, &written.function) {
        (Some(kind), _) => kind.0.clone(),
        (None, Some(_)) => Text::Borrowed("function"),
        (None, None) => {
            return Err(wrong(
                format!("{path}.type"),
                "'function' or 'custom' is expected.",
            ));
        }
    };
    let cache = written.cache_control.as_ref().and_then(mark);
    match &*kind {
        "function" => {
            let function_written = written.function.unwrap_or_default();
            let mut tool = function(function_written, &format!("{path}.function"), losses)?;
            if let Tool::Function(f) = &mut tool {
                f.cache = f.cache.or(cache);
            }
            Ok(tool)
        }
        "custom" => custom(written.custom.unwrap_or_default(), &path, losses)
            .map(|f| Tool::Function(Function { cache, ..f })),
        _ => Ok(hosted(kind, written, &path, losses)),
    }
}

fn hosted<'a>(
    name: Text<'a>,
    written: ToolWritten<'a>,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Tool<'a> {
    let bare = name.strip_prefix("openrouter:").unwrap_or(&name);
    let kind = if bare.starts_with("web_search") {
        Hosted::WebSearch
    } else if bare.starts_with("web_fetch") || bare == "url_context" {
        Hosted::WebFetch
    } else if bare.starts_with("code_interpreter") || bare.starts_with("code_execution") {
        Hosted::CodeExecution
    } else {
        Hosted::Other
    };
    let inner = written.parameters.unwrap_or_default();
    unknown(&format!("{path}.parameters."), &inner.unknown, losses);
    Tool::Hosted {
        kind,
        name,
        allowed_domains: texts(written.allowed.or(inner.allowed)),
        blocked_domains: texts(written.blocked.or(inner.blocked)),
        max_uses: written.max_uses.or(inner.max_uses).map(|Count(n)| n),
    }
}

pub(super) fn function<'a>(
    written: FunctionWritten<'a>,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Tool<'a>, Fault> {
    unknown(&format!("{path}."), &written.unknown, losses);
    let name = named(written.name, path)?;
    Ok(Tool::Function(Function {
        name,
        description: written.description.map(|Str(text)| text),
        parameters: written.parameters.map(Json::Borrowed),
        strict: written.strict,
        custom: false,
        cache: written.cache_control.as_ref().and_then(mark),
    }))
}

fn named<'a>(name: Option<Str<'a>>, path: &str) -> Result<Text<'a>, Fault> {
    name.map(|Str(name)| name)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong(format!("{path}.name"), "the name of the tool is expected."))
}

fn custom<'a>(
    written: CustomWritten<'a>,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Function<'a>, Fault> {
    unknown(&format!("{path}.custom."), &written.unknown, losses);
    let name = named(written.name, &format!("{path}.custom"))?;
    let mut description = written.description.map(|Str(text)| text);
    let grammar = written
        .format
        .and_then(|format| format.grammar)
        .and_then(|grammar| Some((grammar.syntax?, grammar.definition?)));
    if let Some((Str(syntax), Str(definition))) = grammar {
        losses.push(Loss::cosmetic(format!("{path}.custom.format")));
        description = with_grammar(description, &syntax, &definition);
    }
    Ok(Function {
        name,
        description,
        parameters: None,
        strict: None,
        custom: true,
        cache: None,
    })
}

/// OpenRouter's plugins: some are tools of its own, the rest tell it how to route and mend.
pub(super) fn plugin<'a>(
    written: Plugin<'a>,
    at: usize,
    losses: &mut Vec<Loss>,
) -> Option<Tool<'a>> {
    if written.enabled == Some(false) {
        return None;
    }
    let kind = match written.id.as_deref() {
        Some("web") => Hosted::WebSearch,
        Some("web-fetch") => Hosted::WebFetch,
        Some("fusion") => Hosted::Other,
        Some(_) | None => {
            losses.push(Loss::cosmetic(format!("plugins[{at}]")));
            return None;
        }
    };
    unknown(&format!("plugins[{at}]."), &written.unknown, losses);
    Some(Tool::Hosted {
        kind,
        name: Text::Owned(format!("plugins[{at}]")),
        allowed_domains: texts(written.allowed),
        blocked_domains: texts(written.blocked),
        max_uses: written.max_uses.map(|Count(n)| n),
    })
}

pub(super) fn choice<'a>(
    raw: &'a RawValue,
    losses: &mut Vec<Loss>,
) -> Result<ToolChoice<'a>, Fault> {
    const EXPECTED: &str = "'none', 'auto', 'required' or an object that names a tool is expected.";
    if let Ok(word) = serde_json::from_str::<Str<'a>>(raw.get()) {
        return match &*word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(wrong("tool_choice", EXPECTED)),
        };
    }
    let written: Choice<'a> =
        serde_json::from_str(raw.get()).map_err(|_| wrong("tool_choice", EXPECTED))?;
    match written.kind.as_deref() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("any" | "required") => Ok(ToolChoice::Required),
        Some("function" | "custom" | "tool") | None => match name_of(written) {
            Some(name) => Ok(ToolChoice::Named(name)),
            None => Err(wrong("tool_choice", EXPECTED)),
        },
        Some("allowed_tools") => {
            let (mode, tools) = match written.allowed {
                Some(allowed) => (allowed.mode, allowed.tools),
                None => (written.mode, written.tools),
            };
            Ok(ToolChoice::Allowed {
                names: tools.into_iter().flatten().filter_map(name_of).collect(),
                required: mode.as_deref() == Some("required"),
            })
        }
        Some(_) => {
            losses.push(Loss::meaning(
                "tool_choice",
                "a tool that a provider runs cannot be forced elsewhere; use 'auto' or name a function.",
            ));
            Ok(ToolChoice::Auto)
        }
    }
}

fn name_of(choice: Choice<'_>) -> Option<Text<'_>> {
    let name = choice.named.and_then(|named| named.name).or(choice.name)?;
    (!name.is_empty()).then_some(name.0)
}

/// The old form: `"auto"`, `"none"`, `{"name": …}`.
pub(super) fn function_choice(raw: &RawValue) -> Result<ToolChoice<'_>, Fault> {
    match raw.get() {
        "\"auto\"" => Ok(ToolChoice::Auto),
        "\"none\"" => Ok(ToolChoice::None),
        text => serde_json::from_str::<Named<'_>>(text)
            .ok()
            .and_then(|named| named.name)
            .map(|Str(name)| ToolChoice::Named(name))
            .ok_or_else(|| {
                wrong(
                    "function_call",
                    "'none', 'auto' or an object with a name is expected.",
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_request;
    use super::*;

    fn body(fields: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{fields}}}"#)
    }

    #[test]
    fn schemas_stay_as_they_were_written() {
        let schema = r#"{ "type":"object","properties":{"z":{"maximum":1.50e+2},"a":{}} }"#;
        let body = body(&format!(
            r#""tools":[{{"type":"function","function":{{"name":"f","parameters":{schema},"strict":true}}}}]"#
        ));
        let request = read_request(body.as_bytes()).expect("valid");
        let Some(Tool::Function(f)) = request.tools.first() else {
            panic!("no function");
        };
        assert_eq!(f.parameters.as_ref().map(|p| p.get()), Some(schema));
        assert_eq!(f.strict, Some(true));
    }

    #[test]
    fn choices_are_understood_in_each_form() {
        for (written, expected) in [
            (r#""auto""#, ToolChoice::Auto),
            (r#""required""#, ToolChoice::Required),
            (
                r#"{"type":"function","function":{"name":"f"}}"#,
                ToolChoice::Named("f".into()),
            ),
            (
                r#"{"type":"custom","custom":{"name":"c"}}"#,
                ToolChoice::Named("c".into()),
            ),
            (
                r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","name":"c"}]}}"#,
                ToolChoice::Allowed {
                    names: vec!["f".into(), "c".into()],
                    required: true,
                },
            ),
        ] {
            let body = body(&format!("\"tool_choice\":{written}"));
            let request = read_request(body.as_bytes()).expect(written);
            assert_eq!(request.tool_choice, Some(expected));
        }
    }

    #[test]
    fn the_old_form_of_tools_has_room_for_one_call() {
        let body =
            body(r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#);
        let request = read_request(body.as_bytes()).expect("valid");
        assert!(request.legacy_functions);
        assert_eq!(request.parallel_tools, Some(false));
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    }

    #[test]
    fn a_grammar_is_told_to_the_model_where_it_cannot_bind_it() {
        let body = body(
            r#""tools":[{"type":"custom","custom":{"name":"patch","description":"Edits.","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: x"}}}}]"#,
        );
        let request = read_request(body.as_bytes()).expect("valid");
        let Some(Tool::Function(f)) = request.tools.first() else {
            panic!("no tool");
        };
        assert!(f.custom);
        assert!(
            f.description
                .as_deref()
                .is_some_and(|d| d.starts_with("Edits.") && d.ends_with("start: x"))
        );
        assert_eq!(request.losses[0].path, "tools[0].custom.format");
    }
}
