//! The hooks of Pingora's `ProxyHttp`, in the order of its phases: the story of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use super::answer;
use super::attempt::{Again, Answer, Attempt, MAX_REFUSAL, fault_of, outcome_of, timeout_fault};
use super::exchange::Exchange;
use super::heads;
use super::intake::{self, Intake, Stop};
use super::judge::{Judge, Verdict, is_expected_type};
use super::replay::NO_ANSWER;
use crate::base::{Fault, FaultKind, Outcome};
use crate::dialect::{Expect, UpstreamError, models};
use crate::platform::{reset, scrub};
use crate::route::Pick;
use crate::world::World;

/// An attempt has failed and said so; the error only carries whether to go on.
const ATTEMPT_FAILED: ErrorType = ErrorType::Custom("the attempt failed");
/// The request is refused; the exchange knows why.
const REFUSED: ErrorType = ErrorType::Custom("the request is refused");

/// Pools that were made for one connection each.
static FRESH_POOLS: AtomicU64 = AtomicU64::new(0);

/// How long the body of a refusal may take: it holds up the next attempt.
const REFUSAL_TIME: Duration = Duration::from_secs(3);

/// So many addresses of one channel are tried before another channel is.
const MAX_ADDRESSES_TRIED: usize = 3;

/// The proxy's logic. Everything it knows is in the world of the moment.
pub struct Gateway {
    world: Arc<ArcSwap<World>>,
}

impl Gateway {
    pub fn new(world: Arc<ArcSwap<World>>) -> Self {
        Self { world }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Exchange>;

    fn new_ctx(&self) -> Self::CTX {
        Exchange::new(self.world.load_full())
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: answers pass as they are.
    }

    /// Who, what, may they? Reads the whole body. Answers what needs no upstream.
    async fn request_filter(&self, session: &mut Session, x: &mut Self::CTX) -> Result<bool> {
        let answered = match intake::take_in(session, x).await {
            Ok(Intake::Proxy) => return Ok(false),
            Ok(Intake::Models(id)) => answer_models(session, x, id.as_deref()).await,
            Ok(Intake::Hello) => answer_hello(session, x).await,
            Err(Stop::Fault(fault)) => answer_fault(session, x, &fault).await,
            Err(Stop::Left(error)) => Err(error),
        };
        if answered.is_err() {
            x.client_left = true;
        }
        answered.map(|()| true)
    }

    /// The next attempt: its channel, its body, its address.
    async fn upstream_peer(
        &self,
        _session: &mut Session,
        x: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        if let Some(peer) = peer_of_same_attempt(x) {
            return Ok(peer);
        }
        loop {
            let channel = match pick(x) {
                Ok(channel) => channel,
                Err(fault) => {
                    x.refused = fault;
                    return Error::err(REFUSED);
                }
            };
            let (Some(asked), Some(latch)) = (&x.asked, &x.latch) else {
                return Error::err(ErrorType::InternalError);
            };
            let attempt = match Attempt::new(channel.clone(), asked, &latch.body()) {
                Ok(attempt) => attempt,
                Err(fault) => {
                    x.refused = Some(fault);
                    return Error::err(REFUSED);
                }
            };
            latch.begin_attempt(channel.config.timeouts);
            x.attempt = Some(attempt);
            channel.be_looked_up().await;
            if let Some(peer) = channel.peer() {
                if x.own_time.is_none() {
                    x.own_time = Some(x.started.elapsed().saturating_sub(x.body_wait));
                }
                return Ok(peer);
            }
            fail(
                x,
                Outcome::Connect,
                Fault::new(
                    FaultKind::UpstreamError,
                    "The provider's host name could not be resolved.",
                ),
                None,
            );
        }
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        x: &mut Self::CTX,
        error: Box<Error>,
    ) -> Box<Error> {
        if let Some(attempt) = &mut x.attempt {
            attempt.addresses_failed += 1;
            if attempt.addresses_failed < attempt.channel.address_count().min(MAX_ADDRESSES_TRIED) {
                attempt.again = Some(Again::NextAddress);
                let mut error = error;
                error.set_retry(true);
                return error;
            }
        }
        let timed_out = matches!(
            error.etype(),
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout
        );
        let fault = if timed_out {
            timeout_fault()
        } else {
            Fault::new(
                FaultKind::UpstreamError,
                "The provider could not be reached.",
            )
        };
        fail(x, Outcome::Connect, fault, None)
    }

    /// Method, path, headers and credential of the channel.
    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        x: &mut Self::CTX,
    ) -> Result<()> {
        let (Some(asked), Some(attempt)) = (&x.asked, &x.attempt) else {
            return Error::err(ErrorType::InternalError);
        };
        heads::for_upstream(head, attempt, asked, x.surface)
    }

    /// The body as this channel gets it.
    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        x: &mut Self::CTX,
    ) -> Result<()> {
        if let (Some(body), Some(attempt)) = (body.as_mut(), &x.attempt) {
            *body = attempt.body.clone();
        }
        Ok(())
    }

    /// Take the answer, or see what is wrong with it.
    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        x: &mut Self::CTX,
    ) -> Result<()> {
        if head.status.is_informational() {
            return Ok(());
        }
        receive_head(x, head)
    }

    /// The head for the client.
    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        x: &mut Self::CTX,
    ) -> Result<()> {
        if head.status.is_informational() {
            return Ok(());
        }
        x.status = head.status.as_u16();
        heads::for_client(head, x, session.req_header().version)
    }

    /// The answer's bytes: judged until they are committed, then tapped and passed.
    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        x: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        receive_body(x, body, end)?;
        x.response_bytes += body.as_ref().map_or(0, |body| body.len() as u64);
        Ok(None)
    }

    /// h2 may end with trailers in the place of a last data frame.
    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        _trailers: &mut header::HeaderMap,
        x: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        let mut body = None;
        receive_body(x, &mut body, true)?;
        Ok(Some(body.unwrap_or_default()))
    }

    /// Something broke: may it move on?
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        _session: &mut Session,
        error: Box<Error>,
        x: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        broken(x, error, reused)
    }

    /// The end of a request that failed: the error in the client's shape, also in mid-stream.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        x: &mut Self::CTX,
    ) -> FailToProxy {
        // The connection is closed or kept by `Front`, which knows whether the answer is whole.
        let told = |error_code| FailToProxy {
            error_code,
            can_reuse_downstream: false,
        };
        if x.client_left {
            return told(0);
        }
        if x.is_committed() {
            let _ = end_stream(session, x).await;
            return told(x.status);
        }
        let fault = x.refused.take().or_else(|| x.failure.take());
        let fault = fault.unwrap_or_else(|| {
            tracing::error!(
                error = error.etype().as_str(),
                "a request failed inside the gateway"
            );
            Fault::new(
                FaultKind::Internal,
                "The gateway failed. Try again; tell the operator if it goes on.",
            )
        });
        if answer_fault(session, x, &fault).await.is_err() {
            x.client_left = true;
        }
        told(x.status)
    }

    /// Settles the request: limits, metrics, its line in the log.
    async fn logging(&self, _session: &mut Session, _error: Option<&Error>, x: &mut Self::CTX) {
        x.settle();
    }

    // What went wrong is counted and logged with the request, once. Pingora's own lines would hold paths
    // with queries, and one for each client that leaves.
    fn suppress_error_log(&self, _session: &Session, _x: &Self::CTX, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _x: &Self::CTX,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

async fn answer_hello(session: &mut Session, x: &mut Exchange) -> Result<()> {
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(2))?;
    head.set_content_length(0)?;
    answer::identify(&mut head, x.surface, &x.request_id)?;
    answer::write(session, head, Bytes::new()).await
}

async fn answer_models(session: &mut Session, x: &mut Exchange, id: Option<&str>) -> Result<()> {
    let Some(key) = x.key.clone() else {
        return Error::err(ErrorType::InternalError);
    };
    let listed = x.world.models_of(&key);
    let query = x.asked.as_ref().map_or("", |asked| asked.query.as_str());
    let body = match id {
        None => models::list(x.surface, &listed, query),
        Some(id) if listed.iter().any(|m| m == id) || x.world.routes(&key, id) => {
            models::one(x.surface, id)
        }
        Some(id) => {
            let fault = Fault::new(
                FaultKind::ModelNotFound,
                format!("The model '{id}' does not exist here, or this API key may not call it."),
            );
            return answer_fault(session, x, &fault).await;
        }
    };
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(4))?;
    head.insert_header("content-type", "application/json")?;
    head.set_content_length(body.len())?;
    answer::identify(&mut head, x.surface, &x.request_id)?;
    x.response_bytes = body.len() as u64;
    answer::write(session, head, body).await
}

async fn answer_fault(session: &mut Session, x: &mut Exchange, fault: &Fault) -> Result<()> {
    x.status = x.surface.error_status(fault);
    x.error = Some(fault.kind.code());
    let body = x.surface.error_body(fault, &x.request_id);
    let mut head = answer::error_head(x.surface, fault, &x.request_id, body.len())?;
    let attempts = x.plan.attempts();
    if attempts > 0 {
        head.insert_header("x-torouter-attempts", attempts.to_string())?;
    }
    if fault.kind == FaultKind::MethodNotAllowed
        && let Some((_, allow)) = fault.message.rsplit_once("allowed: ")
    {
        head.insert_header(header::ALLOW, allow.trim_end_matches('.'))?;
    }
    x.response_bytes = body.len() as u64;
    answer::write(session, head, body).await
}

/// The same channel over another connection, where the attempt goes on.
fn peer_of_same_attempt(x: &mut Exchange) -> Option<Box<HttpPeer>> {
    if x.failure.is_some() {
        return None;
    }
    let attempt = x.attempt.as_ref()?;
    let again = attempt.again?;
    let mut peer = attempt.channel.peer()?;
    if again == Again::Fresh {
        // A pool that was never used: any other may hold a connection that is closed, too.
        peer.group_key = FRESH_POOLS.fetch_add(1, Relaxed) + 1;
    }
    Some(peer)
}

/// Chooses the next channel. `Err(None)`: there is none, and the last failure is the answer.
fn pick(x: &mut Exchange) -> std::result::Result<Arc<crate::route::Channel>, Option<Fault>> {
    let (Some(asked), Some(key)) = (&x.asked, &x.key) else {
        return Err(None);
    };
    let world = x.world.clone();
    let group = &world.groups[key.group];
    let model = (!asked.target.is_empty()).then_some(asked.target.as_str());
    match group.pick(&mut x.plan, asked.operation, model, Instant::now()) {
        Pick::Channel(channel) => {
            x.failure = None;
            Ok(channel)
        }
        Pick::Exhausted => Err(None),
        Pick::NoOperation => Err(Some(Fault::new(
            FaultKind::EndpointNotFound,
            format!(
                "No channel of the group '{}' serves {} in this API's own dialect.",
                group.name,
                asked.operation.name()
            ),
        ))),
        Pick::NoModel => Err(Some(
            Fault::new(
                FaultKind::ModelNotFound,
                format!(
                    "The model '{}' does not exist here: no channel of the group '{}' serves it for {}.",
                    asked.model,
                    group.name,
                    asked.operation.name()
                ),
            )
            .param("model"),
        )),
        Pick::Away(wait) => Err(Some(
            Fault::new(
                FaultKind::UpstreamUnavailable,
                "No channel that serves this model is available right now. Try again later.",
            )
            .retry_after(wait),
        )),
    }
}

/// Ends the attempt as a failure. The error says whether another one follows.
fn fail(
    x: &mut Exchange,
    outcome: Outcome,
    mut fault: Fault,
    wait: Option<Duration>,
) -> Box<Error> {
    x.end_attempt(outcome, wait);
    if matches!(fault.status, 429 | 503 | 529) && fault.retry_after.is_none() {
        let ready_in = x
            .attempt
            .as_ref()
            .map_or(Duration::ZERO, |a| a.channel.ready_in(Instant::now()));
        fault.retry_after = Some(ready_in.max(Duration::from_secs(1)));
    }
    x.failure = Some(fault);
    let mut error = Error::new_up(ATTEMPT_FAILED);
    error.set_retry(has_next(x));
    error
}

fn has_next(x: &Exchange) -> bool {
    let (Some(asked), Some(key)) = (&x.asked, &x.key) else {
        return false;
    };
    let model = (!asked.target.is_empty()).then_some(asked.target.as_str());
    x.world.groups[key.group].has_next(&x.plan, asked.operation, model, Instant::now())
}

fn bad_response(x: &mut Exchange, what: &'static str) -> Box<Error> {
    let fault = Fault::new(
        FaultKind::UpstreamError,
        format!("The provider's answer was not usable: {what}."),
    );
    fail(x, Outcome::BadResponse, fault, None)
}

/// Looks at status and type.
fn receive_head(x: &mut Exchange, head: &ResponseHeader) -> Result<()> {
    let now = Instant::now();
    let (Some(asked), Some(attempt), Some(latch)) = (&x.asked, &mut x.attempt, &x.latch) else {
        return Error::err(ErrorType::InternalError);
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    attempt.upstream_request_id = head
        .headers
        .get(attempt.channel.config.platform.request_id_header)
        .cloned();
    let status = head.status.as_u16();
    if head.status.is_success() {
        let encoded = text("content-encoding").is_some_and(|encoding| encoding != "identity");
        if encoded || head.status == http::StatusCode::NO_CONTENT {
            // It was asked not to encode: what cannot be read can only be passed.
            attempt.relay = None;
            attempt.answer = Answer::Passing;
            latch.commit(None);
        } else if is_expected_type(asked.expect, text("content-type")) {
            let is_json = is_expected_type(Expect::Json, text("content-type"));
            let expect = match asked.expect {
                // Where anything may come, JSON may be an error.
                Expect::Any if is_json && text("content-type").is_some() => Expect::Json,
                expect => expect,
            };
            let judge = Judge::new(asked.operation.dialect(), expect);
            attempt.answer = Answer::Judging(Box::new(judge));
            if asked.expect == Expect::Sse {
                latch.set_heartbeat(x.world.config.server.heartbeat);
            }
        } else {
            return Err(bad_response(
                x,
                "its content type is not what was asked for",
            ));
        }
    } else if head.status.is_redirection() {
        return Err(bad_response(x, "it is a redirect"));
    } else {
        latch.hurry(REFUSAL_TIME);
        attempt.answer = Answer::Refused {
            status,
            wait: reset::retry_after(&head.headers, SystemTime::now()),
            body: Vec::new(),
        };
    }
    if let Some(own) = &mut x.own_time {
        *own += now.elapsed();
    }
    Ok(())
}

fn receive_body(x: &mut Exchange, body: &mut Option<Bytes>, end: bool) -> Result<()> {
    let Some(attempt) = &mut x.attempt else {
        return Ok(());
    };
    match &mut attempt.answer {
        Answer::Waiting => Ok(()),
        Answer::Refused { body: gathered, .. } => {
            if let Some(chunk) = body.take() {
                let room = MAX_REFUSAL - gathered.len();
                gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            if end { refused(x, body) } else { Ok(()) }
        }
        Answer::Judging(judge) => {
            let committed = x.latch.as_ref().is_some_and(|latch| latch.is_committed());
            let verdict = if committed {
                // The time for it was up.
                Verdict::Stands
            } else {
                judge.read(body.as_ref(), end)
            };
            judged(x, verdict)?;
            pass(x, body, end);
            Ok(())
        }
        Answer::Passing => {
            pass(x, body, end);
            Ok(())
        }
    }
}

fn judged(x: &mut Exchange, verdict: Verdict) -> Result<()> {
    let (Some(attempt), Some(latch)) = (&mut x.attempt, &x.latch) else {
        return Ok(());
    };
    match verdict {
        Verdict::Hold { begun } => {
            if begun {
                latch.commit_within(x.world.config.server.commit_after);
            }
            Ok(())
        }
        Verdict::Stands => {
            attempt.answer = Answer::Passing;
            attempt.body = Bytes::new();
            latch.commit(None);
            x.first_output = Some(Instant::now());
            Ok(())
        }
        // The client's own fault passes as the provider wrote it.
        Verdict::Fault(error) if error.is_clients_fault() => judged(x, Verdict::Stands),
        Verdict::Fault(error) => {
            let outcome = Outcome::BadResponse;
            let credential = credential_of(attempt);
            // Which fault it is depends on what the provider meant; it counts as a bad response.
            let fault = fault_of(outcome_of(&error), &error, error.retry_after, &credential);
            Err(fail(x, outcome, fault, error.retry_after))
        }
        Verdict::Bad(what) => Err(bad_response(x, what)),
    }
}

fn credential_of(attempt: &Attempt) -> String {
    attempt
        .channel
        .config
        .api_key
        .as_ref()
        .map_or_else(String::new, |key| key.expose().to_owned())
}

/// The tap sees the bytes as they came; the client gets whole events.
fn pass(x: &mut Exchange, body: &mut Option<Bytes>, end: bool) {
    let Some(attempt) = &mut x.attempt else {
        return;
    };
    if let Some(chunk) = body.as_ref() {
        attempt.tap.feed(chunk);
    }
    if let Some(relay) = &mut attempt.relay {
        *body = relay.pass(body.take(), end);
        if let Some(latch) = &x.latch {
            latch.at_boundary.store(relay.at_boundary, Relaxed);
        }
    }
    if end && attempt.has_answer() {
        x.end_attempt(Outcome::Ok, None);
    }
}

/// A refusal is whole: the client's fault goes back as it is, another makes the next attempt.
fn refused(x: &mut Exchange, body: &mut Option<Bytes>) -> Result<()> {
    let Some(refusal) = read_refusal(x) else {
        return Ok(());
    };
    if refusal.outcome != Outcome::Status4xx {
        return Err(refusal.fail(x));
    }
    if refusal.text.is_empty() || refusal.text.len() >= MAX_REFUSAL {
        return Err(refusal.tell(x));
    }
    x.end_attempt(refusal.outcome, None);
    x.error = Some("upstream_refused");
    let clean = match std::str::from_utf8(&refusal.text) {
        Ok(text) => Bytes::from(scrub::scrub(text, &refusal.credential).into_owned()),
        Err(_) => Bytes::from(refusal.text),
    };
    if let Some(latch) = &x.latch {
        latch.commit(Some(clean.len()));
    }
    *body = Some(clean);
    Ok(())
}

/// A refusal, read.
struct Refusal {
    error: UpstreamError,
    text: Vec<u8>,
    wait: Option<Duration>,
    outcome: Outcome,
    credential: String,
}

impl Refusal {
    /// Another channel may do better.
    fn fail(self, x: &mut Exchange) -> Box<Error> {
        let fault = fault_of(self.outcome, &self.error, self.wait, &self.credential);
        fail(x, self.outcome, fault, self.wait)
    }

    /// The client's fault, of which there is no body, half of one, or too much: told in our own words.
    fn tell(self, x: &mut Exchange) -> Box<Error> {
        x.end_attempt(self.outcome, None);
        let message = scrub::scrub(&self.error.message, &self.credential);
        let message = format!("The provider refused the request: {message}");
        let mut fault = Fault::new(FaultKind::InvalidRequest, message);
        fault.status = self.error.status;
        x.refused = Some(fault);
        Error::new_up(ATTEMPT_FAILED)
    }
}

fn read_refusal(x: &mut Exchange) -> Option<Refusal> {
    let dialect = x.asked.as_ref()?.operation.dialect();
    let attempt = x.attempt.as_mut()?;
    let credential = credential_of(attempt);
    let Answer::Refused { status, wait, body } = &mut attempt.answer else {
        return None;
    };
    let text = std::mem::take(body);
    let error = dialect.read_error(*status, &text);
    Some(Refusal {
        outcome: outcome_of(&error),
        wait: wait.or(error.retry_after),
        error,
        text,
        credential,
    })
}

fn broken(x: &mut Exchange, mut error: Box<Error>, reused: bool) -> Box<Error> {
    if *error.etype() == ATTEMPT_FAILED {
        return error;
    }
    let expired = x.latch.as_ref().and_then(|latch| latch.expired());
    let committed = x.is_committed();
    if expired.is_none() && *error.esource() == ErrorSource::Downstream {
        x.client_left = true;
        error.set_retry(false);
        return error;
    }
    let Some(attempt) = &mut x.attempt else {
        return error;
    };
    let waiting = matches!(attempt.answer, Answer::Waiting);
    if waiting && expired.is_none() && reused && attempt.again != Some(Again::Fresh) {
        attempt.again = Some(Again::Fresh);
        error.set_retry(true);
        return error;
    }
    if let (Answer::Refused { .. }, false) = (&attempt.answer, committed)
        && let Some(refusal) = read_refusal(x)
    {
        // Of the body there is nothing, or a part.
        return match refusal.outcome {
            Outcome::Status4xx => refusal.tell(x),
            _ => refusal.fail(x),
        };
    }
    let (outcome, fault) = match (expired, error.etype()) {
        (Some(_), _) | (None, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            (Outcome::Timeout, timeout_fault())
        }
        (None, kind) if *kind == NO_ANSWER => (
            Outcome::BadResponse,
            Fault::new(FaultKind::UpstreamError, "The provider's answer was empty."),
        ),
        (None, ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2) => (
            Outcome::BadResponse,
            Fault::new(
                FaultKind::UpstreamError,
                "The provider's answer was not valid HTTP.",
            ),
        ),
        (None, _) => (
            Outcome::Reset,
            Fault::new(
                FaultKind::UpstreamError,
                "The provider closed the connection before its answer was whole.",
            ),
        ),
    };
    let mut failed = fail(x, outcome, fault, None);
    if committed {
        x.error = Some("upstream_died");
        failed.set_retry(false);
    }
    failed
}

/// The upstream died after the commit: the client must be able to tell.
async fn end_stream(session: &mut Session, x: &mut Exchange) -> Result<()> {
    let (Some(asked), Some(attempt)) = (&x.asked, &x.attempt) else {
        return Ok(());
    };
    let at_boundary = attempt
        .relay
        .as_ref()
        .is_some_and(|relay| relay.at_boundary);
    let is_stream = asked.expect == Expect::Sse && at_boundary;
    let (true, Some(fault)) = (is_stream, &x.failure) else {
        // A message that is not ended tells by itself.
        return Ok(());
    };
    let event = asked.operation.error_event(fault, &x.request_id);
    x.response_bytes += event.len() as u64;
    session.write_response_body(Some(event), true).await
}
