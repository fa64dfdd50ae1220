//! What one choice of an answer says: text, reasoning, refusals, media and calls, each a part of its own that ends where
//! another begins.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::calls::{CallPiece, Calls, FunctionPiece};
use super::detail::{Detail, Facts, Kind};
use super::loose::{Items, Loose, LooseCount, Picture, Piece, Said, filled};
use crate::base::Ids;
use crate::chat::event::{Number, TokenLogprob};
use crate::chat::{
    Citation, Delta, Event, Json, Media, MediaKind, Open, Source, Stop, StopReason, Text,
};
use crate::dialect::translate::Sink;
use crate::wire::read::object;

object! {
    pub(super) struct Message<'a> {
        "role" => role: IgnoredAny,
        "content" => content: Said<'a>,
        "refusal" => refusal: Loose<'a>,
        "reasoning_content" => reasoning_content: Loose<'a>,
        "reasoning" => reasoning: Loose<'a>,
        "reasoning_details" => reasoning_details: Items<Detail<'a>>,
        "tool_calls" => tool_calls: Items<CallPiece<'a>>,
        "function_call" => function_call: FunctionPiece<'a>,
        "annotations" => annotations: Items<Annotation<'a>>,
        "images" => images: Items<Piece<'a>>,
        "audio" => audio: Audio<'a>,
    }
}

object! {
    pub(super) struct Annotation<'a> {
        "url_citation" => url_citation: UrlCitation<'a>,
    }
}

object! {
    pub(super) struct UrlCitation<'a> {
        "url" => url: Loose<'a>,
        "title" => title: Loose<'a>,
        "content" => content: Loose<'a>,
        "start_index" => start: LooseCount,
        "end_index" => end: LooseCount,
    }
}

object! {
    pub(super) struct Audio<'a> {
        "data" => data: Loose<'a>,
        "transcript" => transcript: Loose<'a>,
    }
}

object! {
    pub(super) struct Logprobs<'a> {
        "content" => content: Items<Token<'a>>,
        "refusal" => refusal: Items<Token<'a>>,
    }
}

object! {
    pub(super) struct Token<'a> {
        "token" => token: Loose<'a>,
        "logprob" => logprob: &'a RawValue,
        "bytes" => bytes: Vec<u8>,
        "top_logprobs" => top: Items<Token<'a>>,
    }
}

/// What a choice is saying right now, calls aside.
#[derive(Debug)]
pub(super) enum Saying {
    Nothing,
    Text(u32),
    Refusal(u32),
    Audio(u32),
    /// With what is known of its entry.
    Reasoning(u32, Option<Facts<'static>>),
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) index: u32,
    saying: Saying,
    pub(super) calls: Calls,
    pub(super) finish: Option<(StopReason, Option<String>)>,
    pub(super) sequence: Option<String>,
    refused: bool,
    pub(super) cited: bool,
    /// Characters of text in parts that are closed, and in the open one.
    text_before: u64,
    text_here: u64,
}

/// A source of part numbers and the sink, in one hand.
pub(super) struct Out<'r, 's, 'k> {
    pub(super) parts: &'r mut u32,
    pub(super) ids: &'r mut Ids,
    pub(super) sink: &'s mut Sink<'k>,
    pub(super) choice: u32,
}

impl Out<'_, '_, '_> {
    pub(super) fn open(&mut self, kind: Open<'_>) -> u32 {
        let part = *self.parts;
        *self.parts += 1;
        (self.sink)(Event::Open {
            part,
            choice: self.choice,
            kind,
        });
        part
    }

    pub(super) fn delta(&mut self, part: u32, delta: Delta<'_>) {
        (self.sink)(Event::Delta { part, delta });
    }

    pub(super) fn close(&mut self, part: u32) {
        (self.sink)(Event::Close { part });
    }
}

pub(super) fn finish_of(word: &str, native: Option<&str>) -> (StopReason, Option<String>) {
    let reason = match word.to_ascii_lowercase().as_str() {
        "stop" if native == Some("stop_sequence") => StopReason::StopSequence,
        "stop" if native == Some("refusal") => StopReason::Refusal,
        "stop" | "eos" | "eos_token" | "end_turn" | "complete" | "completed" | "finished" => {
            StopReason::End
        }
        "stop_sequence" => StopReason::StopSequence,
        "length" | "max_tokens" | "max_output_tokens" => StopReason::MaxTokens,
        // Mistral's: the context is full.
        "model_length" => StopReason::ContextFull,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => StopReason::ToolCalls,
        "refusal" => StopReason::Refusal,
        "content_filter" if native == Some("refusal") => StopReason::Refusal,
        // Z.ai's word is `sensitive`.
        "content_filter" | "sensitive" | "safety" => StopReason::Filtered,
        _ => return (StopReason::Other, Some(word.to_owned())),
    };
    (reason, None)
}

pub(super) fn number(raw: Option<&RawValue>) -> Option<Number<'_>> {
    raw.map(|raw| Number(Json::Borrowed(raw)))
}

pub(super) fn token(written: Token<'_>) -> Option<TokenLogprob<'_>> {
    let top = written
        .top
        .unwrap_or_default()
        .0
        .into_iter()
        .filter_map(|top| Some((top.token?.0?, number(top.logprob)?, top.bytes)))
        .collect();
    Some(TokenLogprob {
        token: written.token?.0?,
        logprob: number(written.logprob)?,
        bytes: written.bytes,
        top,
    })
}

impl Choice {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            saying: Saying::Nothing,
            calls: Calls::default(),
            finish: None,
            sequence: None,
            refused: false,
            cited: false,
            text_before: 0,
            text_here: 0,
        }
    }

    pub(super) fn message(&mut self, message: Message<'_>, out: &mut Out<'_, '_, '_>) {
        self.reasoning(
            message.reasoning_content.as_ref(),
            message.reasoning.as_ref(),
            message.reasoning_details,
            out,
        );
        match message.content {
            None | Some(Said::Nothing) => {}
            Some(Said::Text(text)) => self.text(text, out),
            Some(Said::Pieces(pieces)) => self.pieces(pieces, out),
        }
        if let Some(text) = filled(message.refusal) {
            self.refusal(text, out);
        }
        for annotation in message.annotations.unwrap_or_default().0 {
            if let Some(written) = annotation.url_citation {
                let citation = self.citation(written);
                self.cite(citation, out);
            }
        }
        for image in message.images.unwrap_or_default().0 {
            self.image(image.image_url, out);
        }
        if let Some(audio) = message.audio {
            self.audio(audio, out);
        }
        for call in message.tool_calls.unwrap_or_default().0 {
            self.hush(out);
            self.calls.piece(call, out);
        }
        if let Some(call) = message.function_call {
            self.hush(out);
            self.calls.old_piece(call, out);
        }
    }

    pub(super) fn pieces(&mut self, pieces: Vec<Piece<'_>>, out: &mut Out<'_, '_, '_>) {
        for piece in pieces {
            match piece.thinking {
                None | Some(Said::Nothing) => {}
                Some(Said::Text(text)) => self.thought(text, None, out),
                Some(Said::Pieces(inner)) => {
                    for text in inner.into_iter().filter_map(|piece| filled(piece.text)) {
                        self.thought(text, None, out);
                    }
                }
            }
            if let Some(text) = filled(piece.text) {
                self.text(text, out);
            }
            if let Some(text) = filled(piece.refusal) {
                self.refusal(text, out);
            }
            self.image(piece.image_url, out);
        }
    }

    pub(super) fn text(&mut self, text: Cow<'_, str>, out: &mut Out<'_, '_, '_>) {
        if text.is_empty() {
            return;
        }
        let part = self.text_part(out);
        self.text_here += text.chars().count() as u64;
        out.delta(part, Delta::Text(text));
    }

    pub(super) fn text_part(&mut self, out: &mut Out<'_, '_, '_>) -> u32 {
        if let Saying::Text(part) = self.saying {
            return part;
        }
        self.hush(out);
        self.calls.close_whole(out);
        let part = out.open(Open::Text);
        self.saying = Saying::Text(part);
        part
    }

    pub(super) fn refusal(&mut self, text: Cow<'_, str>, out: &mut Out<'_, '_, '_>) {
        let part = if let Saying::Refusal(part) = self.saying {
            part
        } else {
            self.hush(out);
            let part = out.open(Open::Refusal);
            self.saying = Saying::Refusal(part);
            self.refused = true;
            part
        };
        out.delta(part, Delta::Text(text));
    }

    /// Three fields say the same; the entries say most.
    pub(super) fn reasoning(
        &mut self,
        content: Option<&Loose<'_>>,
        reasoning: Option<&Loose<'_>>,
        details: Option<Items<Detail<'_>>>,
        out: &mut Out<'_, '_, '_>,
    ) {
        let text = [content, reasoning]
            .into_iter()
            .flatten()
            .find_map(|loose| loose.0.as_deref().filter(|text| !text.is_empty()));
        let details = details.map(|items| items.0).unwrap_or_default();
        let told = details.iter().any(|detail| {
            [&detail.text, &detail.summary]
                .into_iter()
                .flatten()
                .any(|loose| loose.0.as_deref().is_some_and(|text| !text.is_empty()))
        });
        if let (Some(text), false) = (text, told) {
            self.thought(Cow::Borrowed(text), None, out);
        }
        for detail in details {
            let Some(kind) = detail.kind() else { continue };
            let (text, facts) = detail.split(kind);
            if kind != Kind::Encrypted {
                self.thought(text, Some(facts), out);
                continue;
            }
            let Some(signature) = facts.signature() else {
                continue;
            };
            self.hush(out);
            let part = out.open(Open::Reasoning {
                redacted: true,
                summary: false,
            });
            out.delta(part, Delta::Signature(signature));
            out.close(part);
        }
    }

    pub(super) fn thought(
        &mut self,
        text: Cow<'_, str>,
        facts: Option<Facts<'_>>,
        out: &mut Out<'_, '_, '_>,
    ) {
        let goes_on = match (&self.saying, &facts) {
            (Saying::Reasoning(_, Some(known)), Some(next)) => known.goes_on(next),
            (Saying::Reasoning(_, _), _) => true,
            (Saying::Nothing | Saying::Text(_) | Saying::Refusal(_) | Saying::Audio(_), _) => false,
        };
        if !goes_on {
            let empty =
                text.is_empty() && facts.as_ref().is_none_or(|facts| facts.signature.is_none());
            if empty {
                return;
            }
            self.hush(out);
            self.calls.close_whole(out);
            let summary = facts
                .as_ref()
                .is_some_and(|facts| facts.kind == Kind::Summary);
            let part = out.open(Open::Reasoning {
                redacted: false,
                summary,
            });
            self.saying = Saying::Reasoning(part, None);
        }
        let Saying::Reasoning(part, known) = &mut self.saying else {
            return;
        };
        match (known, facts) {
            (Some(known), Some(next)) => known.add(next),
            (known @ None, Some(next)) => *known = Some(next.into_owned()),
            (_, None) => {}
        }
        if !text.is_empty() {
            out.delta(*part, Delta::Text(text));
        }
    }

    pub(super) fn citation<'a>(&self, written: UrlCitation<'a>) -> Citation<'a> {
        let number = |count: Option<LooseCount>| count.and_then(|count| count.0).unwrap_or(0);
        let (start, end) = (number(written.start), number(written.end));
        Citation {
            url: filled(written.url),
            title: filled(written.title),
            quote: filled(written.content),
            // Both 0: nobody knows. They count from the message's start, ours from the part's.
            span: (end > start).then(|| {
                (
                    start.saturating_sub(self.text_before),
                    end.saturating_sub(self.text_before),
                )
            }),
            ..Citation::default()
        }
    }

    pub(super) fn cite(&mut self, citation: Citation<'_>, out: &mut Out<'_, '_, '_>) {
        self.cited = true;
        let part = self.text_part(out);
        out.delta(part, Delta::Citation(citation));
    }

    pub(super) fn image(&mut self, written: Option<Picture<'_>>, out: &mut Out<'_, '_, '_>) {
        let Some(url) = written.and_then(|written| filled(written.url)) else {
            return;
        };
        self.hush(out);
        let inline = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(";base64,"))
            .map(|(mime, data)| (mime.to_owned(), data.to_owned()));
        let (mime, source) = match inline {
            Some((mime, data)) => (Some(Text::Owned(mime)), Source::Base64(Text::Owned(data))),
            None => (None, Source::Url(url)),
        };
        let part = out.open(Open::Media(Media::new(MediaKind::Image, mime, source)));
        out.close(part);
    }

    pub(super) fn audio(&mut self, written: Audio<'_>, out: &mut Out<'_, '_, '_>) {
        let (data, transcript) = (filled(written.data), filled(written.transcript));
        if data.is_none() && transcript.is_none() {
            return;
        }
        let part = if let Saying::Audio(part) = self.saying {
            part
        } else {
            self.hush(out);
            let part = out.open(Open::Media(Media::new(
                MediaKind::Audio,
                None,
                Source::Base64(Text::default()),
            )));
            self.saying = Saying::Audio(part);
            part
        };
        if let Some(data) = data {
            out.delta(part, Delta::Data(data));
        }
        if let Some(text) = transcript {
            out.delta(part, Delta::Text(text));
        }
    }

    /// Closes what was being said, because something else begins.
    pub(super) fn hush(&mut self, out: &mut Out<'_, '_, '_>) {
        match std::mem::replace(&mut self.saying, Saying::Nothing) {
            Saying::Nothing => {}
            Saying::Text(part) => {
                self.text_before += std::mem::take(&mut self.text_here);
                out.close(part);
            }
            Saying::Refusal(part) | Saying::Audio(part) => out.close(part),
            Saying::Reasoning(part, facts) => {
                if let Some(signature) = facts.and_then(|facts| facts.signature()) {
                    out.delta(part, Delta::Signature(signature));
                }
                out.close(part);
            }
        }
    }

    pub(super) fn stop(&self) -> Stop<'_> {
        let (reason, detail) = match &self.finish {
            Some((reason, detail)) => (*reason, detail.as_deref()),
            None => (StopReason::End, None),
        };
        let ends = matches!(reason, StopReason::End | StopReason::Other);
        let reason = if ends && !self.calls.is_empty() {
            StopReason::ToolCalls
        } else if (ends || reason == StopReason::Filtered) && self.refused {
            StopReason::Refusal
        } else if reason == StopReason::End && self.sequence.is_some() {
            StopReason::StopSequence
        } else {
            reason
        };
        Stop {
            choice: self.index,
            reason,
            sequence: self.sequence.as_deref().map(Cow::Borrowed),
            detail: detail.map(Cow::Borrowed),
        }
    }
}
