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

/// What a client speaks. The mock answers in the first three; the others are only asked of a gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    Chat,
    Anthropic,
    Gemini,
    /// A response that the gateway keeps.
    Kept,
    /// The same one, not kept.
    Unkept,
}

impl Protocol {
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "chat" => Some(Self::Chat),
            "anthropic" => Some(Self::Anthropic),
            "gemini" => Some(Self::Gemini),
            "kept" => Some(Self::Kept),
            "unkept" => Some(Self::Unkept),
            _ => None,
        }
    }

    /// Starts the names of its models: by them a gateway chooses the channel.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Chat | Self::Kept | Self::Unkept => "",
            Self::Anthropic => "claude-",
            Self::Gemini => "gemini-",
        }
    }
}

/// A request of about 1 KB, head and body, as an SDK of the protocol would send it.
pub fn request(host: &str, key: &str, speaks: Protocol, model: &str, mode: Mode) -> Vec<u8> {
    let question =
        "Compare the two drafts line by line and say which of them reads better. ".repeat(10);
    let system = "Answer briefly, in plain words.";
    let streamed = mode == Mode::Streamed;
    let accept = if streamed {
        "text/event-stream"
    } else {
        "application/json"
    };
    let (path, credential, body) = match speaks {
        Protocol::Chat => {
            let stream = if streamed {
                r#","stream":true,"stream_options":{"include_usage":true}"#
            } else {
                ""
            };
            (
                "/v1/chat/completions".to_owned(),
                format!("authorization: Bearer {key}"),
                format!(
                    concat!(
                        r#"{{"model":"{}","messages":[{{"role":"system","content":"{}"}},"#,
                        r#"{{"role":"user","content":"{}"}}],"temperature":0.2,"max_tokens":400{}}}"#
                    ),
                    model, system, question, stream
                ),
            )
        }
        Protocol::Anthropic => {
            let stream = if streamed { r#","stream":true"# } else { "" };
            (
                "/v1/messages".to_owned(),
                format!("x-api-key: {key}\r\nanthropic-version: 2023-06-01"),
                format!(
                    concat!(
                        r#"{{"model":"{}","system":"{}","messages":[{{"role":"user","content":"{}"}}],"#,
                        r#""temperature":0.2,"max_tokens":400{}}}"#
                    ),
                    model, system, question, stream
                ),
            )
        }
        Protocol::Kept | Protocol::Unkept => (
            "/v1/responses".to_owned(),
            format!("authorization: Bearer {key}"),
            format!(
                concat!(
                    r#"{{"model":"{}","instructions":"{}","input":"{}","temperature":0.2,"#,
                    r#""max_output_tokens":400,"store":{},"stream":{}}}"#
                ),
                model,
                system,
                question,
                speaks == Protocol::Kept,
                streamed
            ),
        ),
        Protocol::Gemini => {
            let verb = if streamed {
                "streamGenerateContent?alt=sse"
            } else {
                "generateContent"
            };
            (
                format!("/v1beta/models/{model}:{verb}"),
                format!("x-goog-api-key: {key}"),
                format!(
                    concat!(
                        r#"{{"systemInstruction":{{"parts":[{{"text":"{}"}}]}},"#,
                        r#""contents":[{{"role":"user","parts":[{{"text":"{}"}}]}}],"#,
                        r#""generationConfig":{{"temperature":0.2,"maxOutputTokens":400}}}}"#
                    ),
                    system, question
                ),
            )
        }
    };
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{credential}\r\naccept: {accept}\r\n\
         content-type: application/json\r\nuser-agent: bench-load\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Protocol; 5] = [
        Protocol::Chat,
        Protocol::Anthropic,
        Protocol::Gemini,
        Protocol::Kept,
        Protocol::Unkept,
    ];

    #[test]
    fn a_shape_is_found_again_in_the_request_that_names_it() {
        let counted = Shape::Events {
            count: 200,
            gap: Duration::from_micros(20),
        };
        for shape in [Shape::Hold, counted] {
            for speaks in ALL {
                let model = format!("{}{}", speaks.prefix(), shape.model());
                let request = request("localhost", "sk-1", speaks, &model, Mode::Streamed);
                // Behind the user agent, which is ours too; or in the path, before it.
                let end = memmem::find(&request, b"\r\n\r\n").unwrap();
                let line = memmem::find(&request, b"\r\n").unwrap();
                let found = Shape::find(&request[end..]).or_else(|| Shape::find(&request[..line]));
                assert_eq!(found, Some(shape), "{speaks:?}");
            }
        }
        assert_eq!(Shape::find(b"gpt-5"), None);
    }

    #[test]
    fn the_request_is_about_a_kilobyte_and_does_not_hold_the_mark() {
        for speaks in ALL {
            let request = request("localhost", "sk-1", speaks, "bench-hold", Mode::Whole);
            assert!((900..1250).contains(&request.len()), "{}", request.len());
            assert_eq!(memmem::find(&request, MARK), None);
        }
    }
}
