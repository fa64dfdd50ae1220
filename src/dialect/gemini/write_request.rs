//! A canonical request as a GenerateContent one (<https://ai.google.dev/api/generate-content>).

mod config;
mod turns;

use super::json::{Object, list, string};
use super::schema::{self, Written};
use super::{Target, Thinking};
use crate::base::Fault;
use crate::chat::{
    Depth, Effort, Format, Function, Hosted, Loss, PartKind, Request, Severity, Source, Tool,
    ToolChoice,
};
use crate::dialect::names::{Names, Rule};
use crate::dialect::translate::Rendered;

/// `[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}` (<https://ai.google.dev/api/caching#FunctionDeclaration>).
static NAMES: Rule = Rule {
    longest: 64,
    punctuation: "_.:-",
    begins_as_word: true,
};

/// Writes the request for a model of this protocol.
pub fn write_request(request: &Request<'_>, target: &Target<'_>) -> Result<Rendered, Fault> {
    let names = Names::of(request, &NAMES);
    let mut losses = Losses::default();
    let mut body = Vec::with_capacity(4096);
    let mut object = Object::open(&mut body);
    turns::write(request, target, &names, &mut object, &mut losses)?;
    tools(request, &names, &mut object, &mut losses);
    let mut config = Vec::new();
    config::write(request, target, &mut config, &mut losses);
    if config != b"{}" {
        object.bytes("generationConfig", &config);
    }
    object.close();
    dropped(request, &mut losses);
    Ok(Rendered {
        body,
        losses: losses.all,
        // Names that were replaced must be put back into the answer's calls.
        renamed: names.renamed,
        ..Rendered::default()
    })
}

/// What has no counterpart; each path once.
#[derive(Default)]
struct Losses {
    all: Vec<Loss>,
}

impl Losses {
    fn add(&mut self, loss: Loss) {
        if !self.all.iter().any(|known| known.path == loss.path) {
            self.all.push(loss);
        }
    }

    /// The request is refused for one of them, which says more than that nothing is left of it.
    fn refuse(&self) -> bool {
        self.all
            .iter()
            .any(|loss| loss.severity == Severity::Meaning)
    }

    fn cosmetic(&mut self, path: &'static str) {
        self.add(Loss::cosmetic(path));
    }

    fn meaning(&mut self, path: &'static str, why: &'static str) {
        self.add(Loss::meaning(path, why));
    }
}

/// Fields of the request that this protocol has not.
fn dropped(request: &Request<'_>, losses: &mut Losses) {
    let marks = request.turns.iter().flat_map(|turn| &turn.parts);
    let is_marked = request.cache.is_some()
        || marks.into_iter().any(|part| part.cache.is_some())
        || request.tools.iter().any(|tool| match tool {
            Tool::Function(function) => function.cache.is_some(),
            Tool::Hosted { .. } => false,
        });
    for (present, name) in [
        // Prefixes are cached without marks: https://ai.google.dev/gemini-api/docs/caching
        (is_marked, "cache_control"),
        (request.user.is_some(), "user"),
        (request.verbosity.is_some(), "verbosity"),
        (request.service_tier.is_some(), "service_tier"),
        (
            request.parallel_tools == Some(false) && !request.tools.is_empty(),
            "parallel_tool_calls",
        ),
    ] {
        if present {
            losses.cosmetic(name);
        }
    }
}

fn tools(request: &Request<'_>, names: &Names, object: &mut Object<'_>, losses: &mut Losses) {
    let functions: Vec<&Function<'_>> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Function(function) => Some(function),
            Tool::Hosted { .. } => None,
        })
        .collect();
    let hosted: Vec<&'static str> = request
        .tools
        .iter()
        .filter_map(|tool| hosted(tool, losses))
        .collect();
    if !functions.is_empty() || !hosted.is_empty() {
        let out = object.key("tools");
        out.push(b'[');
        if !functions.is_empty() {
            let mut tool = Object::open(out);
            list(
                tool.key("functionDeclarations"),
                &functions,
                |out, function| declaration(function, names, out, losses),
            );
            tool.close();
        }
        for (at, name) in hosted.iter().enumerate() {
            if at > 0 || !functions.is_empty() {
                out.push(b',');
            }
            let mut tool = Object::open(out);
            tool.raw(name, "{}");
            tool.close();
        }
        out.push(b']');
    }
    if let Some(choice) = &request.tool_choice {
        if functions.is_empty() {
            // The config is of functions only, and refused without any.
            if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
                losses.cosmetic("tool_choice");
            }
            return;
        }
        let mut config = Object::open(object.key("toolConfig"));
        let mut calling = Object::open(config.key("functionCallingConfig"));
        // Names may only be given with ANY and VALIDATED
        // (https://ai.google.dev/api/caching#FunctionCallingConfig).
        let (mode, allowed): (_, Vec<&str>) = match choice {
            ToolChoice::Auto => ("AUTO", Vec::new()),
            ToolChoice::None => ("NONE", Vec::new()),
            ToolChoice::Required => ("ANY", Vec::new()),
            ToolChoice::Named(name) => ("ANY", vec![name]),
            ToolChoice::Allowed { names, required } => (
                if *required { "ANY" } else { "VALIDATED" },
                names.iter().map(|name| &**name).collect(),
            ),
        };
        calling.text("mode", mode);
        if !allowed.is_empty() {
            list(calling.key("allowedFunctionNames"), allowed, |out, name| {
                string(out, &names.sent(name));
            });
        }
        calling.close();
        config.close();
    }
}

/// The name of a tool that Google runs.
fn hosted(tool: &Tool<'_>, losses: &mut Losses) -> Option<&'static str> {
    let Tool::Hosted {
        kind,
        name,
        allowed_domains,
        blocked_domains,
        max_uses,
    } = tool
    else {
        return None;
    };
    if !allowed_domains.is_empty() {
        losses.meaning(
            "allowed_domains",
            "Gemini's search cannot be limited to domains; leave them out or name them in the prompt.",
        );
    }
    if !blocked_domains.is_empty() {
        losses.meaning(
            "blocked_domains",
            "Gemini's search cannot leave out domains; leave them out of the request.",
        );
    }
    if max_uses.is_some() {
        losses.cosmetic("max_uses");
    }
    match kind {
        Hosted::WebSearch => Some("googleSearch"),
        Hosted::WebFetch => Some("urlContext"),
        Hosted::CodeExecution => Some("codeExecution"),
        Hosted::Other => {
            losses.add(Loss::meaning(
                "tools",
                format!("'{name}' is run by its own provider only; leave it out or use a channel of that provider."),
            ));
            None
        }
    }
}

fn declaration(function: &Function<'_>, names: &Names, out: &mut Vec<u8>, losses: &mut Losses) {
    let mut object = Object::open(out);
    object.text("name", &names.sent(&function.name));
    if let Some(description) = &function.description {
        object.text("description", description);
    }
    if function.custom {
        object.raw(
            "parameters",
            r#"{"type":"OBJECT","properties":{"input":{"type":"STRING"}},"required":["input"]}"#,
        );
    } else if let Some(parameters) = &function.parameters {
        match schema::to_gemini(parameters, true) {
            Written::Nothing => {}
            Written::Schema(schema) => object.bytes("parameters", &schema),
            Written::Raw => object.raw("parametersJsonSchema", parameters.get()),
        }
    }
    if function.strict == Some(true) {
        losses.cosmetic("strict");
    }
    object.close();
}

#[cfg(test)]
mod tests;
