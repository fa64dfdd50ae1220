//! Watches JSON go by, in an event stream or a body, cut anywhere: captures small objects under known
//! keys near the top (usage), and counts the bytes of text under others. Read-only, one pass,
//! bounded memory, whatever the length of what passes.

/// Objects larger than this are no usage.
const MAX_CAPTURE: usize = 16 * 1024;
const MAX_KEY: usize = 24;

/// What to look for. Depth 1 is the outermost object of a frame or body; an array around such objects
/// does not count.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// An object under this key is captured…
    pub capture: &'static str,
    /// …down to this depth.
    pub max_depth: u32,
    /// Bytes of strings under these keys are counted, at any depth.
    pub text: &'static [&'static str],
    /// A short string that is captured, too.
    pub word: Option<WordSpec>,
}

/// Which string to capture. Its depth is exact, so that nothing that a client has a say in passes for it.
#[derive(Clone, Copy, Debug)]
pub struct WordSpec {
    pub key: &'static str,
    /// In a body, and in an event of a stream.
    pub depth: u32,
    pub event_depth: u32,
}

/// What is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole object.
    Object(&'a [u8]),
    /// A string, between its quotes, as far as it fits a key.
    Word(&'a [u8]),
}

/// The state between two chunks.
#[derive(Debug, Default)]
pub struct Watch {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The last string that ended or is being read, as far as it fits: a key, if a colon follows.
    word: [u8; MAX_KEY],
    word_len: usize,
    /// A colon has just been passed: what follows is a value.
    after_colon: bool,
    /// The string being read is a value whose bytes count as text.
    counting: bool,
    /// The string being read is the word of the spec. Its bytes take its key's place.
    catching: bool,
    newline: bool,
    /// Blank lines end what is open: frames of an event stream.
    frames: bool,
    capture: Option<Capture>,
    /// Bytes of text seen under the keys of the spec.
    pub text_bytes: u64,
}

#[derive(Debug)]
struct Capture {
    /// Depth at which the object opened.
    depth: u32,
    bytes: Vec<u8>,
}

impl Watch {
    /// `frames`: what passes is an event stream, in which a blank line ends whatever was open.
    pub fn new(frames: bool) -> Self {
        Self {
            frames,
            ..Self::default()
        }
    }

    /// Reads on. `on_capture` gets what is complete under the keys of the spec.
    pub fn feed(&mut self, chunk: &[u8], spec: &Spec, mut on_capture: impl FnMut(Found<'_>)) {
        let mut at = 0;
        // Where the bytes of a running capture start in this chunk.
        let mut captured_from = 0;
        while at < chunk.len() {
            if self.in_string {
                at = self.string(chunk, at);
                if self.catching && !self.in_string {
                    self.catching = false;
                    on_capture(Found::Word(&self.word[..self.word_len]));
                }
                continue;
            }
            let byte = chunk[at];
            at += 1;
            match byte {
                b'"' if self.depth > 0 => self.open_string(spec),
                b'{' => {
                    self.depth += 1;
                    if self.capture.is_none() && self.wants_capture(spec) {
                        captured_from = at - 1;
                        self.capture = Some(Capture {
                            depth: self.depth,
                            bytes: Vec::new(),
                        });
                    }
                    self.after_colon = false;
                }
                b'[' if self.depth > 0 => {
                    self.depth += 1;
                    self.after_colon = false;
                }
                b'}' | b']' if self.depth > 0 => {
                    if let Some(capture) = self.capture.take_if(|c| c.depth == self.depth) {
                        finish(capture, &chunk[captured_from..at], &mut on_capture);
                    }
                    self.depth -= 1;
                    self.after_colon = false;
                }
                b':' if self.depth > 0 => self.after_colon = true,
                b',' => self.after_colon = false,
                b'\n' if self.newline && self.frames => self.reset(),
                _ => {}
            }
            self.newline = byte == b'\n' || (byte == b'\r' && self.newline);
        }
        if let Some(capture) = &mut self.capture {
            capture.bytes.extend_from_slice(&chunk[captured_from..]);
            if capture.bytes.len() > MAX_CAPTURE {
                self.capture = None;
            }
        }
    }

    /// A blank line ends a frame, whatever was open in it.
    fn reset(&mut self) {
        self.depth = 0;
        self.after_colon = false;
        self.capture = None;
    }

    fn wants_capture(&self, spec: &Spec) -> bool {
        self.after_colon
            && self.depth <= spec.max_depth + 1
            && &self.word[..self.word_len] == spec.capture.as_bytes()
    }

    fn open_string(&mut self, spec: &Spec) {
        self.in_string = true;
        self.counting = self.after_colon && {
            let key = &self.word[..self.word_len];
            self.catching = spec.word.is_some_and(|word| {
                word.key.as_bytes() == key
                    && self.depth
                        == if self.frames {
                            word.event_depth
                        } else {
                            word.depth
                        }
            });
            spec.text.iter().any(|name| name.as_bytes() == key)
        };
        if !self.after_colon || self.catching {
            self.word_len = 0;
        }
    }

    /// Inside a string, from `at` to its end or the chunk's. Returns where to go on.
    fn string(&mut self, chunk: &[u8], at: usize) -> usize {
        if std::mem::take(&mut self.escaped) && chunk[at] != b'\n' {
            self.take(&chunk[at..=at]);
            return at + 1;
        }
        let Some(run) = memchr::memchr3(b'"', b'\\', b'\n', &chunk[at..]) else {
            self.take(&chunk[at..]);
            return chunk.len();
        };
        self.take(&chunk[at..at + run]);
        if chunk[at + run] == b'\\' {
            self.escaped = true;
        } else {
            // A raw line end is none of a string's characters: it was cut.
            self.in_string = false;
            self.after_colon = false;
            self.counting = false;
            self.newline = chunk[at + run] == b'\n';
        }
        at + run + 1
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.counting {
            self.text_bytes += bytes.len() as u64;
        }
        if !self.after_colon || self.catching {
            // A key that does not fit is none of ours: one byte too many keeps it from matching.
            let room = MAX_KEY - self.word_len;
            let fits = bytes.len().min(room);
            self.word[self.word_len..self.word_len + fits].copy_from_slice(&bytes[..fits]);
            self.word_len += fits;
        }
    }
}

fn finish(capture: Capture, last: &[u8], on_capture: &mut impl FnMut(Found<'_>)) {
    if capture.bytes.len() + last.len() > MAX_CAPTURE {
        return;
    }
    if capture.bytes.is_empty() {
        on_capture(Found::Object(last));
        return;
    }
    let mut bytes = capture.bytes;
    bytes.extend_from_slice(last);
    on_capture(Found::Object(&bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        capture: "usage",
        max_depth: 2,
        text: &["content", "text"],
        word: Some(WordSpec {
            key: "tier",
            depth: 1,
            event_depth: 2,
        }),
    };

    fn watch(chunks: &[&[u8]]) -> (Vec<String>, u64) {
        let mut watch = Watch::new(true);
        let mut found = Vec::new();
        for chunk in chunks {
            watch.feed(chunk, &SPEC, |one| {
                let (sign, bytes) = match one {
                    Found::Object(bytes) => ("", bytes),
                    Found::Word(bytes) => ("=", bytes),
                };
                found.push(format!("{sign}{}", String::from_utf8_lossy(bytes)));
            });
        }
        (found, watch.text_bytes)
    }

    const STREAM: &str = concat!(
        ": a \"comment\" {\n\n",
        "event: x\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\\\"usage\\\":{}b\"}}],\"usage\":null}\n\n",
        "data: {\"message\":{\"usage\" : {\"in\":{\"x\":1},\"s\":\"}\"},\"content\":[]}}\n\n",
        "data: {\"a\":{\"b\":{\"usage\":{\"deep\":1}}}}\r\n\r\n",
        "data: {\"text\":\"usage\",\"usage\":{\"out\":[1,2]}}\n\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn usage_is_found_near_the_top_and_text_is_counted() {
        let (found, text) = watch(&[STREAM.as_bytes()]);
        assert_eq!(found, ["{\"in\":{\"x\":1},\"s\":\"}\"}", "{\"out\":[1,2]}"]);
        // `a"usage":{}b` without its two backslashes, and `usage`.
        assert_eq!(text, 12 + 5);
    }

    #[test]
    fn a_stream_cut_at_every_byte_gives_the_same() {
        let expected = watch(&[STREAM.as_bytes()]);
        for cut in 0..STREAM.len() {
            let (a, b) = STREAM.as_bytes().split_at(cut);
            assert_eq!(watch(&[a, b]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(watch(&bytes), expected);
    }

    #[test]
    fn a_word_is_captured_at_its_depth_only_wherever_it_is_cut() {
        let stream = concat!(
            "data: {\"tier\":\"top\",\"r\":{\"tier\" : \"flex\",\"x\":{\"tier\":\"deep\"},\"tier\":null,\"content\":\"tier\"}}\n\n",
            "data: {\"r\":{\"tier\":\"a word that is longer than any that is known\"}}\n\n",
            "data: {\"r\":{\"tier\":\"cu\n\ndata: {\"r\":{\"tier\":\"\",\"usage\":{}}}\n\n",
        );
        let expected = ["=flex", "=a word that is longer th", "=cu", "=", "{}"];
        assert_eq!(watch(&[stream.as_bytes()]).0, expected);
        for cut in 0..stream.len() {
            let (a, b) = stream.as_bytes().split_at(cut);
            assert_eq!(watch(&[a, b]).0, expected, "cut at {cut}");
        }
        let mut body = Watch::new(false);
        let mut found = Vec::new();
        let text =
            b"{\"metadata\":{\"tier\":\"wished\"},\"tier\":\"billed\",\"x\":{\"tier\":\"wished\"}}";
        body.feed(text, &SPEC, |one| found.push(format!("{one:?}")));
        assert_eq!(found, [format!("{:?}", Found::Word(b"billed"))]);
    }

    #[test]
    fn an_array_around_the_objects_does_not_count() {
        let body = b"[{\"usage\":{\"a\":1}},\n{\"x\":{\"usage\":{\"a\":2}}}]";
        assert_eq!(watch(&[body]).0, ["{\"a\":1}", "{\"a\":2}"]);
    }

    #[test]
    fn a_frame_that_was_cut_does_not_spoil_the_next() {
        for cut in ["{\"a\":[{", "{\"a\":\"open", "{\"a\":{\"b\\"] {
            let text = format!("data: {cut}\n\ndata: {{\"usage\":{{\"a\":1}}}}\n\n");
            assert_eq!(watch(&[text.as_bytes()]).0, ["{\"a\":1}"], "{cut}");
        }
    }

    #[test]
    fn a_blank_line_in_a_body_is_only_space() {
        let mut watch = Watch::new(false);
        let mut found = 0;
        watch.feed(b"{\n\n\"a\":1,\n\n\"usage\":\n\n{\"x\":1}}", &SPEC, |_| {
            found += 1;
        });
        assert_eq!(found, 1);
    }

    #[test]
    fn captures_are_bounded() {
        let big = format!(
            "{{\"usage\":{{\"a\":\"{}\"}},\"usage\":{{}}}}",
            "x".repeat(MAX_CAPTURE)
        );
        let mut watch = Watch::new(true);
        let mut found = 0;
        for chunk in big.as_bytes().chunks(1000) {
            watch.feed(chunk, &SPEC, |_| found += 1);
        }
        assert_eq!(found, 1);
    }
}
