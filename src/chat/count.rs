//! About how many tokens a text is, where no provider says. Vocabularies differ between makers and change with models;
//! what is counted here is what they have in common: short words are one token, long ones one for each four or
//! five letters, digits go by threes, signs and characters of other scripts by themselves.

use super::part::{Part, PartKind, Source};
use super::request::{Request, Tool};

/// What a turn costs beside its text.
const PER_TURN: u64 = 4;
/// What an image costs, more or less, whatever its size.
const PER_IMAGE: u64 = 800;
/// What a file costs for each of its bytes.
const BYTES_PER_FILE_TOKEN: u64 = 60;

/// Tokens of a text.
pub fn text(text: &str) -> u64 {
    let (mut tokens, mut letters, mut digits) = (0_u64, 0_u64, 0_u64);
    let mut signs = 0_u64;
    for c in text.chars() {
        let is_letter = c.is_ascii_alphabetic() || ('\u{c0}'..='\u{24f}').contains(&c);
        if !is_letter && letters > 0 {
            tokens += letters.div_ceil(6).max(1);
            letters = 0;
        }
        if !c.is_ascii_digit() && digits > 0 {
            tokens += digits.div_ceil(3);
            digits = 0;
        }
        if c.is_ascii_punctuation() {
            signs += 1;
        } else if signs > 0 {
            tokens += signs.div_ceil(2);
            signs = 0;
        }
        if is_letter {
            letters += 1;
        } else if c.is_ascii_digit() {
            digits += 1;
        } else if c == '\n' {
            tokens += 1;
        } else if !c.is_ascii() && !c.is_whitespace() {
            tokens += if c.is_alphabetic() && !is_wide(c) {
                1
            } else {
                2
            };
        }
    }
    tokens + letters.div_ceil(6) + digits.div_ceil(3) + signs.div_ceil(2)
}

/// Characters outside the basic plane, emoji first of all.
fn is_wide(c: char) -> bool {
    c as u32 > 0xffff
}

/// Tokens of a request's input.
pub fn request(request: &Request<'_>) -> u64 {
    let turns: u64 = request
        .turns
        .iter()
        .map(|turn| PER_TURN + parts(&turn.parts))
        .sum();
    let tools: u64 = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function(f) => {
                PER_TURN
                    + text(&f.name)
                    + f.description.as_deref().map_or(0, text)
                    + f.parameters.as_ref().map_or(0, |schema| text(schema.get()))
            }
            Tool::Hosted { .. } => PER_TURN,
        })
        .sum();
    turns + tools
}

fn parts(all: &[Part<'_>]) -> u64 {
    all.iter()
        .map(|part| match &part.kind {
            PartKind::Text { text: t, .. } | PartKind::Refusal(t) => text(t),
            PartKind::Reasoning(reasoning) => text(&reasoning.text),
            PartKind::ToolCall(call) => PER_TURN + text(&call.name) + text(&call.arguments),
            PartKind::ToolResult(result) => PER_TURN + parts(&result.content),
            PartKind::Media(media) => match (&media.source, media.kind) {
                (Source::Plain(t), _) => text(t),
                (Source::Base64(data), super::MediaKind::Document) => {
                    data.len() as u64 / BYTES_PER_FILE_TOKEN
                }
                (Source::Base64(_) | Source::Url(_) | Source::File(_), _) => PER_IMAGE,
            },
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn counts_lie_near_those_of_real_vocabularies() {
        // Counts of o200k for the same texts.
        for (sample, real) in [
            ("Hello, world!", 4),
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("fn main() { println!(\"{}\", 1234567); }", 15),
            ("Wie viele Tokens hat dieser deutsche Satz?", 9),
            ("こんにちは世界", 3),
            ("", 0),
        ] {
            let counted = text(sample);
            assert!(
                counted.abs_diff(real) <= real / 2 + 4,
                "{sample}: {counted} instead of {real}"
            );
        }
    }
}
