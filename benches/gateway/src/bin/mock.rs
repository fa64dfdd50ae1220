//! A provider that costs next to nothing: OpenAI chat, Anthropic messages and Gemini, whole or streamed, from answers
//! made up before the first request. One thread.
//!
//!     bench-mock LISTEN

use memchr::memmem;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, sleep_until};
use torouter_bench::flags::refuse;
use torouter_bench::http1::{Head, Wire};
use torouter_bench::talk::{MARK, Shape};

/// As many as can wait to be accepted while a thousand streams open at once.
const BACKLOG: u32 = 4096;

/// A streamed answer, cut where the mock writes; every piece is already framed as HTTP chunks.
struct Script {
    opening: Vec<u8>,
    event: Vec<u8>,
    closing: Vec<u8>,
}

/// What a provider of another protocol says: the same answer, and as many events.
struct Voice {
    whole: Vec<u8>,
    streamed: Script,
}

/// Everything the mock can say.
struct Answers {
    chat: Vec<u8>,
    streamed: Script,
    streamed_with_usage: Script,
    anthropic: Voice,
    gemini: Voice,
    models: Vec<u8>,
    unknown_path: Vec<u8>,
    unknown_model: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let complaint = |text: &str| {
            format!(r#"{{"error":{{"message":"{text}","type":"invalid_request_error"}}}}"#)
        };
        Self {
            chat: whole("200 OK", &chat_answer()),
            streamed: script(Usage::Untold),
            streamed_with_usage: script(Usage::Told),
            anthropic: anthropic(),
            gemini: gemini(),
            models: whole(
                "200 OK",
                r#"{"object":"list","data":[{"id":"bench-hold","object":"model","created":1,"owned_by":"bench"}]}"#,
            ),
            unknown_path: whole(
                "404 Not Found",
                &complaint("the mock does not serve this path"),
            ),
            unknown_model: whole(
                "400 Bad Request",
                &complaint("the model names no shape, such as bench-e200-g0"),
            ),
        }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn answer_text() -> String {
    let text = "The second draft is shorter and says what it wants in its first line. ".repeat(8);
    format!("{}{text}", String::from_utf8_lossy(MARK))
}

fn chat_answer() -> String {
    format!(
        concat!(
            r#"{{"id":"chatcmpl-bench0001","object":"chat.completion","created":1760000000,"model":"bench-1","#,
            r#""choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"#,
            r#""usage":{{"prompt_tokens":180,"completion_tokens":121,"total_tokens":301,"prompt_tokens_details":{{"cached_tokens":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_bench"}}"#
        ),
        answer_text()
    )
}

fn stream_head() -> &'static str {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
     x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
}

/// A frame as one HTTP chunk.
fn chunk(frame: &str) -> Vec<u8> {
    format!("{:x}\r\n{frame}\r\n", frame.len()).into_bytes()
}

fn anthropic() -> Voice {
    let mark = String::from_utf8_lossy(MARK);
    let event = |name: &str, rest: &str| {
        chunk(&format!(
            "event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n"
        ))
    };
    let usage = r#""input_tokens":180,"cache_creation_input_tokens":0,"cache_read_input_tokens":0"#;
    let message =
        r#""id":"msg_bench0001","type":"message","role":"assistant","model":"claude-bench-1""#;
    let body = format!(
        concat!(
            r#"{{{},"content":[{{"type":"text","text":"{}"}}],"stop_reason":"end_turn","stop_sequence":null,"#,
            r#""usage":{{{},"output_tokens":121,"service_tier":"standard"}}}}"#
        ),
        message,
        answer_text(),
        usage
    );
    let start = format!(
        r#","message":{{{message},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{usage},"output_tokens":1}}}}"#
    );
    let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":" {mark}"}}"#);
    Voice {
        whole: whole("200 OK", &body),
        streamed: Script {
            opening: [
                stream_head().as_bytes(),
                &event("message_start", &start),
                &event(
                    "content_block_start",
                    r#","index":0,"content_block":{"type":"text","text":""}"#,
                ),
                &event("ping", ""),
            ]
            .concat(),
            event: event("content_block_delta", &delta),
            closing: [
                &event("content_block_stop", r#","index":0"#),
                &event(
                    "message_delta",
                    r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}"#,
                ),
                &event("message_stop", ""),
                &b"0\r\n\r\n"[..],
            ]
            .concat(),
        },
    }
}

fn gemini() -> Voice {
    let body = |text: &str, finish: &str| {
        format!(
            concat!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{}"}}],"role":"model"}},"index":0{}}}],"#,
                r#""usageMetadata":{{"promptTokenCount":180,"candidatesTokenCount":121,"totalTokenCount":301}},"#,
                r#""modelVersion":"gemini-bench-1","responseId":"bench0001"}}"#
            ),
            text, finish
        )
    };
    let stop = r#","finishReason":"STOP""#;
    let event = |text: &str, finish: &str| chunk(&format!("data: {}\r\n\r\n", body(text, finish)));
    Voice {
        whole: whole("200 OK", &body(&answer_text(), stop)),
        streamed: Script {
            opening: stream_head().as_bytes().to_vec(),
            event: event(&format!(" {}", String::from_utf8_lossy(MARK)), ""),
            closing: [&event("", stop), &b"0\r\n\r\n"[..]].concat(),
        },
    }
}

#[derive(Clone, Copy)]
enum Usage {
    Told,
    Untold,
}

fn script(usage: Usage) -> Script {
    // OpenAI puts `"usage":null` into every chunk but the last once usage was asked for.
    let (null, last) = match usage {
        Usage::Told => (
            r#","usage":null"#,
            sse(&event(
                "[]",
                r#","usage":{"prompt_tokens":180,"completion_tokens":200,"total_tokens":380,"prompt_tokens_details":{"cached_tokens":0}}"#,
            )),
        ),
        Usage::Untold => ("", Vec::new()),
    };
    let delta = |delta: &str, finish: &str| {
        sse(&event(
            &format!(r#"[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]"#),
            null,
        ))
    };
    let mark = String::from_utf8_lossy(MARK);
    Script {
        opening: [
            stream_head().as_bytes(),
            &delta(
                r#"{"role":"assistant","content":"","refusal":null}"#,
                "null",
            ),
        ]
        .concat(),
        event: delta(&format!(r#"{{"content":" {mark}"}}"#), "null"),
        closing: [
            &delta("{}", r#""stop""#),
            &last,
            &sse("[DONE]"),
            &b"0\r\n\r\n"[..],
        ]
        .concat(),
    }
}

fn event(choices: &str, usage: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"chatcmpl-bench0001","object":"chat.completion.chunk","created":1760000000,"model":"bench-1","#,
            r#""service_tier":"default","system_fingerprint":"fp_bench","choices":{}{}}}"#
        ),
        choices, usage
    )
}

fn sse(data: &str) -> Vec<u8> {
    chunk(&format!("data: {data}\n\n"))
}

fn says(body: &[u8], member: &str) -> bool {
    let spaced = member.replacen(':', ": ", 1);
    memmem::find(body, member.as_bytes()).is_some()
        || memmem::find(body, spaced.as_bytes()).is_some()
}

async fn answer(wire: &mut Wire, answers: &Answers, head: &Head, body: &[u8]) -> io::Result<()> {
    let mut words = head.start_line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = target.split('?').next().unwrap_or_default();
    if method == "GET" && path.ends_with("/models") {
        return wire.send(&answers.models).await;
    }
    if method != "POST" {
        return wire.send(&answers.unknown_path).await;
    }
    let streamed = says(body, r#""stream":true"#);
    let (whole, script, is_streamed) = if path.ends_with("/chat/completions") {
        let script = if says(body, r#""include_usage":true"#) {
            &answers.streamed_with_usage
        } else {
            &answers.streamed
        };
        (&answers.chat, script, streamed)
    } else if path.ends_with("/v1/messages") {
        let voice = &answers.anthropic;
        (&voice.whole, &voice.streamed, streamed)
    } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
        let voice = &answers.gemini;
        (
            &voice.whole,
            &voice.streamed,
            path.ends_with(":streamGenerateContent"),
        )
    } else {
        return wire.send(&answers.unknown_path).await;
    };
    if !is_streamed {
        return wire.send(whole).await;
    }
    match Shape::find(body).or_else(|| Shape::find(path.as_bytes())) {
        Some(Shape::Events { count, gap }) => play(wire, script, count, gap).await,
        Some(Shape::Hold) => hold(wire, script).await,
        None => wire.send(&answers.unknown_model).await,
    }
}

async fn play(wire: &mut Wire, script: &Script, count: u64, gap: Duration) -> io::Result<()> {
    wire.send(&script.opening).await?;
    let mut due = Instant::now();
    for _ in 0..count {
        if gap.is_zero() {
            // Let the other streams have their turn, else this one would go out in one piece.
            yield_now().await;
        } else {
            due += gap;
            sleep_until(due).await;
        }
        wire.send(&script.event).await?;
    }
    wire.send(&script.closing).await
}

async fn hold(wire: &mut Wire, script: &Script) -> io::Result<()> {
    wire.send(&[script.opening.as_slice(), &script.event].concat())
        .await?;
    while wire.fill().await? {}
    // The stream was never finished, so nothing more may be said on this connection.
    Err(io::ErrorKind::ConnectionAborted.into())
}

async fn serve(mut wire: Wire, answers: Rc<Answers>) -> io::Result<()> {
    let mut body = Vec::new();
    while let Some(head) = wire.head().await? {
        body.clear();
        wire.body(head.framing, &mut |bytes| body.extend_from_slice(bytes))
            .await?;
        answer(&mut wire, &answers, &head, &body).await?;
        if head.close {
            return Ok(());
        }
    }
    Ok(())
}

async fn listen(address: &str) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse().map_err(io::Error::other)?)?;
    let listener = socket.listen(BACKLOG)?;
    let answers = Rc::new(Answers::new());
    loop {
        let (socket, _) = listener.accept().await?;
        let (wire, answers) = (Wire::new(socket)?, answers.clone());
        // A connection that breaks is the proxy's affair; the client at the other end will count it.
        spawn_local(async move { serve(wire, answers).await });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some(address) = std::env::args().nth(1) else {
        refuse("usage: bench-mock LISTEN");
    };
    if let Err(error) = LocalSet::new().run_until(listen(&address)).await {
        eprintln!("bench-mock on {address}: {error}");
        std::process::exit(3);
    }
}
