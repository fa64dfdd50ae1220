//! The gateway's own answers: errors in the caller's shape, and the models lists.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::allowance;
use super::exchange::Exchange;
use crate::base::{Fault, FaultKind};
use crate::dialect::{Surface, models as lists};

/// Headers that every answer carries.
pub fn identify(head: &mut ResponseHeader, surface: Surface, request_id: &str) -> Result<()> {
    head.insert_header("x-request-id", request_id)?;
    if surface == Surface::Anthropic {
        head.insert_header("request-id", request_id)?;
    }
    Ok(())
}

/// `gateway;dur=0.050`, in milliseconds.
pub fn server_timing(own: Duration) -> Option<HeaderValue> {
    let micros = own.as_micros();
    HeaderValue::try_from(format!(
        "gateway;dur={}.{:03}",
        micros / 1000,
        micros % 1000
    ))
    .ok()
}

/// The head of an error answer.
pub fn error_head(
    surface: Surface,
    fault: &Fault,
    request_id: &str,
    length: usize,
) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(surface.error_status(fault), Some(6))?;
    head.insert_header("content-type", "application/json")?;
    head.set_content_length(length)?;
    identify(&mut head, surface, request_id)?;
    if let Some(wait) = fault.retry_after {
        // Whole seconds, rounded up: a client that comes then is not too early.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        head.insert_header("retry-after", seconds.to_string())?;
    }
    Ok(head)
}

/// Writes a whole answer of the gateway's own.
pub async fn write(session: &mut Session, head: ResponseHeader, body: Bytes) -> Result<()> {
    let is_head = session.req_header().method == http::Method::HEAD;
    session
        .write_response_header(Box::new(head), is_head)
        .await?;
    let body = if is_head { Bytes::new() } else { body };
    session.write_response_body(Some(body), true).await
}

/// To a client that only looks whether somebody is there.
pub async fn hello(session: &mut Session, x: &mut Exchange) -> Result<()> {
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(2))?;
    head.set_content_length(0)?;
    identify(&mut head, x.surface, &x.request_id)?;
    write(session, head, Bytes::new()).await
}

/// An answer that no provider was asked for: a count.
pub async fn local(session: &mut Session, x: &mut Exchange, body: Bytes) -> Result<()> {
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(6))?;
    head.insert_header("content-type", "application/json")?;
    head.set_content_length(body.len())?;
    // Counted without the provider's own vocabulary.
    head.insert_header("x-torouter-estimated", "true")?;
    identify(&mut head, x.surface, &x.request_id)?;
    allowance::stand_in(&mut head, x)?;
    x.response_bytes = body.len() as u64;
    write(session, head, body).await
}

/// The models that the key may call, one or all.
pub async fn models(session: &mut Session, x: &mut Exchange, id: Option<&str>) -> Result<()> {
    let Some(key) = x.key.clone() else {
        return Error::err(ErrorType::InternalError);
    };
    let listed = x.world.models_of(&key);
    let query = x.asked.as_ref().map_or("", |asked| asked.query.as_str());
    let body = match id {
        None => lists::list(x.surface, &listed, query),
        Some(id) if listed.iter().any(|m| m == id) || x.world.routes(&key, id) => {
            lists::one(x.surface, id)
        }
        Some(id) => {
            let unknown = Fault::new(
                FaultKind::ModelNotFound,
                format!("The model '{id}' does not exist here, or this API key may not call it."),
            );
            return fault(session, x, &unknown).await;
        }
    };
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(4))?;
    head.insert_header("content-type", "application/json")?;
    head.set_content_length(body.len())?;
    identify(&mut head, x.surface, &x.request_id)?;
    x.response_bytes = body.len() as u64;
    write(session, head, body).await
}

/// Tells the client what is wrong, in its own dialect.
pub async fn fault(session: &mut Session, x: &mut Exchange, what: &Fault) -> Result<()> {
    x.status = x.surface.error_status(what);
    x.error = Some(what.kind.code());
    let body = x.surface.error_body(what, &x.request_id);
    let mut head = error_head(x.surface, what, &x.request_id, body.len())?;
    allowance::stand_in(&mut head, x)?;
    let attempts = x.plan.attempts();
    if attempts > 0 {
        head.insert_header("x-torouter-attempts", attempts.to_string())?;
    }
    if what.status == 426 {
        head.insert_header("sec-websocket-version", "13")?;
        head.insert_header(header::UPGRADE, "websocket")?;
    }
    if what.kind == FaultKind::MethodNotAllowed
        && let Some((_, allow)) = what.message.rsplit_once("allowed: ")
    {
        head.insert_header(header::ALLOW, allow.trim_end_matches('.'))?;
    }
    x.response_bytes = body.len() as u64;
    write(session, head, body).await
}
