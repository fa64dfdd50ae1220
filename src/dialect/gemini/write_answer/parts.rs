//! The parts of an answer, and the sources that are told at its end.

use std::borrow::Cow;

use super::{Object, Thought, sealed, string};
use crate::chat::seal;
use crate::chat::{Citation, MediaKind, Signature, Text};
use crate::dialect::gemini::ORIGIN;
use crate::dialect::gemini::json::{arguments, list};

/// How a text is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text,
    Thought,
}

/// Appends a list of parts.
pub(super) struct List<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> List<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, first: true }
    }

    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    /// Nothing, where there is neither text nor signature.
    pub(super) fn add(&mut self, said: Said, words: &str, signature: Option<&str>) {
        if !words.is_empty() || signature.is_some() {
            text(self.next(), said, words, signature);
        }
    }

    pub(super) fn close(self) {
        self.out.push(b']');
    }
}

pub(super) fn text(out: &mut Vec<u8>, said: Said, text: &str, signature: Option<&str>) {
    out.extend_from_slice(b"{\"text\":");
    string(out, text);
    if said == Said::Thought {
        out.extend_from_slice(b",\"thought\":true");
    }
    if let Some(signature) = signature {
        out.extend_from_slice(b",\"thoughtSignature\":");
        string(out, signature);
    }
    out.push(b'}');
}

pub(super) fn call(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    args: &str,
    custom: bool,
    signature: Option<&str>,
) {
    let mut part = Object::open(out);
    let mut function = Object::open(part.key("functionCall"));
    function.text("id", id);
    function.text("name", name);
    arguments(function.key("args"), args, custom);
    function.close();
    if let Some(signature) = signature {
        part.text("thoughtSignature", signature);
    }
    part.close();
}

pub(super) fn inline(out: &mut Vec<u8>, mime: Option<&str>, kind: MediaKind, data: &str) {
    let default = match kind {
        MediaKind::Image => "image/png",
        MediaKind::Audio => "audio/wav",
        MediaKind::Video => "video/mp4",
        MediaKind::Document => "application/octet-stream",
    };
    let mut part = Object::open(out);
    let mut blob = Object::open(part.key("inlineData"));
    blob.text("mimeType", mime.unwrap_or(default));
    blob.text("data", data);
    blob.close();
    part.close();
}

pub(super) fn file(out: &mut Vec<u8>, mime: Option<&str>, uri: &str) {
    let mut part = Object::open(out);
    let mut file = Object::open(part.key("fileData"));
    if let Some(mime) = mime {
        file.text("mimeType", mime);
    }
    file.text("fileUri", uri);
    file.close();
    part.close();
}

pub(super) fn sign<'s>(signature: &'s Signature<'_>) -> Text<'s> {
    seal::write(ORIGIN, signature)
}

/// The signature on a thought's own part; a redacted one says there that it is.
pub(super) fn sign_thought(thought: &Thought) -> Option<String> {
    let signature = thought.signature.as_ref()?;
    Some(if thought.redacted && signature.origin != ORIGIN {
        sealed::pack(std::slice::from_ref(thought))
    } else {
        sign(signature).into_owned()
    })
}

/// What a call carries of the thoughts before it.
/// What a call is signed with that its maker did not sign.
pub(super) fn pack(thoughts: &mut Vec<Thought>, is_first: bool) -> Option<String> {
    let thoughts = std::mem::take(thoughts);
    // Also of nothing: a turn whose first call has no signature would be refused when the client sends it on to the
    // maker of this protocol. A sealed one is replaced on the way there.
    (is_first || !thoughts.is_empty()).then(|| sealed::pack(&thoughts))
}

/// Sources, and the places in the text that rest on them.
#[derive(Debug, Default)]
pub(super) struct Cited {
    /// All text so far: this protocol counts its bytes, others characters of a part.
    text: String,
    /// Address, title, quotation.
    sources: Vec<(Option<String>, Option<String>, Option<String>)>,
    /// Start, end, source.
    places: Vec<(usize, usize, usize)>,
}

impl Cited {
    /// Where the text begins.
    pub(super) fn said(&mut self, text: &str) -> usize {
        let begin = self.text.len();
        self.text.push_str(text);
        begin
    }

    /// How much was said.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn cite(&mut self, begin: usize, citation: &Citation<'_>) {
        let own = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.clone().into_owned());
        let source = (
            own(&citation.url),
            own(&citation.title),
            own(&citation.quote),
        );
        let at = match self.sources.iter().position(|known| *known == source) {
            Some(at) => at,
            None => {
                self.sources.push(source);
                self.sources.len() - 1
            }
        };
        let Some((start, end)) = citation.span else {
            return;
        };
        let Some(part) = self.text.get(begin..) else {
            return;
        };
        let byte = |chars: u64| {
            let chars = usize::try_from(chars).unwrap_or(usize::MAX);
            let found = part.char_indices().nth(chars).map(|(at, _)| at);
            begin + found.unwrap_or(part.len())
        };
        self.places.push((byte(start), byte(end), at));
    }

    pub(super) fn write(&self, candidate: &mut Object<'_>) {
        if self.sources.is_empty() {
            return;
        }
        let mut metadata = Object::open(candidate.key("groundingMetadata"));
        list(
            metadata.key("groundingChunks"),
            &self.sources,
            |out, source| {
                let (url, title, quote) = source;
                let mut chunk = Object::open(out);
                let is_page = url.is_some() && quote.is_none();
                let mut page =
                    Object::open(chunk.key(if is_page { "web" } else { "retrievedContext" }));
                for (name, value) in [("uri", url), ("title", title), ("text", quote)] {
                    if let Some(value) = value {
                        page.text(name, value);
                    }
                }
                page.close();
                chunk.close();
            },
        );
        if !self.places.is_empty() {
            let supports = metadata.key("groundingSupports");
            list(supports, &self.places, |out, (start, end, source)| {
                let mut support = Object::open(out);
                let mut segment = Object::open(support.key("segment"));
                segment.number("startIndex", *start as u64);
                segment.number("endIndex", *end as u64);
                let text: Cow<'_, str> = self.text.get(*start..*end).unwrap_or_default().into();
                segment.text("text", &text);
                segment.close();
                let indices = support.key("groundingChunkIndices");
                list(
                    indices,
                    [*source as u64],
                    crate::dialect::gemini::json::number,
                );
                support.close();
            });
        }
        metadata.close();
    }
}
