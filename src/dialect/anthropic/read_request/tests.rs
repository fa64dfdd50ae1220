use super::*;
use crate::chat::{PartKind, Role, Severity, Source, Tool, ToolChoice};

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes()).expect("valid")
}

fn refused(body: &str) -> Fault {
    read_request(body.as_bytes()).expect_err("wrong")
}

fn lost(request: &Request<'_>) -> Vec<(String, Severity)> {
    request
        .losses
        .iter()
        .map(|loss| (loss.path.to_string(), loss.severity))
        .collect()
}

#[test]
fn what_claude_code_sends_is_understood() {
    let request = read(
        r#"{"model":"m","max_tokens":32000,"stream":true,
            "system":[{"type":"text","text":"Be brief."},{"type":"text","text":"Rules","cache_control":{"type":"ephemeral","ttl":"1h"}}],
            "messages":[
              {"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]},
              {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EqQB"},
                {"type":"tool_use","id":"toolu_1","name":"Read","input":{"n": 1.50e+2, "a":12345678901234567890123}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[
                {"type":"text","text":"no"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]},
              {"role":"system","content":"new rule"}],
            "tools":[{"name":"Read","description":"d","input_schema":{"type":"object"},"eager_input_streaming":true}],
            "tool_choice":{"type":"auto","disable_parallel_tool_use":true},
            "thinking":{"type":"adaptive"},"output_config":{"effort":"high"},
            "metadata":{"user_id":"u"},"temperature":1.0,
            "context_management":{"edits":[]}}"#,
    );
    assert_eq!(
        request.turns.iter().map(|t| t.role).collect::<Vec<_>>(),
        [
            Role::System,
            Role::User,
            Role::Assistant,
            Role::User,
            Role::System
        ]
    );
    assert_eq!(request.turns[0].parts[1].cache, Some(CacheMark::OneHour));
    let PartKind::ToolCall(call) = &request.turns[2].parts[1].kind else {
        panic!("no call");
    };
    assert_eq!(
        call.arguments,
        r#"{"n": 1.50e+2, "a":12345678901234567890123}"#
    );
    let PartKind::ToolResult(result) = &request.turns[3].parts[0].kind else {
        panic!("no result");
    };
    assert!(result.is_error);
    assert!(
        matches!(&result.content[1].kind, PartKind::Media(m) if matches!(&m.source, Source::Base64(d) if d == "AAAA"))
    );
    assert_eq!(
        request.thinking,
        Some(Thinking {
            depth: Some(Depth::Effort(Effort::High)),
            show: Some(true)
        })
    );
    assert_eq!(request.parallel_tools, Some(false));
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(request.temperature.as_ref().map(|t| t.get()), Some("1.0"));
    assert_eq!(
        lost(&request),
        [
            ("context_management".to_owned(), Severity::Cosmetic),
            (
                "tools[0].eager_input_streaming".to_owned(),
                Severity::Cosmetic
            ),
        ]
    );
}

#[test]
fn what_the_protocol_requires_is_named_when_it_is_missing() {
    for (body, param) in [
        (r#"{"max_tokens":1}"#, "messages"),
        (r#"{"max_tokens":1,"messages":[]}"#, "messages"),
        (
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            "max_tokens",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"user"}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"tool","content":"a"}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#,
            "messages[0].content[0].tool_use_id",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":5}]}]}]}"#,
            "messages[0].content[0].content[0].text",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"temperature":"hot"}"#,
            "temperature",
        ),
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"enabled"}}"#,
            "thinking.budget_tokens",
        ),
    ] {
        let fault = refused(body);
        assert_eq!(fault.param.as_deref(), Some(param), "{fault:?}");
        assert_eq!(fault.status, 400);
    }
    assert!(
        read_count_request(br#"{"messages":[{"role":"user","content":"a"}]}"#).is_ok(),
        "a count needs no limit"
    );
}

#[test]
fn a_thread_is_refused_by_the_word_that_clients_know() {
    let fault = refused(
        r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"thread":{"id":"t"}}"#,
    );
    assert!(fault.message.contains("thread_unsupported_request"));
    assert_eq!(fault.kind, FaultKind::UnsupportedParameter);
    let body = super::super::error_body(&fault, "req_1");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("valid");
    assert_eq!(
        body["error"]["details"]["error_code"],
        "thread_unsupported_request"
    );
}

#[test]
fn a_sealed_signature_of_a_call_finds_its_call() {
    let foreign = crate::chat::Signature::new("gemini", "Abc=");
    let body = format!(
        r#"{{"max_tokens":1,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[
            {{"type":"thinking","thinking":"","signature":"{}"}},
            {{"type":"tool_use","id":"t","name":"n","input":null}}]}}]}}"#,
        super::super::thought::of_call(&foreign)
    );
    let request = read(&body);
    assert_eq!(request.turns[1].parts.len(), 1);
    let PartKind::ToolCall(call) = &request.turns[1].parts[0].kind else {
        panic!("no call");
    };
    assert_eq!(call.signature, Some(foreign));
    assert_eq!(call.arguments, "{}");
}

#[test]
fn documents_keep_their_text_and_say_what_they_lose() {
    let request = read(
        r#"{"max_tokens":1,"messages":[{"role":"user","content":[
            {"type":"document","title":"T","context":"C","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"D"}},
            {"type":"document","source":{"type":"content","content":[{"type":"text","text":"E"}]}},
            {"type":"search_result","title":"S","source":"http://s","content":[{"type":"text","text":"F"}]},
            {"type":"container_upload","file_id":"f"}]}]}"#,
    );
    let parts = &request.turns[0].parts;
    assert_eq!(parts[0].as_text(), Some("C"));
    assert!(
        matches!(&parts[1].kind, PartKind::Media(m) if m.name.as_deref() == Some("T") && matches!(&m.source, Source::Plain(t) if t == "D"))
    );
    assert_eq!(parts[2].as_text(), Some("E"));
    assert_eq!(parts[3].as_text(), Some("S\nhttp://s\n\nF"));
    assert_eq!(
        lost(&request),
        [
            (
                "messages[0].content[0].citations".to_owned(),
                Severity::Cosmetic
            ),
            ("messages[0].content[3]".to_owned(), Severity::Meaning),
        ]
    );
}

#[test]
fn hosted_tools_are_told_from_the_clients_own() {
    let request = read(
        r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"tools":[
            {"type":"custom","name":"a","input_schema":null},
            {"type":"web_search_20250305","name":"web_search","max_uses":3,"allowed_domains":["x.org"]},
            {"type":"bash_20250124","name":"bash"},
            {"type":"tool_search_tool_regex_20251119","name":"tool_search_tool_regex"}]}"#,
    );
    assert!(matches!(&request.tools[0], Tool::Function(f) if f.parameters.is_none()));
    assert!(
        matches!(&request.tools[1], Tool::Hosted { kind: crate::chat::Hosted::WebSearch, max_uses: Some(3), allowed_domains, .. } if allowed_domains == &["x.org"])
    );
    assert!(
        matches!(&request.tools[2], Tool::Hosted { kind: crate::chat::Hosted::Other, name, .. } if name == "bash_20250124")
    );
    assert_eq!(request.tools.len(), 3);
    assert_eq!(
        lost(&request),
        [("tools[3]".to_owned(), Severity::Cosmetic)]
    );
}
