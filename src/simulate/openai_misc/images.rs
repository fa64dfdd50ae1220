//! Images: made and edited.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::form::Form;
use crate::simulate::answer::{IMAGE_TOKENS, count};
use crate::simulate::exchange::{Context, Problem, Reply, Usage};
use crate::simulate::json::{Json, items, obj, string};
use crate::simulate::openai_read::missing;
use crate::simulate::{media, route, sign};

pub(in crate::simulate) fn images(context: &Context<'_>) -> Result<Reply, Problem> {
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
pub(in crate::simulate) fn image_edits(context: &Context<'_>) -> Result<Reply, Problem> {
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
