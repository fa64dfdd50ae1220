//! One attempt on one channel: the request as this channel gets it, and the state of its answer. All of it is
//! made anew for the next attempt.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::exchange::Asked;
use super::fetch::fetch;
use super::judge::Judge;
use super::relay::Relay;
use crate::base::{Fault, FaultKind, Outcome};
use crate::chat::{Loss, loss};
use crate::config::Server;
use crate::dialect::answering::{self, Answering, Question, Rendering};
use crate::dialect::openai_responses::Settled;
use crate::dialect::{Expect, Operation, UpstreamError, openai_chat, sealed};
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
    /// What the channel is asked for, and what a good answer of it looks like.
    pub operation: Operation,
    pub expect: Expect,
    /// The channel speaks another protocol.
    pub translation: Option<Box<Translation>>,
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

/// A request that goes out in another protocol than it came in, and its answer on the way back.
pub struct Translation {
    pub answering: Answering,
    /// Path and query at the provider.
    pub path: String,
    /// Headers without which the provider would not understand the body.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What was left out.
    pub losses: Vec<Loss>,
}

impl Translation {
    /// The value of `x-torouter-dropped`.
    pub fn dropped(&self) -> Option<http::HeaderValue> {
        http::HeaderValue::try_from(loss::header(&self.losses)?).ok()
    }
}

/// What a channel that was chosen does with the request.
pub enum Made {
    Attempt(Box<Attempt>),
    /// Nobody needs to be asked: the answer itself.
    Local(Bytes),
}

impl Attempt {
    /// Renders the request for the channel.
    pub async fn make(
        claim: Claim,
        asked: &Asked,
        body: &Bytes,
        server: &Server,
        settled: Option<&Settled>,
        native: bool,
    ) -> std::result::Result<Made, Fault> {
        let channel = claim.channel();
        // Its provider has this model on another API of its own only.
        let is_elsewhere = asked.operation == Operation::Chat
            && channel.config.is_responses_only(&route(channel, asked).0);
        if native && !is_elsewhere {
            Self::verbatim(claim, asked, body).map(|attempt| Made::Attempt(Box::new(attempt)))
        } else {
            Self::translated(claim, asked, body, server, settled).await
        }
    }

    async fn translated(
        claim: Claim,
        asked: &Asked,
        body: &Bytes,
        server: &Server,
        settled: Option<&Settled>,
    ) -> std::result::Result<Made, Fault> {
        let channel = claim.channel().clone();
        let platform = channel.config.platform;
        let (model, reason) = route(&channel, asked);
        let Some(counterpart) = platform.counterpart(asked.operation) else {
            return Err(Fault::new(
                FaultKind::EndpointNotFound,
                "No channel of this group serves this endpoint for this model.",
            ));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut question = Question {
            operation: asked.operation,
            body,
            stream: asked.stream,
            array: asked.expect == Expect::JsonArray,
            model: &asked.model,
            reason,
            now: now.unwrap_or_default().as_secs(),
            fetched: &[],
            settled,
        };
        let target = channel.config.target(&model);
        let fetched;
        if (channel.config.fetch_media || server.fetch_media) && asked.operation.generates() {
            let urls = answering::foreign_urls(&question, &target);
            fetched = fetch(urls, &server.fetch_media_from).await?;
            question.fetched = &fetched;
        }
        let translated = match answering::render(&question, &target, counterpart)? {
            Rendering::Local(body) => return Ok(Made::Local(body.into())),
            Rendering::Upstream(translated) => *translated,
        };
        let operation = translated.operation;
        let expect = if translated.stream {
            Expect::Sse
        } else {
            Expect::Json
        };
        let mut losses = translated.rendered.losses;
        losses.extend(asked.header_losses());
        let translation = Translation {
            answering: translated.answering,
            path: platform::path_of(operation, &model),
            headers: translated.rendered.headers,
            losses,
        };
        Ok(Made::Attempt(Box::new(Self {
            body: translated.rendered.body.into(),
            operation,
            expect,
            translation: Some(Box::new(translation)),
            relay: None,
            tap: Tap::new(operation.dialect(), translated.stream),
            ..Self::begin(claim, model)
        })))
    }

    /// One that has nothing to send yet.
    fn begin(claim: Claim, model: String) -> Self {
        Self {
            channel: claim.channel().clone(),
            _claim: claim,
            model,
            body: Bytes::new(),
            operation: Operation::Chat,
            expect: Expect::Json,
            translation: None,
            started: Instant::now(),
            answer: Answer::Waiting,
            relay: None,
            tap: Tap::new(crate::dialect::Dialect::OpenAiChat, false),
            upstream_request_id: None,
            again: None,
            addresses_failed: 0,
            ended: false,
        }
    }

    /// The same protocol on both sides: the client's bytes, but for what must change.
    fn verbatim(claim: Claim, asked: &Asked, body: &Bytes) -> std::result::Result<Self, Fault> {
        let channel = claim.channel().clone();
        let (model, reason) = route(&channel, asked);
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
            if asked.operation.generates() {
                edits.extend(sealed::edits(asked.operation.dialect(), body));
            }
        }
        Ok(Self {
            body: edit::apply(body, &mut edits),
            operation: asked.operation,
            expect: asked.expect,
            relay: (asked.expect == Expect::Sse).then(|| Relay::new(withhold_usage)),
            tap: Tap::new(asked.operation.dialect(), asked.expect == Expect::Sse),
            ..Self::begin(claim, model)
        })
    }

    /// Is what the client gets a stream whose last byte ended an event?
    pub fn at_boundary(&self) -> bool {
        match (&self.relay, &self.translation) {
            (Some(relay), _) => relay.at_boundary,
            // A translation writes whole events only.
            (None, translation) => translation.is_some(),
        }
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

/// How the channel calls the model, and whether its name asked for reasoning.
fn route(channel: &Channel, asked: &Asked) -> (String, bool) {
    channel.route(&asked.target).map_or_else(
        || (asked.target.clone(), false),
        |routed| (routed.model.into_owned(), routed.reason),
    )
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
