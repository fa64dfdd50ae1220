//! What a provider says of its bill beside the tokens: the tier by which it bills, and what it has charged.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Dialect;
use crate::base::{Tier, Usd};

/// As far as it was said; what is said later holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub tier: Option<Tier>,
    /// In picodollars: a few bytes, since each open stream has one.
    cost: Option<u64>,
}

#[derive(Deserialize)]
struct Charged<'a> {
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    #[serde(borrow)]
    cost_details: Option<Details<'a>>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Billed<'a> {
    #[serde(alias = "serviceTier")]
    service_tier: Option<&'a str>,
    #[serde(rename = "trafficType")]
    traffic_type: Option<&'a str>,
}

impl Bill {
    /// What the provider says that it has charged.
    pub fn cost(&self) -> Option<Usd> {
        self.cost.map(|pico| Usd::from_pico(pico.into()))
    }

    /// Takes over what a usage object says of it.
    pub fn read(&mut self, dialect: Dialect, usage: &[u8]) {
        let says = |word: &str| memchr::memmem::find(usage, word.as_bytes()).is_some();
        match dialect {
            // The tier stands outside of it.
            Dialect::OpenAiChat | Dialect::OpenAiResponses => {
                if says("\"cost\"") {
                    self.cost = charged(usage).or(self.cost);
                }
            }
            Dialect::Anthropic | Dialect::Gemini => {
                if (says("\"service") || says("\"trafficType\""))
                    && let Ok(said) = serde_json::from_slice::<Billed<'_>>(usage)
                {
                    for word in [said.traffic_type, said.service_tier].into_iter().flatten() {
                        self.read_tier(word.as_bytes());
                    }
                }
            }
        }
    }

    /// Takes over a word for the tier; one that chooses none, as `auto`, says nothing.
    pub fn read_tier(&mut self, word: &[u8]) {
        let word = word.to_ascii_lowercase();
        let tier = match word.as_slice() {
            b"default" | b"standard" | b"on_demand" => Tier::Standard,
            b"flex" | b"on_demand_flex" => Tier::Flex,
            b"priority" | b"on_demand_priority" => Tier::Priority,
            b"batch" => Tier::Batch,
            _ => return,
        };
        self.tier = Some(tier);
    }
}

/// `OpenRouter`'s `cost`, in USD. With a key of one's own at the provider, it is a fee only, and what the provider
/// charges stands beside it (<https://openrouter.ai/docs/use-cases/usage-accounting>).
fn charged(usage: &[u8]) -> Option<u64> {
    let said: Charged<'_> = serde_json::from_slice(usage).ok()?;
    let cost = pico(said.cost?)?;
    if said.is_byok != Some(true) {
        return Some(cost);
    }
    pico(said.cost_details?.upstream_inference_cost?)?.checked_add(cost)
}

/// To the nearest picodollar: the number is a float where it was made.
fn pico(number: &RawValue) -> Option<u64> {
    let usd = Usd::parse(number.get()).or_else(|| {
        let float: f64 = number.get().parse().ok()?;
        Usd::parse(&format!("{float:.12}"))
    })?;
    u64::try_from(usd.pico()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(usage: &str) -> Option<String> {
        let mut bill = Bill::default();
        bill.read(Dialect::OpenAiChat, usage.as_bytes());
        bill.cost().map(|usd| usd.to_string())
    }

    #[test]
    fn what_was_charged_is_taken_as_it_is_said() {
        for (usage, expected) in [
            (
                r#"{"cost":0.00165,"is_byok":false,"cost_details":{"upstream_inference_cost":0.00165}}"#,
                Some("0.00165"),
            ),
            (r#"{"cost":1.05e-05}"#, Some("0.0000105")),
            (r#"{"cost":0.00012345678901251}"#, Some("0.000123456789")),
            (r#"{"cost":0}"#, Some("0")),
            (
                r#"{"cost":0.0001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.002}}"#,
                Some("0.0021"),
            ),
            (
                r#"{"cost":0.0001,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}"#,
                None,
            ),
            (r#"{"cost":0.0001,"is_byok":true}"#, None),
            (r#"{"cost":-1}"#, None),
            (r#"{"cost":"much"}"#, None),
            (r#"{"cost":{"total_cost":5}}"#, None),
            (r#"{"cost":null}"#, None),
            (r#"{"cost":1e300}"#, None),
            ("{}", None),
        ] {
            assert_eq!(cost(usage).as_deref(), expected, "{usage}");
        }
    }

    #[test]
    fn the_tier_is_that_by_which_the_provider_bills() {
        for (dialect, usage, expected) in [
            (
                Dialect::Anthropic,
                r#"{"input_tokens":1,"service_tier":"priority"}"#,
                Some(Tier::Priority),
            ),
            (
                Dialect::Anthropic,
                r#"{"service_tier":"batch"}"#,
                Some(Tier::Batch),
            ),
            (Dialect::Anthropic, r#"{"service_tier":null}"#, None),
            (Dialect::Anthropic, r#"{"service_tier":"auto"}"#, None),
            (
                Dialect::Gemini,
                r#"{"serviceTier":"flex"}"#,
                Some(Tier::Flex),
            ),
            (
                Dialect::Gemini,
                r#"{"trafficType": "ON_DEMAND_PRIORITY"}"#,
                Some(Tier::Priority),
            ),
            (
                Dialect::Gemini,
                r#"{"trafficType":"ON_DEMAND","serviceTier":"standard"}"#,
                Some(Tier::Standard),
            ),
            (Dialect::Gemini, r#"{"serviceTier":5}"#, None),
        ] {
            let mut bill = Bill::default();
            bill.read(dialect, usage.as_bytes());
            assert_eq!(bill.tier, expected, "{usage}");
        }
    }
}
