//! The response that holds the items: at the start of a stream, at its end, and in the place of one.

use super::thought::{self, Owner};
use super::write_answer::{incomplete, write_usage};
use super::write_item::{Body, Thought};
use super::write_stream::{Writer, end};
use crate::base::{Fault, FaultKind};
use crate::wire::emit::Emit;

impl Writer {
    /// The response as it stands: after its end, what a client that does not stream gets.
    pub fn response(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        match &self.error {
            Some(error) => self.write_response(&mut out, "failed", Some(error)),
            None => self.write_response(&mut out, self.status(), None),
        }
        out
    }

    /// The items of the output, as a JSON list.
    pub fn output_items(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.write_output(&mut out);
        out
    }

    /// Ends the stream of an answer that broke: the response says that it failed.
    pub fn failed(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.start(None, None, out);
        self.ended = true;
        let mut error = Vec::new();
        let mut object = Emit::object(&mut error);
        object.text("code", failure_code(fault));
        object.text("message", &fault.message);
        object.end();
        self.head("response.failed", out);
        out.extend_from_slice(b",\"response\":");
        self.write_response(out, "failed", Some(&error));
        self.error = Some(error);
        end(out);
    }

    /// Signatures of calls and texts, each with a note of what it belongs to.
    fn notes(&self) -> Vec<String> {
        let mut texts = 0;
        let mut notes = Vec::new();
        for item in &self.items {
            match &item.body {
                Body::Message(contents) => {
                    for content in contents.iter().filter(|content| !content.refusal) {
                        if let Some(signature) = &content.signature {
                            notes.push(thought::note(Owner::Text(texts), signature));
                        }
                        texts += 1;
                    }
                }
                Body::Call(call) => {
                    if let Some(signature) = &call.signature {
                        notes.push(thought::note(Owner::Call(call.call_id.clone()), signature));
                    }
                }
                Body::Reasoning(_) | Body::Image(_) => {}
            }
        }
        notes
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(None, None, out);
        let status = self.status();
        if let Some(last) = self.items.len().checked_sub(1) {
            self.item_done(last, status, out);
        }
        for sealed in self.notes() {
            let thought = Thought {
                sealed: Some(sealed),
                ..Thought::default()
            };
            let at = self.open_item(Body::Reasoning(thought), out);
            if let Some(item) = self.items.get_mut(at) {
                item.open = 0;
            }
            self.item_done(at, "completed", out);
        }
        self.ended = true;
        self.head(
            if status == "completed" {
                "response.completed"
            } else {
                "response.incomplete"
            },
            out,
        );
        out.extend_from_slice(b",\"response\":");
        self.write_response(out, status, None);
        end(out);
    }

    fn incomplete(&self) -> Option<&'static str> {
        let refused = self.items.iter().any(|item| match &item.body {
            Body::Message(contents) => contents.iter().any(|content| content.refusal),
            Body::Reasoning(_) | Body::Call(_) | Body::Image(_) => false,
        });
        incomplete(self.stop, refused)
    }

    fn status(&self) -> &'static str {
        if self.incomplete().is_some() {
            "incomplete"
        } else {
            "completed"
        }
    }

    fn write_output(&self, out: &mut Vec<u8>) {
        // Only what comes last can have been cut.
        let last = self.items.iter().rposition(|item| match &item.body {
            Body::Reasoning(thought) => thought.sealed.is_none() || thought.signature.is_some(),
            Body::Message(_) | Body::Call(_) | Body::Image(_) => true,
        });
        let cut = self.status();
        let mut list = Emit::list(out);
        for (at, item) in self.items.iter().enumerate().filter(|(_, item)| item.done) {
            let status = if Some(at) == last { cut } else { "completed" };
            item.write(list.item(), status, true);
        }
        list.end();
    }

    pub(super) fn write_response(&self, out: &mut Vec<u8>, status: &str, error: Option<&[u8]>) {
        let mut object = Emit::object(out);
        object.text("id", &self.id);
        object.text("object", "response");
        object.count("created_at", self.created);
        object.text("status", status);
        object.yes("background", self.repeat.background);
        if status == "completed" {
            object.count("completed_at", self.created.max(self.echo.now));
        } else {
            object.literal("completed_at", "null");
        }
        let raw = object.key("error");
        raw.extend_from_slice(error.unwrap_or(b"null"));
        match self.incomplete().filter(|_| status == "incomplete") {
            Some(reason) => {
                let mut details = object.nested("incomplete_details");
                details.text("reason", reason);
                details.end();
            }
            None => object.literal("incomplete_details", "null"),
        }
        object.text("model", &self.echo.model);
        self.write_output(object.key("output"));
        match &self.repeat.previous_response_id {
            Some(id) => object.text("previous_response_id", id),
            None => object.literal("previous_response_id", "null"),
        }
        if let Some(id) = &self.repeat.conversation {
            let mut conversation = object.nested("conversation");
            conversation.text("id", id);
            conversation.end();
        }
        object.yes("store", self.repeat.store);
        object.text("service_tier", self.tier.unwrap_or("default"));
        match self.usage.as_ref().filter(|_| status != "in_progress") {
            Some(usage) => write_usage(object.key("usage"), usage),
            None => object.literal("usage", "null"),
        }
        if !self.repeat.fields.is_empty() {
            object
                .item()
                .extend_from_slice(self.repeat.fields.as_bytes());
        }
        object.end();
    }
}

/// The words that the protocol has for failures
/// (<https://platform.openai.com/docs/api-reference/responses/object>); agents decide by them whether to try again.
fn failure_code(fault: &Fault) -> &str {
    match fault.upstream_type.as_deref() {
        Some(kind @ ("context_length_exceeded" | "insufficient_quota" | "invalid_prompt")) => kind,
        Some(_) | None => match (fault.kind, fault.status) {
            (FaultKind::UpstreamRateLimited, _) | (_, 429) => "rate_limit_exceeded",
            (_, 400..=499) => "invalid_prompt",
            _ => "server_error",
        },
    }
}
