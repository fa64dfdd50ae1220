//! OpenAI's other endpoints: embeddings, images, audio, moderations, legacy completions, models; and rerank, which
//! OpenAI does not have and the servers that follow it do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::{self, Ask, Finish, IMAGE_TOKENS, count, pieces};
use super::exchange::{Context, Event, Problem, Reply, Usage, Voice};
use super::json::{Json, items, obj, string, yes};
use super::openai_read::{limit, missing, model as read_model, stops};
use super::{held, media, route, sign};

/// The models that lists name; any other id is answered as well.
pub(super) const MODELS: [(&str, &str); 12] = [
    ("gpt-5", "openai"),
    ("gpt-5-mini", "openai"),
    ("gpt-4.1", "openai"),
    ("gpt-4o-mini", "openai"),
    ("text-embedding-3-small", "openai"),
    ("gpt-image-1", "openai"),
    ("claude-opus-4-7", "anthropic"),
    ("claude-sonnet-4-6", "anthropic"),
    ("claude-haiku-4-5", "anthropic"),
    ("gemini-2.5-flash", "google"),
    ("gemini-3-flash-preview", "google"),
    ("gemini-embedding-001", "google"),
];

/// The models that a platform lists.
pub(super) fn models_of(owner: &str) -> impl Iterator<Item = &'static str> {
    MODELS
        .iter()
        .filter(move |(_, one)| *one == owner)
        .map(|(id, _)| *id)
}

pub(super) fn models(context: &Context<'_>) -> Result<Reply, Problem> {
    let data: Vec<Json> = if context.voice == Voice::OpenRouter {
        MODELS
            .iter()
            .map(|(id, owner)| router_model(&format!("{owner}/{id}")))
            .collect()
    } else {
        models_of("openai").map(openai_model).collect()
    };
    Ok(Reply::json(&if context.voice == Voice::OpenRouter {
        obj! { "data": data }
    } else {
        obj! { "object": "list", "data": data }
    }))
}

/// One model by its id; OpenRouter's ids have a slash.
pub(super) fn model(context: &Context<'_>, id: &str) -> Result<Reply, Problem> {
    if id.is_empty() {
        return Err(route::not_found(context));
    }
    route::known_model(context, id)?;
    Ok(Reply::json(&if context.voice == Voice::OpenRouter {
        obj! { "data": router_model(id) }
    } else {
        openai_model(id)
    }))
}

fn openai_model(id: &str) -> Json {
    obj! { "id": id, "object": "model", "created": 1_754_000_000, "owned_by": "system" }
}

fn router_model(id: &str) -> Json {
    obj! {
        "id": id,
        "canonical_slug": id,
        "name": id,
        "created": 1_754_000_000,
        "description": "A simulated model.",
        "context_length": 200_000,
        "architecture": obj! {
            "modality": "text+image->text",
            "input_modalities": vec!["text", "image"],
            "output_modalities": vec!["text"],
            "tokenizer": "Other",
        },
        "pricing": obj! { "prompt": "0.000001", "completion": "0.000001", "request": "0", "image": "0" },
        "top_provider": obj! { "context_length": 200_000, "max_completion_tokens": 64_000, "is_moderated": false },
        "supported_parameters": vec!["max_tokens", "temperature", "tools", "tool_choice", "reasoning", "response_format", "stop"],
    }
}

/// A unit vector that depends on the text alone.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut values: Vec<f64> = Vec::with_capacity(dimensions);
    let mut block = 0_u64;
    while values.len() < dimensions {
        let mut hash = Sha256::new();
        hash.update(block.to_le_bytes());
        hash.update(text.as_bytes());
        for pair in hash.finalize().chunks_exact(2) {
            values.push(f64::from(i16::from_le_bytes([pair[0], pair[1]])));
        }
        block += 1;
    }
    values.truncate(dimensions);
    let length = values
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
        .max(1.0);
    values.iter().map(|value| (value / length) as f32).collect()
}

pub(super) fn embeddings(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = read_model(context, &body)?;
    let inputs = embedding_inputs(body.get("input"))?;
    let given = body.get("dimensions").and_then(Value::as_u64);
    let dimensions = usize::try_from(given.unwrap_or(1536).clamp(1, 8192)).unwrap_or(1536);
    let packed = string(&body, "encoding_format") == "base64";
    let mut tokens = 0;
    let mut data = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        tokens += count(input);
        let values = vector(input, dimensions);
        let embedding = if packed {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            Json::Text(STANDARD.encode(bytes))
        } else {
            Json::List(
                values
                    .into_iter()
                    .map(|value| Json::Real(f64::from(value)))
                    .collect(),
            )
        };
        data.push(obj! { "object": "embedding", "index": index, "embedding": embedding });
    }
    let usage = Usage {
        input: tokens,
        ..Usage::default()
    };
    let mut out = obj! { "object": "list", "data": data, "model": &model };
    if !context.steer.no_usage {
        out.push(
            "usage",
            obj! { "prompt_tokens": tokens, "total_tokens": tokens },
        );
    }
    Ok(Reply::json(&out).billed(&model, usage, !context.steer.no_usage))
}

/// A text, texts, tokens, or lists of tokens: each as the text that stands for it here.
fn embedding_inputs(input: Option<&Value>) -> Result<Vec<String>, Problem> {
    match input {
        Some(Value::String(text)) if !text.is_empty() => Ok(vec![text.clone()]),
        Some(Value::Array(many)) if !many.is_empty() => {
            if many.iter().all(Value::is_number) {
                return Ok(vec![Value::Array(many.clone()).to_string()]);
            }
            Ok(many
                .iter()
                .map(|one| match one {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect())
        }
        None | Some(Value::Null) => Err(missing("input")),
        Some(_) => Err(Problem::bad(
            "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
        )),
    }
}

pub(super) fn images(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = body
        .get("model")
        .and_then(Value::as_str)
        .unwrap_or("gpt-image-1")
        .to_owned();
    route::known_model(context, &model)?;
    let prompt = string(&body, "prompt");
    if prompt.is_empty() {
        return Err(missing("prompt"));
    }
    let n = body.get("n").and_then(Value::as_u64).unwrap_or(1);
    Ok(pictures(context, &model, prompt, n, 0))
}

/// JSON, or multipart of which `model`, `prompt` and `n` are read and the pictures counted.
pub(super) fn image_edits(context: &Context<'_>) -> Result<Reply, Problem> {
    let kind = context.request.header("content-type").unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        let body = context.request.json()?;
        let model = body
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or("gpt-image-1")
            .to_owned();
        route::known_model(context, &model)?;
        let prompt = string(&body, "prompt");
        let pictured = items(&body, "images").len() + usize::from(body.get("image").is_some());
        if pictured == 0 {
            return Err(missing("image"));
        }
        let n = body.get("n").and_then(Value::as_u64).unwrap_or(1);
        return Ok(pictures(context, &model, prompt, n, pictured));
    }
    let form = Form::read(kind, &context.request.body)?;
    let model = form
        .text("model")
        .unwrap_or_else(|| "gpt-image-1".to_owned());
    route::known_model(context, &model)?;
    let pictured = form.names("image") + form.names("image[]");
    if pictured == 0 {
        return Err(missing("image"));
    }
    let Some(prompt) = form.text("prompt") else {
        return Err(missing("prompt"));
    };
    let n = form
        .text("n")
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(1);
    Ok(pictures(context, &model, &prompt, n, pictured))
}

fn pictures(context: &Context<'_>, model: &str, prompt: &str, n: u64, pictured: usize) -> Reply {
    let n = n.clamp(1, 10);
    let data: Vec<Json> = (0..n)
        .map(|_| obj! { "b64_json": STANDARD.encode(media::PNG) })
        .collect();
    let text = count(prompt);
    let image = u64::try_from(pictured).unwrap_or(0) * IMAGE_TOKENS;
    let usage = Usage {
        input: text + image,
        output: n * IMAGE_TOKENS,
        ..Usage::default()
    };
    let mut out = obj! {
        "created": sign::now_s(),
        "background": "opaque",
        "data": data,
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
    };
    if !context.steer.no_usage {
        out.push(
            "usage",
            obj! {
                "input_tokens": usage.input,
                "input_tokens_details": obj! { "image_tokens": image, "text_tokens": text },
                "output_tokens": usage.output,
                "total_tokens": usage.input + usage.output,
            },
        );
    }
    Reply::json(&out).billed(model, usage, !context.steer.no_usage)
}

pub(super) fn speech(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = read_model(context, &body)?;
    let input = string(&body, "input");
    if input.is_empty() {
        return Err(missing("input"));
    }
    let usage = Usage {
        input: count(input),
        ..Usage::default()
    };
    Ok(Reply::raw("audio/wav", media::wav(input.chars().count())).billed(&model, usage, false))
}

pub(super) fn transcription(context: &Context<'_>) -> Result<Reply, Problem> {
    let kind = context.request.header("content-type").unwrap_or_default();
    let form = Form::read(kind, &context.request.body)?;
    let Some(model) = form.text("model") else {
        return Err(Problem::bad("you must provide a model parameter"));
    };
    route::known_model(context, &model)?;
    let Some(file) = form.bytes("file") else {
        return Err(missing("file"));
    };
    let text = format!("Hello from {model}. The audio has {} bytes.", file.len());
    let usage = Usage {
        input: 10,
        output: count(&text),
        ..Usage::default()
    };
    if form.text("response_format").as_deref() == Some("text") {
        return Ok(Reply::raw("text/plain; charset=utf-8", format!("{text}\n"))
            .billed(&model, usage, false));
    }
    let mut out = obj! { "text": &text };
    if !context.steer.no_usage {
        out.push(
            "usage",
            obj! {
                "type": "tokens",
                "input_tokens": usage.input,
                "input_token_details": obj! { "text_tokens": 0, "audio_tokens": usage.input },
                "output_tokens": usage.output,
                "total_tokens": usage.input + usage.output,
            },
        );
    }
    Ok(Reply::json(&out).billed(&model, usage, !context.steer.no_usage))
}

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Flags a text that contains `REFUSE`, as chat refuses it.
pub(super) fn moderations(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = body
        .get("model")
        .and_then(Value::as_str)
        .unwrap_or("omni-moderation-latest")
        .to_owned();
    route::known_model(context, &model)?;
    let inputs = embedding_inputs(body.get("input"))?;
    let results: Vec<Json> = inputs
        .iter()
        .map(|input| {
            let flagged = input.contains("REFUSE");
            let hit = |name: &str| flagged && name == "illicit";
            let categories = CATEGORIES
                .iter()
                .map(|name| ((*name).to_owned(), Json::Bool(hit(name))))
                .collect();
            let scores = CATEGORIES.iter().map(|name| {
                (
                    (*name).to_owned(),
                    Json::Real(if hit(name) { 0.98 } else { 0.0001 }),
                )
            });
            let types = CATEGORIES
                .iter()
                .map(|name| ((*name).to_owned(), Json::from(vec!["text"])));
            obj! {
                "flagged": flagged,
                "categories": Json::Object(categories),
                "category_scores": Json::Object(scores.collect()),
                "category_applied_input_types": Json::Object(types.collect()),
            }
        })
        .collect();
    Ok(Reply::json(
        &obj! { "id": sign::id("modr-", 29), "model": &model, "results": results },
    ))
}

/// The legacy completions: a prompt continued, streamed too.
pub(super) fn completions(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = read_model(context, &body)?;
    let prompt = embedding_inputs(body.get("prompt"))
        .map_err(|_| missing("prompt"))?
        .join("\n");
    let ask = Ask {
        model: model.clone(),
        user: prompt.clone(),
        // The real endpoint stops after 16 tokens unless told otherwise.
        limit: Some(limit(&body, &["max_tokens"])?.unwrap_or(16)),
        stops: stops(body.get("stop")),
        ..Ask::default()
    };
    let say = answer::say(&ask, context.steer);
    let mut text = super::cache::Prompt::default();
    text.text(&prompt);
    let mut usage = held(&context.sim.caches).by_itself(&format!("completions/{model}"), &text);
    usage.output = say.output_tokens();
    let finish = if say.finish == Finish::Length {
        "length"
    } else {
        "stop"
    };
    let counts = obj! {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    };
    let (id, created) = (sign::id("cmpl-", 29), sign::now_s());
    let envelope = |choices: Vec<Json>| {
        obj! { "id": &id, "object": "text_completion", "created": created, "model": &model, "choices": choices }
    };
    let choice = |text: &str, finish: Option<&str>| {
        obj! { "text": text, "index": 0, "logprobs": Json::Null, "finish_reason": finish }
    };
    let shows = !context.steer.no_usage;
    if !yes(&body, "stream") {
        let mut out = envelope(vec![choice(&say.text, Some(finish))]);
        if shows {
            out.push("usage", counts);
        }
        return Ok(Reply::json(&out).billed(&model, usage, shows));
    }
    let asked = body
        .get("stream_options")
        .is_some_and(|options| yes(options, "include_usage"));
    let mut events: Vec<Event> = pieces(&say.text, context.steer.events)
        .iter()
        .map(|piece| Event::data(&envelope(vec![choice(piece, None)])).saying(piece))
        .collect();
    events.push(Event::data(&envelope(vec![choice("", Some(finish))])));
    if shows && asked {
        let mut last = envelope(Vec::new());
        last.push("usage", counts);
        events.push(Event::data(&last));
    }
    events.push(Event::done());
    Ok(Reply::events(events, 0).billed(&model, usage, shows && asked))
}

/// Orders documents by how many words of the query they contain.
pub(super) fn rerank(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let model = read_model(context, &body)?;
    let query = string(&body, "query").to_lowercase();
    if query.is_empty() {
        return Err(missing("query"));
    }
    let documents = items(&body, "documents");
    if documents.is_empty() {
        return Err(missing("documents"));
    }
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut tokens = count(&query);
    let mut scored: Vec<(usize, f64)> = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let text = document
            .as_str()
            .unwrap_or_else(|| string(document, "text"))
            .to_lowercase();
        tokens += count(&text);
        let hits = words.iter().filter(|word| text.contains(**word)).count();
        scored.push((index, hits as f64 / words.len().max(1) as f64));
    }
    scored.sort_by(|left, right| right.1.total_cmp(&left.1));
    if let Some(top) = body.get("top_n").and_then(Value::as_u64) {
        scored.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    }
    let results: Vec<Json> = scored
        .iter()
        .map(|(index, score)| obj! { "index": *index, "relevance_score": *score })
        .collect();
    let out = obj! {
        "id": sign::id("rerank-", 24),
        "model": &model,
        "results": results,
        "usage": obj! { "prompt_tokens": tokens, "total_tokens": tokens },
    };
    Ok(Reply::json(&out).billed(
        &model,
        Usage {
            input: tokens,
            ..Usage::default()
        },
        true,
    ))
}

/// The parts of a multipart body, as far as they are needed here.
struct Form<'a> {
    parts: Vec<(String, &'a [u8])>,
}

impl<'a> Form<'a> {
    fn read(content_type: &str, body: &'a [u8]) -> Result<Self, Problem> {
        let boundary = content_type
            .split(';')
            .find_map(|field| field.trim().strip_prefix("boundary="));
        let Some(boundary) = boundary
            .map(|boundary| boundary.trim_matches('"'))
            .filter(|boundary| !boundary.is_empty())
        else {
            return Err(Problem::bad(
                "Could not parse multipart form: missing boundary in the content type.",
            ));
        };
        let mark = format!("--{boundary}");
        let starts: Vec<usize> = memchr::memmem::find_iter(body, mark.as_bytes()).collect();
        let mut parts = Vec::new();
        for pair in starts.windows(2) {
            let part = &body[pair[0] + mark.len()..pair[1]];
            // CRLF, headers, an empty line, the content, CRLF.
            let Some(end) = memchr::memmem::find(part, b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&part[..end]).into_owned();
            let content = part[end + 4..]
                .strip_suffix(b"\r\n")
                .unwrap_or(&part[end + 4..]);
            if let Some(name) = field_name(&head) {
                parts.push((name, content));
            }
        }
        if parts.is_empty() {
            return Err(Problem::bad("Could not parse multipart form: no parts."));
        }
        Ok(Form { parts })
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.parts
            .iter()
            .find(|(one, _)| one == name)
            .map(|(_, content)| *content)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.bytes(name)
            .map(|content| String::from_utf8_lossy(content).into_owned())
    }

    fn names(&self, name: &str) -> usize {
        self.parts.iter().filter(|(one, _)| one == name).count()
    }
}

/// `name` of a part's `content-disposition`, with or without quotes.
fn field_name(head: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    line.split(';')
        .find_map(|field| field.trim().strip_prefix("name="))
        .map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_length_one_and_depends_on_its_text() {
        let one = vector("one", 100);
        let length: f32 = one.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4);
        assert_eq!(one, vector("one", 100));
        assert_ne!(one, vector("two", 100));
    }

    #[test]
    fn a_form_is_read_as_far_as_needed() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--x\r\ncontent-disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n\r\n\x89PNG\r\n\r\n--x--\r\n";
        let form = Form::read("multipart/form-data; boundary=x", body).unwrap();
        assert_eq!(form.text("model").as_deref(), Some("gpt-image-1"));
        assert_eq!(form.bytes("image[]"), Some(&b"\x89PNG\r\n"[..]));
    }
}
