//! The stream: state of each choice, and calls that wait until they are whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parts::{self, Cited, Said};
use super::{Object, Thought, finish, logprobs, response_id, string, write_usage};
use crate::base::Usage;
use crate::chat::{
    Citation, Delta, Event, Media, MediaKind, Open, Signature, Source, StopReason, Text,
};
use crate::dialect::translate::Echo;

/// Writes the events of one answer.
#[derive(Debug)]
pub struct Writer {
    echo: Echo,
    /// What ends each response: model and id.
    tail: Vec<u8>,
    has_element: bool,
    choices: Vec<Choice>,
    /// Parts that are open, or wait for a call before them, in the order they were opened.
    live: Vec<Live>,
    stops: Vec<(u32, StopReason, Option<String>)>,
    usage: Option<Usage>,
    tier: Option<String>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    cited: Cited,
    /// Not yet on a call; by part.
    thoughts: Vec<(u32, Thought)>,
    /// A call has been sent.
    called: bool,
}

#[derive(Debug)]
struct Live {
    part: u32,
    choice: u32,
    is_closed: bool,
    kind: Kind,
    /// Text that waits; a call's arguments.
    text: String,
    signature: Option<Signature<'static>>,
    /// Where its text begins in the choice's.
    begin: Option<usize>,
    citations: Vec<Citation<'static>>,
}

#[derive(Debug)]
enum Kind {
    Said(Said),
    Call {
        id: String,
        name: String,
        custom: bool,
    },
    Media {
        media: Media<'static>,
        /// Pieces of base64 that wait.
        data: Vec<String>,
    },
}

impl Writer {
    pub fn new(echo: Echo) -> Self {
        Self {
            echo,
            tail: Vec::new(),
            has_element: false,
            choices: Vec::new(),
            live: Vec::new(),
            stops: Vec::new(),
            usage: None,
            tier: None,
        }
    }

    /// Appends whole responses only.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, .. } => self.start(id.as_deref()),
            Event::Open { part, choice, kind } => self.open(part, choice, kind, out),
            Event::Delta { part, delta } => self.delta(part, delta, out),
            Event::Close { part } => self.close(part, out),
            Event::Logprobs { choice, tokens } => {
                self.begin(out);
                out.extend_from_slice(br#"{"candidates":[{"content":{"role":"model"},"index":"#);
                super::number(out, u64::from(choice));
                out.extend_from_slice(b",\"logprobsResult\":");
                logprobs(&tokens, out);
                out.extend_from_slice(b"}]");
                self.finish_element(out);
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.into_owned()),
            Event::Stop(stop) => {
                let detail = stop.detail.map(Text::into_owned);
                self.stops.push((stop.choice, stop.reason, detail));
            }
            Event::Finish => self.finish(out),
            // Whoever writes the stream ends it with the protocol's own error.
            Event::Ping | Event::Fault(_) => {}
        }
    }

    fn start(&mut self, id: Option<&str>) {
        let id = response_id(&mut self.echo, id);
        self.tail.clear();
        self.tail.extend_from_slice(b",\"modelVersion\":");
        string(&mut self.tail, &self.echo.model);
        self.tail.extend_from_slice(b",\"responseId\":");
        string(&mut self.tail, &id);
        self.tail.push(b'}');
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.echo.array {
            out.extend_from_slice(b"data: ");
        } else if self.has_element {
            // As Google separates the elements of the array.
            out.extend_from_slice(b",\r\n");
        } else {
            out.push(b'[');
        }
        self.has_element = true;
    }

    fn finish_element(&mut self, out: &mut Vec<u8>) {
        if self.tail.is_empty() {
            self.start(None);
        }
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(if self.echo.array { b"\n" } else { b"\r\n\r\n" });
    }

    /// One response with one part.
    fn send(&mut self, choice: u32, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":["#);
        part(out);
        out.extend_from_slice(br#"],"role":"model"},"index":"#);
        super::number(out, u64::from(choice));
        out.extend_from_slice(b"}]");
        self.finish_element(out);
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice {
                    index,
                    ..Choice::default()
                });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    /// Does a call before it wait for its end? Then what comes after it waits, too: order is all that this protocol has.
    fn waits(&self, at: usize) -> bool {
        let choice = self.live[at].choice;
        let before = self.live.iter().take(at);
        before.into_iter().any(|live| {
            live.choice == choice && !live.is_closed && matches!(live.kind, Kind::Call { .. })
        })
    }

    fn open(&mut self, part: u32, choice: u32, kind: Open<'_>, out: &mut Vec<u8>) {
        let kind = match kind {
            Open::Text | Open::Refusal => Kind::Said(Said::Text),
            Open::Reasoning { redacted, summary } => {
                let thought = Thought {
                    text: String::new(),
                    signature: None,
                    redacted,
                    summary,
                };
                self.choice(choice).thoughts.push((part, thought));
                Kind::Said(Said::Thought)
            }
            Open::ToolCall { id, name, custom } => Kind::Call {
                id: id.into_owned(),
                name: name.into_owned(),
                custom,
            },
            Open::Media(media) => Kind::Media {
                data: Vec::new(),
                media: media.into_owned(),
            },
        };
        self.live.push(Live {
            part,
            choice,
            is_closed: false,
            kind,
            text: String::new(),
            signature: None,
            begin: None,
            citations: Vec::new(),
        });
        self.flush(self.live.len() - 1, out);
    }

    fn delta(&mut self, part: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.live.iter().rposition(|live| live.part == part) else {
            return;
        };
        let live = &mut self.live[at];
        match delta {
            Delta::Text(text) if text.is_empty() => {}
            Delta::Text(text) => {
                let (choice, said) = (
                    live.choice,
                    match live.kind {
                        Kind::Said(said) => said,
                        // What is said in audio.
                        Kind::Media { .. } | Kind::Call { .. } => Said::Text,
                    },
                );
                if said == Said::Thought
                    && let Some((_, thought)) = self
                        .choice(choice)
                        .thoughts
                        .iter_mut()
                        .find(|(thought, _)| *thought == part)
                {
                    thought.text.push_str(&text);
                }
                if self.waits(at) {
                    self.live[at].text.push_str(&text);
                } else {
                    self.say(at, said, &text, out);
                }
            }
            Delta::Arguments(text) => live.text.push_str(&text),
            Delta::Signature(more) => Signature::join(&mut live.signature, more),
            Delta::Citation(citation) => live.citations.push(citation.into_owned()),
            Delta::Data(piece) => {
                if let Kind::Media { data, .. } = &mut live.kind {
                    data.push(piece.into_owned());
                    self.flush(at, out);
                }
            }
        }
    }

    fn say(&mut self, at: usize, said: Said, text: &str, out: &mut Vec<u8>) {
        if said == Said::Thought && self.echo.hide_thoughts {
            return;
        }
        let choice = self.live[at].choice;
        if said == Said::Text {
            let begin = self.choice(choice).cited.said(text);
            self.live[at].begin.get_or_insert(begin);
        }
        self.send(choice, out, |out| parts::text(out, said, text, None));
    }

    /// Sends what a part has kept, unless it waits. Audio goes out in pieces; an image when it is whole.
    fn flush(&mut self, at: usize, out: &mut Vec<u8>) {
        if self.waits(at) {
            return;
        }
        let live = &mut self.live[at];
        let (choice, is_closed) = (live.choice, live.is_closed);
        let said = match live.kind {
            Kind::Said(said) => Some(said),
            Kind::Media { .. } => Some(Said::Text),
            Kind::Call { .. } => None,
        };
        if let Some(said) = said
            && !live.text.is_empty()
        {
            let text = std::mem::take(&mut live.text);
            self.say(at, said, &text, out);
        }
        if let Kind::Media { media, data } = &mut self.live[at].kind {
            let is_whole = is_closed || media.kind == MediaKind::Audio;
            if is_whole && !data.is_empty() {
                let pieces = std::mem::take(data);
                let (mime, kind) = (media.mime.clone(), media.kind);
                let data = joined(pieces);
                self.send(choice, out, |out| {
                    parts::inline(out, mime.as_deref(), kind, &data);
                });
            }
        }
    }

    fn close(&mut self, part: u32, out: &mut Vec<u8>) {
        let Some(at) = self.live.iter().rposition(|live| live.part == part) else {
            return;
        };
        self.live[at].is_closed = true;
        if self.waits(at) {
            return;
        }
        let choice = self.live[at].choice;
        self.end(at, out);
        // What waited for it may go on, up to the next call that is not whole.
        let mut next = at;
        while next < self.live.len() {
            if self.live[next].choice != choice || self.waits(next) {
                next += 1;
                continue;
            }
            self.flush(next, out);
            if self.live[next].is_closed {
                self.end(next, out);
            } else {
                next += 1;
            }
        }
    }

    /// Sends the end of a part, and forgets it.
    fn end(&mut self, at: usize, out: &mut Vec<u8>) {
        self.flush(at, out);
        let live = self.live.remove(at);
        let index = live.choice;
        match live.kind {
            Kind::Said(said) => {
                let mut signature = live.signature;
                let choice = self.choice(index);
                let begin = live.begin.unwrap_or(choice.cited.len());
                for citation in &live.citations {
                    choice.cited.cite(begin, citation);
                }
                let written = if said == Said::Thought {
                    let found = choice
                        .thoughts
                        .iter_mut()
                        .find(|(part, _)| *part == live.part);
                    match found {
                        Some((_, thought)) => {
                            thought.signature = signature;
                            parts::sign_thought(thought)
                        }
                        None => signature.as_ref().map(|s| parts::sign(s).into_owned()),
                    }
                } else {
                    signature.take().map(|s| parts::sign(&s).into_owned())
                };
                let is_hidden = said == Said::Thought && self.echo.hide_thoughts;
                if let Some(written) = written.filter(|_| !is_hidden) {
                    self.send(index, out, |out| parts::text(out, said, "", Some(&written)));
                }
            }
            Kind::Call { id, name, custom } => {
                let signature = match &live.signature {
                    Some(signature) => Some(parts::sign(signature).into_owned()),
                    None => {
                        let choice = self.choice(index);
                        let is_first = !choice.called;
                        let thoughts = std::mem::take(&mut choice.thoughts);
                        let mut all = thoughts.into_iter().map(|(_, thought)| thought).collect();
                        parts::pack(&mut all, is_first)
                    }
                };
                self.choice(index).called = true;
                self.send(index, out, |out| {
                    parts::call(out, &id, &name, &live.text, custom, signature.as_deref());
                });
            }
            Kind::Media { media, .. } => {
                let mime = media.mime.as_deref();
                match &media.source {
                    Source::Base64(data) if data.is_empty() => {}
                    Source::Base64(data) => {
                        self.send(index, out, |out| parts::inline(out, mime, media.kind, data));
                    }
                    Source::Url(uri) | Source::File(uri) => {
                        self.send(index, out, |out| parts::file(out, mime, uri));
                    }
                    Source::Plain(text) => {
                        self.send(index, out, |out| parts::text(out, Said::Text, text, None));
                    }
                }
            }
        }
    }

    /// One response for each choice says why it ends; the last one has the usage.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let stops = std::mem::take(&mut self.stops);
        let last = stops.len().saturating_sub(1);
        for (at, (index, reason, detail)) in stops.iter().enumerate() {
            self.begin(out);
            out.extend_from_slice(b"{\"candidates\":[");
            let mut candidate = Object::open(out);
            candidate.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#);
            finish(*reason, detail.as_deref(), &mut candidate);
            candidate.number("index", u64::from(*index));
            if let Some(choice) = self.choices.iter().find(|choice| choice.index == *index) {
                choice.cited.write(&mut candidate);
            }
            candidate.close();
            out.push(b']');
            if at == last
                && let Some(usage) = &self.usage
            {
                out.extend_from_slice(b",\"usageMetadata\":");
                write_usage(usage, self.tier.as_deref(), out);
            }
            self.finish_element(out);
        }
        if self.echo.array {
            out.extend_from_slice(if self.has_element { b"]" } else { b"[]" });
        }
    }
}

/// Pieces of base64 decode by themselves: put together, they may hold padding inside.
fn joined(mut pieces: Vec<String>) -> String {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| STANDARD.decode(piece).unwrap_or_default())
        .collect();
    STANDARD.encode(bytes)
}
