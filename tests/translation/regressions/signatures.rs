//! Answers that go out in another protocol and come back in the next request: signatures find their maker, and
//! nobody else.

use serde_json::{Value, json};

use torouter::dialect::Dialect::{self, Anthropic, Gemini, OpenAiChat};

use super::providers::{anthropic_stream, anthropic_tool, gemini_call, gemini_stream};
use super::{sent, streamed, text_for};
use crate::relay::{DIALECTS, Relayed};
use crate::requests::platform_dialect;

const SIGNED: &str = "U2lnbmVkQnlJdHNNYWtlcg==";

fn signed_answer(upstream: Dialect) -> Relayed {
    match upstream {
        Anthropic => streamed(
            Anthropic,
            &anthropic_stream(
                &[
                    (
                        json!({"type": "thinking", "thinking": "", "signature": ""}),
                        vec![
                            json!({"type": "thinking_delta", "thinking": "hm"}),
                            json!({"type": "signature_delta", "signature": SIGNED}),
                        ],
                    ),
                    (anthropic_tool("toolu_1", "f"), Vec::new()),
                ],
                "tool_use",
            ),
        ),
        Gemini => {
            let mut call = gemini_call("f", &json!({}));
            call["thoughtSignature"] = json!(SIGNED);
            streamed(
                Gemini,
                &gemini_stream(&[json!({"text": "hm", "thought": true}), call]),
            )
        }
        OpenAiChat | Dialect::OpenAiResponses => panic!("it signs nothing"),
    }
}

/// The client's next request: it sends the answer back as it came, with a result for its call.
fn next_turn(surface: Dialect, answer: &[u8]) -> Value {
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    match surface {
        OpenAiChat => {
            let message = &answer["choices"][0]["message"];
            let id = &message["tool_calls"][0]["id"];
            json!({
                "model": "m",
                "messages": [
                    {"role": "user", "content": "Hi"},
                    message,
                    {"role": "tool", "tool_call_id": id, "content": "done"},
                ],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            })
        }
        Anthropic => {
            let content = answer["content"].as_array().expect("blocks");
            let call = content
                .iter()
                .find(|block| block["type"] == "tool_use")
                .expect("a call");
            let result =
                json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"});
            json!({
                "model": "m", "max_tokens": 4096,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": content},
                    {"role": "user", "content": [result]},
                ],
                "tools": [{"name": "f", "input_schema": schema}],
            })
        }
        Dialect::OpenAiResponses => {
            let mut input = vec![json!({"role": "user", "content": "Hi"})];
            let output = answer["output"].as_array().expect("items");
            input.extend(output.iter().cloned());
            let call = output.iter().find(|item| item["type"] == "function_call");
            input.push(json!({
                "type": "function_call_output", "call_id": call.expect("a call")["call_id"], "output": "done",
            }));
            json!({"model": "m", "input": input, "tools": [{"type": "function", "name": "f", "parameters": schema}]})
        }
        Gemini => {
            let content = &answer["candidates"][0]["content"];
            let parts = content["parts"].as_array().expect("parts");
            let call = parts
                .iter()
                .find_map(|part| part.get("functionCall"))
                .expect("a call");
            let mut response = json!({"name": "f", "response": {"result": "done"}});
            if let Some(id) = call.get("id") {
                response["id"] = id.clone();
            }
            json!({
                "contents": [
                    {"role": "user", "parts": [{"text": "Hi"}]},
                    content,
                    {"role": "user", "parts": [{"functionResponse": response}]},
                ],
                "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}],
            })
        }
    }
}

#[test]
fn a_signature_finds_its_way_back_to_its_maker_over_each_surface() {
    for (upstream, platform) in [(Anthropic, "anthropic"), (Gemini, "gemini")] {
        let relayed = signed_answer(upstream);
        for surface in DIALECTS.into_iter().filter(|surface| *surface != upstream) {
            let body = next_turn(surface, &relayed.whole(surface));
            let sent = sent(surface, &body, platform);
            if upstream == Anthropic {
                let turn = &sent["messages"][1]["content"];
                let thinking = json!({"type": "thinking", "thinking": "hm", "signature": SIGNED});
                assert_eq!(turn[0], thinking, "over {surface:?}: {sent}");
                assert_eq!(turn[1]["type"], "tool_use", "over {surface:?}: {sent}");
            } else {
                let parts = sent["contents"][1]["parts"].as_array().expect("parts");
                let call = parts.iter().find(|part| part["functionCall"].is_object());
                // On the very part that bore it: https://ai.google.dev/gemini-api/docs/thought-signatures
                assert_eq!(
                    call.expect("a call")["thoughtSignature"],
                    SIGNED,
                    "over {surface:?}: {sent}"
                );
            }
        }
    }
}

#[test]
fn a_signature_never_reaches_another_vendor() {
    for (upstream, surface, others) in [
        (Anthropic, OpenAiChat, ["gemini", "anthropic"]),
        (Anthropic, Gemini, ["openai", "openrouter"]),
        (Gemini, OpenAiChat, ["anthropic", "gemini"]),
        (Gemini, Anthropic, ["openai", "openai-compatible"]),
    ] {
        let relayed = signed_answer(upstream);
        let body = next_turn(surface, &relayed.whole(surface));
        for platform in others {
            if platform_dialect(platform) == upstream {
                continue;
            }
            let text = text_for(surface, &body.to_string(), platform);
            assert!(!text.contains(SIGNED), "{upstream:?} to {platform}: {text}");
            assert!(
                !text.contains(torouter::chat::seal::SEALED),
                "{upstream:?} to {platform}: {text}"
            );
        }
    }
}
