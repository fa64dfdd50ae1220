//! The items of an answer as this protocol has them.

use crate::chat::event::TokenLogprob;
use crate::chat::{Media, Signature, Source};
use crate::wire::emit::{Emit, number, string};

/// One item of the output.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) body: Body,
    /// Parts of it that are open.
    pub(super) open: usize,
    pub(super) done: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    Message(Vec<Content>),
    Reasoning(Thought),
    Call(Call),
    Image(Image),
}

/// A content of a message.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) refusal: bool,
    pub(super) text: String,
    /// Elements of the lists, with commas between.
    pub(super) annotations: Vec<u8>,
    pub(super) cited: u64,
    pub(super) logprobs: Vec<u8>,
    pub(super) signature: Option<Signature<'static>>,
}

#[derive(Debug, Default)]
pub(super) struct Thought {
    pub(super) text: String,
    pub(super) redacted: bool,
    pub(super) summary: bool,
    /// Its text has begun.
    pub(super) shown: bool,
    pub(super) signature: Option<Signature<'static>>,
    /// What is encrypted, once it is known.
    pub(super) sealed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) arguments: String,
    pub(super) custom: bool,
    pub(super) signature: Option<Signature<'static>>,
}

#[derive(Debug)]
pub(super) struct Image {
    pub(super) data: String,
    /// `png`, `webp`
    pub(super) format: String,
}

impl Image {
    /// `None`: the protocol has no field for it.
    pub(super) fn of(media: &Media<'_>) -> Option<Self> {
        let Source::Base64(data) = &media.source else {
            return None;
        };
        let mime = media.mime.as_deref().unwrap_or("image/png");
        Some(Self {
            data: data.clone().into_owned(),
            format: mime.rsplit('/').next().unwrap_or("png").to_owned(),
        })
    }
}

impl Item {
    pub(super) fn prefix(body: &Body) -> &'static str {
        match body {
            Body::Message(_) => "msg_",
            Body::Reasoning(_) => "rs_",
            Body::Call(call) if call.custom => "ctc_",
            Body::Call(_) => "fc_",
            Body::Image(_) => "ig_",
        }
    }

    /// The item as it stands; `whole`: with what it holds.
    pub(super) fn write(&self, out: &mut Vec<u8>, status: &str, whole: bool) {
        let mut item = Emit::object(out);
        item.text("id", &self.id);
        match &self.body {
            Body::Message(contents) => {
                item.text("type", "message");
                item.text("status", status);
                item.text("role", "assistant");
                let mut list = item.nested_list("content");
                for content in contents.iter().filter(|_| whole) {
                    content.write(list.item());
                }
                list.end();
            }
            Body::Reasoning(thought) => {
                item.text("type", "reasoning");
                let mut list = item.nested_list("summary");
                if whole && !thought.text.is_empty() {
                    summary_text(list.item(), &thought.text);
                }
                list.end();
                if whole {
                    item.text_if("encrypted_content", thought.sealed.as_deref());
                }
            }
            Body::Call(call) => {
                item.text(
                    "type",
                    if call.custom {
                        "custom_tool_call"
                    } else {
                        "function_call"
                    },
                );
                item.text("status", status);
                item.text("call_id", &call.call_id);
                item.text_if("namespace", call.namespace.as_deref());
                item.text("name", &call.name);
                let written = if whole { call.written() } else { "" };
                item.text(if call.custom { "input" } else { "arguments" }, written);
            }
            Body::Image(image) => {
                item.text("type", "image_generation_call");
                item.text("status", status);
                if whole {
                    item.text("output_format", &image.format);
                    item.text("result", &image.data);
                } else {
                    item.literal("result", "null");
                }
            }
        }
        item.end();
    }
}

impl Call {
    /// Arguments are an object, even where there are none.
    pub(super) fn written(&self) -> &str {
        if !self.custom && self.arguments.trim().is_empty() {
            "{}"
        } else {
            &self.arguments
        }
    }
}

impl Content {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.refusal {
            out.extend_from_slice(b"{\"type\":\"refusal\",\"refusal\":");
            string(out, &self.text);
        } else {
            out.extend_from_slice(b"{\"type\":\"output_text\",\"text\":");
            string(out, &self.text);
            out.extend_from_slice(b",\"annotations\":[");
            out.extend_from_slice(&self.annotations);
            out.extend_from_slice(b"],\"logprobs\":[");
            out.extend_from_slice(&self.logprobs);
            out.push(b']');
        }
        out.push(b'}');
    }
}

pub(super) fn summary_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"type\":\"summary_text\",\"text\":");
    string(out, text);
    out.push(b'}');
}

/// Elements of `logprobs`, with commas between.
pub(super) fn logprobs(out: &mut Vec<u8>, tokens: &[TokenLogprob<'_>]) {
    let bytes = |out: &mut Vec<u8>, bytes: Option<&[u8]>, token: &str| {
        let mut list = Emit::list(out);
        for byte in bytes.unwrap_or(token.as_bytes()) {
            number(list.item(), u64::from(*byte));
        }
        list.end();
    };
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut object = Emit::object(out);
        object.text("token", &token.token);
        object.literal("logprob", token.logprob.0.get());
        bytes(object.key("bytes"), token.bytes.as_deref(), &token.token);
        let mut list = object.nested_list("top_logprobs");
        for (text, logprob, own) in &token.top {
            let mut top = list.nested_item();
            top.text("token", text);
            top.literal("logprob", logprob.0.get());
            bytes(top.key("bytes"), own.as_deref(), text);
            top.end();
        }
        list.end();
        object.end();
    }
}
