//! Media types, addresses and base64 as this protocol writes them.

use std::borrow::Cow;

use crate::chat::{MediaKind, Text};

/// Code that a provider ran, and what it printed, as text that any client shows.
pub(super) fn fence(language: &str, text: &str) -> String {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("```{language}\n{text}{end}```\n")
}

pub(super) fn kind_of(mime: &str) -> MediaKind {
    let class = mime.split('/').next().unwrap_or_default();
    match class.to_ascii_lowercase().as_str() {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The type that the ending of an address tells
/// (<https://ai.google.dev/gemini-api/docs/file-input-methods>).
pub(super) fn mime_of_url(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "wav" => "audio/wav",
        "mp3" => "audio/mp3",
        "aiff" => "audio/aiff",
        "aac" => "audio/aac",
        "ogg" | "oga" => "audio/ogg",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mpeg" | "mpg" => "video/mpeg",
        "mov" => "video/mov",
        "avi" => "video/avi",
        "webm" => "video/webm",
        "wmv" => "video/wmv",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "json" => "application/json",
        _ => return None,
    })
}

/// The type that bytes tell by how they begin, for clients that leave it out.
pub(super) fn mime_of_base64(data: &str) -> Option<&'static str> {
    [
        ("iVBOR", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mp3"),
        ("T2dnU", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
    ]
    .into_iter()
    .find(|(start, _)| data.starts_with(start))
    .map(|(_, mime)| mime)
}

pub(super) fn is_youtube(url: &str) -> bool {
    let rest = url
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = rest.split('/').next().unwrap_or_default();
    matches!(
        host,
        "youtube.com" | "www.youtube.com" | "m.youtube.com" | "youtu.be"
    )
}

/// Of the Files API or a bucket: only Google reads it.
pub(super) fn is_googles_file(uri: &str) -> bool {
    uri.starts_with("https://generativelanguage.googleapis.com/") || uri.starts_with("gs://")
}

/// Base64 in the standard alphabet and with its padding; protocol buffers take both alphabets.
pub(super) fn standard_base64(data: Text<'_>) -> Text<'_> {
    let is_odd = |b: u8| matches!(b, b'-' | b'_' | b'\n' | b'\r' | b' ');
    if data.len().is_multiple_of(4) && !data.bytes().any(is_odd) {
        return data;
    }
    let mut standard: String = data
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while standard.len() % 4 > 1 {
        standard.push('=');
    }
    Cow::Owned(standard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_for_urls_becomes_standard() {
        assert_eq!(standard_base64("ab-_".into()), "ab+/");
        assert_eq!(standard_base64("ab-".into()), "ab+=");
        assert!(matches!(standard_base64("abcd".into()), Cow::Borrowed(_)));
    }

    #[test]
    fn addresses_tell_their_type_by_their_ending() {
        assert_eq!(mime_of_url("https://a.b/c.PNG?x=1.pdf"), Some("image/png"));
        assert_eq!(mime_of_url("https://example.com/"), None);
        assert_eq!(mime_of_url("https://example.com"), None);
        assert!(is_youtube("https://www.youtube.com/watch?v=x"));
        assert!(!is_youtube("https://evil.example/youtube.com"));
    }
}
