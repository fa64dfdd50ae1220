//! OpenAI's other endpoints: embeddings, images, audio, moderations, legacy completions, models; and rerank, which
//! OpenAI does not have and the servers that follow it do.

mod form;
mod images;
mod models;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::{self, Ask, Finish, count, pieces};
use super::exchange::{Context, Event, Problem, Reply, Usage};
use super::json::{Json, items, obj, string, yes};
use super::openai_read::{limit, missing, model as read_model, stops};
use super::{held, media, route, sign};

use form::Form;
pub(super) use images::{image_edits, images};
pub(super) use models::{model, models, models_of};

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
}
