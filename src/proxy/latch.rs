//! What the exchange and its session tell each other: the request's body, whether the answer is committed, and
//! when what runs out.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config::Timeouts;

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    FirstByte,
    Idle,
    Total,
}

/// What the exchange and the session tell each other.
#[derive(Default)]
pub struct Latch {
    state: Mutex<State>,
    committed: AtomicBool,
    /// The last byte that went to the client ended an event: a comment may follow.
    pub at_boundary: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) body: Bytes,
    pub(super) clock: Clock,
    /// The length that the held head must state instead of its own.
    pub(super) content_length: Option<usize>,
    pub(super) expired: Option<Expiry>,
    /// The end of the answer waits for these.
    pub(super) gates: Vec<oneshot::Receiver<()>>,
    /// The client's own session, given back when this one is dropped, and whether its answer is whole.
    pub(super) returned: Option<(Box<ServerSession>, bool)>,
}

/// When what runs out, for the attempt under way.
#[derive(Clone, Copy, Default)]
pub(super) struct Clock {
    pub(super) first_byte: Option<Instant>,
    pub(super) total: Option<Instant>,
    pub(super) idle: Option<Duration>,
    pub(super) commit: Option<Instant>,
    pub(super) heartbeat: Option<Duration>,
}

impl Latch {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the request's body, for this and later attempts.
    pub fn hold_body(&self, body: Bytes) {
        self.state().body = body;
    }

    pub fn body(&self) -> Bytes {
        self.state().body.clone()
    }

    /// A new attempt: its own clock, nothing committed.
    pub fn begin_attempt(&self, timeouts: Timeouts) {
        let now = Instant::now();
        let mut state = self.state();
        state.expired = None;
        state.content_length = None;
        state.clock = Clock {
            first_byte: Some(now + timeouts.first_byte),
            total: Some(now + timeouts.total),
            idle: Some(timeouts.idle),
            commit: None,
            heartbeat: None,
        };
    }

    /// The first of the opening events has come: commit after `wait` at the latest.
    pub fn commit_within(&self, wait: Duration) {
        self.state()
            .clock
            .commit
            .get_or_insert(Instant::now() + wait);
    }

    /// What has begun must be over after `time`: nobody waits for the end of a refusal.
    pub fn hurry(&self, time: Duration) {
        let latest = Instant::now() + time;
        let mut state = self.state();
        state.clock.total = state
            .clock
            .total
            .map_or(Some(latest), |at| Some(at.min(latest)));
    }

    /// The answer stands: from here on it passes. The request is no longer needed.
    pub fn commit(&self, content_length: Option<usize>) {
        let mut state = self.state();
        state.content_length = content_length;
        state.body = Bytes::new();
        self.committed.store(true, Relaxed);
    }

    /// Holds the bytes that follow back until `gate` is settled, one way or the other.
    pub fn hold_end(&self, gate: oneshot::Receiver<()>) {
        self.state().gates.push(gate);
    }

    pub(super) fn take_gates(&self) -> Vec<oneshot::Receiver<()>> {
        std::mem::take(&mut self.state().gates)
    }

    /// Comments may be put between events while the upstream is silent for `every`.
    pub fn set_heartbeat(&self, every: Duration) {
        if !every.is_zero() {
            self.state().clock.heartbeat = Some(every);
        }
    }

    pub fn is_committed(&self) -> bool {
        self.committed.load(Relaxed)
    }

    pub fn expired(&self) -> Option<Expiry> {
        self.state().expired
    }

    /// The client's session, after the wrapped one is gone, and whether its answer is whole.
    pub fn take_back(&self) -> Option<(Box<ServerSession>, bool)> {
        self.state().returned.take()
    }
}
