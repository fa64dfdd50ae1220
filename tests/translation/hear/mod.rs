//! What a client understands: small readers that gather a stream as the official SDKs do, as strict as those, and make
//! the same of a whole answer. Where the two differ, a client that switches `stream` on would see another answer.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use torouter::dialect::Dialect;

use crate::relay::frames;

/// An answer, as its reader understood it.
#[derive(Debug, PartialEq)]
pub struct Heard {
    pub choices: BTreeMap<u64, Choice>,
    /// As the protocol spells it; `null` where nothing was said.
    pub usage: Value,
}

#[derive(Debug, Default, PartialEq)]
pub struct Choice {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<Call>,
    /// In order, whatever they sign.
    pub signatures: Vec<String>,
    pub citations: usize,
    pub images: usize,
    pub logprobs: Vec<Value>,
    /// The reason, and the stop sequence where the protocol has it.
    pub stop: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// The arguments; a text where they are no JSON.
    pub input: Value,
}

pub fn stream(surface: Dialect, stream: &[u8]) -> Result<Heard, String> {
    let events = frames(stream);
    match surface {
        Dialect::OpenAiChat => chat::stream(&events),
        Dialect::Anthropic => anthropic::stream(&events),
        Dialect::Gemini => {
            let chunks: Result<Vec<Value>, String> = events.iter().map(|(_, d)| read(d)).collect();
            gemini::all(&chunks?)
        }
        Dialect::OpenAiResponses => responses::stream(&events),
    }
}

pub fn whole(surface: Dialect, body: &[u8]) -> Result<Heard, String> {
    let body = read(std::str::from_utf8(body).map_err(|e| e.to_string())?)?;
    match surface {
        Dialect::OpenAiChat => chat::whole(&body, "chat.completion"),
        Dialect::Anthropic => anthropic::whole(&body),
        Dialect::Gemini => gemini::all(&[body]),
        Dialect::OpenAiResponses => responses::whole(&body),
    }
}

fn read(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn need(is_so: bool, what: &str, seen: &Value) -> Result<(), String> {
    if is_so {
        Ok(())
    } else {
        Err(format!("{what}: {seen}"))
    }
}

fn input(written: &str) -> Value {
    serde_json::from_str(written).unwrap_or_else(|_| json!(written))
}
