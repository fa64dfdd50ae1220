//! Everything before a channel is chosen: endpoint, key, body, model.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::Session;

use super::allowance;
use super::conversations;
use super::exchange::{Asked, Exchange};
use super::inner::Inner;
use super::kept;
use super::latch::Latch;
use super::socket;
use super::stored;
use crate::base::{Fault, FaultKind, id};
use crate::config::Catalog;
use crate::dialect::endpoint::{self, Unmatched};
use crate::dialect::{Endpoint, Operation, Peek, Surface};
use crate::gate::{Credentials, client_address, is_query_key};
use crate::platform::models::is_thinking_id;
use crate::wire::multipart;

/// A body must keep up this many bytes a second, once its time to begin is over.
const BODY_BYTES_PER_SECOND: u64 = 16 << 10;
/// A body larger than this is gathered in steps: its stated length is not believed beforehand.
const FIRST_ALLOCATION: usize = 1 << 20;

/// What to do with a request that has been read.
pub enum Intake {
    Proxy,
    /// Answered here: the models that the key may call, one or all.
    Models(Option<String>),
    /// Answered here: what is kept.
    Stored(stored::Answer),
    /// A client that only looks whether somebody is there.
    Hello,
}

/// Why a request ends here.
pub enum Stop {
    Fault(Fault),
    Left(Box<pingora_core::Error>),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the request and fills in the exchange.
pub async fn take_in(session: &mut Session, x: &mut Exchange) -> Result<Intake, Stop> {
    let head = session.req_header_mut();
    x.begun = true;
    x.latch = head.extensions_mut().remove::<Arc<Latch>>();
    x.inner = head.extensions_mut().remove::<Arc<Inner>>();
    x.request_id = match x.inner.as_deref() {
        Some(Inner {
            request_id: Some(id),
            ..
        }) => id.clone(),
        _ => request_id(&head.headers),
    };
    x.method = head.method.clone();
    let refused = head.extensions_mut().remove::<socket::Refused>();
    let head = session.req_header();
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    if head.method == http::Method::HEAD && path == "/" {
        x.odd_path = path.to_owned();
        return Ok(Intake::Hello);
    }
    if let Some(socket::Refused(fault)) = refused {
        x.odd_path = path.to_owned();
        return Err(Fault::clone(&fault).into());
    }
    let endpoint = match endpoint::find(&head.method, path, &head.headers) {
        Ok(endpoint) => endpoint,
        Err(unmatched) => {
            // What a log line can hold: a path that long is none of ours.
            x.odd_path = path.chars().take(256).collect();
            return Err(unmatched_fault(x, &unmatched).into());
        }
    };
    x.surface = endpoint.surface;
    let operation = endpoint.operation;
    let path_model = endpoint.model.map(str::to_owned);
    x.asked = Some(Asked {
        has_betas: head.headers.contains_key("anthropic-beta"),
        ..asked(&endpoint, path, query)
    });
    authenticate(session, x)?;
    match operation {
        Operation::ModelsList => return Ok(Intake::Models(None)),
        Operation::ModelGet => return Ok(Intake::Models(path_model)),
        Operation::ResponseGet
        | Operation::ResponseDelete
        | Operation::ResponseInputItems
        | Operation::ResponseCancel => {
            if let Some(answer) = stored::serve(x).await? {
                return Ok(Intake::Stored(answer));
            }
        }
        _ => {}
    }
    let body = if session.req_header().method == http::Method::POST {
        read_body(session, x).await?
    } else {
        Bytes::new()
    };
    if operation == Operation::Conversations {
        let answer = conversations::ask(x, &body).await?;
        return Ok(Intake::Stored(stored::Answer::Json(answer)));
    }
    let body = kept::resolve(x, body).await?;
    let content_type = session
        .req_header()
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(Cow::Borrowed);
    inspect(x, &body, content_type.as_deref())?;
    allowance::admit(x, &body).await?;
    if let Some(latch) = &x.latch {
        latch.hold_body(body);
    }
    Ok(Intake::Proxy)
}

fn request_id(headers: &HeaderMap) -> String {
    headers
        .get("x-request-id")
        .filter(|value| id::is_valid_request_id(value.as_bytes()))
        .and_then(|value| value.to_str().ok())
        .map_or_else(id::request_id, str::to_owned)
}

fn unmatched_fault(x: &mut Exchange, unmatched: &Unmatched) -> Fault {
    match unmatched {
        Unmatched::Path(surface) => {
            x.surface = *surface;
            Fault::new(
                FaultKind::EndpointNotFound,
                format!(
                    "Unknown path: {} {}. Check the base URL of your client.",
                    x.method, x.odd_path
                ),
            )
        }
        Unmatched::Method { surface, allow } => {
            x.surface = *surface;
            Fault::new(
                FaultKind::MethodNotAllowed,
                format!(
                    "{} is not allowed on {}; allowed: {allow}.",
                    x.method, x.odd_path
                ),
            )
        }
    }
}

fn asked(endpoint: &Endpoint<'_>, path: &str, query: &str) -> Asked {
    let is_kept = |pair: &&str| !is_query_key(pair) && !pair.is_empty();
    let query_kept = if query.is_empty() {
        String::new()
    } else {
        query
            .split('&')
            .filter(is_kept)
            .collect::<Vec<_>>()
            .join("&")
    };
    Asked {
        operation: endpoint.operation,
        raw_path: path.to_owned(),
        query: query_kept,
        path_model: endpoint.model.map(str::to_owned),
        model: String::new(),
        target: String::new(),
        peek: None,
        stream: false,
        expect: endpoint.operation.expect(false, query),
        body_bytes: 0,
        text_bytes: 0,
        has_betas: false,
    }
}

fn authenticate(session: &Session, x: &mut Exchange) -> Result<(), Fault> {
    if let Some(inner) = &x.inner {
        x.client = inner.client;
        let now = SystemTime::now();
        let key = x.world.ring().readmit(&inner.key, inner.client, now)?;
        x.admit(key);
        return Ok(());
    }
    let head = session.req_header();
    let (headers, query) = (&head.headers, head.uri.query().unwrap_or_default());
    let peer = session
        .as_downstream()
        .client_addr()
        .and_then(|address| address.as_inet())
        .map(std::net::SocketAddr::ip);
    let trusted = &x.world.config.server.trusted_proxies;
    x.client = peer.map(|peer| client_address(peer, headers, trusted));
    let credentials = Credentials::find(headers, query, x.surface == Surface::Gemini)?;
    let key = x
        .world
        .ring()
        .authenticate(&credentials, x.client, SystemTime::now())?;
    x.admit(key);
    Ok(())
}

fn too_large(limit: usize) -> Fault {
    let megabytes = limit as f64 / f64::from(1 << 20);
    Fault::new(
        FaultKind::TooLarge,
        format!("The request body is larger than this gateway takes ({megabytes:.1} MiB)."),
    )
}

/// Reads the whole body, within its limit and its time.
async fn read_body(session: &mut Session, x: &mut Exchange) -> Result<Bytes, Stop> {
    let limit = x.world.config.server.body_limit;
    let headers = &session.req_header().headers;
    let stated = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if stated.is_some_and(|length| length > limit) {
        return Err(too_large(limit).into());
    }
    let compressed = headers
        .get(http::header::CONTENT_ENCODING)
        .is_some_and(|value| value != "identity");
    if compressed {
        let mut fault = Fault::new(
            FaultKind::InvalidRequest,
            "Compressed request bodies are not understood; send the body without content-encoding.",
        );
        fault.status = 415;
        return Err(fault.param("content-encoding").into());
    }
    let continues = headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && session.req_header().version >= http::Version::HTTP_11;
    let began = Instant::now();
    let downstream = session.as_downstream_mut();
    if continues {
        downstream
            .write_continue_response()
            .await
            .map_err(Stop::Left)?;
    }
    let patience = x.world.config.server.read_timeout;
    let body = gather(downstream, stated, limit, began, patience).await?;
    x.body_wait = began.elapsed();
    Ok(body)
}

async fn gather(
    session: &mut ServerSession,
    stated: Option<usize>,
    limit: usize,
    began: Instant,
    patience: Duration,
) -> Result<Bytes, Stop> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let received = first.as_ref().map_or(0, Bytes::len).max(rest.len());
        let allowed = patience + Duration::from_secs(received as u64 / BODY_BYTES_PER_SECOND);
        let deadline = tokio::time::Instant::from_std(began + allowed);
        let read = tokio::time::timeout_at(deadline, session.read_request_body()).await;
        let chunk = match read {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) if error.etype().as_str() == "InvalidChunk" => {
                return Err(Fault::new(
                    FaultKind::InvalidRequest,
                    "The request body's chunks are not valid HTTP.",
                )
                .into());
            }
            Ok(Err(error)) => return Err(Stop::Left(error)),
            Err(_) => {
                return Err(Fault::new(
                    FaultKind::RequestTimeout,
                    "The request body came too slowly and was given up.",
                )
                .into());
            }
        };
        if received + chunk.len() > limit {
            return Err(too_large(limit).into());
        }
        match first.take() {
            None if rest.is_empty() => first = Some(chunk),
            None => rest.extend_from_slice(&chunk),
            Some(head) => {
                rest.reserve(stated.unwrap_or(0).clamp(
                    head.len() + chunk.len(),
                    FIRST_ALLOCATION.max(head.len() + chunk.len()),
                ));
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// The bytes of a body without the files in it: what stands in base64 says nothing of tokens. A file counts as about as
/// much as a picture does.
fn text_bytes(body: &[u8]) -> u64 {
    /// No word that anybody writes is as long.
    const FILE: usize = 4096;
    const OF_A_FILE: u64 = 4 * 800;
    if body.len() <= FILE {
        return body.len() as u64;
    }
    let (mut text, mut from) = (0, 0);
    while from < body.len() {
        let word =
            memchr::memchr2(b'"', b' ', &body[from..]).map_or(body.len() - from, |at| at + 1);
        let is_file = word > FILE && body[from..from + word].is_ascii();
        text += if is_file { OF_A_FILE } else { word as u64 };
        from += word;
    }
    text
}

/// The id without an ending that only asks for reasoning.
fn without_wish<'a>(model: &'a str, catalog: &Catalog) -> &'a str {
    match model.strip_suffix("-thinking") {
        Some(base) if !catalog.knows(model) && !is_thinking_id(model) => base,
        _ => model,
    }
}

/// Finds out what the body asks for, and whether the key may.
pub fn inspect(x: &mut Exchange, body: &Bytes, content_type: Option<&str>) -> Result<(), Fault> {
    let Some(asked) = &mut x.asked else {
        return Ok(());
    };
    asked.body_bytes = body.len() as u64;
    asked.text_bytes = text_bytes(body);
    let operation = asked.operation;
    let form = content_type
        .filter(|_| operation.takes_form())
        .and_then(multipart::boundary);
    let has_body = !body.is_empty() || operation.has_model();
    let peek = match form {
        _ if !has_body => None,
        Some(boundary) => Some(Peek::form(body, boundary)?),
        None => Some(Peek::json(body)?),
    };
    if let Some(peek) = &peek {
        asked.stream = operation == Operation::StreamGenerateContent
            || (asked.path_model.is_none() && peek.stream(body)?);
        asked.expect = operation.expect(asked.stream, &asked.query);
        if operation.has_model() && asked.path_model.is_none() {
            asked.model = peek
                .model(body, operation)?
                .unwrap_or_default()
                .into_owned();
        }
    }
    if let Some(model) = &asked.path_model {
        asked.model.clone_from(model);
    }
    asked.peek = peek;
    let Some(key) = &x.key else { return Ok(()) };
    let group = &x.world.groups[key.group];
    asked.target = group.alias(&asked.model).unwrap_or(&asked.model).to_owned();
    if asked.model.is_empty() {
        return Ok(());
    }
    let catalog = &x.world.config.catalog;
    let names = [
        asked.model.as_str(),
        asked.target.as_str(),
        without_wish(&asked.model, catalog),
        without_wish(&asked.target, catalog),
    ];
    if key.allows_model(&names) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::ModelNotAllowed,
        format!("This API key may not call the model '{}'.", asked.model),
    )
    .param("model"))
}
