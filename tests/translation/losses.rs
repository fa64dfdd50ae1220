//! `docs/translation.md`: what becomes of each parameter on each platform, as the code has it. With `TOROUTER_BLESS=1`
//! the file is written anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::value::RawValue;

use torouter::dialect::translate::Rendered;
use torouter::dialect::{Dialect, anthropic, gemini, openai_chat, openai_responses};

use crate::requests::{PLATFORMS, is_verbatim, write};

const INTRO: &str = "\
# What is carried over

Written from the code by `tests/translation/losses.rs`; a test holds it against the code. Run it with `TOROUTER_BLESS=1`
to write this page anew.

A request that reaches a channel of its own protocol is passed on as it came, so those pairs have no column here. On the
way to another protocol a parameter is

- **carried**: it has a counterpart, or the provider does it without being told;
- **dropped**: the answer means the same without it. It is left out, counted, and named in the header
  `x-torouter-dropped`. Brackets: what is dropped is only this part of it, or bears this name in the header;
- **refused**: without it the answer would mean something else. The request is a 400 `unsupported_parameter` that names it;
- **by the gateway**: it is about state, which the gateway keeps; the provider gets what it stands for.

What a platform takes may differ by model; this page was made with";

const TOOLS: &str = "\
`openai-responses` stands for models of `openai` that only its Responses API has (`responses_only` of the channel). A request for
a tool that OpenAI runs (search, code) goes there too, whatever the model.

## Tools that a provider runs

Search (`web_search`, `web_search_options`, `web_search_20250305`, `googleSearch`), reading pages (`web_fetch`, `urlContext`) and running code
(`code_interpreter`, `code_execution_20250825`, `codeExecution`) are carried to where they exist:

| | openai | anthropic | gemini | openrouter | openai-compatible |
|---|---|---|---|---|---|
| search | yes | yes | without functions | yes | no |
| reading pages | no | yes | without functions | no | no |
| running code | yes | yes | without functions | no | no |

Elsewhere the request is a 400 that names the tool, with one exception. **A search beside functions is an offer**: agents send one with
every request. Where it cannot be had, or not beside functions, it is left out and named (`tools[].web_search`) in `x-torouter-dropped`. A
search that is all that is offered, or that `tool_choice` demands, is never left out. `openai` can be made to use one tool among others; elsewhere
such a demand is a 400.

What was found comes with the answer's text and its citations, in the client's form; the provider's own steps (`server_tool_use` and its results,
`web_search_call`, `toolCall`) do not. Code that Gemini ran stands in the text, with what it printed.
";

struct Surface {
    title: &'static str,
    dialect: Dialect,
    base: &'static str,
    samples: &'static [(&'static str, &'static str)],
}

fn surfaces() -> [Surface; 4] {
    [
        Surface {
            title: "OpenAI Chat",
            dialect: Dialect::OpenAiChat,
            base: r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#,
            samples: openai_chat::SAMPLES,
        },
        Surface {
            title: "OpenAI Responses",
            dialect: Dialect::OpenAiResponses,
            base: r#"{"model":"m","input":[{"role":"user","content":"Hi"}]}"#,
            samples: openai_responses::SAMPLES,
        },
        Surface {
            title: "Anthropic Messages",
            dialect: Dialect::Anthropic,
            base: r#"{"model":"m","max_tokens":4096,"messages":[{"role":"user","content":"Hi"}]}"#,
            samples: anthropic::SAMPLES,
        },
        Surface {
            title: "Gemini",
            dialect: Dialect::Gemini,
            base: r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
            samples: gemini::SAMPLES,
        },
    ]
}

type Object = BTreeMap<String, Box<RawValue>>;

/// The smallest request that uses a parameter: the sample's fields in place of the base's.
fn with(base: &str, sample: &str) -> Vec<u8> {
    let mut whole: Object = serde_json::from_str(base).expect("an object");
    let sample: Object = serde_json::from_str(&format!("{{{sample}}}"))
        .unwrap_or_else(|error| panic!("a sample is no fragment of JSON: {error}: {sample}"));
    whole.extend(sample);
    serde_json::to_vec(&whole).expect("JSON")
}

fn render(surface: &Surface, body: &[u8], platform: &str, model: &str) -> Result<Rendered, String> {
    surface
        .dialect
        .read_request(body, false)
        .and_then(|request| write(&request, platform, model))
        .map_err(|fault| fault.message.into_owned())
}

/// `messages[2].content` as `messages[].content`.
fn without_indexes(path: &str) -> String {
    let mut is_inside = false;
    path.chars()
        .filter(|c| {
            is_inside = *c == '[' || (is_inside && c.is_ascii_digit());
            !(is_inside && c.is_ascii_digit())
        })
        .collect()
}

/// One spelling for both that protocols have.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// What the gateway does before a request is translated (`tests/gateway/state.rs`): the protocols' halves never see it.
const STATE: [&str; 4] = [
    "input[].type: item_reference",
    "previous_response_id",
    "conversation",
    "background",
];

/// The word for the table; why, where it is refused.
fn fate(
    surface: &Surface,
    (parameter, sample): (&str, &str),
    platform: &str,
    model: &str,
) -> (String, Option<String>) {
    if STATE.contains(&parameter) {
        return ("by the gateway".to_owned(), None);
    }
    let plain = render(surface, surface.base.as_bytes(), platform, model)
        .unwrap_or_else(|why| panic!("the least request is refused by {platform}: {why}"));
    let rendered = match render(surface, &with(surface.base, sample), platform, model) {
        Err(why) => return ("refused".to_owned(), Some(why)),
        Ok(rendered) => rendered,
    };
    let lost = rendered
        .losses
        .iter()
        .filter(|loss| !plain.losses.contains(loss));
    let mut names: Vec<String> = lost.map(|loss| without_indexes(&loss.path)).collect();
    names.sort();
    names.dedup();
    let is_itself = |name: &String| snake_case(parameter).contains(&snake_case(name));
    let word = if names.is_empty() {
        "carried".to_owned()
    } else if names.iter().all(is_itself) {
        "dropped".to_owned()
    } else {
        format!("dropped (`{}`)", names.join("`, `"))
    };
    (word, None)
}

fn section(page: &mut String, surface: &Surface) {
    let platforms = PLATFORMS
        .into_iter()
        .filter(|(platform, _)| !is_verbatim(surface.dialect, platform));
    let platforms: Vec<_> = platforms.collect();
    let names: Vec<&str> = platforms.iter().map(|(name, _)| *name).collect();
    let _ = write!(
        page,
        "\n## {}\n\n| parameter | {} |\n",
        surface.title,
        names.join(" | ")
    );
    let _ = writeln!(page, "|---|{}", "---|".repeat(names.len()));
    let mut refusals: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for (parameter, sample) in surface.samples {
        let mut cells = Vec::new();
        for (platform, model) in &platforms {
            let (word, why) = fate(surface, (parameter, sample), platform, model);
            cells.push(word);
            let Some(why) = why else { continue };
            match refusals
                .iter_mut()
                .find(|(known, of, _)| *known == why && of == parameter)
            {
                Some((_, _, on)) => on.push(platform),
                None => refusals.push((why, parameter, vec![platform])),
            }
        }
        let _ = writeln!(page, "| `{parameter}` | {} |", cells.join(" | "));
    }
    if !refusals.is_empty() {
        page.push_str("\nRefused, and why:\n\n");
    }
    for (why, parameter, platforms) in refusals {
        let _ = writeln!(page, "- `{parameter}` ({}): {why}", platforms.join(", "));
    }
}

#[test]
fn the_page_of_what_is_carried_is_that_of_the_code() {
    let models: Vec<String> = PLATFORMS
        .iter()
        .map(|(platform, model)| format!("`{model}` ({platform})"))
        .collect();
    let mut page = format!("{INTRO}\n{}.\n\n{TOOLS}", models.join(", "));
    for surface in surfaces() {
        section(&mut page, &surface);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/translation.md");
    if std::env::var_os("TOROUTER_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &page).expect("a file");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if kept != page {
        let changed: Vec<&str> = page.lines().filter(|line| !kept.contains(line)).collect();
        panic!(
            "docs/translation.md is not what the code does; run this test with TOROUTER_BLESS=1. New:\n{}",
            changed.join("\n")
        );
    }
}

#[test]
fn each_parameter_has_a_sample() {
    for surface in surfaces() {
        let (title, samples) = (surface.title, surface.samples);
        assert!(samples.len() > 20, "{title}: {} samples", samples.len());
        for (at, (parameter, _)) in samples.iter().enumerate() {
            let again = samples[..at].iter().any(|(other, _)| other == parameter);
            assert!(!again, "{title}: {parameter} stands twice");
        }
    }
}
