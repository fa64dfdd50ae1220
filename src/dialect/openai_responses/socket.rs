//! The frames of the Responses WebSocket (<https://platform.openai.com/docs/guides/websocket-mode>): a frame of the client as the
//! body that says the same over HTTP, and what is answered in frames. Owns no socket.

use bytes::Bytes;

use super::repeat::Repeat;
use super::state::{Wishes, expand, member_spans, streamed};
use super::stored::{announced, item_id, outcome};
use crate::base::{Fault, FaultKind, Ids};
use crate::dialect::openai::error_body;
use crate::dialect::translate::Echo;
use crate::wire::edit::{self, Edit};
use crate::wire::json;

/// What a frame has that a body has not.
const ENVELOPE: [&str; 3] = ["type", "stream_id", "generate"];
/// So long may the name of a lane be.
const MAX_LANE: usize = 256;
/// No usage at all.
const NOTHING_USED: &str = r#"{"input_tokens":0,"input_tokens_details":{"cached_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0}"#;

/// A frame that asks for a response.
#[derive(Debug)]
pub struct Create {
    /// As it would be POSTed, for a stream.
    pub body: Bytes,
    /// What the answer's frames are marked with.
    pub lane: Option<String>,
    /// `false`: nothing is to be said yet, only got ready.
    pub generate: bool,
    pub previous: Option<String>,
    pub store: bool,
}

/// A member of an object: where its key opens, its value ends.
struct Member<'a> {
    key: &'a [u8],
    from: usize,
    value: std::ops::Range<usize>,
}

fn members(frame: &[u8]) -> Result<Vec<Member<'_>>, Fault> {
    let mut all = Vec::new();
    let scanned = json::scan_object(frame, |field| {
        // The key is a slice of the frame; its quote stands before it.
        let from = field.key.as_ptr() as usize - frame.as_ptr() as usize - 1;
        all.push(Member {
            key: field.key,
            from,
            value: field.value,
        });
    });
    match scanned {
        Ok(()) => Ok(all),
        Err(error) => Err(Fault::new(
            FaultKind::InvalidJson,
            format!("The frame is not valid JSON: {error}."),
        )),
    }
}

fn wrong(param: &'static str, message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::InvalidRequest, message.into()).param(param)
}

/// The lane that a frame names, also one that is refused.
pub fn lane(frame: &[u8]) -> Option<String> {
    let all = members(frame).ok()?;
    let at = &all.iter().find(|m| json::key_is(m.key, "stream_id"))?.value;
    serde_json::from_slice(&frame[at.clone()]).ok()
}

/// Reads a client's frame.
pub fn read(frame: &Bytes) -> Result<Create, Fault> {
    let all = members(frame)?;
    let find = |name: &str| all.iter().find(|member| json::key_is(member.key, name));
    let text = |member: &Member<'_>| {
        serde_json::from_slice::<String>(&frame[member.value.clone()]).unwrap_or_default()
    };
    let kind = find("type").map(text).unwrap_or_default();
    if kind != "response.create" {
        return Err(wrong(
            "type",
            "A frame must have the 'type' 'response.create'; this WebSocket knows no other.",
        ));
    }
    let lane = find("stream_id").map(text);
    if lane
        .as_ref()
        .is_some_and(|lane| lane.is_empty() || lane.len() > MAX_LANE)
    {
        return Err(wrong(
            "stream_id",
            "'stream_id' must be a string of 1 to 256 characters.",
        ));
    }
    let generate = find("generate").is_none_or(|m| &frame[m.value.clone()] != b"false");
    let bare = edit::apply(frame, &mut without_envelope(&all));
    let wishes = Wishes::of(&bare)?;
    if wishes.background {
        return Err(wrong(
            "background",
            "'background' is not supported over the WebSocket; POST the request to /v1/responses.",
        ));
    }
    Ok(Create {
        body: streamed(&bare)?.into(),
        lane,
        generate,
        previous: wishes.previous,
        store: wishes.store,
    })
}

fn without_envelope(all: &[Member<'_>]) -> Vec<Edit> {
    let goes = |m: &Member<'_>| ENVELOPE.iter().any(|name| json::key_is(m.key, name));
    let mut edits = Vec::new();
    let mut kept_end = None;
    let mut run: Option<usize> = None;
    for member in all {
        if goes(member) {
            run.get_or_insert(member.from);
            continue;
        }
        if let Some(from) = run.take() {
            // With the comma behind the last of them.
            edits.push(Edit::replace(from..member.from, ""));
        }
        kept_end = Some(member.value.end);
    }
    if let (Some(from), Some(last)) = (run, all.last()) {
        // With the comma before the first of them.
        edits.push(Edit::replace(kept_end.unwrap_or(from)..last.value.end, ""));
    }
    edits
}

/// What a response continues that no store knows of.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// All that was said: a JSON list of items.
    pub items: String,
    /// Members (`instructions`, `tools`) that were got ready, and hold while no other are sent.
    pub ready: Vec<(String, String)>,
}

impl Before {
    /// What a request brings, with `generate: false`.
    pub fn ready(body: &[u8], earlier: Option<&Self>) -> Result<Self, Fault> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let mut ready: Vec<(String, String)> = member_spans(text)
            .into_iter()
            .filter(|(key, _)| matches!(key.as_str(), "instructions" | "tools"))
            .map(|(key, at)| (key, text[at].to_owned()))
            .collect();
        for (key, value) in earlier.map_or(&[][..], |earlier| &earlier.ready) {
            if !ready.iter().any(|(known, _)| known == key) {
                ready.push((key.clone(), value.clone()));
            }
        }
        Ok(Self {
            items: whole_input(body)?,
            ready,
        })
    }

    /// The same after the request `body` (with its whole input) and the response to it.
    pub fn followed(&self, body: &[u8], response: &str) -> Result<Self, Fault> {
        let (_, output) = outcome(response);
        let mut items = whole_input(body)?;
        items.pop();
        let own = output
            .trim()
            .trim_start_matches('[')
            .trim_start()
            .to_owned();
        if own != "]" && items != "[" {
            items.push(',');
        }
        items.push_str(&own);
        Ok(Self {
            items,
            ready: self.ready.clone(),
        })
    }

    pub fn size(&self) -> usize {
        self.items.len()
            + self
                .ready
                .iter()
                .map(|(_, value)| value.len())
                .sum::<usize>()
    }

    /// The request that says the same without a word of what it continues.
    pub fn put_before(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let expanded = expand(body, &Wishes::of(body)?, &[&self.items], &[], usize::MAX)?;
        let all = members(&expanded)?;
        let mut edits: Vec<Edit> = Vec::new();
        let Some(first) = all.first() else {
            return Ok(expanded);
        };
        for (key, value) in &self.ready {
            if !all.iter().any(|member| json::key_is(member.key, key)) {
                edits.push(Edit::insert(first.from, format!("\"{key}\":{value},")));
            }
        }
        Ok(edit::apply(&expanded.into(), &mut edits).into())
    }
}

/// The whole input as a JSON list.
fn whole_input(body: &[u8]) -> Result<String, Fault> {
    let listed = expand(body, &Wishes::of(body)?, &["[]"], &[], usize::MAX)?;
    let listed = String::from_utf8(listed).unwrap_or_default();
    let at = member_spans(&listed)
        .into_iter()
        .find(|(key, _)| key == "input");
    Ok(at.map_or_else(|| "[]".to_owned(), |(_, at)| listed[at].to_owned()))
}

/// The id of a response.
pub fn id_of(response: &str) -> String {
    item_id(response)
}

/// The frames that answer a request for nothing, and the id of the response that they make.
pub fn got_ready(
    body: &[u8],
    model: &str,
    previous: Option<&str>,
    now: u64,
) -> (String, [String; 2]) {
    let id = Ids::random().next("resp_");
    let response = |status: &str| {
        let mut repeat = Repeat::of(body);
        repeat.response_id = Some(id.clone());
        repeat.previous_response_id = previous.map(str::to_owned);
        let echo = Echo {
            ids: Some(Ids::random()),
            model: model.to_owned(),
            now,
            ..Echo::default()
        };
        String::from_utf8(announced(echo, repeat, status)).unwrap_or_default()
    };
    let completed = response("completed");
    let mut edits: Vec<Edit> = member_spans(&completed)
        .into_iter()
        .filter_map(|(key, at)| match key.as_str() {
            "usage" => Some(Edit::replace(at, NOTHING_USED)),
            "completed_at" => Some(Edit::replace(at, now.to_string())),
            _ => None,
        })
        .collect();
    let completed = edit::apply(&completed.into(), &mut edits);
    let completed = String::from_utf8_lossy(&completed);
    let frames = [
        format!(
            r#"{{"type":"response.created","sequence_number":0,"response":{}}}"#,
            response("in_progress")
        ),
        format!(r#"{{"type":"response.completed","sequence_number":1,"response":{completed}}}"#),
    ];
    (id, frames)
}

/// Marks a frame as one of its lane's.
pub fn marked(frame: String, lane: Option<&str>) -> String {
    match (lane, frame.strip_prefix('{')) {
        (Some(lane), Some(rest)) => format!("{{\"stream_id\":{},{rest}", json::quote(lane)),
        _ => frame,
    }
}

/// The frame that stands for an HTTP error.
pub fn error_frame(status: u16, body: &[u8], retry_after: Option<&str>) -> String {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let error = member_spans(text)
        .into_iter()
        .find(|(key, _)| key == "error")
        .map(|(_, at)| &text[at]);
    let error = error.unwrap_or(
        r#"{"type":"server_error","code":"internal_error","message":"The request failed.","param":null}"#,
    );
    let headers = retry_after.map_or_else(String::new, |wait| {
        format!(r#","headers":{{"retry-after":{}}}"#, json::quote(wait))
    });
    format!(r#"{{"type":"error","status":{status},"error":{error}{headers}}}"#)
}

pub fn fault_frame(fault: &Fault) -> String {
    error_frame(fault.status, &error_body(fault), None)
}

/// The error event of a stream as the frame that says the same.
pub fn stream_error(data: &str) -> String {
    let spans = member_spans(data);
    let find = |name: &str| {
        spans
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, at)| &data[at.clone()])
    };
    if find("error").is_some() {
        return data.to_owned();
    }
    format!(
        r#"{{"type":"error","status":502,"sequence_number":{},"error":{{"type":"server_error","code":{},"message":{},"param":{}}}}}"#,
        find("sequence_number").unwrap_or("0"),
        find("code").unwrap_or("null"),
        find("message").unwrap_or("\"\""),
        find("param").unwrap_or("null"),
    )
}

#[cfg(test)]
mod tests;
