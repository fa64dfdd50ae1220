//! Where an answer's statements come from: grounding in search results
//! (<https://ai.google.dev/gemini-api/docs/google-search>) and recitations.

use serde_json::value::RawValue;

use crate::chat::{Citation, Text};
use crate::wire::read::{Count, Str, object};

object! {
    struct Grounding<'a> {
        "groundingChunks" | "grounding_chunks" => chunks: Vec<Source<'a>>,
        "groundingSupports" | "grounding_supports" => supports: Vec<Support<'a>>,
    }
}

object! {
    struct Source<'a> {
        "web" => web: Page<'a>,
        "retrievedContext" | "retrieved_context" => document: Page<'a>,
        "maps" => maps: Page<'a>,
    }
}

object! {
    struct Page<'a> {
        "uri" => uri: Str<'a>,
        "title" => title: Str<'a>,
        "text" => text: Str<'a>,
    }
}

object! {
    struct Support<'a> {
        "segment" => segment: Segment<'a>,
        "groundingChunkIndices" | "grounding_chunk_indices" => chunks: Vec<Count>,
    }
}

object! {
    struct Segment<'a> {
        "startIndex" | "start_index" => start: Count,
        "endIndex" | "end_index" => end: Count,
        "text" => text: Str<'a>,
    }
}

object! {
    struct Recitations<'a> {
        // Google's other cloud calls them `citations`.
        "citationSources" | "citation_sources" | "citations" => sources: Vec<Recitation<'a>>,
    }
}

object! {
    struct Recitation<'a> {
        "startIndex" | "start_index" => start: Count,
        "endIndex" | "end_index" => end: Count,
        "uri" => uri: Str<'a>,
        "title" => title: Str<'a>,
    }
}

/// What is known of a choice's sources. They come with the last response, or grow from one to the next: the last word
/// counts, told when the text is closed.
#[derive(Debug, Default)]
pub(super) struct Sources {
    grounding: Option<Box<RawValue>>,
    recitations: Option<Box<RawValue>>,
    /// All text of the choice: places are counted in its bytes.
    text: String,
    /// Where the text that is open begins.
    begin: usize,
}

impl Sources {
    pub(super) fn keep(&mut self, grounding: Option<&RawValue>, recitations: Option<&RawValue>) {
        let says = |raw: &&RawValue| memchr::memmem::find(raw.get().as_bytes(), b"uri").is_some();
        if let Some(raw) = grounding.filter(says) {
            self.grounding = Some(raw.to_owned());
        }
        if let Some(raw) = recitations.filter(says) {
            self.recitations = Some(raw.to_owned());
        }
    }

    pub(super) fn text_begins(&mut self) {
        self.begin = self.text.len();
    }

    pub(super) fn said(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Tells the citations of the text that is being closed.
    pub(super) fn cite(&mut self, tell: &mut dyn FnMut(Citation<'_>)) {
        if let Some(raw) = self.grounding.take()
            && let Ok(read) = serde_json::from_str::<Grounding<'_>>(raw.get())
        {
            self.ground(&read, tell);
        }
        if let Some(raw) = self.recitations.take()
            && let Ok(read) = serde_json::from_str::<Recitations<'_>>(raw.get())
        {
            for source in read.sources.unwrap_or_default() {
                let (start, end) = (source.start.unwrap_or_default(), source.end);
                let span = end.and_then(|end| self.span(start.0, end.0, None));
                tell(Citation {
                    url: source.uri.map(|uri| uri.0),
                    title: source.title.map(|title| title.0),
                    span,
                    ..Citation::default()
                });
            }
        }
    }

    fn ground(&self, read: &Grounding<'_>, tell: &mut dyn FnMut(Citation<'_>)) {
        let chunks = read.chunks.as_deref().unwrap_or_default();
        let mut cited = vec![false; chunks.len()];
        for support in read.supports.as_deref().unwrap_or_default() {
            let span = support.segment.as_ref().and_then(|segment| {
                let start = segment.start.unwrap_or_default().0;
                self.span(start, segment.end?.0, segment.text.as_deref())
            });
            for Count(at) in support.chunks.as_deref().unwrap_or_default() {
                let Some(at) = usize::try_from(*at).ok().filter(|at| *at < chunks.len()) else {
                    continue;
                };
                cited[at] = true;
                if let Some(citation) = chunks[at].citation(span) {
                    tell(citation);
                }
            }
        }
        let uncited = chunks.iter().zip(cited).filter(|(_, cited)| !cited);
        for citation in uncited.filter_map(|(chunk, _)| chunk.citation(None)) {
            tell(citation);
        }
    }

    /// Bytes of the part, or of the whole text, as characters of the part; the segment's own text tells which.
    fn span(&self, start: u64, end: u64, text: Option<&str>) -> Option<(u64, u64)> {
        let part = self.text.get(self.begin..)?;
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        let fits = |from: usize, to: usize| {
            let found = part.get(from..to)?;
            text.is_none_or(|text| text == found).then_some((from, to))
        };
        let before = self.begin;
        let (from, to) = fits(start, end)
            .or_else(|| fits(start.checked_sub(before)?, end.checked_sub(before)?))
            .or_else(|| {
                let text = text.filter(|text| !text.is_empty())?;
                let at = part.find(text)?;
                Some((at, at + text.len()))
            })?;
        let chars = |to: usize| part.get(..to).map(|text| text.chars().count() as u64);
        Some((chars(from)?, chars(to)?))
    }
}

impl Source<'_> {
    fn citation(&self, span: Option<(u64, u64)>) -> Option<Citation<'_>> {
        let page = self
            .web
            .as_ref()
            .or(self.document.as_ref())
            .or(self.maps.as_ref())?;
        let text = |text: &'_ Option<Str<'_>>| -> Option<Text<'static>> {
            let text = text.as_deref().filter(|text| !text.is_empty())?;
            Some(Text::Owned(text.to_owned()))
        };
        Some(Citation {
            url: text(&page.uri),
            title: text(&page.title),
            quote: text(&page.text),
            span,
            ..Citation::default()
        })
    }
}
