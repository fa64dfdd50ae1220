//! `contents` and `systemInstruction`. Roles alternate; all results of a turn's calls stand in the one content that
//! follows it.

use super::super::json::{arguments, string};
use super::super::{ORIGIN, media};
use super::{Losses, Names, Object, PartKind, Request, Source, Target, list};
use crate::base::{Fault, FaultKind};
use crate::chat::{Media, MediaKind, Part, Role, Signature, Text, ToolCall, ToolResult, Turn};

/// Stands for a signature that there is none of
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What stands before all that is no result of a call.
const NO_RESULT: usize = usize::MAX;

struct Content {
    is_model: bool,
    /// What comes first, and the part.
    parts: Vec<(usize, Vec<u8>)>,
}

struct Writer<'w> {
    request: &'w Request<'w>,
    target: &'w Target<'w>,
    names: &'w Names,
    contents: Vec<Content>,
    /// Ids of the calls of the latest model content, in their order.
    calls: Vec<&'w str>,
}

pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    names: &Names,
    body: &mut Object<'_>,
    losses: &mut Losses,
) -> Result<(), Fault> {
    let is_system = |turn: &Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
    let leading = request
        .turns
        .iter()
        .take_while(|turn| is_system(turn))
        .count();
    let (system, turns) = request.turns.split_at(leading);
    let mut instructions: Vec<&str> = Vec::new();
    for part in system.iter().flat_map(|turn| &turn.parts) {
        match (part.as_text(), &part.kind) {
            (Some(text), _) if !text.is_empty() => instructions.push(text),
            (Some(_), _) => {}
            (
                None,
                PartKind::Media(Media {
                    source: Source::Plain(text),
                    ..
                }),
            ) => {
                instructions.push(text);
            }
            (None, _) => losses.meaning(
                "system",
                "Gemini takes only text as system instruction; move the rest into a user turn.",
            ),
        }
    }
    let mut writer = Writer {
        request,
        target,
        names,
        contents: Vec::new(),
        calls: Vec::new(),
    };
    let spoke = turns.iter().rposition(is_spoken);
    for (at, turn) in turns.iter().enumerate() {
        let is_current = spoke.is_none_or(|spoke| at > spoke);
        writer.turn(turn, is_current, losses);
    }
    if writer.contents.is_empty() {
        // Instructions alone are what is asked, then.
        for text in std::mem::take(&mut instructions) {
            writer.push(false, NO_RESULT, text_part(text));
        }
    }
    if writer.contents.is_empty() && losses.refuse() {
        return Ok(());
    }
    if writer.contents.is_empty() {
        let message = "The conversation is empty: at least one turn must have content.";
        return Err(Fault::new(FaultKind::InvalidRequest, message).param("messages"));
    }
    if writer.contents[0].is_model {
        // A conversation begins with the user.
        let first = Content {
            is_model: false,
            parts: vec![(NO_RESULT, text_part(" "))],
        };
        writer.contents.insert(0, first);
    }
    if !instructions.is_empty() {
        let mut system = Object::open(body.key("systemInstruction"));
        list(system.key("parts"), instructions, |out, text| {
            out.extend_from_slice(&text_part(text));
        });
        system.close();
    }
    list(body.key("contents"), writer.contents, |out, mut content| {
        // Results in the order of their calls, then the rest as it stood.
        content.parts.sort_by_key(|(rank, _)| *rank);
        let mut object = Object::open(out);
        object.text("role", if content.is_model { "model" } else { "user" });
        list(object.key("parts"), content.parts, |out, (_, part)| {
            out.extend_from_slice(&part);
        });
        object.close();
    });
    Ok(())
}

/// Has the user said something here, beside results of tools? Then a new turn of the conversation begins.
fn is_spoken(turn: &Turn<'_>) -> bool {
    let is_result = |part: &Part<'_>| matches!(part.kind, PartKind::ToolResult(_));
    turn.role == Role::User && !turn.parts.is_empty() && !turn.parts.iter().any(is_result)
}

fn text_part(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut object = Object::open(&mut out);
    object.text("text", text);
    object.close();
    out
}

fn own<'s>(signature: Option<&'s Signature<'_>>) -> Option<&'s str> {
    signature
        .filter(|signature| signature.origin == ORIGIN)
        .map(|signature| &*signature.data)
}

impl<'w> Writer<'w> {
    fn push(&mut self, is_model: bool, rank: usize, part: Vec<u8>) {
        match self.contents.last_mut() {
            Some(content) if content.is_model == is_model => content.parts.push((rank, part)),
            _ => {
                if is_model {
                    self.calls.clear();
                }
                self.contents.push(Content {
                    is_model,
                    parts: vec![(rank, part)],
                });
            }
        }
    }

    fn turn(&mut self, turn: &'w Turn<'w>, is_current: bool, losses: &mut Losses) {
        if turn.name.is_some() {
            losses.cosmetic("name");
        }
        match turn.role {
            Role::System | Role::Developer => {
                for text in turn.parts.iter().filter_map(Part::as_text) {
                    let text = format!("<system-reminder>\n{text}\n</system-reminder>");
                    self.push(false, NO_RESULT, text_part(&text));
                }
            }
            Role::User => {
                for part in &turn.parts {
                    self.part(part, false, false, losses);
                }
            }
            Role::Assistant => {
                for part in &turn.parts {
                    self.part(part, true, is_current, losses);
                }
            }
        }
    }

    fn part(&mut self, part: &'w Part<'w>, is_model: bool, is_current: bool, losses: &mut Losses) {
        match &part.kind {
            PartKind::Text {
                text,
                citations,
                signature,
            } => {
                if !citations.is_empty() {
                    losses.cosmetic("citations");
                }
                self.text(is_model, text, own(signature.as_ref()).filter(|_| is_model));
            }
            PartKind::Refusal(text) => self.text(is_model, text, None),
            PartKind::Reasoning(reasoning) => {
                // Only what Google signed means anything to it.
                if let Some(signature) = own(reasoning.signature.as_ref()) {
                    let mut out = Vec::new();
                    let mut object = Object::open(&mut out);
                    object.text("text", &reasoning.text);
                    object.raw("thought", "true");
                    object.text("thoughtSignature", signature);
                    object.close();
                    self.push(true, NO_RESULT, out);
                }
            }
            PartKind::ToolCall(call) => self.call(call, is_current),
            PartKind::ToolResult(result) => self.result(result, losses),
            PartKind::Media(media) => self.media(media, is_model, losses),
        }
    }

    fn text(&mut self, is_model: bool, text: &str, signature: Option<&str>) {
        // Empty texts are refused, but for those that carry a signature.
        if text.is_empty() && signature.is_none() {
            return;
        }
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut object = Object::open(&mut out);
        object.text("text", text);
        if let Some(signature) = signature {
            object.text("thoughtSignature", signature);
        }
        object.close();
        self.push(is_model, NO_RESULT, out);
    }

    fn call(&mut self, call: &'w ToolCall<'w>, is_current: bool) {
        let is_first =
            self.contents.last().is_none_or(|content| !content.is_model) || self.calls.is_empty();
        // Of parallel calls only the first is signed.
        let must = self.target.signed_calls && is_current && is_first;
        let signature = own(call.signature.as_ref()).or(must.then_some(NO_SIGNATURE));
        let mut out = Vec::with_capacity(call.arguments.len() + 64);
        let mut object = Object::open(&mut out);
        let mut function = Object::open(object.key("functionCall"));
        function.text("name", &self.names.sent(&call.name));
        arguments(function.key("args"), &call.arguments, call.custom);
        function.text("id", &call.id);
        function.close();
        if let Some(signature) = signature {
            object.text("thoughtSignature", signature);
        }
        object.close();
        self.push(true, NO_RESULT, out);
        self.calls.push(&call.id);
    }

    fn result(&mut self, result: &'w ToolResult<'w>, losses: &mut Losses) {
        let rank = self
            .calls
            .iter()
            .position(|id| *id == result.call_id)
            .unwrap_or(self.calls.len());
        let name = result
            .name
            .as_deref()
            .or_else(|| self.request.tool_name(&result.call_id));
        let mut inlined: Vec<&Media<'_>> = Vec::new();
        let mut beside: Vec<&Media<'_>> = Vec::new();
        let mut text = String::new();
        for part in &result.content {
            match &part.kind {
                PartKind::Text { text: more, .. } | PartKind::Refusal(more) => {
                    join(&mut text, more);
                }
                PartKind::Media(media) => match &media.source {
                    Source::Plain(more) => join(&mut text, more),
                    // The second generation takes no media inside of a response.
                    Source::Base64(_) if self.target.signed_calls => inlined.push(media),
                    Source::Base64(_) | Source::Url(_) | Source::File(_) => beside.push(media),
                },
                PartKind::Reasoning(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) => {}
            }
        }
        let mut out = Vec::with_capacity(text.len() + 96);
        let mut object = Object::open(&mut out);
        let mut response = Object::open(object.key("functionResponse"));
        // The name is required; a result of no call is told from the call's id.
        response.text("name", &self.names.sent(name.unwrap_or(&result.call_id)));
        response.text("id", &result.call_id);
        response_value(result, &text, response.key("response"));
        if !inlined.is_empty() {
            list(response.key("parts"), inlined, |out, media| {
                let mut part = Object::open(out);
                inline_data(media, &mut part);
                part.close();
            });
        }
        response.close();
        object.close();
        self.push(false, rank, out);
        for media in beside {
            self.media(media, false, losses);
        }
    }

    fn media(&mut self, media: &Media<'_>, is_model: bool, losses: &mut Losses) {
        if media
            .detail
            .as_deref()
            .is_some_and(|detail| detail != "auto")
        {
            losses.cosmetic("detail");
        }
        if media.name.is_some() {
            losses.cosmetic("filename");
        }
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        match &media.source {
            Source::Base64(_) => inline_data(media, &mut object),
            Source::Plain(text) if text.is_empty() => return,
            Source::Plain(text) => object.text("text", text),
            Source::Url(uri) => file_data(uri, media, &mut object),
            Source::File(uri) if media::is_googles_file(uri) => {
                file_data(uri, media, &mut object);
            }
            Source::File(_) => {
                return losses.meaning(
                    "file_id",
                    "the file is held by another provider; send its bytes or a public address.",
                );
            }
        }
        object.close();
        self.push(is_model, NO_RESULT, out);
    }
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

/// "Callers can use any keys of their choice"; those of the documentation are `output`, `result` and `error`.
fn response_value(result: &ToolResult<'_>, text: &str, out: &mut Vec<u8>) {
    let json = result.json.as_ref().map(|json| json.get().trim());
    match json {
        Some(json) if json.starts_with('{') && !result.is_error => {
            out.extend_from_slice(json.as_bytes());
        }
        Some(json) => {
            let mut object = Object::open(out);
            object.raw(if result.is_error { "error" } else { "result" }, json);
            object.close();
        }
        None => {
            let mut object = Object::open(out);
            object.text(if result.is_error { "error" } else { "output" }, text);
            object.close();
        }
    }
}

/// The names that Gemini has for types (<https://ai.google.dev/gemini-api/docs/audio>).
fn mime(written: &str) -> &str {
    match written {
        "audio/mpeg" => "audio/mp3",
        "audio/x-wav" | "audio/wave" => "audio/wav",
        "image/jpg" => "image/jpeg",
        "video/quicktime" => "video/mov",
        other => other,
    }
}

fn inline_data(media: &Media<'_>, object: &mut Object<'_>) {
    let data: &Text<'_> = match &media.source {
        Source::Base64(data) | Source::Plain(data) | Source::Url(data) | Source::File(data) => data,
    };
    let known = media.mime.as_deref().filter(|mime| !mime.is_empty());
    let guessed = known.or_else(|| media::mime_of_base64(data));
    let default = match media.kind {
        MediaKind::Image => "image/png",
        MediaKind::Audio => "audio/wav",
        MediaKind::Video => "video/mp4",
        MediaKind::Document => "application/pdf",
    };
    let mut blob = Object::open(object.key("inlineData"));
    blob.text("mimeType", mime(guessed.unwrap_or(default)));
    string(blob.key("data"), data);
    blob.close();
}

fn file_data(uri: &str, media: &Media<'_>, object: &mut Object<'_>) {
    let known = media.mime.as_deref().filter(|mime| !mime.is_empty());
    let mut file = Object::open(object.key("fileData"));
    file.text("fileUri", uri);
    if let Some(known) = known.or_else(|| media::mime_of_url(uri)) {
        file.text("mimeType", mime(known));
    }
    file.close();
}
