//! The models that lists name.

use crate::simulate::exchange::{Context, Problem, Reply, Voice};
use crate::simulate::json::{Json, obj};
use crate::simulate::route;

/// The models that lists name; any other id is answered as well.
pub(in crate::simulate) const MODELS: [(&str, &str); 12] = [
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
pub(in crate::simulate) fn models_of(owner: &str) -> impl Iterator<Item = &'static str> {
    MODELS
        .iter()
        .filter(move |(_, one)| *one == owner)
        .map(|(id, _)| *id)
}

pub(in crate::simulate) fn models(context: &Context<'_>) -> Result<Reply, Problem> {
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
pub(in crate::simulate) fn model(context: &Context<'_>, id: &str) -> Result<Reply, Problem> {
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
