//! Counts of tokens: a request asks for one in each protocol's way, and so does its answer tell it.

use serde::Deserialize;

use super::{Answering, Kind, Question, Rendering, upstream};
use crate::base::Fault;
use crate::chat::Request;
use crate::dialect::translate::Target;
use crate::dialect::{Dialect, Operation};
use crate::wire::json;

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow, rename = "generateContentRequest")]
    #[serde(alias = "generate_content_request")]
    request: Option<&'a serde_json::value::RawValue>,
}

/// A count's body is a request, or has one inside.
pub(super) fn read_count<'a>(question: &Question<'a>) -> Result<Request<'a>, Fault> {
    let dialect = question.operation.dialect();
    let nested: Option<Nested<'a>> = serde_json::from_slice(question.body).ok();
    let body = nested
        .and_then(|nested| nested.request)
        .map_or(question.body, |raw| raw.get().as_bytes());
    dialect.read_count_request(body)
}

/// What a request for a count may hold; the rest of a request for an answer is refused there.
const COUNTED: [&str; 8] = [
    "cache_control",
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
];

pub(super) fn render_count(
    question: &Question<'_>,
    target: &Target<'_>,
    operation: Operation,
) -> Result<Rendering, Fault> {
    let request = read_count(question)?;
    let mut rendered = target.write_request(&request)?;
    rendered.body = match operation {
        Operation::CountTokens => {
            let model = json::quote(&format!("models/{}", target.model()));
            let inner = rendered.body.strip_prefix(b"{").unwrap_or_default();
            let mut body =
                format!("{{\"generateContentRequest\":{{\"model\":{model},").into_bytes();
            body.extend_from_slice(inner);
            body.push(b'}');
            body
        }
        _ => only(&rendered.body, &COUNTED),
    };
    let answering = Answering::new(question, Kind::Count);
    Ok(upstream(operation, false, rendered, answering))
}

/// The object with these fields only.
fn only(body: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = vec![b'{'];
    // The body is our own.
    let _ = json::scan_object(body, |field| {
        if names.iter().any(|name| json::key_is(field.key, name)) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(field.key);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(&body[field.value]);
        }
    });
    out.push(b'}');
    out
}

#[derive(Deserialize)]
struct Counted {
    #[serde(alias = "totalTokens")]
    input_tokens: u64,
}

pub(super) fn read_counted(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Counted>(body)
        .ok()
        .map(|counted| counted.input_tokens)
}

pub(super) fn write_count(operation: Operation, tokens: u64) -> Vec<u8> {
    match operation.dialect() {
        Dialect::Gemini => format!("{{\"totalTokens\":{tokens}}}"),
        Dialect::Anthropic | Dialect::OpenAiChat => format!("{{\"input_tokens\":{tokens}}}"),
        Dialect::OpenAiResponses => {
            format!("{{\"object\":\"response.input_tokens\",\"input_tokens\":{tokens}}}")
        }
    }
    .into_bytes()
}
