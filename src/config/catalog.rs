//! The catalogue: what is known of models, by the provider's ids, and what their tokens cost. Built in
//! (`conf/models.toml`), and added to by the operator's file and by `LiteLLM`'s.

mod litellm;
mod price;
mod read;

use std::sync::{Arc, LazyLock};

use ahash::AHashMap;

use super::source::Report;
use crate::base::{Tier, Usage, Usd};
use price::PriceList;

const BUILT_IN: &str = include_str!("../../conf/models.toml");

/// What a model reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    Text,
    Image,
    Audio,
    Video,
    Pdf,
}

impl Modality {
    pub const ALL: [Self; 5] = [Self::Text, Self::Image, Self::Audio, Self::Video, Self::Pdf];

    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Pdf => "pdf",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|modality| modality.name() == word)
    }
}

/// What is known of a model. `None`, an empty list and `false` also mean that nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub id: String,
    /// Other ids of the same: those with a date, mostly.
    pub aliases: Vec<String>,
    /// The most tokens of input, and of output.
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub input: Vec<Modality>,
    pub output: Vec<Modality>,
    pub reasoning: bool,
    prices: PriceList,
}

impl Model {
    /// What so much usage costs, exactly. `None`: a price that would be needed is not known. What used nothing
    /// costs nothing, whatever is not known.
    ///
    /// The length of the whole input chooses the prices of all tokens. Reasoning is output. What has no price of its
    /// own is billed as the provider would: cached input and 5 minutes' writes as input, images and audio as text. A
    /// write for an hour without a price is not known. A tier without prices of its own costs the standard prices,
    /// since providers ignore a tier that they do not offer. The output of a model that only draws or only speaks is that,
    /// where the usage does not say.
    pub fn cost(&self, usage: &Usage, tier: Tier) -> Option<Usd> {
        if usage.image_output + usage.audio_output > 0 {
            return self.prices.cost(usage, tier);
        }
        let mut usage = *usage;
        match self.output[..] {
            [Modality::Image] => usage.image_output = usage.output,
            [Modality::Audio] => usage.audio_output = usage.output,
            _ => {}
        }
        self.prices.cost(&usage, tier)
    }

    /// The most that so much input and output can cost: every token at the dearest price that it could be billed at,
    /// as a write for an hour, as audio.
    pub fn cost_at_most(&self, input: u64, output: u64, tier: Tier) -> Option<Usd> {
        self.prices.cost_at_most(input, output, tier)
    }
}

/// The models that are known, by id and alias.
#[derive(Debug, Default)]
pub struct Catalog {
    models: Vec<Model>,
    index: AHashMap<String, usize>,
}

/// Ends of aggregators' ids that choose among the same model's hosts, or ask for something beside it. Any other, such as
/// one that is free, is another offer, of which nothing is known.
const VARIANTS: [&str; 5] = ["thinking", "nitro", "floor", "exacto", "online"];

impl Catalog {
    pub fn built_in() -> Arc<Self> {
        static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
            let mut report = Report::new("conf/models.toml", BUILT_IN);
            let mut catalog = Catalog::default();
            // A test sees to it that there are no mistakes.
            catalog.add(read::models(BUILT_IN, &mut report));
            Arc::new(catalog)
        });
        CATALOG.clone()
    }

    /// The models, in the order of the files.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Is this an id or alias as it stands?
    pub fn knows(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    /// By the provider's id: as it stands; else without a `vendor/` in front, an aggregator's variant, or a date or
    /// `-latest` at its end. Aggregators write versions with a dot where some vendors have a dash.
    pub fn find(&self, id: &str) -> Option<&Model> {
        if let Some(model) = self.exactly(id) {
            return Some(model);
        }
        let mut rest = match id.rsplit_once(':') {
            Some((base, variant)) if VARIANTS.contains(&variant) => base,
            Some(_) => return None,
            None => id,
        };
        loop {
            let dashed = rest.contains('.').then(|| rest.replace('.', "-"));
            let found = [Some(rest), dashed.as_deref()]
                .into_iter()
                .flatten()
                .find_map(|id| self.exactly(id).or_else(|| self.exactly(undated(id)?)));
            if found.is_some() {
                return found;
            }
            rest = rest.split_once('/')?.1;
        }
    }

    fn exactly(&self, id: &str) -> Option<&Model> {
        self.index.get(id).map(|&at| &self.models[at])
    }

    /// Takes in models, which replace those that have their ids. A replaced one's aliases stay.
    fn add(&mut self, models: Vec<Model>) {
        for model in models {
            let replaced = self
                .index
                .get(&model.id)
                .copied()
                .filter(|&at| self.models[at].id == model.id);
            let at = replaced.unwrap_or(self.models.len());
            for name in model.aliases.iter().chain([&model.id]) {
                self.index.insert(name.clone(), at);
            }
            match self.models.get_mut(at) {
                Some(old) => *old = model,
                None => self.models.push(model),
            }
        }
    }

    /// The built-in one, the operator's file over it, and `LiteLLM`'s for what neither has.
    pub(super) fn assembled(own: Vec<Model>, others: Vec<Model>) -> Arc<Self> {
        let built_in = Self::built_in();
        if own.is_empty() && others.is_empty() {
            return built_in;
        }
        let mut catalog = Self::default();
        catalog.add(built_in.models.clone());
        catalog.add(own);
        for mut model in others {
            model.aliases.retain(|alias| !catalog.knows(alias));
            if !catalog.knows(&model.id) {
                catalog.add(vec![model]);
            }
        }
        Arc::new(catalog)
    }
}

/// The id without `-latest` or a date at its end: `-2025-08-07`, `-20250929`, `@20250929`.
fn undated(id: &str) -> Option<&str> {
    if let Some(rest) = id.strip_suffix("-latest") {
        return Some(rest);
    }
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (rest, last) = id.rsplit_once(['-', '@'])?;
    if digits(last, 8) && last.starts_with("20") {
        return Some(rest);
    }
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    let is_date = digits(last, 2) && digits(month, 2) && digits(year, 4);
    is_date.then_some(rest)
}

pub(super) use litellm::models as litellm_models;
pub(super) use read::models as own_models;

#[cfg(test)]
mod tests;
