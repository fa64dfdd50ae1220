//! The bytes: framing, pacing, cutting, and noticing that the client has left.
//!
//! Owns: every write to a session. Knows nothing of what the events say.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use tokio::time::Instant;

use super::books::Sent;
use super::errors;
use super::exchange::{Body, Event, Problem, Reply, Voice};
use super::fault::{Fault, Steer, Trouble};
use super::json::Json;
use super::openai_run::Run;
use super::replay;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The simulator broke the connection on purpose.
    Broken,
    ClientLeft,
}

/// Some bytes that are written at once.
struct Piece {
    bytes: Bytes,
    said: u64,
    /// Comments and blank lines are no events: a cut does not count them.
    event: bool,
}

/// Waits until `moment`; false when the client left meanwhile.
async fn wait_until(session: &mut ServerSession, moment: Instant) -> bool {
    tokio::select! {
        () = tokio::time::sleep_until(moment) => true,
        // It returns only on a close, or on bytes that have no place here.
        _ = session.read_body_or_idle(true) => false,
    }
}

/// Waits for `time`; false when the client left meanwhile.
pub(super) async fn wait(session: &mut ServerSession, time: Duration) -> bool {
    if time.is_zero() {
        return true;
    }
    wait_until(session, Instant::now() + time).await
}

/// Says nothing until the client leaves.
pub(super) async fn hang(session: &mut ServerSession) {
    // Bounded by an hour, so that a forgotten client does not hold a task for ever.
    let _ = wait(session, Duration::from_secs(3600)).await;
}

/// Turns an answer into the faulty one that was asked for; `Hang`, `Close` and `Cut` are matters of the connection.
pub(super) fn spoil(mut reply: Reply, steer: &Steer, voice: Voice) -> Reply {
    let Some(trouble) = &steer.trouble else {
        return reply;
    };
    let stream = reply.is_stream();
    match trouble {
        Trouble::BadKey => errors::refusal(voice, &errors::bad_key(voice)),
        Trouble::Late => late(reply, voice),
        Trouble::Fault(fault) => match fault {
            Fault::Hang | Fault::Close | Fault::NoUpgrade | Fault::Cut(_) => reply,
            Fault::Status(status) => errors::refusal(voice, &errors::problem(*status, steer)),
            Fault::ErrorFirst if stream => {
                reply.opening = 0;
                late(reply, voice)
            }
            Fault::ErrorFirst | Fault::ErrorBody => error_body(voice),
            Fault::Empty => {
                reply.bill = None;
                reply.body = match reply.body {
                    Body::Events(_) => Body::Events(Vec::new()),
                    _ => Body::Raw {
                        content_type: "application/json".to_owned(),
                        bytes: Bytes::new(),
                    },
                };
                reply
            }
            Fault::Garbage => Reply::raw(
                if stream {
                    "text/event-stream"
                } else {
                    "application/json"
                },
                &b"data: {\"id\": \"\xff\xfe\", \"choi\n\n\x00\x01 this is no answer\n\n"[..],
            ),
            Fault::Html => Reply::raw(
                "text/html; charset=utf-8",
                "<!doctype html><html><head><title>Just a moment</title></head><body>Checking your browser.</body></html>",
            ),
            Fault::Redirect => {
                let mut reply = Reply::raw("text/html; charset=utf-8", "")
                    .header("location", "https://example.com/elsewhere");
                reply.status = 302;
                reply
            }
        },
    }
}

/// The opening events of a stream and then the dialect's error.
fn late(mut reply: Reply, voice: Voice) -> Reply {
    reply.bill = None;
    let opening = reply.opening;
    reply.body = match reply.body {
        Body::Events(events) => Body::Events(broken_off(events, opening, voice)),
        Body::Array(events) => Body::Array(broken_off(events, opening, voice)),
        Body::Json(_) | Body::Raw { .. } => return error_body(voice),
    };
    reply
}

fn broken_off(mut events: Vec<Event>, opening: usize, voice: Voice) -> Vec<Event> {
    events.truncate(opening);
    let errors = errors::error_events(voice, &events);
    events.extend(errors);
    events
}

/// A 200 whose body is the provider's error.
fn error_body(voice: Voice) -> Reply {
    let problem = Problem::new(
        if voice == Voice::Anthropic { 529 } else { 503 },
        "The model is overloaded (simulated).",
    );
    let mut reply = errors::refusal(voice, &problem);
    reply.status = 200;
    reply
}

/// Sends an answer. After `Complete` the session can be finished and used again.
pub(super) async fn deliver(
    session: &mut ServerSession,
    reply: &Reply,
    steer: &Steer,
    voice: Voice,
    head_only: bool,
) -> (End, Sent) {
    let mut pieces = pieces(reply, steer, voice);
    let length: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let stream = is_stream(reply);
    let broken = cut(&mut pieces, steer, stream);
    let sized = !stream && steer.chunking.is_none() && !(steer.comments && voice.is_router());
    if let Some(size) = steer.chunking {
        pieces = rechunk(&pieces, size);
    }
    let mut sent = Sent::default();
    let Some(head) = head(session, reply, voice, sized.then_some(length)) else {
        return (End::Broken, sent);
    };
    if session.write_response_header(Box::new(head)).await.is_err() {
        return (End::ClientLeft, sent);
    }
    let pace = match &reply.run {
        // Bytes that were divided anew are no events.
        Some((run, first)) if steer.chunking.is_none() => Pace::Run(run, *first),
        _ => Pace::Gap(steer.gap),
    };
    if !head_only && !write(session, pieces, pace, &mut sent).await {
        return (End::ClientLeft, sent);
    }
    if broken {
        return (End::Broken, sent);
    }
    sent.complete = true;
    (End::Complete, sent)
}

/// When the pieces go out.
#[derive(Clone, Copy)]
enum Pace<'a> {
    Gap(Duration),
    /// Each at its moment; the first piece is the event of this number.
    Run(&'a Run, usize),
}

async fn write(
    session: &mut ServerSession,
    pieces: Vec<Piece>,
    pace: Pace<'_>,
    sent: &mut Sent,
) -> bool {
    // Against fixed moments, so that the time of writing does not add to the gaps.
    let mut moment = Instant::now();
    for (at, piece) in pieces.into_iter().enumerate() {
        match pace {
            Pace::Gap(gap) if at > 0 && !gap.is_zero() => {
                moment += gap;
                if !wait_until(session, moment).await {
                    return false;
                }
            }
            Pace::Gap(_) => {}
            Pace::Run(run, first) => {
                let Some(due_ms) = run.due_ms(first + at) else {
                    return true;
                };
                if !wait(session, Run::left(due_ms)).await {
                    return false;
                }
                // It may have been cancelled meanwhile.
                if run.due_ms(first + at).is_none() {
                    return true;
                }
            }
        }
        let bytes = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
        if session
            .write_response_body(piece.bytes, false)
            .await
            .is_err()
        {
            return false;
        }
        sent.bytes += bytes;
        sent.events += u64::from(piece.event);
        sent.said += piece.said;
    }
    true
}

fn is_stream(reply: &Reply) -> bool {
    match &reply.body {
        Body::Events(_) | Body::Array(_) => true,
        Body::Raw { content_type, .. } => content_type.starts_with("text/event-stream"),
        Body::Json(_) => false,
    }
}

/// The head of the answer; `None` only for headers that HTTP does not allow.
fn head(
    session: &ServerSession,
    reply: &Reply,
    voice: Voice,
    length: Option<usize>,
) -> Option<ResponseHeader> {
    let mut head = ResponseHeader::build(reply.status, None).ok()?;
    head.insert_header("content-type", content_type(reply, voice))
        .ok()?;
    match length {
        Some(length) => head
            .insert_header("content-length", length.to_string())
            .ok()?,
        None if !session.is_http2() => head.insert_header("transfer-encoding", "chunked").ok()?,
        None => {}
    }
    if is_stream(reply) {
        head.insert_header("cache-control", "no-cache").ok()?;
    }
    for (name, value) in &reply.headers {
        // A recording may hold what HTTP does not: such a header is left out.
        let _ = head.append_header(name.clone(), value.as_str());
    }
    Some(head)
}

fn content_type(reply: &Reply, voice: Voice) -> String {
    let written = match &reply.body {
        Body::Raw { content_type, .. } => content_type.as_str(),
        Body::Json(_) | Body::Array(_) if voice == Voice::Gemini => {
            "application/json; charset=UTF-8"
        }
        Body::Json(_) | Body::Array(_) => "application/json",
        Body::Events(_) if voice == Voice::Gemini || voice.is_router() => "text/event-stream",
        Body::Events(_) => "text/event-stream; charset=utf-8",
    };
    written.to_owned()
}

fn pieces(reply: &Reply, steer: &Steer, voice: Voice) -> Vec<Piece> {
    let comments = steer.comments;
    let mut out = Vec::new();
    match &reply.body {
        Body::Json(bytes) => {
            if comments && voice.is_router() {
                // OpenRouter keeps the connection alive with blank lines until the JSON is there.
                out.push(note(&b"\n         \n"[..]));
                out.push(note(&b"\n         \n"[..]));
            }
            out.push(Piece {
                bytes: Bytes::from(bytes.clone()),
                said: 0,
                event: true,
            });
        }
        Body::Raw {
            content_type,
            bytes,
        } => {
            let parts = if content_type.starts_with("text/event-stream") {
                replay::frames(bytes)
            } else {
                vec![bytes.clone()]
            };
            out.extend(parts.into_iter().map(|bytes| Piece {
                bytes,
                said: 0,
                event: true,
            }));
        }
        Body::Events(events) => {
            // Google ends the lines of its events with CRLF, the others with LF.
            let line_end = if steer.crlf || voice == Voice::Gemini {
                "\r\n"
            } else {
                "\n"
            };
            for (at, event) in events.iter().enumerate() {
                if comments && at % 8 == 0 {
                    out.push(note(format!(": OPENROUTER PROCESSING{line_end}{line_end}")));
                }
                out.push(frame(event, line_end));
            }
        }
        Body::Array(events) => array(events, &mut out),
    }
    out
}

fn note(text: impl Into<Bytes>) -> Piece {
    Piece {
        bytes: text.into(),
        said: 0,
        event: false,
    }
}

fn frame(event: &Event, line_end: &str) -> Piece {
    let mut text = String::with_capacity(event.data.len() + 48);
    if let Some(name) = event.name {
        text.push_str("event: ");
        text.push_str(name);
        text.push_str(line_end);
    }
    text.push_str("data: ");
    text.push_str(&event.data);
    text.push_str(line_end);
    text.push_str(line_end);
    Piece {
        bytes: Bytes::from(text),
        said: event.said as u64,
        event: true,
    }
}

/// Gemini without `alt=sse`: the elements of one array, each written when it is there.
fn array(events: &[Event], out: &mut Vec<Piece>) {
    for (at, event) in events.iter().enumerate() {
        let lead = if at == 0 { "[" } else { ",\r\n" };
        out.push(Piece {
            bytes: Bytes::from(format!("{lead}{}", event.data)),
            said: event.said as u64,
            event: true,
        });
    }
    out.push(note(if events.is_empty() { "[]\n" } else { "\n]\n" }));
}

/// Drops what comes after the cut; true if there is one.
fn cut(pieces: &mut Vec<Piece>, steer: &Steer, stream: bool) -> bool {
    let most = match &steer.trouble {
        Some(Trouble::Fault(Fault::Cut(events))) => *events,
        _ => match steer.cut {
            Some(events) if stream => events,
            _ => return false,
        },
    };
    if !stream {
        // Half of the body under the whole length: the client must notice.
        for piece in pieces.iter_mut() {
            piece.bytes.truncate(piece.bytes.len() / 2);
        }
        return true;
    }
    let mut left = most;
    let mut keep = pieces.len();
    for (at, piece) in pieces.iter().enumerate() {
        if piece.event && left == 0 {
            keep = at;
            break;
        }
        left -= u32::from(piece.event);
    }
    if keep == pieces.len() {
        return false;
    }
    pieces.truncate(keep);
    true
}

/// The same bytes in pieces of `size`, with no regard to events, lines or characters.
fn rechunk(pieces: &[Piece], size: usize) -> Vec<Piece> {
    let all: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.bytes.iter().copied())
        .collect();
    let said = pieces.iter().map(|piece| piece.said).sum();
    let all = Bytes::from(all);
    let mut out = Vec::new();
    let mut from = 0;
    while from < all.len() {
        let to = (from + size).min(all.len());
        out.push(Piece {
            bytes: all.slice(from..to),
            said: 0,
            event: true,
        });
        from = to;
    }
    if let Some(last) = out.last_mut() {
        last.said = said;
    }
    out
}

/// A plain JSON answer of the simulator's own endpoints.
pub(super) async fn tell(session: &mut ServerSession, json: &Json, head_only: bool) -> End {
    let reply = Reply::json(json);
    let (end, _) = deliver(session, &reply, &Steer::default(), Voice::OpenAi, head_only).await;
    end
}
