//! Tools, their choice, and structured output where a tool has to stand for it.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::json::{key, next, number_field, raw_field, text, text_field};
use super::write_turns::{Marks, tool_name};
use super::{Target, schema};
use crate::chat::{Format, Function, Hosted, Loss, Request, Text, Tool, ToolChoice};

#[derive(Debug, Default)]
pub(super) struct Tools<'r> {
    pub(super) all: Vec<&'r Tool<'r>>,
    /// A tool whose input is the structured answer.
    pub(super) answer: Option<(String, &'r RawValue)>,
    /// What that answer is, in the client's words.
    described: Option<&'r str>,
    pub(super) choice: Option<Choice<'r>>,
    pub(super) one_at_a_time: bool,
    /// The schema for `output_config.format`.
    pub(super) format: Option<&'r RawValue>,
    /// Any JSON object is asked for: the protocol has no word for that.
    pub(super) any_json: bool,
    /// `(sent, wanted)`, where the protocol does not take a name.
    pub(super) renamed: Vec<(String, String)>,
    pub(super) headers: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice<'r> {
    Auto,
    Any,
    None,
    Tool(Cow<'r, str>),
}

impl Tools<'_> {
    /// Is a call forced?
    pub(super) fn forces(&self) -> bool {
        matches!(self.choice, Some(Choice::Any | Choice::Tool(_)))
    }
}

pub(super) fn plan<'r>(
    request: &'r Request<'r>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) -> Tools<'r> {
    let mut tools = Tools {
        one_at_a_time: request.parallel_tools == Some(false),
        ..Tools::default()
    };
    let allowed: Option<&[Text<'_>]> = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_))
        | None => None,
    };
    for tool in &request.tools {
        match tool {
            Tool::Function(function) => {
                if allowed.is_none_or(|names| names.contains(&function.name)) {
                    if let Cow::Owned(sent) = tool_name(&function.name) {
                        tools
                            .renamed
                            .push((sent, function.name.clone().into_owned()));
                    }
                    tools.all.push(tool);
                }
            }
            Tool::Hosted {
                kind: Hosted::Other,
                name,
                ..
            } => losses.push(Loss::meaning(
                name.clone().into_owned(),
                "no tool of Anthropic's does the same; use a function tool instead.",
            )),
            Tool::Hosted {
                kind: Hosted::WebFetch,
                ..
            } => {
                tools
                    .headers
                    .push(("anthropic-beta", "web-fetch-2025-09-10"));
                tools.all.push(tool);
            }
            Tool::Hosted {
                kind: Hosted::WebSearch | Hosted::CodeExecution,
                ..
            } => tools.all.push(tool),
        }
    }
    if !tools.all.is_empty() {
        tools.choice = request.tool_choice.as_ref().map(|choice| match choice {
            ToolChoice::Auto
            | ToolChoice::Allowed {
                required: false, ..
            } => Choice::Auto,
            ToolChoice::None => Choice::None,
            ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => Choice::Any,
            ToolChoice::Named(name) => Choice::Tool(tool_name(name)),
        });
    } else if let Some(
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. },
    ) = request.tool_choice
    {
        losses.push(Loss::meaning(
            "tool_choice",
            "it demands a call, but there is no tool to call; send the tool in 'tools'.",
        ));
    }
    match &request.format {
        None | Some(Format::Text) => {}
        // A tool's input is an object for certain; where none can be forced, the model is told.
        Some(Format::JsonObject) => {
            let thinks = request.thinking.is_some_and(|t| t.depth.is_some());
            if tools.all.is_empty() && !thinks {
                tools.one_at_a_time = true;
                tools.choice = Some(Choice::Tool("json".into()));
                tools.answer = Some(("json".to_owned(), &ANY_OBJECT));
            } else {
                tools.any_json = true;
            }
        }
        Some(Format::JsonSchema {
            name,
            description,
            schema,
            ..
        }) => {
            tools.structure(name.as_deref(), schema, target, losses);
            tools.described = description.as_deref();
            if description.is_some() && tools.answer.is_none() {
                losses.push(Loss::cosmetic("response_format.description"));
            }
        }
    }
    tools
}

/// The schema of a JSON object of which nothing is known.
static ANY_OBJECT: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    RawValue::from_string(r#"{"type":"object","additionalProperties":true}"#.to_owned())
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
});

/// Tells the model what the tool is for that stands for its answer.
const ANSWER: &str = "Give the final answer by calling this tool, in the form of its input.";

impl<'r> Tools<'r> {
    /// Structured output: the model's own where it has it, else the input of a tool that must be called.
    fn structure(
        &mut self,
        name: Option<&str>,
        schema: &'r RawValue,
        target: &Target<'_>,
        losses: &mut Vec<Loss>,
    ) {
        if target.structured && schema::can_close(schema) {
            self.format = Some(schema);
            return;
        }
        // A call of one of the client's own tools is demanded: the answer is that call.
        if self.forces() {
            losses.push(Loss::cosmetic("response_format"));
            return;
        }
        if !schema::is_object(schema) {
            losses.push(Loss::meaning(
                "response_format",
                "this model makes objects only as structured output; let the schema's top be an object.",
            ));
            return;
        }
        let mut name = name.map_or_else(
            || "response".to_owned(),
            |name| tool_name(name).into_owned(),
        );
        let is_taken = self.all.iter().any(|tool| match tool {
            Tool::Function(function) => function.name == name,
            Tool::Hosted { .. } => false,
        });
        if is_taken {
            name.truncate(119);
            name.push_str("_response");
        }
        let has_others = !self.all.is_empty() && self.choice != Some(Choice::None);
        self.choice = Some(if has_others {
            // Each turn either calls a tool or answers, and both are calls.
            Choice::Any
        } else {
            self.one_at_a_time = true;
            Choice::Tool(Cow::Owned(name.clone()))
        });
        self.answer = Some((name, schema));
    }

    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        target: &Target<'_>,
        marks: &mut Marks,
        losses: &mut Vec<Loss>,
    ) {
        if self.all.is_empty() && self.answer.is_none() {
            return;
        }
        key(out, "tools");
        out.push(b'[');
        for tool in &self.all {
            next(out);
            match tool {
                Tool::Function(function) => write_function(out, function, target, marks, losses),
                Tool::Hosted {
                    kind,
                    allowed_domains,
                    blocked_domains,
                    max_uses,
                    ..
                } => write_hosted(out, *kind, allowed_domains, blocked_domains, *max_uses),
            }
        }
        if let Some((name, schema)) = &self.answer {
            next(out);
            out.push(b'{');
            text_field(out, "name", name);
            text_field(out, "description", self.described.unwrap_or(ANSWER));
            key(out, "input_schema");
            schema::of_tool(out, Some(schema));
            out.push(b'}');
        }
        out.push(b']');
        self.write_choice(out);
    }

    fn write_choice(&self, out: &mut Vec<u8>) {
        let choice = match (&self.choice, self.one_at_a_time) {
            (Some(choice), _) => choice,
            (None, true) => &Choice::Auto,
            (None, false) => return,
        };
        key(out, "tool_choice");
        out.push(b'{');
        let (kind, takes_parallel) = match choice {
            Choice::Auto => ("auto", true),
            Choice::Any => ("any", true),
            Choice::Tool(_) => ("tool", true),
            Choice::None => ("none", false),
        };
        text_field(out, "type", kind);
        if let Choice::Tool(name) = choice {
            text_field(out, "name", name);
        }
        if self.one_at_a_time && takes_parallel {
            raw_field(out, "disable_parallel_tool_use", "true");
        }
        out.push(b'}');
    }
}

fn write_function(
    out: &mut Vec<u8>,
    function: &Function<'_>,
    target: &Target<'_>,
    marks: &mut Marks,
    losses: &mut Vec<Loss>,
) {
    out.push(b'{');
    text_field(out, "name", &tool_name(&function.name));
    if let Some(description) = &function.description {
        text_field(out, "description", description);
    }
    let parameters = function.parameters.as_deref();
    key(out, "input_schema");
    match parameters {
        _ if function.custom => out.extend_from_slice(
            br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#,
        ),
        Some(schema)
            if function.strict == Some(true)
                && target.structured
                && schema::is_object(schema)
                && schema::can_close(schema) =>
        {
            let mut closed = Vec::with_capacity(schema.get().len() + 64);
            schema::closed(&mut closed, schema);
            let typed: Option<&RawValue> = serde_json::from_slice(&closed).ok();
            schema::of_tool(out, typed.or(parameters));
            raw_field(out, "strict", "true");
        }
        parameters => {
            if function.strict == Some(true) {
                losses.push(Loss::cosmetic("strict"));
            }
            schema::of_tool(out, parameters);
        }
    }
    marks.write(out, function.cache);
    out.push(b'}');
}

fn write_hosted(
    out: &mut Vec<u8>,
    kind: Hosted,
    allowed: &[Text<'_>],
    blocked: &[Text<'_>],
    max_uses: Option<u64>,
) {
    let (written, name) = match kind {
        Hosted::WebSearch => ("web_search_20250305", "web_search"),
        Hosted::WebFetch => ("web_fetch_20250910", "web_fetch"),
        // Others were refused before.
        Hosted::CodeExecution | Hosted::Other => ("code_execution_20250825", "code_execution"),
    };
    out.push(b'{');
    text_field(out, "type", written);
    text_field(out, "name", name);
    if kind != Hosted::CodeExecution {
        for (name, domains) in [("allowed_domains", allowed), ("blocked_domains", blocked)] {
            if !domains.is_empty() {
                key(out, name);
                out.push(b'[');
                for domain in domains {
                    next(out);
                    text(out, domain);
                }
                out.push(b']');
            }
        }
        if let Some(max_uses) = max_uses {
            number_field(out, "max_uses", max_uses);
        }
    }
    out.push(b'}');
}
