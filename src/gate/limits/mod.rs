//! Holds keys to their limits, exactly: what a request may use is reserved before it is sent anywhere, and what it
//! has used is settled once. Counts in memory (`memory`), or in Redis for several gateways together (`redis`).
//! `docs/limits.md` says what counts when. Knows nothing of HTTP and of prices.

mod account;
mod denied;
mod link;
mod memory;
mod need;
pub mod past;
mod redis;
mod seed;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use denied::{Denied, Limit};
pub use seed::{Past, Seed};

use crate::base::{Limits, Secret, Usd, clock};
use crate::config::OnFailure;
use account::Held;
use memory::{Ledger, Slot};
use need::{Caps, Need, nano};
use redis::{Answer, Shared, Ticket};

/// What a request asks for, before it is sent anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub tokens: Tokens,
    pub spend: Spend,
    /// False for a request of the gateway's own, whose client's request was counted already: it counts for no window
    /// of requests, and takes no place.
    pub counts: bool,
}

/// What it uses at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    /// The client said the most; else it is what the model gives at most.
    pub stated: bool,
}

/// What it costs at most. `None`: no price is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spend {
    /// All input, and all output that there may be.
    pub most: Option<Usd>,
    /// All input, and one token of output.
    pub least: Option<Usd>,
    pub stated: bool,
}

/// How much there is and is left, for `x-ratelimit-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Of the window of requests with the fewest left; of two, the one that is back later.
    pub requests: Option<Quota>,
    pub tokens: Option<Quota>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u64,
    pub remaining: u64,
    /// Until it is all back.
    pub reset: Duration,
}

impl Standing {
    fn new(requests: Option<(u64, u64, u64)>, tokens: Option<(u64, u64, u64)>) -> Self {
        let quota = |(limit, remaining, reset_ms)| Quota {
            limit,
            remaining,
            reset: Duration::from_millis(reset_ms),
        };
        Self {
            requests: requests.map(quota),
            tokens: tokens.map(quota),
        }
    }
}

/// What time it is. All is counted by Unix time, so that restarts and several gateways agree.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Unix ms, set by hand: for tests.
    Set(Arc<AtomicU64>),
}

impl Clock {
    fn now(&self) -> u64 {
        match self {
            Self::System => clock::unix_ms(),
            Self::Set(now) => now.load(Ordering::Relaxed),
        }
    }
}

/// The one that counts, for all of a process, whatever is reloaded.
pub struct Limiter {
    /// With Redis too: what it knows decides when Redis is away, and is told to a Redis that knows nothing.
    ledger: Ledger,
    shared: Option<(Shared, OnFailure)>,
    clock: Clock,
}

impl Limiter {
    pub fn memory(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            ledger: Ledger::default(),
            shared: None,
            clock,
        })
    }

    /// Counts with all gateways that have the same Redis. It may be away, now and later.
    pub fn redis(url: &Secret, on_failure: OnFailure, clock: Clock) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self {
            ledger: Ledger::default(),
            shared: Some((Shared::open(url, clock.clone())?, on_failure)),
            clock,
        }))
    }

    /// Is Redis there? In memory always.
    pub fn is_up(&self) -> bool {
        self.shared
            .as_ref()
            .is_none_or(|(shared, _)| shared.is_up())
    }

    /// Lets a request in, with all that it asks for reserved, or refuses it and changes nothing. `account` is the
    /// key's id. In memory ready at once; with Redis after one round trip.
    pub async fn admit(
        self: &Arc<Self>,
        account: &str,
        limits: &Limits,
        ask: &Ask,
    ) -> Result<(Reservation, Standing), Box<Denied>> {
        if limits.are_none() {
            return Ok((Reservation::new(None), Standing::default()));
        }
        let caps = Caps::new(limits);
        let need = Need::new(ask, &caps);
        match &self.shared {
            None => self.admit_here(account, &caps, &need, None),
            Some((shared, on_failure)) => {
                // A client that leaves meanwhile drops the ticket, and with it what Redis may have reserved.
                let ticket = shared.ticket(account);
                let mut answer = shared.admit(&ticket, &caps, &need).await;
                if matches!(answer, Answer::Unknown) {
                    self.tell(shared, account).await;
                    answer = shared.admit(&ticket, &caps, &need).await;
                }
                match (answer, on_failure) {
                    (Answer::Admitted(held, standing), _) => {
                        let slot = self.count(account, &caps, &need, held);
                        Ok((self.reserve(slot, held, Some(ticket)), standing))
                    }
                    (Answer::Denied(denied), _) => {
                        ticket.void();
                        Err(denied)
                    }
                    (Answer::Unknown | Answer::Away, OnFailure::Local) => {
                        self.admit_here(account, &caps, &need, Some(ticket))
                    }
                    (Answer::Unknown | Answer::Away, OnFailure::Deny) => {
                        Err(Box::new(Denied::unavailable()))
                    }
                }
            }
        }
    }

    fn admit_here(
        self: &Arc<Self>,
        account: &str,
        caps: &Caps,
        need: &Need,
        mut ticket: Option<Ticket>,
    ) -> Result<(Reservation, Standing), Box<Denied>> {
        let now = self.clock.now();
        let slot = self.ledger.slot(account, now);
        let (held, standing) = slot.lock().admit(caps, need, now)?;
        if let Some(ticket) = &mut ticket {
            ticket.local(need.counts);
        }
        Ok((self.reserve(slot, held, ticket), standing))
    }

    fn reserve(self: &Arc<Self>, slot: Slot, held: Held, ticket: Option<Ticket>) -> Reservation {
        Reservation::new(Some(Reserved {
            limiter: self.clone(),
            slot,
            held,
            ticket,
        }))
    }

    /// Counts here what Redis has let in.
    fn count(&self, account: &str, caps: &Caps, need: &Need, held: Held) -> Slot {
        let now = self.clock.now();
        let slot = self.ledger.slot(account, now);
        slot.lock().admitted(caps, need.counts, held, now);
        slot
    }

    /// Tells Redis what is counted here.
    async fn tell(&self, shared: &Shared, account: &str) {
        let now = self.clock.now();
        let (windows, total) = self.ledger.slot(account, now).lock().counted(now);
        shared.seed(account, &windows, total).await;
    }

    /// Takes over what a key has used before, from the store. Spans that are counted already stay as they are.
    pub async fn seed(&self, account: &str, limits: &Limits, seed: &Seed) {
        if limits.are_none() {
            return;
        }
        let now = self.clock.now();
        let caps = Caps::new(limits);
        self.ledger.slot(account, now).lock().seed(&caps, seed, now);
        if let Some((shared, _)) = &self.shared {
            self.tell(shared, account).await;
        }
    }

    /// What a key has counted here without its past is brought up to what the store knows. What Redis has it keeps.
    pub fn catch_up(&self, account: &str, limits: &Limits, seed: &Seed) {
        if !limits.are_none() {
            let now = self.clock.now();
            self.ledger.slot(account, now).lock().catch_up(seed, now);
        }
    }

    /// A key that was deleted.
    pub async fn forget(&self, account: &str) {
        self.ledger.forget(account);
        if let Some((shared, _)) = &self.shared {
            shared.forget(account).await;
        }
    }

    /// Waits until Redis was told of all that has ended so far.
    pub async fn flush(&self) {
        if let Some((shared, _)) = &self.shared {
            shared.flush().await;
        }
    }
}

struct Reserved {
    limiter: Arc<Limiter>,
    slot: Slot,
    held: Held,
    ticket: Option<Ticket>,
}

impl Reserved {
    fn settle(mut self, tokens: u64, spend: u64) {
        let now = self.limiter.clock.now();
        self.slot.lock().settle(self.held, tokens, spend, now);
        if let Some(ticket) = &mut self.ticket {
            ticket.settle(tokens, spend);
        }
    }
}

/// What a request holds. It is given back exactly once: settled, or dropped with nothing used.
#[must_use]
pub struct Reservation {
    reserved: Option<Reserved>,
    /// What has been used of it so far; `None`: some of it has a price that is not known.
    used: (u64, Option<Usd>),
}

impl Reservation {
    fn new(reserved: Option<Reserved>) -> Self {
        Self {
            reserved,
            used: (0, Some(Usd::ZERO)),
        }
    }

    /// What an attempt has really used; it counts when the request is settled, whoever does that.
    pub fn charge(&mut self, tokens: u64, cost: Option<Usd>) {
        let (so_far, sum) = self.used;
        let sum = sum.zip(cost).map(|(sum, cost)| sum + cost);
        self.used = (so_far.saturating_add(tokens), sum);
    }

    /// The request has ended, and this is what it used. A cost that is not known is what was reserved, which is
    /// nothing where spend is not limited.
    pub fn settle(mut self, tokens: u64, cost: Option<Usd>) {
        self.charge(tokens, cost);
        self.give_back();
    }

    fn give_back(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            let (tokens, cost) = self.used;
            let spend = cost.map_or(reserved.held.spend, nano);
            reserved.settle(tokens, spend);
        }
    }
}

impl Drop for Reservation {
    /// Whatever becomes of a request: what it has used counts.
    fn drop(&mut self) {
        self.give_back();
    }
}
