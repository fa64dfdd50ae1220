//! `generationConfig`.

use super::{Depth, Effort, Format, Losses, Object, Request, Target, Thinking, Written, schema};
use crate::chat::Json;

/// More stop sequences are refused (<https://ai.google.dev/api/generate-content#generationconfig>).
const MOST_STOPS: usize = 5;

pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) {
    let mut config = Object::open(out);
    let stops: Vec<&str> = request
        .stop
        .iter()
        .map(|stop| &**stop)
        .filter(|stop| !stop.is_empty())
        .collect();
    if stops.len() > MOST_STOPS {
        losses.meaning("stop", "Gemini takes at most 5 stop sequences; send fewer.");
    } else if !stops.is_empty() {
        config.texts("stopSequences", stops);
    }
    for (name, value) in [
        ("temperature", &request.temperature),
        ("topP", &request.top_p),
        ("topK", &request.top_k),
        ("presencePenalty", &request.presence_penalty),
        ("frequencyPenalty", &request.frequency_penalty),
    ] {
        if let Some(value) = value {
            config.raw(name, value.get());
        }
    }
    if let Some(seed) = &request.seed {
        write_seed(seed, &mut config, losses);
    }
    if let Some(tokens) = request.max_tokens {
        config.number("maxOutputTokens", tokens);
    }
    if let Some(n) = request.n {
        config.number("candidateCount", u64::from(n));
    }
    if let Some(logprobs) = request.logprobs {
        config.raw("responseLogprobs", "true");
        if let Some(top) = logprobs.top.filter(|top| *top > 0) {
            config.number("logprobs", u64::from(top));
        }
    }
    if let Some(format) = &request.format {
        write_format(format, &mut config, losses);
    }
    write_thinking(request, target, &mut config, losses);
    write_media(request, &mut config, losses);
    config.close();
}

/// Seeds have 32 bits here; others of the protocols have more.
fn write_seed(seed: &Json<'_>, config: &mut Object<'_>, losses: &mut Losses) {
    if serde_json::from_str::<i32>(seed.get()).is_ok() {
        config.raw("seed", seed.get());
    } else {
        losses.cosmetic("seed");
    }
}

fn write_format(format: &Format<'_>, config: &mut Object<'_>, losses: &mut Losses) {
    match format {
        Format::Text => {}
        Format::JsonObject => config.text("responseMimeType", "application/json"),
        Format::JsonSchema {
            schema,
            name: _,
            description,
            strict: _,
        } => {
            config.text("responseMimeType", "application/json");
            match schema::to_gemini(schema, false) {
                Written::Nothing => {}
                Written::Schema(schema) => config.bytes("responseSchema", &schema),
                Written::Raw => config.raw("responseJsonSchema", schema.get()),
            }
            if description.is_some() {
                losses.cosmetic("response_format.json_schema.description");
            }
        }
    }
}

/// <https://ai.google.dev/gemini-api/docs/thinking>
fn write_thinking(
    request: &Request<'_>,
    target: &Target<'_>,
    config: &mut Object<'_>,
    losses: &mut Losses,
) {
    let Some(wanted) = request.thinking else {
        return;
    };
    let thinks = wanted.depth.is_some_and(|depth| depth != Depth::Off);
    let Some(way) = target.thinking else {
        if thinks || wanted.show == Some(true) {
            losses.cosmetic("thinking");
        }
        return;
    };
    let mut out = Vec::new();
    let mut thinking = Object::open(&mut out);
    if wanted.show == Some(true) || (wanted.show.is_none() && thinks) {
        thinking.raw("includeThoughts", "true");
    }
    match (way, wanted.depth) {
        (_, None) | (Thinking::Level, Some(Depth::Dynamic)) => {}
        (Thinking::Budget, Some(Depth::Dynamic)) => thinking.raw("thinkingBudget", "-1"),
        (Thinking::Budget, Some(Depth::Off)) => {
            if target.can_disable {
                thinking.raw("thinkingBudget", "0");
            } else {
                losses.cosmetic("thinking");
            }
        }
        (Thinking::Budget, Some(Depth::Budget(tokens))) => {
            thinking.number("thinkingBudget", tokens);
        }
        (Thinking::Budget, Some(Depth::Effort(effort))) => {
            thinking.number("thinkingBudget", effort.budget());
        }
        (Thinking::Level, Some(Depth::Off)) => {
            // This generation always thinks, if only a little.
            losses.cosmetic("thinking");
            thinking.text("thinkingLevel", level(Effort::Minimal, target));
        }
        (Thinking::Level, Some(Depth::Budget(tokens))) => {
            thinking.text("thinkingLevel", level(Effort::of_budget(tokens), target));
        }
        (Thinking::Level, Some(Depth::Effort(effort))) => {
            thinking.text("thinkingLevel", level(effort, target));
        }
    }
    let is_empty = thinking.is_empty();
    thinking.close();
    if !is_empty {
        config.bytes("thinkingConfig", &out);
    }
}

fn level(effort: Effort, target: &Target<'_>) -> &'static str {
    match effort {
        Effort::Minimal if target.minimal_level => "minimal",
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }
}

fn write_media(request: &Request<'_>, config: &mut Object<'_>, losses: &mut Losses) {
    let wants = |word: &str| request.modalities.iter().any(|wanted| wanted == word);
    match (wants("image"), wants("audio")) {
        (false, false) => {}
        (true, false) => config.raw("responseModalities", r#"["TEXT","IMAGE"]"#),
        // Models that speak give nothing else (https://ai.google.dev/gemini-api/docs/speech-generation).
        (false, true) => config.raw("responseModalities", r#"["AUDIO"]"#),
        (true, true) => losses.meaning(
            "modalities",
            "no Gemini model makes images and audio in one answer; ask for one of them.",
        ),
    }
    if let Some((voice, format)) = &request.voice {
        if let Some(voice) = voice {
            let mut speech = Object::open(config.key("speechConfig"));
            let mut outer = Object::open(speech.key("voiceConfig"));
            let mut inner = Object::open(outer.key("prebuiltVoiceConfig"));
            inner.text("voiceName", voice);
            inner.close();
            outer.close();
            speech.close();
        }
        let is_pcm = |format: &str| format.starts_with("pcm");
        if format.as_deref().is_some_and(|format| !is_pcm(format)) {
            losses.meaning(
                "audio.format",
                "Gemini speaks raw PCM of 24 kHz only; ask for 'pcm16'.",
            );
        }
    }
    if request.image_aspect.is_some() || request.image_size.is_some() {
        let mut image = Object::open(config.key("imageConfig"));
        if let Some(aspect) = &request.image_aspect {
            image.text("aspectRatio", aspect);
        }
        if let Some(size) = &request.image_size {
            image.text("imageSize", size);
        }
        image.close();
    }
}
