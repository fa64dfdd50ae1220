//! The items of an answer as providers write them, and what of each has been told already: a text may come in pieces, whole
//! behind them, and whole again with its item.

mod whole;

use serde_json::value::RawValue;

use super::read_parts::Annotation;
use crate::base::Ids;
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{Delta, Event, Json, Open, Text};
use crate::dialect::translate::Sink;
use crate::wire::read::{Count, Lenient, Str, object};

use super::names::flat;

object! {
    /// An item, at its start or whole.
    pub(super) struct Written<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "id" => id: Lenient<Str<'a>>,
        "call_id" => call_id: Lenient<Str<'a>>,
        "name" => name: Lenient<Str<'a>>,
        "namespace" => namespace: Lenient<Str<'a>>,
        "arguments" => arguments: Lenient<Str<'a>>,
        "input" => input: Lenient<Str<'a>>,
        "content" => content: Lenient<Vec<ContentWritten<'a>>>,
        "summary" => summary: Lenient<Vec<ContentWritten<'a>>>,
        "encrypted_content" => encrypted: Lenient<Str<'a>>,
        "result" => result: Lenient<Str<'a>>,
        "output_format" => output_format: Lenient<Str<'a>>,
    }
}

object! {
    pub(super) struct ContentWritten<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "text" => text: Lenient<Str<'a>>,
        "refusal" => refusal: Lenient<Str<'a>>,
        "annotations" => annotations: Lenient<Vec<Annotation<'a>>>,
        "logprobs" => logprobs: Lenient<Vec<Token<'a>>>,
    }
}

object! {
    pub(super) struct Token<'a> {
        "token" => token: Lenient<Str<'a>>,
        "logprob" => logprob: &'a RawValue,
        "bytes" => bytes: Lenient<Vec<u8>>,
        "top_logprobs" => top: Lenient<Vec<Token<'a>>>,
    }
}

/// The text, if it is there and not empty.
pub(super) fn filled(written: Option<Lenient<Str<'_>>>) -> Option<Text<'_>> {
    written
        .and_then(|written| written.0)
        .map(|Str(text)| text)
        .filter(|text| !text.is_empty())
}

pub(super) fn count(written: Option<&Lenient<Count>>) -> Option<u64> {
    written.and_then(|written| written.0).map(|Count(n)| n)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call {
        custom: bool,
    },
    Image,
    /// What the provider ran by itself, and what nobody knows.
    Other,
}

impl Kind {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            "function_call" => Self::Call { custom: false },
            "custom_tool_call" => Self::Call { custom: true },
            "image_generation_call" => Self::Image,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Text,
    Refusal,
    Reasoning,
    Arguments,
}

/// A part that is open, or was.
#[derive(Debug)]
struct Piece {
    part: u32,
    what: What,
    /// Which content of the item; of reasoning: which of its texts is being told.
    content: u64,
    /// Bytes that have been told: in all, and of this content.
    said: usize,
    said_here: usize,
    citations: usize,
    logprobs: usize,
    open: bool,
}

/// An item of the answer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) index: u64,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) done: bool,
    pieces: Vec<Piece>,
    /// Its reasoning is told by summaries (`true`), or in its own words.
    summary: Option<bool>,
}

/// A source of part numbers and the sink, in one hand.
pub(super) struct Out<'r, 's, 'k> {
    pub(super) parts: &'r mut u32,
    pub(super) ids: &'r mut Ids,
    pub(super) called: &'r mut bool,
    pub(super) refused: &'r mut bool,
    pub(super) sink: &'s mut Sink<'k>,
}

impl Out<'_, '_, '_> {
    fn open(&mut self, kind: Open<'_>) -> u32 {
        let part = *self.parts;
        *self.parts += 1;
        (self.sink)(Event::Open {
            part,
            choice: 0,
            kind,
        });
        part
    }

    fn delta(&mut self, part: u32, delta: Delta<'_>) {
        (self.sink)(Event::Delta { part, delta });
    }
}

/// What of the whole has not been told: all of it, the end, nothing.
fn rest(whole: &str, said: usize) -> &str {
    whole.get(said..).unwrap_or_default()
}

impl Item {
    pub(super) fn new(index: u64, id: String, kind: Kind) -> Self {
        Self {
            index,
            id,
            kind,
            done: false,
            pieces: Vec::new(),
            summary: None,
        }
    }

    /// The place of a content's part. An item has one for its reasoning and one for its arguments; events of several
    /// kinds may name the same item, rightly or not.
    fn find(&self, what: What, content: u64) -> Option<usize> {
        self.pieces.iter().position(|piece| match what {
            What::Reasoning | What::Arguments => piece.what == what,
            What::Text | What::Refusal => {
                piece.content == content && matches!(piece.what, What::Text | What::Refusal)
            }
        })
    }

    fn told(&self, what: What, content: u64) -> Option<&Piece> {
        self.pieces.get(self.find(what, content)?)
    }

    /// Opens the part of a content where it is not, and gives its place.
    fn piece(&mut self, what: What, content: u64, out: &mut Out<'_, '_, '_>) -> usize {
        if let Some(at) = self.find(what, content) {
            return at;
        }
        let kind = match what {
            What::Refusal => {
                *out.refused = true;
                Open::Refusal
            }
            What::Reasoning => Open::Reasoning {
                redacted: false,
                summary: self.summary.unwrap_or(false),
            },
            What::Text | What::Arguments => Open::Text,
        };
        let part = out.open(kind);
        self.push(part, what, content)
    }

    fn push(&mut self, part: u32, what: What, content: u64) -> usize {
        self.pieces.push(Piece {
            part,
            what,
            content,
            said: 0,
            said_here: 0,
            citations: 0,
            logprobs: 0,
            open: true,
        });
        self.pieces.len() - 1
    }

    /// A piece of a text or refusal.
    pub(super) fn say(
        &mut self,
        what: What,
        content: u64,
        more: Text<'_>,
        out: &mut Out<'_, '_, '_>,
    ) {
        if more.is_empty() || self.done {
            return;
        }
        let at = self.piece(what, content, out);
        let Some(piece) = self.pieces.get_mut(at).filter(|piece| piece.open) else {
            return;
        };
        piece.said += more.len();
        piece.said_here += more.len();
        out.delta(piece.part, Delta::Text(more));
    }

    /// The whole of it, of which some or all has come.
    pub(super) fn said(
        &mut self,
        what: What,
        content: u64,
        whole: &str,
        out: &mut Out<'_, '_, '_>,
    ) {
        let said = self.told(what, content).map_or(0, |piece| piece.said_here);
        self.say(what, content, Text::Borrowed(rest(whole, said)), out);
    }

    /// A piece of reasoning: of the `number`-th summary, or of the n-th text in its own words.
    pub(super) fn think(
        &mut self,
        summary: bool,
        number: u64,
        more: Text<'_>,
        out: &mut Out<'_, '_, '_>,
    ) {
        // Where both are told, the first to come is.
        if more.is_empty() || self.done || *self.summary.get_or_insert(summary) != summary {
            return;
        }
        let at = self.piece(What::Reasoning, number, out);
        let Some(piece) = self.pieces.get_mut(at).filter(|piece| piece.open) else {
            return;
        };
        if piece.content != number {
            piece.content = number;
            piece.said_here = 0;
            piece.said += 2;
            out.delta(piece.part, Delta::Text(Text::Borrowed("\n\n")));
        }
        piece.said += more.len();
        piece.said_here += more.len();
        out.delta(piece.part, Delta::Text(more));
    }

    pub(super) fn thought(
        &mut self,
        summary: bool,
        number: u64,
        whole: &str,
        out: &mut Out<'_, '_, '_>,
    ) {
        let said = match self.told(What::Reasoning, number) {
            // An earlier one is told already.
            Some(piece) if piece.content > number => return,
            Some(piece) if piece.content == number => piece.said_here,
            Some(_) | None => 0,
        };
        self.think(summary, number, Text::Borrowed(rest(whole, said)), out);
    }

    /// Opens a call once its name is known.
    pub(super) fn name(&mut self, written: &mut Written<'_>, out: &mut Out<'_, '_, '_>) {
        let Kind::Call { custom } = self.kind else {
            return;
        };
        if self.told(What::Arguments, 0).is_some() {
            return;
        }
        let Some(name) = filled(written.name.take()) else {
            return;
        };
        let name = flat(filled(written.namespace.take()).as_deref(), name);
        let id = filled(written.call_id.take())
            .or_else(|| (!self.id.is_empty()).then(|| Text::Owned(self.id.clone())))
            .unwrap_or_else(|| Text::Owned(out.ids.next("call_")));
        *out.called = true;
        let part = out.open(Open::ToolCall { id, name, custom });
        self.push(part, What::Arguments, 0);
    }

    pub(super) fn argue(&mut self, more: Text<'_>, out: &mut Out<'_, '_, '_>) {
        // Without a name there is no call yet: its item, when whole, has them all.
        let found = self.find(What::Arguments, 0);
        let Some(piece) = found
            .and_then(|at| self.pieces.get_mut(at))
            .filter(|piece| piece.open && !more.is_empty())
        else {
            return;
        };
        piece.said += more.len();
        out.delta(piece.part, Delta::Arguments(more));
    }

    pub(super) fn argued(&mut self, whole: &str, out: &mut Out<'_, '_, '_>) {
        let said = self.told(What::Arguments, 0).map_or(0, |piece| piece.said);
        self.argue(Text::Borrowed(rest(whole, said)), out);
    }

    /// Annotations of a text: one more, or all again.
    pub(super) fn cite(
        &mut self,
        content: u64,
        annotations: Vec<Annotation<'_>>,
        again: bool,
        out: &mut Out<'_, '_, '_>,
    ) {
        if annotations.is_empty() || self.done {
            return;
        }
        let at = self.piece(What::Text, content, out);
        let Some(piece) = self
            .pieces
            .get_mut(at)
            .filter(|piece| piece.open && piece.what == What::Text)
        else {
            return;
        };
        let known = if again { piece.citations } else { 0 };
        for annotation in annotations.into_iter().skip(known) {
            piece.citations += 1;
            if let Some(citation) = annotation.citation() {
                out.delta(piece.part, Delta::Citation(citation));
            }
        }
    }

    pub(super) fn logprobs(
        &mut self,
        content: u64,
        tokens: Vec<Token<'_>>,
        again: bool,
        out: &mut Out<'_, '_, '_>,
    ) {
        let found = self.find(What::Text, content);
        let Some(piece) = found.and_then(|at| self.pieces.get_mut(at)) else {
            return;
        };
        let known = if again { piece.logprobs } else { 0 };
        let tokens: Vec<TokenLogprob<'_>> =
            tokens.into_iter().skip(known).filter_map(token).collect();
        if !tokens.is_empty() {
            piece.logprobs += tokens.len();
            (out.sink)(Event::Logprobs { choice: 0, tokens });
        }
    }

    pub(super) fn close(&mut self, out: &mut Out<'_, '_, '_>) {
        for piece in self.pieces.iter_mut().filter(|piece| piece.open) {
            piece.open = false;
            (out.sink)(Event::Close { part: piece.part });
        }
    }
}

fn token(written: Token<'_>) -> Option<TokenLogprob<'_>> {
    let number = |raw: Option<&RawValue>| raw.map(|raw| Number(Json::Owned(raw.to_owned())));
    let bytes = |written: Option<Lenient<Vec<u8>>>| written.and_then(|written| written.0);
    let top = written
        .top
        .and_then(|top| top.0)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|top| Some((top.token?.0?.0, number(top.logprob)?, bytes(top.bytes))))
        .collect();
    Some(TokenLogprob {
        token: written.token?.0?.0,
        logprob: number(written.logprob)?,
        bytes: bytes(written.bytes),
        top,
    })
}
