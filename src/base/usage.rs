//! Tokens of one request, in one model for all dialects.

use std::fmt;

/// Cumulative tokens. The parts of the input are disjoint: `input() = uncached + cache_read +
/// cache_write()`. `output` holds the reasoning tokens, of which `reasoning` says how many.
///
/// Each dialect's reader makes this form; nobody else normalises.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub uncached: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
    pub output: u64,
    pub reasoning: u64,
    /// Of the input and of the output, where a provider tells them apart.
    pub image_input: u64,
    pub audio_input: u64,
    pub image_output: u64,
    pub audio_output: u64,
    /// Of `cache_read`, and of `image_input` and `audio_input`.
    pub cached_image: u64,
    pub cached_audio: u64,
}

/// The service tier by which a provider bills a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    #[default]
    Standard,
    Flex,
    Batch,
    Priority,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::Standard, Self::Flex, Self::Batch, Self::Priority];

    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Batch => "batch",
            Self::Priority => "priority",
        }
    }
}

impl Usage {
    pub fn input(&self) -> u64 {
        self.uncached + self.cache_read + self.cache_write()
    }

    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    /// With no part larger than its whole. Images and audio that are more than what was not cached were cached.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.image_input = self.image_input.min(self.input());
        self.audio_input = self.audio_input.min(self.input() - self.image_input);
        self.image_output = self.image_output.min(self.output);
        self.audio_output = self.audio_output.min(self.output - self.image_output);
        self.reasoning = self.reasoning.min(self.output);
        self.cached_image = self.cached_image.min(self.image_input).min(self.cache_read);
        let rest = self.cache_read - self.cached_image;
        self.cached_audio = self.cached_audio.min(self.audio_input).min(rest);
        let image = self.image_input - self.cached_image;
        let audio = self.audio_input - self.cached_audio;
        let over = (image + audio).saturating_sub(self.uncached + self.cache_write());
        self.cached_image += over.min(image);
        self.cached_audio += over - over.min(image);
        self
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Images and audio only where there are any.
impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Usage");
        out.field("uncached", &self.uncached)
            .field("cache_read", &self.cache_read)
            .field("cache_write_5m", &self.cache_write_5m)
            .field("cache_write_1h", &self.cache_write_1h)
            .field("output", &self.output)
            .field("reasoning", &self.reasoning);
        for (name, tokens) in [
            ("image_input", self.image_input),
            ("audio_input", self.audio_input),
            ("image_output", self.image_output),
            ("audio_output", self.audio_output),
            ("cached_image", self.cached_image),
            ("cached_audio", self.cached_audio),
        ] {
            if tokens > 0 {
                out.field(name, &tokens);
            }
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_is_larger_than_its_whole() {
        let usage = Usage {
            uncached: 10,
            cache_read: 20,
            output: 5,
            reasoning: 9,
            image_input: 100,
            audio_input: 7,
            image_output: 3,
            audio_output: 3,
            cached_audio: 50,
            ..Usage::default()
        };
        let bounded = usage.bounded();
        assert_eq!((bounded.image_input, bounded.audio_input), (30, 0));
        assert_eq!((bounded.image_output, bounded.audio_output), (3, 2));
        assert_eq!((bounded.cached_image, bounded.cached_audio), (20, 0));
        assert_eq!(bounded.reasoning, 5);
        assert_eq!(bounded.bounded(), bounded);
    }

    #[test]
    fn media_that_was_not_all_new_was_cached() {
        let usage = Usage {
            uncached: 10,
            cache_read: 20,
            image_input: 8,
            audio_input: 12,
            ..Usage::default()
        };
        let bounded = usage.bounded();
        assert_eq!((bounded.cached_image, bounded.cached_audio), (8, 2));
    }
}
