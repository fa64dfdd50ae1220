//! The connection: frames in and out, the turns in order, and the end. A client that is told nothing waits: every end is a
//! frame that says why, and a close.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use super::super::exchange::UnderWay;
use super::super::inner::Inner;
use super::relay::{Relayed, Upstream};
use super::turn::{self, Meaning, Memory, Part};
use super::{Guest, Sockets, handshake};
use crate::base::{Fault, FaultKind};
use crate::dialect::openai_responses::socket::{self, Create};
use crate::gate::limits::Reservation;

/// How long a connection may say nothing, as at the provider.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a client may take to accept a frame.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the client said.
pub enum Said {
    Text(Bytes),
    Binary,
    TooLarge,
    Left,
}

/// The client has gone, or takes nothing any more.
pub struct Gone;

/// One client's connection.
pub struct Talk<'a> {
    pub sockets: &'a Sockets,
    pub guest: Guest,
    client: WebSocketStream<Stream>,
    /// One frame that came during a turn.
    waiting: Option<Bytes>,
    memory: Memory,
    pub upstream: Option<Upstream>,
    turns: u32,
}

enum Idle {
    Said(Said),
    Shutdown,
    Silent,
}

impl<'a> Talk<'a> {
    pub fn new(sockets: &'a Sockets, guest: Guest, client: WebSocketStream<Stream>) -> Self {
        Self {
            sockets,
            guest,
            client,
            waiting: None,
            memory: Memory::default(),
            upstream: None,
            turns: 0,
        }
    }

    pub async fn run(mut self, shutdown: &ShutdownWatch) {
        let mut shutdown = shutdown.clone();
        loop {
            let said = match self.waiting.take() {
                Some(text) => Idle::Said(Said::Text(text)),
                None => self.idle(&mut shutdown).await,
            };
            let ended = match said {
                Idle::Said(Said::Text(text)) => {
                    let under_way = UnderWay::begin();
                    let turn = Box::pin(self.take_turn(text)).await;
                    if turn.is_ok() && *shutdown.borrow() && self.waiting.is_none() {
                        self.close(CloseCode::Away, "the gateway is ending").await;
                        return;
                    }
                    drop(under_way);
                    turn
                }
                Idle::Said(Said::Binary) => self.fault(&binary(), None).await,
                Idle::Said(Said::TooLarge) => {
                    let fault = Fault::new(
                        FaultKind::TooLarge,
                        "The frame is larger than this gateway takes.",
                    );
                    let _ = self.fault(&fault, None).await;
                    return self.close(CloseCode::Size, "the frame is too large").await;
                }
                Idle::Said(Said::Left) => return,
                Idle::Shutdown => {
                    return self.close(CloseCode::Away, "the gateway is ending").await;
                }
                Idle::Silent => {
                    let _ = self.send(SILENT.to_owned()).await;
                    return self
                        .close(CloseCode::Normal, "nothing was said for an hour")
                        .await;
                }
            };
            if ended.is_err() {
                return;
            }
        }
    }

    /// Waits for the client's next frame, and keeps the channel's WebSocket alive meanwhile.
    async fn idle(&mut self, shutdown: &mut ShutdownWatch) -> Idle {
        let until = Instant::now() + IDLE;
        loop {
            if *shutdown.borrow() {
                return Idle::Shutdown;
            }
            let upstream = async {
                match &mut self.upstream {
                    Some(upstream) => upstream.rest().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                said = read(&mut self.client) => return Idle::Said(said),
                () = upstream => {}
                _ = shutdown.changed() => return Idle::Shutdown,
                () = tokio::time::sleep_until(until) => return Idle::Silent,
            }
            self.upstream = None;
        }
    }

    async fn take_turn(&mut self, text: Bytes) -> Result<(), Gone> {
        self.turns = self.turns.wrapping_add(1);
        let create = match socket::read(&text) {
            Ok(create) => create,
            Err(fault) => return self.fault(&fault, socket::lane(&text).as_deref()).await,
        };
        let admitted = match super::relay::turn(self, &create, &text).await? {
            Relayed::Done => return Ok(()),
            Relayed::ByHttp(admitted) => admitted,
        };
        if !create.generate {
            return match self.memory.get_ready(&create) {
                Ok(frames) => {
                    for frame in frames {
                        self.event(frame, create.lane.as_deref()).await?;
                    }
                    Ok(())
                }
                Err(fault) => self.fault(&fault, create.lane.as_deref()).await,
            };
        }
        match self.memory.body(&create) {
            Ok((body, previous)) => self.by_http(&create, body, previous, admitted).await,
            Err(fault) => self.fault(&fault, create.lane.as_deref()).await,
        }
    }

    pub fn turn_id(&self) -> String {
        format!("{}.{}", self.guest.request_id, self.turns)
    }

    async fn by_http(
        &mut self,
        create: &Create,
        body: Bytes,
        previous: Option<String>,
        admitted: Option<Reservation>,
    ) -> Result<(), Gone> {
        let inner = Inner {
            key: self.guest.key.clone(),
            client: self.guest.client,
            request_id: Some(self.turn_id()),
            headers: handshake::for_http(&self.guest.headers),
            previous,
            settled: None,
            reservation: Mutex::new(admitted),
        };
        let lane = create.lane.as_deref();
        let before = self.memory.begin(create);
        let loopback = self.sockets.gateway.loopback.clone();
        let mut parts = turn::ask(loopback, inner, body.clone());
        let mut is_over = false;
        loop {
            let part = tokio::select! {
                part = parts.recv() => part.unwrap_or(Part::End),
                said = read(&mut self.client) => {
                    self.interrupted(said).await?;
                    continue;
                }
            };
            match part {
                Part::Event(event) => match turn::meaning(&event) {
                    Meaning::Goes => self.event(event, lane).await?,
                    Meaning::Over(response) => {
                        is_over = true;
                        if let (Some(before), Some(response)) = (&before, response) {
                            let limit = self.guest.limit;
                            self.memory.remember(before, &body, &response, limit);
                        }
                        self.event(event, lane).await?;
                    }
                    Meaning::Error => {
                        is_over = true;
                        self.event(socket::stream_error(&event), lane).await?;
                    }
                },
                Part::Beat => self.send_message(Message::Ping(Bytes::new())).await?,
                Part::Refused {
                    status,
                    retry_after,
                    body,
                } => {
                    let frame = socket::error_frame(status, &body, retry_after.as_deref());
                    return self.event(frame, lane).await;
                }
                Part::End if is_over => return Ok(()),
                Part::End => return self.fault(&turn::broken_off(), lane).await,
            }
        }
    }

    /// The client says something in the middle of a turn.
    pub async fn interrupted(&mut self, said: Said) -> Result<(), Gone> {
        match said {
            Said::Text(text) if self.waiting.is_none() => {
                self.waiting = Some(text);
                Ok(())
            }
            Said::Text(text) => {
                let fault = Fault::new(
                    FaultKind::InvalidRequest,
                    "A response is under way and another one waits for it; send the next when one has ended.",
                );
                self.fault(&fault, socket::lane(&text).as_deref()).await
            }
            Said::Binary => self.fault(&binary(), None).await,
            Said::TooLarge | Said::Left => Err(Gone),
        }
    }

    /// What the client says next, in the middle of a turn.
    pub async fn read(&mut self) -> Said {
        read(&mut self.client).await
    }

    pub async fn event(&mut self, event: String, lane: Option<&str>) -> Result<(), Gone> {
        self.send(socket::marked(event, lane)).await
    }

    pub async fn fault(&mut self, fault: &Fault, lane: Option<&str>) -> Result<(), Gone> {
        self.event(socket::fault_frame(fault), lane).await
    }

    pub async fn send(&mut self, text: String) -> Result<(), Gone> {
        self.send_message(Message::text(text)).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(WRITE_TIMEOUT, self.client.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let closed = async {
            if self.client.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.client.next().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }
}

/// As the provider says it.
const SILENT: &str = r#"{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"websocket_connection_limit_reached","message":"Nothing was said on this WebSocket for 60 minutes. Open a new one to go on.","param":null}}"#;

fn binary() -> Fault {
    Fault::new(
        FaultKind::InvalidRequest,
        "Frames must be text: JSON with the 'type' 'response.create'.",
    )
}

/// The next thing that is said. It may be dropped at any time.
async fn read(client: &mut WebSocketStream<Stream>) -> Said {
    loop {
        match client.next().await {
            Some(Ok(Message::Text(text))) => return Said::Text(text.into()),
            Some(Ok(Message::Binary(_))) => return Said::Binary,
            // A ping's answer goes out by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) => {
                // The answer to it goes out with the next look.
                let _ = timeout(CLOSE_TIMEOUT, client.next()).await;
                return Said::Left;
            }
            Some(Err(Error::Capacity(_))) => return Said::TooLarge,
            Some(Err(_)) | None => return Said::Left,
        }
    }
}
