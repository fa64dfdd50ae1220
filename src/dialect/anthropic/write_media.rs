//! Images and documents, as Anthropic takes them (<https://docs.anthropic.com/en/docs/build-with-claude/pdf-support>).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::json::{key, text_field};
use super::write_turns::Marks;
use crate::chat::{CacheMark, Loss, Media, MediaKind, Source};

/// What stands for media that a model made.
pub(super) fn note<'r>(media: &'r Media<'r>) -> Cow<'r, str> {
    match (&media.transcript, media.kind) {
        (Some(transcript), _) if !transcript.trim().is_empty() => Cow::Borrowed(&**transcript),
        (_, MediaKind::Image) => Cow::Borrowed("[An image]"),
        (_, MediaKind::Audio) => Cow::Borrowed("[Audio]"),
        (_, MediaKind::Video) => Cow::Borrowed("[A video]"),
        (_, MediaKind::Document) => Cow::Borrowed("[A document]"),
    }
}

fn is_pdf(media: &Media<'_>, data: &str) -> bool {
    match media.mime.as_deref() {
        Some(mime) if mime.starts_with("application/pdf") => true,
        // "%PDF-" in base64; some send files without their type.
        Some("application/octet-stream") | None => data.starts_with("JVBERi0"),
        Some(_) => false,
    }
}

/// A file that is text in truth.
fn decoded(data: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(data.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

pub(super) fn check_media(media: &Media<'_>, losses: &mut Vec<Loss>) {
    let refusal = match (media.kind, &media.source) {
        (_, Source::File(_)) => Some((
            "file",
            "the file lies with another provider; send its content as base64 instead.",
        )),
        (MediaKind::Audio, _) => Some((
            "audio",
            "Anthropic's models do not hear; send a transcript instead.",
        )),
        (MediaKind::Video, _) => Some((
            "video",
            "Anthropic's models see no video; send single images instead.",
        )),
        (MediaKind::Image, Source::Plain(_)) => {
            Some(("image", "it is no image; send base64 or a URL."))
        }
        (MediaKind::Document, Source::Base64(data))
            if !is_pdf(media, data) && decoded(data).is_none() =>
        {
            Some((
                "file",
                "Anthropic reads PDF and plain text only; convert the file to one of them.",
            ))
        }
        (MediaKind::Image | MediaKind::Document, _) => None,
    };
    if let Some((path, why)) = refusal {
        losses.push(Loss::meaning(path, why));
    }
    if media
        .detail
        .as_deref()
        .is_some_and(|detail| detail != "auto")
    {
        losses.push(Loss::cosmetic("detail"));
    }
}

/// The types that Anthropic names, found by how the data begins where nobody said.
fn image_type<'m>(media: &'m Media<'_>, data: &str) -> &'m str {
    match media.mime.as_deref() {
        Some("image/jpg") => "image/jpeg",
        Some(mime) if mime.starts_with("image/") && mime != "image/*" => mime,
        Some(_) | None => match data.get(..4) {
            Some("/9j/") => "image/jpeg",
            Some("R0lG") => "image/gif",
            Some("UklG") => "image/webp",
            Some(_) | None => "image/png",
        },
    }
}

pub(super) fn write_media(
    out: &mut Vec<u8>,
    media: &Media<'_>,
    mark: Option<CacheMark>,
    marks: &mut Marks,
) {
    let is_image = media.kind == MediaKind::Image;
    out.push(b'{');
    text_field(out, "type", if is_image { "image" } else { "document" });
    key(out, "source");
    out.push(b'{');
    match &media.source {
        Source::Base64(data) if is_image => {
            text_field(out, "type", "base64");
            text_field(out, "media_type", image_type(media, data));
            text_field(out, "data", data);
        }
        Source::Base64(data) => match decoded(data).filter(|_| !is_pdf(media, data)) {
            Some(plain) => write_plain(out, &plain),
            None => {
                text_field(out, "type", "base64");
                text_field(out, "media_type", "application/pdf");
                text_field(out, "data", data);
            }
        },
        Source::Url(url) => {
            text_field(out, "type", "url");
            text_field(out, "url", url);
        }
        Source::Plain(plain) => write_plain(out, plain),
        // Refused before.
        Source::File(id) => {
            text_field(out, "type", "file");
            text_field(out, "file_id", id);
        }
    }
    out.push(b'}');
    if let Some(name) = media
        .name
        .as_deref()
        .filter(|name| !is_image && !name.is_empty())
    {
        // At most 500 characters.
        let title: String = name.chars().take(500).collect();
        text_field(out, "title", &title);
    }
    marks.write(out, mark);
    out.push(b'}');
}

fn write_plain(out: &mut Vec<u8>, plain: &str) {
    text_field(out, "type", "text");
    text_field(out, "media_type", "text/plain");
    text_field(out, "data", plain);
}
