//! The operator's file, LiteLLM's, their mistakes, and the facts that ours were taken from.

use std::path::Path;

use super::super::price::Kind;
use super::super::tests::{cost, model};
use super::super::*;

fn mistakes(text: &str) -> String {
    let mut report = Report::new("m.toml", text);
    read::models(text, &mut report);
    report.mistakes()
}

#[test]
fn mistakes_are_told_with_their_places() {
    for (line, expected) in [
        (
            "price = { input = -1 }",
            "m.toml:3:19: models[0].price.input must be USD per million tokens",
        ),
        (
            "price = { input = 1.0000001 }",
            "m.toml:3:19: models[0].price.input must be",
        ),
        (
            "price = { input = 1e9 }",
            "m.toml:3:19: models[0].price.input must be",
        ),
        (
            "price = { input = nan }",
            "m.toml:3:19: models[0].price.input must be",
        ),
        (
            "price = { input = true }",
            "m.toml:3:19: models[0].price.input must be",
        ),
        (
            "price = { input = \"1,5\" }",
            "m.toml:3:19: models[0].price.input must be",
        ),
        (
            "price = { inputs = 1 }",
            "m.toml:3:11: models[0].price.inputs is not known; did you mean \"input\"?",
        ),
        (
            "prices = { input = 1 }",
            "m.toml:3:1: models[0].prices is not known; did you mean \"price\"?",
        ),
        (
            "price = 5",
            "m.toml:3:9: models[0].price must be a table, not an integer",
        ),
        (
            "context = 0",
            "m.toml:3:11: models[0].context must be from 1",
        ),
        (
            "input = [\"smell\"]",
            "m.toml:3:10: models[0].input: \"smell\" is not one of",
        ),
        (
            "aliases = [\"a b\"]",
            "m.toml:3:12: models[0].aliases: \"a b\" is not an id",
        ),
        (
            "aliases = [\"m\"]",
            "model \"m\" is there twice: also on line 2",
        ),
        (
            "[[models]]\nid = \"m\"",
            "m.toml:4:6: model \"m\" is there twice: also on line 2",
        ),
        (
            "[[models]]\ncontext = 5",
            "m.toml:3:1: models[1].id is missing",
        ),
        (
            "above = [{ input = 1 }]",
            "m.toml:3:10: models[0].above[0].tokens is missing",
        ),
        (
            "above = [{ tokens = 5 }, { tokens = 5 }]",
            "m.toml:3:26: models[0].above[1].tokens: 5 is there twice",
        ),
        (
            "[models.flex]\nabove = [{ tokens = -5 }]",
            "m.toml:4:21: models[0].flex.above[0].tokens must be",
        ),
        ("id = ", "m.toml:3:"),
        ("[price]", "m.toml:3:2: price is not known"),
    ] {
        let found = mistakes(&format!("[[models]]\nid = \"m\"\n{line}\n"));
        assert!(found.contains(expected), "{line}: {found:?}");
    }
}

#[test]
fn prices_are_read_by_their_digits() {
    let model = model(
        "price = { input = 0.1, cached = \"0.000001\", output = 1_000.5, image_input = 5e-1 }",
    );
    for (kind, pico) in [
        (Kind::Input, 100_000),
        (Kind::Cached, 1),
        (Kind::Output, 1_000_500_000),
        (Kind::ImageInput, 500_000),
    ] {
        assert_eq!(
            model.prices.price(kind, 0, Tier::Standard),
            Some(pico),
            "{kind:?}"
        );
    }
}

fn input_price(catalog: &Catalog, id: &str) -> Option<String> {
    let usage = Usage {
        uncached: 1_000_000,
        ..Usage::default()
    };
    cost(catalog.find(id)?, usage, Tier::Standard)
}

const LITELLM: &str = r#"{
  "sample_spec": {"input_cost_per_token": "a number"},
  "gpt-5": {"input_cost_per_token": 1, "litellm_provider": "openai"},
  "near/zebra-1": {"input_cost_per_token": 2.9999999999999997e-06, "input_cost_per_token_above_200k_tokens": 4e-06,
    "input_cost_per_token_flex": 1e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": null,
    "litellm_provider": "near", "max_input_tokens": 4096.0, "max_output_tokens": "many",
    "supports_reasoning": true, "supports_vision": true, "rpm": [1]},
  "here/both": {"input_cost_per_token": 1e-06, "litellm_provider": "here"},
  "there/both": {"input_cost_per_token": 2e-06, "litellm_provider": "there"},
  "odd": {"input_cost_per_token": -1, "output_cost_per_token": 1e-06},
  "odder": 5
}"#;

#[test]
fn a_litellm_file_is_read_and_its_odd_entries_are_told() {
    let mut report = Report::new("prices.json", LITELLM);
    let models = litellm::models(LITELLM, &mut report);
    assert_eq!(report.mistakes(), "");
    assert_eq!(
        report.notes(),
        "note: prices.json:10:35: \"odd\": input_cost_per_token is no price, and is left out\n\
         note: prices.json:11:12: \"odder\" is not an object, and is left out\n"
    );
    let catalog = Catalog::assembled(Vec::new(), models);
    let zebra = catalog.find("zebra-1").expect("without its provider");
    assert_eq!((zebra.context, zebra.max_output), (Some(4096), None));
    assert!(zebra.reasoning && zebra.input == [Modality::Image]);
    for (tier, input, pico) in [
        (Tier::Standard, 0, 3_000_000),
        (Tier::Standard, 200_001, 4_000_000),
        (Tier::Flex, 0, 1_000_000),
    ] {
        assert_eq!(zebra.prices.price(Kind::Input, input, tier), Some(pico));
    }
    // Two providers, two prices: nobody can know.
    assert!(catalog.find("both").is_none());
    assert_eq!(input_price(&catalog, "there/both").as_deref(), Some("2"));
    assert_eq!(input_price(&catalog, "odd"), None);
    // What is built in comes first.
    assert_eq!(input_price(&catalog, "gpt-5").as_deref(), Some("1.25"));
}

#[test]
fn a_file_that_is_no_price_file_is_a_mistake() {
    for (text, expected) in [
        ("{\n  \"a\": {,}\n}", "p.json:2:"),
        ("[]", "p.json:1:"),
        ("", "p.json:1:"),
        ("{\"é\": tru", "p.json:1:"),
    ] {
        let mut report = Report::new("p.json", text);
        assert!(litellm::models(text, &mut report).is_empty());
        let found = report.mistakes();
        assert!(
            found.starts_with(expected) && found.contains("is not LiteLLM's price file"),
            "{text}: {found}"
        );
    }
}

/// A folder of one test's own.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("torouter-catalog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file");
    }

    fn config(&self, lines: &str) -> (Option<crate::config::Config>, Report) {
        let file = self.0.join("torouter.toml").display().to_string();
        let rest = "[[channels]]\nname = \"a\"\nplatform = \"openai\"\napi_key = { value = \"k\" }\n[[groups]]\nname = \"g\"\nchannels = [\"a\"]\n[[keys]]\nname = \"k\"\ngroup = \"g\"\nsecret = { value = \"s\" }\n";
        crate::config::parse(&file, &format!("[catalog]\n{lines}\n{rest}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_operators_file_ranks_first_and_is_read_anew_each_time() {
    let folder = Folder::new("ranks");
    folder.write("prices.json", LITELLM);
    let own = |price: &str| {
        folder.write(
            "models.toml",
            &format!("[[models]]\nid = \"gpt-5\"\nprice = {{ input = {price} }}\n[[models]]\nid = \"odd\"\n"),
        );
        let (config, report) = folder.config("models = \"models.toml\"\nlitellm = \"prices.json\"");
        assert_eq!(report.mistakes(), "");
        assert!(
            report.notes().contains("prices.json:10:35"),
            "{}",
            report.notes()
        );
        config.expect("valid").catalog
    };
    for price in ["7", "8.5"] {
        let catalog = own(price);
        for id in ["gpt-5", "gpt-5-2025-08-07", "openai/gpt-5"] {
            assert_eq!(input_price(&catalog, id).as_deref(), Some(price), "{id}");
        }
        assert_eq!(input_price(&catalog, "zebra-1").as_deref(), Some("4"));
        assert_eq!(input_price(&catalog, "odd"), None);
        assert!(catalog.knows("claude-opus-4-7"));
    }
}

#[test]
fn a_channel_knows_what_the_catalogue_knows_of_its_models() {
    let folder = Folder::new("channel");
    folder.write(
        "models.toml",
        "[[models]]\nid = \"claude-opus-4-7\"\nmax_output = 777\n",
    );
    let (config, report) = folder.config("models = \"models.toml\"");
    assert_eq!(report.mistakes(), "");
    let mut channel = config.expect("valid").channels.remove(0);
    channel.platform = crate::platform::by_name("anthropic").expect("a platform");
    let most = |model| match channel.target(model) {
        crate::dialect::translate::Target::Anthropic(target) => target.max_output,
        other => panic!("{other:?}"),
    };
    assert_eq!(most("claude-opus-4-7"), 777);
    // Not in the catalogue: by the shape of its id.
    assert_eq!(most("claude-3-5-haiku-x"), 8192);
}

#[test]
fn mistakes_in_files_that_the_config_names_stop_it_and_name_them() {
    let folder = Folder::new("mistakes");
    folder.write(
        "models.toml",
        "[[models]]\nid = \"x\"\nprice = { input = -1 }\n",
    );
    folder.write("bad.json", "{");
    let (config, report) =
        folder.config("models = \"models.toml\"\nlitellm = \"bad.json\"\nother = 1");
    assert!(config.is_none());
    let found = report.mistakes();
    for expected in [
        "torouter.toml:4:1: catalog.other is not known",
        "models.toml:3:19: models[0].price.input must be",
        "bad.json:1:",
    ] {
        assert!(found.contains(expected), "{found}");
    }
    let (config, report) = folder.config("models = \"none.toml\"");
    assert!(config.is_none());
    let found = report.mistakes();
    assert!(
        found.contains("torouter.toml:2:10: catalog.models: ")
            && found.contains("none.toml cannot be read"),
        "{found}"
    );
}

#[test]
fn the_built_in_facts_are_those_of_the_price_file_beside_the_project() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/model-prices.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        return;
    };
    let mut report = Report::new("model-prices.json", &text);
    let mut theirs = Catalog::default();
    theirs.add(litellm::models(&text, &mut report));
    let ours = Catalog::built_in();
    let mut compared = 0;
    for model in ours.models() {
        let Some(same) = theirs.exactly(&model.id) else {
            continue;
        };
        compared += 1;
        let told = |ours: Option<u64>, theirs| ours.is_none() || ours == theirs;
        assert!(told(model.context, same.context), "{}", model.id);
        assert!(told(model.max_output, same.max_output), "{}", model.id);
        assert!(same.reasoning || !model.reasoning, "{}", model.id);
        for (kind, tier) in Kind::ALL
            .iter()
            .flat_map(|&kind| Tier::ALL.map(|tier| (kind, tier)))
        {
            for input in [0, 150_000, 250_000, 300_000] {
                let price = |model: &Model| {
                    model
                        .prices
                        .price(kind, input, tier)
                        .filter(|&pico| pico > 0)
                };
                assert_eq!(
                    price(model),
                    price(same),
                    "{} {kind:?} {tier:?} {input}",
                    model.id
                );
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
