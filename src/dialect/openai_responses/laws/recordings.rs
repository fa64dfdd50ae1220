//! The same laws over what was recorded, as it was and broken.

use serde_json::Value;

use super::{accumulated, echo, frames, strip};
use crate::base::Ids;
use crate::chat::{Answer, Delta, Event, Fold, PartKind};
use crate::dialect::openai_responses::{
    Reader, Target, Writer, read_request, write_answer, write_request,
};

/// Every recording is read to its end, streamed and whole alike, and written again.
#[test]
fn recordings_are_read_and_written() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    let mut seen = 0;
    for provider in [
        "openai",
        "openrouter",
        "deepseek",
        "lmstudio",
        "xai",
        "azure-openai",
    ] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            let name = entry.file_name();
            if record["response"]["status"] != 200 {
                continue;
            }
            seen += 1;
            let mut fold = Fold::default();
            let mut events: Vec<String> = Vec::new();
            let mut out = Vec::new();
            let mut writer = Writer::new(echo());
            let mut reader = Reader::new(Ids::new(1));
            let mut last = None;
            {
                let mut sink = |event: Event<'_>| {
                    events.push(format!("{event:?}").chars().take(60).collect());
                    writer.event(event.clone(), &mut out);
                    fold.event(event);
                };
                if let Some(sse) = record["response"]["sse"].as_str() {
                    for data in sse.lines().filter_map(|line| line.strip_prefix("data:")) {
                        let data = data.trim();
                        if let Ok(value) = serde_json::from_str::<Value>(data)
                            && value.get("response").is_some()
                        {
                            last = Some(value["response"].clone());
                        }
                        reader.data(data.as_bytes(), &mut sink);
                    }
                    reader.end(&mut sink);
                } else {
                    let body = record["response"]["body"].to_string();
                    last = Some(record["response"]["body"].clone());
                    reader.body(body.as_bytes(), &mut sink);
                }
            }
            let answer = fold.finish();
            let last = last.expect("a response");
            if last["status"] == "failed" {
                assert!(answer.fault.is_some(), "{name:?}");
                continue;
            }
            assert!(answer.fault.is_none(), "{name:?} {:?}", answer.fault);
            // The response at the end of a stream says the same as its pieces.
            let mut fold = Fold::default();
            Reader::new(Ids::new(1))
                .body(last.to_string().as_bytes(), &mut |event| fold.event(event));
            let whole = fold.finish();
            let told = |answer: &Answer| -> Vec<String> {
                answer.choices[0]
                    .parts
                    .iter()
                    .map(|part| match &part.kind {
                        // Ids of items differ here and there.
                        PartKind::Reasoning(reasoning) => reasoning.text.clone().into_owned(),
                        other => strip(other),
                    })
                    .collect()
            };
            // One was edited by hand in its deltas only.
            let edited = name.to_string_lossy().contains("shell-container");
            if !edited && !last["output"].as_array().is_none_or(Vec::is_empty) {
                assert_eq!(told(&answer), told(&whole), "{name:?}\n{events:#?}");
            }
            assert_eq!(answer.usage, whole.usage);
            assert_eq!(answer.choices[0].stop, whole.choices[0].stop, "{name:?}");
            let events = frames(&out);
            let written = events.last().expect("an end")["response"].clone();
            assert_eq!(
                Value::from(accumulated(&events)),
                written["output"],
                "{name:?}"
            );
            let again: Value =
                serde_json::from_slice(&write_answer(&answer, &mut echo())).expect("JSON");
            assert_eq!(written, again, "{name:?}");
        }
    }
    assert!(seen == 0 || seen > 30, "{seen}");
}

/// What any reader owes whoever listens.
#[derive(Default)]
struct Grammar {
    started: bool,
    ended: bool,
    stopped: bool,
    open: Vec<bool>,
}

impl Grammar {
    fn event(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "{event:?} behind the end");
        assert_eq!(
            self.started,
            !matches!(event, Event::Start { .. }),
            "{event:?}"
        );
        match event {
            Event::Start { .. } => self.started = true,
            Event::Open { part, choice, .. } => {
                assert_eq!(
                    (*part as usize, *choice, self.stopped),
                    (self.open.len(), 0, false)
                );
                self.open.push(true);
            }
            Event::Delta { part, delta } => {
                assert!(self.open[*part as usize], "{event:?}");
                if let Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) = delta {
                    assert!(!text.is_empty());
                }
            }
            Event::Close { part } => assert!(std::mem::take(&mut self.open[*part as usize])),
            Event::Stop(_) => {
                assert!(!self.stopped && !self.open.contains(&true));
                self.stopped = true;
            }
            Event::Finish => {
                assert!(self.stopped);
                self.ended = true;
            }
            Event::Fault(_) => {
                assert!(!self.open.contains(&true));
                self.ended = true;
            }
            Event::Logprobs { .. } | Event::Usage(_) | Event::ServiceTier(_) | Event::Ping => {}
        }
    }
}

/// Events that are missing, doubled or out of order break no rule of what is told.
#[test]
fn whatever_the_provider_sends_the_grammar_is_kept() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut streams: Vec<Vec<String>> = Vec::new();
    for provider in ["openai", "openrouter", "deepseek", "lmstudio"] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            if let Some(sse) = record["response"]["sse"].as_str() {
                let lines = sse.lines().filter_map(|line| line.strip_prefix("data:"));
                streams.push(lines.map(|line| line.trim().to_owned()).take(400).collect());
            }
        }
    }
    let everything = streams.concat();
    for stream in &streams {
        for _ in 0..20 {
            let mut events = stream.clone();
            for _ in 0..=random(4) {
                let at = random(events.len());
                match random(5) {
                    0 => {
                        events.remove(at);
                        events.push(String::new());
                    }
                    1 => events.insert(at, everything[random(everything.len())].clone()),
                    2 => {
                        let to = random(events.len());
                        events.swap(at, to);
                    }
                    3 => {
                        events[at] =
                            events[at].replacen(r#""output_index":0"#, r#""output_index":1"#, 1);
                    }
                    _ => {
                        let name = ["item_id", "output_index", "delta", "call_id", "id", "type"]
                            [random(6)];
                        events[at] = events[at].replace(&format!("\"{name}\":"), "\"gone\":");
                    }
                }
            }
            let mut grammar = Grammar::default();
            let mut reader = Reader::new(Ids::new(1));
            let mut writer = Writer::new(echo());
            let mut out = Vec::new();
            let mut sink = |event: Event<'_>| {
                grammar.event(&event);
                writer.event(event, &mut out);
            };
            for event in &events {
                reader.data(event.as_bytes(), &mut sink);
            }
            reader.end(&mut sink);
            assert!(grammar.ended);
            accumulated(&frames(&out));
        }
    }
}

/// Every request that was recorded is read, and what is written of it is read as the same.
#[test]
fn recorded_requests_are_read_and_written() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/recordings"));
    for provider in [
        "openai",
        "openrouter",
        "deepseek",
        "lmstudio",
        "xai",
        "azure-openai",
    ] {
        let Ok(folder) = std::fs::read_dir(root.join(provider).join("responses")) else {
            continue;
        };
        for entry in folder.flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            let body = &record["request"]["body"];
            if !body.is_object() {
                continue;
            }
            let body = body.to_string();
            let name = entry.file_name();
            let request =
                read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{name:?} {fault:?}"));
            let target = Target {
                model: "m",
                reasons: true,
            };
            let rendered = write_request(&request, &target).expect("written");
            let again = read_request(&rendered.body);
            // A client is told what its provider refuses.
            let is_refused =
                |loss: &crate::chat::Loss| loss.severity == crate::chat::Severity::Meaning;
            if request.turns.is_empty() || rendered.losses.iter().any(is_refused) {
                continue;
            }
            let again = again.unwrap_or_else(|fault| panic!("{name:?} {fault:?}"));
            let kinds = |request: &crate::chat::Request<'_>| -> Vec<String> {
                request
                    .turns
                    .iter()
                    .flat_map(|turn| &turn.parts)
                    .map(|part| match &part.kind {
                        PartKind::Reasoning(r) => format!("reasoning {}", r.signature.is_some()),
                        other => strip(other),
                    })
                    .filter(|text| text != "reasoning false")
                    .collect()
            };
            assert_eq!(kinds(&request), kinds(&again), "{name:?}");
        }
    }
}
