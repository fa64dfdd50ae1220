//! `generationConfig`.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::schema;
use super::{Losses, number, wrong};
use crate::base::Fault;
use crate::chat::{Depth, Effort, Format, Json, Logprobs, Request, Thinking};
use crate::wire::read::{Count, List, Str, object};

object! {
    pub(super) struct Config<'a> {
        "stopSequences" | "stop_sequences" => stop: List<Str<'a>>,
        "temperature" => temperature: &'a RawValue,
        "topP" | "top_p" => top_p: &'a RawValue,
        "topK" | "top_k" => top_k: &'a RawValue,
        "maxOutputTokens" | "max_output_tokens" => max_tokens: Count,
        "candidateCount" | "candidate_count" => n: Count,
        "seed" => seed: &'a RawValue,
        "presencePenalty" | "presence_penalty" => presence: &'a RawValue,
        "frequencyPenalty" | "frequency_penalty" => frequency: &'a RawValue,
        "responseLogprobs" | "response_logprobs" => logprobs: bool,
        "logprobs" => top_logprobs: Count,
        "responseMimeType" | "response_mime_type" => mime: Str<'a>,
        "responseSchema" | "response_schema" => schema: &'a RawValue,
        "responseJsonSchema" | "response_json_schema" | "_responseJsonSchema" => json_schema: &'a RawValue,
        "responseFormat" | "response_format" => format: IgnoredAny,
        "thinkingConfig" | "thinking_config" => thinking: ThinkingConfig<'a>,
        "responseModalities" | "response_modalities" => modalities: List<&'a RawValue>,
        "speechConfig" | "speech_config" => speech: Speech<'a>,
        "imageConfig" | "image_config" => image: ImageConfig<'a>,
        "mediaResolution" | "media_resolution" => resolution: IgnoredAny,
        "enableEnhancedCivicAnswers" | "enable_enhanced_civic_answers" => civic: IgnoredAny,
    }
}

object! {
    pub(super) struct ThinkingConfig<'a> {
        "includeThoughts" | "include_thoughts" => show: bool,
        "thinkingBudget" | "thinking_budget" => budget: &'a RawValue,
        "thinkingLevel" | "thinking_level" => level: Str<'a>,
    }
}

object! {
    pub(super) struct Speech<'a> {
        "voiceConfig" | "voice_config" => voice: Voice<'a>,
        "multiSpeakerVoiceConfig" | "multi_speaker_voice_config" => speakers: IgnoredAny,
        "languageCode" | "language_code" => language: IgnoredAny,
    }
}

object! {
    pub(super) struct Voice<'a> {
        "prebuiltVoiceConfig" | "prebuilt_voice_config" => prebuilt: Prebuilt<'a>,
    }
}

object! {
    pub(super) struct Prebuilt<'a> {
        "voiceName" | "voice_name" => name: Str<'a>,
    }
}

object! {
    pub(super) struct ImageConfig<'a> {
        "aspectRatio" | "aspect_ratio" => aspect: Str<'a>,
        "imageSize" | "image_size" => size: Str<'a>,
    }
}

const PLACE: &str = "generationConfig";

pub(super) fn read<'a>(
    config: Config<'a>,
    request: &mut Request<'a>,
    losses: &mut Losses<'_>,
) -> Result<(), Fault> {
    request.stop = config
        .stop
        .map(|list| list.0.into_iter().map(|text| text.0).collect())
        .unwrap_or_default();
    request.temperature = number(config.temperature, "generationConfig.temperature")?;
    request.top_p = number(config.top_p, "generationConfig.topP")?;
    request.top_k = number(config.top_k, "generationConfig.topK")?;
    request.seed = number(config.seed, "generationConfig.seed")?;
    request.presence_penalty = number(config.presence, "generationConfig.presencePenalty")?;
    request.frequency_penalty = number(config.frequency, "generationConfig.frequencyPenalty")?;
    // 0 is "not set" in protocol buffers.
    request.max_tokens = config.max_tokens.map(|n| n.0).filter(|n| *n > 0);
    request.n = config
        .n
        .and_then(|n| u32::try_from(n.0).ok())
        .filter(|n| *n > 0);
    if config.logprobs == Some(true) {
        request.logprobs = Some(Logprobs {
            top: config.top_logprobs.and_then(|n| u32::try_from(n.0).ok()),
        });
    }
    let free = config.json_schema.map(Json::Borrowed);
    let schema = free.or_else(|| config.schema.map(schema::to_standard));
    request.format = format(config.mime.as_deref(), schema, losses);
    if config.format.is_some() {
        losses.meaning(
            "generationConfig.responseFormat",
            "use 'responseMimeType' and 'responseJsonSchema' instead.",
        );
    }
    if let Some(thinking) = config.thinking {
        read_thinking(&thinking, request, losses)?;
    }
    for raw in config.modalities.map(|list| list.0).unwrap_or_default() {
        let word = serde_json::from_str::<Str<'_>>(raw.get()).map(|w| w.to_ascii_lowercase());
        match (raw.get(), word.as_deref().unwrap_or_default()) {
            ("0" | "1", _) | (_, "text" | "modality_unspecified") => {}
            ("2", _) | (_, "image") => request.modalities.push("image".into()),
            ("3", _) | (_, "audio") => request.modalities.push("audio".into()),
            (_, other) => {
                return Err(wrong(
                    "generationConfig.responseModalities",
                    format!("'{other}' is not a modality; there are TEXT, IMAGE and AUDIO."),
                ));
            }
        }
    }
    if let Some(speech) = config.speech {
        let voice = speech.voice.and_then(|voice| voice.prebuilt?.name);
        request.voice = voice.map(|name| (Some(name.0), None));
        losses.cosmetic_if(
            speech.language.is_some(),
            "generationConfig.speechConfig.languageCode",
        );
        if speech.speakers.is_some() {
            losses.meaning(
                "generationConfig.speechConfig.multiSpeakerVoiceConfig",
                "only Gemini's own models speak with several voices; use one voice.",
            );
        }
        losses.unknown("generationConfig.speechConfig", &speech.unknown);
    }
    if let Some(image) = config.image {
        request.image_aspect = image.aspect.map(|text| text.0);
        request.image_size = image.size.map(|text| text.0);
        losses.unknown("generationConfig.imageConfig", &image.unknown);
    }
    losses.cosmetic_if(
        config.resolution.is_some(),
        "generationConfig.mediaResolution",
    );
    losses.cosmetic_if(
        config.civic.is_some(),
        "generationConfig.enableEnhancedCivicAnswers",
    );
    losses.unknown(PLACE, &config.unknown);
    Ok(())
}

fn format<'a>(
    mime: Option<&str>,
    schema: Option<Json<'a>>,
    losses: &mut Losses<'_>,
) -> Option<Format<'a>> {
    match (mime.unwrap_or_default(), schema) {
        ("application/json" | "", Some(schema)) => Some(Format::JsonSchema {
            name: None,
            description: None,
            schema,
            strict: None,
        }),
        ("application/json", None) => Some(Format::JsonObject),
        ("", None) => None,
        ("text/plain", schema) => {
            losses.cosmetic_if(schema.is_some(), "generationConfig.responseSchema");
            Some(Format::Text)
        }
        _ => {
            losses.meaning(
                "generationConfig.responseMimeType",
                "only 'text/plain' and 'application/json' exist elsewhere; for a choice of values ask for JSON with an enum in its schema.",
            );
            None
        }
    }
}

fn read_thinking(
    config: &ThinkingConfig<'_>,
    request: &mut Request<'_>,
    losses: &mut Losses<'_>,
) -> Result<(), Fault> {
    let path = "generationConfig.thinkingConfig.thinkingBudget";
    let mut depth = None;
    if let Some(budget) = number(config.budget, path)? {
        let tokens = serde_json::from_str::<f64>(budget.get()).ok();
        depth = tokens.map(|tokens| match tokens as i64 {
            0 => Depth::Off,
            ..0 => Depth::Dynamic,
            tokens => Depth::Budget(tokens.unsigned_abs()),
        });
    }
    if let Some(level) = &config.level {
        let effort = match level.to_ascii_lowercase().as_str() {
            "minimal" => Some(Effort::Minimal),
            "low" => Some(Effort::Low),
            "medium" => Some(Effort::Medium),
            "high" => Some(Effort::High),
            "" | "thinking_level_unspecified" => None,
            _ => {
                losses.cosmetic("generationConfig.thinkingConfig.thinkingLevel");
                None
            }
        };
        depth = effort.map(Depth::Effort).or(depth);
    }
    if depth.is_some() || config.show.is_some() {
        request.thinking = Some(Thinking {
            depth,
            show: config.show,
        });
    }
    losses.unknown("generationConfig.thinkingConfig", &config.unknown);
    Ok(())
}
