//! Reads a file of models in the catalogue's own format.

use ahash::AHashMap;
use toml::de::{DeTable, DeValue};

use super::price::{Kind, PriceList, Prices, Tariff};
use super::{Modality, Model};
use crate::base::Tier;
use crate::base::money::scaled;
use crate::config::reader::{Table, integer_of};
use crate::config::source::Report;

/// USD per million tokens: no price is as high, and sums of what is below cannot overflow.
const MAX_PRICE: u64 = 1_000_000;
/// A token's price in picodollars is that of a million times 10^6.
const PLACES: i32 = 6;
/// No model takes more tokens.
const MAX_TOKENS: i64 = 1_000_000_000;

/// The models of a file; mistakes go to the report.
pub fn models(text: &str, report: &mut Report) -> Vec<Model> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            report.mistake(at, error.message().replace('\n', ", "));
        }
        return Vec::new();
    }
    let mut root = Table::new(document.get_ref(), "", 0);
    let tables = root.tables("models", report);
    root.finish(report);
    let mut seen = AHashMap::new();
    tables
        .into_iter()
        .filter_map(|table| model(table, &mut seen, report))
        .collect()
}

fn model(
    mut t: Table<'_, '_>,
    seen: &mut AHashMap<String, usize>,
    report: &mut Report,
) -> Option<Model> {
    let id = t.required("id", report).filter(|(id, at)| {
        let wrong = is_wrong(id);
        if wrong {
            report.mistake(
                *at,
                format!(
                    "{}.id {id:?} must be 1 to 200 characters without spaces",
                    t.path
                ),
            );
        }
        !wrong
    });
    let aliases = t.list("aliases", "an id without spaces", report, |alias| {
        (!is_wrong(alias)).then(|| alias.to_owned())
    });
    let modalities = "one of \"text\", \"image\", \"audio\", \"video\", \"pdf\"";
    let mut tokens = |t: &mut Table<'_, '_>, key| {
        let count = t.integer(key, 0, 1..MAX_TOKENS + 1, report);
        u64::try_from(count).ok().filter(|&count| count > 0)
    };
    let context = tokens(&mut t, "context");
    let max_output = tokens(&mut t, "max_output");
    let input = t.list("input", modalities, report, Modality::read);
    let output = t.list("output", modalities, report, Modality::read);
    let reasoning = t.boolean("reasoning", false, report);
    let mut standard = Tariff::default();
    if let Some(mut table) = t.table("price", report) {
        standard.add(0, prices(&mut table, report));
        table.finish(report);
    }
    above(&mut t, &mut standard, report);
    let tiers = [Tier::Flex, Tier::Batch, Tier::Priority]
        .into_iter()
        .filter_map(|tier| Some((tier, tariff(t.table(tier.name(), report)?, report))))
        .collect();
    let at = t.at;
    t.finish(report);
    let (id, id_at) = id?;
    let aliases = aliases.unwrap_or_default();
    let names = [(&id, id_at)]
        .into_iter()
        .chain(aliases.iter().map(|alias| (alias, at)));
    for (name, at) in names {
        if let Some(first) = seen.insert(name.clone(), at) {
            let (line, _) = report.place(first);
            report.mistake(
                at,
                format!("model {name:?} is there twice: also on line {line}"),
            );
        }
    }
    Some(Model {
        id,
        aliases,
        context,
        max_output,
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        reasoning,
        prices: PriceList::new(&standard, tiers),
    })
}

fn is_wrong(id: &str) -> bool {
    id.is_empty() || id.len() > 200 || id.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A tier's prices, with those for long input in the same table.
fn tariff(mut t: Table<'_, '_>, report: &mut Report) -> Tariff {
    let mut tariff = Tariff::default();
    tariff.add(0, prices(&mut t, report));
    above(&mut t, &mut tariff, report);
    t.finish(report);
    tariff
}

fn above(t: &mut Table<'_, '_>, tariff: &mut Tariff, report: &mut Report) {
    for mut level in t.tables("above", report) {
        let has_tokens = level.has("tokens");
        let tokens = level.integer("tokens", 0, 1..MAX_TOKENS + 1, report);
        let prices = prices(&mut level, report);
        let (at, path) = (level.at, level.path.clone());
        level.finish(report);
        if !has_tokens {
            report.mistake(at, format!("{path}.tokens is missing"));
        } else if tokens > 0 && !tariff.add(tokens.unsigned_abs(), prices) {
            report.mistake(at, format!("{path}.tokens: {tokens} is there twice"));
        }
    }
}

fn prices(t: &mut Table<'_, '_>, report: &mut Report) -> Prices {
    let mut prices = Prices::default();
    for kind in Kind::ALL {
        let Some(item) = t.take(kind.name()) else {
            continue;
        };
        match price(item.get_ref()) {
            Some(pico) => prices.set(kind, pico),
            None => report.mistake(
                item.span().start,
                format!(
                    "{}.{} must be USD per million tokens, from 0 to {MAX_PRICE} with at most {PLACES} decimals, like 0.375",
                    t.path,
                    kind.name()
                ),
            ),
        }
    }
    prices
}

/// Read by its digits, as a number or a string.
fn price(value: &DeValue<'_>) -> Option<u64> {
    let pico = match value {
        DeValue::Float(number) => scaled(&number.as_str().replace('_', ""), PLACES),
        DeValue::String(text) => scaled(text, PLACES),
        value => scaled(&integer_of(value)?.to_string(), PLACES),
    }?;
    u64::try_from(pico)
        .ok()
        .filter(|&pico| pico <= MAX_PRICE * 1_000_000)
}

#[cfg(test)]
mod tests;
