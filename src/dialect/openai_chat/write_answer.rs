//! Writes a whole answer for a client of this protocol
//! (<https://platform.openai.com/docs/api-reference/chat/object>), and the pieces that streams have in common with it.

use super::detail::{self, Told};
use crate::base::{Ids, Usage};
use crate::chat::answer::Choice;
use crate::chat::event::TokenLogprob;
use crate::chat::{
    Answer, Citation, Media, MediaKind, Part, PartKind, Reasoning, Source, StopReason, ToolCall,
    seal,
};
use crate::dialect::translate::Echo;
use crate::wire::emit::{Emit, number, string};

pub fn write_answer(answer: &Answer, echo: &mut Echo) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    let mut out = Emit::object(&mut body);
    let id = answer_id(answer.id.as_deref(), &mut echo.ids);
    head(
        &mut out,
        &id,
        "chat.completion",
        answer.created.unwrap_or(echo.now),
        &echo.model,
    );
    let mut list = out.nested_list("choices");
    for (index, choice) in answer.choices.iter().enumerate() {
        write_choice(list.nested_item(), index, choice, answer, echo);
    }
    list.end();
    if let Some(usage) = &answer.usage {
        write_usage(out.key("usage"), usage);
    }
    if let Some(tier) = answer.service_tier.as_deref().and_then(tier_word) {
        out.text("service_tier", tier);
    }
    out.end();
    body
}

/// The provider's id where it has the form of this protocol's.
pub(super) fn answer_id(id: Option<&str>, ids: &mut Option<Ids>) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") || id.starts_with("gen-") => id.to_owned(),
        Some(_) | None => next_id(ids, "chatcmpl-"),
    }
}

pub(super) fn next_id(ids: &mut Option<Ids>, prefix: &str) -> String {
    ids.get_or_insert_with(Ids::random).next(prefix)
}

pub(super) fn head(out: &mut Emit<'_>, id: &str, object: &str, created: u64, model: &str) {
    out.text("id", id);
    out.text("object", object);
    out.count("created", created);
    out.text("model", model);
}

/// The words of this protocol for tiers, and those of others that mean the same.
pub(super) fn tier_word(tier: &str) -> Option<&'static str> {
    Some(match tier.to_ascii_lowercase().as_str() {
        "auto" => "auto",
        "default" | "standard" | "on_demand" => "default",
        "flex" => "flex",
        "scale" => "scale",
        "priority" | "fast" => "priority",
        _ => return None,
    })
}

pub(super) fn finish_word(reason: Option<StopReason>, legacy: bool) -> &'static str {
    match reason {
        Some(StopReason::MaxTokens | StopReason::ContextFull) => "length",
        Some(StopReason::ToolCalls) if legacy => "function_call",
        Some(StopReason::ToolCalls) => "tool_calls",
        Some(StopReason::Refusal | StopReason::Filtered) => "content_filter",
        Some(
            StopReason::End
            | StopReason::StopSequence
            | StopReason::Paused
            | StopReason::MalformedCall
            | StopReason::Other,
        )
        | None => "stop",
    }
}

pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut out = Emit::object(out);
    out.count("prompt_tokens", usage.input());
    out.count("completion_tokens", usage.output);
    out.count("total_tokens", usage.input() + usage.output);
    let mut details = out.nested("prompt_tokens_details");
    details.count("cached_tokens", usage.cache_read);
    if usage.cache_write() > 0 {
        details.count("cache_write_tokens", usage.cache_write());
    }
    details.end();
    let mut details = out.nested("completion_tokens_details");
    details.count("reasoning_tokens", usage.reasoning);
    details.end();
    out.end();
}

pub(super) fn write_logprobs(out: &mut Vec<u8>, tokens: &[TokenLogprob<'_>]) {
    let mut out = Emit::object(out);
    let mut list = out.nested_list("content");
    for token in tokens {
        let mut entry = list.nested_item();
        entry.text("token", &token.token);
        entry.literal("logprob", token.logprob.0.get());
        bytes(&mut entry, token.bytes.as_deref());
        let mut top = entry.nested_list("top_logprobs");
        for (text, logprob, raw) in &token.top {
            let mut entry = top.nested_item();
            entry.text("token", text);
            entry.literal("logprob", logprob.0.get());
            bytes(&mut entry, raw.as_deref());
            entry.end();
        }
        top.end();
        entry.end();
    }
    list.end();
    out.literal("refusal", "null");
    out.end();
}

fn bytes(entry: &mut Emit<'_>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        entry.literal("bytes", "null");
        return;
    };
    let mut list = entry.nested_list("bytes");
    for byte in bytes {
        number(list.item(), u64::from(*byte));
    }
    list.end();
}

/// `before`: characters of the message that stand before the part.
pub(super) fn write_citation(list: &mut Emit<'_>, citation: &Citation<'_>, before: u64) {
    let (start, end) = citation
        .span
        .map_or((0, 0), |(start, end)| (start + before, end + before));
    let mut out = list.nested_item();
    out.text("type", "url_citation");
    let mut inner = out.nested("url_citation");
    inner.count("start_index", start);
    inner.count("end_index", end);
    inner.text("title", citation.title.as_deref().unwrap_or_default());
    // A document has none, and the protocol no other kind of citation.
    inner.text("url", citation.url.as_deref().unwrap_or_default());
    inner.text_if("content", citation.quote.as_deref());
    inner.end();
    out.end();
}

/// OpenRouter's form of images in an answer
/// (<https://openrouter.ai/docs/features/multimodal/image-generation>).
pub(super) fn write_image(
    list: &mut Emit<'_>,
    index: u64,
    mime: Option<&str>,
    source: &Source<'_>,
) {
    let mut out = list.nested_item();
    out.text("type", "image_url");
    let mut inner = out.nested("image_url");
    match source {
        Source::Base64(data) => {
            let mime = mime.unwrap_or("image/png");
            string(inner.key("url"), &format!("data:{mime};base64,{data}"));
        }
        Source::Url(url) | Source::Plain(url) | Source::File(url) => inner.text("url", url),
    }
    inner.end();
    out.count("index", index);
    out.end();
}

fn write_choice(
    mut out: Emit<'_>,
    index: usize,
    choice: &Choice,
    answer: &Answer,
    echo: &mut Echo,
) {
    out.count("index", index as u64);
    write_message(out.nested("message"), &choice.parts, answer, echo);
    if choice.logprobs.is_empty() {
        out.literal("logprobs", "null");
    } else {
        write_logprobs(out.key("logprobs"), &choice.logprobs);
    }
    out.text(
        "finish_reason",
        finish_word(choice.stop, echo.legacy_functions),
    );
    out.end();
}

fn write_message(mut out: Emit<'_>, parts: &[Part<'_>], answer: &Answer, echo: &mut Echo) {
    let (mut text, mut refusal): (Option<String>, Option<String>) = (None, None);
    let (mut reasoning, mut calls): (Vec<&Reasoning<'_>>, Vec<&ToolCall<'_>>) = Default::default();
    let (mut citations, mut images) = (Vec::new(), Vec::new());
    let mut audio: Option<&Media<'_>> = None;
    let mut characters = 0;
    for part in parts {
        match &part.kind {
            PartKind::Text {
                text: more,
                citations: cited,
                ..
            } => {
                citations.extend(cited.iter().map(|citation| (citation, characters)));
                characters += more.chars().count() as u64;
                text.get_or_insert_default().push_str(more);
            }
            PartKind::Refusal(more) => refusal.get_or_insert_default().push_str(more),
            PartKind::Reasoning(one) => reasoning.push(one),
            PartKind::ToolCall(call) => calls.push(call),
            PartKind::Media(media) => match media.kind {
                MediaKind::Image => images.push(media),
                MediaKind::Audio => audio = Some(media),
                MediaKind::Video | MediaKind::Document => {}
            },
            PartKind::ToolResult(_) => {}
        }
    }
    out.text("role", "assistant");
    match &text {
        Some(text) => out.text("content", text),
        None => out.literal("content", "null"),
    }
    match &refusal {
        Some(refusal) => out.text("refusal", refusal),
        None => out.literal("refusal", "null"),
    }
    write_reasoning(&mut out, &reasoning);
    if echo.legacy_functions {
        // The old form has room for one.
        if let Some(call) = calls.first() {
            let mut inner = out.nested("function_call");
            inner.text("name", &call.name);
            inner.text("arguments", &call.arguments);
            inner.end();
        }
    } else if !calls.is_empty() {
        let mut list = out.nested_list("tool_calls");
        for call in calls {
            write_call(list.nested_item(), call);
        }
        list.end();
    }
    if !citations.is_empty() {
        let mut list = out.nested_list("annotations");
        for (citation, before) in citations {
            write_citation(&mut list, citation, before);
        }
        list.end();
    }
    if !images.is_empty() {
        let mut list = out.nested_list("images");
        for (index, image) in images.into_iter().enumerate() {
            write_image(
                &mut list,
                index as u64,
                image.mime.as_deref(),
                &image.source,
            );
        }
        list.end();
    }
    if let Some(audio) = audio {
        let id = next_id(&mut echo.ids, "audio_");
        let mut inner = out.nested("audio");
        inner.text("id", &id);
        if let Source::Base64(data) = &audio.source {
            inner.text("data", data);
        }
        inner.text(
            "transcript",
            audio.transcript.as_deref().unwrap_or_default(),
        );
        // Nobody keeps it: it cannot be referred to.
        inner.count("expires_at", answer.created.unwrap_or(echo.now));
        inner.end();
    }
    out.end();
}

fn write_reasoning(out: &mut Emit<'_>, all: &[&Reasoning<'_>]) {
    let text: String = all.iter().map(|reasoning| &*reasoning.text).collect();
    if !text.is_empty() {
        out.text("reasoning_content", &text);
    }
    let proves = |reasoning: &&&Reasoning<'_>| reasoning.signature.is_some();
    if !all.iter().any(|reasoning| proves(&reasoning)) {
        return;
    }
    let mut list = out.nested_list("reasoning_details");
    for (index, reasoning) in all.iter().enumerate() {
        detail::entry(
            list.item(),
            index as u64,
            Told::Whole(&reasoning.text),
            reasoning.signature.as_ref(),
            (reasoning.redacted, reasoning.summary),
        );
    }
    list.end();
}

fn write_call(mut out: Emit<'_>, call: &ToolCall<'_>) {
    out.text("id", &call.id);
    if call.custom {
        out.text("type", "custom");
        let mut inner = out.nested("custom");
        inner.text("name", &call.name);
        inner.text("input", &call.arguments);
        inner.end();
    } else {
        out.text("type", "function");
        let mut inner = out.nested("function");
        inner.text("name", &call.name);
        inner.text("arguments", &call.arguments);
        inner.end();
    }
    if let Some(signature) = &call.signature {
        let mut extra = out.nested("extra_content");
        let mut google = extra.nested("google");
        google.text("thought_signature", &seal::write("gemini", signature));
        google.end();
        extra.end();
    }
    out.end();
}
