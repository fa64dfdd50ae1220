//! Reads the items of a conversation into turns. What the assistant said, thought and called stands in items of its own
//! here; together they are one turn.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::names::flat;
use super::read_parts::{self, PartWritten};
use super::read_request::inner;
use super::read_tools;
use super::thought::{self, Owner, read_compaction};
use crate::base::{Fault, FaultKind};
use crate::chat::{
    Json, Loss, Media, MediaKind, Part, PartKind, Reasoning, Role, Signature, Source, Text, Tool,
    ToolCall, ToolResult, Turn,
};
use crate::dialect::openai::read::{missing, unknown, wrong};
use crate::wire::read::{Content, Lenient, Str, object};

object! {
    struct Item<'a> {
        "type" => kind: Str<'a>,
        "role" => role: Str<'a>,
        "id" => id: Str<'a>,
        "content" => content: &'a RawValue,
        "call_id" => call_id: Str<'a>,
        "name" => name: Str<'a>,
        "namespace" => namespace: Str<'a>,
        "arguments" => arguments: &'a RawValue,
        "input" => input: &'a RawValue,
        "output" => output: &'a RawValue,
        "summary" => summary: &'a RawValue,
        "encrypted_content" => encrypted: Str<'a>,
        "tools" => tools: Vec<&'a RawValue>,
        "result" => result: Lenient<Str<'a>>,
        "output_format" => output_format: Lenient<Str<'a>>,
        "status" | "phase" | "created_by" | "caller" => skip: IgnoredAny,
    }
}

object! {
    struct Said<'a> {
        "text" => text: Str<'a>,
    }
}

/// The turns so far.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    pub(super) turns: Vec<Turn<'a>>,
    /// Tools that the conversation itself brought.
    pub(super) tools: Vec<Tool<'a>>,
    /// The last turn holds results of tools.
    results: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn item(
        &mut self,
        raw: &'a RawValue,
        path: &str,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        let item: Item<'a> = inner(raw, path)?;
        let kind = match (&item.kind, &item.role, &item.id) {
            (Some(kind), _, _) => kind.0.clone(),
            // The type of a message may be left out, and that of a reference.
            (None, Some(_), _) => Text::Borrowed("message"),
            (None, None, Some(_)) => Text::Borrowed("item_reference"),
            (None, None, None) => {
                return Err(missing(
                    format!("{path}.type"),
                    "the kind of the item is expected.",
                ));
            }
        };
        match &*kind {
            "message" => self.message(&item, path, losses),
            "function_call" | "custom_tool_call" => self.call(item, &kind, path, losses),
            "function_call_output" | "custom_tool_call_output" => self.result(item, path, losses),
            "reasoning" => self.reasoning(item, raw, path),
            "item_reference" => Err(Fault::new(
                FaultKind::InvalidRequest,
                format!(
                    "'{path}' names an item that the gateway does not hold; send the item itself."
                ),
            )
            .param(path.to_owned())),
            "compaction" | "compaction_summary" => {
                self.compaction(&item, path, losses);
                Ok(())
            }
            "compaction_trigger" => {
                losses.push(Loss::meaning(
                    path.to_owned(),
                    "only OpenAI compacts a conversation within an answer; leave it out, and send a shorter history.",
                ));
                Ok(())
            }
            "additional_tools" | "tool_search_output" => {
                for (at, tool) in item.tools.into_iter().flatten().enumerate() {
                    read_tools::tool(
                        tool,
                        &format!("{path}.tools[{at}]"),
                        losses,
                        &mut self.tools,
                    )?;
                }
                Ok(())
            }
            "image_generation_call" => {
                self.image(item, path, losses);
                Ok(())
            }
            // What OpenAI ran by itself: the answer that came of it stands beside it.
            _ => {
                losses.push(Loss::cosmetic(path.to_owned()));
                Ok(())
            }
        }
    }

    /// What the assistant's part is to be put into.
    fn assistant(&mut self) -> &mut Vec<Part<'a>> {
        self.results = false;
        if self
            .turns
            .last()
            .is_none_or(|turn| turn.role != Role::Assistant)
        {
            self.turns.push(Turn::new(Role::Assistant, Vec::new()));
        }
        let at = self.turns.len() - 1;
        &mut self.turns[at].parts
    }

    fn message(
        &mut self,
        item: &Item<'a>,
        path: &str,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        unknown(&format!("{path}."), &item.unknown, losses);
        let role = match item.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some(_) | None => {
                return Err(wrong(
                    format!("{path}.role"),
                    "'user', 'assistant', 'system' or 'developer' is expected.",
                ));
            }
        };
        let path = format!("{path}.content");
        let Some(content) = item.content else {
            return Err(missing(path, "a text or a list of parts is expected."));
        };
        let parts = match inner::<Content<'a, PartWritten<'a>>>(content, &path)? {
            Content::Text(text) => vec![Part::text(text)],
            Content::Many(written) => {
                let mut parts = Vec::with_capacity(written.len());
                for (at, part) in written.into_iter().enumerate() {
                    parts.extend(read_parts::part(part, &format!("{path}[{at}]"), losses)?);
                }
                parts
            }
        };
        if role == Role::Assistant {
            self.assistant().extend(parts);
        } else {
            self.results = false;
            self.turns.push(Turn::new(role, parts));
        }
        Ok(())
    }

    fn call(
        &mut self,
        item: Item<'a>,
        kind: &str,
        path: &str,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        unknown(&format!("{path}."), &item.unknown, losses);
        let id = call_id(item.call_id, path)?;
        let Some(Str(name)) = item.name.filter(|name| !name.is_empty()) else {
            return Err(missing(
                format!("{path}.name"),
                "the name of the tool is expected.",
            ));
        };
        let custom = kind == "custom_tool_call";
        let (field, written) = if custom {
            ("input", item.input)
        } else {
            ("arguments", item.arguments)
        };
        let arguments = match written {
            Some(raw) if raw.get().starts_with('"') => {
                inner::<Str<'a>>(raw, &format!("{path}.{field}"))?.0
            }
            // Some write the object itself.
            Some(raw) => Text::Borrowed(raw.get()),
            None => Text::default(),
        };
        let arguments = if !custom && arguments.trim().is_empty() {
            Text::Borrowed("{}")
        } else {
            arguments
        };
        let name = flat(item.namespace.as_deref(), name);
        self.assistant()
            .push(Part::new(PartKind::ToolCall(ToolCall {
                id,
                name,
                arguments,
                custom,
                signature: None,
            })));
        Ok(())
    }

    fn result(&mut self, item: Item<'a>, path: &str, losses: &mut Vec<Loss>) -> Result<(), Fault> {
        unknown(&format!("{path}."), &item.unknown, losses);
        let call_id = call_id(item.call_id, path)?;
        let path = format!("{path}.output");
        let Some(output) = item.output else {
            return Err(missing(path, "what the tool gave is expected."));
        };
        let (content, json) = match output.get().as_bytes().first() {
            Some(b'"') => (vec![Part::text(inner::<Str<'a>>(output, &path)?.0)], None),
            Some(b'[') => {
                let mut parts = Vec::new();
                for (at, part) in inner::<Vec<PartWritten<'a>>>(output, &path)?
                    .into_iter()
                    .enumerate()
                {
                    parts.extend(read_parts::part(part, &format!("{path}[{at}]"), losses)?);
                }
                (parts, None)
            }
            Some(_) | None => (vec![Part::text(output.get())], Some(Json::Borrowed(output))),
        };
        let namespace = item.namespace;
        let part = Part::new(PartKind::ToolResult(ToolResult {
            call_id,
            name: item.name.map(|Str(name)| flat(namespace.as_deref(), name)),
            content,
            json,
            is_error: false,
        }));
        match self.turns.last_mut() {
            Some(turn) if self.results => turn.parts.push(part),
            Some(_) | None => self.turns.push(Turn::new(Role::User, vec![part])),
        }
        self.results = true;
        Ok(())
    }

    fn reasoning(&mut self, item: Item<'a>, raw: &'a RawValue, path: &str) -> Result<(), Fault> {
        let texts = |written: Option<&'a RawValue>, field: &str| -> Result<Text<'a>, Fault> {
            let Some(written) = written else {
                return Ok(Text::default());
            };
            let mut texts = inner::<Vec<Said<'a>>>(written, &format!("{path}.{field}"))?
                .into_iter()
                .filter_map(|said| said.text.map(|Str(text)| text))
                .filter(|text| !text.is_empty());
            let mut all = texts.next().unwrap_or_default();
            for more in texts {
                all.to_mut().push_str("\n\n");
                all.to_mut().push_str(&more);
            }
            Ok(all)
        };
        let mut summary = true;
        let mut text = texts(item.summary, "summary")?;
        if text.is_empty() {
            text = texts(item.content, "content")?;
            summary = false;
        }
        let encrypted = item.encrypted.filter(|text| !text.is_empty());
        let mut redacted = false;
        let mut signature = None;
        if let Some(encrypted) = encrypted {
            let (owner, read) = thought::read(&encrypted, raw, text.is_empty());
            match owner {
                Owner::Thought {
                    redacted: bare,
                    summary: short,
                } => {
                    redacted = bare;
                    // The reasoning of others stands where this protocol has room for a summary only.
                    if read.origin != super::ORIGIN {
                        summary = short;
                    }
                    signature = Some(read);
                }
                Owner::Call(id) => {
                    self.sign_call(&id, read);
                    return Ok(());
                }
                Owner::Text(number) => {
                    self.sign_text(number, read);
                    return Ok(());
                }
            }
        }
        if text.is_empty() && signature.is_none() {
            return Ok(());
        }
        self.assistant()
            .push(Part::new(PartKind::Reasoning(Reasoning {
                text,
                signature,
                redacted,
                summary,
            })));
        Ok(())
    }

    fn image(&mut self, item: Item<'a>, path: &str, losses: &mut Vec<Loss>) {
        let result = item
            .result
            .and_then(|result| result.0)
            .filter(|data| !data.is_empty());
        let Some(Str(data)) = result else {
            losses.push(Loss::cosmetic(path.to_owned()));
            return;
        };
        let format = item.output_format.and_then(|format| format.0);
        self.assistant().push(Part::new(PartKind::Media(Media::new(
            MediaKind::Image,
            Some(Text::Owned(format!(
                "image/{}",
                format.as_deref().unwrap_or("png")
            ))),
            Source::Base64(data),
        ))));
    }

    fn sign_call(&mut self, id: &str, signed: Signature<'a>) {
        let mut calls = self
            .turns
            .iter_mut()
            .rev()
            .flat_map(|turn| turn.parts.iter_mut().rev());
        let call = calls.find_map(|part| match &mut part.kind {
            PartKind::ToolCall(call) if call.id == id => Some(call),
            _ => None,
        });
        if let Some(call) = call {
            call.signature = Some(signed);
        }
    }

    fn sign_text(&mut self, number: u32, signed: Signature<'a>) {
        let Some(turn) = self
            .turns
            .last_mut()
            .filter(|turn| turn.role == Role::Assistant)
        else {
            return;
        };
        let mut texts = turn
            .parts
            .iter_mut()
            .filter_map(|part| match &mut part.kind {
                PartKind::Text { signature, .. } => Some(signature),
                _ => None,
            });
        if let Some(signature) = texts.nth(number as usize) {
            *signature = Some(signed);
        }
    }

    fn compaction(&mut self, item: &Item<'a>, path: &str, losses: &mut Vec<Loss>) {
        match item.encrypted.as_deref().and_then(read_compaction) {
            Some(summary) => {
                self.results = false;
                let text = format!("What was said before, in short:\n\n{summary}");
                self.turns.push(Turn::new(Role::User, vec![Part::text(text)]));
            }
            None => losses.push(Loss::meaning(
                path.to_owned(),
                "only OpenAI can read the conversation that it compacted; send the conversation itself.",
            )),
        }
    }
}

fn call_id<'a>(written: Option<Str<'a>>, path: &str) -> Result<Text<'a>, Fault> {
    written
        .map(|Str(id)| id)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| missing(format!("{path}.call_id"), "the id of the call is expected."))
}

#[cfg(test)]
mod tests;
