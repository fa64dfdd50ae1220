//! Answers, streamed and whole.

use serde_json::{Value, json};

use torouter::dialect::Dialect::{Anthropic, Gemini, OpenAiChat, OpenAiResponses};

use super::providers::{
    anthropic_stream, anthropic_tool, chat_call, chat_chunk, chat_stream, gemini_call,
    gemini_stream, simple,
};
use super::{data, heard, streamed, whole};
use crate::relay::{DIALECTS, relay};

#[test]
fn arguments_that_stand_in_the_opening_of_a_block_only_are_not_lost() {
    let block = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}});
    let relayed = streamed(
        Anthropic,
        &anthropic_stream(&[(block, Vec::new())], "tool_use"),
    );
    for surface in DIALECTS {
        assert_eq!(
            heard(&relayed, surface).choices[&0].calls[0].input,
            json!({"a": 1}),
            "{surface:?}"
        );
    }
}

#[test]
fn arguments_in_deltas_are_not_doubled_by_those_of_the_opening() {
    let deltas =
        [r#"{"a""#, ":1}"].map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
    let relayed = streamed(
        Anthropic,
        &anthropic_stream(
            &[(anthropic_tool("toolu_1", "f"), deltas.to_vec())],
            "tool_use",
        ),
    );
    let chat = heard(&relayed, OpenAiChat);
    assert_eq!(chat.choices[&0].calls[0].input, json!({"a": 1}));
    assert_eq!(chat.choices[&0].calls[0].id, "toolu_1");
}

#[test]
fn a_gemini_call_reaches_an_anthropic_client_as_input_json_deltas() {
    let relayed = streamed(
        Gemini,
        &gemini_stream(&[gemini_call("f", &json!({"a": 1}))]),
    );
    let events = data(&relayed, Anthropic);
    let pieces: String = events
        .iter()
        .filter_map(|event| event["delta"]["partial_json"].as_str())
        .collect();
    assert_eq!(pieces, r#"{"a":1}"#);
    let start = events
        .iter()
        .find(|event| event["type"] == "content_block_start");
    assert_eq!(start.expect("a block")["content_block"]["input"], json!({}));
}

#[test]
fn block_indexes_are_contiguous_across_kinds_and_interleaved_calls() {
    let deltas = [
        json!({"role": "assistant", "reasoning_content": "hm"}),
        json!({"content": "I look."}),
        chat_call(0, Some("call_a"), Some("f"), ""),
        chat_call(1, Some("call_b"), Some("g"), "{\"b\""),
        chat_call(0, None, None, "{\"a\":1}"),
        chat_call(1, None, None, ":2}"),
    ];
    let relayed = streamed(OpenAiChat, &chat_stream(&deltas, "tool_calls"));
    // `heard` refuses indexes out of order and blocks within blocks.
    let choice = &heard(&relayed, Anthropic).choices[&0];
    assert_eq!(
        (choice.reasoning.as_str(), choice.text.as_str()),
        ("hm", "I look.")
    );
    let calls: Vec<(&str, &Value)> = choice
        .calls
        .iter()
        .map(|call| (call.id.as_str(), &call.input))
        .collect();
    assert_eq!(
        calls,
        [("call_a", &json!({"a": 1})), ("call_b", &json!({"b": 2}))]
    );
    let starts = data(&relayed, Anthropic);
    let kinds: Vec<&Value> = starts
        .iter()
        .filter(|event| event["type"] == "content_block_start")
        .map(|event| &event["content_block"]["type"])
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
}

#[test]
fn one_call_is_opened_once_however_often_its_id_and_name_are_repeated() {
    let deltas = [
        chat_call(0, Some("call_a"), Some("f"), ""),
        chat_call(0, Some("call_a"), Some("f"), "{\"a\""),
        chat_call(0, Some(""), Some(""), ":1}"),
    ];
    let relayed = streamed(OpenAiChat, &chat_stream(&deltas, "tool_calls"));
    for surface in DIALECTS {
        let calls = &heard(&relayed, surface).choices[&0].calls;
        assert_eq!(calls.len(), 1, "{surface:?}: {calls:?}");
        assert_eq!(
            (calls[0].name.as_str(), &calls[0].input),
            ("f", &json!({"a": 1}))
        );
    }
}

#[test]
fn a_call_without_an_index_is_still_a_call() {
    let mut delta = chat_call(0, Some("call_a"), Some("f"), "{\"a\":1}");
    delta["tool_calls"][0]
        .as_object_mut()
        .expect("an object")
        .remove("index");
    let mut second = chat_call(0, Some("call_b"), Some("f"), "{\"a\":2}");
    second["tool_calls"][0]
        .as_object_mut()
        .expect("an object")
        .remove("index");
    let relayed = streamed(OpenAiChat, &chat_stream(&[delta, second], "tool_calls"));
    for surface in DIALECTS {
        let calls = &heard(&relayed, surface).choices[&0].calls;
        let inputs: Vec<&Value> = calls.iter().map(|call| &call.input).collect();
        assert_eq!(inputs, [&json!({"a": 1}), &json!({"a": 2})], "{surface:?}");
    }
}

#[test]
fn each_streamed_call_of_a_chat_has_its_index() {
    let parts = [
        gemini_call("f", &json!({"a": 1})),
        gemini_call("f", &json!({"a": 2})),
    ];
    let relayed = streamed(Gemini, &gemini_stream(&parts));
    let chunks = data(&relayed, OpenAiChat);
    let indexes: Vec<u64> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array())
        .flatten()
        .filter(|call| call["id"].is_string())
        .map(|call| call["index"].as_u64().expect("an index"))
        .collect();
    assert_eq!(indexes, [0, 1]);
}

#[test]
fn calls_without_ids_get_ids_that_differ() {
    let parts = [
        gemini_call("f", &json!({"a": 1})),
        gemini_call("f", &json!({"a": 2})),
    ];
    let relayed = streamed(Gemini, &gemini_stream(&parts));
    for surface in [OpenAiChat, Anthropic] {
        let calls = &heard(&relayed, surface).choices[&0].calls;
        assert!(
            !calls[0].id.is_empty() && calls[0].id != calls[1].id,
            "{surface:?}: {calls:?}"
        );
    }
}

#[test]
fn usage_is_told_in_streams_whole_and_once() {
    for upstream in DIALECTS {
        let relayed = streamed(upstream, &simple(upstream));
        // 100 tokens in, of which 40 were read from a cache (and 10 written by the one that says so); 30 out.
        let chat = heard(&relayed, OpenAiChat).usage;
        assert_eq!(chat["prompt_tokens"], 100, "{upstream:?}: {chat}");
        assert_eq!(chat["completion_tokens"], 30, "{upstream:?}: {chat}");
        assert_eq!(chat["total_tokens"], 130, "{upstream:?}: {chat}");
        assert_eq!(
            chat["prompt_tokens_details"]["cached_tokens"], 40,
            "{upstream:?}: {chat}"
        );
        let claude = heard(&relayed, Anthropic).usage;
        let written = if upstream == Anthropic { 10 } else { 0 };
        assert_eq!(
            claude["input_tokens"],
            60 - written,
            "{upstream:?}: {claude}"
        );
        assert_eq!(
            claude["cache_read_input_tokens"], 40,
            "{upstream:?}: {claude}"
        );
        assert_eq!(
            claude["cache_creation_input_tokens"], written,
            "{upstream:?}: {claude}"
        );
        assert_eq!(claude["output_tokens"], 30, "{upstream:?}: {claude}");
        let gemini = heard(&relayed, Gemini).usage;
        let thoughts = gemini["thoughtsTokenCount"].as_u64().unwrap_or(0);
        assert_eq!(gemini["promptTokenCount"], 100, "{upstream:?}: {gemini}");
        assert_eq!(
            gemini["cachedContentTokenCount"], 40,
            "{upstream:?}: {gemini}"
        );
        assert_eq!(
            gemini["candidatesTokenCount"],
            30 - thoughts,
            "{upstream:?}: {gemini}"
        );
        assert_eq!(gemini["totalTokenCount"], 130, "{upstream:?}: {gemini}");
    }
}

#[test]
fn reasoning_tokens_are_told_and_are_part_of_the_output() {
    let relayed = streamed(Gemini, &simple(Gemini));
    let chat = heard(&relayed, OpenAiChat).usage;
    assert_eq!(
        chat["completion_tokens_details"]["reasoning_tokens"], 10,
        "{chat}"
    );
    let relayed = streamed(OpenAiChat, &simple(OpenAiChat));
    let gemini = heard(&relayed, Gemini).usage;
    assert_eq!(
        (
            &gemini["thoughtsTokenCount"],
            &gemini["candidatesTokenCount"]
        ),
        (&json!(10), &json!(20))
    );
}

#[test]
fn message_start_does_not_say_that_there_was_no_input() {
    for upstream in [OpenAiChat, Gemini] {
        let relayed = streamed(upstream, &simple(upstream));
        let start = &data(&relayed, Anthropic)[0];
        let input = start["message"]["usage"]["input_tokens"].as_u64();
        assert!(
            input.is_some_and(|tokens| tokens > 0),
            "{upstream:?}: {start}"
        );
    }
}

#[test]
fn tool_calls_are_the_reason_to_stop_whatever_the_provider_calls_it() {
    let gemini = streamed(Gemini, &gemini_stream(&[gemini_call("f", &json!({}))]));
    let chat = streamed(
        OpenAiChat,
        &chat_stream(&[chat_call(0, Some("call_a"), Some("f"), "{}")], "stop"),
    );
    for relayed in [gemini, chat] {
        assert_eq!(heard(&relayed, OpenAiChat).choices[&0].stop, ["tool_calls"]);
        assert_eq!(heard(&relayed, Anthropic).choices[&0].stop[0], "tool_use");
        assert_eq!(heard(&relayed, Gemini).choices[&0].stop, ["STOP"]);
    }
}

#[test]
fn a_stream_has_one_id_one_model_and_one_time() {
    let parts = ["a", "b", "c"].map(|text| json!({"text": text}));
    let relayed = streamed(Gemini, &gemini_stream(&parts));
    let chunks = data(&relayed, OpenAiChat);
    assert!(chunks.len() > 3);
    for name in ["id", "model", "created"] {
        assert!(
            chunks.iter().all(|chunk| chunk[name] == chunks[0][name]),
            "{name}: {chunks:?}"
        );
    }
    let relayed = streamed(Anthropic, &simple(Anthropic));
    let chunks = data(&relayed, Gemini);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["responseId"] == chunks[0]["responseId"])
    );
}

#[test]
fn arguments_in_a_thousand_pieces_are_sent_once_each() {
    let mut deltas = vec![chat_call(0, Some("call_a"), Some("f"), "{\"a\":\"")];
    deltas.extend((0..1000).map(|_| chat_call(0, None, None, "x-y")));
    deltas.push(chat_call(0, None, None, "\"}"));
    let relayed = streamed(OpenAiChat, &chat_stream(&deltas, "tool_calls"));
    for surface in DIALECTS {
        let stream = String::from_utf8_lossy(relayed.stream(surface)).into_owned();
        // One protocol says the whole again when it is done.
        let pieces = stream.lines().filter(|line| line.starts_with("data: "));
        let count: usize = pieces
            .filter(|line| surface != OpenAiResponses || line.contains(".delta\""))
            .map(|line| line.matches("x-y").count())
            .sum();
        assert_eq!(count, 1000, "{surface:?}");
    }
}

#[test]
fn calls_without_arguments_have_empty_ones() {
    let chat = streamed(
        OpenAiChat,
        &chat_stream(&[chat_call(0, Some("call_a"), Some("f"), "")], "tool_calls"),
    );
    let claude = streamed(
        Anthropic,
        &anthropic_stream(&[(anthropic_tool("toolu_1", "f"), Vec::new())], "tool_use"),
    );
    let gemini = streamed(
        Gemini,
        &gemini_stream(&[json!({"functionCall": {"name": "f"}})]),
    );
    for relayed in [chat, claude, gemini] {
        for surface in DIALECTS {
            let call = heard(&relayed, surface).choices[&0].calls[0].clone();
            assert_eq!(
                (call.name.as_str(), call.input),
                ("f", json!({})),
                "{surface:?}"
            );
        }
    }
}

#[test]
fn arguments_with_line_ends_do_not_break_the_frame_they_stand_in() {
    let deltas = [
        chat_call(0, Some("call_a"), Some("f"), "{\n  \"a\": \"x\\ny\","),
        chat_call(0, None, None, "\r\n  \"b\": [ 1 ]\r\n}"),
    ];
    let relayed = streamed(OpenAiChat, &chat_stream(&deltas, "tool_calls"));
    for surface in DIALECTS {
        let call = &heard(&relayed, surface).choices[&0].calls[0];
        assert_eq!(call.input, json!({"a": "x\ny", "b": [1]}), "{surface:?}");
    }
}

#[test]
fn content_and_usage_after_the_finish_reason_are_not_lost() {
    let mut events = chat_stream(&[json!({"content": "a"})], "stop");
    events.insert(2, chat_chunk(&json!({"content": "b"}), &Value::Null));
    let relayed = streamed(OpenAiChat, &events);
    for surface in DIALECTS {
        let heard = heard(&relayed, surface);
        assert_eq!(heard.choices[&0].text, "ab", "{surface:?}");
        assert!(
            heard.usage.to_string().contains("30"),
            "{surface:?}: {}",
            heard.usage
        );
    }
}

#[test]
fn an_error_in_a_200_is_an_error_and_keeps_its_text() {
    for (upstream, error) in [
        (
            OpenAiChat,
            json!({"error": {"message": "too busy today", "code": 503}}),
        ),
        (
            Anthropic,
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "too busy today"}}),
        ),
        (
            Gemini,
            json!({"error": {"code": 503, "message": "too busy today", "status": "UNAVAILABLE"}}),
        ),
    ] {
        for relayed in [
            whole(upstream, &error),
            streamed(upstream, &[simple(upstream)[0].clone(), error.clone()]),
        ] {
            let fault = relayed.answer.fault.as_ref();
            let message = fault.map(|fault| fault.message.as_str());
            assert!(
                message.is_some_and(|m| m.contains("too busy today")),
                "{upstream:?}: {fault:?}"
            );
            assert!(
                fault.is_some_and(|fault| fault.status >= 500),
                "{upstream:?}: {fault:?}"
            );
        }
    }
}

#[test]
fn a_prompt_that_gemini_blocks_is_a_filtered_answer_and_not_an_empty_one() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}});
    let relayed = whole(Gemini, &blocked);
    assert_eq!(
        heard(&relayed, OpenAiChat).choices[&0].stop,
        ["content_filter"]
    );
    assert_eq!(heard(&relayed, Anthropic).choices[&0].stop[0], "refusal");
}

#[test]
fn numbers_in_arguments_of_an_answer_keep_their_spelling() {
    let body = r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{"z":1.50e+2,"a":12345678901234567890123}}}]},"finishReason":"STOP"}]}"#;
    let relayed = relay(Gemini, "a body", |reader, sink| {
        reader.body(body.as_bytes(), sink);
    });
    let chat = String::from_utf8(relayed.whole(OpenAiChat)).expect("UTF-8");
    assert!(
        chat.contains(r#"{\"z\":1.50e+2,\"a\":12345678901234567890123}"#),
        "{chat}"
    );
    let claude = String::from_utf8(relayed.whole(Anthropic)).expect("UTF-8");
    assert!(
        claude.contains(r#"{"z":1.50e+2,"a":12345678901234567890123}"#),
        "{claude}"
    );
}

#[test]
fn events_of_several_kinds_for_one_item_are_told_apart() {
    let item = json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""});
    let done = json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let of = |kind: &str| json!({"type": kind, "item_id": "fc_1", "output_index": 0, "content_index": 0, "summary_index": 0, "delta": "x"});
    let relayed = streamed(
        OpenAiResponses,
        &[
            json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            of("response.refusal.delta"),
            of("response.reasoning_summary_text.delta"),
            json!({"type": "response.output_item.done", "output_index": 0, "item": done}),
            json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}}),
        ],
    );
    for surface in [OpenAiChat, Anthropic] {
        let choice = &heard(&relayed, surface).choices[&0];
        assert_eq!(choice.calls[0].input, json!({}), "{surface:?}");
        assert_eq!(choice.reasoning, "x", "{surface:?}");
    }
}
