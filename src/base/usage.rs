//! Tokens of one request, in one model for all dialects.

/// Cumulative tokens. The parts of the input are disjoint: `input() = uncached + cache_read +
/// cache_write()`. `output` holds the reasoning tokens, of which `reasoning` says how many.
///
/// Each dialect's reader makes this form; nobody else normalises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
