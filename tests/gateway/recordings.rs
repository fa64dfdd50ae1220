//! Recorded exchanges, replayed as an upstream: what the provider said comes back byte for byte and is
//! counted. The project's own small corpus always runs; a larger one beside the project runs when it
//! is there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::http1::{Connection, request};
use crate::stand::{Gateway, KEY, Simulator, channel, eventually};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "json")
            && path.file_name().is_some_and(|n| n != "index.json")
        {
            found.push(path);
        }
    }
}

/// Path and body of a request that would get such an answer.
fn asked(recording: &Value) -> Option<(String, Vec<u8>)> {
    let stream = recording["response"]["sse"].is_string();
    let chat = format!("{{\"model\":\"m\",\"stream\":{stream},\"messages\":[]}}");
    let array = recording["features"]
        .as_array()
        .is_some_and(|f| f.iter().any(|f| f == "stream_json_array"));
    let gemini = |verb: &str| Some((format!("/v1beta/models/m:{verb}"), b"{}".to_vec()));
    let openai = |path: &str, body: String| Some((path.to_owned(), body.into_bytes()));
    match recording["api"].as_str()? {
        "chat" => openai("/v1/chat/completions", chat),
        "responses" => openai("/v1/responses", chat),
        "embeddings" if recording["provider"] == "gemini" => gemini("embedContent"),
        "embeddings" => openai("/v1/embeddings", chat),
        "images.generations" | "images.edits" => openai("/v1/images/generations", chat),
        "messages" => openai("/v1/messages", chat),
        "generateContent" => gemini("generateContent"),
        "streamGenerateContent" if array || !stream => gemini("streamGenerateContent"),
        "streamGenerateContent" => gemini("streamGenerateContent?alt=sse"),
        _ => None,
    }
}

/// Does the recording state tokens that were spent?
fn states_usage(recording: &Value) -> bool {
    let response = &recording["response"];
    let text = response["sse"]
        .as_str()
        .map_or_else(|| response["body"].to_string(), str::to_owned);
    let marks = ["prompt_tokens", "input_tokens", "promptTokenCount"];
    // Some say that nothing was spent.
    marks.iter().any(|mark| {
        text.split(mark).skip(1).any(|rest| {
            let number = rest.trim_start_matches(['"', ':', ' ', '\\']);
            number.starts_with(|c: char| ('1'..='9').contains(&c))
        })
    })
}

fn replay(folder: &Path) -> (usize, usize) {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    paths.sort();
    if paths.is_empty() {
        return (0, 0);
    }
    let simulator = Simulator::with_env(
        &[],
        &[("TOROUTER_SIM_REPLAY_DIR", &folder.display().to_string())],
    );
    let lines = "ask_usage = false\nhealth = { interval = \"1h\" }";
    // One for each platform: in one group they would stand in for each other.
    let gateways = ["openai", "anthropic", "gemini"].map(|platform| {
        Gateway::start(
            simulator.address,
            "commit_after = \"10s\"\n",
            &[channel(platform, platform, lines)],
        )
    });
    let mut rounds = [0; 3];
    let (mut same, mut refused) = (0, 0);
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("a file");
        let recording: Value = serde_json::from_str(&text).expect("JSON");
        let Some((target, body)) = asked(&recording) else {
            continue;
        };
        let place = match target.as_str() {
            "/v1/messages" => 1,
            path if path.starts_with("/v1beta/") => 2,
            _ => 0,
        };
        let gateway = &gateways[place];
        let name = path.display().to_string();
        let id = format!("r{same}-{refused}");
        let headers = [
            ("x-api-key", KEY),
            ("x-sim-replay", name.as_str()),
            ("x-request-id", id.as_str()),
            ("anthropic-version", "2023-06-01"),
        ];
        let mut direct = Connection::open(simulator.address);
        direct.send(&request("POST", &target, &headers, &body));
        let direct = direct.answer().expect("an answer");
        let recorded = recording["response"]["status"].as_u64();
        assert_eq!(
            Some(u64::from(direct.status)),
            recorded,
            "{name}: {}",
            direct.text()
        );
        let through = gateway.send("POST", &target, &headers, &body);
        if direct.status == 200 && through.status == 200 {
            same += 1;
            assert_eq!(through.text(), direct.text(), "{name}");
            assert!(through.whole, "{name}");
            if states_usage(&recording) {
                let line = eventually("its line is logged", || {
                    let log = gateway.process.log();
                    log.lines()
                        .find(|l| l.contains(&format!("\"{id}\"")))
                        .map(str::to_owned)
                });
                assert!(
                    line.contains("_tokens\":") && line.contains("\"estimated\":false"),
                    "{name}: {line}"
                );
            }
            continue;
        }
        refused += 1;
        let status = through.status;
        if direct.status == 200 {
            // An error inside a 200.
            assert!(
                direct.text().contains("error"),
                "{name}: {}",
                through.text()
            );
            assert!((429..=529).contains(&status), "{name}: {status}");
        } else if matches!(direct.status, 400 | 404 | 422) && !direct.text().contains("API key") {
            assert_eq!(status, direct.status, "{name}");
        } else {
            assert!(
                (429..=529).contains(&status),
                "{name}: {status} for {}",
                direct.status
            );
        }
        // A channel that was refused would be left alone for a while.
        let restored = format!("{}/torouter.toml", gateway.folder.display());
        rounds[place] += 1;
        refresh(gateway, &restored, rounds[place]);
    }
    (same, refused)
}

/// Reads the config again under other channel names, so that nothing learnt is taken over.
fn refresh(gateway: &Gateway, config: &str, round: usize) {
    let text = std::fs::read_to_string(config).expect("a file");
    let mut fresh = text;
    for platform in ["openai", "anthropic", "gemini"] {
        let (old, new) = if round == 1 {
            (format!("\"{platform}\""), format!("\"{platform}-1\""))
        } else {
            (
                format!("\"{platform}-{}\"", round - 1),
                format!("\"{platform}-{round}\""),
            )
        };
        fresh = fresh.replace(&old, &new).replace(
            &format!("platform = {new}"),
            &format!("platform = \"{platform}\""),
        );
    }
    std::fs::write(config, fresh).expect("a file");
    let reloads = || gateway.metric("torouter_config_reloads_total", &[("result", "ok")]);
    let before = reloads();
    gateway.process.signal("-HUP");
    eventually("the config is read", || {
        (reloads() > before + 0.5).then_some(())
    });
    eventually("the channels are resolved", || {
        (gateway.admin("/readyz").status == 200).then_some(())
    });
}

#[test]
fn recorded_answers_come_back_byte_for_byte_and_are_counted() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let (same, refused) = replay(&own);
    assert!(
        same >= 6 && refused >= 2,
        "the own corpus: {same} same, {refused} refused"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let shared = root
        .map(|root| root.join("shared/recordings"))
        .unwrap_or_default();
    let (same, refused) = replay(&shared);
    println!("recordings beside the project: {same} came back the same, {refused} were refused");
}
