//! The Responses WebSocket: frames in, each turn's events out, one turn at a time.
//! <https://platform.openai.com/docs/guides/websocket-mode>
//!
//! Owns: the handshake, the frames, and what a connection remembers of its last response. What a turn answers is
//! the Responses API's, as over HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::books::Sent;
use super::exchange::{Body, Context, Problem, Reply, Request, Voice};
use super::fault::{Asked, Fault, Steer, Trouble};
use super::json::{Json, obj, string};
use super::{MOST_BODY, Simulator, Visit, errors, fault, held, replay, route, sign};

/// How many frames may wait for the turn before them.
const MOST_WAITING: usize = 64;

/// What a connection remembers: its last response with all that led to it, kept or not.
#[derive(Debug, Default)]
pub(super) struct Lane {
    last: Mutex<Option<(String, Vec<Value>)>>,
}

impl Lane {
    pub(super) fn history(&self, id: &str) -> Option<Vec<Value>> {
        held(&self.last)
            .as_ref()
            .filter(|(last, _)| last == id)
            .map(|(_, history)| history.clone())
    }

    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let last = held(&self.last);
        let (_, history) = last.as_ref()?;
        history
            .iter()
            .find(|item| string(item, "id") == id)
            .cloned()
    }

    pub(super) fn remember(&self, id: &str, history: Vec<Value>) {
        *held(&self.last) = Some((id.to_owned(), history));
    }

    /// A turn that failed takes what it continued along.
    fn forget(&self, id: &str) {
        held(&self.last).take_if(|(last, _)| last == id);
    }
}

/// Whether a request wants the WebSocket.
pub(super) fn is_wanted(request: &Request) -> bool {
    let says = |name: &str, word: &str| {
        request
            .header(name)
            .is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    request.method == "GET"
        && request.path == "/v1/responses"
        && says("connection", "upgrade")
        && says("upgrade", "websocket")
}

/// The answer to the handshake; none if it is to be refused.
pub(super) fn accept(sim: &Simulator, request: &Request) -> Option<ResponseHeader> {
    route::credential(&Context {
        sim,
        request,
        steer: &Steer::default(),
        voice: Voice::Responses,
        lane: None,
    })
    .ok()?;
    let key = request
        .header("sec-websocket-key")
        .filter(|_| request.header("sec-websocket-version") == Some("13"))?;
    let mut head = ResponseHeader::build(101, None).ok()?;
    let fields = [
        ("upgrade", "websocket".to_owned()),
        ("connection", "Upgrade".to_owned()),
        ("sec-websocket-accept", derive_accept_key(key.as_bytes())),
        ("x-request-id", errors::request_id(Voice::Responses)),
    ];
    for (name, value) in fields {
        head.insert_header(name, value).ok()?;
    }
    Some(head)
}

/// How a connection or a turn on it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Done,
    ClientLeft,
    /// The simulator broke the connection on purpose.
    Broken,
}

struct Talk {
    frames: WebSocketStream<Stream>,
    waiting: VecDeque<String>,
}

impl Talk {
    /// The next frame of the client; `None` when it has left.
    async fn next(&mut self) -> Option<String> {
        if let Some(text) = self.waiting.pop_front() {
            return Some(text);
        }
        self.read().await
    }

    async fn read(&mut self) -> Option<String> {
        loop {
            match self.frames.next().await?.ok()? {
                Message::Text(text) => return Some(text.to_string()),
                // What is no text cannot be a request, and is answered as such.
                Message::Binary(_) => return Some(String::new()),
                Message::Close(_) => {
                    // The reply to it goes out with the next poll.
                    let _ = self.frames.next().await;
                    return None;
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Waits; false when the client left meanwhile or sent more than may wait.
    async fn wait_until(&mut self, moment: Instant) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(moment) => return true,
                frame = self.read() => match frame {
                    Some(text) if self.waiting.len() < MOST_WAITING => self.waiting.push_back(text),
                    _ => return false,
                },
            }
        }
    }

    async fn send(&mut self, text: String) -> bool {
        self.frames.send(Message::text(text)).await.is_ok()
    }
}

/// Speaks over a connection whose handshake was answered, until one side leaves. True if the client came to its end.
pub(super) async fn serve(
    sim: &Arc<Simulator>,
    session: ServerSession,
    opening: &Request,
    shutdown: &ShutdownWatch,
) -> bool {
    let ServerSession::H1(session) = session else {
        return false;
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST_BODY))
        .max_frame_size(Some(MOST_BODY));
    let stream = session.into_inner();
    let mut talk = Talk {
        frames: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
        waiting: VecDeque::new(),
    };
    let lane = Lane::default();
    let mut shutdown = shutdown.clone();
    loop {
        let text = tokio::select! {
            text = talk.next() => text,
            _ = shutdown.changed() => {
                let _ = talk.frames.close(None).await;
                return true;
            }
        };
        let Some(text) = text else { return true };
        let visit = Visit::begin(sim);
        let request = Request {
            method: "WS".to_owned(),
            path: opening.path.clone(),
            query: String::new(),
            headers: opening.headers.clone(),
            body: Bytes::from(text),
        };
        held(&sim.journal).keep(visit.n, &request, sign::now_ms());
        let turn = take_turn(sim, &mut talk, &lane, &request).await;
        visit.end(turn == Turn::ClientLeft);
        match turn {
            Turn::Done => {}
            Turn::ClientLeft => return false,
            Turn::Broken => return true,
        }
    }
}

/// One frame of the client and what it is answered with.
async fn take_turn(sim: &Simulator, talk: &mut Talk, lane: &Lane, request: &Request) -> Turn {
    let steer = fault::steer(sim, &sim.options, request, Asked::Answer);
    let (reply, steer) = match checked(request) {
        Ok(()) => sim.reply(request, Voice::Responses, steer, Some(lane)),
        Err(problem) => (
            errors::refusal(Voice::Responses, &problem),
            Steer::default(),
        ),
    };
    if reply.status >= 400
        && let Ok(body) = request.json()
    {
        lane.forget(string(&body, "previous_response_id"));
    }
    if !steer.delay.is_zero() && !talk.wait_until(Instant::now() + steer.delay).await {
        return Turn::ClientLeft;
    }
    let mut most = steer.cut;
    match &steer.trouble {
        Some(Trouble::Fault(Fault::Hang)) => {
            // Bounded by an hour, so that a forgotten client does not hold a task for ever.
            let _ = talk
                .wait_until(Instant::now() + Duration::from_secs(3600))
                .await;
            return Turn::ClientLeft;
        }
        Some(Trouble::Fault(Fault::Close)) => return Turn::Broken,
        Some(Trouble::Fault(Fault::Cut(events))) => most = Some(*events),
        _ => {}
    }
    let mut sent = Sent::default();
    let turn = deliver(talk, frames(&reply), steer.gap, most, &mut sent).await;
    sent.complete = turn == Turn::Done;
    if let Some(bill) = &reply.bill {
        held(&sim.books).enter(Voice::Responses.platform(), bill, sent);
    }
    turn
}

/// Whether a frame asks for a response.
fn checked(request: &Request) -> Result<(), Problem> {
    let body = request.json()?;
    match string(&body, "type") {
        "response.create" => Ok(()),
        other => Err(Problem::bad(format!(
            "Invalid value: '{other}'. Supported values are: 'response.create'."
        ))
        .code("invalid_value")
        .param("type")),
    }
}

async fn deliver(
    talk: &mut Talk,
    frames: Vec<(String, usize)>,
    gap: Duration,
    most: Option<u32>,
    sent: &mut Sent,
) -> Turn {
    let mut moment = Instant::now();
    for (at, (text, said)) in frames.into_iter().enumerate() {
        if most.is_some_and(|most| sent.events >= u64::from(most)) {
            return Turn::Broken;
        }
        if at > 0 && !gap.is_zero() {
            moment += gap;
            if !talk.wait_until(moment).await {
                return Turn::ClientLeft;
            }
        }
        let bytes = text.len() as u64;
        if !talk.send(text).await {
            return Turn::ClientLeft;
        }
        sent.bytes += bytes;
        sent.events += 1;
        sent.said += said as u64;
    }
    Turn::Done
}

/// The frames of an answer, each with the characters of output that it carries.
fn frames(reply: &Reply) -> Vec<(String, usize)> {
    match &reply.body {
        Body::Events(events) => events
            .iter()
            .filter(|event| event.data != "[DONE]")
            .map(|event| (event.data.clone(), event.said))
            .collect(),
        Body::Json(bytes) => vec![(error(reply.status, bytes).text(), 0)],
        Body::Raw { bytes, .. } => replay::frames(bytes)
            .iter()
            .map(|frame| (data(frame), 0))
            .filter(|(text, _)| !text.is_empty() && text != "[DONE]")
            .collect(),
        Body::Array(_) => Vec::new(),
    }
}

/// An HTTP error as the frame that stands for it.
fn error(status: u16, body: &[u8]) -> Json {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    obj! { "type": "error", "status": status, "error": body.get("error") }
}

/// The data of a recorded event.
fn data(frame: &[u8]) -> String {
    let text = String::from_utf8_lossy(frame);
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim_start)
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_remembers_its_last_response_only() {
        let lane = Lane::default();
        lane.remember("a", vec![serde_json::json!({ "id": "m1" })]);
        assert_eq!(lane.history("a").expect("it is remembered").len(), 1);
        assert!(lane.item("m1").is_some());
        lane.remember("b", Vec::new());
        assert!(lane.history("a").is_none() && lane.item("m1").is_none());
        lane.forget("a");
        assert!(lane.history("b").is_some());
        lane.forget("b");
        assert!(lane.history("b").is_none());
    }

    #[test]
    fn an_http_error_becomes_a_frame_with_its_status() {
        let problem = Problem::bad("no").code("previous_response_not_found");
        let reply = errors::refusal(Voice::Responses, &problem);
        let (text, _) = frames(&reply).remove(0);
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(frame["type"], "error");
        assert_eq!(frame["status"], 400);
        assert_eq!(frame["error"]["code"], "previous_response_not_found");
    }
}
