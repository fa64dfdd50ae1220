//! The Responses API of OpenAI, and of OpenRouter.
//!
//! Stream: `response.created`, `response.in_progress`, then for each output item `output_item.added`, its parts
//! and deltas with their `done`s, `output_item.done`, at last `response.completed` or `response.incomplete`.
//! Every event has a `sequence_number`.

mod write;

use serde_json::Value;

use super::answer::{self, Say};
use super::exchange::{Context, Event, Problem, Reply, Usage};
use super::json::{Json, obj, string};
use super::openai_list::listed;
use super::openai_run::Run;
use super::openai_store::Stored;
use super::responses_read::{self, MAKER, Turn};
use super::{held, openrouter, route, sign};
use write::{Item, Writer};

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
