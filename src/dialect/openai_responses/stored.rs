//! What this protocol says of what is kept: responses, the items they were asked with, conversations
//! (<https://platform.openai.com/docs/api-reference/responses>, <https://platform.openai.com/docs/api-reference/conversations>).

use serde_json::value::RawValue;

use super::repeat::Repeat;
use super::state::member_spans;
use super::write_stream::Writer;
use crate::base::{Fault, FaultKind};
use crate::dialect::translate::Echo;
use crate::wire::edit::{self, Edit};
use crate::wire::emit::{Emit, string};

/// So many items a page holds at most, and where nothing is said.
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 20;

/// The response with this id before its provider has said anything.
pub fn announced(echo: Echo, repeat: Repeat, status: &str) -> Vec<u8> {
    let mut writer = Writer::with(echo, repeat);
    let mut unsent = Vec::new();
    writer.start(None, None, &mut unsent);
    let mut out = Vec::with_capacity(1024);
    writer.write_response(&mut out, status, None);
    out
}

/// The answer to a deletion.
pub fn deleted(id: &str, object: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let mut written = Emit::object(&mut out);
    written.text("id", id);
    written.text("object", object);
    written.yes("deleted", true);
    written.end();
    out
}

pub fn conversation(id: &str, created: u64, metadata: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut written = Emit::object(&mut out);
    written.text("id", id);
    written.text("object", "conversation");
    written.count("created_at", created);
    written.literal("metadata", metadata);
    written.end();
    out
}

/// The id of an item as it is kept.
pub fn item_id(item: &str) -> String {
    member_spans(item)
        .into_iter()
        .find(|(key, _)| key == "id")
        .and_then(|(_, at)| serde_json::from_str(&item[at]).ok())
        .unwrap_or_default()
}

/// One page of `items` (oldest first), as the query asks: `after`, `limit`, `order`.
pub fn page(items: &[&str], query: &str) -> Result<Vec<u8>, Fault> {
    let asked = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let wrong = |param: &'static str, message: String| {
        Fault::new(FaultKind::InvalidRequest, message).param(param)
    };
    let limit = match asked("limit") {
        None => DEFAULT_PAGE,
        Some(written) => written
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| {
                wrong(
                    "limit",
                    format!("'limit' must be a whole number from 1 to {MAX_PAGE}."),
                )
            })?,
    };
    let mut ordered: Vec<&str> = items.to_vec();
    match asked("order") {
        None | Some("desc") => ordered.reverse(),
        Some("asc") => {}
        Some(_) => {
            return Err(wrong(
                "order",
                "'order' must be 'asc' or 'desc'.".to_owned(),
            ));
        }
    }
    let from = match asked("after") {
        None => 0,
        Some(after) => ordered
            .iter()
            .position(|item| item_id(item) == after)
            .map(|at| at + 1)
            .ok_or_else(|| wrong("after", "'after' names no item of this list.".to_owned()))?,
    };
    let rest = &ordered[from..];
    let shown = &rest[..rest.len().min(limit)];
    let mut out = Vec::with_capacity(128 + shown.iter().map(|item| item.len()).sum::<usize>());
    let mut written = Emit::object(&mut out);
    written.text("object", "list");
    let mut data = written.nested_list("data");
    for item in shown {
        data.item().extend_from_slice(item.as_bytes());
    }
    data.end();
    for (name, item) in [("first_id", shown.first()), ("last_id", shown.last())] {
        match item {
            Some(item) => written.text(name, &item_id(item)),
            None => written.literal(name, "null"),
        }
    }
    written.yes("has_more", rest.len() > shown.len());
    written.end();
    Ok(out)
}

/// The elements of a JSON list of items.
pub fn elements(list: &str) -> Vec<&str> {
    serde_json::from_str::<Vec<&RawValue>>(list)
        .unwrap_or_default()
        .into_iter()
        .map(RawValue::get)
        .collect()
}

/// A response with another status, and why.
pub fn with_status(response: &str, status: &str, error: Option<(&str, &str)>) -> String {
    let mut edits = Vec::new();
    for (key, at) in member_spans(response) {
        match (key.as_str(), error) {
            ("status", _) => edits.push(Edit::replace(at, format!("\"{status}\""))),
            ("error", Some((code, message))) => {
                let mut out = Vec::new();
                let mut written = Emit::object(&mut out);
                written.text("code", code);
                written.text("message", message);
                written.end();
                edits.push(Edit::replace(
                    at,
                    String::from_utf8(out).unwrap_or_default(),
                ));
            }
            _ => {}
        }
    }
    let body = bytes::Bytes::copy_from_slice(response.as_bytes());
    String::from_utf8(edit::apply(&body, &mut edits).into()).unwrap_or_default()
}

/// What a finished response says of itself: its status (an error in its place has none), and its output as a JSON list.
pub fn outcome(response: &str) -> (Option<String>, &str) {
    let spans = member_spans(response);
    let find = |name: &str| {
        spans
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, at)| &response[at.clone()])
    };
    let status = find("status").and_then(|status| serde_json::from_str(status).ok());
    (status, find("output").unwrap_or("[]"))
}

/// What an event of a stream says of the response as a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Milestone<'a> {
    /// It has begun.
    Begun(&'a str),
    /// It is whole, or never will be.
    Over(&'a str),
    /// An item of its output is whole.
    Item(&'a str),
    /// The stream broke: the error as it was written.
    Error,
}

/// Reads the data of an event. `None`: one of the many between beginning and end.
pub fn milestone(data: &str) -> Option<Milestone<'_>> {
    let spans = member_spans(data);
    let find = |name: &str| {
        spans
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, at)| &data[at.clone()])
    };
    match find("type")? {
        "\"response.created\"" => find("response").map(Milestone::Begun),
        "\"response.completed\"" | "\"response.incomplete\"" | "\"response.failed\"" => {
            find("response").map(Milestone::Over)
        }
        "\"response.output_item.done\"" => find("item").map(Milestone::Item),
        "\"error\"" => Some(Milestone::Error),
        _ => None,
    }
}

/// The number that an event bears in its stream.
pub fn sequence(data: &str) -> Option<u64> {
    member_spans(data)
        .into_iter()
        .find(|(key, _)| key == "sequence_number")
        .and_then(|(_, at)| data[at].parse().ok())
}

/// A response with this list as its output.
pub fn with_output(response: &str, items: &str) -> String {
    let spans = member_spans(response);
    let at = spans.into_iter().find(|(key, _)| key == "output");
    let mut edits: Vec<Edit> = at
        .map(|(_, at)| Edit::replace(at, items))
        .into_iter()
        .collect();
    let body = bytes::Bytes::copy_from_slice(response.as_bytes());
    String::from_utf8(edit::apply(&body, &mut edits).into()).unwrap_or_default()
}

/// An event about a response as a whole.
pub fn event(name: &str, response: &str, sequence: u64) -> Vec<u8> {
    format!(
        "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{sequence},\"response\":{response}}}\n\n"
    )
    .into_bytes()
}

/// The response's id, in the first bytes of an answer: a JSON body, or the first event of a stream. `None`: not yet, or
/// there is none.
pub fn response_id(beginning: &[u8]) -> Option<String> {
    let open = memchr::memchr(b'{', beginning)?;
    let mut finder = Finder {
        bytes: beginning,
        at: open + 1,
    };
    finder.in_object(0)
}

/// Walks over the first objects of an answer that may be cut anywhere.
struct Finder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Finder<'_> {
    fn peek(&mut self) -> Option<u8> {
        while matches!(
            self.bytes.get(self.at),
            Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')
        ) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn string(&mut self) -> Option<&[u8]> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return self.bytes.get(from..self.at);
                }
                _ => self.at += 1,
            }
        }
    }

    /// The id in the object, or in the `response` in it.
    fn in_object(&mut self, depth: usize) -> Option<String> {
        loop {
            if self.peek()? != b'"' {
                return None;
            }
            let key = self.string()?.to_vec();
            match self.peek()? {
                b'"' => {
                    let value = self.string()?;
                    let event = depth == 0 && value.starts_with(b"\"response.");
                    if key == b"\"id\"" && !event {
                        return serde_json::from_slice(value).ok();
                    }
                }
                b'{' if depth == 0 && key == b"\"response\"" => {
                    self.at += 1;
                    return self.in_object(1);
                }
                _ => self.skip()?,
            }
        }
    }

    /// Over a value that is no text.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return Some(()),
                b'}' | b']' => depth -= 1,
                b',' if depth == 0 => return Some(()),
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// The error that says that something kept is not there.
pub fn not_found(what: &str, id: &str) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("{what} with id '{}' not found.", shown(id)),
    )
}

/// An id as it may stand in an error: a client may have sent anything.
pub fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// A JSON list of texts that are JSON themselves.
pub fn list_of<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = Vec::new();
    let mut list = Emit::list(&mut out);
    for item in items {
        list.item().extend_from_slice(item.as_bytes());
    }
    list.end();
    String::from_utf8(out).unwrap_or_default()
}

/// The texts of a metadata object, as they were written; `None`: it is none.
pub fn metadata(written: Option<&RawValue>) -> Result<String, Fault> {
    let Some(written) = written.filter(|raw| raw.get() != "null") else {
        return Ok("{}".to_owned());
    };
    let wrong = |_| {
        Fault::new(
            FaultKind::InvalidRequest,
            "'metadata' must be an object of at most 16 texts: names of up to 64 characters, values of up to 512.",
        )
        .param("metadata")
    };
    let read: std::collections::BTreeMap<String, String> =
        serde_json::from_str(written.get()).map_err(wrong)?;
    if read.len() > 16
        || read
            .iter()
            .any(|(key, value)| key.chars().count() > 64 || value.chars().count() > 512)
    {
        return Err(wrong(serde::de::Error::custom("too many")));
    }
    let mut out = Vec::new();
    let mut object = Emit::object(&mut out);
    for (key, value) in &read {
        let slot = object.item();
        string(slot, key);
        slot.push(b':');
        string(slot, value);
    }
    object.end();
    Ok(String::from_utf8(out).unwrap_or_default())
}

#[cfg(test)]
mod tests;
