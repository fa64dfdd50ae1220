//! The parts of a candidate: texts and thoughts, calls, media.

use serde_json::value::RawValue;

use super::wire::{self, PartEntry};
use super::{Kind, Opened, Reader};
use crate::chat::{Delta, Event, Media, MediaKind, Open, Signature, Source, Text};
use crate::dialect::gemini::{ORIGIN, media};
use crate::dialect::translate::Sink;

impl Reader {
    pub(super) fn part(&mut self, at: usize, part: PartEntry<'_>, sink: &mut Sink<'_>) {
        if part.hosted_call.is_some() || part.hosted_response.is_some() {
            return;
        }
        let signature = part.signature.filter(|written| !written.is_empty());
        let is_thought = part.thought == Some(true);
        if let Some(call) = part.call {
            let Some(name) = call.name.filter(|name| !name.is_empty()) else {
                return;
            };
            let id = match call.id.filter(|id| !id.is_empty()) {
                Some(id) => id.0,
                None => Text::Owned(self.ids.next("call_")),
            };
            let kind = Open::ToolCall {
                id,
                name: name.0,
                custom: false,
            };
            let part = self.open(at, Kind::Call, kind, sink);
            self.choices[at].has_calls = true;
            sink(Event::Delta {
                part,
                delta: Delta::Arguments(call.args.map_or("{}", RawValue::get).into()),
            });
            self.sign(at, signature, sink);
        } else if let Some(blob) = part.inline {
            // Drafts of images are thoughts, too; there is no place for them.
            if !is_thought {
                self.inline(at, blob, sink);
            }
        } else if let Some(file) = part.file {
            self.file(at, file, sink);
        } else if let Some(code) = part.code {
            let code = code.code.unwrap_or_default();
            self.text(at, &Kind::Text, media::fence("python", &code).into(), sink);
        } else if let Some(outcome) = part.outcome {
            let output = outcome.output.unwrap_or_default();
            self.text(at, &Kind::Text, media::fence("", &output).into(), sink);
        } else {
            let kind = if is_thought {
                Kind::Thought
            } else {
                Kind::Text
            };
            self.text(at, &kind, part.text.unwrap_or_default().0, sink);
            self.sign(at, signature, sink);
        }
    }

    /// Closes what is open and opens another part.
    pub(super) fn open(
        &mut self,
        at: usize,
        kind: Kind,
        open: Open<'_>,
        sink: &mut Sink<'_>,
    ) -> u32 {
        let choice = &mut self.choices[at];
        choice.close(sink);
        let part = self.parts;
        self.parts += 1;
        choice.open = Some(Opened {
            part,
            kind,
            is_signed: false,
        });
        sink(Event::Open {
            part,
            choice: choice.index,
            kind: open,
        });
        part
    }

    /// Text of several responses is one part while it is of one kind.
    pub(super) fn text(&mut self, at: usize, kind: &Kind, text: Text<'_>, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let part = match &self.choices[at].open {
            Some(open) if open.kind == *kind && !open.is_signed => open.part,
            _ => {
                let open = if *kind == Kind::Thought {
                    Open::Reasoning {
                        redacted: false,
                        summary: false,
                    }
                } else {
                    Open::Text
                };
                let is_text = *kind == Kind::Text;
                let part = self.open(at, kind.clone(), open, sink);
                if is_text {
                    self.choices[at].sources.text_begins();
                }
                part
            }
        };
        if *kind == Kind::Text {
            self.choices[at].sources.said(&text);
        }
        sink(Event::Delta {
            part,
            delta: Delta::Text(text),
        });
    }

    /// A signature belongs to the part that it came on; one on an empty text, to the part before.
    pub(super) fn sign(
        &mut self,
        at: usize,
        signature: Option<crate::wire::read::Str<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(signature) = signature else { return };
        let Some(open) = &mut self.choices[at].open else {
            return;
        };
        let takes_one = match open.kind {
            Kind::Text | Kind::Thought | Kind::Call => !open.is_signed,
            Kind::Audio(_) => false,
        };
        if takes_one {
            open.is_signed = true;
            sink(Event::Delta {
                part: open.part,
                delta: Delta::Signature(Signature::new(ORIGIN, signature.0)),
            });
        }
    }

    pub(super) fn inline(&mut self, at: usize, blob: wire::Blob<'_>, sink: &mut Sink<'_>) {
        let Some(data) = blob.data.filter(|data| !data.is_empty()) else {
            return;
        };
        let data = media::standard_base64(data.0);
        let mime = blob.mime.unwrap_or_default().0;
        let kind = media::kind_of(&mime);
        let is_audio = kind == MediaKind::Audio;
        let (now, later) = if is_audio {
            ("".into(), Some(data))
        } else {
            (data, None)
        };
        let media = |mime: Text<'static>, source| {
            Media::new(
                kind,
                Some(mime).filter(|mime| !mime.is_empty()),
                Source::Base64(source),
            )
        };
        let mime = mime.into_owned();
        let Some(piece) = later else {
            let opened = Open::Media(media(mime.into(), now));
            self.open(at, Kind::Audio(String::new()), opened, sink);
            self.choices[at].close(sink);
            return;
        };
        // Pieces of one recording come one after the other.
        let part = match &self.choices[at].open {
            Some(open) if open.kind == Kind::Audio(mime.clone()) => open.part,
            _ => {
                let opened = Open::Media(media(mime.clone().into(), now));
                self.open(at, Kind::Audio(mime), opened, sink)
            }
        };
        sink(Event::Delta {
            part,
            delta: Delta::Data(piece),
        });
    }

    pub(super) fn file(&mut self, at: usize, file: wire::File<'_>, sink: &mut Sink<'_>) {
        let Some(uri) = file.uri.filter(|uri| !uri.is_empty()) else {
            return;
        };
        let mime = file.mime.map(|mime| mime.0);
        let opened = Open::Media(Media::new(
            media::kind_of(mime.as_deref().unwrap_or_default()),
            mime,
            Source::Url(uri.0),
        ));
        self.open(at, Kind::Audio(String::new()), opened, sink);
        self.choices[at].close(sink);
    }
}
