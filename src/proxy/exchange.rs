//! One request: what is known of it, and its settling, exactly once.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::IntGauge;

use super::attempt::Attempt;
use super::inner::Inner;
use super::keeper::Keeper;
use super::kept::{self, State};
use super::latch::Latch;
use super::stored;
use crate::base::{Fault, Outcome, Tier, Usage, Usd};
use crate::chat::Loss;
use crate::dialect::{Expect, Operation, Peek, Surface, translate};
use crate::gate::Key;
use crate::gate::limits::{Reservation, Standing};
use crate::meter::{Attempted, Ledger, Record, SeriesKey, in_flight, metrics};
use crate::route::Plan;
use crate::world::World;

/// Requests whose head has been read and that have not ended.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

pub fn requests_under_way() -> usize {
    UNDER_WAY.load(Relaxed)
}

/// Something that the end of the process waits for, and that is no exchange.
pub struct UnderWay(());

impl UnderWay {
    pub fn begin() -> Self {
        UNDER_WAY.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Relaxed);
    }
}

/// The request's own facts, complete once `intake` is through.
pub struct Asked {
    pub operation: Operation,
    /// As it came, mount included.
    pub raw_path: String,
    /// Query without a credential.
    pub query: String,
    pub path_model: Option<String>,
    /// As the client wrote it; empty where none is needed.
    pub model: String,
    /// What the group's alias makes of it.
    pub target: String,
    pub peek: Option<Peek>,
    pub stream: bool,
    pub expect: Expect,
    pub body_bytes: u64,
    /// Without files: what its tokens are estimated from where nobody states them.
    pub text_bytes: u64,
    /// The client asked for features by a header that only its own protocol knows.
    pub has_betas: bool,
}

impl Asked {
    /// What a translation leaves out of the headers.
    pub fn header_losses(&self) -> Option<Loss> {
        self.has_betas.then(|| Loss::cosmetic("anthropic-beta"))
    }

    /// The path without the mount.
    pub fn path(&self) -> &str {
        self.raw_path.strip_prefix("/api").unwrap_or(&self.raw_path)
    }
}

/// An answer that no provider is asked for.
pub enum Local {
    /// A count, made without the provider's own vocabulary.
    Count(Bytes),
    Stored(stored::Answer),
}

pub struct Exchange {
    pub world: Arc<World>,
    pub started: Instant,
    pub request_id: String,
    pub surface: Surface,
    pub method: http::Method,
    /// The head has been read: there is something to settle.
    pub begun: bool,
    /// For the log, where the path is none; never the query.
    pub odd_path: String,
    pub client: Option<IpAddr>,
    pub key: Option<Arc<Key>>,
    /// Counts the key's requests under way, this one among them.
    under_way: Option<IntGauge>,
    /// What it was let in with under the key's limits.
    pub reservation: Option<Reservation>,
    /// It counts against its key's limits, those that it has and those that it may get.
    pub admitted: bool,
    /// Where the key stood when it was let in.
    pub standing: Option<Box<Standing>>,
    pub latch: Option<Arc<Latch>>,
    pub keeper: Arc<Keeper>,
    ledger: Arc<Ledger>,
    /// What a turn of the Responses API has to do with what is kept.
    pub state: Option<Box<State>>,
    /// The gateway asks itself.
    pub inner: Option<Arc<Inner>>,
    pub asked: Option<Asked>,
    pub plan: Plan,
    pub attempt: Option<Box<Attempt>>,
    /// The answer, where no provider needs to be asked.
    pub local: Option<Local>,
    /// Why the last attempt failed: the client's answer, when no other follows.
    pub failure: Option<Fault>,
    /// What the client is to be told, where that is no failure of a channel.
    pub refused: Option<Fault>,
    /// Time spent waiting for the client's body.
    pub body_wait: Duration,
    /// What the gateway itself took, up to the answer's head.
    pub own_time: Option<Duration>,
    pub first_output: Option<Instant>,
    pub response_bytes: u64,
    /// The status that the client got.
    pub status: u16,
    /// The gateway's word for what went wrong.
    pub error: Option<&'static str>,
    pub client_left: bool,
    /// A job makes the answer, by a request of its own, which counts.
    pub is_jobs: bool,
    settled: bool,
}

impl Exchange {
    pub fn new(world: Arc<World>, keeper: Arc<Keeper>, ledger: Arc<Ledger>) -> Box<Self> {
        UNDER_WAY.fetch_add(1, Relaxed);
        Box::new(Self {
            world,
            started: Instant::now(),
            request_id: String::new(),
            surface: Surface::OpenAi,
            method: http::Method::GET,
            begun: false,
            odd_path: String::new(),
            client: None,
            key: None,
            under_way: None,
            reservation: None,
            admitted: false,
            standing: None,
            latch: None,
            keeper,
            ledger,
            state: None,
            inner: None,
            asked: None,
            plan: Plan::default(),
            attempt: None,
            local: None,
            failure: None,
            refused: None,
            body_wait: Duration::ZERO,
            own_time: None,
            first_output: None,
            response_bytes: 0,
            status: 0,
            error: None,
            client_left: false,
            is_jobs: false,
            settled: false,
        })
    }

    /// The key has been let in: from here on it has a request under way.
    pub fn admit(&mut self, key: Arc<Key>) {
        let gauge = in_flight(key.id, &key.name);
        gauge.inc();
        self.under_way = Some(gauge);
        self.key = Some(key);
    }

    pub fn is_committed(&self) -> bool {
        self.latch
            .as_ref()
            .is_some_and(|latch| latch.is_committed())
    }

    /// Ends the attempt under way: its channel and the metrics are told how.
    pub fn end_attempt(&mut self, outcome: Outcome, wait: Option<Duration>) {
        if let Some(attempt) = &mut self.attempt
            && attempt.end(outcome, wait)
        {
            self.world.count_attempt(&attempt.channel, outcome);
        }
    }

    /// Another exchange takes its place: it counts as none.
    pub fn give_up(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.write_off();
        if let Some(gauge) = self.under_way.take() {
            gauge.dec();
        }
    }

    /// Counts the request and writes its line. The first call counts, whoever makes it.
    pub fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        kept::settle(self);
        if let Some(gauge) = self.under_way.take() {
            gauge.dec();
        }
        // Some clients hang up on the last event, and do not wait for the end of the message.
        let had_all = self
            .attempt
            .as_deref()
            .and_then(|attempt| attempt.translation.as_deref())
            .is_some_and(|translation| translation.answering.is_over());
        if (self.client_left && !had_all) || self.status == 0 {
            self.status = 499;
            self.error = Some("client_closed_request");
        }
        let whole = self.error.is_none();
        if self.attempt.as_deref().is_some_and(Attempt::has_answer) {
            // The client's leaving is not the channel's doing.
            self.end_attempt(Outcome::Ok, None);
        }
        let spent = self.spent(whole);
        self.count_losses();
        self.count_missing(&spent);
        let how = if self.is_jobs {
            Attempted::Elsewhere
        } else {
            Attempted::Request
        };
        self.record(&spent, how, (self.status, self.error));
        self.charge(&spent);
        drop(self.reservation.take());
    }

    /// What counts against the key's limits: also what was used in vain.
    fn charge(&mut self, spent: &Spent) {
        if let Some(reservation) = &mut self.reservation {
            reservation.charge(spent.usage.input() + spent.usage.output, spent.cost);
        }
    }

    /// The attempt under way has failed, and the request goes on without it: what it used is counted as its own.
    pub fn write_off(&mut self) {
        let Some(attempt) = &self.attempt else { return };
        // A body is judged when it is whole.
        let spent = self.spent(attempt.expect != Expect::Sse);
        if !spent.usage.is_empty() {
            self.count_missing(&spent);
            let failed = self.failure.as_ref();
            let status = failed.map_or(502, |fault| fault.status);
            let error = failed.map_or("upstream_error", |fault| fault.kind.code());
            self.record(&spent, Attempted::InVain, (status, Some(error)));
            self.charge(&spent);
        }
        self.attempt = None;
    }

    /// Writes down what is known. `end`: status and the gateway's word for what went wrong.
    fn record(&self, spent: &Spent, how: Attempted, end: (u16, Option<&'static str>)) {
        let (world, now) = (&self.world, Instant::now());
        let attempt = self.attempt.as_deref();
        let channel = attempt.map(|attempt| &attempt.channel);
        let (asked, key) = (self.asked.as_ref(), self.key.as_deref());
        let streamed = asked.is_some_and(|asked| asked.expect != Expect::Json);
        let first_output = self.first_output.filter(|_| streamed);
        Record {
            request_id: &self.request_id,
            key_id: key.map_or("", |key| &key.account),
            series: SeriesKey {
                key: key.map_or("", |key| &key.name),
                group: key.map_or("", |key| &world.groups[key.group].name),
                channel: channel.map_or("", |channel| &channel.name),
                surface: self.surface,
                operation: asked.map(|asked| asked.operation),
                model: asked.map_or("", |asked| world.model_label(&asked.model, end.0 < 300)),
                status: end.0,
                stream: asked.is_some_and(|asked| asked.stream),
            },
            ids: (
                key.map_or(u32::MAX, |key| key.id),
                channel.map_or(u32::MAX, |channel| channel.id),
                world.number,
            ),
            admitted: self.admitted,
            upstream_model: attempt.map_or("", |attempt| &attempt.model),
            attempts: self.plan.attempts(),
            duration: now - self.started,
            first_token: first_output.map(|at| at - self.started),
            overhead: self.own_time,
            translated: attempt.is_some_and(|attempt| attempt.translation.is_some()),
            output_time: first_output.map(|at| now - at),
            usage: spent.usage,
            estimated: spent.estimated,
            cost: spent.cost,
            tier: spent.tier,
            method: self.method.as_str(),
            path: asked.map_or(&self.odd_path, |asked| &asked.raw_path),
            client: self.client,
            error: end.1,
            upstream_request_id: attempt
                .and_then(|attempt| attempt.upstream_request_id.as_ref()?.to_str().ok()),
            request_bytes: asked.map_or(0, |asked| asked.body_bytes),
            response_bytes: self.response_bytes,
        }
        .settle(how, &self.ledger);
    }

    fn count_missing(&self, spent: &Spent) {
        if let (true, Some(attempt)) = (spent.estimated, &self.attempt) {
            metrics()
                .tap_failures
                .with_label_values(&[&attempt.channel.name])
                .inc();
        }
    }

    fn count_losses(&self) {
        let attempt = self.attempt.as_deref();
        let Some((attempt, translation)) =
            attempt.and_then(|a| Some((a, a.translation.as_deref()?)))
        else {
            return;
        };
        let platform = attempt.channel.config.platform.name;
        for loss in &translation.losses {
            let parameter = translate::parameter_label(&loss.path);
            metrics()
                .dropped_parameters
                .with_label_values(&[self.surface.name(), platform, parameter])
                .inc();
        }
    }

    /// What the attempt under way has used, and what that costs.
    fn spent(&self, whole: bool) -> Spent {
        let (usage, estimated) = self.usage(whole);
        // An answer whose usage nobody stated may have cost something all the same (speech, pictures by the piece).
        let unstated = |attempt: &&Attempt| {
            let spends = self
                .asked
                .as_ref()
                .is_some_and(|asked| asked.operation.spends_tokens());
            spends && attempt.has_answer() && !attempt.tap.has_stated()
        };
        let used = |attempt: &&Attempt| !usage.is_empty() || unstated(attempt);
        let attempt = self.attempt.as_deref().filter(used);
        let tier = attempt.map_or(Tier::Standard, |attempt| attempt.tap.tier());
        let priced = |attempt: &Attempt| {
            if usage.is_empty() {
                return None;
            }
            let model = self.world.config.catalog.find(&attempt.model)?;
            model.cost(&usage, tier)
        };
        let stated = |attempt: &Attempt| {
            let states = attempt.channel.config.platform.states_cost;
            attempt.tap.stated_cost().filter(|_| states)
        };
        let cost = match attempt {
            None => Some(Usd::ZERO),
            Some(attempt) => stated(attempt).or_else(|| priced(attempt)),
        };
        Spent {
            usage,
            estimated,
            tier,
            cost,
        }
    }

    fn usage(&self, whole: bool) -> (Usage, bool) {
        let none = (Usage::default(), false);
        let (Some(asked), Some(attempt)) = (&self.asked, &self.attempt) else {
            return none;
        };
        if !asked.operation.spends_tokens() || !attempt.has_answer() {
            return none;
        }
        let (usage, estimated) = attempt
            .tap
            .finish(whole, self.client_left, asked.text_bytes);
        if estimated && !asked.operation.generates() {
            return none;
        }
        (usage, estimated)
    }
}

/// What an attempt has used.
struct Spent {
    usage: Usage,
    estimated: bool,
    tier: Tier,
    /// `None`: the price is not known.
    cost: Option<Usd>,
}

impl Drop for Exchange {
    /// Pingora does not always come to `logging` (a shutdown whose grace has run out, a panic).
    fn drop(&mut self) {
        if self.begun {
            self.settle();
        }
        UNDER_WAY.fetch_sub(1, Relaxed);
    }
}
