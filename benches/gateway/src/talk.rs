//! What the load client and the mock say to each other across the proxy: the request, the shape of the stream that
//! it asks for, and the mark by which the client knows an event again.

use memchr::memmem;
use std::time::Duration;

/// Stands in the text of every answer and of every content event, and nowhere else.
pub const MARK: &[u8] = b"~tick~";

/// What a stream is to look like. It travels in the model's name, because that is the one thing a gateway hands on
/// in every dialect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// `bench-e200-g0`: 200 content events, no gap between them (in microseconds).
    Events { count: u64, gap: Duration },
    /// `bench-hold`: the opening and one content event, then silence until the client goes.
    Hold,
}

impl Shape {
    pub fn model(&self) -> String {
        match self {
            Self::Events { count, gap } => format!("bench-e{count}-g{}", gap.as_micros()),
            Self::Hold => "bench-hold".into(),
        }
    }

    /// The shape named by the first model name of ours in `text`.
    pub fn find(text: &[u8]) -> Option<Self> {
        let at = memmem::find(text, b"bench-")? + b"bench-".len();
        let rest = &text[at..];
        if rest.starts_with(b"hold") {
            return Some(Self::Hold);
        }
        let (count, rest) = digits(rest.strip_prefix(b"e")?)?;
        let (gap_us, _) = digits(rest.strip_prefix(b"-g")?)?;
        Some(Self::Events {
            count,
            gap: Duration::from_micros(gap_us),
        })
    }
}

fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end..]))
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Whole,
    Streamed,
}

/// A chat request of about 1 KB, head and body, as an SDK would send it.
pub fn chat_request(host: &str, key: &str, shape: &Shape, mode: Mode) -> Vec<u8> {
    let question =
        "Compare the two drafts line by line and say which of them reads better. ".repeat(10);
    let (accept, stream) = match mode {
        Mode::Whole => ("application/json", ""),
        Mode::Streamed => (
            "text/event-stream",
            r#","stream":true,"stream_options":{"include_usage":true}"#,
        ),
    };
    let body = format!(
        concat!(
            r#"{{"model":"{}","messages":[{{"role":"system","content":"Answer briefly, in plain words."}},"#,
            r#"{{"role":"user","content":"{}"}}],"temperature":0.2,"max_tokens":400{}}}"#
        ),
        shape.model(),
        question,
        stream
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\naccept: {accept}\r\n\
         content-type: application/json\r\nuser-agent: bench-load\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_found_again_in_the_request_that_names_it() {
        for shape in [
            Shape::Hold,
            Shape::Events {
                count: 200,
                gap: Duration::from_micros(20),
            },
        ] {
            let request = chat_request("localhost", "sk-1", &shape, Mode::Streamed);
            let body = memmem::find(&request, b"\r\n\r\n").unwrap();
            assert_eq!(Shape::find(&request[body..]), Some(shape));
        }
        assert_eq!(Shape::find(b"gpt-5"), None);
    }

    #[test]
    fn the_request_is_about_a_kilobyte_and_does_not_hold_the_mark() {
        let request = chat_request("localhost", "sk-1", &Shape::Hold, Mode::Whole);
        assert!((900..1200).contains(&request.len()), "{}", request.len());
        assert_eq!(memmem::find(&request, MARK), None);
    }
}
