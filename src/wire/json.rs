//! One pass over a JSON body: checks the whole grammar and reports where the fields of the outermost
//! object stand. Nothing is copied or built; depth is bounded, so is the stack.

use std::fmt;
use std::ops::Range;

/// Deeper bodies are refused: no provider takes them, and readers behind us may recurse.
pub const MAX_DEPTH: usize = 512;

/// Where and why a body is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset of the first wrong byte.
    pub offset: usize,
    pub what: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

/// A field of the outermost object: `key` without its quotes, as written; `value` as it stands.
pub struct Field<'a> {
    pub key: &'a [u8],
    pub value: Range<usize>,
}

/// Checks `body` and calls `on_field` for each field of the object that it must be.
pub fn scan_object<'a>(
    body: &'a [u8],
    mut on_field: impl FnMut(Field<'a>),
) -> Result<(), JsonError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(JsonError {
            offset: error.valid_up_to(),
            what: "not valid UTF-8",
        });
    }
    let mut scanner = Scanner { body, at: 0 };
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.error(if body.is_empty() {
            "the body is empty; expected a JSON object"
        } else {
            "expected a JSON object"
        }));
    }
    scanner.document(&mut on_field)
}

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
}

/// One bit a level: set for an object, clear for an array.
struct Nesting {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, object: bool) -> bool {
        if self.depth == MAX_DEPTH {
            return false;
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
        self.depth += 1;
        true
    }

    fn in_object(&self) -> bool {
        let top = self.depth - 1;
        self.bits[top / 64] & (1 << (top % 64)) != 0
    }
}

impl<'a> Scanner<'a> {
    fn error(&self, what: &'static str) -> JsonError {
        let what = if self.at >= self.body.len() && !self.body.is_empty() {
            "the JSON ends too early"
        } else {
            what
        };
        JsonError {
            offset: self.at,
            what,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// From the opening brace to the end of the body.
    fn document(&mut self, on_field: &mut impl FnMut(Field<'a>)) -> Result<(), JsonError> {
        let mut nesting = Nesting {
            bits: [0; MAX_DEPTH / 64],
            depth: 0,
        };
        // Key and start of the value that is being read in the outermost object.
        let mut field: (&[u8], usize) = (&[], 0);
        loop {
            // A value is expected here.
            let opened = match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if !nesting.push(open == b'{') {
                        return Err(self.error("the JSON is nested more than 512 levels deep"));
                    }
                    self.at += 1;
                    self.skip_space();
                    let close = if open == b'{' { b'}' } else { b']' };
                    self.peek() != Some(close)
                }
                _ => {
                    self.scalar()?;
                    false
                }
            };
            if opened {
                if nesting.in_object() {
                    let key = self.key()?;
                    if nesting.depth == 1 {
                        field = (key, self.at);
                    }
                }
                continue;
            }
            // A value has ended, or a container is empty: close what closes, then go on.
            loop {
                self.skip_space_before_separator(&nesting, &mut field, on_field);
                let Some(byte) = self.peek() else {
                    return Err(self.error("the JSON ends too early"));
                };
                let in_object = nesting.in_object();
                match byte {
                    b',' if in_object => {
                        self.at += 1;
                        self.skip_space();
                        let key = self.key()?;
                        if nesting.depth == 1 {
                            field = (key, self.at);
                        }
                        break;
                    }
                    b',' => {
                        self.at += 1;
                        self.skip_space();
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ if in_object => return Err(self.error("expected ',' or '}'")),
                    _ => return Err(self.error("expected ',' or ']'")),
                }
                self.at += 1;
                nesting.depth -= 1;
                if nesting.depth == 0 {
                    self.skip_space();
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => Err(self.error("something follows the JSON object")),
                    };
                }
            }
        }
    }

    /// A finished value of the outermost object is reported before the blank space behind it.
    fn skip_space_before_separator(
        &mut self,
        nesting: &Nesting,
        field: &mut (&'a [u8], usize),
        on_field: &mut impl FnMut(Field<'a>),
    ) {
        if nesting.depth == 1 && field.1 != 0 {
            on_field(Field {
                key: field.0,
                value: field.1..self.at,
            });
            field.1 = 0;
        }
        self.skip_space();
    }

    /// A key, its colon and the space around them. Returns the key without its quotes.
    fn key(&mut self) -> Result<&'a [u8], JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key in double quotes"));
        }
        let start = self.at + 1;
        self.string()?;
        let key = &self.body[start..self.at - 1];
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error("expected ':' after a key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.error("expected a JSON value")),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), JsonError> {
        if self.body[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(&self.body[self.at..]) {
            self.at = self.body.len();
        }
        Err(self.error("expected a JSON value"))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.error("expected a digit"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            self.at += plain_run(&self.body[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => {
                    return Err(self.error("a control character stands unescaped in a string"));
                }
                None => return Err(self.error("a string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(c) if c.is_ascii_hexdigit() => self.at += 1,
                        _ => return Err(self.error("expected four hexadecimal digits after \\u")),
                    }
                }
            }
            _ => return Err(self.error("unknown escape in a string")),
        }
        Ok(())
    }
}

/// How many bytes from the start need no attention inside a string: no quote, no backslash, no
/// control character. Eight at a time, since strings are most of what a chat body is.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut run = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        // The classic test for a zero byte, and for a byte below 0x20, in a word.
        let hit = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let hit = hit & HIGH;
        if hit != 0 {
            return run + (hit.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    run + bytes[run..]
        .iter()
        .take_while(|&&b| b != b'"' && b != b'\\' && b >= 0x20)
        .count()
}

/// Are these the same key? A key may be written with escapes, and the reader behind us would
/// understand it.
pub fn key_is(written: &[u8], name: &str) -> bool {
    if !written.contains(&b'\\') {
        return written == name.as_bytes();
    }
    string_value_unquoted(written).is_some_and(|key| key == name)
}

/// The text of a JSON string value, given with its quotes; `None` when it is not a string.
pub fn string_value(value: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        serde_json::from_slice::<String>(value).ok().map(Into::into)
    } else {
        std::str::from_utf8(inner).ok().map(Into::into)
    }
}

fn string_value_unquoted(inner: &[u8]) -> Option<String> {
    let mut quoted = Vec::with_capacity(inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inner);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

/// `text` as a JSON string, with quotes.
pub fn quote(text: &str) -> String {
    // A string always serialises.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Result<Vec<(String, String)>, JsonError> {
        let mut found = Vec::new();
        scan_object(body.as_bytes(), |field| {
            found.push((
                String::from_utf8_lossy(field.key).into_owned(),
                body[field.value].to_owned(),
            ));
        })?;
        Ok(found)
    }

    #[test]
    fn fields_of_the_outermost_object_are_found_where_they_stand() {
        let found = fields(
            " {\"model\" : \"gpt\\\"5\" ,\"a\":[1,{\"model\":2}],\n\"n\":-1.50e+2,\"e\":{} } ",
        )
        .expect("valid");
        let expected = [
            ("model", "\"gpt\\\"5\""),
            ("a", "[1,{\"model\":2}]"),
            ("n", "-1.50e+2"),
            ("e", "{}"),
        ];
        assert_eq!(
            found,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec()
        );
        assert_eq!(fields("{}").expect("valid"), vec![]);
    }

    #[test]
    fn what_serde_refuses_is_refused_and_what_it_takes_is_taken() {
        for body in [
            "",
            " ",
            "[]",
            "null",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":tru}",
            "{\"a\":nul",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":[1,]}",
            "{\"a\":[1 2]}",
            "{\"a\":[}",
            "{\"a\":{]}",
            "{} {}",
            "{\"a\":\"",
            "{\"a\":\"b",
            "{,}",
            "{\"a\":}",
            "{\"a\":[1}",
            "{\"a\":-}",
            "not json",
            "{\"a\":'b'}",
        ] {
            assert!(fields(body).is_err(), "{body}");
            assert!(
                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body).is_err(),
                "{body}"
            );
        }
        for body in [
            "{\"a\":[]}",
            "{\"a\":[[],{}],\"b\":0}",
            "{\"a\":\"\\u00e9\\n\\/\"}",
            "{\"\":\"\"}",
            "{\"a\":0.0,\"b\":-0,\"c\":1E9}",
            "{\"a\":\"ünïcode ✓ 🎉 and more text than one word\"}",
        ] {
            assert!(fields(body).is_ok(), "{body}");
            assert!(
                serde_json::from_str::<serde_json::Value>(body).is_ok(),
                "{body}"
            );
        }
    }

    #[test]
    fn ten_thousand_levels_are_refused_without_a_deep_stack() {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let error = fields(&body).expect_err("too deep");
        assert!(error.what.contains("nested"), "{error}");
        let fine = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        assert!(fields(&fine).is_ok());
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(fields("{\"a\":1,}").expect_err("wrong").offset, 7);
        assert_eq!(
            fields("{\"a\":").expect_err("wrong").what,
            "the JSON ends too early"
        );
        let mut invalid = b"{\"a\":\"".to_vec();
        invalid.extend_from_slice(&[0xff, b'"', b'}']);
        assert_eq!(scan_object(&invalid, |_| {}).expect_err("wrong").offset, 6);
    }

    #[test]
    fn plain_runs_stop_at_each_special_byte_at_every_offset() {
        for special in [b'"', b'\\', 0x1f, 0x00, b'\n'] {
            for at in 0..40 {
                let mut bytes = vec![b'a'; 41];
                bytes[at] = special;
                assert_eq!(plain_run(&bytes), at);
            }
        }
        let high = "é".repeat(20);
        assert_eq!(plain_run(high.as_bytes()), high.len());
        assert_eq!(plain_run(&[0x7f; 17]), 17);
    }

    #[test]
    fn keys_written_with_escapes_are_known() {
        assert!(key_is(b"model", "model"));
        assert!(key_is(br"mod\u0065l", "model"));
        assert!(!key_is(b"Model", "model"));
        assert_eq!(string_value(br#""a\nb""#).as_deref(), Some("a\nb"));
        assert_eq!(string_value(b"12"), None);
    }
}
