//! Recorded exchanges: the project's own, which always run, and those beside the project, which run when they are
//! there and of which nothing may be copied here.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use torouter::dialect::Dialect;

/// One exchange with a provider.
pub struct Recording {
    /// The file's name, with its folders where there are some.
    pub name: String,
    pub dialect: Dialect,
    pub status: u16,
    pub answer: Recorded,
    /// The body of the request, as it was written.
    pub request: Option<String>,
    /// A stream was asked for.
    pub stream: bool,
}

pub enum Recorded {
    /// A stream of events.
    Stream(String),
    /// A stream that Gemini sends where nobody asks for events: its elements.
    Array(Vec<String>),
    Whole(String),
}

#[derive(Deserialize)]
struct File {
    api: String,
    request: Asked,
    response: Said,
}

#[derive(Deserialize)]
struct Asked {
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Said {
    status: u16,
    body: Option<Box<RawValue>>,
    sse: Option<String>,
    leading_whitespace: Option<String>,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "json")
            && path.file_name().is_some_and(|name| name != "index.json")
        {
            found.push(path);
        }
    }
}

fn read(folder: &Path, path: &Path) -> Option<Recording> {
    let text = std::fs::read_to_string(path).expect("a file");
    let file: File =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let dialect = match file.api.as_str() {
        "chat" => Dialect::OpenAiChat,
        "responses" => Dialect::OpenAiResponses,
        "messages" => Dialect::Anthropic,
        "generateContent" | "streamGenerateContent" => Dialect::Gemini,
        _ => return None,
    };
    let stream = file.response.sse.is_some() || file.api == "streamGenerateContent";
    let answer = match (file.response.sse, file.response.body) {
        (Some(sse), _) => Recorded::Stream(sse),
        (None, Some(body)) if body.get().trim_start().starts_with('[') => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(body.get()).expect("an array");
            Recorded::Array(elements.iter().map(|e| e.get().to_owned()).collect())
        }
        (None, Some(body)) => {
            let padding = file.response.leading_whitespace.unwrap_or_default();
            Recorded::Whole(padding + body.get())
        }
        (None, None) => Recorded::Whole(String::new()),
    };
    let name = path.strip_prefix(folder).unwrap_or(path);
    Some(Recording {
        name: name.with_extension("").display().to_string(),
        dialect,
        status: file.response.status,
        answer,
        request: file.request.body.map(|body| body.get().to_owned()),
        stream,
    })
}

fn all(folder: &Path) -> Vec<Recording> {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    paths.sort();
    paths.iter().filter_map(|path| read(folder, path)).collect()
}

pub fn own() -> Vec<Recording> {
    let found = all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings"));
    assert!(found.len() >= 8, "the own corpus is not there");
    found
}

/// A folder beside the project; `None` in a fresh clone.
pub fn beside(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()?
        .join("shared")
        .join(name);
    path.is_dir().then_some(path)
}

/// Empty in a fresh clone.
pub fn shared() -> Vec<Recording> {
    beside("recordings").map_or_else(Vec::new, |folder| all(&folder))
}
