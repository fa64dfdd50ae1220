//! Writes the turns of a conversation as items. Reasoning goes back to its own maker alone, and only where something
//! follows it, as the protocol demands.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::emit::{Emit, string};
use super::names::{Names, call_id};
use super::thought;
use crate::chat::{
    Citation, Loss, Media, MediaKind, Part, PartKind, Request, Role, Source, ToolCall, ToolResult,
    Turn,
};

const NO_AUDIO: &str = "the Responses API hears no audio; send a transcript instead.";
const NO_VIDEO: &str = "the provider of this model cannot see videos; send images or text.";
const NO_FILE: &str =
    "the file is held by another provider, where this one cannot read it; send its data.";

/// `instructions` and `input`.
pub(super) fn conversation(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    names: &Names,
    losses: &mut Vec<Loss>,
) {
    let leading = request
        .turns
        .iter()
        .take_while(|turn| {
            turn.role == Role::System && turn.parts.iter().all(|p| p.as_text().is_some())
        })
        .count();
    let (instructions, turns) = request.turns.split_at(leading);
    if leading > 0 && !turns.is_empty() {
        let texts: Vec<&str> = instructions
            .iter()
            .flat_map(|turn| turn.parts.iter().filter_map(Part::as_text))
            .collect();
        out.text("instructions", &texts.join("\n\n"));
    }
    // With instructions alone there would be no input: they are it then.
    let turns = if turns.is_empty() {
        instructions
    } else {
        turns
    };
    if request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .any(|part| part.cache.is_some())
    {
        losses.push(Loss::cosmetic("cache_control"));
    }
    let mut items = Items {
        list: out.nested_list("input"),
        request,
        names,
        losses,
    };
    for turn in turns {
        match turn.role {
            Role::Assistant => items.assistant(turn),
            Role::User => items.others("user", turn),
            Role::System => items.others("system", turn),
            Role::Developer => items.others("developer", turn),
        }
    }
    items.list.end();
}

struct Items<'o, 'r> {
    list: Emit<'o>,
    request: &'r Request<'r>,
    names: &'r Names,
    losses: &'r mut Vec<Loss>,
}

impl Items<'_, '_> {
    fn others(&mut self, role: &str, turn: &Turn<'_>) {
        let mut parts: Vec<&Part<'_>> = Vec::new();
        for part in &turn.parts {
            if let PartKind::ToolResult(result) = &part.kind {
                self.message(role, &parts);
                parts.clear();
                self.result(result);
            } else {
                parts.push(part);
            }
        }
        self.message(role, &parts);
    }

    fn message(&mut self, role: &str, parts: &[&Part<'_>]) {
        if parts.is_empty() {
            return;
        }
        let mut item = self.list.nested_item();
        item.text("role", role);
        let mut content = item.nested_list("content");
        for part in parts {
            write_part(&mut content, part, self.losses);
        }
        content.end();
        item.end();
    }

    fn assistant(&mut self, turn: &Turn<'_>) {
        // Reasoning without what follows it is refused: it waits for that.
        let mut thoughts: Vec<Vec<u8>> = Vec::new();
        let mut said: Vec<&Part<'_>> = Vec::new();
        let mut shown: Vec<&Part<'_>> = Vec::new();
        for part in &turn.parts {
            match &part.kind {
                PartKind::Text { .. } | PartKind::Refusal(_) => said.push(part),
                PartKind::Reasoning(reasoning) => {
                    self.say(&mut thoughts, &mut said);
                    let mut item = Vec::new();
                    if thought::write(&mut item, reasoning) {
                        thoughts.push(item);
                    }
                }
                PartKind::ToolCall(call) => {
                    self.say(&mut thoughts, &mut said);
                    self.think(&mut thoughts);
                    self.call(call);
                }
                PartKind::Media(media) if media.transcript.is_some() => said.push(part),
                PartKind::Media(_) => shown.push(part),
                PartKind::ToolResult(result) => {
                    self.say(&mut thoughts, &mut said);
                    self.result(result);
                }
            }
        }
        self.say(&mut thoughts, &mut said);
        // The assistant's own messages have no room for what it made.
        self.message("user", &shown);
    }

    fn think(&mut self, thoughts: &mut Vec<Vec<u8>>) {
        for item in thoughts.drain(..) {
            self.list.item().extend_from_slice(&item);
        }
    }

    fn say(&mut self, thoughts: &mut Vec<Vec<u8>>, said: &mut Vec<&Part<'_>>) {
        if said.is_empty() {
            return;
        }
        self.think(thoughts);
        let mut item = self.list.nested_item();
        item.text("type", "message");
        item.text("role", "assistant");
        let mut content = item.nested_list("content");
        for part in said.drain(..) {
            let mut out = content.nested_item();
            match &part.kind {
                PartKind::Refusal(text) => {
                    out.text("type", "refusal");
                    out.text("refusal", text);
                }
                PartKind::Text {
                    text, citations, ..
                } => {
                    out.text("type", "output_text");
                    out.text("text", text);
                    let mut list = out.nested_list("annotations");
                    for citation in citations.iter().filter(|c| c.url.is_some()) {
                        annotation(list.item(), citation, 0);
                    }
                    list.end();
                }
                PartKind::Media(media) => {
                    out.text("type", "output_text");
                    out.text("text", media.transcript.as_deref().unwrap_or_default());
                    out.literal("annotations", "[]");
                }
                PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
            }
            out.end();
        }
        content.end();
        item.end();
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        let mut item = self.list.nested_item();
        let (kind, field) = if call.custom {
            ("custom_tool_call", "input")
        } else {
            ("function_call", "arguments")
        };
        item.text("type", kind);
        item.text("call_id", &call_id(&call.id));
        item.text("name", self.names.sent(&call.name));
        let blank = !call.custom && call.arguments.trim().is_empty();
        item.text(field, if blank { "{}" } else { &call.arguments });
        item.end();
    }

    fn result(&mut self, result: &ToolResult<'_>) {
        let custom = self
            .request
            .turns
            .iter()
            .flat_map(|turn| &turn.parts)
            .any(|part| matches!(&part.kind, PartKind::ToolCall(call) if call.custom && call.id == result.call_id));
        let mut item = self.list.nested_item();
        item.text(
            "type",
            if custom {
                "custom_tool_call_output"
            } else {
                "function_call_output"
            },
        );
        item.text("call_id", &call_id(&result.call_id));
        // The protocol has no field for it, and the model should know.
        let mark = if result.is_error {
            "[tool error]\n"
        } else {
            ""
        };
        match &result.content[..] {
            [] => item.text("output", mark.trim_end()),
            [only] if only.as_text().is_some() => {
                let text = only.as_text().unwrap_or_default();
                if mark.is_empty() {
                    item.text("output", text);
                } else {
                    item.text("output", &format!("{mark}{text}"));
                }
            }
            parts => {
                let mut list = item.nested_list("output");
                if !mark.is_empty() {
                    input_text(&mut list, mark.trim_end());
                }
                for part in parts {
                    write_part(&mut list, part, self.losses);
                }
                list.end();
            }
        }
        item.end();
    }
}

fn input_text(list: &mut Emit<'_>, text: &str) {
    let mut out = list.nested_item();
    out.text("type", "input_text");
    out.text("text", text);
    out.end();
}

/// A part of what a model is told.
fn write_part(list: &mut Emit<'_>, part: &Part<'_>, losses: &mut Vec<Loss>) {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => input_text(list, text),
        PartKind::Media(media) => write_media(list, media, losses),
        // None of these stands here.
        PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
    }
}

/// May this provider hold the file? Ids of its own begin so.
fn is_own_file(id: &str) -> bool {
    id.starts_with("file-")
}

fn write_media(list: &mut Emit<'_>, media: &Media<'_>, losses: &mut Vec<Loss>) {
    match media.kind {
        MediaKind::Image => match &media.source {
            Source::File(id) if !is_own_file(id) => losses.push(Loss::meaning("file_id", NO_FILE)),
            source => image(list.nested_item(), media, source),
        },
        MediaKind::Document => document(list, media, losses),
        // Chat takes it, this protocol does not: its messages hold texts, images and files
        // (https://platform.openai.com/docs/api-reference/responses/create#responses-create-input).
        MediaKind::Audio => losses.push(Loss::meaning("audio", NO_AUDIO)),
        MediaKind::Video => losses.push(Loss::meaning("video", NO_VIDEO)),
    }
}

fn image(mut out: Emit<'_>, media: &Media<'_>, source: &Source<'_>) {
    out.text("type", "input_image");
    match source {
        Source::Base64(data) => data_url(
            out.key("image_url"),
            media.mime.as_deref().unwrap_or("image/png"),
            data,
        ),
        Source::Url(url) | Source::Plain(url) => out.text("image_url", url),
        Source::File(id) => out.text("file_id", id),
    }
    // `ultra_high` and the like are other protocols' words.
    if let Some(word @ ("auto" | "low" | "high" | "original")) = media.detail.as_deref() {
        out.text("detail", word);
    }
    out.end();
}

/// `"data:MIME;base64,DATA"`: neither needs escapes, but a client wrote them.
fn data_url(out: &mut Vec<u8>, mime: &str, data: &str) {
    string(out, &format!("data:{mime};base64,{data}"));
}

fn document(list: &mut Emit<'_>, media: &Media<'_>, losses: &mut Vec<Loss>) {
    let titled = |text: &str| match media.name.as_deref() {
        Some(name) if !name.is_empty() => format!("{name}\n\n{text}"),
        Some(_) | None => text.to_owned(),
    };
    let is_text = media
        .mime
        .as_deref()
        .is_some_and(|mime| mime.starts_with("text/"));
    match &media.source {
        Source::Plain(text) => input_text(list, &titled(text)),
        Source::Base64(data) => {
            let plain = is_text
                .then(|| STANDARD.decode(data.as_bytes()).ok())
                .flatten()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(text) = plain {
                return input_text(list, &titled(&text));
            }
            let mime = media.mime.as_deref().unwrap_or("application/pdf");
            let mut out = list.nested_item();
            out.text("type", "input_file");
            // Data without a name is refused.
            let name: Cow<'_, str> = match media.name.as_deref() {
                Some(name) if name.contains('.') => Cow::Borrowed(name),
                Some(name) if !name.is_empty() => Cow::Owned(format!("{name}.{}", ending(mime))),
                Some(_) | None => Cow::Owned(format!("document.{}", ending(mime))),
            };
            out.text("filename", &name);
            data_url(out.key("file_data"), mime, data);
            out.end();
        }
        Source::Url(url) => {
            let mut out = list.nested_item();
            out.text("type", "input_file");
            out.text("file_url", url);
            out.end();
        }
        Source::File(id) if is_own_file(id) => {
            let mut out = list.nested_item();
            out.text("type", "input_file");
            out.text("file_id", id);
            out.end();
        }
        Source::File(_) => losses.push(Loss::meaning("file_id", NO_FILE)),
    }
}

fn ending(mime: &str) -> &str {
    match mime {
        "application/json" => "json",
        "text/plain" => "txt",
        _ => "pdf",
    }
}

/// A citation as an annotation (<https://platform.openai.com/docs/api-reference/responses/object>); `length`: of the text
/// that rests on it, where no part of it is named.
pub(super) fn annotation(out: &mut Vec<u8>, citation: &Citation<'_>, length: u64) {
    let (start, end) = citation.span.unwrap_or((0, length));
    let mut object = Emit::object(out);
    if let Some(url) = &citation.url {
        object.text("type", "url_citation");
        object.text("url", url);
        object.text("title", citation.title.as_deref().unwrap_or_default());
        object.count("start_index", start);
        object.count("end_index", end);
    } else {
        object.text("type", "file_citation");
        let number = citation.document.unwrap_or_default();
        object.text("file_id", &format!("document_{number}"));
        object.text("filename", citation.title.as_deref().unwrap_or_default());
        object.count("index", end);
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Reasoning, Severity, Signature};
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
            Part::new(PartKind::Media(Media {
                kind,
                mime: mime.map(Into::into),
                source,
                name: None,
                detail: None,
                transcript: None,
            }))
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
}
