//! Chat Completions of OpenAI, and of OpenRouter with what it adds.
//!
//! Stream: a chunk with the role, deltas, a chunk with the finish reason, a chunk with usage and no choices if
//! `stream_options.include_usage` (then `usage` is null on the others), `[DONE]`.

use serde_json::Value;

use super::answer::{self, Call, Finish, Say, fragments, pieces};
use super::exchange::{Context, Event, Problem, Reply, Usage, Voice};
use super::json::{Json, items, obj};
use super::openai_read::{self, Chat};
use super::{held, openrouter, sign};

pub(super) fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let body = context.request.json()?;
    let router = context.voice == Voice::OpenRouter;
    if router {
        openrouter::check(items(&body, "messages"))?;
    }
    let chat = openai_read::read(context, &body)?;
    if !router && is_elsewhere(&chat.ask.model) {
        let message =
            "This model is only supported in v1/responses and not in v1/chat/completions.";
        return Err(Problem::new(404, message).param("model"));
    }
    let say = answer::say(&chat.ask, context.steer);
    let owner = format!("{}/{}", context.voice.platform(), chat.ask.model);
    let mut usage = held(&context.sim.caches).by_itself(&owner, &chat.prompt);
    let n = u64::try_from(chat.n).unwrap_or(1);
    usage.output = say.output_tokens() * n;
    usage.reasoning = say.reasoning_tokens() * n;
    let writer = Writer {
        id: sign::id(if router { "gen-" } else { "chatcmpl-" }, 29),
        created: sign::now_s(),
        router,
        shows_usage: !context.steer.no_usage,
        events: context.steer.events,
        calls: say.calls.iter().map(|_| sign::id("call_", 24)).collect(),
        chat: &chat,
        say: &say,
        usage,
        tier: tier(&body),
    };
    if !chat.stream {
        return Ok(Reply::json(&writer.whole())
            .billed(&chat.ask.model, usage, writer.shows_usage)
            .paced(say.slow));
    }
    let (events, opening) = writer.stream();
    let reported = writer.shows_usage && (router || chat.include_usage);
    Ok(Reply::events(events, opening)
        .billed(&chat.ask.model, usage, reported)
        .paced(say.slow))
}

/// Models that the Responses API alone has.
fn is_elsewhere(model: &str) -> bool {
    let is_pro = |id: &str| id.starts_with("o1-pro") || id.starts_with("o3-pro");
    is_pro(model)
        || model.contains("codex")
        || model.contains("-deep-research")
        || (model.starts_with("gpt-5") && model.contains("-pro"))
}

fn tier(body: &Value) -> String {
    match body.get("service_tier").and_then(Value::as_str) {
        None | Some("auto") => "default".to_owned(),
        Some(tier) => tier.to_owned(),
    }
}

/// Writes one answer, whole or as a stream.
struct Writer<'a> {
    id: String,
    created: u64,
    router: bool,
    shows_usage: bool,
    events: Option<u32>,
    /// The ids of the calls, the same in every choice.
    calls: Vec<String>,
    chat: &'a Chat,
    say: &'a Say,
    usage: Usage,
    tier: String,
}

impl Writer<'_> {
    fn model(&self) -> &str {
        &self.chat.ask.model
    }

    /// DeepSeek and the servers that follow it show reasoning in `reasoning_content`; OpenAI never does.
    fn shows_thought(&self) -> bool {
        !self.router
            && ["deepseek", "qwen", "glm"]
                .iter()
                .any(|family| self.model().starts_with(family))
    }

    fn finish(&self) -> &'static str {
        match self.say.finish {
            Finish::Stop | Finish::StopSequence(_) => "stop",
            Finish::Length => "length",
            Finish::Tools => "tool_calls",
            // OpenAI says a refusal by its field and stops as usual.
            Finish::Refusal if self.router => "content_filter",
            Finish::Refusal => "stop",
        }
    }

    fn usage(&self) -> Json {
        let usage = &self.usage;
        let mut out = obj! {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
        };
        if self.router {
            openrouter::cost(usage, &mut out);
            out.push("prompt_tokens_details", obj! { "cached_tokens": usage.cache_read, "cache_write_tokens": 0, "audio_tokens": 0 });
            out.push(
                "completion_tokens_details",
                obj! { "reasoning_tokens": usage.reasoning, "image_tokens": 0, "audio_tokens": 0 },
            );
        } else {
            out.push(
                "prompt_tokens_details",
                obj! { "cached_tokens": usage.cache_read, "audio_tokens": 0 },
            );
            out.push(
                "completion_tokens_details",
                obj! {
                    "reasoning_tokens": usage.reasoning,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            );
        }
        out
    }

    fn envelope(&self, object: &str) -> Json {
        let mut out = obj! { "id": &self.id, "object": object, "created": self.created, "model": self.model() };
        if self.router {
            out.push("provider", "Simulator");
        } else {
            out.push("service_tier", &self.tier);
            out.push("system_fingerprint", "fp_simulator");
        }
        out
    }

    fn whole(&self) -> Json {
        let mut out = self.envelope("chat.completion");
        let choices: Vec<Json> = (0..self.chat.n).map(|index| self.choice(index)).collect();
        out.push("choices", choices);
        if self.shows_usage {
            out.push("usage", self.usage());
        }
        out
    }

    fn choice(&self, index: usize) -> Json {
        let text = &self.say.text;
        let mut message = obj! { "role": "assistant" };
        let refused = self.say.refused();
        message.push(
            "content",
            (!refused && self.say.calls.is_empty()).then_some(text),
        );
        message.push("refusal", refused.then_some(text));
        if let Some(thought) = &self.say.thought {
            if self.router {
                message.push("reasoning", thought);
                message.push(
                    "reasoning_details",
                    openrouter::whole(self.model(), thought),
                );
            } else if self.shows_thought() {
                message.push("reasoning_content", thought);
            }
        }
        if !self.say.calls.is_empty() {
            let calls: Vec<Json> = self
                .say
                .calls
                .iter()
                .zip(&self.calls)
                .map(|(call, id)| whole_call(call, id))
                .collect();
            message.push("tool_calls", calls);
        }
        if !self.router {
            message.push("annotations", Json::List(Vec::new()));
        }
        let mut choice = obj! { "index": index, "message": message };
        choice.push(
            "logprobs",
            self.chat.logprobs.map(|top| {
                let tokens: Vec<Json> = pieces(text, None)
                    .iter()
                    .map(|piece| token(piece, top))
                    .collect();
                obj! { "content": tokens, "refusal": Json::Null }
            }),
        );
        choice.push("finish_reason", self.finish());
        if self.router {
            choice.push(
                "native_finish_reason",
                openrouter::native(&self.say.finish, self.model()),
            );
        }
        choice
    }

    fn chunk(&self, choices: Vec<Json>) -> Json {
        let mut out = self.envelope("chat.completion.chunk");
        out.push("choices", choices);
        if self.chat.include_usage && self.shows_usage && !self.router {
            out.push("usage", Json::Null);
        }
        out
    }

    /// A chunk of one choice.
    fn delta(
        &self,
        index: usize,
        delta: Json,
        logprobs: Option<Json>,
        finish: Option<&str>,
    ) -> Json {
        let mut choice =
            obj! { "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish };
        if self.router {
            choice.push(
                "native_finish_reason",
                finish.map(|_| openrouter::native(&self.say.finish, self.model())),
            );
        }
        self.chunk(vec![choice])
    }

    /// The events, and how many open the stream.
    fn stream(&self) -> (Vec<Event>, usize) {
        let mut out = Vec::new();
        for index in 0..self.chat.n {
            let content = if self.say.calls.is_empty() {
                Json::from("")
            } else {
                Json::Null
            };
            let mut delta = obj! { "role": "assistant", "content": content };
            if !self.router {
                delta.push("refusal", Json::Null);
            }
            out.push(Event::data(&self.delta(index, delta, None, None)));
        }
        let opening = out.len();
        for index in 0..self.chat.n {
            self.thought(index, &mut out);
            self.text(index, &mut out);
            self.tool_calls(index, &mut out);
        }
        for index in 0..self.chat.n {
            let delta = if self.router {
                obj! { "role": "assistant", "content": "" }
            } else {
                obj! {}
            };
            out.push(Event::data(&self.delta(
                index,
                delta,
                None,
                Some(self.finish()),
            )));
        }
        if self.shows_usage && self.router {
            // OpenRouter repeats the last choice beside the usage.
            let mut last = self.delta(
                0,
                obj! { "role": "assistant", "content": "" },
                None,
                Some(self.finish()),
            );
            last.push("usage", self.usage());
            out.push(Event::data(&last));
        } else if self.shows_usage && self.chat.include_usage {
            let mut last = self.envelope("chat.completion.chunk");
            last.push("choices", Json::List(Vec::new()));
            last.push("usage", self.usage());
            out.push(Event::data(&last));
        }
        out.push(Event::done());
        (out, opening)
    }

    fn thought(&self, index: usize, out: &mut Vec<Event>) {
        let Some(thought) = &self.say.thought else {
            return;
        };
        if !self.router && !self.shows_thought() {
            return;
        }
        for piece in pieces(thought, None) {
            let delta = if self.router {
                obj! {
                    "role": "assistant",
                    "content": "",
                    "reasoning": &piece,
                    "reasoning_details": openrouter::details(self.model(), &piece),
                }
            } else {
                obj! { "reasoning_content": &piece }
            };
            out.push(Event::data(&self.delta(index, delta, None, None)).saying(&piece));
        }
        if self.router {
            let details = openrouter::signature(self.model());
            let delta = obj! { "role": "assistant", "content": "", "reasoning": Json::Null, "reasoning_details": details };
            out.push(Event::data(&self.delta(index, delta, None, None)));
        }
    }

    fn text(&self, index: usize, out: &mut Vec<Event>) {
        for piece in pieces(&self.say.text, self.events) {
            let logprobs = self
                .chat
                .logprobs
                .map(|top| obj! { "content": vec![token(&piece, top)], "refusal": Json::Null });
            let delta = if self.say.refused() {
                obj! { "refusal": &piece }
            } else if self.router {
                obj! { "role": "assistant", "content": &piece }
            } else {
                obj! { "content": &piece }
            };
            out.push(Event::data(&self.delta(index, delta, logprobs, None)).saying(&piece));
        }
    }

    fn tool_calls(&self, index: usize, out: &mut Vec<Event>) {
        for (at, (call, id)) in self.say.calls.iter().zip(&self.calls).enumerate() {
            let first = if call.custom {
                obj! { "index": at, "id": id, "type": "custom", "custom": obj! { "name": &call.name, "input": "" } }
            } else {
                obj! { "index": at, "id": id, "type": "function", "function": obj! { "name": &call.name, "arguments": "" } }
            };
            out.push(
                Event::data(&self.delta(index, obj! { "tool_calls": vec![first] }, None, None))
                    .saying(&call.name),
            );
            for piece in fragments(&call.arguments) {
                let next = if call.custom {
                    obj! { "index": at, "custom": obj! { "input": &piece } }
                } else {
                    obj! { "index": at, "function": obj! { "arguments": &piece } }
                };
                out.push(
                    Event::data(&self.delta(index, obj! { "tool_calls": vec![next] }, None, None))
                        .saying(&piece),
                );
            }
        }
    }
}

fn whole_call(call: &Call, id: &str) -> Json {
    if call.custom {
        obj! { "id": id, "type": "custom", "custom": obj! { "name": &call.name, "input": &call.arguments } }
    } else {
        obj! { "id": id, "type": "function", "function": obj! { "name": &call.name, "arguments": &call.arguments } }
    }
}

/// One token with its log-prob and `top` alternatives, the token itself the first of them.
pub(super) fn token(piece: &str, top: usize) -> Json {
    let entry = |text: &str, logprob: f64| {
        let bytes: Vec<Json> = text
            .bytes()
            .map(|byte| Json::Int(i64::from(byte)))
            .collect();
        obj! { "token": text, "logprob": logprob, "bytes": bytes }
    };
    let others: Vec<Json> = (0..top)
        .map(|at| {
            if at == 0 {
                entry(piece, -0.25)
            } else {
                entry(&format!(" other{at}"), -1.5 - at as f64)
            }
        })
        .collect();
    let mut out = entry(piece, -0.25);
    out.push("top_logprobs", others);
    out
}
