//! The usage that this protocol states.

use serde::Deserialize;

use crate::base::Usage;
use crate::dialect::tokens;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenUsage {
    prompt_token_count: Option<f64>,
    cached_content_token_count: Option<f64>,
    candidates_token_count: Option<f64>,
    thoughts_token_count: Option<f64>,
    tool_use_prompt_token_count: Option<f64>,
    total_token_count: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
struct WrittenDetails {
    prompt_tokens_details: Option<Vec<Counted>>,
    cache_tokens_details: Option<Vec<Counted>>,
    tool_use_prompt_tokens_details: Option<Vec<Counted>>,
    candidates_tokens_details: Option<Vec<Counted>>,
}

/// How many of the tokens are of one modality.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    modality: Option<Modality>,
    token_count: Option<f64>,
}

/// Those that have prices of their own; video and documents cost what text does. Some write the number of the enum.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(from = "WrittenModality<'_>")]
enum Modality {
    Image,
    Audio,
    Other,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenModality<'a> {
    Name(&'a str),
    Number(f64),
    Other(serde::de::IgnoredAny),
}

impl From<WrittenModality<'_>> for Modality {
    fn from(written: WrittenModality<'_>) -> Self {
        match written {
            WrittenModality::Name("IMAGE") => Self::Image,
            WrittenModality::Name("AUDIO") => Self::Audio,
            WrittenModality::Number(2.0) => Self::Image,
            WrittenModality::Number(4.0) => Self::Audio,
            WrittenModality::Name(_) | WrittenModality::Number(_) | WrittenModality::Other(_) => {
                Self::Other
            }
        }
    }
}

fn count(details: Option<&Vec<Counted>>, modality: Modality) -> u64 {
    let all = details.into_iter().flatten();
    let own = all.filter(|d| d.modality == Some(modality));
    own.map(|d| tokens(d.token_count)).sum()
}

/// Each chunk repeats the totals: they replace, they do not add.
pub fn read_usage(object: &[u8], usage: &mut Usage) -> bool {
    let Ok(written) = serde_json::from_slice::<WrittenUsage>(object) else {
        return false;
    };
    if written.prompt_token_count.is_none() && written.total_token_count.is_none() {
        return false;
    }
    // What is odd in the details spoils no total.
    let details: WrittenDetails = serde_json::from_slice(object).unwrap_or_default();
    let tool_use = tokens(written.tool_use_prompt_token_count);
    let input = tokens(written.prompt_token_count) + tool_use;
    let cached = tokens(written.cached_content_token_count).min(input);
    let thoughts = tokens(written.thoughts_token_count);
    let told = |modality| {
        count(details.prompt_tokens_details.as_ref(), modality)
            + count(details.tool_use_prompt_tokens_details.as_ref(), modality)
    };
    *usage = Usage {
        uncached: input - cached,
        cache_read: cached,
        cache_write_5m: 0,
        cache_write_1h: 0,
        output: tokens(written.candidates_token_count) + thoughts,
        reasoning: thoughts,
        image_input: told(Modality::Image),
        audio_input: told(Modality::Audio),
        image_output: count(details.candidates_tokens_details.as_ref(), Modality::Image),
        audio_output: count(details.candidates_tokens_details.as_ref(), Modality::Audio),
        cached_image: count(details.cache_tokens_details.as_ref(), Modality::Image),
        cached_audio: count(details.cache_tokens_details.as_ref(), Modality::Audio),
    }
    .bounded();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_audio_are_told_apart() {
        let mut usage = Usage::default();
        assert!(read_usage(
            br#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":1290,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":60},
                    {"modality":"IMAGE","tokenCount":20},{"modality":"VIDEO","tokenCount":10},{}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":30}],
                "toolUsePromptTokensDetails":null,
                "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}"#,
            &mut usage,
        ));
        assert_eq!((usage.audio_input, usage.cached_audio), (60, 30));
        assert_eq!((usage.image_input, usage.cached_image), (20, 0));
        assert_eq!((usage.image_output, usage.audio_output), (1290, 0));
    }

    #[test]
    fn modalities_may_be_numbers_and_odd_details_spoil_no_total() {
        for (details, audio) in [
            (
                r#"[{"modality":4,"tokenCount":5},{"modality":1,"tokenCount":3}]"#,
                5,
            ),
            (r#"[{"modality":{},"tokenCount":5}]"#, 0),
            (r#""none""#, 0),
        ] {
            let written = format!(
                r#"{{"promptTokenCount":8,"candidatesTokenCount":8,"promptTokensDetails":{details}}}"#
            );
            let mut usage = Usage::default();
            assert!(read_usage(written.as_bytes(), &mut usage), "{details}");
            assert_eq!(
                (usage.input(), usage.output, usage.audio_input),
                (8, 8, audio)
            );
        }
    }

    #[test]
    fn thoughts_are_output_and_cached_is_part_of_the_prompt() {
        let mut usage = Usage::default();
        assert!(read_usage(
            br#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,
                "thoughtsTokenCount":30,"totalTokenCount":137}"#,
            &mut usage
        ));
        assert_eq!(
            (
                usage.input(),
                usage.cache_read,
                usage.output,
                usage.reasoning
            ),
            (100, 60, 37, 30)
        );
    }
}
