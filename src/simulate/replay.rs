//! Answers from a recording: one file holds one request and one response of a real provider.
//!
//! Of a file `response` alone matters: `status`, `headers`, and `body` (JSON), `sse` (text of the stream),
//! `leading_whitespace`.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::exchange::{Body, Reply};

/// Headers that belong to a connection or to the length of what was recorded, not to the answer.
const SKIPPED: [&str; 6] = [
    "transfer-encoding",
    "content-length",
    "connection",
    "content-encoding",
    "date",
    "content-type",
];

/// A response that can be sent again and again.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    status: u16,
    headers: Vec<(String, String)>,
    content_type: String,
    body: Bytes,
}

#[derive(serde::Deserialize)]
struct File {
    response: Response,
}

#[derive(serde::Deserialize)]
struct Response {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, Value>,
    body: Option<Box<RawValue>>,
    sse: Option<String>,
    leading_whitespace: Option<String>,
}

fn ok() -> u16 {
    200
}

impl Recording {
    /// Reads a file in the form of the recordings.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("recording {}: {error}", path.display()))?;
        let file: File = serde_json::from_str(&text)
            .map_err(|error| format!("recording {}: {error}", path.display()))?;
        let response = file.response;
        let stream = response.sse.is_some();
        let mut body = response.leading_whitespace.unwrap_or_default();
        if let Some(sse) = &response.sse {
            body.push_str(sse);
        } else if let Some(json) = &response.body {
            body.push_str(json.get());
        }
        let fallback = if stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let mut content_type = fallback.to_owned();
        let mut headers = Vec::new();
        for (name, value) in &response.headers {
            let Some(value) = value.as_str() else {
                continue;
            };
            let name = name.to_lowercase();
            if name == "content-type" {
                content_type = value.to_owned();
            }
            if !SKIPPED.contains(&name.as_str()) {
                headers.push((name, value.to_owned()));
            }
        }
        Ok(Recording {
            status: response.status,
            headers,
            content_type,
            body: Bytes::from(body),
        })
    }

    /// The recorded answer.
    pub(super) fn reply(&self) -> Reply {
        let mut reply = Reply::of(Body::Raw {
            content_type: self.content_type.clone(),
            bytes: self.body.clone(),
        });
        reply.status = self.status;
        reply.headers = self.headers.clone();
        reply
    }
}

/// Where a request may pick recordings from: beside the one of the options, or below `TOROUTER_SIM_REPLAY_DIR`.
pub(super) fn folder(replay: Option<&Path>) -> Option<PathBuf> {
    match std::env::var_os("TOROUTER_SIM_REPLAY_DIR") {
        Some(folder) => Some(PathBuf::from(folder)),
        // A bare file name has the empty path as its parent, which means "here".
        None => replay.and_then(Path::parent).map(|folder| {
            if folder.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                folder.to_path_buf()
            }
        }),
    }
}

/// The recording that a request names, if it lies inside the folder.
pub(super) fn named(folder: Option<&Path>, name: &str) -> Result<Recording, String> {
    let Some(folder) = folder else {
        return Err(
            "x-sim-replay: no folder of recordings; set TOROUTER_SIM_REPLAY_DIR".to_owned(),
        );
    };
    let asked = Path::new(name);
    if asked.components().any(|part| part == Component::ParentDir) {
        return Err(format!("x-sim-replay: `{name}` must not contain `..`"));
    }
    // An absolute path replaces the folder in the join, so what counts is where it really ends up.
    let real = folder
        .join(asked)
        .canonicalize()
        .map_err(|error| format!("x-sim-replay: `{name}`: {error}"))?;
    let root = folder
        .canonicalize()
        .map_err(|error| format!("TOROUTER_SIM_REPLAY_DIR: {error}"))?;
    if !real.starts_with(&root) {
        return Err(format!(
            "x-sim-replay: `{name}` lies outside of the folder of recordings"
        ));
    }
    Recording::read(&real)
}

/// Divides the text of an event stream into its frames, line ends and comments as they are.
pub(super) fn frames(bytes: &Bytes) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut at = 0;
    let mut line_is_empty = true;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => {
                if line_is_empty && at + 1 > from {
                    out.push(bytes.slice(from..=at));
                    from = at + 1;
                }
                line_is_empty = true;
            }
            b'\r' => {}
            _ => line_is_empty = false,
        }
        at += 1;
    }
    if from < bytes.len() {
        out.push(bytes.slice(from..));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_falls_into_its_frames() {
        let text = Bytes::from_static(b": hi\n\ndata: 1\r\n\r\nevent: x\ndata: 2\n\n");
        let frames = frames(&text);
        assert_eq!(frames.len(), 3);
        let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.to_vec()).collect();
        assert_eq!(joined, text.to_vec());
        assert_eq!(&frames[1][..], b"data: 1\r\n\r\n");
    }
}
