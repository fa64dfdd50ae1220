//! What holds for every answer, whoever sent it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use torouter::chat::{Answer, Part, PartKind};
use torouter::dialect::Dialect;
use torouter::dialect::translate::Echo;

use crate::corpus::{self, Recorded, Recording};
use crate::hear::{self, Heard};
use crate::relay::{DIALECTS, Relayed, echo, feed, frames, relay, relay_recording, relay_with};

/// Recordings of answers that are no plain errors.
fn answers() -> Vec<Recording> {
    let mut all = corpus::own();
    all.extend(corpus::shared());
    all.retain(|recording| recording.status == 200);
    all
}

fn cut_everywhere(name: &str, dialect: Dialect, stream: &str, most: usize) {
    let stream = stream.as_bytes();
    let whole = relay(dialect, name, |reader, sink| feed(reader, &[stream], sink)).events;
    let step = (stream.len() / most).max(1);
    for at in (0..=stream.len()).step_by(step) {
        let (head, tail) = stream.split_at(at);
        let cut = relay(dialect, name, |reader, sink| {
            feed(reader, &[head, tail], sink);
        })
        .events;
        assert_eq!(cut, whole, "{name} cut at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    let dripped = relay(dialect, name, |reader, sink| feed(reader, &bytes, sink)).events;
    assert_eq!(dripped, whole, "{name}, byte by byte");
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_events() {
    for recording in corpus::own() {
        if let Recorded::Stream(stream) = &recording.answer {
            cut_everywhere(&recording.name, recording.dialect, stream, usize::MAX);
        }
    }
    for recording in corpus::shared() {
        if let Recorded::Stream(stream) = &recording.answer {
            // Long ones are cut less often: their time is that of their length for each cut.
            let most = (4_000_000 / stream.len().max(1)).clamp(8, 300);
            cut_everywhere(&recording.name, recording.dialect, stream, most);
        }
    }
}

fn heard(relayed: &Relayed, surface: Dialect) -> Result<Heard, String> {
    let (stream, whole) = (relayed.stream(surface), relayed.whole(surface));
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let streamed = hear::stream(surface, stream)
        .map_err(|error| format!("streamed to {surface:?}: {error}\nof\n{}", shown(stream)))?;
    let mut at_once = hear::whole(surface, &whole)
        .map_err(|error| format!("whole to {surface:?}: {error}\nof\n{}", shown(&whole)))?;
    if relayed.answer.usage.is_none() {
        // Anthropic's streams begin with usage, so that an estimate stands there.
        at_once.usage = streamed.usage.clone();
    }
    if streamed == at_once {
        Ok(streamed)
    } else {
        Err(format!(
            "to {surface:?}\nstreamed {streamed:#?}\nwhole {at_once:#?}"
        ))
    }
}

/// Runs each of `all` and tells of all that failed, not of the first only.
fn each(all: &[Recording], check: impl Fn(&Recording) -> Result<(), String>) {
    let mut failed = Vec::new();
    for recording in all {
        match catch_unwind(AssertUnwindSafe(|| check(recording))) {
            Ok(Ok(())) => {}
            Ok(Err(what)) => failed.push(format!("{}: {what}", recording.name)),
            Err(_) => failed.push(format!("{}: panicked", recording.name)),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        all.len(),
        failed.join("\n\n")
    );
}

#[test]
fn streamed_and_whole_answers_agree_on_each_surface() {
    each(&answers(), |recording| {
        let relayed = relay_recording(recording);
        if relayed.answer.fault.is_some() {
            return Ok(());
        }
        for surface in DIALECTS {
            heard(&relayed, surface)?;
        }
        Ok(())
    });
}

/// Words only: protocols differ in what they put between parts.
fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn said(parts: &[Part<'_>], pick: impl Fn(&PartKind<'_>) -> Option<String>) -> String {
    let all: Vec<String> = parts.iter().filter_map(|part| pick(&part.kind)).collect();
    letters(&all.concat())
}

fn is_told_whole(answer: &Answer, heard: &Heard) -> Result<(), String> {
    let choice = &answer.choices[0];
    let Some(told) = heard.choices.get(&0) else {
        return Err("nothing was heard".to_owned());
    };
    let text = said(&choice.parts, |kind| match kind {
        PartKind::Text { text, .. } => Some(text.to_string()),
        _ => None,
    });
    let refusal = said(&choice.parts, |kind| match kind {
        PartKind::Refusal(text) => Some(text.to_string()),
        _ => None,
    });
    let reasoning = said(&choice.parts, |kind| match kind {
        PartKind::Reasoning(reasoning) => Some(reasoning.text.to_string()),
        _ => None,
    });
    let heard_text = letters(&told.text);
    let has_media = choice
        .parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::Media(_)));
    // A surface without images and sounds says in words that there was one.
    if has_media && heard_text.contains(&text) {
        return Ok(());
    }
    if heard_text != text && heard_text != format!("{text}{refusal}") {
        return Err(format!("the text {text:?} is heard as {heard_text:?}"));
    }
    if letters(&told.reasoning) != reasoning {
        return Err(format!(
            "the reasoning {reasoning:?} is heard as {:?}",
            told.reasoning
        ));
    }
    let calls = choice.parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall(call) => Some(call),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    if calls.len() != told.calls.len() {
        return Err(format!(
            "{} calls are heard as {:?}",
            calls.len(),
            told.calls
        ));
    }
    for (call, told) in calls.iter().zip(&told.calls) {
        // A call that was cut off is no JSON; a free-form one never was.
        let input = serde_json::from_str::<serde_json::Value>(&call.arguments);
        let same_input = call.custom || input.map_or(true, |input| input == told.input);
        if call.name != told.name || !same_input {
            return Err(format!("{call:?} is heard as {told:?}"));
        }
    }
    Ok(())
}

#[test]
fn each_surface_hears_all_text_reasoning_and_calls() {
    each(&answers(), |recording| {
        let relayed = relay_recording(recording);
        if relayed.answer.fault.is_some() {
            return Ok(());
        }
        for surface in DIALECTS {
            let heard = hear::whole(surface, &relayed.whole(surface))?;
            is_told_whole(&relayed.answer, &heard)
                .map_err(|what| format!("to {surface:?}: {what}"))?;
        }
        Ok(())
    });
}

#[test]
fn the_client_sees_the_model_that_it_asked_for() {
    for recording in answers() {
        let relayed = relay_recording(&recording);
        if relayed.answer.fault.is_some() {
            continue;
        }
        for surface in DIALECTS {
            let whole = String::from_utf8(relayed.whole(surface)).expect("UTF-8");
            let name = &recording.name;
            assert!(
                whole.contains(crate::relay::ASKED),
                "{name} to {surface:?}: {whole}"
            );
        }
    }
}

#[test]
fn a_gemini_array_holds_what_the_events_hold() {
    let array = Echo {
        array: true,
        ..echo()
    };
    for recording in corpus::own() {
        let (Recorded::Stream(stream), 200) = (&recording.answer, recording.status) else {
            continue;
        };
        let say = |echo: &Echo| {
            relay_with(recording.dialect, &recording.name, echo, |reader, sink| {
                feed(reader, &[stream.as_bytes()], sink);
            })
        };
        let (events, listed) = (say(&echo()), say(&array));
        if events.answer.fault.is_some() {
            continue;
        }
        let elements: Vec<serde_json::Value> =
            serde_json::from_slice(listed.stream(Dialect::Gemini)).expect("a JSON array");
        let chunks: Vec<serde_json::Value> = frames(events.stream(Dialect::Gemini))
            .iter()
            .map(|(_, data)| serde_json::from_str(data).expect("JSON"))
            .collect();
        assert_eq!(elements, chunks, "{}", recording.name);
    }
}

#[test]
fn a_stream_that_ends_too_early_is_no_whole_answer() {
    for (dialect, begun) in [
        (
            Dialect::OpenAiChat,
            "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
        ),
        (
            Dialect::Anthropic,
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        ),
        (
            Dialect::Gemini,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"}}]}\n\n",
        ),
    ] {
        let relayed = relay(dialect, "cut off", |reader, sink| {
            feed(reader, &[begun.as_bytes()], sink);
        });
        assert!(
            relayed.answer.fault.is_some(),
            "{dialect:?}: {:?}",
            relayed.events
        );
    }
}
