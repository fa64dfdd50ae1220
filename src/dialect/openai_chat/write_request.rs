//! Writes a request for a provider of this protocol. What the provider's flavor has no field for becomes a loss.

use super::ReasoningField;
use super::flavor::{Target, WebSearch};
use super::write_turns;
use crate::base::Fault;
use crate::chat::{
    CacheMark, Depth, Format, Function, Hosted, Loss, Request, Thinking, Tool, ToolChoice,
};
use crate::dialect::openai::write::{depth_word, effort_word, tier_word};
use crate::dialect::translate::Rendered;
use crate::wire::emit::{Emit, string};

pub fn write_request(request: &Request<'_>, target: &Target<'_>) -> Result<Rendered, Fault> {
    let mut losses = Vec::new();
    let mut body = Vec::with_capacity(1024);
    let mut out = Emit::object(&mut body);
    out.text("model", target.model);
    write_turns::messages(&mut out, request, target, &mut losses);
    tools(&mut out, request, target, &mut losses);
    format(&mut out, request);
    thinking(&mut out, request, target, &mut losses);
    sampling(&mut out, request, target, &mut losses);
    output(&mut out, request, target, &mut losses);
    out.end();
    Ok(Rendered {
        body,
        headers: Vec::new(),
        losses,
        text_tool: None,
        renamed: Vec::new(),
    })
}

/// `"cache_control":{"type":"ephemeral"}`
pub(super) fn cache_control(out: &mut Emit<'_>, mark: CacheMark) {
    out.literal(
        "cache_control",
        match mark {
            CacheMark::FiveMinutes => r#"{"type":"ephemeral"}"#,
            CacheMark::OneHour => r#"{"type":"ephemeral","ttl":"1h"}"#,
        },
    );
}

fn tools(out: &mut Emit<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    let flavor = target.flavor;
    // Where a choice cannot name several tools, the others are not offered.
    let only = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !flavor.allowed_tools => Some(names),
        Some(_) | None => None,
    };
    let functions: Vec<&Function<'_>> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Function(f) => Some(f),
            Tool::Hosted { .. } => None,
        })
        .filter(|f| only.is_none_or(|names| names.contains(&f.name)))
        .collect();
    if !functions.is_empty() {
        let mut list = out.nested_list("tools");
        for f in &functions {
            tool(list.nested_item(), f, target, losses);
        }
        list.end();
        // Both are refused where there are no tools.
        if let Some(choice) = &request.tool_choice {
            tool_choice(out, choice, &functions, target);
        }
        if let Some(parallel) = request.parallel_tools {
            out.yes("parallel_tool_calls", parallel);
        }
    }
    let mut searches = false;
    for tool in &request.tools {
        if let Tool::Hosted { kind, .. } = tool {
            // Its field stands once.
            let is_search = *kind == Hosted::WebSearch;
            if !(is_search && searches) {
                hosted(out, tool, target, losses);
            }
            searches |= is_search;
        }
    }
}

fn tool(mut out: Emit<'_>, f: &Function<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    let custom = f.custom && target.flavor.custom_tools;
    let kind = if custom { "custom" } else { "function" };
    out.text("type", kind);
    let mut inner = out.nested(kind);
    inner.text("name", &f.name);
    inner.text_if("description", f.description.as_deref());
    if f.custom && !custom {
        // Its only argument is the text that a free-form tool takes.
        inner.literal(
            "parameters",
            r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#,
        );
    } else if !custom {
        inner.raw_if("parameters", f.parameters.as_deref());
        if let Some(strict) = f.strict {
            inner.yes("strict", strict);
        }
    }
    inner.end();
    match f.cache {
        Some(mark) if target.flavor.cache_control => cache_control(&mut out, mark),
        Some(_) => losses.push(Loss::cosmetic("cache_control")),
        None => {}
    }
    out.end();
}

fn tool_choice(
    out: &mut Emit<'_>,
    choice: &ToolChoice<'_>,
    functions: &[&Function<'_>],
    target: &Target<'_>,
) {
    let named = |mut out: Emit<'_>, name: &str| {
        let custom =
            target.flavor.custom_tools && functions.iter().any(|f| f.custom && f.name == name);
        let kind = if custom { "custom" } else { "function" };
        out.text("type", kind);
        let mut inner = out.nested(kind);
        inner.text("name", name);
        inner.end();
        out.end();
    };
    match choice {
        ToolChoice::Auto => out.text("tool_choice", "auto"),
        ToolChoice::None => out.text("tool_choice", "none"),
        ToolChoice::Required => out.text("tool_choice", "required"),
        ToolChoice::Named(name) => named(out.nested("tool_choice"), name),
        ToolChoice::Allowed { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            if !target.flavor.allowed_tools {
                out.text("tool_choice", mode);
                return;
            }
            let mut choice = out.nested("tool_choice");
            choice.text("type", "allowed_tools");
            let mut inner = choice.nested("allowed_tools");
            inner.text("mode", mode);
            let mut list = inner.nested_list("tools");
            for name in names {
                named(list.nested_item(), name);
            }
            list.end();
            inner.end();
            choice.end();
        }
    }
}

fn hosted(out: &mut Emit<'_>, tool: &Tool<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    let Tool::Hosted {
        kind,
        name,
        allowed_domains,
        blocked_domains,
        max_uses,
    } = tool
    else {
        return;
    };
    let path = name.clone().into_owned();
    match (kind, target.flavor.web_search) {
        (Hosted::WebSearch, WebSearch::Options) => {
            if !allowed_domains.is_empty() || !blocked_domains.is_empty() {
                losses.push(Loss::meaning(
                    path,
                    "the search of this provider cannot be limited to domains, or kept from them; leave them out.",
                ));
            }
            if max_uses.is_some() {
                losses.push(Loss::cosmetic("max_uses"));
            }
            out.nested("web_search_options").end();
        }
        (Hosted::WebSearch, WebSearch::Plugin) => {
            let mut list = out.nested_list("plugins");
            let mut plugin = list.nested_item();
            plugin.text("id", "web");
            for (field, domains) in [
                ("include_domains", allowed_domains),
                ("exclude_domains", blocked_domains),
            ] {
                if domains.is_empty() {
                    continue;
                }
                let mut list = plugin.nested_list(field);
                for domain in domains {
                    string(list.item(), domain);
                }
                list.end();
            }
            if let Some(uses) = max_uses {
                plugin.count("max_uses", *uses);
            }
            plugin.end();
            list.end();
        }
        (Hosted::WebSearch, WebSearch::None | WebSearch::Responses)
        | (
            Hosted::WebFetch | Hosted::CodeExecution | Hosted::Other,
            WebSearch::None | WebSearch::Options | WebSearch::Plugin | WebSearch::Responses,
        ) => losses.push(Loss::meaning(
            path,
            "the provider of this model does not run this tool; leave it out, or offer a function of your own.",
        )),
    }
}

fn format(out: &mut Emit<'_>, request: &Request<'_>) {
    match &request.format {
        None => {}
        Some(Format::Text) => out.literal("response_format", r#"{"type":"text"}"#),
        Some(Format::JsonObject) => out.literal("response_format", r#"{"type":"json_object"}"#),
        Some(Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        }) => {
            let mut format = out.nested("response_format");
            format.text("type", "json_schema");
            let mut inner = format.nested("json_schema");
            // The protocol demands one.
            inner.text("name", name.as_deref().unwrap_or("response"));
            inner.text_if("description", description.as_deref());
            inner.literal("schema", schema.get());
            if let Some(strict) = strict {
                inner.yes("strict", *strict);
            }
            inner.end();
            format.end();
        }
    }
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
    match target.flavor.reasoning {
        ReasoningField::Effort => {
            if show == Some(false) {
                losses.push(Loss::cosmetic("reasoning.exclude"));
            }
            let Some(word) = depth_word(depth) else {
                return;
            };
            if !target.flavor.refuses_effort || target.reasons {
                out.text("reasoning_effort", word);
            } else if word != "none" {
                losses.push(Loss::cosmetic("reasoning_effort"));
            }
        }
        ReasoningField::Object => {
            let mut reasoning = out.nested("reasoning");
            match depth {
                None => {}
                Some(Depth::Off) => reasoning.text("effort", "none"),
                // Its default is not to think, for some models.
                Some(Depth::Dynamic) => reasoning.yes("enabled", true),
                Some(Depth::Effort(effort)) => reasoning.text("effort", effort_word(effort)),
                Some(Depth::Budget(tokens)) => reasoning.count("max_tokens", tokens),
            }
            if let Some(show) = show {
                reasoning.yes("exclude", !show);
            }
            reasoning.end();
        }
    }
}

fn sampling(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let flavor = target.flavor;
    if let Some(most) = request.max_tokens {
        out.count(flavor.max_tokens, most);
    }
    for (name, value, default) in [
        ("temperature", &request.temperature, "1"),
        ("top_p", &request.top_p, "1"),
        ("presence_penalty", &request.presence_penalty, "0"),
        ("frequency_penalty", &request.frequency_penalty, "0"),
    ] {
        match value {
            // Reasoning models take the default alone.
            Some(value) if target.reasons && value.get() != default => {
                losses.push(Loss::cosmetic(name));
            }
            Some(value) => out.literal(name, value.get()),
            None => {}
        }
    }
    match &request.top_k {
        Some(k) if flavor.top_k => out.literal("top_k", k.get()),
        Some(_) => losses.push(Loss::cosmetic("top_k")),
        None => {}
    }
    out.raw_if("seed", request.seed.as_deref());
    if request.stop.len() > flavor.stops {
        losses.push(Loss::meaning(
            "stop",
            format!(
                "the provider of this model takes at most {} stop sequences.",
                flavor.stops
            ),
        ));
    } else if !request.stop.is_empty() {
        let mut list = out.nested_list("stop");
        for stop in &request.stop {
            string(list.item(), stop);
        }
        list.end();
    }
    match request.n {
        Some(n) if flavor.n => out.count("n", u64::from(n)),
        Some(2..) => losses.push(Loss::meaning(
            "n",
            "the provider of this model gives one answer to a request; ask several times.",
        )),
        Some(_) | None => {}
    }
    if let Some(logprobs) = request.logprobs {
        out.yes("logprobs", true);
        if let Some(top) = logprobs.top {
            out.count("top_logprobs", u64::from(top));
        }
    }
}

fn output(out: &mut Emit<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    let flavor = target.flavor;
    match request.service_tier {
        Some(tier) if flavor.service_tier => out.text("service_tier", tier_word(tier)),
        Some(_) => losses.push(Loss::cosmetic("service_tier")),
        None => {}
    }
    out.text_if("user", request.user.as_deref());
    match &request.verbosity {
        Some(word) if flavor.verbosity => out.text("verbosity", word),
        Some(_) => losses.push(Loss::cosmetic("verbosity")),
        None => {}
    }
    match request.cache {
        Some(mark) if flavor.cache_control => cache_control(out, mark),
        Some(_) => losses.push(Loss::cosmetic("cache_control")),
        None => {}
    }
    modalities(out, request, target, losses);
    if request.stream {
        out.yes("stream", true);
        // What is not told cannot be metered.
        out.literal("stream_options", r#"{"include_usage":true}"#);
    }
}

fn modalities(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let flavor = target.flavor;
    let has = |wanted: &str| request.modalities.iter().any(|word| word == wanted);
    let (image, audio) = (has("image"), has("audio"));
    if (image && !flavor.image_output)
        || (audio && !flavor.audio_output)
        || request
            .modalities
            .iter()
            .any(|word| word != "image" && word != "audio")
    {
        losses.push(Loss::meaning(
            "modalities",
            "the provider of this model does not make all of what is asked for; ask for text, or name another model.",
        ));
        return;
    }
    if image {
        out.literal("modalities", r#"["image","text"]"#);
    } else if audio {
        out.literal("modalities", r#"["text","audio"]"#);
    }
    let (voice, format) = match &request.voice {
        Some((voice, format)) => (voice.as_deref(), format.as_deref()),
        None => (None, None),
    };
    if audio {
        let Some(voice) = voice else {
            losses.push(Loss::meaning(
                "audio.voice",
                "the provider of this model needs the name of a voice.",
            ));
            return;
        };
        let mut out = out.nested("audio");
        out.text("voice", voice);
        // The protocol demands one, and streams take no other
        // (https://platform.openai.com/docs/guides/audio).
        let default = if request.stream { "pcm16" } else { "wav" };
        out.text("format", format.unwrap_or(default));
        out.end();
    } else if request.voice.is_some() {
        losses.push(Loss::cosmetic("audio"));
    }
    if request.image_aspect.is_some() || request.image_size.is_some() {
        if image {
            let mut config = out.nested("image_config");
            config.text_if("aspect_ratio", request.image_aspect.as_deref());
            config.text_if("image_size", request.image_size.as_deref());
            config.end();
        } else {
            losses.push(Loss::cosmetic("image_config"));
        }
    }
}
