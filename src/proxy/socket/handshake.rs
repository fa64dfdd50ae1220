//! Who asks for a WebSocket, and the upgrade (RFC 6455). A client that is refused here falls back to HTTP at once; one whose
//! connection breaks later may hang for a minute: what can be known is refused before the 101.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Version};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::ProxyHttp as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::super::gateway::Gateway;
use super::config;
use crate::base::{Fault, FaultKind, id};
use crate::dialect::Operation;
use crate::gate::{Credentials, Key, client_address};

/// What marks the WebSocket's own version among a client's betas.
const SOCKET_BETA: &str = "responses_websockets";

/// Whoever was let in.
pub struct Guest {
    pub key: Arc<Key>,
    pub client: Option<IpAddr>,
    pub request_id: String,
    /// The handshake's own, without credentials and what belongs to the upgrade.
    pub headers: HeaderMap,
    pub limit: usize,
    accept: String,
}

/// Why there is no WebSocket: told as an HTTP error, by the same path as any other.
#[derive(Clone)]
pub struct Refused(pub Arc<Fault>);

impl Refused {
    pub fn new(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }
}

/// Does the request ask for a WebSocket, where there is one?
pub fn is_asked(session: &ServerSession) -> bool {
    let head = session.req_header();
    let path = head.uri.path();
    session.as_http1().is_some()
        && head.version == Version::HTTP_11
        && head.method == Method::GET
        && path.strip_prefix("/api").unwrap_or(path) == "/v1/responses"
        && has_token(head, &header::UPGRADE, "websocket")
}

fn has_token(head: &RequestHeader, name: &header::HeaderName, token: &str) -> bool {
    let values = head.headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn malformed(what: &'static str) -> Fault {
    Fault::new(FaultKind::InvalidRequest, what)
}

pub fn admit(gateway: &Gateway, session: &ServerSession) -> Result<Guest, Fault> {
    let world = gateway.new_ctx().world.clone();
    let head = session.req_header();
    let headers = &head.headers;
    let peer = session
        .client_addr()
        .and_then(|address| address.as_inet())
        .map(std::net::SocketAddr::ip);
    let trusted = &world.config.server.trusted_proxies;
    let client = peer.map(|peer| client_address(peer, headers, trusted));
    let credentials = Credentials::find(headers, head.uri.query().unwrap_or_default(), false)?;
    let key = world
        .ring()
        .authenticate(&credentials, client, SystemTime::now())?;
    let accept = accept_of(head)?;
    let group = &world.groups[key.group];
    if !group
        .channels()
        .any(|channel| channel.serves_operation(Operation::Responses))
    {
        return Err(Fault::new(
            FaultKind::EndpointNotFound,
            format!("No channel of the group '{}' serves responses.", group.name),
        ));
    }
    let request_id = headers
        .get("x-request-id")
        .filter(|value| id::is_valid_request_id(value.as_bytes()) && value.len() <= 100)
        .and_then(|value| value.to_str().ok())
        .map_or_else(id::request_id, str::to_owned);
    Ok(Guest {
        headers: kept(headers),
        limit: world.config.server.body_limit,
        key,
        client,
        request_id,
        accept,
    })
}

/// The proof that the upgrade was understood.
fn accept_of(head: &RequestHeader) -> Result<String, Fault> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    if !has_token(head, &header::CONNECTION, "upgrade") {
        return Err(malformed(
            "A WebSocket needs the header 'connection: upgrade'.",
        ));
    }
    if text("sec-websocket-version") != Some("13") {
        let mut fault = malformed("Only version 13 of the WebSocket protocol is spoken here.");
        fault.status = 426;
        return Err(fault.param("sec-websocket-version"));
    }
    let has_body = text("content-length").is_some_and(|length| length != "0")
        || head.headers.contains_key(header::TRANSFER_ENCODING);
    if has_body {
        return Err(malformed("A request for a WebSocket has no body."));
    }
    let key = text("sec-websocket-key").unwrap_or_default();
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == 16 => Ok(derive_accept_key(key.as_bytes())),
        Ok(_) | Err(_) => {
            let fault = malformed("The header 'sec-websocket-key' must be 16 bytes in base64.");
            Err(fault.param("sec-websocket-key"))
        }
    }
}

/// What the turns' own requests repeat of the handshake.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let is_ours = matches!(
            name.as_str(),
            "authorization"
                | "x-api-key"
                | "x-goog-api-key"
                | "cookie"
                | "host"
                | "connection"
                | "upgrade"
                | "origin"
                | "content-length"
                | "x-request-id"
        ) || name.as_str().starts_with("sec-websocket-");
        if !is_ours {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// The same for a turn over HTTP, to which the WebSocket's version means nothing.
pub fn for_http(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let betas: Vec<HeaderValue> = headers.get_all("openai-beta").iter().cloned().collect();
    headers.remove("openai-beta");
    for value in betas {
        let Ok(text) = value.to_str() else { continue };
        let rest: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|beta| !beta.starts_with(SOCKET_BETA))
            .collect();
        if let (false, Ok(value)) = (rest.is_empty(), HeaderValue::try_from(rest.join(","))) {
            headers.append("openai-beta", value);
        }
    }
    headers
}

/// Answers with the 101 and takes the connection over.
pub async fn upgrade(mut session: ServerSession, guest: &Guest) -> Option<WebSocketStream<Stream>> {
    let mut head = ResponseHeader::build(101, Some(4)).ok()?;
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", guest.accept.as_str()),
        ("x-request-id", guest.request_id.as_str()),
    ] {
        head.insert_header(name, value).ok()?;
    }
    session.write_response_header(Box::new(head)).await.ok()?;
    let ServerSession::H1(mut session) = session else {
        return None;
    };
    // A client in a hurry may have sent its first frame with the handshake.
    let early = session.read_body_bytes().now_or_never();
    let early = match early {
        Some(Ok(Some(bytes))) => bytes.to_vec(),
        Some(Ok(None) | Err(_)) => return None,
        None => Vec::new(),
    };
    let stream = session.into_inner();
    let config = Some(config(guest.limit));
    Some(WebSocketStream::from_partially_read(stream, early, Role::Server, config).await)
}
