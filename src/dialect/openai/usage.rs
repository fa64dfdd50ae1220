//! The usage that both protocols state, under two sets of names.

use serde::Deserialize;

use crate::base::Usage;
use crate::dialect::tokens;

/// Both spellings: `prompt_tokens` of Chat, embeddings and completions; `input_tokens` of Responses,
/// images and transcriptions. Some aggregators send both, one of them 0.
#[derive(Deserialize)]
struct WrittenUsage {
    prompt_tokens: Option<f64>,
    input_tokens: Option<f64>,
    completion_tokens: Option<f64>,
    output_tokens: Option<f64>,
    total_tokens: Option<f64>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    /// So it stands in transcriptions.
    input_token_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// `DeepSeek`'s name for cached input.
    prompt_cache_hit_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<f64>,
    cache_write_tokens: Option<f64>,
    image_tokens: Option<f64>,
    audio_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<f64>,
    image_tokens: Option<f64>,
    audio_tokens: Option<f64>,
}

pub fn read_usage(object: &[u8], usage: &mut Usage) -> bool {
    let Ok(w) = serde_json::from_slice::<WrittenUsage>(object) else {
        return false;
    };
    let either = |a, b| tokens(a).max(tokens(b));
    let stated = [
        w.prompt_tokens,
        w.input_tokens,
        w.completion_tokens,
        w.output_tokens,
    ];
    if stated.iter().all(Option::is_none) {
        return false;
    }
    let input = either(w.prompt_tokens, w.input_tokens);
    let details = [
        w.prompt_tokens_details,
        w.input_tokens_details,
        w.input_token_details,
    ];
    let detail = |read: fn(&InputDetails) -> Option<f64>| {
        details.iter().flatten().map(|d| tokens(read(d))).max()
    };
    let cached = detail(|d| d.cached_tokens)
        .unwrap_or(0)
        .max(tokens(w.prompt_cache_hit_tokens))
        .min(input);
    let cache_write = detail(|d| d.cache_write_tokens)
        .unwrap_or(0)
        .min(input - cached);
    let output_details = [w.completion_tokens_details, w.output_tokens_details];
    let output_detail = |read: fn(&OutputDetails) -> Option<f64>| {
        let counts = output_details.iter().flatten().map(|d| tokens(read(d)));
        counts.max().unwrap_or(0)
    };
    let reasoning = output_detail(|d| d.reasoning_tokens);
    let mut output = either(w.completion_tokens, w.output_tokens);
    // Some (xAI) count reasoning beside the completion, as their total shows.
    if reasoning > 0 && tokens(w.total_tokens) == input + output + reasoning {
        output += reasoning;
    }
    // The images API alone tells its input apart and not its output, which is images then
    // (<https://platform.openai.com/docs/api-reference/images/object>).
    let makes_images = output_details.iter().all(Option::is_none)
        && details.iter().flatten().any(|d| d.image_tokens.is_some());
    *usage = Usage {
        uncached: input - cached - cache_write,
        cache_read: cached,
        cache_write_5m: cache_write,
        cache_write_1h: 0,
        output: output.max(reasoning),
        reasoning,
        image_input: detail(|d| d.image_tokens).unwrap_or(0),
        audio_input: detail(|d| d.audio_tokens).unwrap_or(0),
        image_output: if makes_images {
            output
        } else {
            output_detail(|d| d.image_tokens)
        },
        audio_output: output_detail(|d| d.audio_tokens),
        ..Usage::default()
    }
    .bounded();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Usage {
        let mut usage = Usage::default();
        assert!(read_usage(text.as_bytes(), &mut usage), "{text}");
        usage
    }

    #[test]
    fn usage_of_both_protocols_becomes_disjoint() {
        let chat = usage(
            r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
               "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},
               "completion_tokens_details":{"reasoning_tokens":5}}"#,
        );
        assert_eq!(
            (chat.uncached, chat.cache_read, chat.input()),
            (40, 60, 100)
        );
        assert_eq!((chat.output, chat.reasoning), (20, 5));
        let responses = usage(
            r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,
               "output_tokens_details":{"reasoning_tokens":0},"total_tokens":12}"#,
        );
        assert_eq!((responses.input(), responses.output), (9, 3));
    }

    #[test]
    fn reasoning_beside_the_completion_is_part_of_the_output() {
        let xai = usage(
            r#"{"prompt_tokens":10,"completion_tokens":4,"total_tokens":44,
               "completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        assert_eq!((xai.output, xai.reasoning), (34, 30));
    }

    #[test]
    fn odd_numbers_and_both_spellings_are_understood() {
        let both = usage(
            r#"{"prompt_tokens":3,"completion_tokens":2,"input_tokens":0,"output_tokens":0,"total_tokens":5}"#,
        );
        assert_eq!((both.input(), both.output), (3, 2));
        let floats = usage(r#"{"prompt_tokens":3.0,"completion_tokens":2e0}"#);
        assert_eq!((floats.input(), floats.output), (3, 2));
        let absurd = usage(r#"{"prompt_tokens":18446744073709551615,"completion_tokens":-5}"#);
        assert!(absurd.input() <= 1 << 40 && absurd.output == 0);
    }

    #[test]
    fn images_and_audio_are_told_apart() {
        let spoken = usage(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
               "prompt_tokens_details":{"cached_tokens":30,"audio_tokens":60,"image_tokens":5},
               "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":40,"image_tokens":3}}"#,
        );
        assert_eq!((spoken.audio_input, spoken.image_input), (60, 5));
        assert_eq!((spoken.audio_output, spoken.image_output), (40, 3));
        let drawn = usage(
            r#"{"total_tokens":150,"input_tokens":50,"output_tokens":100,
               "input_tokens_details":{"text_tokens":10,"image_tokens":40}}"#,
        );
        assert_eq!((drawn.image_input, drawn.image_output), (40, 100));
        let told = usage(
            r#"{"input_tokens":50,"output_tokens":100,
               "input_tokens_details":{"text_tokens":10,"image_tokens":40},
               "output_tokens_details":{"text_tokens":20,"image_tokens":80}}"#,
        );
        assert_eq!((told.output, told.image_output), (100, 80));
        let heard = usage(
            r#"{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},
               "output_tokens":45,"total_tokens":59}"#,
        );
        assert_eq!((heard.audio_input, heard.audio_output), (14, 0));
        let absurd = usage(
            r#"{"prompt_tokens":5,"completion_tokens":5,"prompt_tokens_details":{"audio_tokens":900},
               "completion_tokens_details":{"audio_tokens":900}}"#,
        );
        assert_eq!((absurd.audio_input, absurd.audio_output), (5, 5));
    }

    #[test]
    fn an_object_without_totals_is_no_usage() {
        let mut untouched = Usage::default();
        assert!(!read_usage(br#"{"type":"string"}"#, &mut untouched));
        assert!(!read_usage(br#"{"prompt_tokens":"many"}"#, &mut untouched));
        assert!(untouched.is_empty());
    }
}
