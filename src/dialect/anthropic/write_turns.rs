//! System and messages, arranged as Anthropic demands them: the user first, roles in turn, the results of calls at the
//! beginning of the very next message, no empty texts, thinking only with Anthropic's own signature.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{key, next, raw_field, text, text_field};
use super::thought;
use super::write_media::{check_media, note, write_media};
use crate::chat::{
    CacheMark, Loss, Media, Part, PartKind, Reasoning, Request, Role, ToolCall, ToolResult, Turn,
};
use crate::dialect::names::hash;

/// The most `cache_control`s in one request
/// (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>).
const MOST_MARKS: usize = 4;
/// Stands where the protocol wants a user to have spoken.
const NOTHING_SAID: &str = ".";

/// Writes cache marks: the last ones, as many as are allowed.
#[derive(Debug, Default)]
pub(super) struct Marks {
    skip: usize,
}

impl Marks {
    pub(super) fn new(total: usize, request: &Request<'_>, losses: &mut Vec<Loss>) -> Self {
        let skip = total.saturating_sub(MOST_MARKS - usize::from(request.cache.is_some()));
        if skip > 0 {
            losses.push(Loss::cosmetic("cache_control"));
        }
        Self { skip }
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>, mark: Option<CacheMark>) {
        let Some(mark) = mark else { return };
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        write_mark(out, mark);
    }
}

pub(super) fn write_mark(out: &mut Vec<u8>, mark: CacheMark) {
    let value = match mark {
        CacheMark::FiveMinutes => r#"{"type":"ephemeral"}"#,
        CacheMark::OneHour => r#"{"type":"ephemeral","ttl":"1h"}"#,
    };
    raw_field(out, "cache_control", value);
}

#[derive(Debug)]
pub(super) struct Message<'r> {
    is_user: bool,
    blocks: Vec<Block<'r>>,
}

#[derive(Debug)]
struct Block<'r> {
    kind: Kind<'r>,
    cache: Option<CacheMark>,
}

#[derive(Debug)]
enum Kind<'r> {
    Text(Cow<'r, str>),
    Media(&'r Media<'r>),
    Thinking(&'r Reasoning<'r>),
    ToolUse(&'r ToolCall<'r>),
    ToolResult(&'r ToolResult<'r>),
}

/// What the turns of a request become.
#[derive(Debug, Default)]
pub(super) struct Conversation<'r> {
    system: Vec<(Cow<'r, str>, Option<CacheMark>)>,
    messages: Vec<Message<'r>>,
}

pub(super) fn arrange<'r>(request: &'r Request<'r>, losses: &mut Vec<Loss>) -> Conversation<'r> {
    let mut conversation = Conversation::default();
    if request.turns.iter().any(|turn| turn.name.is_some()) {
        losses.push(Loss::cosmetic("name"));
    }
    let is_system = |turn: &&Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
    let leading = request.turns.iter().take_while(is_system).count();
    let (system, turns) = request.turns.split_at(leading);
    for part in system.iter().flat_map(|turn| &turn.parts) {
        match part.as_text() {
            Some(text) if text.trim().is_empty() => {}
            Some(text) => conversation.system.push((Cow::Borrowed(text), part.cache)),
            None => losses.push(Loss::meaning(
                "system",
                "instructions are text here; send anything else in a user's message.",
            )),
        }
    }
    for turn in turns {
        match turn.role {
            // Models know no system role after the first message; agents of Anthropic's mark such text like this.
            Role::System | Role::Developer => {
                for text in turn.parts.iter().filter_map(Part::as_text) {
                    let text = format!("<system-reminder>\n{text}\n</system-reminder>");
                    conversation.push(true, Kind::Text(Cow::Owned(text)), None);
                }
            }
            Role::User => turn
                .parts
                .iter()
                .for_each(|part| conversation.part(true, part, losses)),
            Role::Assistant => turn
                .parts
                .iter()
                .for_each(|part| conversation.part(false, part, losses)),
        }
    }
    let ends_with_user = turns.last().is_none_or(|turn| turn.role != Role::Assistant);
    conversation.mend(ends_with_user);
    conversation
}

impl<'r> Conversation<'r> {
    fn push(&mut self, is_user: bool, kind: Kind<'r>, cache: Option<CacheMark>) {
        let block = Block { kind, cache };
        match self.messages.last_mut() {
            Some(last) if last.is_user == is_user => last.blocks.push(block),
            Some(_) | None => self.messages.push(Message {
                is_user,
                blocks: vec![block],
            }),
        }
    }

    fn part(&mut self, is_user: bool, part: &'r Part<'r>, losses: &mut Vec<Loss>) {
        let (is_user, kind) = match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal(text) if text.trim().is_empty() => {
                return;
            }
            PartKind::Text {
                text, citations, ..
            } => {
                // A citation is good only with Anthropic's own index of its search.
                if !citations.is_empty() {
                    losses.push(Loss::cosmetic("citations"));
                }
                (is_user, Kind::Text(Cow::Borrowed(&**text)))
            }
            PartKind::Refusal(text) => (is_user, Kind::Text(Cow::Borrowed(&**text))),
            PartKind::Media(media) if is_user => {
                check_media(media, losses);
                (true, Kind::Media(media))
            }
            // Only users show pictures here.
            PartKind::Media(media) => {
                losses.push(Loss::cosmetic("messages.media"));
                (false, Kind::Text(note(media)))
            }
            PartKind::Reasoning(reasoning) if thought::is_own(reasoning) => {
                (false, Kind::Thinking(reasoning))
            }
            PartKind::Reasoning(_) => return,
            PartKind::ToolCall(call) => (false, Kind::ToolUse(call)),
            PartKind::ToolResult(result) => {
                for part in &result.content {
                    if let PartKind::Media(media) = &part.kind {
                        check_media(media, losses);
                    }
                }
                (true, Kind::ToolResult(result))
            }
        };
        self.push(is_user, kind, part.cache);
    }

    /// Puts things where they must be.
    fn mend(&mut self, ends_with_user: bool) {
        for message in &mut self.messages {
            let first = |block: &Block<'_>| match block.kind {
                Kind::ToolResult(_) => message.is_user,
                Kind::Thinking(_) => !message.is_user,
                Kind::Text(_) | Kind::Media(_) | Kind::ToolUse(_) => false,
            };
            // Thinking between calls stays there, as long as some begins the turn.
            if message.is_user || !message.blocks.first().is_some_and(first) {
                message.blocks.sort_by_key(|block| !first(block));
            }
        }
        let said = |text| Message {
            is_user: true,
            blocks: vec![Block {
                kind: Kind::Text(Cow::Borrowed(text)),
                cache: None,
            }],
        };
        if self.messages.first().is_some_and(|first| !first.is_user) {
            self.messages.insert(0, said(NOTHING_SAID));
        }
        if ends_with_user && self.ends_with_assistant() {
            self.messages.push(said(NOTHING_SAID));
        }
        if let Some(last) = self.messages.last_mut().filter(|last| !last.is_user)
            && let Some(Block {
                kind: Kind::Text(text),
                ..
            }) = last.blocks.last_mut()
        {
            // "final assistant content cannot end with trailing whitespace"
            *text = Cow::Owned(text.trim_end().to_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn ends_with_assistant(&self) -> bool {
        self.messages.last().is_some_and(|last| !last.is_user)
    }

    /// Are calls answered whose turn does not begin with thinking?
    pub(super) fn is_unsigned_loop(&self) -> bool {
        let Some(last) = self.messages.iter().rposition(|message| !message.is_user) else {
            return false;
        };
        let (before, after) = self.messages.split_at(last + 1);
        let is_answered = after
            .iter()
            .flat_map(|message| &message.blocks)
            .any(|block| matches!(block.kind, Kind::ToolResult(_)));
        let Some(turn) = before.last().filter(|_| is_answered) else {
            return false;
        };
        let calls = |block: &Block<'_>| matches!(block.kind, Kind::ToolUse(_));
        let thinks = |block: &Block<'_>| matches!(block.kind, Kind::Thinking(_));
        turn.blocks.iter().any(calls) && !turn.blocks.first().is_some_and(thinks)
    }

    pub(super) fn add_system(&mut self, text: &'static str) {
        self.system.push((Cow::Borrowed(text), None));
    }

    pub(super) fn marks(&self) -> usize {
        let of_blocks = |block: &Block<'_>| {
            let inner = match block.kind {
                Kind::ToolResult(result) => result
                    .content
                    .iter()
                    .filter(|part| part.cache.is_some() && is_shown(part))
                    .count(),
                Kind::Text(_) | Kind::Media(_) | Kind::Thinking(_) | Kind::ToolUse(_) => 0,
            };
            // Thinking cannot be marked.
            let own = block.cache.is_some() && !matches!(block.kind, Kind::Thinking(_));
            inner + usize::from(own)
        };
        self.system
            .iter()
            .filter(|(_, mark)| mark.is_some())
            .count()
            + self
                .messages
                .iter()
                .flat_map(|message| &message.blocks)
                .map(of_blocks)
                .sum::<usize>()
    }

    pub(super) fn write_system(&self, out: &mut Vec<u8>, marks: &mut Marks) {
        match self.system.as_slice() {
            [] => {}
            [(text, None)] => text_field(out, "system", text),
            blocks => {
                key(out, "system");
                out.push(b'[');
                for (text, mark) in blocks {
                    next(out);
                    write_text(out, text, *mark, marks);
                }
                out.push(b']');
            }
        }
    }

    pub(super) fn write_messages(&self, out: &mut Vec<u8>, marks: &mut Marks) {
        key(out, "messages");
        out.push(b'[');
        for message in &self.messages {
            next(out);
            out.push(b'{');
            text_field(
                out,
                "role",
                if message.is_user { "user" } else { "assistant" },
            );
            key(out, "content");
            if let [
                Block {
                    kind: Kind::Text(only),
                    cache: None,
                },
            ] = message.blocks.as_slice()
            {
                text(out, only);
            } else {
                out.push(b'[');
                for block in &message.blocks {
                    next(out);
                    write_block(out, block, marks);
                }
                out.push(b']');
            }
            out.push(b'}');
        }
        out.push(b']');
    }
}

fn write_text(out: &mut Vec<u8>, text: &str, mark: Option<CacheMark>, marks: &mut Marks) {
    out.extend_from_slice(br#"{"type":"text""#);
    text_field(out, "text", text);
    marks.write(out, mark);
    out.push(b'}');
}

fn write_block(out: &mut Vec<u8>, block: &Block<'_>, marks: &mut Marks) {
    match &block.kind {
        Kind::Text(text) => write_text(out, text, block.cache, marks),
        Kind::Media(media) => write_media(out, media, block.cache, marks),
        Kind::Thinking(reasoning) => {
            let data = reasoning
                .signature
                .as_ref()
                .map_or("", |signature| &*signature.data);
            if reasoning.redacted {
                out.extend_from_slice(br#"{"type":"redacted_thinking""#);
                text_field(out, "data", data);
            } else {
                out.extend_from_slice(br#"{"type":"thinking""#);
                text_field(out, "thinking", &reasoning.text);
                text_field(out, "signature", data);
            }
            out.push(b'}');
        }
        Kind::ToolUse(call) => {
            out.extend_from_slice(br#"{"type":"tool_use""#);
            text_field(out, "id", &call_id(&call.id));
            text_field(out, "name", &tool_name(&call.name));
            key(out, "input");
            write_input(out, call);
            marks.write(out, block.cache);
            out.push(b'}');
        }
        Kind::ToolResult(result) => write_result(out, result, block.cache, marks),
    }
}

/// Ids match `^[a-zA-Z0-9_-]+$`. Another is rewritten, equally wherever it stands.
fn call_id(id: &str) -> Cow<'_, str> {
    fitting(id, usize::MAX)
}

/// Names of tools match `^[a-zA-Z0-9_-]{1,128}$`. Another is rewritten in the same way.
pub(super) fn tool_name(name: &str) -> Cow<'_, str> {
    fitting(name, 128)
}

fn fitting(word: &str, most: usize) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=most).contains(&word.len()) && word.chars().all(fits) {
        return Cow::Borrowed(word);
    }
    let plain: String = word
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .take(48)
        .collect();
    // Words that look alike now stay apart.
    let hash = hash(word);
    Cow::Owned(format!("{plain}_{hash:016x}"))
}

/// The input must be an object.
fn write_input(out: &mut Vec<u8>, call: &ToolCall<'_>) {
    let arguments = call.arguments.trim();
    if !call.custom && arguments.is_empty() {
        out.extend_from_slice(b"{}");
    } else if !call.custom
        && arguments.starts_with('{')
        && serde_json::from_str::<&RawValue>(arguments).is_ok()
    {
        out.extend_from_slice(arguments.as_bytes());
    } else {
        // The text of a free-form tool, or what a model once wrote that is no JSON.
        out.push(b'{');
        text_field(out, "input", &call.arguments);
        out.push(b'}');
    }
}

/// Does anything of this part of a result go out?
fn is_shown(part: &Part<'_>) -> bool {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => !text.trim().is_empty(),
        PartKind::Media(_) => true,
        PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => false,
    }
}

fn write_result(
    out: &mut Vec<u8>,
    result: &ToolResult<'_>,
    mark: Option<CacheMark>,
    marks: &mut Marks,
) {
    out.extend_from_slice(br#"{"type":"tool_result""#);
    text_field(out, "tool_use_id", &call_id(&result.call_id));
    let mut shown = result.content.iter().filter(|part| is_shown(part));
    match (shown.next(), shown.next()) {
        (None, _) => {}
        (
            Some(Part {
                kind: PartKind::Text { text, .. },
                cache: None,
            }),
            None,
        ) => {
            text_field(out, "content", text);
        }
        (Some(_), _) => {
            key(out, "content");
            out.push(b'[');
            for part in result.content.iter().filter(|part| is_shown(part)) {
                next(out);
                match &part.kind {
                    PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                        write_text(out, text, part.cache, marks);
                    }
                    PartKind::Media(media) => write_media(out, media, part.cache, marks),
                    PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
                }
            }
            out.push(b']');
        }
    }
    if result.is_error {
        raw_field(out, "is_error", "true");
    }
    marks.write(out, mark);
    out.push(b'}');
}
