//! The Responses WebSocket: what a client says in frames, one turn at a time.
//!
//! | file | what it holds |
//! |---|---|
//! | `handshake` | who asks, may they, and the upgrade; everything that can be refused is refused before it |
//! | `talk` | the connection: frames in and out, turns in order, the end |
//! | `turn` | a turn as a request of the gateway's own, its events as frames; what the connection remembers |
//! | `relay` | a turn over a WebSocket of the channel's own |

mod handshake;
mod relay;
mod talk;
mod turn;

pub use handshake::{Guest, Refused, is_asked};

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::gateway::Gateway;

/// A channel that refused its WebSocket is not asked for one again for this time.
const REFUSED_FOR: Duration = Duration::from_secs(300);

/// What all WebSockets share.
pub struct Sockets {
    gateway: Gateway,
    connector: TransportConnector,
    /// Channels without a WebSocket, by name.
    refused: Mutex<HashMap<String, Instant>>,
}

impl Sockets {
    pub fn new(gateway: Gateway) -> Self {
        Self {
            gateway,
            connector: TransportConnector::new(None),
            refused: Mutex::default(),
        }
    }

    /// Who asks for a WebSocket, when they may have one.
    pub fn admit(&self, session: &ServerSession) -> Result<Guest, Refused> {
        handshake::admit(&self.gateway, session).map_err(Refused::new)
    }

    /// Speaks until one side leaves.
    pub async fn serve(&self, session: ServerSession, guest: Guest, shutdown: &ShutdownWatch) {
        let Some(client) = handshake::upgrade(session, &guest).await else {
            return;
        };
        talk::Talk::new(self, guest, client).run(shutdown).await;
    }

    fn has_refused(&self, channel: &str) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .get(channel)
            .is_some_and(|at| at.elapsed() < REFUSED_FOR)
    }

    fn refuses(&self, channel: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(channel.to_owned(), Instant::now());
    }
}

fn config(limit: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}
