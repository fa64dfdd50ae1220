//! The gateway's own answers: errors in the caller's shape, and the models lists.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::base::Fault;
use crate::dialect::Surface;

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
