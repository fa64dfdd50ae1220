//! A WebSocket client for the Responses API.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// An open Responses WebSocket.
pub struct Socket {
    frames: WebSocket<TcpStream>,
}

impl Socket {
    /// Opens one; the error is the status with which it was refused, or none if the connection just ended.
    pub fn open(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Option<u16>> {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket");
        let mut request = format!("ws://{address}/v1/responses")
            .into_client_request()
            .expect("a request");
        let beta = ("openai-beta", "responses_websockets=2026-02-06");
        for (name, value) in headers.iter().copied().chain([beta]) {
            let value = value.parse().expect("a header");
            request.headers_mut().insert(name, value);
        }
        match tungstenite::client::client(request, stream) {
            Ok((frames, _)) => Ok(Self { frames }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(Some(answer.status().as_u16()))
            }
            Err(_) => Err(None),
        }
    }

    pub fn send(&mut self, frame: &Value) {
        let text = frame.to_string();
        self.frames.send(Message::text(text)).expect("it reads");
    }

    /// The next frame; `None`: the connection has ended.
    pub fn next(&mut self) -> Option<Value> {
        loop {
            match self.frames.read() {
                Ok(Message::Text(text)) => {
                    return Some(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => {
                    assert!(other.is_close(), "no frame of this protocol: {other}");
                    return None;
                }
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock =>
                {
                    panic!("nothing came");
                }
                Err(_) => return None,
            }
        }
    }

    /// Sends what may be no JSON.
    pub fn say(&mut self, text: &str) {
        self.frames.send(Message::text(text)).expect("it reads");
    }

    /// The code with which the other side closes, once all frames before it have been read.
    pub fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.frames.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// All frames of one turn, up to its end or the connection's.
    pub fn turn(&mut self, frame: &Value) -> Vec<Value> {
        self.send(frame);
        self.rest()
    }

    /// The frames until a turn ends.
    pub fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(frame) = self.next() {
            let kind = frame["type"].as_str().unwrap_or_default().to_owned();
            all.push(frame);
            let ends = [
                "response.completed",
                "response.incomplete",
                "response.failed",
                "error",
            ];
            if ends.contains(&kind.as_str()) {
                break;
            }
        }
        all
    }
}

/// The text of a finished turn.
pub fn text(frames: &[Value]) -> &str {
    let last = frames.last().expect("a frame");
    let output = last["response"]["output"].as_array().expect("an output");
    output
        .iter()
        .find_map(|item| item["content"][0]["text"].as_str())
        .unwrap_or_default()
}

pub fn id(frames: &[Value]) -> &str {
    let last = frames.last().expect("a frame");
    last["response"]["id"].as_str().expect("an id")
}
