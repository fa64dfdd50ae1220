//! Reads answers of this protocol, streamed or whole, into events
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>). Items are told apart by their place in the
//! output; the same text may come in pieces, whole, and again with its item, and is told once.

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::read_item::{ContentWritten, Item, Kind, Out, Token, What, Written, count, filled};
use super::read_parts::Annotation;
use super::{error_in_body, fault_in_event};
use crate::base::{Ids, UpstreamError, Usage};
use crate::chat::{Event, Stop, StopReason, Text};
use crate::dialect::is_blank;
use crate::dialect::openai::read_usage;
use crate::dialect::translate::Sink;
use crate::wire::read::{Count, Lenient, Str, object};

object! {
    struct Told<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "response" => response: Lenient<Response<'a>>,
        "item" => item: &'a RawValue,
        "output_index" => output_index: Lenient<Count>,
        "content_index" => content_index: Lenient<Count>,
        "summary_index" => summary_index: Lenient<Count>,
        "item_id" => item_id: Lenient<Str<'a>>,
        "delta" => delta: Lenient<Str<'a>>,
        "text" | "refusal" | "arguments" | "input" => whole: Lenient<Str<'a>>,
        "part" => part: Lenient<ContentWritten<'a>>,
        "annotation" => annotation: Lenient<Annotation<'a>>,
        "logprobs" => logprobs: Lenient<Vec<Token<'a>>>,
        // Said in every event, of no use.
        "sequence_number" | "obfuscation" => skip: IgnoredAny,
    }
}

object! {
    struct Response<'a> {
        "id" => id: Lenient<Str<'a>>,
        "model" => model: Lenient<Str<'a>>,
        "created_at" => created_at: Lenient<Count>,
        "status" => status: Lenient<Str<'a>>,
        "error" => error: &'a RawValue,
        "incomplete_details" => incomplete: Lenient<Incomplete<'a>>,
        "output" => output: Lenient<Vec<&'a RawValue>>,
        "usage" => usage: &'a RawValue,
        "service_tier" => service_tier: Lenient<Str<'a>>,
    }
}

object! {
    struct Incomplete<'a> {
        "reason" => reason: Lenient<Str<'a>>,
    }
}

/// Makes events of one answer.
#[derive(Debug)]
pub struct Reader {
    ids: Ids,
    started: bool,
    done: bool,
    parts: u32,
    items: Vec<Item>,
    called: bool,
    refused: bool,
}

/// More items than this in one answer are none that a model made.
const MOST_ITEMS: usize = 1 << 14;

impl Reader {
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            started: false,
            done: false,
            parts: 0,
            items: Vec::new(),
            called: false,
            refused: false,
        }
    }

    /// Reads the data of one event.
    pub fn data(&mut self, data: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        if let Ok(told) = serde_json::from_slice::<Told<'_>>(data) {
            self.told(told, data, sink);
        } else if data.contains(&b'\n') && serde_json::from_slice::<IgnoredAny>(data).is_err() {
            // Some leave out the blank lines between their events: then each line is one.
            for line in data.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                self.data(line, sink);
            }
        }
    }

    /// The stream has ended.
    pub fn end(&mut self, sink: &mut Sink<'_>) {
        if !self.done {
            self.fault(unwhole(), sink);
        }
    }

    /// Reads a whole body.
    pub fn body(&mut self, body: &[u8], sink: &mut Sink<'_>) {
        if self.done {
            return;
        }
        match serde_json::from_slice::<Response<'_>>(body) {
            Ok(response) if response.status.is_some() || response.output.is_some() => {
                self.start(&response, sink);
                self.ended(response, body, sink);
            }
            Ok(_) | Err(_) => {
                let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
                let error = error_in_body(&value).unwrap_or_else(|| UpstreamError {
                    message: "The provider's answer is none of this protocol.".to_owned(),
                    ..unwhole()
                });
                self.fault(error, sink);
            }
        }
    }

    fn start(&mut self, response: &Response<'_>, sink: &mut Sink<'_>) {
        if self.started {
            return;
        }
        self.started = true;
        sink(Event::Start {
            id: filled(response.id.clone()),
            model: filled(response.model.clone()),
            created: count(response.created_at.as_ref()).filter(|&n| n > 0),
        });
    }

    fn told(&mut self, mut told: Told<'_>, data: &[u8], sink: &mut Sink<'_>) {
        let Some(Str(kind)) = told.kind.take().and_then(|kind| kind.0) else {
            return;
        };
        match &*kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                if let Some(response) = told.response.and_then(|response| response.0) {
                    self.start(&response, sink);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.cancelled"
            | "response.done" => {
                let response = told
                    .response
                    .and_then(|response| response.0)
                    .unwrap_or_default();
                self.start(&response, sink);
                self.ended(response, data, sink);
            }
            "response.failed" | "error" => {
                if let Some(response) = told.response.and_then(|response| response.0) {
                    self.start(&response, sink);
                    Self::usage(&response, sink);
                }
                let value: Value = serde_json::from_slice(data).unwrap_or(Value::Null);
                self.fault(fault_in_event(&value).unwrap_or_else(unnamed), sink);
            }
            word => self.in_item(word, told, sink),
        }
    }

    fn in_item(&mut self, word: &str, mut told: Told<'_>, sink: &mut Sink<'_>) {
        // What an event without its item's start tells of its kind.
        let kind =
            match word {
                "response.output_item.added" | "response.output_item.done" => Kind::Other,
                "response.content_part.added"
                | "response.content_part.done"
                | "response.output_text.delta"
                | "response.output_text.done"
                | "response.output_text.annotation.added"
                | "response.refusal.delta"
                | "response.refusal.done" => Kind::Message,
                "response.reasoning_summary_text.delta"
                | "response.reasoning_summary_text.done"
                | "response.reasoning_summary_part.done"
                | "response.reasoning_text.delta"
                | "response.reasoning_text.done" => Kind::Reasoning,
                "response.function_call_arguments.delta"
                | "response.function_call_arguments.done" => Kind::Call { custom: false },
                "response.custom_tool_call_input.delta"
                | "response.custom_tool_call_input.done" => Kind::Call { custom: true },
                // Of tools that the provider runs, and of what is new.
                _ => return,
            };
        if !self.started {
            self.start(&Response::default(), sink);
        }
        if let Some(raw) = told.item {
            let index = count(told.output_index.as_ref());
            self.item(raw, index, word.strip_suffix(".done").is_some(), sink);
            return;
        }
        let content = count(told.content_index.as_ref()).unwrap_or(0);
        let summary = count(told.summary_index.as_ref()).unwrap_or(0);
        let id = filled(told.item_id.take()).unwrap_or_default();
        let Some(at) = self.place(count(told.output_index.as_ref()), &id, kind) else {
            return;
        };
        let Some((item, mut out)) = self.hands(at, sink) else {
            return;
        };
        let delta = filled(told.delta).unwrap_or_default();
        let whole = filled(told.whole).unwrap_or_default();
        let tokens = told.logprobs.and_then(|list| list.0).unwrap_or_default();
        match word {
            "response.output_text.delta" => {
                item.say(What::Text, content, delta, &mut out);
                item.logprobs(content, tokens, false, &mut out);
            }
            "response.output_text.done" => {
                item.said(What::Text, content, &whole, &mut out);
                item.logprobs(content, tokens, true, &mut out);
            }
            "response.output_text.annotation.added" => {
                let annotations = told.annotation.and_then(|one| one.0).into_iter().collect();
                item.cite(content, annotations, false, &mut out);
            }
            "response.refusal.delta" => item.say(What::Refusal, content, delta, &mut out),
            "response.refusal.done" => item.said(What::Refusal, content, &whole, &mut out),
            "response.content_part.done" => {
                if let Some(part) = told.part.and_then(|part| part.0) {
                    item.content(content, part, &mut out);
                }
            }
            "response.reasoning_summary_text.delta" => item.think(true, summary, delta, &mut out),
            "response.reasoning_summary_text.done" => item.thought(true, summary, &whole, &mut out),
            "response.reasoning_summary_part.done" => {
                if let Some(text) = told
                    .part
                    .and_then(|part| part.0)
                    .and_then(|part| filled(part.text))
                {
                    item.thought(true, summary, &text, &mut out);
                }
            }
            "response.reasoning_text.delta" => item.think(false, content, delta, &mut out),
            "response.reasoning_text.done" => item.thought(false, content, &whole, &mut out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                item.argue(delta, &mut out);
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                item.argued(&whole, &mut out);
            }
            _ => {}
        }
    }

    /// The item that an event is about; a new one where none is known.
    fn place(&mut self, index: Option<u64>, id: &str, kind: Kind) -> Option<usize> {
        let found = match index {
            Some(index) => self.items.iter().position(|item| item.index == index),
            None if !id.is_empty() => self.items.iter().position(|item| item.id == id),
            None => self.items.iter().rposition(|item| item.kind == kind),
        };
        if found.is_some() {
            return found;
        }
        self.add(index, id, kind)
    }

    fn add(&mut self, index: Option<u64>, id: &str, kind: Kind) -> Option<usize> {
        if self.items.len() >= MOST_ITEMS {
            return None;
        }
        let next = self
            .items
            .iter()
            .map(|item| item.index + 1)
            .max()
            .unwrap_or(0);
        self.items.push(Item::new(
            index.unwrap_or(next).min(u64::MAX - 1),
            id.to_owned(),
            kind,
        ));
        Some(self.items.len() - 1)
    }

    fn hands<'r, 's, 'k>(
        &'r mut self,
        at: usize,
        sink: &'s mut Sink<'k>,
    ) -> Option<(&'r mut Item, Out<'r, 's, 'k>)> {
        let Self {
            ids,
            parts,
            items,
            called,
            refused,
            ..
        } = self;
        let item = items.get_mut(at)?;
        Some((
            item,
            Out {
                parts,
                ids,
                called,
                refused,
                sink,
            },
        ))
    }

    /// An item that begins, or is whole.
    fn item(&mut self, raw: &RawValue, index: Option<u64>, whole: bool, sink: &mut Sink<'_>) {
        let Ok(mut written) = serde_json::from_str::<Written<'_>>(raw.get()) else {
            return;
        };
        let kind = Kind::of(&filled(written.kind.take()).unwrap_or_default());
        let id = filled(written.id.clone()).unwrap_or_default();
        let Some(at) = self.place(index, &id, kind) else {
            return;
        };
        let Some((item, mut out)) = self.hands(at, sink) else {
            return;
        };
        if item.kind == Kind::Other {
            item.kind = kind;
        }
        if item.id.is_empty() {
            item.id = id.into_owned();
        }
        item.name(&mut written, &mut out);
        if whole {
            item.whole(written, raw, &mut out);
        }
    }

    /// The items of a response that is whole: those that the stream did not tell, and what it left out of others.
    fn output(&mut self, output: Vec<&RawValue>, sink: &mut Sink<'_>) {
        let streamed = self.items.len();
        for (index, raw) in output.into_iter().enumerate() {
            let Ok(written) = serde_json::from_str::<Written<'_>>(raw.get()) else {
                continue;
            };
            let kind = Kind::of(&filled(written.kind.clone()).unwrap_or_default());
            let id = filled(written.id.clone()).unwrap_or_default();
            let told = self.items.get(..streamed).unwrap_or_default();
            // Some give their items other ids, or other places, at the end.
            let known = told
                .iter()
                .find(|item| !id.is_empty() && item.id == id)
                .or_else(|| {
                    told.iter()
                        .find(|item| item.index == index as u64 && item.kind == kind)
                })
                .map(|item| item.index);
            if known.is_none() && told.iter().any(|item| item.kind == kind) {
                continue;
            }
            let next = self
                .items
                .iter()
                .map(|item| item.index + 1)
                .max()
                .unwrap_or(0);
            self.item(raw, Some(known.unwrap_or(next)), true, sink);
        }
    }

    fn usage(response: &Response<'_>, sink: &mut Sink<'_>) {
        let mut usage = Usage::default();
        if let Some(raw) = response.usage
            && read_usage(raw.get().as_bytes(), &mut usage)
        {
            sink(Event::Usage(usage));
        }
    }

    fn close_all(&mut self, sink: &mut Sink<'_>) {
        for at in 0..self.items.len() {
            if let Some((item, mut out)) = self.hands(at, sink) {
                item.close(&mut out);
            }
        }
    }

    /// The response is as it will stay; `data`: what it stands in.
    fn ended(&mut self, mut response: Response<'_>, data: &[u8], sink: &mut Sink<'_>) {
        let status = filled(response.status.take()).unwrap_or_default();
        let failed = status == "failed" || response.error.is_some_and(|raw| !is_blank(raw.get()));
        if failed {
            Self::usage(&response, sink);
            let value: Value = serde_json::from_slice(data).unwrap_or(Value::Null);
            let error = fault_in_event(&value)
                .filter(|error| !error.message.is_empty())
                .or_else(|| error_in_body(&value));
            self.fault(error.unwrap_or_else(unnamed), sink);
            return;
        }
        let output = response
            .output
            .take()
            .and_then(|list| list.0)
            .unwrap_or_default();
        self.output(output, sink);
        if matches!(&*status, "queued" | "in_progress") {
            self.fault(unwhole(), sink);
            return;
        }
        self.close_all(sink);
        Self::usage(&response, sink);
        if let Some(tier) = filled(response.service_tier.take()) {
            sink(Event::ServiceTier(tier));
        }
        let cut = response
            .incomplete
            .and_then(|details| details.0)
            .and_then(|details| filled(details.reason));
        let (reason, detail) = self.stop(&status, cut.as_deref());
        sink(Event::Stop(Stop {
            choice: 0,
            reason,
            sequence: None,
            detail: detail.map(|word| Text::Owned(word.to_owned())),
        }));
        sink(Event::Finish);
        self.done = true;
    }

    fn stop<'w>(&self, status: &'w str, cut: Option<&'w str>) -> (StopReason, Option<&'w str>) {
        match (status, cut) {
            (_, Some("max_output_tokens" | "max_tokens" | "length")) => {
                (StopReason::MaxTokens, None)
            }
            (_, Some("content_filter")) => (StopReason::Filtered, None),
            ("incomplete", other) => (StopReason::Other, other),
            ("cancelled", _) => (StopReason::Other, Some("cancelled")),
            _ if self.called => (StopReason::ToolCalls, None),
            _ if self.refused => (StopReason::Refusal, None),
            _ => (StopReason::End, None),
        }
    }

    fn fault(&mut self, error: UpstreamError, sink: &mut Sink<'_>) {
        if !self.started {
            self.start(&Response::default(), sink);
        }
        self.close_all(sink);
        sink(Event::Fault(error));
        self.done = true;
    }
}

fn unwhole() -> UpstreamError {
    UpstreamError {
        status: 502,
        message: "The provider's stream ended before the answer was whole.".to_owned(),
        kind: None,
        retry_after: None,
        bad_credential: false,
    }
}

fn unnamed() -> UpstreamError {
    UpstreamError {
        message: "The provider ended its answer with an error that it did not name.".to_owned(),
        ..unwhole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Answer, Fold, PartKind};

    fn read(events: &[&str]) -> Answer {
        let mut fold = Fold::default();
        let mut reader = Reader::new(Ids::new(1));
        for event in events {
            reader.data(event.as_bytes(), &mut |event| fold.event(event));
        }
        reader.end(&mut |event| fold.event(event));
        fold.finish()
    }

    fn said(answer: &Answer) -> Vec<String> {
        answer.choices[0]
            .parts
            .iter()
            .map(|part| match &part.kind {
                PartKind::Text {
                    text, citations, ..
                } if citations.is_empty() => format!("text {text}"),
                PartKind::Text {
                    text, citations, ..
                } => format!("text {text} {}", citations.len()),
                PartKind::Media(media) => format!("media {:?}", media.source),
                PartKind::Reasoning(r) => format!(
                    "reasoning {} {} {}",
                    r.text,
                    r.redacted,
                    r.signature.as_ref().map_or("", |s| &s.data)
                ),
                PartKind::ToolCall(call) => {
                    format!("call {} {} {}", call.id, call.name, call.arguments)
                }
                PartKind::ToolResult(_) => "result".to_owned(),
                PartKind::Refusal(text) => format!("refusal {text}"),
            })
            .collect()
    }

    const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","created_at":5,"model":"m","status":"in_progress","output":[]}}"#;
    const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}"#;

    #[test]
    fn what_comes_in_pieces_and_whole_is_told_once() {
        let answer = read(&[
            CREATED,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}"#,
            r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"He"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":""}"#,
            r#"{"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation":{"type":"url_citation","url":"https://a","start_index":0,"end_index":1}}"#,
            r#"{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hello"}"#,
            r#"{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"https://a"}]}}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"https://a"},{"type":"url_citation","url":"https://b"}]}]}}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\""}"#,
            r#"{"type":"response.function_call_arguments.done","output_index":1,"arguments":"{\"a\":1.0}"}"#,
            r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1.0}"}}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","id":"msg_x","content":[{"type":"output_text","text":"Hello"}]},{"type":"function_call","id":"fc_x","call_id":"c1","name":"f","arguments":"{\"a\":1.0}"}]}}"#,
        ]);
        assert_eq!(said(&answer), ["text Hello 2", "call c1 f {\"a\":1.0}"]);
        assert_eq!(answer.choices[0].stop, Some(StopReason::ToolCalls));
        assert_eq!(
            (answer.id.as_deref(), answer.created),
            (Some("resp_1"), Some(5))
        );
        assert!(answer.fault.is_none());
    }

    #[test]
    fn what_only_the_end_tells_is_not_lost() {
        let late = read(&[
            CREATED,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":"x"}}"#,
            COMPLETED,
        ]);
        assert_eq!(said(&late), ["call c patch x"]);
        let last = read(&[
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}}"#,
        ]);
        assert_eq!(said(&last), ["refusal no"]);
        assert_eq!(last.choices[0].stop, Some(StopReason::Refusal));
        let nameless = read(&[
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call"}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"f","arguments":"{}"}}"#,
            COMPLETED,
        ]);
        assert!(
            said(&nameless)[0].starts_with("call call_"),
            "{:?}",
            said(&nameless)
        );
    }

    #[test]
    fn reasoning_keeps_its_item_and_its_summaries() {
        let item = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"ab"},{"type":"summary_text","text":"c"}],"encrypted_content":"gA"}"#;
        let done =
            format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{item}}}"#);
        let answer = read(&[
            CREATED,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"g"}}"#,
            r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"ab"}"#,
            r#"{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"text":"ab"}"#,
            r#"{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":1,"text":"c"}"#,
            &done,
            COMPLETED,
        ]);
        assert_eq!(said(&answer), [format!("reasoning ab\n\nc false {item}")]);
        let silent = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gA"}"#;
        let done =
            format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{silent}}}"#);
        assert_eq!(
            said(&read(&[&done, COMPLETED])),
            [format!("reasoning  true {silent}")]
        );
        let empty = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#;
        assert_eq!(said(&read(&[empty, COMPLETED])), [""; 0]);
    }

    #[test]
    fn a_cut_stream_and_an_error_are_faults() {
        let cut = read(&[
            CREATED,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"He"}"#,
        ]);
        assert_eq!(said(&cut), ["text He"]);
        assert_eq!(cut.fault.map(|f| f.status), Some(502));
        let failed = read(&[
            CREATED,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}}"#,
            COMPLETED,
        ]);
        assert_eq!(
            failed.fault.map(|f| (f.status, f.message)),
            Some((429, "m".to_owned()))
        );
        let cut = read(&[
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
        ]);
        assert_eq!(cut.choices[0].stop, Some(StopReason::MaxTokens));
    }

    #[test]
    fn whole_bodies_give_the_same_and_their_errors_are_faults() {
        for (body, fault) in [
            (
                r#"{"id":"r","status":"failed","output":[],"error":{"code":"server_error","message":"m"}}"#,
                Some((500, "m")),
            ),
            (
                r#"{"error":{"message":"m","type":"invalid_request_error"}}"#,
                Some((400, "m")),
            ),
            (
                r#"{"id":"r","object":"response","status":"in_progress","output":[]}"#,
                Some((
                    502,
                    "The provider's stream ended before the answer was whole.",
                )),
            ),
            (
                "<html>",
                Some((502, "The provider's answer is none of this protocol.")),
            ),
            (
                r#"{"id":"r","status":"completed","error":null,"output":[{"type":"image_generation_call","result":"AAAA","output_format":"webp"}]}"#,
                None,
            ),
        ] {
            let mut fold = Fold::default();
            Reader::new(Ids::new(1)).body(body.as_bytes(), &mut |event| fold.event(event));
            let answer = fold.finish();
            assert_eq!(
                answer
                    .fault
                    .as_ref()
                    .map(|f| (f.status, f.message.as_str())),
                fault,
                "{body}"
            );
            if fault.is_none() {
                assert_eq!(said(&answer), ["media Base64(\"AAAA\")"]);
            }
        }
    }
}
