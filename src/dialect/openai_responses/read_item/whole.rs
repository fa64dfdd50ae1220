//! An item as it is when it is whole: what of it has not been told is told now.

use serde_json::value::RawValue;

use super::{ContentWritten, Item, Kind, Out, What, Written, filled};
use crate::chat::{Delta, Media, MediaKind, Open, Signature, Source, Text};
use crate::dialect::openai_responses::ORIGIN;

impl Item {
    /// A content of a message, as it is when it is whole.
    pub(in crate::dialect::openai_responses) fn content(
        &mut self,
        number: u64,
        mut written: ContentWritten<'_>,
        out: &mut Out<'_, '_, '_>,
    ) {
        match self.kind {
            Kind::Reasoning => {
                if let Some(text) = filled(written.text) {
                    self.thought(false, number, &text, out);
                }
            }
            Kind::Message => {
                if let Some(refusal) = filled(written.refusal.take()) {
                    self.said(What::Refusal, number, &refusal, out);
                }
                if let Some(text) = filled(written.text.take()) {
                    self.said(What::Text, number, &text, out);
                }
                let annotations = written
                    .annotations
                    .and_then(|list| list.0)
                    .unwrap_or_default();
                self.cite(number, annotations, true, out);
                let tokens = written.logprobs.and_then(|list| list.0).unwrap_or_default();
                self.logprobs(number, tokens, true, out);
            }
            Kind::Call { .. } | Kind::Image | Kind::Other => {}
        }
    }

    /// The item as it is when it is whole. What of it has not been told is told now.
    pub(in crate::dialect::openai_responses) fn whole(
        &mut self,
        mut written: Written<'_>,
        raw: &RawValue,
        out: &mut Out<'_, '_, '_>,
    ) {
        if self.done {
            return;
        }
        let contents = written
            .content
            .take()
            .and_then(|list| list.0)
            .unwrap_or_default();
        match self.kind {
            Kind::Message => {
                for (number, content) in contents.into_iter().enumerate() {
                    self.content(number as u64, content, out);
                }
            }
            Kind::Reasoning => {
                let summaries = written
                    .summary
                    .take()
                    .and_then(|list| list.0)
                    .unwrap_or_default();
                for (summary, texts) in [(true, summaries), (false, contents)] {
                    for (number, text) in texts.into_iter().enumerate() {
                        if let Some(text) = filled(text.text) {
                            self.thought(summary, number as u64, &text, out);
                        }
                    }
                }
                if filled(written.encrypted.take()).is_some() {
                    self.sign(raw, out);
                }
            }
            Kind::Call { custom } => {
                self.name(&mut written, out);
                let whole = if custom {
                    written.input
                } else {
                    written.arguments
                };
                if let Some(whole) = filled(whole) {
                    self.argued(&whole, out);
                }
            }
            Kind::Image => {
                if let Some(data) = filled(written.result.take()) {
                    let format = filled(written.output_format.take());
                    let mime = format!("image/{}", format.as_deref().unwrap_or("png"));
                    let part = out.open(Open::Media(Media::new(
                        MediaKind::Image,
                        Some(Text::Owned(mime)),
                        Source::Base64(Text::default()),
                    )));
                    out.delta(part, Delta::Data(data));
                    self.push(part, What::Text, 0);
                }
            }
            Kind::Other => {}
        }
        self.close(out);
        self.done = true;
    }

    fn sign(&mut self, raw: &RawValue, out: &mut Out<'_, '_, '_>) {
        let part = match self.told(What::Reasoning, 0) {
            Some(piece) => piece.part,
            None => {
                let part = out.open(Open::Reasoning {
                    redacted: true,
                    summary: false,
                });
                self.push(part, What::Reasoning, 0);
                part
            }
        };
        out.delta(part, Delta::Signature(Signature::new(ORIGIN, raw.get())));
    }
}
