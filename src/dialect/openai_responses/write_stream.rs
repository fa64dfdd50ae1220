//! Writes a stream of this protocol (<https://platform.openai.com/docs/api-reference/responses-streaming>): the items of the
//! output as they grow, and the response that holds them, at the start and at the end.
//!
//! Parts map to items: texts and refusals that follow each other are the contents of one message; reasoning is an item,
//! its text in the place of the summary, which is what clients show and send back; each call is one. A signature of a call
//! or a text, for which there is no field, stands in a reasoning item of its own at the end.

use super::emit::{number, string};
use super::repeat::Repeat;
use super::thought;
use super::write_answer::{
    Body, Call, Content, Image, Item, Thought, logprobs, summary_text, tier_word,
};
use super::write_items::annotation;
use crate::base::{Ids, Usage};
use crate::chat::event::TokenLogprob;
use crate::chat::{Citation, Delta, Event, Media, MediaKind, Open, Signature, Source, StopReason};
use crate::dialect::translate::Echo;

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

    fn delta(&mut self, place: (usize, usize), delta: Delta<'_>, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(place.0) else {
            return;
        };
        match (&mut item.body, delta) {
            (Body::Message(_), Delta::Text(more)) => self.say(place, &more, out),
            (Body::Message(_), Delta::Citation(citation)) => self.cite(place, citation, out),
            (Body::Message(contents), Delta::Signature(signature)) => {
                if let Some(content) = contents.get_mut(place.1) {
                    join(&mut content.signature, signature);
                }
            }
            (Body::Reasoning(_), Delta::Text(more)) => self.think(place.0, &more, out),
            (Body::Reasoning(thought), Delta::Signature(signature)) => {
                join(&mut thought.signature, signature);
            }
            (Body::Call(_), Delta::Arguments(more)) => self.argue(place.0, &more, out),
            (Body::Call(call), Delta::Signature(signature)) => join(&mut call.signature, signature),
            (Body::Image(image), Delta::Data(more)) => image.add(&more),
            // No reader sends these; the data of audio has no field.
            (
                Body::Message(_) | Body::Reasoning(_) | Body::Call(_) | Body::Image(_),
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Citation(_)
                | Delta::Data(_),
            ) => {}
        }
    }

    fn content(&mut self, (item, content): (usize, usize)) -> Option<&mut Content> {
        match &mut self.items.get_mut(item)?.body {
            Body::Message(contents) => contents.get_mut(content),
            Body::Reasoning(_) | Body::Call(_) | Body::Image(_) => None,
        }
    }

    fn say(&mut self, place: (usize, usize), more: &str, out: &mut Vec<u8>) {
        if more.is_empty() {
            return;
        }
        let Some(content) = self.content(place) else {
            return;
        };
        content.text.push_str(more);
        if content.refusal {
            self.content_head("response.refusal.delta", place, out);
            out.extend_from_slice(b",\"delta\":");
            string(out, more);
        } else {
            self.content_head("response.output_text.delta", place, out);
            out.extend_from_slice(b",\"delta\":");
            string(out, more);
            out.extend_from_slice(b",\"logprobs\":[]");
        }
        end(out);
    }

    /// Tokens come behind their text: they get an event without more of it.
    fn logprobs(&mut self, tokens: &[TokenLogprob<'_>], out: &mut Vec<u8>) {
        let Some(place) = self.text else { return };
        let is_open = self.items.get(place.0).is_some_and(|item| item.open > 0);
        let mut written = Vec::new();
        logprobs(&mut written, tokens);
        let Some(content) = self.content(place).filter(|_| !written.is_empty()) else {
            return;
        };
        if !content.logprobs.is_empty() {
            content.logprobs.push(b',');
        }
        content.logprobs.extend_from_slice(&written);
        if is_open {
            self.content_head("response.output_text.delta", place, out);
            out.extend_from_slice(b",\"delta\":\"\",\"logprobs\":[");
            out.extend_from_slice(&written);
            out.push(b']');
            end(out);
        }
    }

    fn cite(&mut self, place: (usize, usize), citation: Citation<'_>, out: &mut Vec<u8>) {
        if citation.span.is_some() {
            self.annotate(place, &citation, 0, out);
        } else {
            self.cited.push((place.0, place.1, owned(citation)));
        }
    }

    fn annotate(
        &mut self,
        place: (usize, usize),
        citation: &Citation<'_>,
        length: u64,
        out: &mut Vec<u8>,
    ) {
        let Some(content) = self.content(place).filter(|content| !content.refusal) else {
            return;
        };
        let index = content.cited;
        content.cited += 1;
        if index > 0 {
            content.annotations.push(b',');
        }
        let mut written = Vec::new();
        annotation(&mut written, citation, length);
        content.annotations.extend_from_slice(&written);
        self.content_head("response.output_text.annotation.added", place, out);
        out.extend_from_slice(b",\"annotation_index\":");
        number(out, index);
        out.extend_from_slice(b",\"annotation\":");
        out.extend_from_slice(&written);
        end(out);
    }

    fn think(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(Item {
            body: Body::Reasoning(thought),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if more.is_empty() {
            return;
        }
        let first = !thought.shown;
        thought.shown = true;
        thought.text.push_str(more);
        if first {
            self.item_head("response.reasoning_summary_part.added", at, out);
            out.extend_from_slice(
                b",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}",
            );
            end(out);
        }
        self.item_head("response.reasoning_summary_text.delta", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"delta\":");
        string(out, more);
        end(out);
    }

    fn argue(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(Item {
            body: Body::Call(call),
            ..
        }) = self.items.get_mut(at)
        else {
            return;
        };
        if more.is_empty() {
            return;
        }
        call.arguments.push_str(more);
        let name = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.item_head(name, at, out);
        out.extend_from_slice(b",\"delta\":");
        string(out, more);
        end(out);
    }

    fn close(&mut self, place: (usize, usize), out: &mut Vec<u8>) {
        let at = place.0;
        let Some(item) = self.items.get_mut(at).filter(|item| item.open > 0) else {
            return;
        };
        item.open -= 1;
        match &item.body {
            Body::Message(_) => self.close_content(place, out),
            Body::Reasoning(thought) => {
                if thought.shown {
                    self.close_thought(at, out);
                }
            }
            Body::Call(_) => self.close_call(at, out),
            Body::Image(_) => {
                self.item_head("response.image_generation_call.completed", at, out);
                end(out);
            }
        }
        // The last one may yet get more, or be cut.
        if at + 1 < self.items.len() {
            self.item_done(at, "completed", out);
        }
    }

    fn close_content(&mut self, place: (usize, usize), out: &mut Vec<u8>) {
        let length = self
            .content(place)
            .map_or(0, |content| content.text.chars().count() as u64);
        let (due, later) = std::mem::take(&mut self.cited)
            .into_iter()
            .partition(|(item, content, _)| (*item, *content) == place);
        self.cited = later;
        for (_, _, citation) in due {
            self.annotate(place, &citation, length, out);
        }
        let Some(content) = self.content(place).map(std::mem::take) else {
            return;
        };
        if content.refusal {
            self.content_head("response.refusal.done", place, out);
            out.extend_from_slice(b",\"refusal\":");
            string(out, &content.text);
        } else {
            self.content_head("response.output_text.done", place, out);
            out.extend_from_slice(b",\"text\":");
            string(out, &content.text);
            out.extend_from_slice(b",\"logprobs\":[");
            out.extend_from_slice(&content.logprobs);
            out.push(b']');
        }
        end(out);
        self.content_head("response.content_part.done", place, out);
        out.extend_from_slice(b",\"part\":");
        content.write(out);
        end(out);
        if let Some(slot) = self.content(place) {
            *slot = content;
        }
    }

    fn close_thought(&mut self, at: usize, out: &mut Vec<u8>) {
        let text = match self.items.get_mut(at).map(|item| &mut item.body) {
            Some(Body::Reasoning(thought)) => std::mem::take(&mut thought.text),
            Some(Body::Message(_) | Body::Call(_) | Body::Image(_)) | None => return,
        };
        self.item_head("response.reasoning_summary_text.done", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"text\":");
        string(out, &text);
        end(out);
        self.item_head("response.reasoning_summary_part.done", at, out);
        out.extend_from_slice(b",\"summary_index\":0,\"part\":");
        summary_text(out, &text);
        end(out);
        if let Some(Item {
            body: Body::Reasoning(thought),
            ..
        }) = self.items.get_mut(at)
        {
            thought.text = text;
        }
    }

    fn close_call(&mut self, at: usize, out: &mut Vec<u8>) {
        let (custom, blank) = match self.items.get(at).map(|item| &item.body) {
            Some(Body::Call(call)) => (call.custom, call.arguments.is_empty()),
            Some(Body::Message(_) | Body::Reasoning(_) | Body::Image(_)) | None => return,
        };
        if blank && !custom {
            // What is put together from the pieces is then what the whole says.
            self.argue(at, "{}", out);
        }
        let name = if custom {
            "response.custom_tool_call_input.done"
        } else {
            "response.function_call_arguments.done"
        };
        self.item_head(name, at, out);
        if let Some(Item {
            body: Body::Call(call),
            ..
        }) = self.items.get(at)
        {
            if custom {
                out.extend_from_slice(b",\"input\":");
            } else {
                out.extend_from_slice(b",\"name\":");
                string(out, &call.name);
                out.extend_from_slice(b",\"arguments\":");
            }
            string(out, call.written());
        }
        end(out);
    }

    /// Ends an item that is closed and has not ended.
    pub(super) fn item_done(&mut self, at: usize, status: &str, out: &mut Vec<u8>) {
        let Some(item) = self
            .items
            .get_mut(at)
            .filter(|item| item.open == 0 && !item.done)
        else {
            return;
        };
        item.done = true;
        if let Body::Reasoning(thought) = &mut item.body
            && let Some(signature) = &thought.signature
        {
            thought.sealed = Some(thought::seal_reasoning(
                &thought.text,
                thought.redacted,
                thought.summary,
                signature,
            ));
        }
        self.head("response.output_item.done", out);
        out.extend_from_slice(b",\"output_index\":");
        number(out, at as u64);
        out.extend_from_slice(b",\"item\":");
        if let Some(item) = self.items.get(at) {
            item.write(out, status, true);
        }
        end(out);
    }
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n\n");
}

/// Signatures may come in pieces.
fn join(signature: &mut Option<Signature<'static>>, more: Signature<'_>) {
    match signature {
        Some(signature) => signature.data.to_mut().push_str(&more.data),
        None => *signature = Some(more.into_owned()),
    }
}

fn owned(citation: Citation<'_>) -> Citation<'static> {
    let own = |text: Option<crate::chat::Text<'_>>| text.map(|text| text.into_owned().into());
    Citation {
        url: own(citation.url),
        title: own(citation.title),
        quote: own(citation.quote),
        span: citation.span,
        document: citation.document,
        place: citation.place,
    }
}
