//! Writes an answer of the Responses API: its items as they grow, and the response that holds them.

use serde_json::Value;

use super::usage_json;
use crate::simulate::answer::{Call, Finish, Say, fragments, pieces};
use crate::simulate::exchange::{Event, Usage, Voice};
use crate::simulate::json::{Json, obj};
use crate::simulate::responses_read::{MAKER, Turn};
use crate::simulate::sign;

/// What an output item is made of, for its events.
enum Content<'a> {
    Reasoning(&'a str),
    Text(&'a str),
    Refusal(&'a str),
    Call(&'a Call),
}

pub(super) struct Item<'a> {
    pub(super) id: String,
    call_id: String,
    content: Content<'a>,
    /// The finished item.
    pub(super) json: Json,
}

pub(super) struct Writer<'a> {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) voice: Voice,
    pub(super) shows_usage: bool,
    pub(super) pieces: Option<u32>,
    pub(super) body: &'a Value,
    pub(super) turn: &'a Turn,
    pub(super) say: &'a Say,
    pub(super) usage: Usage,
    pub(super) events: Vec<Event>,
}

impl<'a> Writer<'a> {
    pub(super) fn status(&self) -> &'static str {
        if self.say.finish == Finish::Length {
            "incomplete"
        } else {
            "completed"
        }
    }

    /// The finished output items.
    pub(super) fn output(&self) -> Vec<Item<'a>> {
        let say = self.say;
        let mut out = Vec::new();
        if let Some(thought) = &say.thought {
            let id = sign::id("rs_", 48);
            let json = self.reasoning(&id, thought);
            out.push(Item {
                id,
                call_id: String::new(),
                content: Content::Reasoning(thought),
                json,
            });
        }
        if !say.text.is_empty() {
            let id = sign::id("msg_", 48);
            let json = message(&id, self.status(), vec![part(&say.text, say.refused())]);
            let content = if say.refused() {
                Content::Refusal(&say.text)
            } else {
                Content::Text(&say.text)
            };
            out.push(Item {
                id,
                call_id: String::new(),
                content,
                json,
            });
        }
        for call in &say.calls {
            let id = sign::id(if call.custom { "ctc_" } else { "fc_" }, 48);
            let call_id = sign::id("call_", 24);
            let json = call_item(&id, &call_id, call, "completed", &call.arguments);
            out.push(Item {
                id,
                call_id,
                content: Content::Call(call),
                json,
            });
        }
        out
    }

    fn reasoning(&self, id: &str, thought: &str) -> Json {
        let summary = if self.turn.summary {
            vec![obj! { "type": "summary_text", "text": thought }]
        } else {
            Vec::new()
        };
        let mut out = obj! { "id": id, "type": "reasoning", "summary": summary };
        if self.turn.encrypted {
            out.push("encrypted_content", sign::sign(MAKER, ""));
        }
        out
    }

    /// A member of the request as it came, or what the provider puts in its place.
    fn echo(&self, name: &str, otherwise: impl Into<Json>) -> Json {
        match self.body.get(name).filter(|value| !value.is_null()) {
            Some(value) => Json::Value(value.clone()),
            None => otherwise.into(),
        }
    }

    /// The response object in this status.
    pub(super) fn response(&self, status: &str, output: &[Item<'_>]) -> Json {
        let ended = matches!(status, "completed" | "incomplete");
        let completed_at = (status == "completed").then(sign::now_s);
        let cut = (status == "incomplete").then(|| obj! { "reason": "max_output_tokens" });
        let usage =
            (ended && self.shows_usage).then(|| usage_json(&self.usage, self.voice.is_router()));
        let reasoning = self.body.get("reasoning").unwrap_or(&Value::Null);
        let text = self.body.get("text").unwrap_or(&Value::Null);
        let format = text
            .get("format")
            .map_or_else(|| obj! { "type": "text" }, Json::from);
        let verbosity = text
            .get("verbosity")
            .map_or_else(|| Json::from("medium"), Json::from);
        let items: Vec<Json> = output.iter().map(|item| item.json.clone()).collect();
        let mut out = obj! {
            "id": &self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": self.turn.background,
            "completed_at": completed_at,
            "error": Json::Null,
            "frequency_penalty": 0.0,
            "incomplete_details": cut,
            "instructions": self.echo("instructions", Json::Null),
            "max_output_tokens": self.turn.ask.limit,
            "max_tool_calls": self.echo("max_tool_calls", Json::Null),
            "model": &self.turn.ask.model,
            "output": items,
            "parallel_tool_calls": self.turn.ask.parallel,
            "presence_penalty": 0.0,
            "previous_response_id": self.echo("previous_response_id", Json::Null),
            "prompt_cache_key": self.echo("prompt_cache_key", Json::Null),
            "reasoning": obj! { "effort": reasoning.get("effort"), "summary": reasoning.get("summary") },
            "safety_identifier": self.echo("safety_identifier", Json::Null),
            "service_tier": "default",
            "store": self.turn.store,
            "temperature": self.echo("temperature", 1.0),
            "text": obj! { "format": format, "verbosity": verbosity },
        };
        out.push("tool_choice", self.echo("tool_choice", "auto"));
        out.push("tools", self.echo("tools", Json::List(Vec::new())));
        out.push("top_logprobs", self.echo("top_logprobs", 0));
        out.push("top_p", self.echo("top_p", 1.0));
        out.push("truncation", self.echo("truncation", "disabled"));
        out.push("usage", usage);
        out.push("user", self.echo("user", Json::Null));
        if let Some(id) = &self.turn.conversation {
            out.push("conversation", obj! { "id": id });
        }
        out.push("metadata", self.echo("metadata", obj! {}));
        out
    }

    /// Adds an event: its type, its number, then its members.
    fn event(&mut self, name: &'static str, members: Json, piece: &str) {
        let mut out = obj! { "type": name, "sequence_number": self.events.len() };
        if let Json::Object(members) = members {
            for (key, value) in members {
                out.push(&key, value);
            }
        }
        self.events.push(Event::named(name, &out).saying(piece));
    }

    /// Writes all events; says how many open the stream.
    pub(super) fn stream(&mut self, output: &[Item<'_>], last: &Json) -> usize {
        let status = if self.turn.background {
            "queued"
        } else {
            "in_progress"
        };
        let created = self.response(status, &[]);
        self.event("response.created", obj! { "response": &created }, "");
        if self.turn.background {
            self.event("response.queued", obj! { "response": &created }, "");
        }
        if !self.turn.warms {
            let going = self.response("in_progress", &[]);
            self.event("response.in_progress", obj! { "response": going }, "");
        }
        let opening = self.events.len();
        for (at, item) in output.iter().enumerate() {
            match item.content {
                Content::Reasoning(thought) => self.stream_reasoning(at, item, thought),
                Content::Text(text) => self.stream_message(at, item, text, false),
                Content::Refusal(text) => self.stream_message(at, item, text, true),
                Content::Call(call) => self.stream_call(at, item, call),
            }
            self.event(
                "response.output_item.done",
                obj! { "output_index": at, "item": &item.json },
                "",
            );
        }
        let name = if self.status() == "completed" {
            "response.completed"
        } else {
            "response.incomplete"
        };
        self.event(name, obj! { "response": last }, "");
        opening
    }

    fn stream_reasoning(&mut self, at: usize, item: &Item<'_>, thought: &str) {
        let mut added =
            obj! { "id": &item.id, "type": "reasoning", "summary": Json::List(Vec::new()) };
        if self.turn.encrypted {
            added.push("encrypted_content", sign::sign(MAKER, ""));
        }
        self.event(
            "response.output_item.added",
            obj! { "output_index": at, "item": added },
            "",
        );
        if !self.turn.summary {
            return;
        }
        let place = |part: Json| {
            let mut out = obj! { "item_id": &item.id, "output_index": at, "summary_index": 0 };
            if let Json::Object(members) = part {
                for (key, value) in members {
                    out.push(&key, value);
                }
            }
            out
        };
        let empty = obj! { "part": obj! { "type": "summary_text", "text": "" } };
        self.event("response.reasoning_summary_part.added", place(empty), "");
        for piece in pieces(thought, None) {
            self.event(
                "response.reasoning_summary_text.delta",
                place(obj! { "delta": &piece }),
                &piece,
            );
        }
        self.event(
            "response.reasoning_summary_text.done",
            place(obj! { "text": thought }),
            "",
        );
        let full = obj! { "part": obj! { "type": "summary_text", "text": thought } };
        self.event("response.reasoning_summary_part.done", place(full), "");
    }

    fn stream_message(&mut self, at: usize, item: &Item<'_>, text: &str, refused: bool) {
        let added = message(&item.id, "in_progress", Vec::new());
        self.event(
            "response.output_item.added",
            obj! { "output_index": at, "item": added },
            "",
        );
        let id = &item.id;
        let empty = part("", refused);
        self.event(
            "response.content_part.added",
            obj! { "item_id": id, "output_index": at, "content_index": 0, "part": empty },
            "",
        );
        for piece in pieces(text, self.pieces) {
            let mut delta =
                obj! { "item_id": id, "output_index": at, "content_index": 0, "delta": &piece };
            if refused {
                self.event("response.refusal.delta", delta, &piece);
            } else {
                delta.push("logprobs", Json::List(Vec::new()));
                self.event("response.output_text.delta", delta, &piece);
            }
        }
        if refused {
            let done =
                obj! { "item_id": id, "output_index": at, "content_index": 0, "refusal": text };
            self.event("response.refusal.done", done, "");
        } else {
            let done = obj! { "item_id": id, "output_index": at, "content_index": 0, "text": text, "logprobs": Json::List(Vec::new()) };
            self.event("response.output_text.done", done, "");
        }
        let full = part(text, refused);
        self.event(
            "response.content_part.done",
            obj! { "item_id": id, "output_index": at, "content_index": 0, "part": full },
            "",
        );
    }

    fn stream_call(&mut self, at: usize, item: &Item<'_>, call: &Call) {
        let added = call_item(&item.id, &item.call_id, call, "in_progress", "");
        self.event(
            "response.output_item.added",
            obj! { "output_index": at, "item": added },
            &call.name,
        );
        let (delta, done) = if call.custom {
            (
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
            )
        } else {
            (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
            )
        };
        for piece in fragments(&call.arguments) {
            self.event(
                delta,
                obj! { "item_id": &item.id, "output_index": at, "delta": &piece },
                &piece,
            );
        }
        let mut last = obj! { "item_id": &item.id, "output_index": at };
        if call.custom {
            last.push("input", &call.arguments);
        } else {
            last.push("name", &call.name);
            last.push("arguments", &call.arguments);
        }
        self.event(done, last, "");
    }
}

fn message(id: &str, status: &str, content: Vec<Json>) -> Json {
    obj! { "id": id, "type": "message", "status": status, "content": content, "role": "assistant" }
}

fn part(text: &str, refused: bool) -> Json {
    if refused {
        obj! { "type": "refusal", "refusal": text }
    } else {
        obj! { "type": "output_text", "annotations": Json::List(Vec::new()), "logprobs": Json::List(Vec::new()), "text": text }
    }
}

fn call_item(id: &str, call_id: &str, call: &Call, status: &str, arguments: &str) -> Json {
    if call.custom {
        obj! { "id": id, "type": "custom_tool_call", "status": status, "call_id": call_id, "input": arguments, "name": &call.name }
    } else {
        obj! { "id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": call_id, "name": &call.name }
    }
}
