//! What OpenRouter adds to OpenAI's dialects: reasoning, the provider's name, native finish reasons, cost.
//! <https://openrouter.ai/docs/api-reference/overview>

use serde_json::Value;

use super::answer::Finish;
use super::exchange::{Problem, Usage};
use super::json::{Json, items, obj, string, yes};
use super::sign;

/// Who signs reasoning here.
const MAKER: &str = "openrouter";

/// Whether the request wants reasoning: `reasoning`, `include_reasoning` or OpenAI's `reasoning_effort`.
pub(super) fn reasons(body: &Value) -> bool {
    match body.get("reasoning") {
        Some(reasoning) if reasoning.is_object() => {
            reasoning.get("enabled").and_then(Value::as_bool) != Some(false)
                && string(reasoning, "effort") != "none"
        }
        _ => {
            let effort = string(body, "reasoning_effort");
            yes(body, "include_reasoning") || (!effort.is_empty() && effort != "none")
        }
    }
}

fn format(model: &str) -> &'static str {
    if model.starts_with("anthropic/") {
        "anthropic-claude-v1"
    } else if model.starts_with("openai/") {
        "openai-responses-v1"
    } else if model.starts_with("google/") {
        "google-gemini-v1"
    } else {
        "unknown"
    }
}

/// `reasoning_details` of a piece of reasoning.
pub(super) fn details(model: &str, piece: &str) -> Json {
    Json::List(vec![
        obj! { "type": "reasoning.text", "text": piece, "format": format(model), "index": 0 },
    ])
}

/// `reasoning_details` that carries the signature alone, as the last of a stream does.
pub(super) fn signature(model: &str) -> Json {
    Json::List(vec![obj! {
        "type": "reasoning.text",
        "signature": sign::sign(MAKER, ""),
        "format": format(model),
        "index": 0,
    }])
}

/// `reasoning_details` of a whole answer.
pub(super) fn whole(model: &str, thought: &str) -> Json {
    Json::List(vec![obj! {
        "type": "reasoning.text",
        "text": thought,
        "signature": sign::sign(MAKER, ""),
        "format": format(model),
        "index": 0,
    }])
}

/// Refuses signatures that were not issued here.
pub(super) fn check(messages: &[Value]) -> Result<(), Problem> {
    for (at, message) in messages.iter().enumerate() {
        for detail in items(message, "reasoning_details") {
            let signature = string(detail, "signature");
            if !signature.is_empty() && !sign::genuine(MAKER, signature, "") {
                return Err(Problem::bad(format!(
                    "messages.{at}: Invalid `signature` in `thinking` block"
                )));
            }
        }
    }
    Ok(())
}

/// The finish reason in the words of the provider behind.
pub(super) fn native(finish: &Finish, model: &str) -> &'static str {
    let anthropic = model.starts_with("anthropic/");
    match finish {
        Finish::Stop if anthropic => "end_turn",
        Finish::StopSequence(_) if anthropic => "stop_sequence",
        Finish::Length if anthropic => "max_tokens",
        Finish::Tools if anthropic => "tool_use",
        Finish::Refusal if anthropic => "refusal",
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Refusal => "content_filter",
    }
}

/// The cost that OpenRouter adds to every usage: here a dollar a million tokens.
pub(super) fn cost(usage: &Usage, into: &mut Json) {
    let dollars = |tokens: u64| tokens as f64 / 1_000_000.0;
    into.push("cost", dollars(usage.input + usage.output));
    into.push("is_byok", false);
    into.push(
        "cost_details",
        obj! {
            "upstream_inference_cost": Json::Null,
            "upstream_inference_prompt_cost": dollars(usage.input),
            "upstream_inference_completions_cost": dollars(usage.output),
        },
    );
}
