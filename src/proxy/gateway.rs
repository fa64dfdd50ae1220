//! The hooks of Pingora's `ProxyHttp`, in the order of its phases: the story of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use super::answer;
use super::attempt::{Again, Attempt, Made, timeout_fault};
use super::exchange::{Exchange, Local};
use super::heads;
use super::inner::Loopback;
use super::intake::{self, Intake, Stop};
use super::keeper::Keeper;
use super::kept::{self, State};
use super::stored;
use super::upstream::{broken, end_stream, fail, receive_body, receive_head};
use crate::base::{Fault, FaultKind, Outcome};
use crate::meter::Ledger;
use crate::route::{Claim, Pick};
use crate::world::World;

/// The request is refused; the exchange knows why.
const REFUSED: ErrorType = ErrorType::Custom("the request is refused");

/// Pools that were made for one connection each.
static FRESH_POOLS: AtomicU64 = AtomicU64::new(0);

/// So many addresses of one channel are tried before another channel is.
const MAX_ADDRESSES_TRIED: usize = 3;

/// The proxy's logic. Everything it knows is in the world of the moment.
#[derive(Clone)]
pub struct Gateway {
    world: Arc<ArcSwap<World>>,
    /// For the requests that it makes of itself.
    pub loopback: Loopback,
    keeper: Arc<Keeper>,
    ledger: Arc<Ledger>,
}

impl Gateway {
    pub fn new(
        world: Arc<ArcSwap<World>>,
        loopback: Loopback,
        keeper: Arc<Keeper>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            world,
            loopback,
            keeper,
            ledger,
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Exchange>;

    fn new_ctx(&self) -> Self::CTX {
        Exchange::new(
            self.world.load_full(),
            self.keeper.clone(),
            self.ledger.clone(),
        )
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: answers pass as they are.
    }

    /// Who, what, may they? Reads the whole body. Answers what needs no upstream.
    async fn request_filter(&self, session: &mut Session, x: &mut Self::CTX) -> Result<bool> {
        let answered = match intake::take_in(session, x).await {
            Ok(Intake::Proxy) => return Ok(false),
            Ok(Intake::Models(id)) => answer::models(session, x, id.as_deref()).await,
            Ok(Intake::Hello) => answer::hello(session, x).await,
            Ok(Intake::Stored(answer)) => stored::answer(session, x, answer).await,
            Err(Stop::Fault(fault)) => answer::fault(session, x, &fault).await,
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
            let claim = match pick(x) {
                Ok(claim) => claim,
                Err(fault) => {
                    x.refused = fault;
                    return Error::err(REFUSED);
                }
            };
            let (Some(asked), Some(latch)) = (&x.asked, &x.latch) else {
                return Error::err(ErrorType::InternalError);
            };
            let channel = claim.channel().clone();
            let platform = channel.config.platform;
            let native = (platform.serves)(asked.operation)
                && x.state
                    .as_deref()
                    .is_none_or(|state| state.may_pass(platform));
            let (latch, mut body) = (latch.clone(), latch.body());
            if let Some(state) = x.state.as_deref_mut()
                && let Err(fault) =
                    kept::prepare(state, asked, native.then_some(platform), &mut body).await
            {
                x.refused = Some(fault);
                return Error::err(REFUSED);
            }
            let settled = x.state.as_deref().map(|state| &state.settled);
            let made =
                Attempt::make(claim, asked, &body, &x.world.config.server, settled, native).await;
            let attempt = match made {
                Ok(Made::Attempt(attempt)) if !native && wants_job(x) => {
                    // Its place is the job's.
                    drop(attempt);
                    match kept::start_job(x, &self.loopback, &body).await {
                        Ok(answer) => x.local = Some(Local::Stored(answer)),
                        Err(fault) => x.refused = Some(fault),
                    }
                    x.plan.skip();
                    return Error::err(REFUSED);
                }
                Ok(Made::Attempt(attempt)) => attempt,
                Ok(Made::Local(body)) => {
                    x.local = Some(Local::Count(body));
                    x.plan.skip();
                    return Error::err(REFUSED);
                }
                // Another channel may have what this one lacks.
                Err(fault) if fault.kind == FaultKind::UnsupportedParameter => {
                    x.plan.skip();
                    x.failure.get_or_insert(fault);
                    continue;
                }
                Err(fault) => {
                    x.refused = Some(fault);
                    return Error::err(REFUSED);
                }
            };
            latch.begin_attempt(channel.config.timeouts);
            x.write_off();
            x.failure = None;
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
        if let Some(local) = x.local.take() {
            let answered = match local {
                Local::Count(body) => answer::local(session, x, body).await,
                Local::Stored(answer) => stored::answer(session, x, answer).await,
            };
            if answered.is_err() {
                x.client_left = true;
            }
            return told(x.status);
        }
        kept::let_go(x).await;
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
        if answer::fault(session, x, &fault).await.is_err() {
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

/// Is the answer to be made while nobody waits for it?
fn wants_job(x: &Exchange) -> bool {
    x.state.as_deref().is_some_and(State::wants_job)
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
fn pick(x: &mut Exchange) -> std::result::Result<Claim, Option<Fault>> {
    let (Some(asked), Some(key)) = (&x.asked, &x.key) else {
        return Err(None);
    };
    let world = x.world.clone();
    let group = &world.groups[key.group];
    let model = (!asked.target.is_empty()).then_some(asked.target.as_str());
    match group.pick(&mut x.plan, asked.operation, model, Instant::now()) {
        Pick::Channel(claim) => Ok(claim),
        Pick::Exhausted => Err(None),
        Pick::NoOperation => Err(Some(Fault::new(
            FaultKind::EndpointNotFound,
            format!(
                "No channel of the group '{}' serves {}.",
                group.name,
                asked.operation.name()
            ),
        ))),
        Pick::NoModel if x.plan.excludes() => Err(Some(
            Fault::new(
                FaultKind::UnsupportedParameter,
                "'background' together with 'conversation' is not supported for this model: its channels keep background responses themselves.",
            )
            .param("background"),
        )),
        Pick::NoModel if x.plan.is_pinned() => Err(Some(
            Fault::new(
                FaultKind::ModelNotFound,
                format!(
                    "The channel that keeps the response that this request is about does not serve the model '{}'. Ask for the model that made it, or start again with the whole input.",
                    asked.model
                ),
            )
            .param("model"),
        )),
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
