//! The heads of requests and answers as they leave: built anew from what may pass and what must be there, in
//! one pass over the other side's headers.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};
use pingora_core::{OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};

use super::allowance;
use super::answer;
use super::attempt::Attempt;
use super::exchange::{Asked, Exchange};
use crate::dialect::{Endpoint, Expect, Surface, is_protocol_header};
use crate::platform;

const CHANNEL: HeaderName = HeaderName::from_static("x-torouter-channel");
const MODEL: HeaderName = HeaderName::from_static("x-torouter-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-torouter-attempts");
const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-torouter-upstream-request-id");
const DROPPED: HeaderName = HeaderName::from_static("x-torouter-dropped");
const TIMING: HeaderName = HeaderName::from_static("server-timing");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What is between the client and the gateway: its credential, its cookies, what proxies said of it, what
/// is true of one hop only. The rest goes on to the provider.
fn goes_upstream(name: &str) -> bool {
    !(matches!(
        name,
        "host"
            | "authorization"
            | "x-api-key"
            | "x-goog-api-key"
            | "cookie"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "true-client-ip"
            | "expect"
            | "te"
            | "content-length"
            | "transfer-encoding"
            | "accept-encoding"
            | "x-request-id"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("cf-"))
}

/// What tells of the provider's house, or of one hop only. The rest goes on to the client.
fn goes_to_client(name: &str) -> bool {
    !(matches!(
        name,
        "set-cookie"
            | "server"
            | "via"
            | "alt-svc"
            | "strict-transport-security"
            | "x-request-id"
            | "request-id"
            | "keep-alive"
            | "connection"
            | "report-to"
            | "nel"
    ) || name.starts_with("cf-"))
}

/// Turns the client's head into the one for the attempt's channel.
pub fn for_upstream(
    head: &mut RequestHeader,
    attempt: &Attempt,
    asked: &Asked,
    surface: Surface,
) -> Result<()> {
    let config = &attempt.channel.config;
    let mut headers = HeaderMap::with_capacity(head.headers.len() + 4 + config.headers.len());
    headers.insert(header::HOST, attempt.channel.host.clone());
    let translation = attempt.translation.as_deref();
    for (name, value) in &head.headers {
        let goes = match translation {
            None => {
                goes_upstream(name.as_str()) && !config.platform.is_account_header(name.as_str())
            }
            Some(_) => goes_upstream(name.as_str()) && !is_protocol_header(name.as_str()),
        };
        if goes {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Some((name, value)) = &attempt.channel.credential {
        headers.insert(name.clone(), value.clone());
    }
    // What must be read must not be compressed.
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    if let Some((name, value)) = config.platform.default_header
        && !headers.contains_key(name)
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(translation) = translation {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in &translation.headers {
            headers.insert(*name, HeaderValue::from_static(value));
        }
    }
    for (name, value) in &config.headers {
        headers.insert(name.clone(), value.clone());
    }
    if head.method == Method::POST {
        headers.insert(
            header::CONTENT_LENGTH,
            HeaderValue::from(attempt.body.len()),
        );
    }
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = head.method.clone();
    parts.version = head.version;
    parts.uri = upstream_uri(&head.uri, attempt, asked, surface)?;
    parts.headers = headers;
    *head = RequestHeader::from(parts);
    Ok(())
}

fn upstream_uri(uri: &Uri, attempt: &Attempt, asked: &Asked, surface: Surface) -> Result<Uri> {
    let endpoint = Endpoint {
        surface,
        operation: asked.operation,
        path: asked.path(),
        model: asked.path_model.as_deref(),
    };
    let base = &attempt.channel.config.base.path;
    if let Some(translation) = &attempt.translation {
        return Uri::try_from(format!("{base}{}", translation.path)).or_err(
            pingora_core::ErrorType::InternalError,
            "the upstream's path is not valid",
        );
    }
    let path = platform::upstream_path(&endpoint, &attempt.model);
    let unchanged = base.is_empty() && uri.path() == path && uri.authority().is_none();
    if unchanged && uri.query().unwrap_or_default() == asked.query {
        return Ok(uri.clone());
    }
    let mut target = format!("{base}{path}");
    if !asked.query.is_empty() {
        target.push('?');
        target.push_str(&asked.query);
    }
    Uri::try_from(target).or_err(
        pingora_core::ErrorType::InternalError,
        "the upstream's path is not valid",
    )
}

/// The type of what a translation writes.
fn content_type(x: &Exchange) -> HeaderValue {
    match x.asked.as_ref().map(|asked| asked.expect) {
        Some(Expect::Sse) => HeaderValue::from_static("text/event-stream; charset=utf-8"),
        Some(Expect::Json | Expect::JsonArray | Expect::Any) | None => {
            HeaderValue::from_static("application/json")
        }
    }
}

/// Turns the upstream's head into the one for the client.
pub fn for_client(head: &mut ResponseHeader, x: &Exchange, version: Version) -> Result<()> {
    let Some(attempt) = &x.attempt else {
        return Ok(());
    };
    let platform = attempt.channel.config.platform;
    let mut headers = HeaderMap::with_capacity(head.headers.len() + 8);
    let translation = attempt.translation.as_deref();
    for (name, value) in &head.headers {
        let goes = match translation {
            None => goes_to_client(name.as_str()) && !platform.is_private(name.as_str()),
            Some(_) => matches!(
                name.as_str(),
                "date" | "retry-after" | "content-length" | "transfer-encoding" | "cache-control"
            ),
        };
        if goes {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Some(translation) = translation {
        headers.insert(header::CONTENT_TYPE, content_type(x));
        if let Some(dropped) = translation.dropped() {
            headers.insert(DROPPED, dropped);
        }
    }
    let is_stream =
        attempt.relay.is_some() || (translation.is_some() && attempt.expect == Expect::Sse);
    if is_stream && headers.remove(header::CONTENT_LENGTH).is_some() {
        // A stream may get longer by a comment or an error, or shorter by a chunk.
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    if version < Version::HTTP_11 {
        headers.remove(header::TRANSFER_ENCODING);
    }
    let text = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(id) = text(&x.request_id) {
        if x.surface == Surface::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(CHANNEL, attempt.channel.name_header.clone());
    headers.insert(ATTEMPTS, HeaderValue::from(x.plan.attempts()));
    if let Some(model) = text(&attempt.model).filter(|model| !model.is_empty()) {
        headers.insert(MODEL, model);
    }
    if let Some(id) = &attempt.upstream_request_id {
        headers.insert(UPSTREAM_ID, id.clone());
    }
    if let Some(timing) = x.own_time.and_then(answer::server_timing) {
        headers.insert(TIMING, timing);
    }
    headers.extend(allowance::headers(x.standing.as_deref()));
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = head.status;
    parts.version = head.version;
    parts.headers = headers;
    *head = ResponseHeader::from(parts);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_hop_or_one_side_stays() {
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "x-forwarded-for",
            "cf-ray",
            "expect",
            "host",
        ] {
            assert!(!goes_upstream(name), "{name}");
        }
        for name in [
            "content-type",
            "anthropic-beta",
            "user-agent",
            "x-stainless-os",
            "traceparent",
        ] {
            assert!(goes_upstream(name), "{name}");
        }
        for name in ["set-cookie", "server", "x-request-id", "cf-cache-status"] {
            assert!(!goes_to_client(name), "{name}");
        }
        for name in [
            "content-type",
            "content-length",
            "retry-after",
            "openai-processing-ms",
        ] {
            assert!(goes_to_client(name), "{name}");
        }
    }
}
