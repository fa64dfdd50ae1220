//! The parts that turns and answers are made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::{Json, Text};

/// One part, and whether a cached prefix ends with it.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    pub kind: PartKind<'a>,
    /// The client marked the end of a cacheable prefix here.
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug)]
pub enum PartKind<'a> {
    Text {
        text: Text<'a>,
        citations: Vec<Citation<'a>>,
        /// Some makers sign their text, too.
        signature: Option<Signature<'a>>,
    },
    Media(Media<'a>),
    Reasoning(Reasoning<'a>),
    ToolCall(ToolCall<'a>),
    /// Stands in user turns only.
    ToolResult(ToolResult<'a>),
    /// The model would not.
    Refusal(Text<'a>),
}

/// How long a cached prefix is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    FiveMinutes,
    OneHour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    /// PDF and other files.
    Document,
}

#[derive(Clone, Debug)]
pub struct Media<'a> {
    pub kind: MediaKind,
    /// `image/png`; `None` where a URL came without one.
    pub mime: Option<Text<'a>>,
    pub source: Source<'a>,
    /// Name of the file, or title of the document.
    pub name: Option<Text<'a>>,
    /// How closely an image is to be looked at, as the client wrote it.
    pub detail: Option<Text<'a>>,
    /// What was said in audio that a model made.
    pub transcript: Option<Text<'a>>,
}

#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// Standard base64, without a `data:` prefix.
    Base64(Text<'a>),
    Url(Text<'a>),
    /// The document's own text.
    Plain(Text<'a>),
    /// A file that one provider holds: no other can read it.
    File(Text<'a>),
}

/// What a model thought before it spoke.
#[derive(Clone, Debug, Default)]
pub struct Reasoning<'a> {
    /// Empty where the maker shows nothing.
    pub text: Text<'a>,
    pub signature: Option<Signature<'a>>,
    /// The signature holds the reasoning itself, encrypted; there is no text.
    pub redacted: bool,
    /// The text is a summary of what was thought.
    pub summary: bool,
}

/// Opaque proof of reasoning. Only its maker can read it: for others it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The protocol whose field it stood in (`ORIGIN` of each dialect).
    pub origin: Text<'a>,
    /// As the maker wrote it.
    pub data: Text<'a>,
}

#[derive(Clone, Debug)]
pub struct ToolCall<'a> {
    /// Never empty: a reader makes one where the provider gives none.
    pub id: Text<'a>,
    pub name: Text<'a>,
    /// JSON text of an object (`{}` where empty), as it was written; for `custom`, the bare text.
    pub arguments: Text<'a>,
    /// A free-form tool: its input is text, not JSON.
    pub custom: bool,
    pub signature: Option<Signature<'a>>,
}

#[derive(Clone, Debug)]
pub struct ToolResult<'a> {
    pub call_id: Text<'a>,
    /// The tool's name, where the protocol repeats it; writers find it by the id otherwise.
    pub name: Option<Text<'a>>,
    /// Text and media.
    pub content: Vec<Part<'a>>,
    /// The result was a JSON value, not text: what it was, as written. `content` then holds it as text.
    pub json: Option<Json<'a>>,
    pub is_error: bool,
}

/// Where a statement comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation<'a> {
    pub url: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
    /// What the source says.
    pub quote: Option<Text<'a>>,
    /// Which characters of the part's text rest on it: start and end, in characters.
    pub span: Option<(u64, u64)>,
    /// Index of the document in the request, where it is one of those.
    pub document: Option<u64>,
    /// Where in the document: kind (`char`, `page`, `block`), start and end as the maker counts them.
    pub place: Option<(&'static str, u64, u64)>,
}

impl<'a> Part<'a> {
    pub fn new(kind: PartKind<'a>) -> Self {
        Self { kind, cache: None }
    }

    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Self::new(PartKind::Text {
            text: text.into(),
            citations: Vec::new(),
            signature: None,
        })
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            PartKind::Text { text, .. } => Some(text),
            PartKind::Media(_)
            | PartKind::Reasoning(_)
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal(_) => None,
        }
    }
}

impl<'a> Signature<'a> {
    pub fn new(origin: &'static str, data: impl Into<Text<'a>>) -> Self {
        Self {
            origin: Text::Borrowed(origin),
            data: data.into(),
        }
    }

    pub fn into_owned(self) -> Signature<'static> {
        Signature {
            origin: own(self.origin),
            data: own(self.data),
        }
    }
    /// Signatures may come in pieces.
    pub fn join(signature: &mut Option<Signature<'static>>, more: Signature<'_>) {
        match signature {
            Some(signature) => signature.data.to_mut().push_str(&more.data),
            None => *signature = Some(more.into_owned()),
        }
    }
}

fn own(text: Text<'_>) -> Text<'static> {
    Text::Owned(text.into_owned())
}

impl<'a> Media<'a> {
    /// Media of which no more is known.
    pub fn new(kind: MediaKind, mime: Option<Text<'a>>, source: Source<'a>) -> Self {
        Self {
            kind,
            mime,
            source,
            name: None,
            detail: None,
            transcript: None,
        }
    }

    pub fn into_owned(self) -> Media<'static> {
        Media {
            kind: self.kind,
            mime: self.mime.map(own),
            source: match self.source {
                Source::Base64(text) => Source::Base64(own(text)),
                Source::Url(text) => Source::Url(own(text)),
                Source::Plain(text) => Source::Plain(own(text)),
                Source::File(text) => Source::File(own(text)),
            },
            name: self.name.map(own),
            detail: self.detail.map(own),
            transcript: self.transcript.map(own),
        }
    }
}

impl Citation<'_> {
    pub fn into_owned(self) -> Citation<'static> {
        Citation {
            url: self.url.map(own),
            title: self.title.map(own),
            quote: self.quote.map(own),
            span: self.span,
            document: self.document,
            place: self.place,
        }
    }
}

/// Appends a piece of base64 to what came before it. Pieces decode by themselves, so two cannot just be put together.
pub fn append_base64(data: &mut String, more: &str) {
    if data.is_empty() || (data.len().is_multiple_of(4) && !data.ends_with('=')) {
        data.push_str(more);
    } else if let (Ok(mut bytes), Ok(rest)) = (STANDARD.decode(&*data), STANDARD.decode(more)) {
        bytes.extend(rest);
        *data = STANDARD.encode(bytes);
    }
}
