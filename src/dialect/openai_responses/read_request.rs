//! Reads a request of this protocol (<https://platform.openai.com/docs/api-reference/responses/create>). What the gateway
//! holds between requests (`previous_response_id`, `conversation`) is none of its matter: whoever holds it puts the items
//! in before.

use serde::de::{Deserialize, IgnoredAny};
use serde_json::value::RawValue;

use super::read_items::Reading;
use super::read_tools;
use crate::base::{Fault, FaultKind};
use crate::chat::{
    Format, Json, Logprobs, Loss, Part, Request, Role, ServiceTier, Thinking, Tool, Turn,
};
use crate::dialect::openai::read::{self, effort, missing, numeric, unknown, wrong};
use crate::wire::read::{Content, Count, Str, object, whole};

object! {
    struct Body<'a> {
        "model" => model: IgnoredAny,
        "input" => input: Content<'a, &'a RawValue>,
        "instructions" => instructions: Str<'a>,
        "tools" => tools: Vec<&'a RawValue>,
        "tool_choice" => tool_choice: &'a RawValue,
        "parallel_tool_calls" => parallel_tool_calls: bool,
        "max_tool_calls" => max_tool_calls: Count,
        "max_output_tokens" => max_output_tokens: Count,
        "temperature" => temperature: &'a RawValue,
        "top_p" => top_p: &'a RawValue,
        // Of those who build on this protocol.
        "top_k" => top_k: &'a RawValue,
        "presence_penalty" => presence_penalty: &'a RawValue,
        "frequency_penalty" => frequency_penalty: &'a RawValue,
        "seed" => seed: &'a RawValue,
        "top_logprobs" => top_logprobs: Count,
        "include" => include: Vec<Str<'a>>,
        "text" => text: TextWritten<'a>,
        "reasoning" => reasoning: ReasoningWritten<'a>,
        "service_tier" => service_tier: Str<'a>,
        "user" => user: Str<'a>,
        "safety_identifier" => safety_identifier: Str<'a>,
        "stream" => stream: bool,
        "truncation" => truncation: Str<'a>,
        "store" => store: bool,
        "background" => background: bool,
        "previous_response_id" => previous_response_id: IgnoredAny,
        "conversation" => conversation: IgnoredAny,
        "prompt" => prompt: IgnoredAny,
        "moderation" => moderation: IgnoredAny,
        "prompt_cache_key" => prompt_cache_key: IgnoredAny,
        "prompt_cache_retention" => prompt_cache_retention: IgnoredAny,
        "prompt_cache_options" => prompt_cache_options: IgnoredAny,
        "context_management" => context_management: IgnoredAny,
        // The answer repeats the first; the padding that the second asks for is the gateway's own matter.
        "metadata" | "stream_options" => skip: IgnoredAny,
    }
}

object! {
    struct TextWritten<'a> {
        "format" => format: FormatWritten<'a>,
        "verbosity" => verbosity: Str<'a>,
    }
}

object! {
    struct FormatWritten<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "schema" => schema: &'a RawValue,
        "strict" => strict: bool,
    }
}

object! {
    struct ReasoningWritten<'a> {
        "effort" => effort: Str<'a>,
        "summary" => summary: Str<'a>,
        "generate_summary" => generate_summary: Str<'a>,
    }
}

/// Reads what stands at `path`.
pub(super) fn inner<'a, T: Deserialize<'a>>(raw: &'a RawValue, path: &str) -> Result<T, Fault> {
    whole(raw.get().as_bytes()).map_err(|(at, what)| {
        let path = match at.as_str() {
            "." | "" => path.to_owned(),
            at if at.starts_with('[') => format!("{path}{at}"),
            at => format!("{path}.{at}"),
        };
        wrong(path, &format!("{what}."))
    })
}

pub fn read_request(body: &[u8]) -> Result<Request<'_>, Fault> {
    let mut body: Body<'_> = read::body(body)?;
    let mut request = Request::default();
    unknown("", &body.unknown, &mut request.losses);
    state(&body, &mut request.losses);
    input(&mut body, &mut request)?;
    tools(&mut body, &mut request)?;
    sampling(&body, &mut request)?;
    output(&mut body, &mut request)?;
    Ok(request)
}

fn state(body: &Body<'_>, losses: &mut Vec<Loss>) {
    for (is_there, path, why) in [
        (
            body.previous_response_id.is_some(),
            "previous_response_id",
            "the gateway does not hold that response; send the whole conversation in 'input'.",
        ),
        (
            body.conversation.is_some(),
            "conversation",
            "the gateway does not hold that conversation; send the whole conversation in 'input'.",
        ),
        (
            body.background == Some(true),
            "background",
            "nothing is kept here to be fetched later; leave it out and wait for the answer, or stream it.",
        ),
        (
            body.prompt.is_some(),
            "prompt",
            "prompts are kept at OpenAI, where other providers cannot read them; send its text in 'instructions' and 'input'.",
        ),
        (
            body.moderation.is_some(),
            "moderation",
            "only OpenAI moderates a request and its answer in one call; leave it out, or call /v1/moderations.",
        ),
    ] {
        if is_there {
            losses.push(Loss::meaning(path, why));
        }
    }
    for (is_there, path) in [
        (body.store == Some(true), "store"),
        (body.prompt_cache_key.is_some(), "prompt_cache_key"),
        (
            body.prompt_cache_retention.is_some(),
            "prompt_cache_retention",
        ),
        (body.prompt_cache_options.is_some(), "prompt_cache_options"),
        (body.context_management.is_some(), "context_management"),
        (
            body.truncation
                .as_deref()
                .is_some_and(|word| word != "disabled"),
            "truncation",
        ),
    ] {
        if is_there {
            losses.push(Loss::cosmetic(path));
        }
    }
}

fn input<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    let mut reading = Reading::default();
    if let Some(Str(text)) = body.instructions.take().filter(|text| !text.is_empty()) {
        reading
            .turns
            .push(Turn::new(Role::System, vec![Part::text(text)]));
    }
    let before = reading.turns.len();
    match body.input.take() {
        Some(Content::Text(text)) => {
            reading
                .turns
                .push(Turn::new(Role::User, vec![Part::text(text)]));
        }
        Some(Content::Many(items)) => {
            for (at, raw) in items.into_iter().enumerate() {
                reading.item(raw, &format!("input[{at}]"), &mut request.losses)?;
            }
        }
        None => {}
    }
    let elsewhere =
        body.prompt.is_some() || body.previous_response_id.is_some() || body.conversation.is_some();
    if reading.turns.len() == before && !elsewhere {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "'input' is missing or empty: a text or at least one item is needed.",
        )
        .param("input"));
    }
    request.turns = reading.turns;
    request.tools = reading.tools;
    Ok(())
}

fn tools<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    // What the history brought comes behind, without what is declared again.
    let mut tools = Vec::new();
    for (at, raw) in body.tools.take().into_iter().flatten().enumerate() {
        read_tools::tool(
            raw,
            &format!("tools[{at}]"),
            &mut request.losses,
            &mut tools,
        )?;
    }
    for tool in std::mem::take(&mut request.tools) {
        let declared = |known: &Tool<'_>| match (known, &tool) {
            (Tool::Function(known), Tool::Function(new)) => known.name == new.name,
            (Tool::Hosted { name: known, .. }, Tool::Hosted { name: new, .. }) => known == new,
            (Tool::Function(_), Tool::Hosted { .. }) | (Tool::Hosted { .. }, Tool::Function(_)) => {
                false
            }
        };
        if !tools.iter().any(declared) {
            tools.push(tool);
        }
    }
    if let Some(Count(most)) = body.max_tool_calls {
        for tool in &mut tools {
            if let Tool::Hosted { max_uses, .. } = tool {
                *max_uses = Some(most);
            }
        }
    }
    request.tools = tools;
    if let Some(choice) = body.tool_choice {
        request.tool_choice = read_tools::choice(choice, &request.tools, &mut request.losses)?;
    }
    request.parallel_tools = body.parallel_tool_calls;
    Ok(())
}

fn sampling<'a>(body: &Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    request.max_tokens = body.max_output_tokens.map(|Count(n)| n);
    request.temperature = numeric(body.temperature, "temperature")?;
    request.top_p = numeric(body.top_p, "top_p")?;
    request.top_k = numeric(body.top_k, "top_k")?;
    request.presence_penalty = numeric(body.presence_penalty, "presence_penalty")?;
    request.frequency_penalty = numeric(body.frequency_penalty, "frequency_penalty")?;
    request.seed = numeric(body.seed, "seed")?;
    let top = body
        .top_logprobs
        .map(|Count(n)| u32::try_from(n).unwrap_or(u32::MAX))
        .filter(|n| *n > 0);
    let mut logprobs = top.is_some();
    for (at, word) in body.include.iter().flatten().enumerate() {
        match &**word {
            // It is always there.
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => logprobs = true,
            _ => request
                .losses
                .push(Loss::cosmetic(format!("include[{at}]"))),
        }
    }
    request.logprobs = logprobs.then_some(Logprobs { top });
    Ok(())
}

fn output<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    let losses = &mut request.losses;
    request.stream = body.stream.unwrap_or(false);
    request.include_usage = true;
    if let Some(reasoning) = body.reasoning.take() {
        unknown("reasoning.", &reasoning.unknown, losses);
        let depth = reasoning
            .effort
            .map(|word| effort(&word, "reasoning.effort"))
            .transpose()?;
        let shown = reasoning.summary.or(reasoning.generate_summary);
        let show = shown.map(|word| &*word != "none");
        if depth.is_some() || show.is_some() {
            request.thinking = Some(Thinking { depth, show });
        }
    }
    if let Some(text) = body.text.take() {
        unknown("text.", &text.unknown, losses);
        request.verbosity = text.verbosity.map(|Str(word)| word);
        if let Some(format) = text.format {
            unknown("text.format.", &format.unknown, losses);
            request.format = Some(read_format(format)?);
        }
    }
    let also = [("ultrafast", ServiceTier::Priority)];
    request.service_tier = read::service_tier(body.service_tier.take(), &also, losses);
    request.user = read::user(body.safety_identifier.take(), body.user.take(), losses);
    Ok(())
}

fn read_format(written: FormatWritten<'_>) -> Result<Format<'_>, Fault> {
    match written.kind.as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => Ok(Format::JsonSchema {
            name: written.name.map(|Str(text)| text),
            description: written.description.map(|Str(text)| text),
            schema: Json::Borrowed(
                written
                    .schema
                    .ok_or_else(|| missing("text.format.schema", "a JSON schema is expected."))?,
            ),
            strict: written.strict,
        }),
        Some(_) | None => Err(wrong(
            "text.format.type",
            "'text', 'json_object' or 'json_schema' is expected.",
        )),
    }
}

#[cfg(test)]
mod tests;
