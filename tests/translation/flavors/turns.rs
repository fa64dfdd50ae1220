//! How turns become messages.

use torouter::chat::{
    CacheMark, Loss, Media, MediaKind, Part, PartKind, Reasoning, Request, Role, Severity,
    Signature, Source, Text, ToolCall, ToolResult, Turn,
};
use torouter::dialect::openai_chat::read_request;

fn request(turns: Vec<Turn<'_>>) -> Request<'_> {
    Request {
        turns,
        ..Request::default()
    }
}

fn written(request: &Request<'_>, platform: &str) -> (String, Vec<Loss>) {
    let (text, losses) = super::written(request, platform, false);
    let text = text
        .strip_prefix(r#"{"model":"gpt-x","messages":["#)
        .and_then(|rest| rest.strip_suffix("]}"))
        .unwrap_or(&text)
        .to_owned();
    (text, losses)
}

fn call(id: &str) -> Part<'_> {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        custom: false,
        signature: None,
    }))
}

fn result<'a>(id: &'a str, content: Vec<Part<'a>>, is_error: bool) -> Part<'a> {
    Part::new(PartKind::ToolResult(ToolResult {
        call_id: id.into(),
        name: None,
        content,
        json: None,
        is_error,
    }))
}

fn image() -> Part<'static> {
    Part::new(PartKind::Media(Media::new(
        MediaKind::Image,
        None,
        Source::Base64("/9j/AAAA".into()),
    )))
}

#[test]
fn messages_of_this_protocol_come_out_as_they_went_in() {
    for messages in [
        r#"{"role":"system","content":"s"},{"role":"user","name":"u","content":"x"},{"role":"system","content":"mid"}"#,
        r#"{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b","detail":"low"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}"#,
        r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}},{"id":"b","type":"custom","custom":{"name":"c","input":"raw"}}]},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":""}"#,
        r#"{"role":"user","content":"x"},{"role":"assistant","content":"prefill"}"#,
        r#"{"role":"assistant","content":null,"refusal":"no"}"#,
    ] {
        let body = format!(r#"{{"messages":[{messages}]}}"#);
        let request = read_request(body.as_bytes()).expect(messages);
        let (text, losses) = written(&request, "openai");
        assert_eq!(text, messages);
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn results_follow_their_calls_and_images_follow_the_results() {
    let request = request(vec![
        Turn::new(Role::Assistant, vec![call("a"), call("b")]),
        Turn::new(
            Role::User,
            vec![
                Part::text("look"),
                result("a", vec![Part::text("1"), image()], false),
            ],
        ),
        Turn::new(
            Role::User,
            vec![result("b", vec![Part::text("broke")], true)],
        ),
    ]);
    let (text, losses) = written(&request, "openai");
    let (_, after) = text.split_once("},{\"role\":\"tool\"").expect("results");
    assert_eq!(
        after,
        concat!(
            r#","tool_call_id":"a","content":[{"type":"text","text":"1"},{"type":"text","text":"[The image of this result follows in the next user message.]"}]},"#,
            r#"{"role":"tool","tool_call_id":"b","content":"[tool error]\nbroke"},"#,
            r#"{"role":"user","content":[{"type":"text","text":"[Image of the tool's result:]"},{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/AAAA"}}]},"#,
            r#"{"role":"user","content":"look"}"#,
        )
    );
    assert!(losses.is_empty());
    let (text, _) = written(&request, "openrouter");
    assert!(
        text.contains(r#"{"type":"text","text":"1"},{"type":"image_url""#),
        "{text}"
    );
}

#[test]
fn long_ids_are_shortened_alike_in_call_and_result() {
    let long = "x".repeat(64);
    let request = request(vec![
        Turn::new(Role::Assistant, vec![call(&long)]),
        Turn::new(Role::User, vec![result(&long, vec![], false)]),
    ]);
    let (text, _) = written(&request, "openai");
    let (_, id) = text.split_once(r#""tool_call_id":""#).expect("a result");
    let (id, _) = id.split_once('"').expect("an id");
    assert!(id.len() <= 40);
    assert_eq!(text.matches(id).count(), 2);
    let (text, _) = written(&request, "openrouter");
    assert_eq!(text.matches(&long).count(), 2);
}

#[test]
fn only_the_maker_gets_a_signature_back() {
    let reasoning = |text: &'static str, signature| {
        Part::new(PartKind::Reasoning(Reasoning {
            text: text.into(),
            signature,
            ..Reasoning::default()
        }))
    };
    let entry =
        r#"{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1","index":0}"#;
    let request = request(vec![Turn::new(
        Role::Assistant,
        vec![
            reasoning("mine", Some(Signature::new("reasoning_details", entry))),
            reasoning("foreign", Some(Signature::new("anthropic", "x"))),
            Part::text("hi"),
        ],
    )]);
    let (text, losses) = written(&request, "openrouter");
    assert_eq!(
        text,
        r#"{"role":"assistant","content":"hi","reasoning_details":[{"type":"reasoning.text","text":"mine","signature":"s","format":"anthropic-claude-v1","index":0}]}"#
    );
    assert!(losses.is_empty());
    let (text, _) = written(&request, "openai-compatible");
    assert_eq!(text, r#"{"role":"assistant","content":"hi"}"#);
}

#[test]
fn unsigned_reasoning_goes_where_there_is_a_field() {
    let request = request(vec![Turn::new(
        Role::Assistant,
        vec![
            Part::new(PartKind::Reasoning(Reasoning {
                text: "hm".into(),
                ..Reasoning::default()
            })),
            call("a"),
        ],
    )]);
    for (platform, field) in [
        ("openai-compatible", r#""reasoning_content":"hm""#),
        ("openrouter", r#""reasoning":"hm""#),
    ] {
        assert!(written(&request, platform).0.contains(field));
    }
    assert!(!written(&request, "openai").0.contains("hm"));
}

#[test]
fn what_cannot_be_shown_to_the_model_is_refused() {
    let media = |kind, mime: &'static str, source| {
        Part::new(PartKind::Media(Media::new(kind, Some(mime.into()), source)))
    };
    for (part, refused) in [
        (
            media(MediaKind::Audio, "audio/ogg", Source::Base64("A".into())),
            true,
        ),
        (
            media(MediaKind::Audio, "audio/x-wav", Source::Base64("A".into())),
            false,
        ),
        (
            media(MediaKind::Video, "video/mp4", Source::Base64("A".into())),
            true,
        ),
        (
            media(
                MediaKind::Document,
                "application/pdf",
                Source::Url("https://a".into()),
            ),
            true,
        ),
        (
            media(
                MediaKind::Document,
                "application/pdf",
                Source::File("file".into()),
            ),
            true,
        ),
        (
            media(
                MediaKind::Document,
                "text/plain",
                Source::Plain("text".into()),
            ),
            false,
        ),
        (
            media(
                MediaKind::Document,
                "text/plain",
                Source::Base64("dGV4dA==".into()),
            ),
            false,
        ),
    ] {
        let request = request(vec![Turn::new(Role::User, vec![part])]);
        let (text, losses) = written(&request, "openai");
        let is_refused = losses.iter().any(|loss| loss.severity == Severity::Meaning);
        assert_eq!(is_refused, refused, "{text}");
    }
}

#[test]
fn cache_marks_go_where_they_are_known() {
    let mut part = Part::text("long");
    part.cache = Some(CacheMark::OneHour);
    let request = request(vec![Turn::new(Role::System, vec![part])]);
    let (text, losses) = written(&request, "openrouter");
    assert_eq!(
        text,
        r#"{"role":"system","content":[{"type":"text","text":"long","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#
    );
    assert!(losses.is_empty());
    let (text, losses) = written(&request, "openai");
    assert_eq!(text, r#"{"role":"system","content":"long"}"#);
    assert_eq!(losses, [Loss::cosmetic(Text::Borrowed("cache_control"))]);
}
