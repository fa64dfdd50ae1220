//! The prompt as it is counted, and the prompt caches of the providers.
//!
//! OpenAI and Gemini cache every prefix of 1024 tokens and more by themselves; Anthropic caches up to the marks
//! (`cache_control`) that the request sets.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use serde_json::Value;

use super::answer::{IMAGE_TOKENS, count};
use super::exchange::Usage;

/// How many prefixes are remembered; beyond that all are forgotten, which is what a cache may do at any time.
const MOST_PREFIXES: usize = 200_000;

/// The shortest prefix that OpenAI and Gemini cache, and the step beyond it.
const LEAST_TOKENS: u64 = 1024;
const STEP_TOKENS: u64 = 128;

/// How long a marked prefix lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    FiveMinutes,
    OneHour,
}

impl Life {
    /// Reads the `ttl` of a `cache_control`.
    pub(super) fn read(mark: &Value) -> Self {
        if mark.get("ttl").and_then(Value::as_str) == Some("1h") {
            Life::OneHour
        } else {
            Life::FiveMinutes
        }
    }
}

#[derive(Clone, Debug)]
struct Piece {
    text: String,
    tokens: u64,
    mark: Option<Life>,
}

/// The prompt, piece by piece in the order in which the provider sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    pieces: Vec<Piece>,
}

impl Prompt {
    pub(super) fn text(&mut self, text: &str) {
        self.add(text.to_owned(), count(text));
    }

    /// Structured parts (tools, calls) count by their JSON text.
    pub(super) fn value(&mut self, value: &Value) {
        let text = value.to_string();
        let tokens = count(&text);
        self.add(text, tokens);
    }

    /// An image or a file: a flat price, whatever its bytes.
    pub(super) fn image(&mut self, value: &Value) {
        self.add(value.to_string(), IMAGE_TOKENS);
    }

    /// Marks the end of what was added last as the end of a cached prefix.
    pub(super) fn mark(&mut self, life: Life) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.mark = Some(life);
        }
    }

    pub(super) fn tokens(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| piece.tokens)
            .sum::<u64>()
            .max(1)
    }

    fn add(&mut self, text: String, tokens: u64) {
        self.pieces.push(Piece {
            text,
            tokens,
            mark: None,
        });
    }
}

/// The prefixes that have been seen.
#[derive(Debug, Default)]
pub(super) struct Caches {
    seen: HashSet<u64>,
}

impl Caches {
    /// Input and cache counts of a provider that caches by itself.
    pub(super) fn by_itself(&mut self, owner: &str, prompt: &Prompt) -> Usage {
        let input = prompt.tokens();
        let mut usage = Usage {
            input,
            ..Usage::default()
        };
        if input < LEAST_TOKENS {
            return usage;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(owner.as_bytes());
        let mut tokens = 0;
        let mut fresh = Vec::new();
        let mut next = LEAST_TOKENS;
        let mut known = true;
        for piece in &prompt.pieces {
            hasher.write(piece.text.as_bytes());
            hasher.write_u8(0);
            tokens += piece.tokens;
            if tokens < next {
                continue;
            }
            let key = hasher.finish();
            known = known && self.seen.contains(&key);
            if known {
                usage.cache_read = tokens - tokens % STEP_TOKENS;
            } else {
                fresh.push(key);
            }
            next = tokens + 1;
        }
        // A provider always reads the last token itself.
        if usage.cache_read >= input {
            usage.cache_read = (input - 1) / STEP_TOKENS * STEP_TOKENS;
        }
        self.remember(fresh);
        usage
    }

    /// Input and cache counts of a provider that caches up to marks: the longest marked prefix that is known is
    /// read, what follows up to the last mark is written.
    pub(super) fn by_marks(&mut self, owner: &str, prompt: &Prompt) -> Usage {
        let mut usage = Usage {
            input: prompt.tokens(),
            ..Usage::default()
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(owner.as_bytes());
        let mut tokens = 0;
        let mut marks = Vec::new();
        for piece in &prompt.pieces {
            hasher.write(piece.text.as_bytes());
            hasher.write_u8(0);
            tokens += piece.tokens;
            if let Some(life) = piece.mark {
                marks.push((hasher.finish(), tokens, life));
            }
        }
        let known = marks
            .iter()
            .rposition(|(key, _, _)| self.seen.contains(key));
        let mut at = 0;
        if let Some(known) = known {
            usage.cache_read = marks[known].1;
            at = usage.cache_read;
        }
        for (_, end, life) in marks.iter().skip(known.map_or(0, |known| known + 1)) {
            let written = end - at;
            match life {
                Life::FiveMinutes => usage.cache_write_5m += written,
                Life::OneHour => usage.cache_write_1h += written,
            }
            at = *end;
        }
        self.remember(marks.into_iter().map(|(key, _, _)| key).collect());
        usage
    }

    fn remember(&mut self, keys: Vec<u64>) {
        if self.seen.len() + keys.len() > MOST_PREFIXES {
            self.seen.clear();
        }
        for key in keys {
            self.seen.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_prefix_is_written_once_and_then_read() {
        let mut prompt = Prompt::default();
        prompt.text("a long system prompt");
        prompt.mark(Life::OneHour);
        prompt.text("question");
        let mut caches = Caches::default();
        let first = caches.by_marks("m", &prompt);
        assert_eq!(
            (first.cache_write_1h, first.cache_read, first.uncached()),
            (5, 0, 2)
        );
        let second = caches.by_marks("m", &prompt);
        assert_eq!(
            (second.cache_write(), second.cache_read, second.uncached()),
            (0, 5, 2)
        );
    }

    #[test]
    fn a_long_prefix_is_cached_without_marks() {
        let mut prompt = Prompt::default();
        prompt.text(&"word ".repeat(2000));
        prompt.text("first question");
        let mut caches = Caches::default();
        assert_eq!(caches.by_itself("m", &prompt).cache_read, 0);
        let mut other = Prompt::default();
        other.text(&"word ".repeat(2000));
        other.text("second question");
        assert_eq!(caches.by_itself("m", &other).cache_read, 2432);
    }
}
