//! Reads messages: flat in this protocol, ordered parts in the canonical form.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::detail::{self, Detail, Kind};
use super::loose::{Items, Said};
use super::read_media::{
    AudioWritten, FileWritten, UrlObject, UrlWritten, linked, read_audio, read_file,
};
use crate::base::Fault;
use crate::chat::{
    CacheMark, Loss, MediaKind, Part, PartKind, Reasoning, Role, Signature, Text, ToolCall,
    ToolResult, Turn, seal,
};
use crate::dialect::openai::read::{unknown, wrong};
use crate::wire::read::{Content, Str, object};

object! {
    pub(super) struct Message<'a> {
        "role" => role: Str<'a>,
        "content" => content: Content<'a, PartWritten<'a>>,
        "name" => name: Str<'a>,
        "tool_calls" => tool_calls: Vec<CallWritten<'a>>,
        "tool_call_id" => tool_call_id: Str<'a>,
        "function_call" => function_call: FunctionCall<'a>,
        "refusal" => refusal: Str<'a>,
        "audio" => audio: IgnoredAny,
        "reasoning_content" => reasoning_content: Str<'a>,
        "reasoning" => reasoning: Str<'a>,
        "reasoning_details" => reasoning_details: Items<Detail<'a>>,
        "images" => images: Vec<PartWritten<'a>>,
        "annotations" => annotations: Vec<IgnoredAny>,
        "cache_control" => cache_control: CacheWritten<'a>,
    }
}

object! {
    pub(super) struct PartWritten<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "image_url" => image_url: UrlWritten<'a>,
        "video_url" => video_url: UrlWritten<'a>,
        "input_audio" => input_audio: AudioWritten<'a>,
        "file" => file: FileWritten<'a>,
        "refusal" => refusal: Str<'a>,
        "thinking" => thinking: Said<'a>,
        "cache_control" => cache_control: CacheWritten<'a>,
        // OpenAI's own mark (https://platform.openai.com/docs/guides/prompt-caching).
        "prompt_cache_breakpoint" => breakpoint: IgnoredAny,
        // Of an image in an answer.
        "index" => index: IgnoredAny,
    }
}

object! {
    pub(super) struct CacheWritten<'a> {
        "type" => kind: Str<'a>,
        "ttl" => ttl: Str<'a>,
    }
}

object! {
    pub(super) struct CallWritten<'a> {
        "id" => id: Str<'a>,
        "type" => kind: Str<'a>,
        "index" => index: IgnoredAny,
        "function" => function: FunctionCall<'a>,
        "custom" => custom: CustomCall<'a>,
        "extra_content" => extra: Extra<'a>,
    }
}

object! {
    pub(super) struct FunctionCall<'a> {
        "name" => name: Str<'a>,
        "arguments" => arguments: &'a RawValue,
    }
}

object! {
    pub(super) struct CustomCall<'a> {
        "name" => name: Str<'a>,
        "input" => input: Str<'a>,
    }
}

object! {
    /// <https://ai.google.dev/gemini-api/docs/thought-signatures#openai>
    pub(super) struct Extra<'a> {
        "google" => google: Google<'a>,
    }
}

object! {
    pub(super) struct Google<'a> {
        "thought_signature" => signature: Str<'a>,
    }
}

/// `{"type": "ephemeral", "ttl": "1h"}`
pub(super) fn mark(written: &CacheWritten<'_>) -> Option<CacheMark> {
    Some(match written.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some(_) | None => CacheMark::FiveMinutes,
    })
}

pub(super) fn turns<'a>(
    messages: Vec<Message<'a>>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Turn<'a>>, Fault> {
    let mut reader = Turns {
        turns: Vec::with_capacity(messages.len()),
        results: false,
        legacy: None,
        losses,
    };
    for (at, message) in messages.into_iter().enumerate() {
        reader.message(message, at)?;
    }
    Ok(reader.turns)
}

struct Turns<'a, 'l> {
    turns: Vec<Turn<'a>>,
    /// The last turn holds results of tools, and the next ones join it.
    results: bool,
    /// The call of the old form whose result is to come: calls of that form have no ids.
    legacy: Option<Text<'a>>,
    losses: &'l mut Vec<Loss>,
}

impl<'a> Turns<'a, '_> {
    fn message(&mut self, mut message: Message<'a>, at: usize) -> Result<(), Fault> {
        let path = format!("messages[{at}]");
        unknown(&format!("{path}."), &message.unknown, self.losses);
        let role = match message.role.as_deref() {
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some("user") => Role::User,
            Some("assistant" | "model") => Role::Assistant,
            Some("tool" | "function") => return self.result(message, at, &path),
            Some(_) | None => {
                return Err(wrong(
                    format!("{path}.role"),
                    "'system', 'developer', 'user', 'assistant' or 'tool' is expected.",
                ));
            }
        };
        let name = message.name.take().map(|Str(name)| name);
        let mut parts = Vec::new();
        if role == Role::Assistant {
            self.assistant(message, at, &path, &mut parts)?;
            // It said nothing.
            if parts.is_empty() {
                return Ok(());
            }
        } else {
            let mark = message.cache_control.as_ref().and_then(mark);
            self.content(message.content, &path, &mut parts)?;
            mark_last(&mut parts, mark);
            if parts.is_empty() {
                parts.push(Part::text(""));
            }
        }
        self.results = false;
        self.turns.push(Turn { role, name, parts });
        Ok(())
    }

    /// The result of a call. Those that follow each other stand in one turn.
    fn result(&mut self, message: Message<'a>, at: usize, path: &str) -> Result<(), Fault> {
        let name = message.name.map(|Str(name)| name);
        let call_id = match (message.tool_call_id, message.role.as_deref()) {
            (Some(Str(id)), _) if !id.is_empty() => id,
            (_, Some("function")) => self
                .legacy
                .take()
                .unwrap_or_else(|| Text::Owned(format!("call_{at}"))),
            (_, _) => {
                return Err(wrong(
                    format!("{path}.tool_call_id"),
                    "the id of the call that this is the result of is expected.",
                ));
            }
        };
        let mark = message.cache_control.as_ref().and_then(mark);
        let mut content = Vec::new();
        self.content(message.content, path, &mut content)?;
        let mut part = Part::new(PartKind::ToolResult(ToolResult {
            call_id,
            name,
            content,
            json: None,
            is_error: false,
        }));
        part.cache = mark;
        match self.turns.last_mut() {
            Some(turn) if self.results => turn.parts.push(part),
            Some(_) | None => self.turns.push(Turn::new(Role::User, vec![part])),
        }
        self.results = true;
        Ok(())
    }

    fn assistant(
        &mut self,
        message: Message<'a>,
        at: usize,
        path: &str,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Fault> {
        if message.audio.is_some() {
            self.losses.push(Loss::meaning(
                format!("{path}.audio"),
                "the provider that made this audio keeps it, and no other can hear it; send its transcript as 'content'.",
            ));
        }
        if message.annotations.is_some_and(|all| !all.is_empty()) {
            self.losses
                .push(Loss::cosmetic(format!("{path}.annotations")));
        }
        let mark = message.cache_control.as_ref().and_then(mark);
        let mut calls = Vec::new();
        for (number, call) in message.tool_calls.into_iter().flatten().enumerate() {
            calls.push(self.call(call, at, number, path)?);
        }
        if let Some(call) = message.function_call {
            let id = Text::Owned(format!("call_{at}"));
            self.legacy = Some(id.clone());
            calls.push(function_call(id, call, &format!("{path}.function_call"))?);
        }
        let mut details = message.reasoning_details.unwrap_or_default().0;
        details.retain(|entry| !signs_call(entry, &mut calls));
        let said = message.reasoning_content.filter(|text| !text.is_empty());
        let said = said.or(message.reasoning).map(|Str(text)| text);
        parts.extend(
            detail::read(said, details)
                .into_iter()
                .map(|reasoning| Part::new(PartKind::Reasoning(reasoning))),
        );
        let before = parts.len();
        self.content(message.content, path, parts)?;
        // An empty text beside something else says nothing.
        let mut number = 0;
        parts.retain(|part| {
            number += 1;
            number <= before || part.as_text() != Some("")
        });
        if let Some(Str(refusal)) = message.refusal.filter(|text| !text.is_empty()) {
            parts.push(Part::new(PartKind::Refusal(refusal)));
        }
        for (number, image) in message.images.into_iter().flatten().enumerate() {
            let path = format!("{path}.images[{number}]");
            let url = image
                .image_url
                .unwrap_or(UrlWritten(UrlObject::default()))
                .0;
            parts.push(Part::new(PartKind::Media(linked(
                url,
                MediaKind::Image,
                &format!("{path}.image_url"),
                self.losses,
            )?)));
        }
        parts.extend(
            calls
                .into_iter()
                .map(|call| Part::new(PartKind::ToolCall(call))),
        );
        mark_last(parts, mark);
        Ok(())
    }

    fn call(
        &mut self,
        written: CallWritten<'a>,
        at: usize,
        number: usize,
        path: &str,
    ) -> Result<ToolCall<'a>, Fault> {
        let path = format!("{path}.tool_calls[{number}]");
        unknown(&format!("{path}."), &written.unknown, self.losses);
        let id = match written.id {
            Some(Str(id)) if !id.is_empty() => id,
            Some(_) | None => Text::Owned(format!("call_{at}_{number}")),
        };
        let mut call = match (written.custom, written.function) {
            (Some(custom), None) => ToolCall {
                id,
                name: custom.name.map(|Str(name)| name).ok_or_else(|| {
                    wrong(
                        format!("{path}.custom.name"),
                        "the tool's name is expected.",
                    )
                })?,
                arguments: custom.input.map(|Str(text)| text).unwrap_or_default(),
                custom: true,
                signature: None,
            },
            (_, function) => function_call(
                id,
                function.unwrap_or_default(),
                &format!("{path}.function"),
            )?,
        };
        call.signature = written
            .extra
            .and_then(|extra| extra.google?.signature)
            .filter(|signature| !signature.is_empty())
            .map(|Str(signature)| seal::read("gemini", signature));
        Ok(call)
    }

    fn content(
        &mut self,
        content: Option<Content<'a, PartWritten<'a>>>,
        path: &str,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Fault> {
        match content {
            None => {}
            Some(Content::Text(text)) => parts.push(Part::text(text)),
            Some(Content::Many(all)) => {
                for (number, part) in all.into_iter().enumerate() {
                    let path = format!("{path}.content[{number}]");
                    parts.push(self.part(part, &path)?);
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, written: PartWritten<'a>, path: &str) -> Result<Part<'a>, Fault> {
        unknown(&format!("{path}."), &written.unknown, self.losses);
        let missing = |field: &str| wrong(format!("{path}.{field}"), "it is missing.");
        let cache = written
            .cache_control
            .as_ref()
            .and_then(mark)
            .or(written.breakpoint.map(|_| CacheMark::FiveMinutes));
        let kind = match written.kind.as_deref().unwrap_or("text") {
            "text" | "input_text" | "output_text" => {
                let Str(text) = written.text.ok_or_else(|| missing("text"))?;
                Part::text(text).kind
            }
            "image_url" | "input_image" => {
                let url = written.image_url.ok_or_else(|| missing("image_url"))?.0;
                PartKind::Media(linked(
                    url,
                    MediaKind::Image,
                    &format!("{path}.image_url"),
                    self.losses,
                )?)
            }
            "video_url" | "input_video" => {
                let url = written.video_url.ok_or_else(|| missing("video_url"))?.0;
                PartKind::Media(linked(
                    url,
                    MediaKind::Video,
                    &format!("{path}.video_url"),
                    self.losses,
                )?)
            }
            "input_audio" => {
                let audio = written.input_audio.ok_or_else(|| missing("input_audio"))?;
                PartKind::Media(read_audio(audio, &format!("{path}.input_audio"))?)
            }
            "file" => {
                let file = written.file.ok_or_else(|| missing("file"))?;
                PartKind::Media(read_file(file, &format!("{path}.file"))?)
            }
            "refusal" => {
                let Str(refusal) = written.refusal.ok_or_else(|| missing("refusal"))?;
                PartKind::Refusal(refusal)
            }
            "thinking" => PartKind::Reasoning(Reasoning {
                text: thought(written.thinking.unwrap_or_default()),
                ..Reasoning::default()
            }),
            _ => {
                return Err(wrong(
                    format!("{path}.type"),
                    "'text', 'image_url', 'input_audio', 'file', 'video_url' or 'refusal' is expected.",
                ));
            }
        };
        Ok(Part { kind, cache })
    }
}

fn mark_last(parts: &mut [Part<'_>], mark: Option<CacheMark>) {
    if let (Some(mark), Some(last)) = (mark, parts.last_mut()) {
        last.cache.get_or_insert(mark);
    }
}

fn thought(said: Said<'_>) -> Text<'_> {
    match said {
        Said::Nothing => Text::default(),
        Said::Text(text) => text,
        Said::Pieces(pieces) => pieces
            .into_iter()
            .filter_map(|piece| piece.text?.0)
            .collect::<Vec<_>>()
            .concat()
            .into(),
    }
}

/// An encrypted entry that has a call's id is the signature of that call. `true`: it was taken.
fn signs_call<'a>(entry: &Detail<'a>, calls: &mut [ToolCall<'a>]) -> bool {
    let text = |loose: &Option<super::loose::Loose<'a>>| loose.as_ref().and_then(|l| l.0.clone());
    let (Some(Kind::Encrypted), Some(id), Some(data)) =
        (entry.kind(), text(&entry.id), text(&entry.data))
    else {
        return false;
    };
    let Some(call) = calls.iter_mut().find(|call| call.id == id) else {
        return false;
    };
    let googles = text(&entry.format).as_deref() == Some("google-gemini-v1");
    let signature = match seal::unseal(&data) {
        Some(signature) => signature,
        None if googles => Signature::new("gemini", data),
        None => return false,
    };
    call.signature = Some(signature);
    true
}

fn function_call<'a>(
    id: Text<'a>,
    written: FunctionCall<'a>,
    path: &str,
) -> Result<ToolCall<'a>, Fault> {
    let name = written
        .name
        .map(|Str(name)| name)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong(format!("{path}.name"), "the function's name is expected."))?;
    let arguments = match written.arguments {
        None => Text::default(),
        Some(raw) if raw.get().starts_with('"') => serde_json::from_str::<Str<'a>>(raw.get())
            .map(|Str(text)| text)
            .unwrap_or_default(),
        // Not a text, against the rule, but clear.
        Some(raw) => Text::Borrowed(raw.get()),
    };
    let arguments = if arguments.trim().is_empty() {
        Text::Borrowed("{}")
    } else {
        arguments
    };
    Ok(ToolCall {
        id,
        name,
        arguments,
        custom: false,
        signature: None,
    })
}

#[cfg(test)]
mod tests;
