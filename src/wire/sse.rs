//! Frames of an event stream (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): what
//! lies between two blank lines. Line ends may be LF, CRLF or CR, and may be cut anywhere.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// Cuts a stream of chunks into frames. A frame that lies within one chunk is a slice of it; only a
/// frame that was cut is copied together. Holds at most `limit` bytes.
#[derive(Debug)]
pub struct Frames {
    tail: BytesMut,
    lines: Lines,
    limit: usize,
}

/// The held bytes of one frame passed the limit. What was held is let go.
#[derive(Debug, PartialEq, Eq)]
pub struct Oversized;

#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// The line has a character already.
    begun: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The frame has a line already: blank lines before it are no frame.
    nonempty: bool,
}

impl Lines {
    /// Index just behind the end of the frame, when it ends in `bytes`.
    fn frame_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.after_cr {
            self.after_cr = false;
            if bytes.first() == Some(&b'\n') {
                at = 1;
            }
        }
        loop {
            let Some(next) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.begun |= at < bytes.len();
                return None;
            };
            let blank = next == 0 && !self.begun;
            let mut end = at + next + 1;
            if bytes[end - 1] == b'\r' {
                match bytes.get(end) {
                    Some(b'\n') => end += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.begun = false;
            if blank && self.nonempty {
                self.nonempty = false;
                return Some(end);
            }
            self.nonempty |= !blank;
            at = end;
        }
    }
}

impl Frames {
    pub fn new(limit: usize) -> Self {
        Self {
            tail: BytesMut::new(),
            lines: Lines::default(),
            limit,
        }
    }

    /// Calls `on_frame` with each frame that `chunk` completes, blank line included.
    pub fn push(
        &mut self,
        chunk: &Bytes,
        mut on_frame: impl FnMut(Bytes),
    ) -> Result<(), Oversized> {
        let mut from = 0;
        while let Some(length) = self.lines.frame_end(&chunk[from..]) {
            let piece = chunk.slice(from..from + length);
            from += length;
            if self.tail.is_empty() {
                on_frame(piece);
            } else {
                self.tail.extend_from_slice(&piece);
                on_frame(self.tail.split().freeze());
            }
        }
        self.tail.extend_from_slice(&chunk[from..]);
        if self.tail.len() > self.limit {
            self.tail.clear();
            return Err(Oversized);
        }
        Ok(())
    }

    /// What is left of a frame that never ended.
    pub fn rest(&mut self) -> Bytes {
        self.tail.split().freeze()
    }
}

/// A frame, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub name: &'a [u8],
    /// The data lines, joined by LF; `None` for a frame of comments only.
    pub data: Option<Cow<'a, [u8]>>,
}

/// Reads the fields of one frame.
pub fn parse(frame: &[u8]) -> Event<'_> {
    let mut event = Event {
        name: b"",
        data: None,
    };
    for line in frame.split(|&b| b == b'\n' || b == b'\r') {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => continue,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => event.name = value,
            b"data" => match &mut event.data {
                None => event.data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut frames = Frames::new(1 << 20);
        let mut found = Vec::new();
        for chunk in chunks {
            frames
                .push(&Bytes::copy_from_slice(chunk), |frame| found.push(frame))
                .expect("within the limit");
        }
        (found, frames.rest())
    }

    #[test]
    fn a_stream_cut_at_every_byte_gives_the_same_frames() {
        for text in [
            "event: a\ndata: {\"x\":\"é\"}\n\n: comment\n\ndata: [DONE]\n\n",
            "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
            "data: 1\r\rdata: 2\r\r",
            "\n\ndata: 1\n\n\n\ndata: 2\n\n",
        ] {
            let (expected, rest) = split(&[text.as_bytes()]);
            assert!(rest.is_empty(), "{text:?}");
            let expected: Vec<_> = expected
                .iter()
                .map(|f| parse(f).data.map(Cow::into_owned))
                .collect();
            for cut in 0..text.len() {
                let (a, b) = text.as_bytes().split_at(cut);
                let (found, _) = split(&[a, b]);
                let found: Vec<_> = found
                    .iter()
                    .map(|f| parse(f).data.map(Cow::into_owned))
                    .collect();
                assert_eq!(found, expected, "{text:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(split(&bytes).0.len(), expected.len());
        }
    }

    #[test]
    fn no_byte_is_lost_or_added() {
        let text = b"data: 1\r\n\r\ndata: 2\n\ndata: unfinished";
        let (frames, rest) = split(&[&text[..5], &text[5..11], &text[11..]]);
        let mut all: Vec<u8> = frames.concat();
        all.extend_from_slice(&rest);
        assert_eq!(all, text);
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let event = parse(b": hi\nevent:ping\ndata: a\ndata:b\nid: 3\nretry\n\n");
        assert_eq!(event.name, b"ping");
        assert_eq!(event.data.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(parse(b": only a comment\n\n").data, None);
    }

    #[test]
    fn a_frame_beyond_the_limit_is_let_go() {
        let mut frames = Frames::new(8);
        let pushed = frames.push(&Bytes::from_static(b"data: 123456"), |_| {});
        assert_eq!(pushed, Err(Oversized));
        assert!(frames.rest().is_empty());
    }
}
