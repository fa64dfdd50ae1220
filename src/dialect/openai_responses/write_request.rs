//! Writes a request for a provider of this protocol. Nothing is kept there: the whole conversation goes with each request,
//! with the encrypted reasoning that its maker asks for.

use super::names::RULE;
use super::write_items;
use crate::base::Fault;
use crate::chat::{Depth, Format, Function, Hosted, Loss, Request, Thinking, Tool, ToolChoice};
use crate::dialect::names::Names;
use crate::dialect::openai::write::{depth_word, tier_word};
use crate::dialect::translate::Rendered;
use crate::wire::emit::{Emit, string};

/// What a platform says of the model.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub model: &'a str,
    /// The model reasons: it takes an effort, gives encrypted reasoning, and no sampling but the default.
    pub reasons: bool,
}

/// Less is refused (<https://platform.openai.com/docs/api-reference/responses/create>).
const FEWEST_TOKENS: u64 = 16;

pub fn write_request(request: &Request<'_>, target: &Target<'_>) -> Result<Rendered, Fault> {
    let mut losses = Vec::new();
    let mut body = Vec::with_capacity(1024);
    let names = Names::of(request, &RULE);
    let mut out = Emit::object(&mut body);
    out.text("model", target.model);
    write_items::conversation(&mut out, request, &names, &mut losses);
    tools(&mut out, request, &names, &mut losses);
    text(&mut out, request);
    thinking(&mut out, request, target, &mut losses);
    sampling(&mut out, request, target, &mut losses);
    output(&mut out, request, target, &mut losses);
    out.end();
    Ok(Rendered {
        body,
        losses,
        renamed: names.renamed,
        ..Rendered::default()
    })
}

fn tools(out: &mut Emit<'_>, request: &Request<'_>, names: &Names, losses: &mut Vec<Loss>) {
    if request.tools.is_empty() {
        return;
    }
    let mut list = out.nested_list("tools");
    let mut written = 0;
    for tool in &request.tools {
        match tool {
            Tool::Function(f) => {
                function(list.nested_item(), f, names);
                if f.cache.is_some() {
                    losses.push(Loss::cosmetic("cache_control"));
                }
                written += 1;
            }
            Tool::Hosted { .. } => written += usize::from(hosted(&mut list, tool, losses)),
        }
    }
    list.end();
    max_uses(out, request, losses);
    if written == 0 {
        return;
    }
    // Both are refused where there are no tools.
    if let Some(choice) = &request.tool_choice {
        tool_choice(out, choice, request, names);
    }
    if let Some(parallel) = request.parallel_tools {
        out.yes("parallel_tool_calls", parallel);
    }
}

/// The protocol bounds the uses of all such tools together.
fn max_uses(out: &mut Emit<'_>, request: &Request<'_>, losses: &mut Vec<Loss>) {
    let uses: Vec<Option<u64>> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Hosted { max_uses, .. } => Some(*max_uses),
            Tool::Function(_) => None,
        })
        .collect();
    match uses[..] {
        [Some(most)] => out.count("max_tool_calls", most),
        _ if uses.iter().any(Option::is_some) => losses.push(Loss::cosmetic("max_uses")),
        _ => {}
    }
}

fn function(mut out: Emit<'_>, f: &Function<'_>, names: &Names) {
    out.text("type", if f.custom { "custom" } else { "function" });
    out.text("name", &names.sent(&f.name));
    out.text_if("description", f.description.as_deref());
    if !f.custom {
        match &f.parameters {
            Some(parameters) => out.literal("parameters", parameters.get()),
            None => out.literal("parameters", r#"{"type":"object","properties":{}}"#),
        }
        // Strict is this protocol's default, and refuses schemas that are fine elsewhere.
        out.yes("strict", f.strict.unwrap_or(false));
    }
    out.end();
}

/// `false`: there is none.
fn hosted(list: &mut Emit<'_>, tool: &Tool<'_>, losses: &mut Vec<Loss>) -> bool {
    let Tool::Hosted {
        kind,
        name,
        allowed_domains,
        blocked_domains,
        max_uses: _,
    } = tool
    else {
        return false;
    };
    match kind {
        Hosted::WebSearch => {
            if !blocked_domains.is_empty() {
                losses.push(Loss::meaning(
                    name.clone().into_owned(),
                    "the search of this provider cannot be kept from domains; leave them out, or name those to search in.",
                ));
            }
            let mut tool = list.nested_item();
            tool.text("type", "web_search");
            if !allowed_domains.is_empty() {
                let mut filters = tool.nested("filters");
                let mut domains = filters.nested_list("allowed_domains");
                for domain in allowed_domains {
                    string(domains.item(), domain);
                }
                domains.end();
                filters.end();
            }
            tool.end();
            true
        }
        Hosted::CodeExecution => {
            let mut tool = list.nested_item();
            tool.text("type", "code_interpreter");
            tool.literal("container", r#"{"type":"auto"}"#);
            tool.end();
            true
        }
        Hosted::WebFetch | Hosted::Other => {
            losses.push(Loss::meaning(
                name.clone().into_owned(),
                "the provider of this model does not run this tool; leave it out, or offer a function of your own.",
            ));
            false
        }
    }
}

fn tool_choice(out: &mut Emit<'_>, choice: &ToolChoice<'_>, request: &Request<'_>, names: &Names) {
    let named = |mut out: Emit<'_>, name: &str| {
        let hosted = request.tools.iter().find_map(|tool| match tool {
            Tool::Hosted {
                kind: Hosted::WebSearch,
                name: known,
                ..
            } if known == name => Some("web_search"),
            Tool::Hosted {
                kind: Hosted::CodeExecution,
                name: known,
                ..
            } if known == name => Some("code_interpreter"),
            Tool::Hosted { .. } | Tool::Function(_) => None,
        });
        let custom = request
            .tools
            .iter()
            .any(|tool| matches!(tool, Tool::Function(f) if f.custom && f.name == name));
        if let Some(kind) = hosted {
            out.text("type", kind);
        } else {
            out.text("type", if custom { "custom" } else { "function" });
            out.text("name", &names.sent(name));
        }
        out.end();
    };
    match choice {
        ToolChoice::Auto => out.text("tool_choice", "auto"),
        ToolChoice::None => out.text("tool_choice", "none"),
        ToolChoice::Required => out.text("tool_choice", "required"),
        ToolChoice::Named(name) => named(out.nested("tool_choice"), name),
        ToolChoice::Allowed {
            names: some,
            required,
        } => {
            let mut choice = out.nested("tool_choice");
            choice.text("type", "allowed_tools");
            choice.text("mode", if *required { "required" } else { "auto" });
            let mut list = choice.nested_list("tools");
            for name in some {
                named(list.nested_item(), name);
            }
            list.end();
            choice.end();
        }
    }
}

fn text(out: &mut Emit<'_>, request: &Request<'_>) {
    if request.format.is_none() && request.verbosity.is_none() {
        return;
    }
    let mut text = out.nested("text");
    match &request.format {
        None => {}
        Some(Format::Text) => text.literal("format", r#"{"type":"text"}"#),
        Some(Format::JsonObject) => text.literal("format", r#"{"type":"json_object"}"#),
        Some(Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        }) => {
            let mut format = text.nested("format");
            format.text("type", "json_schema");
            // The protocol demands one, of few characters.
            let plain: String = name
                .as_deref()
                .unwrap_or_default()
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || c == '-' {
                        c
                    } else {
                        '_'
                    }
                })
                .take(64)
                .collect();
            format.text("name", if plain.is_empty() { "response" } else { &plain });
            format.text_if("description", description.as_deref());
            format.literal("schema", schema.get());
            if let Some(strict) = strict {
                format.yes("strict", *strict);
            }
            format.end();
        }
    }
    text.text_if("verbosity", request.verbosity.as_deref());
    text.end();
}

fn thinking(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let Some(Thinking { depth, show }) = request.thinking else {
        return;
    };
    if !target.reasons {
        if depth.is_some_and(|depth| depth != Depth::Off) {
            losses.push(Loss::cosmetic("reasoning_effort"));
        }
        return;
    }
    let effort = depth_word(depth);
    let summary = (show == Some(true)).then_some("auto");
    if effort.is_some() || summary.is_some() {
        let mut reasoning = out.nested("reasoning");
        reasoning.text_if("effort", effort);
        reasoning.text_if("summary", summary);
        reasoning.end();
    }
}

fn sampling(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    if let Some(most) = request.max_tokens {
        if most < FEWEST_TOKENS {
            losses.push(Loss::cosmetic("max_tokens"));
        }
        out.count("max_output_tokens", most.max(FEWEST_TOKENS));
    }
    for (name, value) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
    ] {
        match value {
            // Reasoning models take the default alone.
            Some(value) if target.reasons && value.get() != "1" => {
                losses.push(Loss::cosmetic(name));
            }
            Some(value) => out.literal(name, value.get()),
            None => {}
        }
    }
    for (name, is_there) in [
        ("top_k", request.top_k.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("seed", request.seed.is_some()),
    ] {
        if is_there {
            losses.push(Loss::cosmetic(name));
        }
    }
    if !request.stop.is_empty() {
        losses.push(Loss::meaning(
            "stop",
            "the Responses API, the only one that serves this model, has no stop sequences; leave them out.",
        ));
    }
    if request.n.is_some_and(|n| n > 1) {
        losses.push(Loss::meaning(
            "n",
            "the provider of this model gives one answer to a request; ask several times.",
        ));
    }
    if let Some(top) = request.logprobs.and_then(|logprobs| logprobs.top) {
        out.count("top_logprobs", u64::from(top));
    }
}

fn output(out: &mut Emit<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    if let Some(tier) = request.service_tier {
        out.text("service_tier", tier_word(tier));
    }
    out.text_if("user", request.user.as_deref());
    if request.cache.is_some() {
        losses.push(Loss::cosmetic("cache_control"));
    }
    if !request.modalities.is_empty() {
        losses.push(Loss::meaning(
            "modalities",
            "this model answers in text; ask for text, or name another model.",
        ));
    } else if request.voice.is_some() {
        losses.push(Loss::cosmetic("audio"));
    }
    if request.image_aspect.is_some() || request.image_size.is_some() {
        losses.push(Loss::cosmetic("image_config"));
    }
    out.yes("store", false);
    if target.reasons || request.logprobs.is_some() {
        let mut include = out.nested_list("include");
        if target.reasons {
            string(include.item(), "reasoning.encrypted_content");
        }
        if request.logprobs.is_some() {
            string(include.item(), "message.output_text.logprobs");
        }
        include.end();
    }
    if request.stream {
        out.yes("stream", true);
    }
}

#[cfg(test)]
mod tests;
