//! One ledger for several gateways: the accounts stand in Redis, and a script changes each at once (`admit.lua`,
//! `settle.lua`). What has ended is told in the background, when Redis is there. Who decides while it is away is not
//! decided here.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use ::redis::Script;
use ::redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use super::account::{Full, Held};
use super::link::{self, Link};
use super::need::{Caps, Need, WINDOWS};
use super::{Clock, Denied, Limit, Standing};
use crate::base::{Ids, Secret};

/// Ends of requests that wait for Redis: minutes of an outage. What one that finds no room has held is given back when
/// this process has ended.
const QUEUE: usize = 1 << 17;

/// How many of them are told at a time.
const BATCH: usize = 64;

/// An end that Redis itself has refused so often is let go of.
const TRIES: u32 = 5;

const PREFIX: &str = "torouter:limits:";

static ADMIT: LazyLock<Script> = LazyLock::new(|| script(include_str!("admit.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| script(include_str!("settle.lua")));
static SEED: LazyLock<Script> = LazyLock::new(|| script(include_str!("seed.lua")));

fn script(own: &str) -> Script {
    Script::new(&format!("{}\n{own}", include_str!("common.lua")))
}

/// What Redis has said of a request.
pub enum Answer {
    Admitted(Held, Standing),
    Denied(Box<Denied>),
    /// It does not know the account, and wants to be told what it has used.
    Unknown,
    Away,
}

/// An end that is to be told.
struct End {
    account: Arc<str>,
    id: String,
    tokens: u64,
    spend: u64,
    requests: u8,
    tries: u32,
}

pub struct Shared {
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
}

struct Inner {
    /// This process.
    gateway: String,
    clock: Clock,
    link: Arc<Link>,
    next: AtomicU64,
    queue: mpsc::Sender<End>,
    /// Ends that were not told yet.
    waiting: AtomicUsize,
    told: Notify,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A runtime that is dropped on an async thread panics; this way it ends by itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Redis may be away; it is looked for from now on.
    pub fn open(url: &Secret, clock: Clock) -> Result<Self, String> {
        let client = ::redis::Client::open(url.expose()).map_err(|error| {
            format!(
                "limits.url is no address of a Redis: {}",
                link::told(&error)
            )
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("limits")
            .enable_all()
            .build()
            .map_err(|error| format!("the limits' thread could not be started: {error}"))?;
        let gateway = Ids::random().next("");
        let link = Arc::new(Link::new(client, format!("{PREFIX}gateway:{gateway}")));
        let (queue, ends) = mpsc::channel(QUEUE);
        let inner = Arc::new(Inner {
            gateway,
            clock,
            link: link.clone(),
            next: AtomicU64::new(0),
            queue,
            waiting: AtomicUsize::new(0),
            told: Notify::new(),
        });
        runtime.spawn(link.keep());
        runtime.spawn(inner.clone().tell(ends));
        Ok(Self {
            inner,
            runtime: Some(runtime),
        })
    }

    pub fn is_up(&self) -> bool {
        self.inner.link.is_up()
    }

    /// A request that is about to be asked for. Whatever becomes of it, its end is told: when this is dropped.
    pub fn ticket(&self, account: &str) -> Ticket {
        let inner = &self.inner;
        Ticket {
            inner: inner.clone(),
            account: account.into(),
            id: format!(
                "{}:{}",
                inner.gateway,
                inner.next.fetch_add(1, Ordering::Relaxed)
            ),
            requests: 0,
            was_sent: AtomicBool::new(false),
            is_local: false,
            open: true,
        }
    }

    pub async fn admit(&self, ticket: &Ticket, caps: &Caps, need: &Need) -> Answer {
        let inner = &self.inner;
        let Some(mut connection) = inner.link.connection().await else {
            return Answer::Away;
        };
        ticket.was_sent.store(true, Ordering::Relaxed);
        let mut call = inner.call(&ADMIT, &ticket.account, &ticket.id);
        call.arg(u8::from(need.counts));
        let all = caps.windows.iter().chain([&caps.total, &caps.in_flight]);
        for cap in all {
            call.arg(cap.map_or(-1, signed));
        }
        for amount in [need.tokens.0, need.tokens.1, need.spend.0, need.spend.1] {
            call.arg(signed(amount));
        }
        call.arg(u8::from(need.unpriced));
        match call.invoke_async::<Vec<i64>>(&mut connection).await {
            Ok(numbers) => read(&numbers, need.counts),
            Err(error) => {
                inner.link.failed(&error);
                Answer::Away
            }
        }
    }

    /// Tells what an account has used, where Redis counts nothing of it yet.
    pub async fn seed(
        &self,
        account: &str,
        windows: &[(usize, Vec<(u64, u64)>)],
        total: Option<u64>,
    ) {
        let inner = &self.inner;
        let Some(mut connection) = inner.link.connection().await else {
            return;
        };
        let mut call = inner.call(&SEED, account, "");
        call.arg(total.map_or(-1, signed));
        for (index, buckets) in windows {
            call.arg(index + 1).arg(buckets.len());
            for (bucket, amount) in buckets {
                call.arg(*bucket).arg(signed(*amount));
            }
        }
        if let Err(error) = call.invoke_async::<i64>(&mut connection).await {
            inner.link.failed(&error);
        }
    }

    pub async fn forget(&self, account: &str) {
        let inner = &self.inner;
        let Some(mut connection) = inner.link.connection().await else {
            return;
        };
        let [state, total, held, ..] = inner.keys(account, "");
        let mut unlink = ::redis::cmd("UNLINK");
        unlink.arg(state).arg(total).arg(held);
        if let Err(error) = unlink.query_async::<i64>(&mut connection).await {
            inner.link.failed(&error);
        }
    }

    /// Waits until all ends so far were told.
    pub async fn flush(&self) {
        loop {
            let told = self.inner.told.notified();
            if self.inner.waiting.load(Ordering::Acquire) == 0 {
                return;
            }
            told.await;
        }
    }
}

/// The scripts count in doubles; a number that is larger is a limit that nobody reaches.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

impl Inner {
    fn keys(&self, account: &str, id: &str) -> [String; 5] {
        let state = format!("{PREFIX}{account}");
        let total = format!("{state}:total");
        let held = format!("{state}:held:{}", self.gateway);
        let gateways = format!("{PREFIX}gateway:");
        let settled = format!("{PREFIX}settled:{id}");
        [state, total, held, gateways, settled]
    }

    fn call<'a>(
        &self,
        script: &'a Script,
        account: &str,
        id: &str,
    ) -> ::redis::ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in self.keys(account, id) {
            call.key(key);
        }
        let now = match &self.clock {
            Clock::System => 0,
            Clock::Set(_) => self.clock.now(),
        };
        call.arg(now).arg(&self.gateway).arg(id);
        call
    }

    async fn settle(
        &self,
        connection: &mut MultiplexedConnection,
        end: &End,
    ) -> ::redis::RedisResult<i64> {
        let mut call = self.call(&SETTLE, &end.account, &end.id);
        call.arg(signed(end.tokens))
            .arg(signed(end.spend))
            .arg(end.requests);
        call.invoke_async(connection).await
    }

    /// Tells the ends, some at a time, each until it was heard.
    async fn tell(self: Arc<Self>, mut ends: mpsc::Receiver<End>) {
        let mut batch = Vec::with_capacity(BATCH);
        while ends.recv_many(&mut batch, BATCH).await > 0 {
            while !batch.is_empty() {
                let connection = self.link.wait().await;
                self.tell_batch(&connection, &mut batch).await;
            }
        }
    }

    async fn tell_batch(&self, connection: &MultiplexedConnection, batch: &mut Vec<End>) {
        let calls = batch.iter().map(|end| {
            let mut connection = connection.clone();
            async move { self.settle(&mut connection, end).await }
        });
        let mut results = futures_util::future::join_all(calls).await.into_iter();
        let mut failed = None;
        batch.retain_mut(|end| {
            let Some(Err(error)) = results.next() else {
                self.heard();
                return false;
            };
            end.tries += u32::from(error.code().is_some());
            let again = end.tries < TRIES;
            if !again {
                tracing::error!(
                    error = link::told(&error),
                    "Redis does not take what a request has used; it is not counted there"
                );
                self.heard();
            }
            failed = Some(error);
            again
        });
        if let Some(error) = failed {
            self.link.failed(&error);
        }
    }

    fn heard(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.told.notify_waiters();
    }
}

/// What Redis holds for a request.
pub struct Ticket {
    inner: Arc<Inner>,
    account: Arc<str>,
    id: String,
    /// Requests that were let in without it.
    requests: u8,
    /// Redis may know of it.
    was_sent: AtomicBool,
    is_local: bool,
    open: bool,
}

impl Ticket {
    /// It was let in without Redis: its end tells that too.
    pub fn local(&mut self, counts: bool) {
        self.requests = counts.into();
        self.is_local = true;
    }

    /// Nothing is held: there is no end to tell.
    pub fn void(mut self) {
        self.open = false;
    }

    pub fn settle(&mut self, tokens: u64, spend: u64) {
        let is_known = self.is_local || *self.was_sent.get_mut();
        if !std::mem::take(&mut self.open) || !is_known {
            return;
        }
        let end = End {
            account: self.account.clone(),
            id: std::mem::take(&mut self.id),
            tokens,
            spend,
            requests: self.requests,
            tries: 0,
        };
        self.inner.waiting.fetch_add(1, Ordering::AcqRel);
        if self.inner.queue.try_send(end).is_err() {
            self.inner.heard();
            tracing::error!(
                "too many requests have ended while Redis was away; one more is not counted there"
            );
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(0, 0);
    }
}

fn read(numbers: &[i64], counts: bool) -> Answer {
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    match *numbers {
        [1, tokens, spend, ref standing @ ..] => {
            let held = Held {
                places: counts.into(),
                tokens: whole(tokens),
                spend: whole(spend),
            };
            Answer::Admitted(held, read_standing(standing))
        }
        [0, limit, max, retry, too_large, used_up, ref standing @ ..] => {
            let full = Full {
                limit: match limit {
                    10 => Limit::SpendUsd,
                    11 => Limit::MaxInFlight,
                    12 => Limit::Unpriced,
                    index => WINDOWS
                        .get(whole(index - 1) as usize)
                        .map_or(Limit::Unavailable, |(limit, _)| *limit),
                },
                max: whole(max),
                retry_ms: u64::try_from(retry).ok(),
                too_large: too_large == 1,
                used_up: used_up == 1,
            };
            Answer::Denied(Box::new(Denied::new(full, read_standing(standing))))
        }
        [3] => Answer::Unknown,
        _ => Answer::Away,
    }
}

fn read_standing(numbers: &[i64]) -> Standing {
    let quota = |numbers: &[i64]| match *numbers {
        [limit, remaining, reset] if limit >= 0 => {
            Some((limit as u64, remaining.max(0) as u64, reset.max(0) as u64))
        }
        _ => None,
    };
    Standing::new(
        numbers.get(..3).and_then(quota),
        numbers.get(3..6).and_then(quota),
    )
}
