use super::*;
use crate::chat::{Media, MediaKind, Reasoning, Severity, Signature, Source};
use crate::dialect::openai_responses::{Target, write_request};

fn written(turns: Vec<Turn<'static>>) -> (String, Vec<Loss>) {
    let request = Request {
        turns,
        ..Request::default()
    };
    let target = Target {
        model: "m",
        reasons: false,
    };
    let rendered = write_request(&request, &target).expect("written");
    let text = String::from_utf8(rendered.body).expect("text");
    serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let text = text
        .strip_prefix(r#"{"model":"m","#)
        .and_then(|text| text.strip_suffix(r#","store":false}"#))
        .unwrap_or_else(|| panic!("{text}"));
    (text.to_owned(), rendered.losses)
}

fn call(id: &'static str, custom: bool) -> Part<'static> {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: if custom { "a\nb".into() } else { "".into() },
        custom,
        signature: None,
    }))
}

fn result(id: &'static str, content: Vec<Part<'static>>, is_error: bool) -> Part<'static> {
    Part::new(PartKind::ToolResult(ToolResult {
        call_id: id.into(),
        name: None,
        content,
        json: None,
        is_error,
    }))
}

fn thought(origin: &'static str, data: &'static str) -> Part<'static> {
    Part::new(PartKind::Reasoning(Reasoning {
        text: "hm".into(),
        signature: Some(Signature::new(origin, data)),
        ..Reasoning::default()
    }))
}

const OWN: &str = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gA"}"#;

#[test]
fn turns_are_items_and_reasoning_goes_to_its_maker_alone() {
    let (text, losses) = written(vec![
        Turn::new(Role::System, vec![Part::text("a"), Part::text("b")]),
        Turn::new(Role::User, vec![Part::text("x")]),
        Turn::new(
            Role::Assistant,
            vec![
                thought("anthropic", "Eq"),
                thought("openai_responses", OWN),
                Part::text("I look"),
                call("c1", false),
                call("c2", true),
            ],
        ),
        Turn::new(
            Role::User,
            vec![
                result("c1", vec![Part::text("1")], true),
                result("c2", vec![Part::text("2"), Part::text("3")], false),
                Part::text("and?"),
            ],
        ),
        Turn::new(Role::System, vec![Part::text("late")]),
        Turn::new(
            Role::Assistant,
            vec![Part::text("done"), thought("openai_responses", OWN)],
        ),
    ]);
    assert!(losses.is_empty());
    assert_eq!(
        text,
        [
            r#""instructions":"a\n\nb","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}"#,
            OWN,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look","annotations":[]}]}"#,
            r#"{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}"#,
            r#"{"type":"custom_tool_call","call_id":"c2","name":"f","input":"a\nb"}"#,
            r#"{"type":"function_call_output","call_id":"c1","output":"[tool error]\n1"}"#,
            r#"{"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"},{"type":"input_text","text":"3"}]}"#,
            r#"{"role":"user","content":[{"type":"input_text","text":"and?"}]}"#,
            r#"{"role":"system","content":[{"type":"input_text","text":"late"}]}"#,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done","annotations":[]}]}]"#,
        ]
        .join(",")
    );
}

#[test]
fn media_get_the_fields_that_they_have() {
    let media = |kind, mime: Option<&'static str>, source| {
        Part::new(PartKind::Media(Media::new(
            kind,
            mime.map(Into::into),
            source,
        )))
    };
    for (part, expected, refused) in [
        (
            media(
                MediaKind::Image,
                Some("image/webp"),
                Source::Base64("AA".into()),
            ),
            r#"[{"type":"input_image","image_url":"data:image/webp;base64,AA"}]"#,
            None,
        ),
        (
            media(MediaKind::Image, None, Source::Url("https://a".into())),
            r#"[{"type":"input_image","image_url":"https://a"}]"#,
            None,
        ),
        (
            media(
                MediaKind::Document,
                Some("application/pdf"),
                Source::Base64("AA".into()),
            ),
            r#"[{"type":"input_file","filename":"document.pdf","file_data":"data:application/pdf;base64,AA"}]"#,
            None,
        ),
        (
            media(
                MediaKind::Document,
                Some("text/plain"),
                Source::Base64("dGV4dA==".into()),
            ),
            r#"[{"type":"input_text","text":"text"}]"#,
            None,
        ),
        (
            media(MediaKind::Document, None, Source::Url("https://a".into())),
            r#"[{"type":"input_file","file_url":"https://a"}]"#,
            None,
        ),
        (
            media(MediaKind::Document, None, Source::File("file-1".into())),
            r#"[{"type":"input_file","file_id":"file-1"}]"#,
            None,
        ),
        (
            media(MediaKind::Document, None, Source::File("file_01".into())),
            "[]",
            Some("file_id"),
        ),
        (
            media(
                MediaKind::Audio,
                Some("audio/mpeg"),
                Source::Base64("AA".into()),
            ),
            "[]",
            Some("audio"),
        ),
        (
            media(MediaKind::Video, None, Source::Url("https://a".into())),
            "[]",
            Some("video"),
        ),
    ] {
        let (text, losses) = written(vec![Turn::new(Role::User, vec![part])]);
        assert_eq!(
            text,
            format!(r#""input":[{{"role":"user","content":{expected}}}]"#)
        );
        assert_eq!(losses.first().map(|l| &*l.path), refused);
        assert!(losses.iter().all(|l| l.severity == Severity::Meaning));
    }
}
