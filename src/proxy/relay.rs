//! What passes to the client after the commit: the bytes as they came, but events only whole, so that an
//! error event or a heartbeat can always follow; and without the one chunk that only we asked for.

use bytes::{Bytes, BytesMut};

use crate::dialect::openai_chat;
use crate::wire::sse::Frames;

/// Part of an event larger than this passes before the rest has come.
const MAX_PART: usize = 256 << 10;

/// The state of one event stream.
#[derive(Debug)]
pub struct Relay {
    tail: BytesMut,
    /// The last byte that passed ended an event.
    pub at_boundary: bool,
    withhold_usage: bool,
}

impl Relay {
    pub fn new(withhold_usage: bool) -> Self {
        Self {
            tail: BytesMut::new(),
            at_boundary: true,
            withhold_usage,
        }
    }

    /// What of the stream may pass now. `end`: nothing follows.
    pub fn pass(&mut self, chunk: Option<Bytes>, end: bool) -> Option<Bytes> {
        let ready = self.whole_events(chunk.unwrap_or_default(), end);
        let ready = if self.withhold_usage {
            withhold(ready)
        } else {
            ready
        };
        (!ready.is_empty()).then_some(ready)
    }

    fn whole_events(&mut self, chunk: Bytes, end: bool) -> Bytes {
        if self.tail.is_empty() {
            if end || ends_event(&chunk) {
                self.at_boundary = true;
                return chunk;
            }
            let whole = last_event_end(&chunk, 0);
            self.tail.extend_from_slice(&chunk[whole..]);
            self.at_boundary |= whole > 0;
            return self.unless_large(chunk.slice(..whole));
        }
        let from = self.tail.len().saturating_sub(3);
        self.tail.extend_from_slice(&chunk);
        if end {
            return self.tail.split().freeze();
        }
        let whole = last_event_end(&self.tail, from);
        self.at_boundary |= whole > 0;
        let ready = self.tail.split_to(whole).freeze();
        self.unless_large(ready)
    }

    fn unless_large(&mut self, ready: Bytes) -> Bytes {
        if self.tail.len() <= MAX_PART {
            return ready;
        }
        self.at_boundary = false;
        let mut all = BytesMut::from(ready);
        all.extend_from_slice(&self.tail);
        self.tail.clear();
        all.freeze()
    }
}

/// The common case, told by the last bytes alone.
fn ends_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\n\r\n") || chunk.ends_with(b"\r\r")
}

/// Just behind the last blank line at or after `from`; 0: there is none.
fn last_event_end(bytes: &[u8], from: usize) -> usize {
    let mut end = bytes.len();
    while let Some(at) = memchr::memrchr2(b'\n', b'\r', &bytes[from..end]) {
        let at = from + at;
        if ends_event(&bytes[..=at]) {
            return at + 1;
        }
        end = at;
    }
    0
}

/// Leaves out the chunk that exists only because the gateway asked for usage.
fn withhold(events: Bytes) -> Bytes {
    if memchr::memmem::find(&events, b"prompt_tokens").is_none() {
        return events;
    }
    let mut frames = Frames::new(usize::MAX);
    let mut kept: Vec<Bytes> = Vec::new();
    let mut withheld = false;
    let _ = frames.push(&events, |frame| {
        if openai_chat::is_usage_only(&frame) {
            withheld = true;
        } else {
            kept.push(frame);
        }
    });
    if !withheld {
        return events;
    }
    kept.push(frames.rest());
    Bytes::from(kept.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}]}\n\n: c\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";

    fn relay(chunks: &[&[u8]], withhold_usage: bool) -> String {
        let mut relay = Relay::new(withhold_usage);
        let mut out = Vec::new();
        for chunk in chunks {
            if let Some(bytes) = relay.pass(Some(Bytes::copy_from_slice(chunk)), false) {
                assert!(relay.at_boundary && ends_event(&bytes));
                out.extend_from_slice(&bytes);
            }
        }
        out.extend_from_slice(&relay.pass(None, true).unwrap_or_default());
        String::from_utf8(out).expect("whole characters")
    }

    #[test]
    fn only_whole_events_pass_and_every_byte_does() {
        for cut in 0..STREAM.len() {
            let (a, b) = STREAM.as_bytes().split_at(cut);
            assert_eq!(relay(&[a, b], false), STREAM, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(relay(&bytes, false), STREAM);
        assert_eq!(relay(&[b"data: unfinished"], false), "data: unfinished");
    }

    #[test]
    fn the_usage_chunk_is_withheld_wherever_it_is_cut() {
        let expected = STREAM.replace(
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "",
        );
        for cut in 0..STREAM.len() {
            let (a, b) = STREAM.as_bytes().split_at(cut);
            assert_eq!(relay(&[a, b], true), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_huge_event_passes_in_parts() {
        let mut relay = Relay::new(false);
        let part = Bytes::from(vec![b'x'; MAX_PART + 1]);
        assert_eq!(relay.pass(Some(part.clone()), false), Some(part));
        assert!(!relay.at_boundary);
        assert!(
            relay
                .pass(Some(Bytes::from_static(b"x\n\n")), false)
                .is_some()
        );
        assert!(relay.at_boundary);
    }
}
