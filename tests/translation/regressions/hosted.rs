//! Tools that a provider runs by itself: who has which, beside what, and what an answer shows of them.

use serde_json::{Value, json};

use torouter::base::Fault;
use torouter::dialect::Dialect::{self, Anthropic, Gemini, OpenAiChat, OpenAiResponses};
use torouter::dialect::translate::Rendered;

use super::providers::{anthropic_stream, gemini_stream};
use super::{heard, model, streamed};
use crate::relay::DIALECTS;
use crate::requests::render;

fn ask(surface: Dialect, tools: &Value, choice: &Value) -> Value {
    let mut body = match surface {
        OpenAiChat => json!({"model": "m", "messages": [{"role": "user", "content": "u"}]}),
        OpenAiResponses => json!({"model": "m", "input": "u"}),
        Anthropic => {
            json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "u"}]})
        }
        Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "u"}]}]}),
    };
    body["tools"] = tools.clone();
    if !choice.is_null() {
        body["tool_choice"] = choice.clone();
    }
    body
}

fn attempt(surface: Dialect, body: &Value, platform: &str) -> Result<Rendered, Fault> {
    render(
        surface,
        body.to_string().as_bytes(),
        false,
        platform,
        model(platform),
    )
    .expect("another protocol than the client's")
}

fn tools_sent(rendered: &Rendered) -> Value {
    let body: Value = serde_json::from_slice(&rendered.body).expect("JSON");
    body["tools"].clone()
}

fn function(surface: Dialect) -> Value {
    match surface {
        OpenAiChat => json!({"type": "function", "function": {"name": "f"}}),
        OpenAiResponses => json!({"type": "function", "name": "f"}),
        Anthropic => json!({"name": "f", "input_schema": {"type": "object"}}),
        Gemini => json!({"functionDeclarations": [{"name": "f"}]}),
    }
}

/// Search, as each client asks for it, and how the header calls it.
const SEARCH: [(Dialect, &str, &str); 4] = [
    (
        OpenAiResponses,
        r#"{"type":"web_search"}"#,
        "tools[].web_search",
    ),
    (OpenAiChat, r#"{"type":"web_search"}"#, "tools[].web_search"),
    (
        Anthropic,
        r#"{"type":"web_search_20250305","name":"web_search"}"#,
        "tools[].web_search_20250305",
    ),
    (Gemini, r#"{"googleSearch":{}}"#, "tools[].googleSearch"),
];

#[test]
fn a_search_that_is_all_that_is_offered_is_searched_or_refused_by_name() {
    for (surface, search, header) in SEARCH {
        let search: Value = serde_json::from_str(search).expect("JSON");
        let name = header.trim_start_matches("tools[].");
        for (platform, sent) in [
            ("openai", Some("web_search")),
            ("anthropic", Some("web_search_20250305")),
            ("gemini", Some("googleSearch")),
            ("openai-compatible", None),
        ] {
            let body = ask(surface, &json!([search]), &Value::Null);
            let rendered = render(
                surface,
                body.to_string().as_bytes(),
                false,
                platform,
                model(platform),
            );
            let Some(rendered) = rendered else { continue };
            match (rendered, sent) {
                (Ok(rendered), Some(sent)) => {
                    let tools = tools_sent(&rendered).to_string();
                    assert!(tools.contains(sent), "{surface:?} {platform}: {tools}");
                }
                (Err(fault), None) => {
                    assert_eq!(fault.param.as_deref(), Some("tools"), "{fault:?}");
                    assert!(fault.message.contains(name), "{fault:?}");
                }
                (other, _) => panic!("{surface:?} {platform}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_search_beside_functions_is_an_offer_and_is_named_where_it_is_left_out() {
    for (surface, search, header) in SEARCH {
        let search: Value = serde_json::from_str(search).expect("JSON");
        for (platform, is_carried) in [
            ("openai", true),
            ("anthropic", true),
            ("openrouter", true),
            ("gemini", false),
            ("openai-compatible", false),
        ] {
            let body = ask(surface, &json!([function(surface), search]), &Value::Null);
            let rendered = render(
                surface,
                body.to_string().as_bytes(),
                false,
                platform,
                model(platform),
            );
            let Some(rendered) = rendered else { continue };
            let rendered =
                rendered.unwrap_or_else(|fault| panic!("{surface:?} {platform}: {fault:?}"));
            let body = String::from_utf8_lossy(&rendered.body).to_lowercase();
            let is_sent = body.contains("search") || body.contains("plugins");
            let is_named = rendered.losses.iter().any(|loss| loss.path == header);
            assert_eq!(
                (is_sent, is_named),
                (is_carried, !is_carried),
                "{surface:?} {platform}: {body}"
            );
            assert!(body.contains("\"f\""), "{surface:?} {platform}: {body}");
        }
    }
}

#[test]
fn a_search_that_is_demanded_is_never_just_left_out() {
    let (both, alone) = (
        |surface, search: &Value| json!([function(surface), search]),
        |search: &Value| json!([search]),
    );
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let choice = json!({"type": "tool", "name": "web_search"});
    let body = ask(Anthropic, &both(Anthropic, &search), &choice);
    let rendered = attempt(Anthropic, &body, "openai").expect("it can be said there");
    let sent: Value = serde_json::from_slice(&rendered.body).expect("JSON");
    assert_eq!(sent["tool_choice"], json!({"type": "web_search"}));
    for platform in ["gemini", "openai-compatible"] {
        let fault = attempt(Anthropic, &body, platform).expect_err("it cannot");
        assert_eq!(fault.param.as_deref(), Some("tool_choice"), "{fault:?}");
        assert!(fault.message.contains("web_search"), "{fault:?}");
    }
    let body = ask(Anthropic, &alone(&search), &choice);
    let rendered = attempt(Anthropic, &body, "openai").expect("carried");
    let sent: Value = serde_json::from_slice(&rendered.body).expect("JSON");
    assert_eq!(sent["tool_choice"], "required");
    attempt(Anthropic, &body, "openai-compatible").expect_err("refused");
    // The same of a Responses client, which says it by the kind.
    let search = json!({"type": "web_search"});
    let body = ask(OpenAiResponses, &both(OpenAiResponses, &search), &search);
    for platform in ["anthropic", "gemini", "openai-compatible"] {
        let fault = attempt(OpenAiResponses, &body, platform).expect_err("it cannot");
        assert!(fault.message.contains("'web_search'"), "{fault:?}");
    }
}

#[test]
fn code_is_run_where_both_can_and_refused_by_name_elsewhere() {
    for (surface, code, name) in [
        (
            OpenAiResponses,
            json!({"type": "code_interpreter", "container": {"type": "auto"}}),
            "code_interpreter",
        ),
        (
            Anthropic,
            json!({"type": "code_execution_20250825", "name": "code_execution"}),
            "code_execution_20250825",
        ),
        (Gemini, json!({"codeExecution": {}}), "codeExecution"),
    ] {
        for (platform, alone, beside) in [
            ("openai", Some("code_interpreter"), true),
            ("anthropic", Some("code_execution_20250825"), true),
            ("gemini", Some("codeExecution"), false),
            ("openrouter", None, false),
            ("openai-compatible", None, false),
        ] {
            for (tools, is_carried) in [
                (json!([code]), alone.is_some()),
                (json!([function(surface), code]), beside),
            ] {
                let body = ask(surface, &tools, &Value::Null);
                let rendered = render(
                    surface,
                    body.to_string().as_bytes(),
                    false,
                    platform,
                    model(platform),
                );
                let Some(rendered) = rendered else { continue };
                match rendered {
                    Ok(rendered) => {
                        assert!(is_carried, "{surface:?} {platform}");
                        let tools = tools_sent(&rendered).to_string();
                        assert!(
                            tools.contains(alone.expect("a name")),
                            "{platform}: {tools}"
                        );
                    }
                    Err(fault) => {
                        assert!(!is_carried, "{surface:?} {platform}: {fault:?}");
                        assert!(fault.message.contains(name), "{fault:?}");
                    }
                }
            }
        }
    }
}

/// What is found stands in the answer's text, with its sources; the provider's own steps are not the client's.
#[test]
fn what_a_search_found_is_cited_on_every_surface() {
    let answers = [
        streamed(
            Anthropic,
            &anthropic_stream(
                &[
                    (
                        json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
                        vec![
                            json!({"type": "input_json_delta", "partial_json": "{\"query\":\"q\"}"}),
                        ],
                    ),
                    (
                        json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
                        {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "E", "page_age": null}]}),
                        vec![],
                    ),
                    (
                        json!({"type": "text", "text": "", "citations": []}),
                        vec![
                            json!({"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "found", "encrypted_index": "I"}}),
                            json!({"type": "text_delta", "text": "found it"}),
                        ],
                    ),
                ],
                "end_turn",
            ),
        ),
        streamed(
            OpenAiResponses,
            &[
                json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
                json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}}),
                json!({"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}}),
                json!({"type": "response.output_item.added", "output_index": 1, "item": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}}),
                json!({"type": "response.output_text.delta", "output_index": 1, "item_id": "msg_1", "content_index": 0, "delta": "found it"}),
                json!({"type": "response.output_text.annotation.added", "output_index": 1, "item_id": "msg_1", "content_index": 0, "annotation_index": 0,
                    "annotation": {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}}),
                json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}}),
            ],
        ),
        streamed(Gemini, &{
            let mut events = gemini_stream(&[json!({"text": "found it"})]);
            if let Some(last) = events.last_mut() {
                last["candidates"][0]["groundingMetadata"] = json!({
                    "webSearchQueries": ["q"],
                    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
                    "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "found"}, "groundingChunkIndices": [0]}],
                });
            }
            events
        }),
    ];
    for relayed in &answers {
        for surface in DIALECTS {
            let choice = &heard(relayed, surface).choices[&0];
            assert_eq!(choice.text, "found it", "{surface:?}");
            assert_eq!(choice.citations, 1, "{surface:?}: {:?}", relayed.events);
            assert!(choice.calls.is_empty(), "{surface:?}");
        }
    }
}
