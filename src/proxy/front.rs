//! The connection, before Pingora's proxy sees it: reads the head of a request, refuses what must not be
//! proxied, wraps the session, and takes it back afterwards so that the connection lives on.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::ErrorType;
use pingora_core::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream,
};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_http::ResponseHeader;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::io::AsyncReadExt;

use super::answer;
use super::gateway::Gateway;
use super::inner::{Inner, Loopback};
use super::keeper::Keeper;
use super::latch::Latch;
use super::replay::Replay;
use super::socket::{self, Sockets};
use crate::base::{Fault, FaultKind, id};
use crate::dialect::Surface;
use crate::meter::Ledger;
use crate::world::World;

/// How long the head of a request may take, idle time between requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(105);
/// How long a client may take to accept what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a refused body is still read, so that the client gets to read why.
const LINGER_BYTES: usize = 128 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

pub struct Front {
    sockets: Sockets,
    proxy: Arc<HttpProxy<Gateway>>,
    #[cfg(test)]
    pub(super) loopback: Loopback,
    options: HttpServerOptions,
}

impl Front {
    /// The front and, behind it, the gateway.
    pub fn new(
        conf: &Arc<ServerConf>,
        world: Arc<ArcSwap<World>>,
        keeper: Arc<Keeper>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let loopback = Loopback::default();
        let gateway = Gateway::new(world, loopback.clone(), keeper, ledger);
        let sockets = Sockets::new(gateway.clone());
        let proxy = Arc::new(http_proxy(conf, gateway));
        loopback.tie(&proxy);
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(Duration::from_secs(300));
        Self {
            sockets,
            proxy,
            #[cfg(test)]
            loopback,
            options,
        }
    }
}

impl Front {
    /// Reads a request's head and wraps the session. `None`: there is nothing to proxy, or no more.
    async fn begin(
        &self,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<(ServerSession, Arc<Latch>)> {
        let mut session = read(session, shutdown).await?;
        if socket::is_asked(&session) {
            match self.sockets.admit(&session) {
                Ok(guest) => {
                    self.sockets.serve(*session, guest, shutdown).await;
                    return None;
                }
                // It is told by the same path as any other refusal.
                Err(refused) => {
                    session.req_header_mut().extensions_mut().insert(refused);
                }
            }
        }
        Some(wrap(session))
    }
}

/// A request's head, when one comes.
async fn read_head(session: &mut ServerSession, shutdown: &ShutdownWatch) -> Head {
    let mut shutdown = shutdown.clone();
    let read = tokio::select! {
        biased;
        read = pingora_timeout::timeout(HEAD_TIMEOUT, session.read_request()) => read,
        _ = shutdown.changed() => return Head::None,
    };
    match read {
        Ok(Ok(true)) => refusal_of(session).map_or(Head::Read, Head::Refused),
        Ok(Ok(false)) | Err(_) => Head::None,
        Ok(Err(error)) if *error.etype() == ErrorType::InvalidHTTPHeader => {
            Head::Refused(header_fault(&error.to_string()))
        }
        // The client left in the middle of it.
        Ok(Err(_)) => Head::None,
    }
}

enum Head {
    Read,
    /// Nothing came, or nothing that can be answered.
    None,
    Refused(Fault),
}

fn header_fault(what: &str) -> Fault {
    // What Pingora says of a bad head quotes it, credentials and all: only its kind is told.
    let mut fault = Fault::new(
        FaultKind::InvalidRequest,
        "The request's headers are not valid HTTP.",
    );
    if what.contains("larger than") {
        fault.message = "The request's headers are too large; they may take 1 MiB.".into();
        fault.status = 431;
    } else if what.contains("too many headers") {
        fault.message = "The request has too many headers; it may have 256.".into();
        fault.status = 431;
    }
    fault
}

/// What HTTP/1 lets pass here and there, and attackers use between two readers of one head
/// (RFC 9112, 2.2, 3.2, 5.2 and 6.1).
fn refusal_of(session: &ServerSession) -> Option<Fault> {
    let http1 = session.as_http1()?;
    let raw = http1.get_headers_raw_bytes();
    let (mut hosts, mut has_length, mut has_encoding) = (0, false, false);
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', &raw) {
        let line = &raw[from..end];
        from = end + 1;
        let Some(line) = line.strip_suffix(b"\r") else {
            return refuse("A line of the request's head ends without a carriage return.");
        };
        match line.first() {
            Some(b' ' | b'\t') => {
                return refuse("A header of the request is folded over two lines.");
            }
            Some(b'h' | b'H') => hosts += usize::from(is_named(line, b"host")),
            Some(b'c' | b'C') => has_length |= is_named(line, b"content-length"),
            Some(b't' | b'T') => has_encoding |= is_named(line, b"transfer-encoding"),
            _ => {}
        }
    }
    if hosts == 0 && session.req_header().version == http::Version::HTTP_11 {
        return refuse("The request has no host header.");
    }
    let encodings = &session.req_header().headers;
    let coded = encodings.get_all(http::header::TRANSFER_ENCODING);
    if has_encoding
        && coded
            .iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return refuse("The request's transfer-encoding is not understood; send it chunked only.");
    }
    if hosts > 1 {
        return refuse("The request has more than one host header.");
    }
    if has_length && has_encoding {
        return refuse("The request has both content-length and transfer-encoding.");
    }
    if session.req_header().method == http::Method::CONNECT {
        let mut fault = Fault::new(
            FaultKind::MethodNotAllowed,
            "This gateway is no CONNECT proxy.",
        );
        fault.status = 405;
        return Some(fault);
    }
    None
}

fn is_named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

fn refuse(what: &'static str) -> Option<Fault> {
    Some(Fault::new(FaultKind::InvalidRequest, what))
}

/// Answers a request that never became one, and closes the connection.
async fn answer_and_close(mut session: ServerSession, fault: &Fault) {
    let request_id = id::request_id();
    session.set_keepalive(None);
    let body = Surface::OpenAi.error_body(fault, &request_id);
    if let Ok(head) = answer::error_head(Surface::OpenAi, fault, &request_id, body.len()) {
        let _ = write(&mut session, head, body).await;
    }
    linger(session).await;
}

async fn write(
    session: &mut ServerSession,
    head: ResponseHeader,
    body: Bytes,
) -> pingora_core::Result<()> {
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body, true).await
}

/// Closing with unread bytes would reset the connection and take our answer with it: shut our side, and
/// read on for a while.
async fn linger(session: ServerSession) {
    let ServerSession::H1(mut session) = session else {
        return;
    };
    session.shutdown().await;
    let mut stream = session.into_inner();
    let drained = async {
        let mut buffer = vec![0; 16 << 10];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => total += read,
            }
        }
    };
    // Whoever sends longer than this does not read anyway.
    let _ = tokio::time::timeout(LINGER_TIME, drained).await;
}

/// Reads a request's head. `None`: none came that is to be served.
async fn read(session: ServerSession, shutdown: &ShutdownWatch) -> Option<Box<ServerSession>> {
    // It is large, and moves through several hands.
    let mut session = Box::new(session);
    // The time is kept here: no step needs a timer of its own.
    session.set_keepalive(if *shutdown.borrow() { None } else { Some(0) });
    session.set_read_timeout(None);
    session.set_write_timeout(Some(WRITE_TIMEOUT));
    match read_head(&mut session, shutdown).await {
        Head::Read => {}
        Head::None => {
            session.shutdown().await;
            return None;
        }
        Head::Refused(fault) => {
            answer_and_close(*session, &fault).await;
            return None;
        }
    }
    if *shutdown.borrow() {
        session.set_keepalive(None);
    }
    Some(session)
}

/// Wraps the session of a request whose head has been read.
fn wrap(mut session: Box<ServerSession>) -> (ServerSession, Arc<Latch>) {
    // A client that sends the next request early is served in turn.
    session.set_pipelining_enabled(true);
    let latch = Arc::new(Latch::default());
    session
        .req_header_mut()
        .extensions_mut()
        .insert(latch.clone());
    let replay = Replay::new(session, latch.clone());
    (ServerSession::new_custom(Box::new(replay)), latch)
}

/// Reads a request of the gateway's own.
pub(super) async fn begin_inner(
    session: ServerSession,
    shutdown: &ShutdownWatch,
    inner: Arc<Inner>,
) -> Option<(ServerSession, Arc<Latch>)> {
    let mut session = read(session, shutdown).await?;
    session.req_header_mut().extensions_mut().insert(inner);
    Some(wrap(session))
}

/// Takes the client's session back, and keeps the connection where its answer is whole.
pub(super) async fn end(latch: &Latch) -> Option<ReusedHttpStream> {
    let (mut session, finished) = latch.take_back()?;
    if !finished {
        session.shutdown().await;
        return None;
    }
    if !session.is_body_done() {
        linger(*session).await;
        return None;
    }
    let settings = HttpPersistentSettings::for_session(&session);
    let stream = session.finish().await.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(stream, settings))
}

#[async_trait]
impl HttpServerApp for Front {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // Both ends are boxed: what they need is large, and need not stay with an open stream.
        let (wrapped, latch) = Box::pin(self.begin(session, shutdown)).await?;
        self.proxy.process_new_http(wrapped, shutdown).await;
        Box::pin(end(&latch)).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
