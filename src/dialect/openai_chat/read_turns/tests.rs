//! How messages become turns.

use super::super::read_request;
use super::*;
use crate::chat::Request;

fn read(messages: &str) -> Request<'static> {
    let body: &'static str = format!(r#"{{"messages":[{messages}]}}"#).leak();
    read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{messages}: {fault:?}"))
}

#[test]
fn parallel_results_stand_in_one_turn() {
    let request = read(
        r#"{"role":"user","content":"go"},
           {"role":"assistant","content":null,"tool_calls":[
             {"id":"a","type":"function","function":{"name":"f","arguments":""}},
             {"id":"b","type":"custom","custom":{"name":"c","input":"x = 1"}}]},
           {"role":"tool","tool_call_id":"a","content":"1"},
           {"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"2"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
           {"role":"user","content":"and?"}"#,
    );
    assert_eq!(request.turns.len(), 4);
    let [a, b] = &request.turns[1].parts[..] else {
        panic!("two calls")
    };
    let (PartKind::ToolCall(a), PartKind::ToolCall(b)) = (&a.kind, &b.kind) else {
        panic!("calls")
    };
    assert_eq!((&*a.arguments, a.custom), ("{}", false));
    assert_eq!((&*b.arguments, b.custom), ("x = 1", true));
    let results = &request.turns[2];
    assert_eq!((results.role, results.parts.len()), (Role::User, 2));
    let PartKind::ToolResult(second) = &results.parts[1].kind else {
        panic!("result")
    };
    assert!(
        matches!(&second.content[1].kind, PartKind::Media(m) if m.mime.as_deref() == Some("image/png"))
    );
}

#[test]
fn reasoning_stands_before_text_and_calls() {
    let request = read(
        r#"{"role":"assistant","content":"hi","reasoning_content":"hm","tool_calls":[{"id":"a","type":"function",
           "function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"Cgo="}}}]}"#,
    );
    let [r, t, c] = &request.turns[0].parts[..] else {
        panic!("three parts")
    };
    assert!(matches!(&r.kind, PartKind::Reasoning(r) if r.text == "hm"));
    assert_eq!(t.as_text(), Some("hi"));
    assert!(
        matches!(&c.kind, PartKind::ToolCall(c) if c.signature == Some(Signature::new("gemini", "Cgo=")))
    );
}

#[test]
fn an_encrypted_entry_with_a_calls_id_signs_the_call() {
    let request = read(
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"t1","function":{"name":"f","arguments":{"x":1.0}}}],
           "reasoning_details":[{"type":"reasoning.encrypted","data":"EjQ","format":"google-gemini-v1","id":"t1","index":0}]}"#,
    );
    let [c] = &request.turns[0].parts[..] else {
        panic!("one part")
    };
    let PartKind::ToolCall(call) = &c.kind else {
        panic!("call")
    };
    assert_eq!(call.arguments, r#"{"x":1.0}"#);
    assert_eq!(call.signature, Some(Signature::new("gemini", "EjQ")));
}

#[test]
fn media_are_read_in_each_form() {
    for (part, kind, mime) in [
        (
            r#"{"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}}"#,
            MediaKind::Image,
            None,
        ),
        (
            r#"{"type":"image_url","image_url":"data:image/jpeg;base64,/9j/"}"#,
            MediaKind::Image,
            Some("image/jpeg"),
        ),
        (
            r#"{"type":"input_audio","input_audio":{"data":"AA","format":"mp3"}}"#,
            MediaKind::Audio,
            Some("audio/mpeg"),
        ),
        (
            r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVB"}}"#,
            MediaKind::Document,
            Some("application/pdf"),
        ),
        (
            r#"{"type":"file","file":{"file_data":"JVB"}}"#,
            MediaKind::Document,
            Some("application/pdf"),
        ),
        (
            r#"{"type":"file","file":{"file_data":"https://a/b.pdf"}}"#,
            MediaKind::Document,
            None,
        ),
        (
            r#"{"type":"file","file":{"file_id":"file-1"}}"#,
            MediaKind::Document,
            None,
        ),
        (
            r#"{"type":"video_url","video_url":{"url":"https://a/b.mp4"}}"#,
            MediaKind::Video,
            None,
        ),
    ] {
        let request = read(&format!(r#"{{"role":"user","content":[{part}]}}"#));
        let PartKind::Media(media) = &request.turns[0].parts[0].kind else {
            panic!("{part}")
        };
        assert_eq!((media.kind, media.mime.as_deref()), (kind, mime), "{part}");
        assert!(request.losses.is_empty());
    }
}

#[test]
fn an_assistant_that_said_nothing_is_left_out() {
    let request = read(
        r#"{"role":"user","content":""},{"role":"assistant","content":null},{"role":"assistant","content":""}"#,
    );
    assert_eq!(request.turns.len(), 1);
    assert_eq!(request.turns[0].parts[0].as_text(), Some(""));
}

#[test]
fn calls_of_the_old_form_find_their_results() {
    let request = read(
        r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}"#,
    );
    let PartKind::ToolCall(call) = &request.turns[0].parts[0].kind else {
        panic!("call")
    };
    let PartKind::ToolResult(result) = &request.turns[1].parts[0].kind else {
        panic!("result")
    };
    assert_eq!(call.id, result.call_id);
    assert_eq!(result.name.as_deref(), Some("f"));
}

#[test]
fn audio_of_the_past_is_refused_and_cache_marks_are_kept() {
    let request = read(
        r#"{"role":"system","content":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
           {"role":"assistant","audio":{"id":"audio_1"},"content":"x"}"#,
    );
    assert_eq!(request.turns[0].parts[0].cache, Some(CacheMark::OneHour));
    assert_eq!(request.losses[0].path, "messages[1].audio");
}
