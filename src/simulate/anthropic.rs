//! The Messages API of Anthropic.
//!
//! Stream: `message_start` (with the usage of the input), `ping`, for each block `content_block_start`, deltas and
//! `content_block_stop`, then `message_delta` (finish and usage), `message_stop`.

use serde_json::Value;

use super::answer::{self, Finish, Say, fragments, pieces};
use super::anthropic_read::{self, MAKER, Message};
use super::exchange::{Context, Event, Problem, Reply, Usage};
use super::json::{Json, obj};
use super::{held, openai_misc, route, sign};

/// Every path of Anthropic's.
pub(super) fn endpoint(context: &Context<'_>, rest: &str) -> Result<Reply, Problem> {
    if context.request.header("anthropic-version").is_none() {
        return Err(Problem::bad("anthropic-version: header is required"));
    }
    match rest {
        "messages" => {
            route::method(context, "POST")?;
            create(context)
        }
        "messages/count_tokens" => {
            route::method(context, "POST")?;
            let message = anthropic_read::read(context, &context.request.json()?, true)?;
            Ok(Reply::json(
                &obj! { "input_tokens": message.prompt.tokens() },
            ))
        }
        "models" => {
            route::method(context, "GET")?;
            let data: Vec<Json> = openai_misc::models_of("anthropic").map(model).collect();
            let ids: Vec<&str> = openai_misc::models_of("anthropic").collect();
            Ok(Reply::json(&obj! {
                "data": data,
                "has_more": false,
                "first_id": ids.first().copied(),
                "last_id": ids.last().copied(),
            }))
        }
        _ => match rest.strip_prefix("models/") {
            Some(id) if !id.is_empty() => {
                route::method(context, "GET")?;
                route::known_model(context, id)?;
                Ok(Reply::json(&model(id)))
            }
            _ => Err(route::not_found(context)),
        },
    }
}

fn model(id: &str) -> Json {
    obj! {
        "type": "model",
        "id": id,
        "display_name": id,
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }
}

fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let message = anthropic_read::read(context, &context.request.json()?, false)?;
    let say = answer::say(&message.ask, context.steer);
    let mut usage = held(&context.sim.caches)
        .by_marks(&format!("anthropic/{}", message.ask.model), &message.prompt);
    usage.output = say.output_tokens();
    usage.reasoning = say.reasoning_tokens();
    let shows = !context.steer.no_usage;
    let writer = Writer {
        id: sign::id("msg_01", 22),
        calls: say.calls.iter().map(|_| sign::id("toolu_01", 22)).collect(),
        signature: say
            .thought
            .as_deref()
            .map(|thought| sign::sign(MAKER, thought))
            .unwrap_or_default(),
        pieces: context.steer.events,
        shows_usage: shows,
        message: &message,
        say: &say,
        usage,
    };
    let model = &message.ask.model;
    if message.stream {
        // `message_start` and `ping` come before any output.
        return Ok(Reply::events(writer.stream(), 2)
            .billed(model, usage, shows)
            .paced(say.slow));
    }
    Ok(Reply::json(&writer.whole())
        .billed(model, usage, shows)
        .paced(say.slow))
}

struct Writer<'a> {
    id: String,
    calls: Vec<String>,
    signature: String,
    pieces: Option<u32>,
    shows_usage: bool,
    message: &'a Message,
    say: &'a Say,
    usage: Usage,
}

impl Writer<'_> {
    fn finish(&self) -> (&'static str, Option<&str>) {
        match &self.say.finish {
            Finish::Stop => ("end_turn", None),
            Finish::Length => ("max_tokens", None),
            Finish::StopSequence(stop) => ("stop_sequence", Some(stop.as_str())),
            Finish::Tools => ("tool_use", None),
            Finish::Refusal => ("refusal", None),
        }
    }

    /// `input_tokens` is what was neither read from nor written to the cache.
    fn usage(&self, output: u64) -> Json {
        let usage = &self.usage;
        obj! {
            "input_tokens": usage.uncached(),
            "cache_creation_input_tokens": usage.cache_write(),
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": obj! {
                "ephemeral_5m_input_tokens": usage.cache_write_5m,
                "ephemeral_1h_input_tokens": usage.cache_write_1h,
            },
            "output_tokens": output,
            "service_tier": "standard",
        }
    }

    fn envelope(
        &self,
        content: Vec<Json>,
        finish: Option<&str>,
        stop: Option<&str>,
        output: u64,
    ) -> Json {
        let mut out = obj! {
            "id": &self.id,
            "type": "message",
            "role": "assistant",
            "model": &self.message.ask.model,
            "content": content,
            "stop_reason": finish,
            "stop_sequence": stop,
        };
        if self.shows_usage {
            out.push("usage", self.usage(output));
        }
        out
    }

    fn whole(&self) -> Json {
        let mut content = Vec::new();
        if let Some(thought) = &self.say.thought {
            content.push(
                obj! { "type": "thinking", "thinking": thought, "signature": &self.signature },
            );
        }
        if !self.say.text.is_empty() {
            content.push(obj! { "type": "text", "text": &self.say.text });
        }
        for (call, id) in self.say.calls.iter().zip(&self.calls) {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            content.push(obj! { "type": "tool_use", "id": id, "name": &call.name, "input": input });
        }
        let (finish, stop) = self.finish();
        self.envelope(content, Some(finish), stop, self.usage.output)
    }

    fn stream(&self) -> Vec<Event> {
        let start = self.envelope(Vec::new(), None, None, 1);
        let mut out = vec![
            Event::named(
                "message_start",
                &obj! { "type": "message_start", "message": start },
            ),
            Event::named("ping", &obj! { "type": "ping" }),
        ];
        let mut index = 0_usize;
        if let Some(thought) = &self.say.thought {
            let block = obj! { "type": "thinking", "thinking": "", "signature": "" };
            out.push(block_start(index, block));
            for piece in pieces(thought, None) {
                out.push(block_delta(
                    index,
                    obj! { "type": "thinking_delta", "thinking": &piece },
                    &piece,
                ));
            }
            out.push(block_delta(
                index,
                obj! { "type": "signature_delta", "signature": &self.signature },
                "",
            ));
            out.push(block_stop(index));
            index += 1;
        }
        if !self.say.text.is_empty() {
            out.push(block_start(index, obj! { "type": "text", "text": "" }));
            for piece in pieces(&self.say.text, self.pieces) {
                out.push(block_delta(
                    index,
                    obj! { "type": "text_delta", "text": &piece },
                    &piece,
                ));
            }
            out.push(block_stop(index));
            index += 1;
        }
        for (call, id) in self.say.calls.iter().zip(&self.calls) {
            let block = obj! { "type": "tool_use", "id": id, "name": &call.name, "input": obj! {} };
            out.push(block_start(index, block).saying(&call.name));
            // The first delta is always empty.
            out.push(block_delta(
                index,
                obj! { "type": "input_json_delta", "partial_json": "" },
                "",
            ));
            for piece in fragments(&call.arguments) {
                out.push(block_delta(
                    index,
                    obj! { "type": "input_json_delta", "partial_json": &piece },
                    &piece,
                ));
            }
            out.push(block_stop(index));
            index += 1;
        }
        out.push(self.message_delta());
        out.push(Event::named(
            "message_stop",
            &obj! { "type": "message_stop" },
        ));
        out
    }

    fn message_delta(&self) -> Event {
        let (finish, stop) = self.finish();
        let mut out = obj! {
            "type": "message_delta",
            "delta": obj! { "stop_reason": finish, "stop_sequence": stop },
        };
        if self.shows_usage {
            out.push(
                "usage",
                obj! {
                    "input_tokens": self.usage.uncached(),
                    "cache_creation_input_tokens": self.usage.cache_write(),
                    "cache_read_input_tokens": self.usage.cache_read,
                    "output_tokens": self.usage.output,
                },
            );
        }
        Event::named("message_delta", &out)
    }
}

fn block_start(index: usize, block: Json) -> Event {
    Event::named(
        "content_block_start",
        &obj! { "type": "content_block_start", "index": index, "content_block": block },
    )
}

fn block_delta(index: usize, delta: Json, piece: &str) -> Event {
    Event::named(
        "content_block_delta",
        &obj! { "type": "content_block_delta", "index": index, "delta": delta },
    )
    .saying(piece)
}

fn block_stop(index: usize) -> Event {
    Event::named(
        "content_block_stop",
        &obj! { "type": "content_block_stop", "index": index },
    )
}
