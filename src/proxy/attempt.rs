//! One attempt on one channel: the request as this channel gets it, and the state of its answer. All of it is
//! made anew for the next attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::exchange::Asked;
use super::judge::Judge;
use super::relay::Relay;
use crate::base::{Fault, FaultKind, Outcome};
use crate::dialect::{Expect, Operation, UpstreamError, openai_chat};
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
    pub upstream_request_id: Option<http::HeaderValue>,
    /// The attempt goes on, over another connection.
    pub again: Option<Again>,
    /// Addresses of the channel that could not be connected to.
    pub addresses_failed: usize,
    ended: bool,
}

impl Attempt {
    /// Renders the request for the channel.
    pub fn new(claim: Claim, asked: &Asked, body: &Bytes) -> std::result::Result<Self, Fault> {
        let channel = claim.channel().clone();
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
            if let Some(from) = asked.path_model.as_deref().filter(|from| *from != model) {
                edits.extend(asked.operation.dialect().rename(body, from, &model));
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
            _claim: claim,
            body: edit::apply(body, &mut edits),
            model,
            started: Instant::now(),
            answer: Answer::Waiting,
            relay: (asked.expect == Expect::Sse).then(|| Relay::new(withhold_usage)),
            tap: Tap::new(asked.operation.dialect(), asked.expect == Expect::Sse),
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
