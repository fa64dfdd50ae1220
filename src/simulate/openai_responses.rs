//! The Responses API of OpenAI, and of OpenRouter.
//!
//! Stream: `response.created`, `response.in_progress`, then for each output item `output_item.added`, its parts
//! and deltas with their `done`s, `output_item.done`, at last `response.completed` or `response.incomplete`.
//! Every event has a `sequence_number`.

use serde_json::Value;

use super::answer::{self, Call, Finish, Say, fragments, pieces};
use super::exchange::{Context, Event, Problem, Reply, Usage, Voice};
use super::json::{Json, obj, string};
use super::openai_list::listed;
use super::openai_run::Run;
use super::openai_store::Stored;
use super::responses_read::{self, MAKER, Turn};
use super::{held, openrouter, route, sign};

/// Every path below `responses`.
pub(super) fn endpoint(context: &Context<'_>, rest: &str) -> Result<Reply, Problem> {
    let mut parts = rest.split('/').skip(1);
    let method = context.request.method.as_str();
    match (method, parts.next(), parts.next(), parts.next()) {
        // `WS` is a frame on the WebSocket.
        ("POST" | "WS", None, None, None) => create(context),
        ("POST", Some("input_tokens"), None, None) => input_tokens(context),
        ("POST", Some("compact"), None, None) => compact(context),
        ("GET" | "HEAD", Some(id), None, None) => held(&context.sim.store).get(context.request, id),
        ("DELETE", Some(id), None, None) => Ok(Reply::json(
            &held(&context.sim.store).delete(context.request, id)?,
        )),
        ("POST", Some(id), Some("cancel"), None) => Ok(Reply::json(&Json::Value(
            held(&context.sim.store).cancel(context.request, id)?,
        ))),
        ("GET" | "HEAD", Some(id), Some("input_items"), None) => Ok(Reply::json(
            &held(&context.sim.store).input_items(context.request, id)?,
        )),
        (_, None | Some("input_tokens" | "compact"), None, None)
        | (_, Some(_), Some("cancel"), None) => Err(route::method(context, "POST")
            .err()
            .unwrap_or_else(|| route::not_found(context))),
        _ => Err(route::not_found(context)),
    }
}

fn input_tokens(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let turn = responses_read::read(context, &body)?;
    Ok(Reply::json(
        &obj! { "object": "response.input_tokens", "input_tokens": turn.prompt.tokens() },
    ))
}

/// Folds a conversation into its user messages and one sealed item.
fn compact(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let turn = responses_read::read(context, &body)?;
    let mut output: Vec<Json> = turn
        .history
        .iter()
        .chain(&turn.input)
        .filter(|item| string(item, "role") == "user")
        .map(|item| Json::Value(listed(item)))
        .collect();
    output.push(obj! {
        "id": sign::id("cmp_", 48),
        "type": "compaction",
        "encrypted_content": sign::sign(MAKER, ""),
    });
    let usage = Usage {
        input: turn.prompt.tokens(),
        output: 1,
        ..Usage::default()
    };
    let out = obj! {
        "id": sign::id("resp_", 48),
        "object": "response.compaction",
        "created_at": sign::now_s(),
        "output": output,
        "usage": usage_json(&usage, false),
    };
    Ok(Reply::json(&out).billed(&turn.ask.model, usage, true))
}

fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let turn = responses_read::read(context, &body)?;
    let say = if turn.warms {
        Say::nothing()
    } else {
        answer::say(&turn.ask, context.steer)
    };
    let usage = usage(context, &turn, &say);
    let mut writer = Writer {
        id: sign::id(
            if context.voice.is_router() {
                "gen-"
            } else {
                "resp_"
            },
            48,
        ),
        created: sign::now_s(),
        voice: context.voice,
        shows_usage: !context.steer.no_usage,
        pieces: context.steer.events,
        body: &body,
        turn: &turn,
        say: &say,
        usage,
        events: Vec::new(),
    };
    let output = writer.output();
    let last = writer.response(writer.status(), &output);
    let model = &turn.ask.model;
    let reported = writer.shows_usage;
    let mut opening = 0;
    if turn.stream || turn.background {
        opening = writer.stream(&output, &last);
    }
    let run = turn
        .background
        .then(|| Run::begin(sign::now_ms(), writer.events.len(), say.slow));
    keep(context, &writer, &output, &last, run.clone());
    if !turn.stream {
        return Ok(if turn.background {
            Reply::json(&writer.response("queued", &[])).billed(model, usage, reported)
        } else {
            Reply::json(&last)
                .billed(model, usage, reported)
                .paced(say.slow)
        });
    }
    let mut events = writer.events;
    if context.voice.is_router() {
        // OpenRouter sends no `event:` lines, and Chat's end marker here too.
        for event in &mut events {
            event.name = None;
        }
        events.push(Event::done());
    }
    let reply = Reply::events(events, opening).billed(model, usage, reported);
    Ok(match run {
        Some(run) => reply.over(run, 0),
        None => reply.paced(say.slow),
    })
}

/// What the turn costs; one that only warms up costs nothing.
fn usage(context: &Context<'_>, turn: &Turn, say: &Say) -> Usage {
    if turn.warms {
        return Usage::default();
    }
    let owner = format!("{}/{}", context.voice.platform(), turn.ask.model);
    let mut usage = held(&context.sim.caches).by_itself(&owner, &turn.prompt);
    usage.output = say.output_tokens();
    usage.reasoning = say.reasoning_tokens();
    usage
}

/// Remembers the turn: for its account, in its conversation, on its WebSocket.
fn keep(
    context: &Context<'_>,
    writer: &Writer<'_>,
    output: &[Item<'_>],
    last: &Json,
    run: Option<Run>,
) {
    let turn = writer.turn;
    if !turn.store && turn.conversation.is_none() && context.lane.is_none() {
        return;
    }
    let account = context.request.account();
    let input: Vec<Value> = turn.input.iter().map(listed).collect();
    let output: Vec<Value> = output.iter().map(|item| item.json.value()).collect();
    if let Some(id) = &turn.conversation {
        let items = input.iter().chain(&output).cloned().collect();
        held(&context.sim.conversations).add(account, id, items, run.clone());
    }
    if let Some(lane) = context.lane {
        let all = turn.history.iter().chain(&input).chain(&output);
        lane.remember(&writer.id, all.cloned().collect());
    }
    if turn.store {
        let stored = Stored {
            account: account.to_owned(),
            response: last.value(),
            before: turn.history.clone(),
            input,
            output,
            run,
            events: if turn.stream && turn.background {
                writer.events.clone()
            } else {
                Vec::new()
            },
        };
        held(&context.sim.store).put(&writer.id, stored);
    }
}

fn usage_json(usage: &Usage, router: bool) -> Json {
    let mut out = obj! {
        "input_tokens": usage.input,
        "input_tokens_details": obj! { "cached_tokens": usage.cache_read },
        "output_tokens": usage.output,
        "output_tokens_details": obj! { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.input + usage.output,
    };
    if router {
        openrouter::cost(usage, &mut out);
    }
    out
}

/// What an output item is made of, for its events.
enum Content<'a> {
    Reasoning(&'a str),
    Text(&'a str),
    Refusal(&'a str),
    Call(&'a Call),
}

struct Item<'a> {
    id: String,
    call_id: String,
    content: Content<'a>,
    /// The finished item.
    json: Json,
}

struct Writer<'a> {
    id: String,
    created: u64,
    voice: Voice,
    shows_usage: bool,
    pieces: Option<u32>,
    body: &'a Value,
    turn: &'a Turn,
    say: &'a Say,
    usage: Usage,
    events: Vec<Event>,
}

impl<'a> Writer<'a> {
    fn status(&self) -> &'static str {
        if self.say.finish == Finish::Length {
            "incomplete"
        } else {
            "completed"
        }
    }

    /// The finished output items.
    fn output(&self) -> Vec<Item<'a>> {
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
    fn response(&self, status: &str, output: &[Item<'_>]) -> Json {
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
    fn stream(&mut self, output: &[Item<'_>], last: &Json) -> usize {
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
