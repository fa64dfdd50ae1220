//! The Gemini API: generate, stream, count, embed, models.
//!
//! A stream is a row of whole responses, each with the totals so far: as events with `alt=sse`, else as the
//! elements of one JSON array.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::answer::{self, Finish, Say, count, pieces};
use super::cache::Prompt;
use super::exchange::{Body, Context, Event, Problem, Reply, Usage};
use super::gemini_read::{self, Content, MAKER, list};
use super::json::{Json, obj, pick, string};
use super::{held, media, openai_misc, route, sign};

/// Every path of Gemini's.
pub(super) fn endpoint(context: &Context<'_>, rest: &str) -> Result<Reply, Problem> {
    if rest == "models" {
        route::method(context, "GET")?;
        let models: Vec<Json> = openai_misc::models_of("google").map(model).collect();
        return Ok(Reply::json(&obj! { "models": models }));
    }
    let Some(rest) = rest.strip_prefix("models/") else {
        return Err(route::not_found(context));
    };
    let Some((id, verb)) = rest.rsplit_once(':') else {
        route::method(context, "GET")?;
        route::known_model(context, rest)?;
        return Ok(Reply::json(&model(rest)));
    };
    let create: fn(&Context<'_>, &str) -> Result<Reply, Problem> = match verb {
        "generateContent" => generate,
        "streamGenerateContent" => stream,
        "countTokens" => count_tokens,
        "embedContent" => embed,
        "batchEmbedContents" => batch_embed,
        "predict" => predict,
        _ => return Err(route::not_found(context)),
    };
    route::method(context, "POST")?;
    route::known_model(context, id)?;
    create(context, id)
}

fn model(id: &str) -> Json {
    let verbs = if id.contains("embedding") {
        vec!["embedContent", "countTokens"]
    } else {
        vec!["generateContent", "countTokens"]
    };
    obj! {
        "name": format!("models/{id}"),
        "version": "001",
        "displayName": id,
        "description": "A simulated model.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": verbs,
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
    }
}

/// What Google says of a body that it cannot read.
fn body(context: &Context<'_>) -> Result<Value, Problem> {
    context
        .request
        .json()
        .map_err(|_| Problem::bad("Invalid JSON payload received. Unexpected token."))
}

fn generate(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let content = gemini_read::read(model, &body(context)?)?;
    let say = answer::say(&content.ask, context.steer);
    let writer = Writer::new(context, &content, &say);
    Ok(Reply::json(&writer.whole())
        .billed(model, writer.usage, writer.shows_usage)
        .paced(say.slow))
}

fn stream(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let content = gemini_read::read(model, &body(context)?)?;
    let say = answer::say(&content.ask, context.steer);
    let writer = Writer::new(context, &content, &say);
    let events = writer.stream();
    let sse = context.request.query_value("alt") == Some("sse");
    let reply = if sse {
        Reply::events(events, 0)
    } else {
        Reply::of(Body::Array(events))
    };
    Ok(reply
        .billed(model, writer.usage, writer.shows_usage)
        .paced(say.slow))
}

fn count_tokens(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let body = body(context)?;
    let inner = pick(
        &body,
        &["generateContentRequest", "generate_content_request"],
    )
    .unwrap_or(&body);
    let tokens = gemini_read::read(model, inner)?.prompt.tokens();
    Ok(Reply::json(&obj! {
        "totalTokens": tokens,
        "promptTokensDetails": vec![obj! { "modality": "TEXT", "tokenCount": tokens }],
    }))
}

/// The text of a content, and whether there is any part at all.
fn embedded(request: &Value) -> Result<(String, usize), Problem> {
    let content = pick(request, &["content"]).unwrap_or(&Value::Null);
    let parts = list(content, &["parts"]);
    if parts.is_empty() {
        return Err(Problem::bad(
            "* EmbedContentRequest.content: contents is not specified\n",
        ));
    }
    let texts: Vec<&str> = parts.iter().map(|part| string(part, "text")).collect();
    let wanted = pick(request, &["outputDimensionality", "output_dimensionality"])
        .or_else(|| {
            pick(request, &["embedContentConfig"])
                .and_then(|config| pick(config, &["outputDimensionality"]))
        })
        .and_then(Value::as_u64)
        .unwrap_or(3072);
    Ok((
        texts.join("\n"),
        usize::try_from(wanted.clamp(1, 8192)).unwrap_or(3072),
    ))
}

fn values(text: &str, dimensions: usize) -> Json {
    let numbers = openai_misc::vector(text, dimensions)
        .into_iter()
        .map(|value| Json::Real(f64::from(value)));
    obj! { "values": Json::List(numbers.collect()) }
}

fn embed(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let (text, dimensions) = embedded(&body(context)?)?;
    let tokens = count(&text);
    let out = obj! { "embedding": values(&text, dimensions), "usageMetadata": obj! { "promptTokenCount": tokens } };
    Ok(Reply::json(&out).billed(
        model,
        Usage {
            input: tokens,
            ..Usage::default()
        },
        true,
    ))
}

fn batch_embed(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let body = body(context)?;
    let requests = list(&body, &["requests"]);
    if requests.is_empty() {
        return Err(Problem::bad(
            "* BatchEmbedContentsRequest.requests: at least one request is required\n",
        ));
    }
    let mut tokens = 0;
    let mut embeddings = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        // Each request names its model again, and it must be the one of the path.
        if string(request, "model").trim_start_matches("models/") != model {
            return Err(Problem::bad(format!(
                "* BatchEmbedContentsRequest.requests[{at}].model: model must match the model specified in the path.\n"
            )));
        }
        let (text, dimensions) = embedded(request)?;
        tokens += count(&text);
        embeddings.push(values(&text, dimensions));
    }
    let out =
        obj! { "embeddings": embeddings, "usageMetadata": obj! { "promptTokenCount": tokens } };
    Ok(Reply::json(&out).billed(
        model,
        Usage {
            input: tokens,
            ..Usage::default()
        },
        true,
    ))
}

/// Imagen's verb: pictures from a prompt.
fn predict(context: &Context<'_>, model: &str) -> Result<Reply, Problem> {
    let body = body(context)?;
    let prompt = list(&body, &["instances"])
        .first()
        .map(|instance| string(instance, "prompt"))
        .unwrap_or_default();
    if prompt.is_empty() {
        return Err(Problem::bad(
            "* PredictRequest.instances: prompt is not specified\n",
        ));
    }
    let wanted = body
        .get("parameters")
        .and_then(|parameters| pick(parameters, &["sampleCount", "sample_count"]));
    let n = wanted.and_then(Value::as_u64).unwrap_or(1).clamp(1, 4);
    let predictions: Vec<Json> = (0..n)
        .map(
            |_| obj! { "mimeType": "image/png", "bytesBase64Encoded": STANDARD.encode(media::PNG) },
        )
        .collect();
    let usage = Usage {
        input: count(prompt),
        ..Usage::default()
    };
    Ok(Reply::json(&obj! { "predictions": predictions }).billed(model, usage, false))
}

struct Writer<'a> {
    id: String,
    content: &'a Content,
    say: &'a Say,
    usage: Usage,
    shows_usage: bool,
    pieces: Option<u32>,
}

impl<'a> Writer<'a> {
    fn new(context: &Context<'_>, content: &'a Content, say: &'a Say) -> Self {
        let prompt: &Prompt = &content.prompt;
        let mut usage =
            held(&context.sim.caches).by_itself(&format!("gemini/{}", content.ask.model), prompt);
        usage.reasoning = say.reasoning_tokens();
        // What is refused is never sent.
        usage.output = if say.refused() {
            usage.reasoning
        } else {
            say.output_tokens()
        };
        Writer {
            id: sign::id("", 23),
            content,
            say,
            usage,
            shows_usage: !context.steer.no_usage,
            pieces: context.steer.events,
        }
    }

    fn finish(&self) -> &'static str {
        match self.say.finish {
            Finish::Stop | Finish::StopSequence(_) | Finish::Tools => "STOP",
            Finish::Length => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
        }
    }

    /// Gemini 3 signs its calls whether or not thoughts were asked for, and gives them ids.
    fn third(&self) -> bool {
        self.content.ask.model.starts_with("gemini-3")
    }

    fn signs(&self) -> bool {
        self.third() || self.say.thought.is_some()
    }

    /// One response: candidate, usage with so many tokens of output, model, id.
    fn response(&self, parts: Vec<Json>, finish: Option<&str>, sent: u64) -> Json {
        let mut candidate = obj! { "content": obj! { "parts": parts, "role": "model" } };
        if let Some(finish) = finish {
            candidate.push("finishReason", finish);
        }
        candidate.push("index", 0);
        if finish.is_some() && self.say.finish == Finish::Tools {
            candidate.push("finishMessage", "Model generated function call(s).");
        }
        let mut out = obj! { "candidates": vec![candidate] };
        if self.shows_usage {
            out.push("usageMetadata", self.usage(sent));
        }
        out.push("modelVersion", &self.content.ask.model);
        out.push("responseId", &self.id);
        out
    }

    /// Thoughts are counted beside the candidates, not in them.
    fn usage(&self, sent: u64) -> Json {
        let usage = &self.usage;
        let mut out = obj! { "promptTokenCount": usage.input };
        if sent > 0 {
            out.push("candidatesTokenCount", sent);
        }
        out.push("totalTokenCount", usage.input + sent + usage.reasoning);
        if usage.cache_read > 0 {
            out.push("cachedContentTokenCount", usage.cache_read);
        }
        out.push(
            "promptTokensDetails",
            vec![obj! { "modality": "TEXT", "tokenCount": usage.input }],
        );
        if usage.reasoning > 0 {
            out.push("thoughtsTokenCount", usage.reasoning);
        }
        out
    }

    fn candidates(&self) -> u64 {
        self.usage.output - self.usage.reasoning
    }

    fn call_part(&self, at: usize) -> Json {
        let call = &self.say.calls[at];
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let mut function = obj! { "name": &call.name, "args": arguments };
        if self.third() {
            function.push("id", sign::id("", 8).to_lowercase());
        }
        let mut part = obj! { "functionCall": function };
        // Of parallel calls only the first is signed.
        if at == 0 && self.signs() {
            part.push("thoughtSignature", sign::sign(MAKER, ""));
        }
        part
    }

    fn picture() -> Json {
        obj! { "inlineData": obj! { "mimeType": "image/png", "data": STANDARD.encode(media::PNG) } }
    }

    fn shown_thought(&self) -> Option<&'a str> {
        self.say
            .thought
            .as_deref()
            .filter(|_| self.content.shows_thoughts)
    }

    fn whole(&self) -> Json {
        let mut parts = Vec::new();
        if let Some(thought) = self.shown_thought() {
            parts.push(obj! { "text": thought, "thought": true });
        }
        if !self.say.text.is_empty() && !self.say.refused() {
            let mut part = obj! { "text": &self.say.text };
            if self.say.thought.is_some() {
                part.push("thoughtSignature", sign::sign(MAKER, ""));
            }
            parts.push(part);
        }
        if self.content.pictures {
            parts.push(Self::picture());
        }
        parts.extend((0..self.say.calls.len()).map(|at| self.call_part(at)));
        self.response(parts, Some(self.finish()), self.candidates())
    }

    fn stream(&self) -> Vec<Event> {
        let mut out = Vec::new();
        let total = self.candidates();
        for piece in self
            .shown_thought()
            .map(|thought| pieces(thought, None))
            .unwrap_or_default()
        {
            let part = obj! { "text": &piece, "thought": true };
            out.push(Event::data(&self.response(vec![part], None, 0)).saying(&piece));
        }
        let text = if self.say.refused() {
            ""
        } else {
            self.say.text.as_str()
        };
        let mut letters = 0_u64;
        for piece in pieces(text, self.pieces) {
            letters += piece.chars().count() as u64;
            let sent = letters.div_ceil(4).min(total);
            out.push(
                Event::data(&self.response(vec![obj! { "text": &piece }], None, sent))
                    .saying(&piece),
            );
        }
        if self.content.pictures {
            out.push(Event::data(&self.response(
                vec![Self::picture()],
                None,
                total,
            )));
        }
        for (at, call) in self.say.calls.iter().enumerate() {
            let event = Event::data(&self.response(vec![self.call_part(at)], None, total));
            out.push(event.saying(&call.arguments));
        }
        let mut last = obj! { "text": "" };
        if self.say.thought.is_some() && self.say.calls.is_empty() {
            last.push("thoughtSignature", sign::sign(MAKER, ""));
        }
        out.push(Event::data(&self.response(
            vec![last],
            Some(self.finish()),
            total,
        )));
        out
    }
}
