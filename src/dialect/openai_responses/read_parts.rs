//! Reads the parts of messages and of tools' outputs.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::base::Fault;
use crate::chat::{CacheMark, Citation, Loss, Media, MediaKind, Part, PartKind, Source, Text};
use crate::dialect::openai::read::{missing, unknown};
use crate::wire::read::{Count, Lenient, List, Str, object};

object! {
    pub(super) struct PartWritten<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "image_url" => image_url: List<Url<'a>>,
        "video_url" => video_url: List<Url<'a>>,
        "detail" => detail: Str<'a>,
        "file_id" => file_id: Str<'a>,
        "file_data" => file_data: Str<'a>,
        "file_url" => file_url: Str<'a>,
        "filename" => filename: Str<'a>,
        "input_audio" => input_audio: Audio<'a>,
        "refusal" => refusal: Str<'a>,
        "annotations" => annotations: Vec<Annotation<'a>>,
        "prompt_cache_breakpoint" => cache: IgnoredAny,
        // What was said of the answer's tokens.
        "logprobs" => skip: IgnoredAny,
    }
}

/// A URL; Chat's form of it is an object.
#[derive(Clone, Debug)]
pub(super) struct Url<'a>(Str<'a>);

object! {
    struct UrlObject<'a> {
        "url" => url: Str<'a>,
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Url<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UrlVisitor<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> serde::de::Visitor<'de> for UrlVisitor<'a> {
            type Value = Url<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a URL")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Url<'a>, E> {
                Ok(Url(Str(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Url<'a>, E> {
                Ok(Url(Str(Cow::Owned(text.to_owned()))))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Url<'a>, A::Error> {
                let object = <UrlObject<'a> as serde::Deserialize>::deserialize(
                    serde::de::value::MapAccessDeserializer::new(map),
                )?;
                Ok(Url(object.url.unwrap_or_default()))
            }
        }

        deserializer.deserialize_any(UrlVisitor(std::marker::PhantomData))
    }
}

object! {
    pub(super) struct Audio<'a> {
        "data" => data: Str<'a>,
        "format" => format: Str<'a>,
    }
}

object! {
    pub(super) struct Annotation<'a> {
        "type" => kind: Str<'a>,
        "url" => url: Lenient<Str<'a>>,
        "title" => title: Lenient<Str<'a>>,
        "filename" => filename: Lenient<Str<'a>>,
        "start_index" => start: Lenient<Count>,
        "end_index" => end: Lenient<Count>,
    }
}

impl<'a> Annotation<'a> {
    /// `None`: it names a file that nobody else can fetch.
    pub(super) fn citation(self) -> Option<Citation<'a>> {
        let text = |written: Option<Lenient<Str<'a>>>| {
            written
                .and_then(|written| written.0)
                .map(|Str(text)| text)
                .filter(|text| !text.is_empty())
        };
        let index = |written: Option<Lenient<Count>>| written.and_then(|w| w.0).map(|Count(n)| n);
        match self.kind.as_deref() {
            Some("url_citation") => Some(Citation {
                url: text(self.url),
                title: text(self.title),
                span: index(self.start).zip(index(self.end)),
                ..Citation::default()
            }),
            Some("file_citation") => Some(Citation {
                title: text(self.filename),
                ..Citation::default()
            }),
            Some(_) | None => None,
        }
    }
}

/// The rest of a text behind its first `at` bytes, borrowed where it is.
fn behind(text: Text<'_>, at: usize) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..).unwrap_or_default()),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(at.min(text.len()))),
    }
}

/// A URL, or what stands in it: `data:image/png;base64,…`.
fn source(url: Text<'_>) -> (Option<Text<'_>>, Source<'_>) {
    let Some(rest) = url.strip_prefix("data:") else {
        return (None, Source::Url(url));
    };
    let Some(comma) = rest.find(";base64,") else {
        return (None, Source::Url(url));
    };
    let mime = rest
        .get(..comma)
        .and_then(|head| head.split(';').next())
        .filter(|mime| !mime.is_empty())
        .map(|mime| Cow::Owned(mime.to_owned()));
    let at = "data:".len() + comma + ";base64,".len();
    (mime, Source::Base64(behind(url, at)))
}

/// `None`: it was lost, and is told so.
pub(super) fn part<'a>(
    mut written: PartWritten<'a>,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<Option<Part<'a>>, Fault> {
    unknown(&format!("{path}."), &written.unknown, losses);
    let cache = written.cache.map(|_| CacheMark::FiveMinutes);
    let Some(Str(kind)) = written.kind.take() else {
        return Err(missing(
            format!("{path}.type"),
            "the kind of the part is expected.",
        ));
    };
    let kind = match &*kind {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            let Some(Str(text)) = written.text else {
                return Err(missing(format!("{path}.text"), "a text is expected."));
            };
            PartKind::Text {
                text,
                citations: written
                    .annotations
                    .into_iter()
                    .flatten()
                    .filter_map(Annotation::citation)
                    .collect(),
                signature: None,
            }
        }
        "refusal" => PartKind::Refusal(written.refusal.unwrap_or_default().0),
        "input_image" | "image_url" | "computer_screenshot" => {
            let detail = written.detail.map(|Str(word)| word);
            let url = written.image_url.and_then(|urls| urls.0.into_iter().next());
            let (mime, source) = match (url, written.file_id) {
                (Some(Url(Str(url))), _) if !url.is_empty() => source(url),
                (_, Some(Str(id))) => (None, Source::File(id)),
                (_, None) => {
                    return Err(missing(
                        format!("{path}.image_url"),
                        "the URL of an image is expected.",
                    ));
                }
            };
            PartKind::Media(Media {
                detail,
                ..Media::new(MediaKind::Image, mime, source)
            })
        }
        "input_file" | "file" => PartKind::Media(file(written, path)?),
        "input_audio" => {
            let audio = written.input_audio.unwrap_or_default();
            let Some(Str(data)) = audio.data else {
                return Err(missing(
                    format!("{path}.input_audio.data"),
                    "audio as base64 is expected.",
                ));
            };
            let mime = audio.format.map(|format| match &*format {
                "mp3" => Text::Borrowed("audio/mpeg"),
                format => Text::Owned(format!("audio/{format}")),
            });
            PartKind::Media(Media::new(MediaKind::Audio, mime, Source::Base64(data)))
        }
        "input_video" | "video_url" => {
            let url = written.video_url.and_then(|urls| urls.0.into_iter().next());
            let Some(Url(Str(url))) = url else {
                return Err(missing(
                    format!("{path}.video_url"),
                    "the URL of a video is expected.",
                ));
            };
            let (mime, source) = source(url);
            PartKind::Media(Media::new(MediaKind::Video, mime, source))
        }
        other => {
            losses.push(Loss::meaning(
                path.to_owned(),
                format!("a part of the kind '{other}' can be read by OpenAI only; send text, images or files."),
            ));
            return Ok(None);
        }
    };
    Ok(Some(Part { kind, cache }))
}

fn file<'a>(written: PartWritten<'a>, path: &str) -> Result<Media<'a>, Fault> {
    let name = written.filename.map(|Str(name)| name);
    let (mime, source) = match (written.file_data, written.file_url, written.file_id) {
        (Some(Str(data)), _, _) => {
            let (mime, found) = source(data);
            match found {
                // Some send the base64 alone.
                Source::Url(data) => (Some(mime_of(name.as_deref()).into()), Source::Base64(data)),
                found @ (Source::Base64(_) | Source::Plain(_) | Source::File(_)) => (mime, found),
            }
        }
        (None, Some(Str(url)), _) => source(url),
        (None, None, Some(Str(id))) => (None, Source::File(id)),
        (None, None, None) => {
            return Err(missing(
                format!("{path}.file_data"),
                "a file's data, URL or id is expected.",
            ));
        }
    };
    let kind = match mime.as_deref() {
        Some(mime) if mime.starts_with("image/") => MediaKind::Image,
        Some(mime) if mime.starts_with("audio/") => MediaKind::Audio,
        Some(mime) if mime.starts_with("video/") => MediaKind::Video,
        Some(_) | None => MediaKind::Document,
    };
    Ok(Media {
        name,
        ..Media::new(kind, mime, source)
    })
}

fn mime_of(name: Option<&str>) -> &'static str {
    match name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, ending)| ending)
    {
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some(_) | None => "application/pdf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> (Option<Part<'static>>, Vec<Loss>) {
        let mut losses = Vec::new();
        let written = serde_json::from_str(text).expect("valid");
        let part = part(written, "p", &mut losses).expect("read");
        (part, losses)
    }

    #[test]
    fn media_are_read_in_each_spelling() {
        for (text, kind, mime, source) in [
            (
                r#"{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"}"#,
                MediaKind::Image,
                Some("image/png"),
                "Base64(\"AAAA\")",
            ),
            (
                r#"{"type":"input_image","image_url":{"url":"https://a"}}"#,
                MediaKind::Image,
                None,
                "Url(\"https://a\")",
            ),
            (
                r#"{"type":"input_image","file_id":"file-1"}"#,
                MediaKind::Image,
                None,
                "File(\"file-1\")",
            ),
            (
                r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}"#,
                MediaKind::Document,
                Some("application/pdf"),
                "Base64(\"JVBE\")",
            ),
            (
                r#"{"type":"input_file","filename":"a.csv","file_data":"JVBE"}"#,
                MediaKind::Document,
                Some("text/csv"),
                "Base64(\"JVBE\")",
            ),
            (
                r#"{"type":"input_file","file_url":"https://a/b.pdf"}"#,
                MediaKind::Document,
                None,
                "Url(\"https://a/b.pdf\")",
            ),
            (
                r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}"#,
                MediaKind::Audio,
                Some("audio/mpeg"),
                "Base64(\"AAAA\")",
            ),
        ] {
            let (part, losses) = read(text);
            let Some(Part {
                kind: PartKind::Media(media),
                ..
            }) = part
            else {
                panic!("{text}")
            };
            assert_eq!((media.kind, media.mime.as_deref()), (kind, mime), "{text}");
            assert_eq!(format!("{:?}", media.source), source);
            assert!(losses.is_empty());
        }
    }

    #[test]
    fn annotations_are_citations() {
        let (part, _) = read(
            r#"{"type":"output_text","text":"abc","annotations":[{"type":"url_citation","url":"https://a","title":"A","start_index":1,"end_index":2},{"type":"container_file_citation","file_id":"f"}]}"#,
        );
        let Some(Part {
            kind: PartKind::Text { citations, .. },
            ..
        }) = part
        else {
            panic!("no text")
        };
        assert_eq!(citations.len(), 1);
        assert_eq!(
            (citations[0].url.as_deref(), citations[0].span),
            (Some("https://a"), Some((1, 2)))
        );
    }

    #[test]
    fn what_only_one_provider_reads_is_refused() {
        let (part, losses) = read(r#"{"type":"input_hologram"}"#);
        assert!(part.is_none());
        assert_eq!(losses[0].path, "p");
    }
}
