//! What a function gave back, and media.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::super::media;
use super::super::schema::Members;
use super::wire::{Blob, File};
use super::wrong;
use crate::base::Fault;
use crate::chat::{Json, Media, MediaKind, Part, Source, Text, ToolResult};
use crate::wire::read::Str;

/// `{"output": …}`, `{"result": …}` and `{"error": …}` are what they hold; any other object is itself.
pub(super) fn result(response: Option<&RawValue>) -> ToolResult<'_> {
    let mut result = ToolResult {
        call_id: Text::default(),
        name: None,
        content: Vec::new(),
        json: None,
        is_error: false,
    };
    let Some(raw) = response else { return result };
    let members = Members::of(raw)
        .map(|members| members.0)
        .unwrap_or_default();
    let set: Vec<_> = members
        .iter()
        .filter(|(_, value)| value.get() != "null")
        .collect();
    let inner = match set.as_slice() {
        [(key, value)] if matches!(&**key, "output" | "result" | "error") => {
            result.is_error = key == "error";
            *value
        }
        several => {
            let has = |name: &str| {
                several
                    .iter()
                    .any(|(key, value)| key == name && !matches!(value.get(), "false" | "\"\""))
            };
            result.is_error = has("error") && !has("output") && !has("result");
            raw
        }
    };
    if let Ok(text) = serde_json::from_str::<Str<'_>>(inner.get()) {
        result.content.push(Part::text(text.0));
    } else {
        result.content.push(Part::text(inner.get()));
        result.json = Some(Json::Borrowed(inner));
    }
    result
}

pub(super) fn inline<'a>(blob: Blob<'a>, path: &str) -> Result<Media<'a>, Fault> {
    let data = blob
        .data
        .filter(|data| !data.is_empty())
        .ok_or_else(|| wrong(path.to_owned(), format!("'{path}' has no data.")))?;
    let data = media::standard_base64(data.0);
    let mime = blob.mime.map(|mime| mime.0).filter(|mime| !mime.is_empty());
    let kind = media::kind_of(mime.as_deref().unwrap_or_default());
    let is_text = kind == MediaKind::Document
        && mime
            .as_deref()
            .is_some_and(|mime| mime.starts_with("text/"));
    let plain = is_text
        .then(|| String::from_utf8(STANDARD.decode(data.as_bytes()).ok()?).ok())
        .flatten();
    Ok(Media {
        kind,
        mime,
        source: match plain {
            Some(text) => Source::Plain(text.into()),
            None => Source::Base64(data),
        },
        name: blob.name.map(|name| name.0),
        detail: None,
        transcript: None,
    })
}

pub(super) fn linked<'a>(file: File<'a>, path: &str) -> Result<Media<'a>, Fault> {
    let uri = file
        .uri
        .filter(|uri| !uri.is_empty())
        .ok_or_else(|| wrong(path.to_owned(), format!("'{path}' has no fileUri.")))?;
    let mime = file.mime.map(|mime| mime.0).filter(|mime| !mime.is_empty());
    let guess = || media::mime_of_url(&uri).map(media::kind_of);
    let kind = match mime.as_deref() {
        Some(mime) => media::kind_of(mime),
        None if media::is_youtube(&uri) => MediaKind::Video,
        None => guess().unwrap_or(MediaKind::Document),
    };
    let is_public = (uri.starts_with("https://") || uri.starts_with("http://"))
        && !media::is_googles_file(&uri);
    Ok(Media {
        kind,
        mime,
        source: if is_public {
            Source::Url(uri.0)
        } else {
            Source::File(uri.0)
        },
        name: file.name.map(|name| name.0),
        detail: None,
        transcript: None,
    })
}
