//! What a request asks for.

use serde_json::json;

use torouter::dialect::Dialect::{Anthropic, Gemini, OpenAiChat, OpenAiResponses};

use super::{attempt, carried_or_refused, claude_user, sent, text_for, user};
use crate::requests::{PLATFORMS, platform_dialect, refusal_names_its_field};

#[test]
fn nothing_is_added_that_nobody_asked_for() {
    for (surface, body) in [
        (OpenAiChat, user(&json!("Hi"))),
        (Anthropic, claude_user(&json!("Hi"))),
        (
            Gemini,
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
        ),
    ] {
        for (platform, _) in PLATFORMS {
            let expected: &[&str] = match platform_dialect(platform) {
                dialect if dialect == surface => continue,
                Anthropic => &["model", "max_tokens", "messages"],
                // Nothing is to be kept there, and reasoning comes back to us.
                OpenAiResponses => &["model", "input", "store", "include", "max_output_tokens"],
                // The limit that an Anthropic client must state.
                Gemini if surface == Anthropic => &["contents", "generationConfig"],
                Gemini => &["contents"],
                _ if surface == Anthropic => {
                    &["model", "messages", "max_tokens", "max_completion_tokens"]
                }
                OpenAiChat => &["model", "messages"],
            };
            let sent = sent(surface, &body, platform);
            for (name, value) in sent.as_object().expect("an object") {
                let known =
                    expected.contains(&name.as_str()) || (name == "stream" && value == false);
                assert!(known, "{surface:?} to {platform}: {name} in {sent}");
            }
        }
    }
}

#[test]
fn cache_control_reaches_openrouter() {
    let body = claude_user(
        &json!([{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}]),
    );
    let text = text_for(Anthropic, &body.to_string(), "openrouter");
    assert!(
        text.contains(r#""cache_control":{"type":"ephemeral""#),
        "{text}"
    );
    let text = text_for(Anthropic, &body.to_string(), "openai");
    assert!(!text.contains("cache_control"), "{text}");
}

#[test]
fn audio_and_files_are_carried_or_refused_by_name() {
    let audio = user(&json!([
        {"type": "text", "text": "What is said?"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]));
    carried_or_refused(OpenAiChat, &audio, "gemini", "UklGRg==");
    let fault = attempt(OpenAiChat, &audio.to_string(), "anthropic").expect_err("it has no audio");
    refusal_names_its_field("audio", &fault);
    let file = user(&json!([
        {"type": "text", "text": "What does it say?"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}},
    ]));
    let claude = sent(OpenAiChat, &file, "anthropic");
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"});
    assert_eq!(
        claude["messages"][0]["content"][1]["source"], source,
        "{claude}"
    );
    let gemini = sent(OpenAiChat, &file, "gemini");
    let data = &gemini["contents"][0]["parts"][1]["inlineData"];
    assert_eq!(data["mimeType"], "application/pdf", "{gemini}");
    assert_eq!(data["data"], "JVBERi0xLjQK", "{gemini}");
}

#[test]
fn pdfs_of_an_anthropic_client_are_files_elsewhere() {
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"});
    let body = claude_user(
        &json!([{"type": "text", "text": "Read."}, {"type": "document", "source": source}]),
    );
    let text = text_for(Anthropic, &body.to_string(), "openai");
    assert!(
        text.contains("data:application/pdf;base64,JVBERi0xLjQK"),
        "{text}"
    );
    let gemini = sent(Anthropic, &body, "gemini");
    assert_eq!(
        gemini["contents"][0]["parts"][1]["inlineData"]["data"], "JVBERi0xLjQK",
        "{gemini}"
    );
}

#[test]
fn hosted_tools_are_carried_or_refused_by_name() {
    let mut body = claude_user(&json!("Hi"));
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]);
    assert!(
        sent(Anthropic, &body, "gemini")
            .to_string()
            .contains("googleSearch")
    );
    carried_or_refused(Anthropic, &body, "openai", "web_search");
    carried_or_refused(Anthropic, &body, "openrouter", "web");
    carried_or_refused(Anthropic, &body, "openai-compatible", "web_search");
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"googleSearch": {}}],
    });
    assert!(
        sent(Gemini, &body, "anthropic")
            .to_string()
            .contains("web_search_")
    );
    carried_or_refused(Gemini, &body, "openai", "web_search");
    let mut body = user(&json!("Hi"));
    body["web_search_options"] = json!({});
    assert!(
        sent(OpenAiChat, &body, "gemini")
            .to_string()
            .contains("googleSearch")
    );
    assert!(
        sent(OpenAiChat, &body, "anthropic")
            .to_string()
            .contains("web_search_")
    );
}

#[test]
fn snake_case_of_gemini_is_understood() {
    let body = json!({
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [
            {"text": "Hi"}, {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}},
        ]}],
        "generation_config": {"max_output_tokens": 77, "top_p": 0.5, "stop_sequences": ["END"]},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
    });
    let claude = sent(Gemini, &body, "anthropic");
    assert!(
        claude["system"].to_string().contains("Be brief."),
        "{claude}"
    );
    assert_eq!(claude["max_tokens"], 77, "{claude}");
    assert_eq!(claude["stop_sequences"], json!(["END"]), "{claude}");
    assert_eq!(claude["tool_choice"]["type"], "any", "{claude}");
    assert_eq!(claude["tools"][0]["name"], "f", "{claude}");
    assert!(claude.to_string().contains("iVBORw0KGgo="), "{claude}");
}

#[test]
fn more_answers_than_a_platform_gives_are_refused_by_name() {
    let mut body = user(&json!("Hi"));
    body["n"] = json!(2);
    let fault = attempt(OpenAiChat, &body.to_string(), "anthropic").expect_err("it gives one");
    refusal_names_its_field("n", &fault);
    assert_eq!(fault.param.as_deref(), Some("n"));
    assert_eq!(
        sent(OpenAiChat, &body, "gemini")["generationConfig"]["candidateCount"],
        2
    );
}

#[test]
fn both_names_of_the_token_limit_are_understood() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let mut body = user(&json!("Hi"));
        body[name] = json!(77);
        assert_eq!(
            sent(OpenAiChat, &body, "anthropic")["max_tokens"],
            77,
            "{name}"
        );
        assert_eq!(
            sent(OpenAiChat, &body, "gemini")["generationConfig"]["maxOutputTokens"],
            77,
            "{name}"
        );
    }
}

#[test]
fn effort_becomes_thinking_and_the_other_way_round() {
    let mut chat = user(&json!("Hi"));
    chat["reasoning_effort"] = json!("high");
    let claude = sent(OpenAiChat, &chat, "anthropic");
    assert!(claude["thinking"].is_object(), "{claude}");
    // Anthropic refuses a limit that the budget does not fit into.
    if let Some(budget) = claude["thinking"]["budget_tokens"].as_u64() {
        assert!(
            claude["max_tokens"]
                .as_u64()
                .is_some_and(|most| most > budget),
            "{claude}"
        );
    }
    let gemini = sent(OpenAiChat, &chat, "gemini");
    assert!(
        gemini["generationConfig"]["thinkingConfig"].is_object(),
        "{gemini}"
    );
    let mut claude = claude_user(&json!("Hi"));
    claude["max_tokens"] = json!(32_000);
    claude["thinking"] = json!({"type": "enabled", "budget_tokens": 24_576});
    assert_eq!(
        sent(Anthropic, &claude, "openai")["reasoning_effort"],
        "high"
    );
}
