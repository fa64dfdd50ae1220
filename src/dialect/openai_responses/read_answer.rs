//! Reads answers of this protocol, streamed or whole, into events
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>). Items are told apart by their place in the
//! output; the same text may come in pieces, whole, and again with its item, and is told once.

mod output;

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::read_item::{ContentWritten, Item, Token, count, filled};
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
                let error = error_in_body(&value).unwrap_or_else(|| {
                    UpstreamError::new(502, "The provider's answer is none of this protocol.")
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
    UpstreamError::new(
        502,
        "The provider's stream ended before the answer was whole.",
    )
}

fn unnamed() -> UpstreamError {
    UpstreamError::new(
        502,
        "The provider ended its answer with an error that it did not name.",
    )
}

#[cfg(test)]
mod tests;
