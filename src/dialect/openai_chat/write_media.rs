//! Writes media as parts of a message, or says why the provider cannot be shown them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::flavor::Target;
use super::write_request::cache_control;
use crate::chat::{CacheMark, Loss, Media, MediaKind, Source};
use crate::wire::emit::{Emit, string};

pub(super) fn text_part(list: &mut Emit<'_>, text: &str, mark: Option<CacheMark>) {
    let mut out = list.nested_item();
    out.text("type", "text");
    out.text("text", text);
    if let Some(mark) = mark {
        cache_control(&mut out, mark);
    }
    out.end();
}

/// A document's own text, under its name.
pub(super) fn plain<'a>(media: &'a Media<'_>) -> Cow<'a, str> {
    let text: Cow<'_, str> = match &media.source {
        Source::Plain(text) => Cow::Borrowed(text),
        Source::Base64(data) => match STANDARD.decode(data.as_bytes()) {
            Ok(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => Cow::Borrowed(data),
        },
        Source::Url(text) | Source::File(text) => Cow::Borrowed(text),
    };
    match &media.name {
        Some(name) => Cow::Owned(format!("{name}\n\n{text}")),
        None => text,
    }
}

/// What an image is by its first bytes, where nobody said.
fn image_mime(data: &str) -> &'static str {
    match data.get(..4) {
        Some("/9j/") => "image/jpeg",
        Some("R0lG") => "image/gif",
        Some("UklG") => "image/webp",
        Some(_) | None => "image/png",
    }
}

fn audio_format(mime: Option<&str>) -> &str {
    match mime.unwrap_or_default() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/pcm" | "audio/l16" => "pcm16",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

pub(super) fn media_part(
    list: &mut Emit<'_>,
    media: &Media<'_>,
    mark: Option<CacheMark>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let flavor = target.flavor;
    let mime = media.mime.as_deref();
    let refuse = |losses: &mut Vec<Loss>, why: &'static str| {
        losses.push(Loss::meaning("messages[].content[]", why));
    };
    let is_text =
        media.kind == MediaKind::Document && mime.is_some_and(|mime| mime.starts_with("text/"));
    if matches!(media.source, Source::Plain(_))
        || (is_text && matches!(media.source, Source::Base64(_)))
    {
        text_part(list, &plain(media), mark);
        return;
    }
    if matches!(media.source, Source::File(_)) {
        refuse(
            losses,
            "a file that one provider holds cannot be read by another; send its content as base64.",
        );
        return;
    }
    let url = |out: &mut Vec<u8>, default: &str| match &media.source {
        Source::Url(url) | Source::Plain(url) | Source::File(url) => string(out, url),
        // Base64 and types of media need no escapes, unless somebody made them up.
        Source::Base64(data) => {
            string(
                out,
                &format!("data:{};base64,{data}", mime.unwrap_or(default)),
            );
        }
    };
    let is_url = matches!(media.source, Source::Url(_));
    match media.kind {
        MediaKind::Image => {
            let default = match &media.source {
                Source::Base64(data) => image_mime(data),
                Source::Url(_) | Source::Plain(_) | Source::File(_) => "image/png",
            };
            let mut out = list.nested_item();
            out.text("type", "image_url");
            let mut inner = out.nested("image_url");
            url(inner.key("url"), default);
            match media.detail.as_deref() {
                Some(detail @ ("auto" | "low" | "high" | "original")) => {
                    inner.text("detail", detail);
                }
                Some(_) => losses.push(Loss::cosmetic("detail")),
                None => {}
            }
            inner.end();
            end_part(out, mark);
        }
        MediaKind::Audio => {
            let format = audio_format(mime);
            let Source::Base64(data) = &media.source else {
                refuse(
                    losses,
                    "the provider of this model takes audio as base64 only.",
                );
                return;
            };
            if !flavor.audio_formats.contains(&format) {
                refuse(
                    losses,
                    "the provider of this model does not take audio of this format; send wav or mp3.",
                );
                return;
            }
            let mut out = list.nested_item();
            out.text("type", "input_audio");
            let mut inner = out.nested("input_audio");
            inner.text("data", data);
            inner.text("format", format);
            inner.end();
            end_part(out, mark);
        }
        MediaKind::Video => {
            if !flavor.video {
                refuse(
                    losses,
                    "the provider of this model takes no video; send images of it.",
                );
                return;
            }
            let mut out = list.nested_item();
            out.text("type", "video_url");
            let mut inner = out.nested("video_url");
            url(inner.key("url"), "video/mp4");
            inner.end();
            end_part(out, mark);
        }
        MediaKind::Document => {
            if is_url && !flavor.file_urls {
                refuse(
                    losses,
                    "the provider of this model takes files as base64 only; send the content itself.",
                );
                return;
            }
            let mut out = list.nested_item();
            out.text("type", "file");
            let mut inner = out.nested("file");
            match &media.name {
                Some(name) => inner.text("filename", name),
                // It is demanded beside the data.
                None if !is_url => inner.text("filename", "document.pdf"),
                None => {}
            }
            url(inner.key("file_data"), "application/pdf");
            inner.end();
            end_part(out, mark);
        }
    }
}

fn end_part(mut out: Emit<'_>, mark: Option<CacheMark>) {
    if let Some(mark) = mark {
        cache_control(&mut out, mark);
    }
    out.end();
}
