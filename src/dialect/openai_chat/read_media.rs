//! Reads images, audio, video and files of messages.

use crate::base::Fault;
use crate::chat::{Loss, Media, MediaKind, Source, Text};
use crate::dialect::openai::read::{unknown, wrong};
use crate::wire::read::{Str, object};

object! {
    pub(super) struct UrlObject<'a> {
        "url" => url: Str<'a>,
        "detail" => detail: Str<'a>,
    }
}

/// `{"url": …}`; many write the URL alone.
#[derive(Clone, Debug)]
pub(super) struct UrlWritten<'a>(pub(super) UrlObject<'a>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for UrlWritten<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Url<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Url<'a> {
            type Value = UrlWritten<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with a url")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(UrlWritten(UrlObject {
                    url: Some(Str(Text::Borrowed(text))),
                    ..UrlObject::default()
                }))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(UrlWritten(UrlObject {
                    url: Some(Str(Text::Owned(text.to_owned()))),
                    ..UrlObject::default()
                }))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                serde::Deserialize::deserialize(deserializer).map(UrlWritten)
            }
        }

        deserializer.deserialize_any(Url(std::marker::PhantomData))
    }
}

object! {
    pub(super) struct AudioWritten<'a> {
        "data" => data: Str<'a>,
        "format" => format: Str<'a>,
    }
}

object! {
    pub(super) struct FileWritten<'a> {
        "file_data" => data: Str<'a>,
        "file_id" => id: Str<'a>,
        "filename" => name: Str<'a>,
    }
}

fn split(text: Text<'_>, at: usize) -> (Text<'_>, Text<'_>) {
    match text {
        Text::Borrowed(text) => {
            let (a, b) = text.split_at(at);
            (Text::Borrowed(a), Text::Borrowed(b))
        }
        Text::Owned(mut text) => {
            let back = text.split_off(at);
            (Text::Owned(text), Text::Owned(back))
        }
    }
}

/// `data:image/png;base64,…` as its type and its base64. `Err`: no data URL, the text as it was; `Ok(None)`: a data URL
/// that is not base64.
#[allow(clippy::type_complexity)]
fn data_url(url: Text<'_>) -> Result<Option<(Option<Text<'_>>, Text<'_>)>, Text<'_>> {
    if !url
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
    {
        return Err(url);
    }
    let Some(comma) = url.find(',') else {
        return Ok(None);
    };
    let (head, mut data) = split(url, comma);
    let Some(kind) = head[5..].strip_suffix(";base64") else {
        return Ok(None);
    };
    let mime = kind.split(';').next().unwrap_or_default();
    let mime = (!mime.is_empty()).then(|| Text::Owned(mime.to_ascii_lowercase()));
    data = split(data, 1).1;
    Ok(Some((mime, data)))
}

/// An image or a video by its URL.
pub(super) fn linked<'a>(
    written: UrlObject<'a>,
    kind: MediaKind,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Media<'a>, Fault> {
    unknown(&format!("{path}."), &written.unknown, losses);
    let expected = || {
        wrong(
            format!("{path}.url"),
            "an http(s) URL or a base64 data URL is expected.",
        )
    };
    let Str(url) = written
        .url
        .filter(|url| !url.is_empty())
        .ok_or_else(expected)?;
    let mut media = match data_url(url) {
        Err(url) => Media::new(kind, None, Source::Url(url)),
        Ok(Some((mime, data))) => Media::new(kind, mime, Source::Base64(data)),
        Ok(None) => return Err(expected()),
    };
    media.detail = written.detail.map(|Str(text)| text);
    Ok(media)
}

pub(super) fn read_audio<'a>(written: AudioWritten<'a>, path: &str) -> Result<Media<'a>, Fault> {
    let missing = |field: &str, what: &str| wrong(format!("{path}.{field}"), what);
    let Str(data) = written
        .data
        .ok_or_else(|| missing("data", "base64 is expected."))?;
    let format = written
        .format
        .ok_or_else(|| missing("format", "'wav' or 'mp3' is expected."))?;
    let format = format.to_ascii_lowercase();
    let mime = match &*format {
        "mp3" => Text::Borrowed("audio/mpeg"),
        "m4a" => Text::Borrowed("audio/mp4"),
        "pcm16" | "pcm" => Text::Borrowed("audio/pcm"),
        other => Text::Owned(format!("audio/{other}")),
    };
    let (Err(data) | Ok(Some((_, data)))) = data_url(data) else {
        return Err(missing("data", "base64 is expected."));
    };
    Ok(Media::new(
        MediaKind::Audio,
        Some(mime),
        Source::Base64(data),
    ))
}

pub(super) fn read_file<'a>(written: FileWritten<'a>, path: &str) -> Result<Media<'a>, Fault> {
    let name = written.name.map(|Str(name)| name);
    let mut media = match (written.data, written.id) {
        (Some(Str(data)), _) => match data_url(data) {
            Ok(Some((mime, data))) => {
                let kind = kind_of(mime.as_deref());
                Media::new(kind, mime, Source::Base64(data))
            }
            Ok(None) => {
                return Err(wrong(
                    format!("{path}.file_data"),
                    "base64, or a data URL with base64, is expected.",
                ));
            }
            // OpenRouter takes a URL here, too.
            Err(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Media::new(MediaKind::Document, None, Source::Url(url))
            }
            Err(data) => Media::new(
                MediaKind::Document,
                Some(Text::Borrowed(mime_of(name.as_deref()))),
                Source::Base64(data),
            ),
        },
        (None, Some(Str(id))) => Media::new(MediaKind::Document, None, Source::File(id)),
        (None, None) => return Err(wrong(path, "'file_data' or 'file_id' is expected in it.")),
    };
    media.name = name;
    Ok(media)
}

fn kind_of(mime: Option<&str>) -> MediaKind {
    match mime.and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        Some(_) | None => MediaKind::Document,
    }
}

/// What a bare base64 is, by the file's name.
fn mime_of(name: Option<&str>) -> &'static str {
    let end = name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, end)| end.to_ascii_lowercase());
    match end.as_deref() {
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some(_) | None => "application/pdf",
    }
}
