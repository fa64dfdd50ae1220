//! Every recorded exchange, rendered for every other surface and platform. What comes of the own corpus is kept in
//! `snapshots`, to be read by people; of what lies beside the project nothing is kept, only that it can be rendered.

use std::fmt::Write as _;

use torouter::dialect::Dialect;

use crate::corpus::{self, Recording};
use crate::relay::{DIALECTS, Relayed, frames, pretty, relay_recording};
use crate::requests::{PLATFORMS, refusal_names_its_field, render};

fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "openai_chat",
        Dialect::OpenAiResponses => "openai_responses",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    }
}

/// A snapshot beside these tests, named by what it shows.
fn keep(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name.replace('/', "-"), shown));
}

fn others(dialect: Dialect) -> impl Iterator<Item = Dialect> {
    DIALECTS
        .into_iter()
        .filter(move |surface| *surface != dialect)
}

/// The stream and the body that a client of `surface` gets; `None` where the answer is an error, which the proxy writes.
fn rendered(relayed: &Relayed, surface: Dialect, name: &str) -> Option<(String, String)> {
    if relayed.answer.fault.is_some() {
        return None;
    }
    let stream = String::from_utf8(relayed.stream(surface).to_vec()).expect("UTF-8");
    for (_, data) in frames(stream.as_bytes()) {
        let is_json = serde_json::from_str::<serde_json::Value>(&data).is_ok();
        assert!(is_json || data == "[DONE]", "{name}: {data}");
    }
    let whole = String::from_utf8(relayed.whole(surface)).expect("UTF-8");
    serde_json::from_str::<serde_json::Value>(&whole)
        .unwrap_or_else(|error| panic!("{name} for {surface:?}: {error}: {whole}"));
    Some((stream, whole))
}

fn answers(recordings: &[Recording], mut shown: impl FnMut(&str, &str)) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    for recording in recordings
        .iter()
        .filter(|recording| recording.status == 200)
    {
        let relayed = relay_recording(recording);
        let name = format!("{}.events", recording.name);
        shown(&name, &relayed.events.join("\n"));
        read += 1;
        for surface in others(recording.dialect) {
            let name = format!("{}.answer.{}", recording.name, word(surface));
            let Some((stream, whole)) = rendered(&relayed, surface, &name) else {
                continue;
            };
            shown(
                &name,
                &format!("streamed:\n{stream}\nwhole:\n{}", pretty(&whole)),
            );
            written += 1;
        }
    }
    (read, written)
}

fn requests(recordings: &[Recording], mut shown: impl FnMut(&str, &str)) -> (usize, usize) {
    let (mut written, mut refused) = (0, 0);
    for recording in recordings {
        let Some(body) = &recording.request else {
            continue;
        };
        for (platform, model) in PLATFORMS {
            let result = render(
                recording.dialect,
                body.as_bytes(),
                recording.stream,
                platform,
                model,
            );
            let Some(result) = result else {
                continue;
            };
            let name = format!("{}.request.{platform}", recording.name);
            match result {
                Ok(rendered) => {
                    written += 1;
                    let body = String::from_utf8(rendered.body).expect("UTF-8");
                    serde_json::from_str::<serde_json::Value>(&body)
                        .unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
                    let mut text = pretty(&body);
                    for (header, value) in &rendered.headers {
                        let _ = write!(text, "\nheader {header}: {value}");
                    }
                    for loss in &rendered.losses {
                        let _ = write!(text, "\nleft out: {}", loss.path);
                    }
                    shown(&name, &text);
                }
                Err(fault) => {
                    refused += 1;
                    refusal_names_its_field(&name, &fault);
                    shown(&name, &format!("refused: {fault:?}"));
                }
            }
        }
    }
    (written, refused)
}

#[test]
fn own_answers_are_rendered_for_each_other_surface_as_they_were() {
    let (read, written) = answers(&corpus::own(), keep);
    println!("own corpus: {read} recordings x 3 surfaces, {written} rendered");
    assert!(read >= 6);
}

#[test]
fn own_requests_are_rendered_for_each_other_platform_as_they_were() {
    let (written, refused) = requests(&corpus::own(), keep);
    println!("own corpus: requests rendered {written} times, refused {refused} times");
    assert!(written > 0);
}

#[test]
fn answers_recorded_beside_the_project_are_rendered_for_each_other_surface() {
    let (read, written) = answers(&corpus::shared(), |_, _| {});
    println!("beside the project: {read} recordings x 3 surfaces, {written} rendered");
    assert!(
        read == 0 || written * 10 >= read * 3 * 9,
        "too many are errors"
    );
}

#[test]
fn requests_recorded_beside_the_project_are_rendered_or_refused_by_name() {
    let (written, refused) = requests(&corpus::shared(), |_, _| {});
    println!("beside the project: requests rendered {written} times, refused {refused} times");
    assert!(written >= refused, "most of what people ask can be carried");
}
