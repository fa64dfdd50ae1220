//! Is a 200 an answer? Until that is known, nothing of it reaches the client, so that another channel may
//! still be asked.

use bytes::Bytes;

use crate::dialect::{Dialect, Expect, Opening, UpstreamError, gemini};
use crate::wire::json;
use crate::wire::sse::{self, Frames};

/// An error is small: what is larger than this is an answer.
const MAX_HELD: usize = 64 << 10;
/// Opening events may echo the request (instructions, tools).
const MAX_OPENING: usize = 1 << 20;

/// What is thought of an answer so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet: hold it. `begun`: an opening event has come.
    Hold { begun: bool },
    /// It is an answer. `output`: it has something to show.
    Stands,
    /// The provider says that it failed.
    Fault(UpstreamError),
    /// It is none: empty, cut, or not what was asked for.
    Bad(&'static str),
}

/// Reads the beginning of one answer.
pub struct Judge {
    dialect: Dialect,
    expect: Expect,
    frames: Frames,
    held: Vec<u8>,
    begun: bool,
    /// A body is kept whole, up to this size: it is to be translated.
    keep: Option<usize>,
}

impl Judge {
    pub fn new(dialect: Dialect, expect: Expect) -> Self {
        Self {
            dialect,
            expect,
            frames: Frames::new(MAX_OPENING),
            held: Vec::new(),
            begun: false,
            keep: None,
        }
    }

    /// Of an answer that is to be translated: its body is kept whole, up to `limit`.
    pub fn keeping(dialect: Dialect, expect: Expect, limit: usize) -> Self {
        Self {
            keep: Some(limit),
            ..Self::new(dialect, expect)
        }
    }

    /// The body that was kept to be translated, once it is whole.
    pub fn take_whole(&mut self, end: bool) -> Option<Vec<u8>> {
        let is_whole = end && self.keep.is_some() && self.expect == Expect::Json;
        is_whole.then(|| std::mem::take(&mut self.held))
    }

    /// `end`: nothing follows.
    pub fn read(&mut self, chunk: Option<&Bytes>, end: bool) -> Verdict {
        let empty = Bytes::new();
        let chunk = chunk.unwrap_or(&empty);
        match self.expect {
            Expect::Sse => self.events(chunk, end),
            Expect::Json => self.whole(chunk, end),
            Expect::JsonArray => self.array(chunk, end),
            Expect::Any if !chunk.is_empty() || end => Verdict::Stands,
            Expect::Any => Verdict::Hold { begun: false },
        }
    }

    fn events(&mut self, chunk: &Bytes, end: bool) -> Verdict {
        let (dialect, mut verdict) = (self.dialect, None);
        let begun = &mut self.begun;
        let pushed = self.frames.push(chunk, |frame| {
            if verdict.is_some() {
                return;
            }
            verdict = match dialect.opening(&frame) {
                Opening::Hold => {
                    *begun |= sse::parse(&frame).data.is_some();
                    None
                }
                Opening::Output => Some(Verdict::Stands),
                Opening::Fault(error) => Some(Verdict::Fault(error)),
                Opening::End => Some(Verdict::Bad("the stream ended before any output")),
                Opening::Garbage => Some(Verdict::Bad("an event is not of the protocol")),
            };
        });
        match (verdict, pushed) {
            (Some(verdict), _) => verdict,
            // Whatever it is, it is no error event.
            (None, Err(_)) => Verdict::Stands,
            (None, Ok(())) if end => self.last_event(),
            (None, Ok(())) => Verdict::Hold { begun: self.begun },
        }
    }

    /// A stream may end without the blank line behind its last event.
    fn last_event(&mut self) -> Verdict {
        let rest = self.frames.rest();
        match self.dialect.opening(&rest) {
            Opening::Output => Verdict::Stands,
            Opening::Fault(error) => Verdict::Fault(error),
            Opening::Hold | Opening::End | Opening::Garbage => {
                Verdict::Bad("the stream ended before any output")
            }
        }
    }

    fn whole(&mut self, chunk: &Bytes, end: bool) -> Verdict {
        let body: &[u8] = if self.held.is_empty() && end && self.keep.is_none() {
            chunk
        } else {
            self.held.extend_from_slice(chunk);
            &self.held
        };
        match self.keep {
            None if body.len() > MAX_HELD => return Verdict::Stands,
            Some(limit) if body.len() > limit => return Verdict::Bad("the answer is too large"),
            None | Some(_) => {}
        }
        if !end {
            return Verdict::Hold { begun: false };
        }
        if json::scan_object(body, |_| {}).is_err() {
            return Verdict::Bad(if body.trim_ascii().is_empty() {
                "the answer is empty"
            } else {
                "the answer is not JSON"
            });
        }
        match self.dialect.error_in_body(body) {
            Some(error) => Verdict::Fault(error),
            None => Verdict::Stands,
        }
    }

    fn array(&mut self, chunk: &Bytes, end: bool) -> Verdict {
        self.held.extend_from_slice(chunk);
        if let Some(element) = gemini::first_element(&self.held) {
            return match gemini::opening(element) {
                Opening::Fault(error) => Verdict::Fault(error),
                Opening::Garbage => Verdict::Bad("an element is not of the protocol"),
                Opening::Hold | Opening::Output | Opening::End => Verdict::Stands,
            };
        }
        if end {
            return Verdict::Bad("the stream ended before any output");
        }
        if self.held.len() > MAX_OPENING {
            return Verdict::Stands;
        }
        Verdict::Hold { begun: false }
    }
}

/// Is this the type of what was asked for? Compatible servers may leave it out.
pub fn is_expected_type(expect: Expect, content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match expect {
        Expect::Sse => essence == "text/event-stream",
        Expect::Json | Expect::JsonArray => {
            essence == "application/json" || essence.ends_with("+json")
        }
        Expect::Any => essence != "text/html",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expect: Expect, chunks: &[&str]) -> Verdict {
        let mut judge = Judge::new(Dialect::OpenAiChat, expect);
        for chunk in chunks {
            let verdict = judge.read(Some(&Bytes::copy_from_slice(chunk.as_bytes())), false);
            if !matches!(verdict, Verdict::Hold { .. }) {
                return verdict;
            }
        }
        judge.read(None, true)
    }

    #[test]
    fn streams_are_held_until_output() {
        let role =
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        assert_eq!(judge(Expect::Sse, &[role, text]), Verdict::Stands);
        assert_eq!(
            judge(Expect::Sse, &[role, &text[..20], &text[20..]]),
            Verdict::Stands
        );
        assert!(matches!(judge(Expect::Sse, &[role]), Verdict::Bad(_)));
        assert!(matches!(judge(Expect::Sse, &[]), Verdict::Bad(_)));
        assert!(matches!(
            judge(Expect::Sse, &[role, "data: [DONE]\n\n"]),
            Verdict::Bad(_)
        ));
        let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n";
        assert!(matches!(
            judge(Expect::Sse, &[": hi\n\n", role, error]),
            Verdict::Fault(_)
        ));
        let mut judge = Judge::new(Dialect::OpenAiChat, Expect::Sse);
        assert_eq!(
            judge.read(Some(&Bytes::from_static(b": hi\n\n")), false),
            Verdict::Hold { begun: false }
        );
        assert_eq!(
            judge.read(Some(&Bytes::copy_from_slice(role.as_bytes())), false),
            Verdict::Hold { begun: true }
        );
    }

    #[test]
    fn bodies_are_held_until_whole_or_large() {
        assert_eq!(
            judge(Expect::Json, &["\n\n  {\"choices\":[", "]}"]),
            Verdict::Stands
        );
        assert!(matches!(
            judge(Expect::Json, &["{\"error\":{\"message\":\"m\"}}"]),
            Verdict::Fault(_)
        ));
        assert!(matches!(
            judge(Expect::Json, &["{\"choices\":["]),
            Verdict::Bad(_)
        ));
        assert!(matches!(
            judge(Expect::Json, &[]),
            Verdict::Bad("the answer is empty")
        ));
        assert!(matches!(
            judge(Expect::Json, &["<html>"]),
            Verdict::Bad("the answer is not JSON")
        ));
        let large = format!("{{\"a\":\"{}", "x".repeat(MAX_HELD));
        assert_eq!(judge(Expect::Json, &[&large]), Verdict::Stands);
    }

    #[test]
    fn types_must_be_what_was_asked_for() {
        assert!(is_expected_type(
            Expect::Sse,
            Some("text/event-stream; charset=utf-8")
        ));
        assert!(!is_expected_type(Expect::Sse, Some("application/json")));
        assert!(!is_expected_type(Expect::Json, Some("text/html")));
        assert!(is_expected_type(Expect::Json, None));
        assert!(is_expected_type(Expect::Any, Some("audio/mpeg")));
        assert!(!is_expected_type(
            Expect::Any,
            Some("text/html; charset=utf-8")
        ));
    }
}
