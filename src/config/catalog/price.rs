//! What a model's tokens cost: prices by kind of token, by how long the input is, by service tier.

use crate::base::{Tier, Usage, Usd};

/// A kind of token that has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Input,
    Cached,
    CacheWrite5m,
    CacheWrite1h,
    Output,
    ImageInput,
    CachedImage,
    AudioInput,
    CachedAudio,
    ImageOutput,
    AudioOutput,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Input,
        Self::Cached,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::ImageInput,
        Self::CachedImage,
        Self::AudioInput,
        Self::CachedAudio,
        Self::ImageOutput,
        Self::AudioOutput,
    ];

    const OUTPUTS: [Self; 3] = [Self::Output, Self::ImageOutput, Self::AudioOutput];

    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Cached => "cached",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::ImageInput => "image_input",
            Self::CachedImage => "cached_image",
            Self::AudioInput => "audio_input",
            Self::CachedAudio => "cached_audio",
            Self::ImageOutput => "image_output",
            Self::AudioOutput => "audio_output",
        }
    }

    /// The kinds whose price such tokens have, the first that is known: a provider that has no price for cached or
    /// image tokens bills them as others. Writing for an hour always costs more, so that nothing can stand for it.
    fn billed_as(self) -> &'static [Self] {
        match self {
            Self::Input => &[Self::Input],
            Self::Cached => &[Self::Cached, Self::Input],
            Self::CacheWrite5m => &[Self::CacheWrite5m, Self::Input],
            Self::CacheWrite1h => &[Self::CacheWrite1h],
            Self::Output => &[Self::Output],
            Self::ImageInput => &[Self::ImageInput, Self::Input],
            Self::CachedImage => &[
                Self::CachedImage,
                Self::Cached,
                Self::ImageInput,
                Self::Input,
            ],
            Self::AudioInput => &[Self::AudioInput, Self::Input],
            Self::CachedAudio => &[
                Self::CachedAudio,
                Self::Cached,
                Self::AudioInput,
                Self::Input,
            ],
            Self::ImageOutput => &[Self::ImageOutput, Self::Output],
            Self::AudioOutput => &[Self::AudioOutput, Self::Output],
        }
    }
}

/// Prices of one token, in picodollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices([Option<u64>; Kind::ALL.len()]);

impl Prices {
    pub fn set(&mut self, kind: Kind, pico: u64) {
        self.0[kind as usize] = Some(pico);
    }

    pub fn get(&self, kind: Kind) -> Option<u64> {
        self.0[kind as usize]
    }

    /// What is billed for a token of this kind.
    fn of(&self, kind: Kind) -> Option<u64> {
        kind.billed_as().iter().find_map(|&kind| self.get(kind))
    }

    fn dearest(&self, kinds: impl IntoIterator<Item = Kind>) -> Option<u64> {
        kinds.into_iter().filter_map(|kind| self.get(kind)).max()
    }

    fn overlay(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine = other.or(*mine);
        }
    }
}

/// Prices that hold where the whole input is larger than so many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    pub above: u64,
    pub prices: Prices,
}

/// The prices of a tier as they are written: by the length of the input, and only what it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariff(Vec<Level>);

impl Tariff {
    /// `false`: there are prices for this length already.
    pub fn add(&mut self, above: u64, prices: Prices) -> bool {
        match self.0.binary_search_by_key(&above, |level| level.above) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, Level { above, prices });
                true
            }
        }
    }

    /// The prices for this length, to be filled in.
    pub fn level(&mut self, above: u64) -> &mut Prices {
        let at = match self.0.binary_search_by_key(&above, |level| level.above) {
            Ok(at) => at,
            Err(at) => {
                let prices = Prices::default();
                self.0.insert(at, Level { above, prices });
                at
            }
        };
        &mut self.0[at].prices
    }

    /// Whole price lists by length, from 0 on: what a level does not say, a lower one does, or the tier below.
    fn resolved(&self, below: &Self) -> Vec<Level> {
        let mut steps: Vec<&Level> = below.0.iter().chain(&self.0).collect();
        // The standard tier's goes first where both begin: the sort is stable.
        steps.sort_by_key(|level| level.above);
        let mut prices = Prices::default();
        let mut levels: Vec<Level> = vec![Level { above: 0, prices }];
        for step in steps {
            prices.overlay(&step.prices);
            let above = step.above;
            match levels.last_mut() {
                Some(last) if last.above == above => last.prices = prices,
                _ => levels.push(Level { above, prices }),
            }
        }
        levels
    }
}

/// Everything that a model's tokens cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    standard: Vec<Level>,
    /// Tiers that have prices of their own.
    tiers: Vec<(Tier, Vec<Level>)>,
}

impl PriceList {
    pub fn new(standard: &Tariff, tiers: Vec<(Tier, Tariff)>) -> Self {
        Self {
            tiers: tiers
                .into_iter()
                .map(|(tier, tariff)| (tier, tariff.resolved(standard)))
                .collect(),
            standard: standard.resolved(&Tariff::default()),
        }
    }

    /// A provider ignores a tier that it does not offer.
    fn levels(&self, tier: Tier) -> &[Level] {
        self.tiers
            .iter()
            .find(|(own, _)| *own == tier)
            .map_or(&self.standard, |(_, levels)| levels)
    }

    /// The price of one token of such a request, in picodollars, as it is written.
    #[cfg(test)]
    pub fn price(&self, kind: Kind, input: u64, tier: Tier) -> Option<u64> {
        at(self.levels(tier), input)?.get(kind)
    }

    pub fn cost(&self, usage: &Usage, tier: Tier) -> Option<Usd> {
        let prices = at(self.levels(tier), usage.input());
        parts(usage)
            .into_iter()
            .filter(|(_, tokens)| *tokens > 0)
            .map(|(kind, tokens)| Some(price(prices?.of(kind)?, tokens)))
            .sum()
    }

    pub fn cost_at_most(&self, input: u64, output: u64, tier: Tier) -> Option<Usd> {
        let levels = || {
            self.levels(tier)
                .iter()
                .filter(|level| level.above == 0 || level.above < input)
                .map(|level| &level.prices)
        };
        let inputs = Kind::ALL
            .into_iter()
            .filter(|kind| !Kind::OUTPUTS.contains(kind));
        let of_input = || {
            levels().find_map(|prices| prices.get(Kind::Input))?;
            levels().filter_map(|p| p.dearest(inputs.clone())).max()
        };
        let of_output = || levels().filter_map(|p| p.dearest(Kind::OUTPUTS)).max();
        [(input, of_input()), (output, of_output())]
            .into_iter()
            .filter(|(tokens, _)| *tokens > 0)
            .map(|(tokens, pico)| Some(price(pico?, tokens)))
            .sum()
    }
}

fn at(levels: &[Level], input: u64) -> Option<&Prices> {
    let level = levels
        .iter()
        .rev()
        .find(|level| level.above == 0 || input > level.above)?;
    Some(&level.prices)
}

fn price(pico: u64, tokens: u64) -> Usd {
    Usd::from_pico(i128::from(pico)).times(tokens)
}

/// The tokens of a request by kind, disjoint. Images and audio are of what was not cached, but for those that the
/// provider says were.
fn parts(usage: &Usage) -> [(Kind, u64); Kind::ALL.len()] {
    let cached_image = usage
        .cached_image
        .min(usage.image_input)
        .min(usage.cache_read);
    let cached_audio = usage
        .cached_audio
        .min(usage.audio_input)
        .min(usage.cache_read - cached_image);
    let image = (usage.image_input - cached_image).min(usage.uncached);
    let audio = (usage.audio_input - cached_audio).min(usage.uncached - image);
    let image_output = usage.image_output.min(usage.output);
    let audio_output = usage.audio_output.min(usage.output - image_output);
    [
        (Kind::Input, usage.uncached - image - audio),
        (Kind::Cached, usage.cache_read - cached_image - cached_audio),
        (Kind::CacheWrite5m, usage.cache_write_5m),
        (Kind::CacheWrite1h, usage.cache_write_1h),
        (Kind::Output, usage.output - image_output - audio_output),
        (Kind::ImageInput, image),
        (Kind::CachedImage, cached_image),
        (Kind::AudioInput, audio),
        (Kind::CachedAudio, cached_audio),
        (Kind::ImageOutput, image_output),
        (Kind::AudioOutput, audio_output),
    ]
}
