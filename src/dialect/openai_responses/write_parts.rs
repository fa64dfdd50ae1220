//! The parts of what a model is told: texts, images, documents, audio.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::chat::{Loss, Media, MediaKind, Part, PartKind, Source};
use crate::wire::emit::{Emit, string};

const NO_AUDIO: &str = "the Responses API hears no audio; send a transcript instead.";
const NO_VIDEO: &str = "the provider of this model cannot see videos; send images or text.";
const NO_FILE: &str =
    "the file is held by another provider, where this one cannot read it; send its data.";

pub(super) fn input_text(list: &mut Emit<'_>, text: &str) {
    let mut out = list.nested_item();
    out.text("type", "input_text");
    out.text("text", text);
    out.end();
}

/// A part of what a model is told.
pub(super) fn write_part(list: &mut Emit<'_>, part: &Part<'_>, losses: &mut Vec<Loss>) {
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
