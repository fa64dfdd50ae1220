//! Media behind URLs that a provider does not read by itself: which they are, and what was found there in their place.

use super::Question;
use crate::chat::{Media, Part, PartKind, Source};
use crate::dialect::translate::Target;

/// What was found at a URL.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub url: String,
    pub mime: Option<String>,
    pub base64: String,
}

/// The URLs of media in a request for an answer that the target cannot take as such.
pub fn foreign_urls(question: &Question<'_>, target: &Target<'_>) -> Vec<String> {
    let dialect = question.operation.dialect();
    let Ok(request) = dialect.read_request(question.body, question.stream) else {
        return Vec::new();
    };
    let mut urls: Vec<String> = Vec::new();
    for turn in &request.turns {
        each_media(&turn.parts, &mut |media| {
            if let Source::Url(url) = &media.source
                && !target.takes_url(media.kind, url)
                && !urls.iter().any(|known| *known == **url)
            {
                urls.push(url.clone().into_owned());
            }
        });
    }
    urls
}

fn each_media(parts: &[Part<'_>], seen: &mut dyn FnMut(&Media<'_>)) {
    for part in parts {
        match &part.kind {
            PartKind::Media(media) => seen(media),
            PartKind::ToolResult(result) => each_media(&result.content, seen),
            PartKind::Text { .. }
            | PartKind::Reasoning(_)
            | PartKind::ToolCall(_)
            | PartKind::Refusal(_) => {}
        }
    }
}

/// Puts what was fetched in the place of its URL.
pub(super) fn put_in<'a>(parts: &mut [Part<'a>], fetched: &'a [Fetched]) {
    for part in parts {
        match &mut part.kind {
            PartKind::Media(media) => {
                let Source::Url(url) = &media.source else {
                    continue;
                };
                if let Some(found) = fetched.iter().find(|f| f.url == **url) {
                    if let Some(mime) = &found.mime {
                        media.mime = Some(mime.as_str().into());
                    }
                    media.source = Source::Base64(found.base64.as_str().into());
                }
            }
            PartKind::ToolResult(result) => put_in(&mut result.content, fetched),
            PartKind::Text { .. }
            | PartKind::Reasoning(_)
            | PartKind::ToolCall(_)
            | PartKind::Refusal(_) => {}
        }
    }
}
