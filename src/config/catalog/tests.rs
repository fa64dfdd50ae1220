use super::*;

mod laws;

use super::price::Kind;

/// The model of a catalogue file with these lines in its only entry.
pub fn model(lines: &str) -> Model {
    let text = format!("[[models]]\nid = \"m\"\n{lines}");
    let mut report = Report::new("models.toml", &text);
    let models = read::models(&text, &mut report);
    assert_eq!(report.mistakes(), "", "{text}");
    models.into_iter().next().expect("a model")
}

fn catalog(text: &str) -> Catalog {
    let mut report = Report::new("models.toml", text);
    let mut catalog = Catalog::default();
    catalog.add(read::models(text, &mut report));
    assert_eq!(report.mistakes(), "", "{text}");
    catalog
}

pub fn cost(model: &Model, usage: Usage, tier: Tier) -> Option<String> {
    model.cost(&usage, tier).map(|usd| usd.to_string())
}

const SPOKEN: &str =
    "price = { input = 3, cached = 0.3, cache_write_5m = 3.75, cache_write_1h = 6, output = 15 }";

#[test]
fn each_kind_of_token_has_its_price() {
    let usage = Usage {
        uncached: 1_000_000,
        cache_read: 1_000_000,
        cache_write_5m: 1_000_000,
        cache_write_1h: 1_000_000,
        output: 1_000_000,
        reasoning: 900_000,
        ..Usage::default()
    };
    let spoken = cost(&model(SPOKEN), usage, Tier::Standard);
    assert_eq!(spoken.as_deref(), Some("28.05"));
    let one = Usage {
        cache_read: 1,
        ..Usage::default()
    };
    let one = cost(&model(SPOKEN), one, Tier::Standard);
    assert_eq!(one.as_deref(), Some("0.0000003"));
}

#[test]
fn images_and_audio_have_their_own_prices_where_the_model_has_them() {
    let usage = Usage {
        uncached: 700_000,
        cache_read: 300_000,
        image_input: 300_000,
        cached_image: 100_000,
        audio_input: 200_000,
        cached_audio: 100_000,
        output: 1_000_000,
        image_output: 500_000,
        audio_output: 300_000,
        ..Usage::default()
    };
    let own = model(
        "price = { input = 1, cached = 0.1, output = 2, image_input = 10, cached_image = 3, audio_input = 20, cached_audio = 7, image_output = 40, audio_output = 50 }",
    );
    // Text 0.4, cached text 0.01, images 2 + 0.3, audio 2 + 0.7; output 0.4 + 20 + 15.
    let exact = cost(&own, usage, Tier::Standard);
    assert_eq!(exact.as_deref(), Some("40.81"));
    let text = model("price = { input = 1, cached = 0.1, output = 2 }");
    let exact = cost(&text, usage, Tier::Standard);
    assert_eq!(exact.as_deref(), Some("2.73"));
    let speaks =
        model("output = [\"audio\"]\nprice = { input = 1, output = 2, audio_output = 12 }");
    let unsaid = Usage {
        output: 1_000_000,
        ..Usage::default()
    };
    let exact = cost(&speaks, unsaid, Tier::Standard);
    assert_eq!(exact.as_deref(), Some("12"));
    // Only what a model has a price for is known.
    let images = model("price = { input = 1, image_output = 40 }");
    assert_eq!(cost(&images, usage, Tier::Standard), None);
}

#[test]
fn what_is_not_known_costs_nothing_only_when_it_was_not_used() {
    let unknown = model("");
    assert_eq!(
        cost(&unknown, Usage::default(), Tier::Standard).as_deref(),
        Some("0")
    );
    let used = Usage {
        output: 1,
        ..Usage::default()
    };
    assert_eq!(cost(&unknown, used, Tier::Standard), None);
    assert_eq!(unknown.cost_at_most(1, 0, Tier::Standard), None);
    assert_eq!(unknown.cost_at_most(0, 0, Tier::Standard), Some(Usd::ZERO));
    let hour = Usage {
        cache_write_1h: 1,
        ..Usage::default()
    };
    let without_hour = model("price = { input = 1, cache_write_5m = 2, output = 1 }");
    assert_eq!(cost(&without_hour, hour, Tier::Standard), None);
    let minutes = Usage {
        cache_write_5m: 1,
        cache_read: 1,
        ..Usage::default()
    };
    let plain = model("price = { input = 1, output = 1 }");
    let as_input = cost(&plain, minutes, Tier::Standard);
    assert_eq!(as_input.as_deref(), Some("0.000002"));
}

#[test]
fn long_input_and_tiers_change_the_prices_of_all_tokens() {
    let long = model(
        "price = { input = 2, cached = 0.2, output = 12 }
         above = [{ tokens = 200000, input = 4, cached = 0.4, output = 18 }]
         flex = { input = 1, output = 6 }
         priority = { input = 4, output = 24, above = [{ tokens = 200000, input = 8 }] }",
    );
    let usage = |uncached, cache_read| Usage {
        uncached,
        cache_read,
        output: 1_000_000,
        ..Usage::default()
    };
    for (tier, uncached, cached, expected) in [
        (Tier::Standard, 200_000, 0, "12.4"),
        (Tier::Standard, 200_001, 0, "18.800004"),
        (Tier::Standard, 100_000, 100_001, "18.4400004"),
        (Tier::Flex, 100_000, 100_000, "6.12"),
        // What a tier has no price for costs what it costs otherwise.
        (Tier::Flex, 300_000, 0, "19.2"),
        (Tier::Priority, 300_000, 0, "20.4"),
        (Tier::Batch, 100_000, 0, "12.2"),
    ] {
        let exact = cost(&long, usage(uncached, cached), tier);
        assert_eq!(
            exact.as_deref(),
            Some(expected),
            "{tier:?} {uncached} {cached}"
        );
    }
    assert_eq!(
        long.cost_at_most(200_001, 10, Tier::Standard)
            .map(|usd| usd.to_string()),
        Some("0.800184".to_owned())
    );
}

#[test]
fn a_model_is_found_by_what_aggregators_and_dates_make_of_its_id() {
    let catalog = catalog(
        "[[models]]\nid = \"one-4-5\"\naliases = [\"one-now\"]\n[[models]]\nid = \"two-5\"\n[[models]]\nid = \"two-5-2026-01-01\"\n[[models]]\nid = \"two-5:free\"",
    );
    for (id, expected) in [
        ("one-4-5", Some("one-4-5")),
        ("one-now", Some("one-4-5")),
        ("maker/one-4.5", Some("one-4-5")),
        ("host/maker/one-4.5:nitro", Some("one-4-5")),
        ("one-4-5-20250929", Some("one-4-5")),
        ("one-4-5@20250929", Some("one-4-5")),
        ("one-4-5-latest", Some("one-4-5")),
        ("two-5-2025-08-07", Some("two-5")),
        ("two-5-2026-01-01", Some("two-5-2026-01-01")),
        ("maker/two-5:thinking", Some("two-5")),
        ("two-5:free", Some("two-5:free")),
        ("one-4-5:free", None),
        ("one-4-5:", None),
        ("two-5-mini", None),
        ("two", None),
        ("two-5-99999999", None),
        ("", None),
        ("/", None),
        ("-latest", None),
    ] {
        let found = catalog.find(id).map(|model| model.id.as_str());
        assert_eq!(found, expected, "{id}");
    }
    assert!(catalog.knows("one-now") && !catalog.knows("maker/one-4-5"));
}

#[test]
fn the_built_in_catalogue_has_no_mistakes() {
    let mut report = Report::new("conf/models.toml", BUILT_IN);
    let models = read::models(BUILT_IN, &mut report);
    assert_eq!(report.mistakes(), "");
    assert!(models.len() > 100, "{}", models.len());
    let catalog = Catalog::built_in();
    assert_eq!(catalog.models(), models);
    for model in &models {
        for kind in Kind::ALL {
            for tier in Tier::ALL {
                let price = model.prices.price(kind, 10_000_000, tier).unwrap_or(0);
                // USD 1000 for a million.
                assert!(price <= 1_000_000_000, "{} {kind:?} {tier:?}", model.id);
            }
        }
    }
    for id in [
        "gpt-5",
        "claude-opus-4-7",
        "gemini-2.5-pro",
        "gpt-image-1",
        "anthropic/claude-sonnet-4.6",
    ] {
        let model = catalog.find(id).unwrap_or_else(|| panic!("{id}"));
        assert!(model.cost_at_most(1, 1, Tier::Standard).is_some(), "{id}");
    }
}
