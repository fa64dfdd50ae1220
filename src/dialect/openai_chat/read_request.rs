//! Reads a request of this protocol (<https://platform.openai.com/docs/api-reference/chat/create>), with what OpenRouter,
//! `LiteLLM` and the servers that are built like OpenAI's have added to it.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::read_tools::{self, FunctionWritten, ToolWritten};
use super::read_turns::{self, CacheWritten, Message};
use crate::base::{Fault, FaultKind};
use crate::chat::{Depth, Format, Json, Logprobs, Loss, Request, ServiceTier, Text, Thinking};
use crate::dialect::openai::read::{self, numeric, unknown, wrong};
use crate::wire::read::{Count, List, Str, object};

object! {
    struct Body<'a> {
        "model" => model: IgnoredAny,
        "messages" => messages: Vec<Message<'a>>,
        "stream" => stream: bool,
        "stream_options" => stream_options: StreamOptions<'a>,
        "max_tokens" => max_tokens: Count,
        "max_completion_tokens" => max_completion_tokens: Count,
        "temperature" => temperature: &'a RawValue,
        "top_p" => top_p: &'a RawValue,
        "top_k" => top_k: &'a RawValue,
        "presence_penalty" => presence_penalty: &'a RawValue,
        "frequency_penalty" => frequency_penalty: &'a RawValue,
        "seed" => seed: &'a RawValue,
        "stop" => stop: List<Str<'a>>,
        "n" => n: Count,
        "logprobs" => logprobs: bool,
        "top_logprobs" => top_logprobs: Count,
        "service_tier" => service_tier: Str<'a>,
        "user" => user: Str<'a>,
        "safety_identifier" => safety_identifier: Str<'a>,
        "verbosity" => verbosity: Str<'a>,
        "response_format" => response_format: FormatWritten<'a>,
        "reasoning_effort" => reasoning_effort: Str<'a>,
        "reasoning" => reasoning: ReasoningWritten<'a>,
        "include_reasoning" => include_reasoning: bool,
        "thinking" => thinking: ThinkingWritten<'a>,
        "tools" => tools: Vec<ToolWritten<'a>>,
        "tool_choice" => tool_choice: &'a RawValue,
        "parallel_tool_calls" => parallel_tool_calls: bool,
        "functions" => functions: Vec<FunctionWritten<'a>>,
        "function_call" => function_call: &'a RawValue,
        "web_search_options" => web_search_options: SearchOptions<'a>,
        "plugins" => plugins: Vec<Plugin<'a>>,
        "modalities" => modalities: Vec<Str<'a>>,
        "audio" => audio: AudioWritten<'a>,
        "image_config" => image_config: ImageConfig<'a>,
        "cache_control" => cache_control: CacheWritten<'a>,
        "usage" => usage: UsageWanted<'a>,
        "moderation" => moderation: IgnoredAny,
    }
}

object! {
    struct StreamOptions<'a> {
        "include_usage" => include_usage: bool,
    }
}

object! {
    /// OpenRouter's older way to ask for usage.
    struct UsageWanted<'a> {
        "include" => include: bool,
    }
}

object! {
    struct FormatWritten<'a> {
        "type" => kind: Str<'a>,
        "json_schema" => json_schema: SchemaWritten<'a>,
    }
}

object! {
    struct SchemaWritten<'a> {
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "schema" => schema: &'a RawValue,
        "strict" => strict: bool,
    }
}

object! {
    /// <https://openrouter.ai/docs/use-cases/reasoning-tokens>
    struct ReasoningWritten<'a> {
        "effort" => effort: Str<'a>,
        "max_tokens" => max_tokens: Count,
        "exclude" => exclude: bool,
        "enabled" => enabled: bool,
    }
}

object! {
    struct ThinkingWritten<'a> {
        "type" => kind: Str<'a>,
        "budget_tokens" => budget_tokens: Count,
    }
}

object! {
    struct SearchOptions<'a> {
        "search_context_size" => context_size: IgnoredAny,
        "user_location" => location: IgnoredAny,
    }
}

object! {
    pub(super) struct Plugin<'a> {
        "id" => id: Str<'a>,
        "enabled" => enabled: bool,
        "include_domains" | "allowed_domains" => allowed: Vec<Str<'a>>,
        "exclude_domains" | "blocked_domains" => blocked: Vec<Str<'a>>,
        "max_uses" => max_uses: Count,
    }
}

object! {
    struct AudioWritten<'a> {
        "voice" => voice: &'a RawValue,
        "format" => format: Str<'a>,
    }
}

object! {
    struct ImageConfig<'a> {
        "aspect_ratio" => aspect_ratio: Str<'a>,
        "image_size" => image_size: Str<'a>,
    }
}

pub fn read_request(body: &[u8]) -> Result<Request<'_>, Fault> {
    let mut body: Body<'_> = read::body(body)?;
    let mut request = Request::default();
    let losses = &mut request.losses;
    unknown("", &body.unknown, losses);
    if body.moderation.is_some() {
        losses.push(Loss::meaning(
            "moderation",
            "only OpenAI moderates a request and its answer in one call; leave it out, or call /v1/moderations.",
        ));
    }

    request.turns = match body.messages.take() {
        Some(messages) if !messages.is_empty() => read_turns::turns(messages, losses)?,
        Some(_) | None => {
            return Err(Fault::new(
                FaultKind::InvalidRequest,
                "'messages' is missing or empty: at least one message is needed.",
            )
            .param("messages"));
        }
    };
    tools(&mut body, &mut request)?;
    sampling(&mut body, &mut request)?;
    request.thinking = thinking(&body, &mut request.losses)?;
    request.format = body
        .response_format
        .take()
        .map(|format| read_format(format, &mut request.losses))
        .transpose()?
        .flatten();
    output(&mut body, &mut request);
    Ok(request)
}

fn tools<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    let losses = &mut request.losses;
    for (at, tool) in body.tools.take().into_iter().flatten().enumerate() {
        request.tools.push(read_tools::tool(tool, at, losses)?);
    }
    if let Some(functions) = body.functions.take() {
        request.legacy_functions = true;
        for (at, function) in functions.into_iter().enumerate() {
            request.tools.push(read_tools::function(
                function,
                &format!("functions[{at}]"),
                losses,
            )?);
        }
        // The old form has room for one call.
        request.parallel_tools = Some(false);
    }
    if let Some(choice) = body.tool_choice {
        request.tool_choice = Some(read_tools::choice(choice, losses)?);
    } else if let Some(choice) = body.function_call {
        request.tool_choice = Some(read_tools::function_choice(choice)?);
    }
    request.parallel_tools = body.parallel_tool_calls.or(request.parallel_tools);
    if let Some(options) = body.web_search_options.take() {
        if options.context_size.is_some() {
            losses.push(Loss::cosmetic("web_search_options.search_context_size"));
        }
        if options.location.is_some() {
            losses.push(Loss::cosmetic("web_search_options.user_location"));
        }
        unknown("web_search_options.", &options.unknown, losses);
        request
            .tools
            .push(read_tools::web_search("web_search_options"));
    }
    for (at, plugin) in body.plugins.take().into_iter().flatten().enumerate() {
        request.tools.extend(read_tools::plugin(plugin, at, losses));
    }
    Ok(())
}

fn sampling<'a>(body: &mut Body<'a>, request: &mut Request<'a>) -> Result<(), Fault> {
    request.max_tokens = body
        .max_completion_tokens
        .or(body.max_tokens)
        .map(|Count(n)| n);
    request.temperature = numeric(body.temperature, "temperature")?;
    request.top_p = numeric(body.top_p, "top_p")?;
    request.top_k = numeric(body.top_k, "top_k")?;
    request.presence_penalty = numeric(body.presence_penalty, "presence_penalty")?;
    request.frequency_penalty = numeric(body.frequency_penalty, "frequency_penalty")?;
    request.seed = numeric(body.seed, "seed")?;
    request.stop = body
        .stop
        .take()
        .into_iter()
        .flat_map(|List(all)| all)
        .map(|Str(text)| text)
        .filter(|text| !text.is_empty())
        .collect();
    request.n = match body.n {
        None => None,
        Some(Count(n @ 1..=128)) => Some(n as u32),
        Some(_) => return Err(wrong("n", "a number from 1 to 128 is expected.")),
    };
    let top = body
        .top_logprobs
        .map(|Count(n)| n.min(u64::from(u32::MAX)) as u32);
    match (body.logprobs, top) {
        (Some(true), top) => request.logprobs = Some(Logprobs { top }),
        (Some(false) | None, Some(1..)) => {
            return Err(wrong("top_logprobs", "it needs 'logprobs' to be true."));
        }
        (Some(false) | None, Some(0) | None) => {}
    }
    Ok(())
}

fn output<'a>(body: &mut Body<'a>, request: &mut Request<'a>) {
    let losses = &mut request.losses;
    request.stream = body.stream.unwrap_or(false);
    if let Some(options) = &body.stream_options {
        request.include_usage = options.include_usage.unwrap_or(false);
        unknown("stream_options.", &options.unknown, losses);
    }
    if let Some(usage) = &body.usage {
        request.include_usage |= usage.include.unwrap_or(false);
    }
    let also = [("on_demand", ServiceTier::Standard)];
    request.service_tier = read::service_tier(body.service_tier.take(), &also, losses);
    request.user = read::user(body.safety_identifier.take(), body.user.take(), losses);
    request.verbosity = body.verbosity.take().map(|Str(text)| text);
    request.cache = body
        .cache_control
        .take()
        .and_then(|cache| read_turns::mark(&cache));
    request.modalities = body
        .modalities
        .take()
        .into_iter()
        .flatten()
        .map(|Str(word)| word)
        .map(|word| {
            if word.bytes().any(|b| b.is_ascii_uppercase()) {
                Text::Owned(word.to_ascii_lowercase())
            } else {
                word
            }
        })
        .filter(|word| word != "text")
        .collect();
    if let Some(audio) = body.audio.take() {
        let voice = audio.voice.and_then(|raw| {
            let read = serde_json::from_str::<Str<'a>>(raw.get());
            if read.is_err() {
                losses.push(Loss::meaning(
                    "audio.voice",
                    "a custom voice exists at its own provider only; name a built-in one.",
                ));
            }
            read.ok().map(|Str(text)| text)
        });
        request.voice = Some((voice, audio.format.map(|Str(text)| text)));
        unknown("audio.", &audio.unknown, losses);
    }
    if let Some(config) = body.image_config.take() {
        request.image_aspect = config.aspect_ratio.map(|Str(text)| text);
        request.image_size = config.image_size.map(|Str(text)| text);
        unknown("image_config.", &config.unknown, losses);
    }
}

fn effort(word: &str, param: &str) -> Result<Depth, Fault> {
    match word {
        // Groq's word for what the model does by itself.
        "default" => Ok(Depth::Dynamic),
        word => read::effort(word, param),
    }
}

fn thinking(body: &Body<'_>, losses: &mut Vec<Loss>) -> Result<Option<Thinking>, Fault> {
    let mut depth = None;
    let mut show = body.include_reasoning;
    if let Some(word) = &body.reasoning_effort {
        depth = Some(effort(word, "reasoning_effort")?);
    }
    if let Some(thinking) = &body.thinking {
        unknown("thinking.", &thinking.unknown, losses);
        depth = match (thinking.kind.as_deref(), thinking.budget_tokens) {
            (Some("disabled"), _) => Some(Depth::Off),
            (_, Some(Count(budget))) => Some(Depth::Budget(budget)),
            // An effort beside it says more.
            (Some(_), None) => depth.or(Some(Depth::Dynamic)),
            (None, None) => depth,
        };
    }
    if let Some(reasoning) = &body.reasoning {
        unknown("reasoning.", &reasoning.unknown, losses);
        let word = reasoning.effort.as_deref();
        depth = match (reasoning.max_tokens, word, reasoning.enabled) {
            (_, _, Some(false)) => Some(Depth::Off),
            (Some(Count(budget)), _, _) => Some(Depth::Budget(budget)),
            (None, Some(word), _) => Some(effort(word, "reasoning.effort")?),
            (None, None, Some(true)) => depth.or(Some(Depth::Dynamic)),
            (None, None, None) => depth,
        };
        show = reasoning.exclude.map(|exclude| !exclude).or(show);
    }
    Ok((depth.is_some() || show.is_some()).then_some(Thinking { depth, show }))
}

fn read_format<'a>(
    written: FormatWritten<'a>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Format<'a>>, Fault> {
    unknown("response_format.", &written.unknown, losses);
    match written.kind.as_deref() {
        Some("text") => Ok(Some(Format::Text)),
        Some("json_object") => Ok(Some(Format::JsonObject)),
        Some("json_schema") => {
            let written = written.json_schema.unwrap_or_default();
            unknown("response_format.json_schema.", &written.unknown, losses);
            let schema = written.schema.ok_or_else(|| {
                wrong(
                    "response_format.json_schema.schema",
                    "a JSON schema is expected.",
                )
            })?;
            Ok(Some(Format::JsonSchema {
                name: written.name.map(|Str(text)| text),
                description: written.description.map(|Str(text)| text),
                schema: Json::Borrowed(schema),
                strict: written.strict,
            }))
        }
        Some("grammar" | "python") => {
            losses.push(Loss::meaning(
                "response_format",
                "no other provider writes by a grammar; use 'json_schema'.",
            ));
            Ok(None)
        }
        Some(_) | None => Err(wrong(
            "response_format.type",
            "'text', 'json_object' or 'json_schema' is expected.",
        )),
    }
}

#[cfg(test)]
mod tests;
