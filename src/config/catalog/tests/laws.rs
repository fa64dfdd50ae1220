//! Costs against rationals that are computed another way, from the digits as they were written.

use proptest::prelude::*;

use super::*;

/// A price as it may stand in the file: up to six decimals.
fn price() -> impl Strategy<Value = String> {
    (0_u32..200, 0_u32..1_000_000, 0_usize..=6).prop_map(|(whole, fraction, places)| {
        let fraction = format!("{fraction:06}");
        match places {
            0 => whole.to_string(),
            places => format!("{whole}.{}", &fraction[..places]),
        }
    })
}

const NAMES: [&str; 5] = [
    "input",
    "cached",
    "cache_write_5m",
    "cache_write_1h",
    "output",
];

fn text_usage() -> impl Strategy<Value = Usage> {
    prop::array::uniform5(0_u64..3_000_000).prop_map(|[a, b, c, d, e]| Usage {
        uncached: a,
        cache_read: b,
        cache_write_5m: c,
        cache_write_1h: d,
        output: e,
        reasoning: e / 2,
        ..Usage::default()
    })
}

/// As a clerk would: the digits as one whole number, the tokens times it, and the point put back by hand.
fn by_hand(tokens: [u64; 5], prices: &[String; 5]) -> String {
    let mut millionths_of_micros: u128 = 0;
    for (count, price) in tokens.into_iter().zip(prices) {
        let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
        let digits = format!("{whole}{fraction:0<6}");
        let number: u128 = digits.parse().expect("digits");
        millionths_of_micros += u128::from(count) * number;
    }
    let text = format!("{millionths_of_micros:013}");
    let (whole, fraction) = text.split_at(text.len() - 12);
    let fraction = fraction.trim_end_matches('0');
    match fraction {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

fn table(prices: &[String; 5]) -> String {
    let entries: Vec<String> = NAMES
        .iter()
        .zip(prices)
        .map(|(name, price)| format!("{name} = {price}"))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        uncached: a.uncached + b.uncached,
        cache_read: a.cache_read + b.cache_read,
        cache_write_5m: a.cache_write_5m + b.cache_write_5m,
        cache_write_1h: a.cache_write_1h + b.cache_write_1h,
        output: a.output + b.output,
        reasoning: a.reasoning + b.reasoning,
        ..Usage::default()
    }
}

proptest! {
    #[test]
    fn costs_are_exact_to_the_last_digit(
        prices in prop::array::uniform5(price()),
        long in prop::array::uniform5(price()),
        usage in text_usage(),
        above in 1_u64..9_000_000,
    ) {
        let written = format!(
            "price = {}\nabove = [{{ tokens = {above}, {} ]",
            table(&prices),
            table(&long).trim_start_matches("{ "),
        );
        let model = model(&written);
        let total = usage.uncached + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
        let tokens = [usage.uncached, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output];
        let prices = if total > above { &long } else { &prices };
        let cost = model.cost(&usage, Tier::Standard).expect("all prices are known");
        prop_assert_eq!(cost.to_string(), by_hand(tokens, prices));
        prop_assert!(cost >= Usd::ZERO);
    }

    #[test]
    fn what_two_requests_cost_is_what_one_of_their_tokens_costs(
        prices in prop::array::uniform5(price()),
        a in text_usage(),
        b in text_usage(),
        tier in prop::sample::select(Tier::ALL.to_vec()),
    ) {
        let table = table(&prices);
        let model = model(&format!("price = {table}\nflex = {table}"));
        let apart = [a, b].iter().map(|usage| model.cost(usage, tier)).sum::<Option<Usd>>();
        prop_assert_eq!(apart, model.cost(&sum(a, b), tier));
    }

    #[test]
    fn nothing_costs_more_than_the_most(
        prices in prop::array::uniform5(price()),
        long in prop::array::uniform5(price()),
        flex in prop::array::uniform5(price()),
        media in prop::array::uniform4(price()),
        usage in text_usage(),
        shares in prop::array::uniform6(0_u64..100),
        above in 1_u64..9_000_000,
        tier in prop::sample::select(Tier::ALL.to_vec()),
    ) {
        let own = |table: String, more: &str| format!("{}, {more} }}", table.trim_end_matches(" }"));
        let [a, b, c, d] = &media;
        let model = model(&format!(
            "price = {}\nabove = [{}]\nflex = {}",
            own(table(&prices), &format!("image_input = {a}, audio_input = {b}, image_output = {c}, audio_output = {d}")),
            own(table(&long), &format!("tokens = {above}")),
            own(table(&flex), &format!("above = [{{ tokens = 5, input = {a} }}]")),
        ));
        let usage = Usage {
            image_input: usage.uncached * shares[0] / 200 + usage.cache_read * shares[1] / 200,
            cached_image: usage.cache_read * shares[1] / 200,
            audio_input: usage.uncached * shares[2] / 200 + usage.cache_read * shares[3] / 200,
            cached_audio: usage.cache_read * shares[3] / 200,
            image_output: usage.output * shares[4] / 200,
            audio_output: usage.output * shares[5] / 200,
            ..usage
        };
        let cost = model.cost(&usage, tier).expect("all prices are known");
        let most = model.cost_at_most(usage.input(), usage.output, tier).expect("all prices are known");
        prop_assert!(cost <= most, "{cost} > {most}");
    }

    #[test]
    fn no_usage_breaks_the_sums(numbers in prop::array::uniform12(0_u64..=1 << 40)) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = numbers;
        let usage = Usage {
            uncached: a, cache_read: b, cache_write_5m: c, cache_write_1h: d, output: e, reasoning: f,
            image_input: g, audio_input: h, image_output: i, audio_output: j, cached_image: k, cached_audio: l,
        };
        let dear = "price = { input = 1000000, cached = 1000000, cache_write_5m = 1000000, cache_write_1h = 1000000, output = 1000000 }";
        let cost = model(dear).cost(&usage, Tier::Standard).expect("all prices are known");
        // Whatever the parts say, each token is billed once: a dollar each.
        prop_assert_eq!(cost.to_string(), (usage.input() + usage.output).to_string());
    }
}
