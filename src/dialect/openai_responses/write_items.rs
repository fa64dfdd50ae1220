//! Writes the turns of a conversation as items. Reasoning goes back to its own maker alone, and only where something
//! follows it, as the protocol demands.

use super::names::call_id;
use super::thought;
use super::write_parts::{input_text, write_part};
use crate::chat::{Citation, Loss, Part, PartKind, Request, Role, ToolCall, ToolResult, Turn};
use crate::dialect::names::Names;
use crate::wire::emit::Emit;

/// `instructions` and `input`.
pub(super) fn conversation(
    out: &mut Emit<'_>,
    request: &Request<'_>,
    names: &Names,
    losses: &mut Vec<Loss>,
) {
    let leading = request
        .turns
        .iter()
        .take_while(|turn| {
            turn.role == Role::System && turn.parts.iter().all(|p| p.as_text().is_some())
        })
        .count();
    let (instructions, turns) = request.turns.split_at(leading);
    if leading > 0 && !turns.is_empty() {
        let texts: Vec<&str> = instructions
            .iter()
            .flat_map(|turn| turn.parts.iter().filter_map(Part::as_text))
            .collect();
        out.text("instructions", &texts.join("\n\n"));
    }
    // With instructions alone there would be no input: they are it then.
    let turns = if turns.is_empty() {
        instructions
    } else {
        turns
    };
    if request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .any(|part| part.cache.is_some())
    {
        losses.push(Loss::cosmetic("cache_control"));
    }
    let mut items = Items {
        list: out.nested_list("input"),
        request,
        names,
        losses,
    };
    for turn in turns {
        match turn.role {
            Role::Assistant => items.assistant(turn),
            Role::User => items.others("user", turn),
            Role::System => items.others("system", turn),
            Role::Developer => items.others("developer", turn),
        }
    }
    items.list.end();
}

struct Items<'o, 'r> {
    list: Emit<'o>,
    request: &'r Request<'r>,
    names: &'r Names,
    losses: &'r mut Vec<Loss>,
}

impl Items<'_, '_> {
    fn others(&mut self, role: &str, turn: &Turn<'_>) {
        let mut parts: Vec<&Part<'_>> = Vec::new();
        for part in &turn.parts {
            if let PartKind::ToolResult(result) = &part.kind {
                self.message(role, &parts);
                parts.clear();
                self.result(result);
            } else {
                parts.push(part);
            }
        }
        self.message(role, &parts);
    }

    fn message(&mut self, role: &str, parts: &[&Part<'_>]) {
        if parts.is_empty() {
            return;
        }
        let mut item = self.list.nested_item();
        item.text("role", role);
        let mut content = item.nested_list("content");
        for part in parts {
            write_part(&mut content, part, self.losses);
        }
        content.end();
        item.end();
    }

    fn assistant(&mut self, turn: &Turn<'_>) {
        // Reasoning without what follows it is refused: it waits for that.
        let mut thoughts: Vec<Vec<u8>> = Vec::new();
        let mut said: Vec<&Part<'_>> = Vec::new();
        let mut shown: Vec<&Part<'_>> = Vec::new();
        for part in &turn.parts {
            match &part.kind {
                PartKind::Text { .. } | PartKind::Refusal(_) => said.push(part),
                PartKind::Reasoning(reasoning) => {
                    self.say(&mut thoughts, &mut said);
                    let mut item = Vec::new();
                    if thought::write(&mut item, reasoning) {
                        thoughts.push(item);
                    }
                }
                PartKind::ToolCall(call) => {
                    self.say(&mut thoughts, &mut said);
                    self.think(&mut thoughts);
                    self.call(call);
                }
                PartKind::Media(media) if media.transcript.is_some() => said.push(part),
                PartKind::Media(_) => shown.push(part),
                PartKind::ToolResult(result) => {
                    self.say(&mut thoughts, &mut said);
                    self.result(result);
                }
            }
        }
        self.say(&mut thoughts, &mut said);
        // The assistant's own messages have no room for what it made.
        self.message("user", &shown);
    }

    fn think(&mut self, thoughts: &mut Vec<Vec<u8>>) {
        for item in thoughts.drain(..) {
            self.list.item().extend_from_slice(&item);
        }
    }

    fn say(&mut self, thoughts: &mut Vec<Vec<u8>>, said: &mut Vec<&Part<'_>>) {
        if said.is_empty() {
            return;
        }
        self.think(thoughts);
        let mut item = self.list.nested_item();
        item.text("type", "message");
        item.text("role", "assistant");
        let mut content = item.nested_list("content");
        for part in said.drain(..) {
            let mut out = content.nested_item();
            match &part.kind {
                PartKind::Refusal(text) => {
                    out.text("type", "refusal");
                    out.text("refusal", text);
                }
                PartKind::Text {
                    text, citations, ..
                } => {
                    out.text("type", "output_text");
                    out.text("text", text);
                    let mut list = out.nested_list("annotations");
                    for citation in citations.iter().filter(|c| c.url.is_some()) {
                        annotation(list.item(), citation, 0);
                    }
                    list.end();
                }
                PartKind::Media(media) => {
                    out.text("type", "output_text");
                    out.text("text", media.transcript.as_deref().unwrap_or_default());
                    out.literal("annotations", "[]");
                }
                PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
            }
            out.end();
        }
        content.end();
        item.end();
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        let mut item = self.list.nested_item();
        let (kind, field) = if call.custom {
            ("custom_tool_call", "input")
        } else {
            ("function_call", "arguments")
        };
        item.text("type", kind);
        item.text("call_id", &call_id(&call.id));
        item.text("name", &self.names.sent(&call.name));
        let blank = !call.custom && call.arguments.trim().is_empty();
        item.text(field, if blank { "{}" } else { &call.arguments });
        item.end();
    }

    fn result(&mut self, result: &ToolResult<'_>) {
        let custom = self
            .request
            .turns
            .iter()
            .flat_map(|turn| &turn.parts)
            .any(|part| matches!(&part.kind, PartKind::ToolCall(call) if call.custom && call.id == result.call_id));
        let mut item = self.list.nested_item();
        item.text(
            "type",
            if custom {
                "custom_tool_call_output"
            } else {
                "function_call_output"
            },
        );
        item.text("call_id", &call_id(&result.call_id));
        // The protocol has no field for it, and the model should know.
        let mark = if result.is_error {
            "[tool error]\n"
        } else {
            ""
        };
        match &result.content[..] {
            [] => item.text("output", mark.trim_end()),
            [only] if only.as_text().is_some() => {
                let text = only.as_text().unwrap_or_default();
                if mark.is_empty() {
                    item.text("output", text);
                } else {
                    item.text("output", &format!("{mark}{text}"));
                }
            }
            parts => {
                let mut list = item.nested_list("output");
                if !mark.is_empty() {
                    input_text(&mut list, mark.trim_end());
                }
                for part in parts {
                    write_part(&mut list, part, self.losses);
                }
                list.end();
            }
        }
        item.end();
    }
}

/// A citation as an annotation (<https://platform.openai.com/docs/api-reference/responses/object>); `length`: of the text
/// that rests on it, where no part of it is named.
pub(super) fn annotation(out: &mut Vec<u8>, citation: &Citation<'_>, length: u64) {
    let (start, end) = citation.span.unwrap_or((0, length));
    let mut object = Emit::object(out);
    if let Some(url) = &citation.url {
        object.text("type", "url_citation");
        object.text("url", url);
        object.text("title", citation.title.as_deref().unwrap_or_default());
        object.count("start_index", start);
        object.count("end_index", end);
    } else {
        object.text("type", "file_citation");
        let number = citation.document.unwrap_or_default();
        object.text("file_id", &format!("document_{number}"));
        object.text("filename", citation.title.as_deref().unwrap_or_default());
        object.count("index", end);
    }
    object.end();
}

#[cfg(test)]
mod tests;
