//! Writes a stream of this protocol (<https://platform.openai.com/docs/api-reference/responses-streaming>): the items of the
//! output as they grow, and the response that holds them, at the start and at the end.
//!
//! Parts map to items: texts and refusals that follow each other are the contents of one message; reasoning is an item,
//! its text in the place of the summary, which is what clients show and send back; each call is one. A signature of a call
//! or a text, for which there is no field, stands in a reasoning item of its own at the end.

mod close;
mod grow;

use super::repeat::Repeat;
use super::write_answer::tier_word;
use super::write_item::{Body, Call, Content, Image, Item, Thought};
use crate::base::{Ids, Usage};
use crate::chat::{Citation, Event, Media, MediaKind, Open, Source, StopReason};
use crate::dialect::translate::Echo;
use crate::wire::emit::number;

#[derive(Debug)]
pub struct Writer {
    pub(super) echo: Echo,
    pub(super) repeat: Repeat,
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) started: bool,
    pub(super) ended: bool,
    pub(super) sequence: u64,
    pub(super) items: Vec<Item>,
    /// By part: its item, and which content of it. `None`: of another choice.
    pub(super) places: Vec<Option<(usize, usize)>>,
    /// Citations of a whole text, by its place: how long that is, is known at its end.
    pub(super) cited: Vec<(usize, usize, Citation<'static>)>,
    /// The text that tokens belong to.
    pub(super) text: Option<(usize, usize)>,
    pub(super) usage: Option<Usage>,
    pub(super) tier: Option<&'static str>,
    pub(super) stop: Option<StopReason>,
    /// Why it failed, as the protocol says it.
    pub(super) error: Option<Vec<u8>>,
}

/// More parts than this in one answer are none that a model made.
const MOST_PARTS: usize = 1 << 16;

impl Writer {
    pub fn new(echo: Echo) -> Self {
        Self::with(echo, Repeat::default())
    }

    pub fn with(echo: Echo, repeat: Repeat) -> Self {
        Self {
            echo,
            repeat,
            id: String::new(),
            created: 0,
            started: false,
            ended: false,
            sequence: 0,
            items: Vec::new(),
            places: Vec::new(),
            cited: Vec::new(),
            text: None,
            usage: None,
            tier: None,
            stop: None,
            error: None,
        }
    }

    /// The response's id; empty before its start.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Nothing follows.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    pub(super) fn ids(&self) -> Option<Ids> {
        self.echo.ids.clone()
    }

    /// Appends whole events only.
    pub fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, created, .. } => self.start(id.as_deref(), created, out),
            Event::Open { part, choice, kind } => self.open(part as usize, choice, kind, out),
            Event::Delta { part, delta } => {
                if let Some(place) = self.place(part) {
                    self.delta(place, delta, out);
                }
            }
            Event::Close { part } => {
                if let Some(place) = self.place(part) {
                    self.close(place, out);
                }
            }
            Event::Logprobs { choice: 0, tokens } => self.logprobs(&tokens, out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::ServiceTier(tier) => self.tier = tier_word(&tier).or(self.tier),
            Event::Stop(stop) if stop.choice == 0 => self.stop = Some(stop.reason),
            Event::Finish => self.finish(out),
            // The protocol has one choice, and no events for the rest.
            Event::Logprobs { .. } | Event::Stop(_) | Event::Ping | Event::Fault(_) => {}
        }
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.echo.ids.get_or_insert_with(Ids::random).next(prefix)
    }

    fn place(&self, part: u32) -> Option<(usize, usize)> {
        *self.places.get(part as usize)?
    }

    /// `event: NAME`, and the data up to the event's own members.
    pub(super) fn head(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        number(out, self.sequence);
        self.sequence += 1;
    }

    /// The same, with the item that the event is about.
    fn item_head(&mut self, name: &str, item: usize, out: &mut Vec<u8>) {
        self.head(name, out);
        out.extend_from_slice(b",\"item_id\":\"");
        if let Some(item) = self.items.get(item) {
            out.extend_from_slice(item.id.as_bytes());
        }
        out.extend_from_slice(b"\",\"output_index\":");
        number(out, item as u64);
    }

    /// The same, with the content of the message.
    fn content_head(&mut self, name: &str, (item, content): (usize, usize), out: &mut Vec<u8>) {
        self.item_head(name, item, out);
        out.extend_from_slice(b",\"content_index\":");
        number(out, content as u64);
    }

    pub(super) fn start(&mut self, id: Option<&str>, created: Option<u64>, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.created = created.unwrap_or(self.echo.now);
        self.id = match (self.repeat.response_id.take(), id) {
            (Some(id), _) => id,
            // A made-up form of it could not be told from one of ours.
            (None, Some(id)) if id.starts_with("resp_") => id.to_owned(),
            (None, Some(_) | None) => self.next_id("resp_"),
        };
        for name in ["response.created", "response.in_progress"] {
            self.head(name, out);
            out.extend_from_slice(b",\"response\":");
            self.write_response(out, "in_progress", None);
            end(out);
        }
    }

    fn open(&mut self, part: usize, choice: u32, kind: Open<'_>, out: &mut Vec<u8>) {
        if part >= MOST_PARTS {
            return;
        }
        self.start(None, None, out);
        if self.places.len() <= part {
            self.places.resize(part + 1, None);
        }
        if choice != 0 {
            return;
        }
        let place = match kind {
            Open::Text => self.open_content(false, out),
            Open::Refusal => self.open_content(true, out),
            Open::Reasoning { redacted, summary } => {
                let thought = Thought {
                    redacted,
                    summary,
                    ..Thought::default()
                };
                (self.open_item(Body::Reasoning(thought), out), 0)
            }
            Open::ToolCall { id, name, custom } => {
                let known = self
                    .repeat
                    .namespaces
                    .iter()
                    .find(|(flat, _, _)| *flat == *name);
                let (namespace, name) = match known {
                    Some((_, namespace, name)) => (Some(namespace.clone()), name.clone()),
                    None => (None, name.into_owned()),
                };
                let call = Call {
                    call_id: id.into_owned(),
                    name,
                    namespace,
                    arguments: String::new(),
                    custom,
                    signature: None,
                };
                (self.open_item(Body::Call(call), out), 0)
            }
            Open::Media(media) => self.open_media(&media, out),
        };
        if let Some(slot) = self.places.get_mut(part) {
            *slot = Some(place);
        }
    }

    fn open_media(&mut self, media: &Media<'_>, out: &mut Vec<u8>) -> (usize, usize) {
        let image = Image::of(media).filter(|_| media.kind == MediaKind::Image);
        if let Some(image) = image {
            return (self.open_item(Body::Image(image), out), 0);
        }
        // What was said in audio is text; of the rest its address can be told.
        let place = self.open_content(false, out);
        let told = match (&media.transcript, &media.source) {
            (Some(said), _) => said.clone().into_owned(),
            (None, Source::Url(url)) if media.kind == MediaKind::Image => {
                format!("![image]({url})")
            }
            (None, Source::Url(url)) => url.clone().into_owned(),
            (None, Source::Plain(text)) => text.clone().into_owned(),
            (None, Source::Base64(_) | Source::File(_)) => String::new(),
        };
        self.say(place, &told, out);
        place
    }

    pub(super) fn open_item(&mut self, body: Body, out: &mut Vec<u8>) -> usize {
        let id = self.next_id(Item::prefix(&body));
        let last = self.items.len().checked_sub(1);
        self.items.push(Item {
            id,
            body,
            open: 1,
            done: false,
        });
        // The one before it can get nothing more.
        if let Some(last) = last {
            self.item_done(last, "completed", out);
        }
        let at = self.items.len() - 1;
        self.head("response.output_item.added", out);
        out.extend_from_slice(b",\"output_index\":");
        number(out, at as u64);
        out.extend_from_slice(b",\"item\":");
        if let Some(item) = self.items.get(at) {
            item.write(out, "in_progress", false);
        }
        end(out);
        at
    }

    fn open_content(&mut self, refusal: bool, out: &mut Vec<u8>) -> (usize, usize) {
        let content = Content {
            refusal,
            ..Content::default()
        };
        let place = match self.items.last_mut() {
            Some(Item {
                body: Body::Message(contents),
                open,
                done: false,
                ..
            }) => {
                *open += 1;
                contents.push(content);
                let number = contents.len() - 1;
                (self.items.len() - 1, number)
            }
            Some(_) | None => {
                let at = self.open_item(Body::Message(Vec::new()), out);
                if let Some(Item {
                    body: Body::Message(contents),
                    ..
                }) = self.items.get_mut(at)
                {
                    contents.push(content);
                }
                (at, 0)
            }
        };
        if !refusal {
            self.text = Some(place);
        }
        self.content_head("response.content_part.added", place, out);
        out.extend_from_slice(if refusal {
            b",\"part\":{\"type\":\"refusal\",\"refusal\":\"\"}".as_slice()
        } else {
            b",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}"
                .as_slice()
        });
        end(out);
        place
    }
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n\n");
}
