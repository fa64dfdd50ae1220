//! The listener's side of HTTP: the head, a bounded body, and answers that may be made while they are sent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use pingora_core::apps::http_app::ServeHttp as _;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use pingora_prometheus::PrometheusHttpApp;
use tokio::io::AsyncReadExt;

use super::query::Query;
use super::reply::{Body, Refusal, Reply};
use super::routes::Route;
use super::{Admin, Api, unknown_path};

const BODY_LIMIT: usize = 64 << 10;
/// How long the head of a request may take, and idle time before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to accept what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a refused body is still read, so that the client gets to read why.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

#[async_trait]
impl HttpServerApp for Admin {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        let read = tokio::time::timeout(HEAD_TIMEOUT, session.read_request()).await;
        if !matches!(read, Ok(Ok(true))) {
            session.shutdown().await;
            return None;
        }
        let keepalive = if *shutdown.borrow() { None } else { Some(60) };
        session.set_keepalive(keepalive);
        let reply = if has_two_framings(&session) {
            // Where the next request begins is not known.
            session.set_keepalive(None);
            let message = "the request has both content-length and transfer-encoding";
            Refusal::new(400, "invalid_request", message).into_reply()
        } else {
            self.api.answer(&mut session).await
        };
        if !session.is_body_done() {
            session.set_keepalive(None);
        }
        if write(&mut session, reply).await.is_err() {
            // The client sees a message that is not whole.
            session.shutdown().await;
            return None;
        }
        if !session.is_body_done() {
            linger(session).await;
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

/// A reader before this one may have taken the other one (RFC 9112, 6.1). Pingora removes the length: only the head as
/// it came shows it.
fn has_two_framings(session: &ServerSession) -> bool {
    let Some(http1) = session.as_http1() else {
        return false;
    };
    let raw = http1.get_headers_raw_bytes();
    let has = |name: &[u8]| {
        raw.split(|&b| b == b'\n').any(|line| {
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
        })
    };
    has(b"content-length") && has(b"transfer-encoding")
}

impl Api {
    async fn answer(&self, session: &mut ServerSession) -> Reply {
        let uri = session.req_header().uri.clone();
        let method = session.req_header().method.clone();
        let reads = matches!(method.as_str(), "GET" | "HEAD");
        match uri.path() {
            "/metrics" => {
                self.refresh_gauges();
                metrics(session).await
            }
            "/healthz" => Reply::json(200, &serde_json::json!({ "status": "ok" })),
            "/readyz" => self.ready().await,
            "/openapi.json" if reads => self.document(),
            "/openapi.json" => {
                let refusal = Refusal::new(405, "method_not_allowed", "this path takes GET, HEAD");
                refusal.with("allow", "GET, HEAD").into_reply()
            }
            path if path.starts_with("/admin/") => {
                let query = uri.query().unwrap_or_default();
                let answer = self.serve(session, method.as_str(), path, query).await;
                answer.unwrap_or_else(Refusal::into_reply)
            }
            _ => unknown_path().into_reply(),
        }
    }

    async fn serve(
        &self,
        session: &mut ServerSession,
        method: &str,
        path: &str,
        query: &str,
    ) -> Result<Reply, Refusal> {
        let authorization = session.get_header(AUTHORIZATION).cloned();
        let authorization = authorization.as_ref().map(http::HeaderValue::as_bytes);
        let (route, key) = self.route(method, path, authorization).await?;
        let body = body_of(session, route).await?;
        let query = Query::parse(query)?;
        self.run(route.operation, key, query, &body).await
    }
}

async fn metrics(session: &mut ServerSession) -> Reply {
    let (parts, body) = PrometheusHttpApp.response(session).await.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    Reply::whole(
        parts.status.as_u16(),
        content_type.unwrap_or("text/plain"),
        body,
    )
}

/// The body of a route that has one.
async fn body_of(session: &mut ServerSession, route: &Route) -> Result<Vec<u8>, Refusal> {
    if route.body.is_none() {
        return Ok(Vec::new());
    }
    let header = |name| {
        session
            .get_header(name)
            .and_then(|value| value.to_str().ok())
    };
    let media = header(CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = "send the body as content-type: application/json";
        return Err(Refusal::new(415, "unsupported_media_type", message));
    }
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    if header(EXPECT).is_some() {
        // Pingora counts it as the answer and would not keep the connection.
        session.set_keepalive(None);
        let _ = session.write_continue_response().await;
    }
    let read = tokio::time::timeout(BODY_TIMEOUT, read_body(session)).await;
    read.unwrap_or_else(|_| {
        let message = "the body did not come within 30 s";
        Err(Refusal::new(408, "request_timeout", message))
    })
}

fn too_large() -> Refusal {
    let message = "the body is larger than 64 KiB";
    Refusal::new(413, "request_too_large", message)
}

async fn read_body(session: &mut ServerSession) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) if body.len() + piece.len() > BODY_LIMIT => return Err(too_large()),
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body),
            Err(_) => {
                // What follows may be the rest of it as well as a next request.
                session.set_keepalive(None);
                let message = "the body could not be read to its end";
                return Err(Refusal::new(400, "invalid_request", message));
            }
        }
    }
}

/// Writes an answer; an error means that it is not whole.
async fn write(session: &mut ServerSession, reply: Reply) -> pingora_core::Result<()> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.headers.len() + 2))?;
    for (name, value) in reply.headers {
        head.insert_header(name, value)?;
    }
    let is_head = session.req_header().method == http::Method::HEAD;
    let no_body = is_head || reply.status == 204;
    match reply.body {
        Body::Whole(body) => {
            if reply.status != 204 {
                head.insert_header(CONTENT_LENGTH, body.len())?;
            }
            session.write_response_header(Box::new(head)).await?;
            if !no_body {
                session.write_response_body(Bytes::from(body), true).await?;
            }
        }
        Body::Pages(mut pages) => {
            if session.req_header().version == http::Version::HTTP_11 {
                head.insert_header("transfer-encoding", "chunked")?;
            } else {
                session.set_keepalive(None);
            }
            session.write_response_header(Box::new(head)).await?;
            if no_body {
                return Ok(());
            }
            loop {
                match pages.next().await {
                    Ok(Some(page)) => session.write_response_body(page, false).await?,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the request log was cut while it was sent");
                        return pingora_core::Error::e_explain(
                            pingora_core::ErrorType::InternalError,
                            "the store",
                        );
                    }
                }
            }
            session.write_response_body(Bytes::new(), true).await?;
        }
    }
    Ok(())
}

/// Closing with unread bytes would reset the connection and take the answer with it: shut our side, and read on for a
/// while.
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
