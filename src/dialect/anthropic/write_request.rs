//! The canonical request, written for a provider of this protocol (<https://docs.anthropic.com/en/api/messages>).

use super::depth::{self, Against, Mode, Thought};
use super::json::{key, next, number_field, raw_field, text, text_field};
use super::write_turns::{self, Marks, write_mark};
use super::{Sampling, Target, schema, write_tools};
use crate::base::{Fault, FaultKind};
use crate::chat::{Json, Loss, Request, ServiceTier, Severity, Tool};
use crate::dialect::translate::Rendered;

/// The longest `metadata.user_id`.
const MOST_USER: usize = 512;

pub fn write_request(request: &Request<'_>, target: &Target<'_>) -> Result<Rendered, Fault> {
    let mut losses = Vec::new();
    let mut conversation = write_turns::arrange(request, &mut losses);
    if conversation.is_empty() {
        // What was left out says more than that nothing is left.
        if request
            .losses
            .iter()
            .chain(&losses)
            .any(|loss| loss.severity == Severity::Meaning)
        {
            return Ok(Rendered {
                losses,
                ..Rendered::default()
            });
        }
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "'messages' has no content: at least one message must say something.",
        )
        .param("messages"));
    }
    if conversation.ends_with_assistant() && !target.prefill {
        losses.push(Loss::meaning(
            "messages",
            "this model cannot go on with an assistant's message; let the last message be the user's.",
        ));
    }
    let tools = write_tools::plan(request, target, &mut losses);
    if tools.any_json {
        conversation.add_system("Respond with a single JSON object and nothing else.");
    }
    let against = Against {
        forced: tools.forces(),
        unsigned_loop: conversation.is_unsigned_loop(),
        prefill: conversation.ends_with_assistant(),
    };
    let thought = depth::plan(request, target, against, &mut losses);
    let marked_tools = tools
        .all
        .iter()
        .filter(|tool| matches!(tool, Tool::Function(function) if function.cache.is_some()))
        .count();
    let mut marks = Marks::new(marked_tools + conversation.marks(), request, &mut losses);

    let mut body = Vec::with_capacity(1024);
    let out = &mut body;
    out.push(b'{');
    text_field(out, "model", target.model);
    number_field(
        out,
        "max_tokens",
        request.max_tokens.unwrap_or(target.max_output),
    );
    if request.stream {
        raw_field(out, "stream", "true");
    }
    write_thought(out, &thought);
    write_sampling(out, request, target, &thought, &mut losses);
    write_stop(out, request, &mut losses);
    write_output(out, &thought, tools.format);
    write_rest(out, request, &mut losses);
    // In the order in which the provider caches them.
    tools.write(out, target, &mut marks, &mut losses);
    conversation.write_system(out, &mut marks);
    conversation.write_messages(out, &mut marks);
    out.push(b'}');
    without_counterpart(request, &mut losses);
    Ok(Rendered {
        body,
        headers: tools.headers,
        renamed: tools.renamed,
        losses,
        text_tool: tools.answer.map(|(name, _)| name),
    })
}

fn write_thought(out: &mut Vec<u8>, thought: &Thought) {
    let kind = match thought.mode {
        Mode::Unsaid => return,
        Mode::Disabled => "disabled",
        Mode::Enabled(_) => "enabled",
        Mode::Adaptive => "adaptive",
    };
    key(out, "thinking");
    out.push(b'{');
    text_field(out, "type", kind);
    if let Mode::Enabled(budget) = thought.mode {
        number_field(out, "budget_tokens", budget);
    }
    if let Some(display) = thought.display {
        text_field(out, "display", display);
    }
    out.push(b'}');
}

fn value(number: &Json<'_>) -> f64 {
    number.get().parse().unwrap_or(0.0)
}

/// Thinking takes no temperature but 1, no `top_k`, and `top_p` from 0.95 on; newer models take none of them at all.
fn write_sampling(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    target: &Target<'_>,
    thought: &Thought,
    losses: &mut Vec<Loss>,
) {
    let thinks = thought.mode.is_on();
    let takes = target.samples != Sampling::None;
    if let Some(temperature) = &request.temperature {
        let heat = value(temperature);
        let is_default = (heat - 1.0).abs() < f64::EPSILON;
        if !takes || thinks {
            if !is_default {
                losses.push(Loss::cosmetic("temperature"));
            }
        } else if heat > 1.0 {
            losses.push(Loss::cosmetic("temperature"));
            raw_field(out, "temperature", "1");
        } else {
            raw_field(out, "temperature", temperature.get());
        }
    }
    if let Some(top_p) = &request.top_p {
        let is_second = target.samples == Sampling::OneOf && request.temperature.is_some();
        if !takes || is_second || (thinks && value(top_p) < 0.95) {
            losses.push(Loss::cosmetic("top_p"));
        } else {
            raw_field(out, "top_p", top_p.get());
        }
    }
    if let Some(top_k) = &request.top_k {
        if !takes || thinks {
            losses.push(Loss::cosmetic("top_k"));
        } else {
            raw_field(out, "top_k", top_k.get());
        }
    }
}

fn write_stop(out: &mut Vec<u8>, request: &Request<'_>, losses: &mut Vec<Loss>) {
    if request.stop.is_empty() {
        return;
    }
    // "each stop sequence must contain non-whitespace"
    if request.stop.iter().any(|stop| stop.trim().is_empty()) {
        losses.push(Loss::meaning(
            "stop",
            "a stop sequence must hold more than white space here; choose another.",
        ));
    }
    key(out, "stop_sequences");
    out.push(b'[');
    for stop in &request.stop {
        next(out);
        text(out, stop);
    }
    out.push(b']');
}

fn write_output(
    out: &mut Vec<u8>,
    thought: &Thought,
    format: Option<&serde_json::value::RawValue>,
) {
    if thought.effort.is_none() && format.is_none() {
        return;
    }
    key(out, "output_config");
    out.push(b'{');
    if let Some(effort) = thought.effort {
        text_field(out, "effort", effort);
    }
    if let Some(schema) = format {
        key(out, "format");
        out.extend_from_slice(br#"{"type":"json_schema","schema":"#);
        schema::closed(out, schema);
        out.push(b'}');
    }
    out.push(b'}');
}

fn write_rest(out: &mut Vec<u8>, request: &Request<'_>, losses: &mut Vec<Loss>) {
    match &request.user {
        Some(user) if user.chars().count() > MOST_USER => losses.push(Loss::cosmetic("user")),
        Some(user) => {
            out.extend_from_slice(br#","metadata":{"#);
            text_field(out, "user_id", user);
            out.push(b'}');
        }
        None => {}
    }
    match request.service_tier {
        Some(ServiceTier::Auto) => text_field(out, "service_tier", "auto"),
        Some(ServiceTier::Standard) => text_field(out, "service_tier", "standard_only"),
        Some(ServiceTier::Flex | ServiceTier::Priority) => {
            losses.push(Loss::cosmetic("service_tier"));
        }
        None => {}
    }
    if let Some(mark) = request.cache {
        write_mark(out, mark);
    }
}

/// What the protocol has no field for.
fn without_counterpart(request: &Request<'_>, losses: &mut Vec<Loss>) {
    for (is_asked, path) in [
        (request.presence_penalty.is_some(), "presence_penalty"),
        (request.frequency_penalty.is_some(), "frequency_penalty"),
        (request.seed.is_some(), "seed"),
        (request.verbosity.is_some(), "verbosity"),
        (request.voice.is_some(), "voice"),
        (request.image_aspect.is_some(), "image_aspect"),
        (request.image_size.is_some(), "image_size"),
    ] {
        if is_asked {
            losses.push(Loss::cosmetic(path));
        }
    }
    if request.n.is_some_and(|n| n > 1) {
        losses.push(Loss::meaning(
            "n",
            "this model gives one answer at a time; send the request several times.",
        ));
    }
    if request.logprobs.is_some() {
        losses.push(Loss::meaning(
            "logprobs",
            "this model does not tell probabilities; leave it out.",
        ));
    }
    if let Some(other) = request.modalities.iter().find(|word| *word != "text") {
        losses.push(Loss::meaning(
            "modalities",
            format!("this model makes no {other}; ask for text only."),
        ));
    }
}
