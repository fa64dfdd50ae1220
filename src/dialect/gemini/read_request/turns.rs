//! `contents` and `systemInstruction`: turns, parts, and which response answers which call.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::super::media;
use super::super::sealed::{self, Thought};
use super::content::{inline, linked, result};
use super::wire::{Call, Entry, PartEntry, Response};
use super::{Losses, Worded, wrong};
use crate::base::Fault;
use crate::chat::{Part, PartKind, Reasoning, Request, Role, Signature, Text, ToolCall, Turn};
use crate::wire::read::Str;

/// A call that no response has answered yet.
struct Waiting<'a> {
    id: Text<'a>,
    name: Text<'a>,
    /// The client gave it no id.
    is_made: bool,
}

#[derive(Default)]
struct Conversation<'a> {
    turns: Vec<Turn<'a>>,
    waiting: Vec<Waiting<'a>>,
    /// How many ids were made for calls of a name.
    made: Vec<(String, u32)>,
}

/// Where a part stands.
#[derive(Clone, Copy)]
struct Place(usize, usize);

impl Place {
    fn field(self, name: &str) -> String {
        format!("contents[{}].parts[{}].{name}", self.0, self.1)
    }
}

pub(super) fn read<'a>(
    system: Option<Worded<'a, Entry<'a>>>,
    contents: Vec<Worded<'a, Entry<'a>>>,
    request: &mut Request<'a>,
    losses: &mut Losses<'_>,
) -> Result<(), Fault> {
    let mut conversation = Conversation::default();
    if let Some(system) = system {
        conversation.system(system, losses);
    }
    for (at, entry) in contents.into_iter().enumerate() {
        match entry {
            Worded::Text(text) => conversation.push(Role::User, Part::text(text)),
            Worded::Whole(entry) => conversation.entry(at, entry, losses)?,
        }
    }
    request.turns = conversation.turns;
    Ok(())
}

fn role(written: Option<&str>) -> Option<Role> {
    match written.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "user" | "function" | "tool" => Some(Role::User),
        "model" | "assistant" => Some(Role::Assistant),
        "system" => Some(Role::System),
        _ => None,
    }
}

impl<'a> Conversation<'a> {
    fn push(&mut self, role: Role, part: Part<'a>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.push(part),
            _ => self.turns.push(Turn::new(role, vec![part])),
        }
    }

    fn system(&mut self, system: Worded<'a, Entry<'a>>, losses: &mut Losses<'_>) {
        let entry = match system {
            Worded::Text(text) => return self.push(Role::System, Part::text(text)),
            Worded::Whole(entry) => entry,
        };
        losses.unknown("systemInstruction", &entry.unknown);
        let parts = entry.parts.map(|list| list.0).unwrap_or_default();
        for (number, part) in parts.into_iter().enumerate() {
            match part {
                Worded::Text(text)
                | Worded::Whole(PartEntry {
                    text: Some(Str(text)),
                    ..
                }) => {
                    if !text.is_empty() {
                        self.push(Role::System, Part::text(text));
                    }
                }
                Worded::Whole(_) => losses.meaning(
                    &format!("systemInstruction.parts[{number}]"),
                    "system instructions are text only.",
                ),
            }
        }
    }

    fn entry(&mut self, at: usize, entry: Entry<'a>, losses: &mut Losses<'_>) -> Result<(), Fault> {
        let role = role(entry.role.as_deref()).ok_or_else(|| {
            let path = format!("contents[{at}].role");
            wrong(
                path.clone(),
                format!("'{path}' is not a role: use 'user' or 'model'."),
            )
        })?;
        losses.unknown(&format!("contents[{at}]"), &entry.unknown);
        let parts = entry.parts.map(|list| list.0).unwrap_or_default();
        for (number, part) in parts.into_iter().enumerate() {
            match part {
                Worded::Text(text) => self.push(role, Part::text(text)),
                Worded::Whole(part) => self.part(role, part, Place(at, number), losses)?,
            }
        }
        Ok(())
    }

    fn part(
        &mut self,
        role: Role,
        part: PartEntry<'a>,
        place: Place,
        losses: &mut Losses<'_>,
    ) -> Result<(), Fault> {
        for (present, name) in [
            (part.video.is_some(), "videoMetadata"),
            (part.metadata.is_some(), "partMetadata"),
            (part.resolution.is_some(), "mediaResolution"),
            (part.hosted_call.is_some(), "toolCall"),
            (part.hosted_response.is_some(), "toolResponse"),
        ] {
            if present {
                losses.cosmetic(&place.field(name));
            }
        }
        for name in &part.unknown {
            let path = place.field(name);
            losses.all.push(crate::chat::Loss::cosmetic(path));
        }
        if part.hosted_call.is_some() || part.hosted_response.is_some() {
            return Ok(());
        }
        let signature = part
            .signature
            .filter(|written| !written.is_empty() && !is_dummy(written))
            .map(|written| sealed::read(written.0));
        if let Some(call) = part.call {
            return self.call(call, signature, place);
        }
        if let Some(response) = part.response {
            return self.response(response, place, losses);
        }
        if let Some(blob) = part.inline {
            let media = inline(blob, &place.field("inlineData"))?;
            self.push(role, Part::new(PartKind::Media(media)));
        } else if let Some(file) = part.file {
            let media = linked(file, &place.field("fileData"))?;
            self.push(role, Part::new(PartKind::Media(media)));
        } else if let Some(code) = part.code {
            let code = code.code.unwrap_or_default();
            self.push(role, Part::text(media::fence("python", &code)));
        } else if let Some(outcome) = part.outcome {
            let output = outcome.output.unwrap_or_default();
            self.push(role, Part::text(media::fence("", &output)));
        } else if part.thought == Some(true) {
            self.thought(part.text.unwrap_or_default().0, signature);
        } else {
            self.text(role, part.text.unwrap_or_default().0, signature);
        }
        Ok(())
    }

    /// The parts that a model has said since the user spoke.
    fn said(&mut self) -> &mut [Part<'a>] {
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Assistant => &mut turn.parts,
            _ => &mut [],
        }
    }

    /// A thought comes in pieces, and its signature in the last of them, which may be empty.
    fn thought(&mut self, text: Text<'a>, signature: Option<Signature<'a>>) {
        let signature = match signature {
            Some(signature) if sealed::is_pack(&signature) => {
                self.unpack(&signature);
                return;
            }
            signature => signature,
        };
        let said = self.said();
        let open = |part: &mut Part<'a>| matches!(&part.kind, PartKind::Reasoning(r) if r.signature.is_none());
        let last = said.len().wrapping_sub(1);
        let wanted = said
            .iter_mut()
            .rposition(open)
            .filter(|at| *at == last || text.is_empty());
        if let Some(at) = wanted
            && let PartKind::Reasoning(reasoning) = &mut said[at].kind
        {
            reasoning.text.to_mut().push_str(&text);
            reasoning.signature = signature;
        } else if !text.is_empty() || signature.is_some() {
            let reasoning = Reasoning {
                redacted: text.is_empty(),
                text,
                signature,
                summary: false,
            };
            self.push(Role::Assistant, Part::new(PartKind::Reasoning(reasoning)));
        }
    }

    fn text(&mut self, role: Role, text: Text<'a>, signed: Option<Signature<'a>>) {
        if !text.is_empty() {
            let part = Part::new(PartKind::Text {
                text,
                citations: Vec::new(),
                signature: signed,
            });
            return self.push(role, part);
        }
        // An empty text with a signature belongs to the text before it.
        if let Some(signed) = signed
            && let Some(PartKind::Text { signature, .. }) =
                self.said().last_mut().map(|part| &mut part.kind)
            && signature.is_none()
        {
            *signature = Some(signed);
        }
    }

    /// Reasoning of other makers that travelled on a call, unless the client has kept it in its own parts, too.
    fn unpack(&mut self, pack: &Signature<'_>) {
        for thought in sealed::unpack(pack) {
            let Thought {
                text,
                signature,
                redacted,
                summary,
            } = thought;
            let mut known = false;
            for part in self.said() {
                let PartKind::Reasoning(reasoning) = &mut part.kind else {
                    continue;
                };
                if signature.is_some() && reasoning.signature == signature {
                    known = true;
                } else if reasoning.signature.is_none()
                    && reasoning.text == text
                    && !text.is_empty()
                {
                    reasoning.signature.clone_from(&signature);
                    known = true;
                }
                if known {
                    reasoning.redacted = redacted;
                    reasoning.summary = summary;
                    break;
                }
            }
            if !known {
                let reasoning = Reasoning {
                    text: text.into(),
                    signature,
                    redacted,
                    summary,
                };
                self.push(Role::Assistant, Part::new(PartKind::Reasoning(reasoning)));
            }
        }
    }

    fn call(
        &mut self,
        call: Call<'a>,
        signature: Option<Signature<'a>>,
        place: Place,
    ) -> Result<(), Fault> {
        let name = call.name.filter(|name| !name.is_empty()).ok_or_else(|| {
            let path = place.field("functionCall.name");
            wrong(path.clone(), format!("'{path}' is missing."))
        })?;
        if self
            .turns
            .last()
            .is_none_or(|turn| turn.role != Role::Assistant)
        {
            // Nobody answers what was asked before.
            self.waiting.clear();
        }
        let signature = match signature {
            Some(signature) if sealed::is_pack(&signature) => {
                self.unpack(&signature);
                None
            }
            signature => signature,
        };
        let given = call.id.filter(|id| !id.is_empty());
        let is_made = given.is_none();
        let id = given.map_or_else(|| Cow::Owned(self.make_id(&name)), |id| id.0);
        self.waiting.push(Waiting {
            id: id.clone(),
            name: name.0.clone(),
            is_made,
        });
        let call = ToolCall {
            id,
            name: name.0,
            arguments: call.args.map_or("{}", RawValue::get).into(),
            custom: false,
            signature,
        };
        self.push(Role::Assistant, Part::new(PartKind::ToolCall(call)));
        Ok(())
    }

    /// The same for the same history, however much is said after it: providers that cache or check see no change.
    fn make_id(&mut self, name: &str) -> String {
        // Ids are short and plain for some providers.
        let plain: String = name
            .chars()
            .take(24)
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let number = match self.made.iter_mut().find(|(known, _)| *known == plain) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                self.made.push((plain.clone(), 1));
                1
            }
        };
        format!("call_{plain}_{number}")
    }

    /// The call that a response answers: the one it names; else the next one of its name, else the next.
    fn answered(&mut self, id: Option<Text<'a>>, name: &str) -> Text<'a> {
        let waits = |found: &dyn Fn(&Waiting<'a>) -> bool, waiting: &[Waiting<'a>]| {
            waiting.iter().position(found)
        };
        let at = match &id {
            Some(id) => waits(&|call| call.id == *id, &self.waiting)
                .or_else(|| waits(&|call| call.is_made && call.name == name, &self.waiting)),
            None => waits(&|call| call.name == name, &self.waiting)
                .or_else(|| (!self.waiting.is_empty()).then_some(0)),
        };
        match (at, id) {
            (Some(at), _) => self.waiting.remove(at).id,
            (None, Some(id)) => id,
            (None, None) => Cow::Owned(self.make_id(name)),
        }
    }

    fn response(
        &mut self,
        response: Response<'a>,
        place: Place,
        losses: &mut Losses<'_>,
    ) -> Result<(), Fault> {
        let name = response
            .name
            .map(|name| name.0)
            .filter(|name| !name.is_empty());
        let id = response.id.map(|id| id.0).filter(|id| !id.is_empty());
        let call_id = self.answered(id, name.as_deref().unwrap_or_default());
        losses.cosmetic_if(
            response.continues == Some(true),
            &place.field("functionResponse.willContinue"),
        );
        losses.cosmetic_if(
            response.scheduling.is_some(),
            &place.field("functionResponse.scheduling"),
        );
        for name in &response.unknown {
            losses.cosmetic(&place.field(&format!("functionResponse.{name}")));
        }
        let mut result = result(response.response);
        result.call_id = call_id;
        result.name = name;
        for (number, part) in response
            .parts
            .map(|list| list.0)
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let path = place.field(&format!("functionResponse.parts[{number}]"));
            let media = match (part.inline, part.file) {
                (Some(blob), _) => inline(blob, &path)?,
                (None, Some(file)) => linked(file, &path)?,
                (None, None) => continue,
            };
            result.content.push(Part::new(PartKind::Media(media)));
        }
        self.push(Role::User, Part::new(PartKind::ToolResult(result)));
        Ok(())
    }
}

/// What clients put where they have no signature
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>); SDKs encode it once more.
fn is_dummy(written: &str) -> bool {
    const DUMMIES: [&str; 2] = [
        "skip_thought_signature_validator",
        "context_engineering_is_the_way_to_go",
    ];
    DUMMIES
        .iter()
        .any(|dummy| written == *dummy || (written.len() < 64 && written == STANDARD.encode(dummy)))
}
