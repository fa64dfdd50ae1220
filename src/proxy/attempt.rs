//! One attempt on one channel: the request as this channel gets it, and the state of its answer. All of it is
//! made anew for the next attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri, header};
use pingora_core::{OrErr, Result};
use pingora_http::RequestHeader;

use super::exchange::Asked;
use super::judge::Judge;
use super::relay::Relay;
use crate::base::{Fault, FaultKind, Outcome};
use crate::dialect::{Endpoint, Expect, Operation, Surface, UpstreamError, openai_chat};
use crate::meter::Tap;
use crate::platform::{self, Reasoning};
use crate::route::{Channel, Claim};
use crate::wire::edit::{self, Edit};

/// A refusal's body is read up to here; the rest says nothing more.
pub const MAX_REFUSAL: usize = 64 << 10;

/// The state of the answer.
pub enum Answer {
    /// Nothing has come.
    Waiting,
    /// Any status but 2xx: its body is gathered, to be read.
    Refused {
        status: u16,
        wait: Option<Duration>,
        body: Vec<u8>,
    },
    /// A 2xx of which nothing is committed.
    Judging(Box<Judge>),
    /// It stands.
    Passing,
}

/// Why an attempt goes on, over another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A pooled connection turned out closed: a fresh one, once.
    Fresh,
    /// An address of several could not be connected to: the next one.
    NextAddress,
}

pub struct Attempt {
    pub channel: Arc<Channel>,
    /// Held until the attempt is dropped.
    _claim: Claim,
    /// The model that the upstream is asked for.
    pub model: String,
    /// The request's body as this channel gets it.
    pub body: Bytes,
    pub started: Instant,
    pub answer: Answer,
    /// Only for event streams.
    pub relay: Option<Relay>,
    pub tap: Tap,
    pub upstream_request_id: Option<String>,
    /// The attempt goes on, over another connection.
    pub again: Option<Again>,
    /// Addresses of the channel that could not be connected to.
    pub addresses_failed: usize,
    ended: bool,
}

impl Attempt {
    /// Renders the request for the channel.
    pub fn new(
        channel: Arc<Channel>,
        asked: &Asked,
        body: &Bytes,
    ) -> std::result::Result<Self, Fault> {
        let routed = channel.route(&asked.target);
        let (model, reason) = routed.map_or_else(
            || (asked.target.clone(), false),
            |routed| (routed.model.into_owned(), routed.reason),
        );
        let mut edits: Vec<Edit> = Vec::new();
        let mut withhold_usage = false;
        if let Some(peek) = &asked.peek {
            if let Some(at) = peek
                .model
                .clone()
                .filter(|_| asked.path_model.is_none() && model != asked.model)
            {
                edits.push(Edit::replace(at, peek.write_model(&model)));
            }
            if reason {
                let request = Reasoning {
                    operation: asked.operation,
                    model: &model,
                    body,
                    peek,
                };
                edits.extend((channel.config.platform.reason)(&request)?);
            }
            let ask = asked.operation == Operation::Chat
                && asked.stream
                && channel.config.ask_usage
                && channel.config.platform.asks_usage;
            if let Some(edit) = ask.then(|| openai_chat::ask_usage(body, peek)).flatten() {
                edits.push(edit);
                withhold_usage = true;
            }
        }
        Ok(Self {
            _claim: Claim::new(&channel),
            body: edit::apply(body, &mut edits),
            model,
            started: Instant::now(),
            answer: Answer::Waiting,
            relay: (asked.expect == Expect::Sse).then(|| Relay::new(withhold_usage)),
            tap: Tap::new(asked.operation.dialect()),
            upstream_request_id: None,
            again: None,
            addresses_failed: 0,
            ended: false,
            channel,
        })
    }

    /// Did the upstream begin an answer with a good status?
    pub fn has_answer(&self) -> bool {
        matches!(self.answer, Answer::Judging(_) | Answer::Passing)
    }

    /// Tells the channel how it ended. `false`: it had been told already.
    pub fn end(&mut self, outcome: Outcome, wait: Option<Duration>) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        self.channel
            .report(outcome, wait, self.started, Instant::now());
        true
    }

    /// Turns the client's head into the one for this channel.
    pub fn write_head(
        &self,
        head: &mut RequestHeader,
        asked: &Asked,
        surface: Surface,
    ) -> Result<()> {
        let config = &self.channel.config;
        drop_headers(head, |name| config.platform.is_account_header(name));
        head.insert_header(header::HOST, self.channel.host.clone())?;
        if let Some((name, value)) = &self.channel.credential {
            head.insert_header(name, value.clone())?;
        }
        // What must be read must not be compressed.
        head.insert_header(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        )?;
        if let Some((name, value)) = config.platform.default_header
            && !head.headers.contains_key(name)
        {
            head.insert_header(name, value)?;
        }
        for (name, value) in &config.headers {
            head.insert_header(name, value.clone())?;
        }
        if head.method == http::Method::POST {
            head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()))?;
        }
        self.write_path(head, asked, surface)
    }

    fn write_path(&self, head: &mut RequestHeader, asked: &Asked, surface: Surface) -> Result<()> {
        let endpoint = Endpoint {
            surface,
            operation: asked.operation,
            path: &asked.path,
            model: asked.path_model.as_deref(),
        };
        let base = &self.channel.config.base.path;
        let mut target = format!("{base}{}", platform::upstream_path(&endpoint, &self.model));
        if !asked.query.is_empty() {
            target.push('?');
            target.push_str(&asked.query);
        }
        let uri = Uri::try_from(target).or_err(
            pingora_core::ErrorType::InternalError,
            "the upstream's path is not valid",
        )?;
        head.set_uri(uri);
        Ok(())
    }
}

/// Takes out what is between the client and the gateway: its credential, its cookies, what proxies said
/// of it, what is true of one hop only.
fn drop_headers(head: &mut RequestHeader, is_account: impl Fn(&str) -> bool) {
    let stays = |name: &HeaderName| {
        let name = name.as_str();
        let dropped = matches!(
            name,
            "authorization"
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
            || name.starts_with("cf-")
            || is_account(name);
        !dropped
    };
    let dropped: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| !stays(name))
        .cloned()
        .collect();
    for name in dropped {
        head.remove_header(&name);
    }
}

/// How a refusal counts, and whether another channel may do better.
pub fn outcome_of(error: &UpstreamError) -> Outcome {
    match error.status {
        _ if error.bad_credential => Outcome::Auth,
        401..=403 => Outcome::Auth,
        408 => Outcome::Timeout,
        429 => Outcome::RateLimited,
        500.. => Outcome::Status5xx,
        _ => Outcome::Status4xx,
    }
}

/// What the client is told when this was the last attempt.
pub fn fault_of(
    outcome: Outcome,
    error: &UpstreamError,
    wait: Option<Duration>,
    credential: &str,
) -> Fault {
    let message = platform::scrub::scrub(&error.message, credential).into_owned();
    let said = if message.is_empty() {
        format!("status {}", error.status)
    } else {
        message
    };
    let kept = |kind, status| Fault {
        kind,
        status,
        message: said.clone().into(),
        param: None,
        upstream_type: error.kind.clone(),
        retry_after: wait,
    };
    match (outcome, error.status) {
        (Outcome::RateLimited, _) => kept(FaultKind::UpstreamRateLimited, 429),
        (Outcome::Status5xx, status @ (503 | 529)) => kept(FaultKind::UpstreamOverloaded, status),
        (Outcome::Timeout, _) => timeout_fault(),
        // The operator's fault: the client is not told what the provider said of the credential.
        (Outcome::Auth, _) => Fault::new(
            FaultKind::UpstreamError,
            "The provider refused the gateway's own credential. The operator must mend the channel.",
        ),
        (
            Outcome::Ok
            | Outcome::Connect
            | Outcome::Reset
            | Outcome::Status4xx
            | Outcome::Status5xx
            | Outcome::BadResponse,
            status,
        ) => Fault::new(
            FaultKind::UpstreamError,
            format!("The provider failed with status {status}: {said}"),
        ),
    }
}

pub fn timeout_fault() -> Fault {
    Fault::new(
        FaultKind::UpstreamTimeout,
        "The provider took too long to answer. Try again, or ask for less.",
    )
}
