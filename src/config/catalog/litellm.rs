//! Reads `LiteLLM`'s price file, `model_prices_and_context_window.json`. Others keep it, so that what is odd in an entry
//! is only left out.

use std::collections::BTreeMap;

use ahash::AHashMap;
use serde_json::value::RawValue;

use super::price::{Kind, PriceList, Tariff};
use super::{Modality, Model};
use crate::base::Tier;
use crate::base::money::scaled;
use crate::config::source::Report;

/// An entry that explains the format.
const SAMPLE: &str = "sample_spec";

type Entry<'a> = BTreeMap<String, &'a RawValue>;

/// The models of a file. A file that is none is a mistake; odd entries and prices are notes.
pub fn models(text: &str, report: &mut Report) -> Vec<Model> {
    let entries: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(error) => {
            let at = report.offset(error.line(), error.column());
            report.mistake(at, format!("is not LiteLLM's price file: {error}"));
            return Vec::new();
        }
    };
    let mut models = Vec::new();
    for (id, raw) in entries {
        if id == SAMPLE {
            continue;
        }
        match serde_json::from_str::<Entry<'_>>(raw.get()) {
            Ok(entry) => models.push(model(id, &entry, text, report)),
            Err(_) => report.note(
                place(raw, text),
                format!("{id:?} is not an object, and is left out"),
            ),
        }
    }
    alias(&mut models);
    models
}

/// Where a value stands in the text that it was read from.
fn place(raw: &RawValue, text: &str) -> usize {
    (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

fn model(id: String, entry: &Entry<'_>, text: &str, report: &mut Report) -> Model {
    let mut standard = Tariff::default();
    let mut tiers: Vec<(Tier, Tariff)> = Vec::new();
    for (name, raw) in entry {
        let Some((kind, above, tier)) = field(name) else {
            continue;
        };
        if raw.get() == "null" {
            continue;
        }
        let Some(pico) = pico(raw.get()) else {
            let what = format!("{id:?}: {name} is no price, and is left out");
            report.note(place(raw, text), what);
            continue;
        };
        let tariff = match tiers.iter().position(|(own, _)| *own == tier) {
            _ if tier == Tier::Standard => &mut standard,
            Some(at) => &mut tiers[at].1,
            None => {
                tiers.push((tier, Tariff::default()));
                let last = tiers.len() - 1;
                &mut tiers[last].1
            }
        };
        tariff.level(above).set(kind, pico);
    }
    let is = |name: &str| entry.get(name).is_some_and(|raw| raw.get() == "true");
    Model {
        context: count(entry, "max_input_tokens"),
        max_output: count(entry, "max_output_tokens"),
        input: input(entry),
        output: modalities(entry, "supported_output_modalities").unwrap_or_default(),
        reasoning: is("supports_reasoning"),
        prices: PriceList::new(&standard, tiers),
        aliases: provider(entry)
            .and_then(|provider| id.strip_prefix(provider.as_str())?.strip_prefix('/'))
            .map(|rest| vec![rest.to_owned()])
            .unwrap_or_default(),
        id,
    }
}

fn provider(entry: &Entry<'_>) -> Option<String> {
    serde_json::from_str(entry.get("litellm_provider")?.get()).ok()
}

/// Providers' own ids have no provider before them. Where two have the same, at different prices, nobody can know which
/// is meant.
fn alias(models: &mut [Model]) {
    let mut first: AHashMap<String, usize> = AHashMap::new();
    let mut unclear = Vec::new();
    for (at, model) in models.iter().enumerate() {
        for alias in &model.aliases {
            match first.get(alias) {
                None => {
                    first.insert(alias.clone(), at);
                }
                Some(&other) if models[other].prices != model.prices => unclear.push(alias.clone()),
                Some(_) => {}
            }
        }
    }
    let ids: ahash::AHashSet<String> = models.iter().map(|model| model.id.clone()).collect();
    for (at, model) in models.iter_mut().enumerate() {
        model.aliases.retain(|alias| {
            first.get(alias) == Some(&at) && !ids.contains(alias) && !unclear.contains(alias)
        });
    }
}

/// What a field is the price of: `input_cost_per_token_above_200k_tokens_priority`.
fn field(name: &str) -> Option<(Kind, u64, Tier)> {
    let tiers = [
        ("_flex", Tier::Flex),
        ("_batches", Tier::Batch),
        ("_priority", Tier::Priority),
    ];
    let (name, tier) = tiers
        .iter()
        .find_map(|(end, tier)| Some((name.strip_suffix(end)?, *tier)))
        .unwrap_or((name, Tier::Standard));
    let long = name
        .strip_suffix("k_tokens")
        .and_then(|rest| rest.rsplit_once("_above_"));
    let (name, above) = match long {
        Some((name, thousands)) => (name, thousands.parse::<u32>().ok()?),
        None => (name, 0),
    };
    let kind = match name {
        "input_cost_per_token" => Kind::Input,
        "cache_read_input_token_cost" => Kind::Cached,
        "cache_creation_input_token_cost" => Kind::CacheWrite5m,
        "cache_creation_input_token_cost_above_1hr" => Kind::CacheWrite1h,
        "output_cost_per_token" => Kind::Output,
        "input_cost_per_image_token" => Kind::ImageInput,
        "cache_read_input_image_token_cost" => Kind::CachedImage,
        "input_cost_per_audio_token" => Kind::AudioInput,
        "cache_read_input_audio_token_cost" => Kind::CachedAudio,
        "output_cost_per_image_token" => Kind::ImageOutput,
        "output_cost_per_audio_token" => Kind::AudioOutput,
        _ => return None,
    };
    Some((kind, u64::from(above) * 1000, tier))
}

/// USD for a token. The file is made with floats, some of which show it: `2.9999999999999997e-06`. Such a one is meant to
/// be what it is nearest to.
fn pico(text: &str) -> Option<u64> {
    let exact = scaled(text, 12).or_else(|| {
        let float: f64 = text.parse().ok()?;
        scaled(&format!("{float:.12}"), 12)
    })?;
    // A dollar for one token: no price is as high.
    u64::try_from(exact)
        .ok()
        .filter(|&pico| pico <= 1_000_000_000_000)
}

/// A number of tokens; some are written as floats.
fn count(entry: &Entry<'_>, name: &str) -> Option<u64> {
    let whole = scaled(entry.get(name)?.get(), 0)?;
    u64::try_from(whole)
        .ok()
        .filter(|count| (1..=1_000_000_000).contains(count))
}

fn modalities(entry: &Entry<'_>, name: &str) -> Option<Vec<Modality>> {
    let words: Vec<String> = serde_json::from_str(entry.get(name)?.get()).ok()?;
    Some(
        words
            .iter()
            .filter_map(|word| Modality::read(word))
            .collect(),
    )
}

fn input(entry: &Entry<'_>) -> Vec<Modality> {
    let mut input = modalities(entry, "supported_modalities").unwrap_or_default();
    let told = [
        ("supports_vision", Modality::Image),
        ("supports_audio_input", Modality::Audio),
        ("supports_video_input", Modality::Video),
        ("supports_pdf_input", Modality::Pdf),
    ];
    for (name, modality) in told {
        let is = entry.get(name).is_some_and(|raw| raw.get() == "true");
        if is && !input.contains(&modality) {
            input.push(modality);
        }
    }
    input
}
