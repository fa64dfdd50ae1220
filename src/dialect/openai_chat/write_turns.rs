//! Writes turns as the flat messages of this protocol.
//!
//! Results of tools come right after the calls, each in a message of its own, and hold text alone
//! (<https://platform.openai.com/docs/api-reference/chat/create>): what else they hold follows in a user message.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::detail::{self, DETAILS};
use super::flavor::{Flavor, History, Target};
use super::write_media::{media_part, plain, text_part};
use super::write_request::cache_control;
use crate::chat::{
    CacheMark, Loss, Media, MediaKind, Part, PartKind, Reasoning, Request, Role, Source, ToolCall,
    ToolResult, Turn,
};
use crate::wire::emit::Emit;

pub(super) fn messages(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let mut list = out.nested_list("messages");
    let mut writer = Messages {
        out: &mut list,
        target,
        losses,
        moved: Vec::new(),
    };
    let mut rest = &request.turns[..];
    while let Some((turn, after)) = rest.split_first() {
        match turn.role {
            Role::System | Role::Developer => {
                writer.system(turn);
                rest = after;
            }
            Role::Assistant => {
                writer.assistant(turn);
                rest = after;
            }
            Role::User => {
                // All results of one round must follow its calls, in however many turns they came.
                let many = rest
                    .iter()
                    .take_while(|turn| turn.role == Role::User)
                    .count();
                let (users, after) = rest.split_at(many);
                writer.users(users);
                rest = after;
            }
        }
    }
    writer.moved_media();
    list.end();
}

struct Messages<'m, 'o, 'r> {
    out: &'m mut Emit<'o>,
    target: &'m Target<'m>,
    losses: &'m mut Vec<Loss>,
    /// Media that stood where this protocol takes none, each with what it is.
    moved: Vec<(&'static str, &'r Media<'r>)>,
}

/// What goes into a user message.
enum Piece<'r> {
    Part(&'r Part<'r>),
    Label(&'static str),
    Media(&'r Media<'r>),
}

impl<'r> Messages<'_, '_, 'r> {
    fn flavor(&self) -> &'static Flavor {
        self.target.flavor
    }

    fn system(&mut self, turn: &'r Turn<'r>) {
        self.moved_media();
        let developer =
            self.flavor().developer && (turn.role == Role::Developer || self.target.reasons);
        let role = if developer { "developer" } else { "system" };
        let mut message = self.out.nested_item();
        message.text("role", role);
        message.text_if("name", turn.name.as_deref());
        let pieces: Vec<Piece<'_>> = turn.parts.iter().map(Piece::Part).collect();
        if pieces.iter().any(
            |piece| matches!(piece, Piece::Part(part) if matches!(part.kind, PartKind::Media(_))),
        ) {
            self.losses.push(Loss::meaning(
                "messages[].content",
                "the instructions of this model take text alone; put media into a user message.",
            ));
        }
        content(&mut message, &pieces, self.target, self.losses);
        message.end();
    }

    fn users(&mut self, turns: &'r [Turn<'r>]) {
        for part in turns.iter().flat_map(|turn| &turn.parts) {
            if let PartKind::ToolResult(result) = &part.kind {
                self.result(result, part);
            }
        }
        self.moved_media();
        for turn in turns {
            let pieces: Vec<Piece<'_>> = turn
                .parts
                .iter()
                .filter(|part| !matches!(part.kind, PartKind::ToolResult(_)))
                .map(Piece::Part)
                .collect();
            if pieces.is_empty() && !turn.parts.is_empty() {
                continue;
            }
            let mut message = self.out.nested_item();
            message.text("role", "user");
            message.text_if("name", turn.name.as_deref());
            content(&mut message, &pieces, self.target, self.losses);
            message.end();
        }
    }

    /// A user message for what could not stand where it stood.
    fn moved_media(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let pieces: Vec<Piece<'_>> = std::mem::take(&mut self.moved)
            .into_iter()
            .flat_map(|(label, media)| [Piece::Label(label), Piece::Media(media)])
            .collect();
        let mut message = self.out.nested_item();
        message.text("role", "user");
        content(&mut message, &pieces, self.target, self.losses);
        message.end();
    }

    fn result(&mut self, result: &'r ToolResult<'r>, part: &Part<'_>) {
        let target = self.target;
        let mut message = self.out.nested_item();
        message.text("role", "tool");
        message.text(
            "tool_call_id",
            &short_id(&result.call_id, target.flavor.longest_id),
        );
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        let mut kept: Vec<Piece<'_>> = Vec::new();
        for part in &result.content {
            match &part.kind {
                PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                    texts.push(Cow::Borrowed(text));
                }
                PartKind::Media(media) => match (&media.source, media.kind) {
                    (Source::Plain(_), _) => texts.push(plain(media)),
                    (Source::Base64(_) | Source::Url(_) | Source::File(_), _)
                        if target.flavor.tool_media =>
                    {
                        kept.push(Piece::Media(media));
                    }
                    (Source::Base64(_) | Source::Url(_) | Source::File(_), kind) => {
                        let (note, label) = notes(kind);
                        texts.push(Cow::Borrowed(note));
                        self.moved.push((label, media));
                    }
                },
                PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
            }
        }
        if result.is_error {
            // The protocol has no field for it, and the model should know.
            let first = texts.first().cloned().unwrap_or_default();
            let said = Cow::Owned(format!("[tool error]\n{first}"));
            if let Some(place) = texts.first_mut() {
                *place = said;
            } else {
                texts.push(said);
            }
        }
        let mark = part
            .cache
            .or(result.content.iter().find_map(|part| part.cache));
        let marked = mark.is_some() && target.flavor.cache_control;
        if mark.is_some() && !marked {
            self.losses.push(Loss::cosmetic("cache_control"));
        }
        if kept.is_empty() && texts.len() <= 1 && !marked {
            message.text("content", texts.first().map_or("", |text| text));
        } else {
            let mut list = message.nested_list("content");
            let last = (texts.len() + kept.len()).saturating_sub(1);
            for (at, text) in texts.iter().enumerate() {
                let mut out = list.nested_item();
                out.text("type", "text");
                out.text("text", text);
                if let (Some(mark), true) = (mark, marked && at == last) {
                    cache_control(&mut out, mark);
                }
                out.end();
            }
            for (at, piece) in kept.iter().enumerate() {
                if let Piece::Media(media) = piece {
                    let mark = mark.filter(|_| marked && at + texts.len() == last);
                    media_part(&mut list, media, mark, target, self.losses);
                }
            }
            list.end();
        }
        message.end();
    }

    fn assistant(&mut self, turn: &'r Turn<'r>) {
        let flavor = self.flavor();
        let (mut texts, mut refusals) = (Vec::new(), String::new());
        let (mut reasoning, mut calls) = (Vec::new(), Vec::new());
        for part in &turn.parts {
            match &part.kind {
                PartKind::Text { text, .. } => texts.push((&**text, part.cache)),
                PartKind::Refusal(text) if flavor.refusal => refusals.push_str(text),
                PartKind::Refusal(text) => texts.push((&**text, part.cache)),
                PartKind::Reasoning(one) => reasoning.push(one),
                PartKind::ToolCall(call) => {
                    if part.cache.is_some() {
                        self.losses.push(Loss::cosmetic("cache_control"));
                    }
                    calls.push(call);
                }
                PartKind::Media(media) => match &media.transcript {
                    // What was said is known.
                    Some(said) if media.kind == MediaKind::Audio => {
                        texts.push((&**said, part.cache));
                    }
                    Some(_) | None => self.moved.push((
                        "[What the assistant made, as its message cannot hold it:]",
                        media,
                    )),
                },
                PartKind::ToolResult(_) => {}
            }
        }
        if texts.iter().all(|(text, _)| text.is_empty()) && refusals.is_empty() && calls.is_empty()
        {
            // Nothing that this protocol could say.
            return;
        }
        let mut message = self.out.nested_item();
        message.text("role", "assistant");
        message.text_if("name", turn.name.as_deref());
        assistant_text(
            &mut message,
            &texts,
            calls.is_empty() && refusals.is_empty(),
            flavor,
            self.losses,
        );
        if !refusals.is_empty() {
            message.text("refusal", &refusals);
        }
        write_reasoning(&mut message, &reasoning, flavor);
        if !calls.is_empty() {
            let mut list = message.nested_list("tool_calls");
            for call in calls {
                write_call(list.nested_item(), call, flavor);
            }
            list.end();
        }
        message.end();
    }
}

/// What a result says in place of its media, and what the user message says that holds them.
fn notes(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Image => (
            "[The image of this result follows in the next user message.]",
            "[Image of the tool's result:]",
        ),
        MediaKind::Audio | MediaKind::Video | MediaKind::Document => (
            "[The file of this result follows in the next user message.]",
            "[File of the tool's result:]",
        ),
    }
}

fn assistant_text(
    message: &mut Emit<'_>,
    texts: &[(&str, Option<CacheMark>)],
    needed: bool,
    flavor: &Flavor,
    losses: &mut Vec<Loss>,
) {
    let marked = texts.iter().any(|(_, mark)| mark.is_some());
    if marked && !flavor.cache_control {
        losses.push(Loss::cosmetic("cache_control"));
    }
    if marked && flavor.cache_control {
        let mut list = message.nested_list("content");
        for (text, mark) in texts.iter().filter(|(text, _)| !text.is_empty()) {
            let mut out = list.nested_item();
            out.text("type", "text");
            out.text("text", text);
            if let Some(mark) = mark {
                cache_control(&mut out, *mark);
            }
            out.end();
        }
        list.end();
        return;
    }
    match texts {
        [] if needed => message.text("content", ""),
        [] => message.literal("content", "null"),
        [(one, _)] => message.text("content", one),
        // Pieces of one text: cut where a citation or a signature stood.
        many => {
            let whole: String = many.iter().map(|(text, _)| *text).collect();
            message.text("content", &whole);
        }
    }
}

/// Only the maker reads a signature. Text that nobody signed may go to anyone who takes it.
fn write_reasoning(message: &mut Emit<'_>, all: &[&Reasoning<'_>], flavor: &Flavor) {
    let own = |origin: &'static str| {
        all.iter().copied().filter(move |reasoning| {
            reasoning
                .signature
                .as_ref()
                .is_none_or(|signature| signature.origin == origin || signature.data.is_empty())
        })
    };
    match flavor.history {
        History::Nothing => {}
        History::ReasoningContent => {
            let text: String = own(super::ORIGIN)
                .map(|reasoning| &*reasoning.text)
                .collect();
            if !text.is_empty() {
                message.text("reasoning_content", &text);
            }
        }
        History::ReasoningDetails => {
            let signed = |reasoning: &&Reasoning<'_>| {
                reasoning
                    .signature
                    .as_ref()
                    .is_some_and(|s| !s.data.is_empty())
            };
            if !own(DETAILS).any(|reasoning| signed(&reasoning)) {
                let text: String = own(DETAILS).map(|reasoning| &*reasoning.text).collect();
                if !text.is_empty() {
                    message.text("reasoning", &text);
                }
                return;
            }
            let mut list = message.nested_list("reasoning_details");
            for reasoning in own(DETAILS) {
                match reasoning.signature.as_ref().filter(|s| !s.data.is_empty()) {
                    Some(signature) => detail::restore(list.item(), &signature.data, reasoning),
                    None if reasoning.text.is_empty() => {}
                    None => detail::restore(list.item(), "{}", reasoning),
                }
            }
            list.end();
        }
    }
}

fn write_call(mut out: Emit<'_>, call: &ToolCall<'_>, flavor: &Flavor) {
    out.text("id", &short_id(&call.id, flavor.longest_id));
    if call.custom && flavor.custom_tools {
        out.text("type", "custom");
        let mut inner = out.nested("custom");
        inner.text("name", &call.name);
        inner.text("input", &call.arguments);
        inner.end();
    } else {
        out.text("type", "function");
        let mut inner = out.nested("function");
        inner.text("name", &call.name);
        if call.custom {
            let mut arguments = Vec::new();
            let mut object = Emit::object(&mut arguments);
            object.text("input", &call.arguments);
            object.end();
            inner.text("arguments", &String::from_utf8_lossy(&arguments));
        } else {
            inner.text("arguments", &call.arguments);
        }
        inner.end();
    }
    out.end();
}

/// An id that is too long for the provider, made short: the same one always becomes the same.
fn short_id(id: &str, longest: usize) -> Cow<'_, str> {
    if id.len() <= longest {
        return Cow::Borrowed(id);
    }
    let mut short = String::from("call_");
    for byte in Sha256::digest(id.as_bytes()).iter().take(12) {
        short.push_str(&format!("{byte:02x}"));
    }
    Cow::Owned(short)
}

/// A single plain text as it is, anything else as a list of parts.
fn content(
    message: &mut Emit<'_>,
    pieces: &[Piece<'_>],
    target: &Target<'_>,
    losses: &mut Vec<Loss>,
) {
    let flavor = target.flavor;
    match pieces {
        [] => {
            message.text("content", "");
            return;
        }
        [Piece::Part(part)] if part.cache.is_none() || !flavor.cache_control => {
            if let Some(text) = part.as_text() {
                if part.cache.is_some() {
                    losses.push(Loss::cosmetic("cache_control"));
                }
                message.text("content", text);
                return;
            }
        }
        _ => {}
    }
    let mut list = message.nested_list("content");
    for piece in pieces {
        let (part, mark) = match piece {
            Piece::Label(label) => {
                text_part(&mut list, label, None);
                continue;
            }
            Piece::Media(media) => {
                media_part(&mut list, media, None, target, losses);
                continue;
            }
            Piece::Part(part) => (part, part.cache.filter(|_| flavor.cache_control)),
        };
        if part.cache.is_some() && mark.is_none() {
            losses.push(Loss::cosmetic("cache_control"));
        }
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                text_part(&mut list, text, mark);
            }
            PartKind::Media(media) => media_part(&mut list, media, mark, target, losses),
            PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
        }
    }
    list.end();
}
