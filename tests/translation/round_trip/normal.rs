//! How two requests are held against each other: what differs here would make a difference to a model.

use std::fmt::Write as _;

use serde_json::Value;

use torouter::chat::{
    Format, Json, Media, Part, PartKind, Request, Role, Source, Tool, ToolChoice, ToolResult,
};

fn sorted(json: &str) -> String {
    serde_json::from_str::<Value>(json)
        .expect("JSON")
        .to_string()
}

/// Calls by the order in which they were made: a protocol may have no ids, or others.
fn place(ids: &mut Vec<String>, id: &str) -> usize {
    ids.iter().position(|known| known == id).unwrap_or_else(|| {
        ids.push(id.to_owned());
        ids.len() - 1
    })
}

fn media_line(media: &Media<'_>) -> String {
    let source = match &media.source {
        Source::Base64(data) => format!("base64 {data}"),
        Source::Url(url) => format!("at {url}"),
        Source::Plain(text) => format!("text {text}"),
        Source::File(id) => format!("file {id}"),
    };
    // The type of what lies at an address is nobody's to say.
    let mime = match media.source {
        Source::Url(_) => None,
        _ => media.mime.as_deref(),
    };
    format!("{:?} {mime:?} {source}", media.kind)
}

/// The text of a result; Gemini's are objects, of which a text is the only member.
fn result_text(result: &ToolResult<'_>) -> String {
    let text: String = result.content.iter().filter_map(Part::as_text).collect();
    let object: Option<Value> = serde_json::from_str(&text).ok();
    match object.as_ref().and_then(Value::as_object) {
        Some(object) if object.len() == 1 => object
            .values()
            .next()
            .and_then(Value::as_str)
            .map_or(text.clone(), str::to_owned),
        _ => text,
    }
}

fn lines_of(parts: &[Part<'_>], ids: &mut Vec<String>, out: &mut Vec<String>) {
    let mut begun = String::new();
    let flush = |begun: &mut String, out: &mut Vec<String>| {
        if !begun.is_empty() {
            out.push(format!("text {}", std::mem::take(begun)));
        }
    };
    for part in parts {
        match &part.kind {
            PartKind::Text {
                text, signature, ..
            } => {
                begun.push_str(text);
                if signature.is_some() || part.cache.is_some() {
                    flush(&mut begun, out);
                }
                out.extend(signature.as_ref().map(|s| format!("signed {s:?}")));
            }
            PartKind::Media(media) => {
                flush(&mut begun, out);
                out.push(media_line(media));
            }
            PartKind::Reasoning(r) => {
                flush(&mut begun, out);
                out.push(format!(
                    "reasoning {} {} {:?}",
                    r.text, r.redacted, r.signature
                ));
            }
            PartKind::ToolCall(call) => {
                flush(&mut begun, out);
                let at = place(ids, &call.id);
                out.push(format!(
                    "call {at} {} {} {:?}",
                    call.name, call.arguments, call.signature
                ));
            }
            PartKind::ToolResult(result) => {
                flush(&mut begun, out);
                let mut line = format!(
                    "result {} {:?} {}",
                    place(ids, &result.call_id),
                    result_text(result),
                    result.is_error
                );
                for part in &result.content {
                    if let PartKind::Media(media) = &part.kind {
                        let _ = write!(line, ", {}", media_line(media));
                    }
                }
                out.push(line);
            }
            PartKind::Refusal(text) => {
                flush(&mut begun, out);
                out.push(format!("refusal {text}"));
            }
        }
        if let Some(mark) = part.cache {
            out.push(format!("cache {mark:?}"));
        }
    }
    flush(&mut begun, out);
}

fn tool_line(tool: &Tool<'_>) -> String {
    match tool {
        Tool::Function(f) => {
            let empty = [
                r#"{"type":"object"}"#,
                r#"{"properties":{},"type":"object"}"#,
            ];
            let schema = f.parameters.as_ref().map(|schema| sorted(schema.get()));
            let schema = schema.filter(|schema| !empty.contains(&schema.as_str()));
            format!("tool {} {:?} {schema:?}", f.name, f.description)
        }
        Tool::Hosted { .. } => format!("{tool:?}"),
    }
}

/// Lines that say all of it.
pub fn normal(request: &Request<'_>) -> Vec<String> {
    let (mut out, mut ids, mut system) = (Vec::new(), Vec::new(), String::new());
    let mut last = None;
    let mut merged: Vec<(bool, Vec<Part<'_>>)> = Vec::new();
    for turn in &request.turns {
        match turn.role {
            Role::System | Role::Developer => {
                system.extend(turn.parts.iter().filter_map(Part::as_text));
            }
            Role::User | Role::Assistant => {
                let is_user = turn.role == Role::User;
                if last != Some(is_user) {
                    merged.push((is_user, Vec::new()));
                }
                last = Some(is_user);
                if let Some((_, parts)) = merged.last_mut() {
                    parts.extend(turn.parts.iter().cloned());
                }
            }
        }
    }
    // Between two system messages some put a blank line, because they have one field for both.
    out.push(format!("system {}", system.replace('\n', "")));
    for (is_user, parts) in &merged {
        out.push(if *is_user { "user" } else { "assistant" }.to_owned());
        lines_of(parts, &mut ids, &mut out);
    }
    out.extend(request.tools.iter().map(tool_line));
    let choice = match &request.tool_choice {
        // The only one of which one must be called is the one that must be.
        Some(ToolChoice::Allowed {
            names,
            required: true,
        }) if names.len() == 1 => Some(ToolChoice::Named(names[0].clone())),
        other => other.clone(),
    };
    let format = request.format.as_ref().map(|format| match format {
        Format::Text => "text".to_owned(),
        Format::JsonObject => "object".to_owned(),
        Format::JsonSchema {
            name,
            schema,
            strict,
            ..
        } => format!("{name:?} {strict:?} {}", sorted(schema.get())),
    });
    out.push(format!(
        "choice {choice:?} parallel {:?} format {format:?}",
        request.parallel_tools
    ));
    out.push(format!(
        "depth {:?}",
        request.thinking.and_then(|thinking| thinking.depth)
    ));
    let raw = |number: &Option<Json<'_>>| number.as_ref().map(|json| json.get().to_owned());
    for (name, number) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("top_k", &request.top_k),
        ("presence_penalty", &request.presence_penalty),
        ("frequency_penalty", &request.frequency_penalty),
        ("seed", &request.seed),
    ] {
        out.push(format!("{name} {:?}", raw(number)));
    }
    out.push(format!(
        "max {:?} stop {:?} n {:?}",
        request.max_tokens, request.stop, request.n
    ));
    out.push(format!(
        "logprobs {:?} tier {:?} user {:?}",
        request.logprobs, request.service_tier, request.user
    ));
    out.push(format!("stream {}", request.stream));
    out
}
