//! Reads a request of this protocol (<https://platform.openai.com/docs/api-reference/chat/create>), with what OpenRouter,
//! `LiteLLM` and the servers that are built like OpenAI's have added to it.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::read_tools::{self, FunctionWritten, ToolWritten};
use super::read_turns::{self, CacheWritten, Message};
use crate::base::{Fault, FaultKind};
use crate::chat::{
    Depth, Effort, Format, Json, Logprobs, Loss, Request, ServiceTier, Text, Thinking,
};
use crate::wire::read::{Count, List, Str, object, whole};

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

/// A request that is wrong: where, and what to write instead.
pub(super) fn wrong(param: impl Into<String>, what: &str) -> Fault {
    let param = param.into();
    Fault::new(
        FaultKind::InvalidRequest,
        format!("'{param}' is wrong: {what}"),
    )
    .param(param)
}

/// Unknown fields change nothing that is known of.
pub(super) fn unknown(prefix: &str, names: &[Text<'_>], losses: &mut Vec<Loss>) {
    losses.extend(
        names
            .iter()
            .map(|name| Loss::cosmetic(format!("{prefix}{name}"))),
    );
}

/// A number as it is written.
fn numeric<'a>(raw: Option<&'a RawValue>, param: &str) -> Result<Option<Json<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    match raw.get().as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => Ok(Some(Json::Borrowed(raw))),
        Some(_) | None => Err(wrong(param, "a number is expected.")),
    }
}

pub fn read_request(body: &[u8]) -> Result<Request<'_>, Fault> {
    let mut body: Body<'_> = whole(body).map_err(|(path, what)| {
        let message = if path == "." {
            format!("The body is wrong: {what}.")
        } else {
            format!("'{path}' is wrong: {what}.")
        };
        Fault::new(FaultKind::InvalidRequest, message).param(path)
    })?;
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
    request.service_tier =
        body.service_tier
            .take()
            .and_then(|tier| match &*tier.to_ascii_lowercase() {
                "auto" => Some(ServiceTier::Auto),
                "default" | "standard" | "on_demand" => Some(ServiceTier::Standard),
                "flex" => Some(ServiceTier::Flex),
                "priority" | "fast" => Some(ServiceTier::Priority),
                _ => {
                    losses.push(Loss::cosmetic("service_tier"));
                    None
                }
            });
    request.user = match (body.safety_identifier.take(), body.user.take()) {
        (Some(Str(id)), Some(Str(user))) => {
            if id != user {
                losses.push(Loss::cosmetic("user"));
            }
            Some(id)
        }
        (Some(Str(one)), None) | (None, Some(Str(one))) => Some(one),
        (None, None) => None,
    };
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
    Ok(match word {
        "none" => Depth::Off,
        "minimal" => Depth::Effort(Effort::Minimal),
        "low" => Depth::Effort(Effort::Low),
        "medium" => Depth::Effort(Effort::Medium),
        "high" => Depth::Effort(Effort::High),
        "xhigh" => Depth::Effort(Effort::XHigh),
        "max" => Depth::Effort(Effort::Max),
        // Groq's word for what the model does by itself.
        "default" | "auto" => Depth::Dynamic,
        _ => {
            return Err(wrong(
                param,
                "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max' is expected.",
            ));
        }
    })
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
mod tests {
    use super::*;
    use crate::chat::{Hosted, Severity, Tool};

    fn read(fields: &str) -> Request<'_> {
        read_request(fields.as_bytes()).unwrap_or_else(|fault| panic!("{fields}: {fault:?}"))
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#)
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let body = with(r#""temperature":1.50e+2,"seed":12345678901234567890123,"top_k":5.0"#);
        let request = read(&body);
        assert_eq!(
            request.temperature.map(|n| n.get().to_owned()).as_deref(),
            Some("1.50e+2")
        );
        assert_eq!(
            request.seed.map(|n| n.get().to_owned()).as_deref(),
            Some("12345678901234567890123")
        );
        assert!(request.losses.is_empty());
    }

    #[test]
    fn reasoning_is_understood_in_each_spelling() {
        for (fields, depth, show) in [
            (r#""reasoning_effort":"none""#, Some(Depth::Off), None),
            (
                r#""reasoning_effort":"xhigh""#,
                Some(Depth::Effort(Effort::XHigh)),
                None,
            ),
            (
                r#""reasoning":{"effort":"low","exclude":true}"#,
                Some(Depth::Effort(Effort::Low)),
                Some(false),
            ),
            (
                r#""reasoning":{"max_tokens":2000}"#,
                Some(Depth::Budget(2000)),
                None,
            ),
            (
                r#""reasoning":{"enabled":true}"#,
                Some(Depth::Dynamic),
                None,
            ),
            (r#""reasoning":{"enabled":false}"#, Some(Depth::Off), None),
            (
                r#""thinking":{"type":"enabled","budget_tokens":1024}"#,
                Some(Depth::Budget(1024)),
                None,
            ),
            (r#""thinking":{"type":"disabled"}"#, Some(Depth::Off), None),
            (r#""include_reasoning":true"#, None, Some(true)),
        ] {
            let body = with(fields);
            assert_eq!(
                read(&body).thinking,
                Some(Thinking { depth, show }),
                "{fields}"
            );
        }
        assert_eq!(read(&with(r#""reasoning_effort":null"#)).thinking, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            (r#"{"model":"m"}"#.to_owned(), "messages"),
            (r#"{"messages":[]}"#.to_owned(), "messages"),
            (with(r#""n":0"#), "n"),
            (with(r#""temperature":"hot""#), "temperature"),
            (with(r#""top_logprobs":2"#), "top_logprobs"),
            (with(r#""reasoning_effort":"huge""#), "reasoning_effort"),
            (
                with(r#""response_format":{"type":"json_schema"}"#),
                "response_format.json_schema.schema",
            ),
            (with(r#""max_tokens":-5"#), "max_tokens"),
            (with(r#""tool_choice":"perhaps""#), "tool_choice"),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#.to_owned(),
                "messages[0].content[0].text",
            ),
        ] {
            let fault = read_request(body.as_bytes()).expect_err(&body);
            assert_eq!(
                fault.param.as_deref(),
                Some(param),
                "{body}: {}",
                fault.message
            );
            assert_eq!(fault.kind, FaultKind::InvalidRequest);
        }
    }

    #[test]
    fn unknown_fields_are_named_and_harmless() {
        let body = with(
            r#""logit_bias":{"1":2},"provider":{},"stream_options":{"include_usage":true,"x":1}"#,
        );
        let request = read(&body);
        assert!(request.include_usage);
        let paths: Vec<&str> = request.losses.iter().map(|loss| &*loss.path).collect();
        assert_eq!(paths, ["logit_bias", "provider", "stream_options.x"]);
        assert!(
            request
                .losses
                .iter()
                .all(|loss| loss.severity == Severity::Cosmetic)
        );
    }

    #[test]
    fn searching_is_a_hosted_tool_however_it_is_asked_for() {
        for fields in [
            r#""web_search_options":{}"#,
            r#""plugins":[{"id":"web"}]"#,
            r#""tools":[{"type":"openrouter:web_search"}]"#,
            r#""tools":[{"type":"web_search"}]"#,
        ] {
            let body = with(fields);
            let request = read(&body);
            assert!(
                matches!(
                    request.tools[..],
                    [Tool::Hosted {
                        kind: Hosted::WebSearch,
                        ..
                    }]
                ),
                "{fields}"
            );
        }
    }
}
