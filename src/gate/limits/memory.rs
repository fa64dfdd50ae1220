//! The accounts of this process. Locks are held for a few additions each, and never over an await.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ahash::{HashMap, RandomState};

use super::account::Account;

const SHARDS: usize = 64;

/// How often accounts that have nothing left are let go of.
const TIDY_MS: u64 = 60_000;

/// An account, as reservations hold on to it.
#[derive(Clone, Default)]
pub struct Slot(Arc<Mutex<Account>>);

impl Slot {
    pub fn lock(&self) -> MutexGuard<'_, Account> {
        // A thread that panicked has left sums that are right: each change is a few additions.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shard = RwLock<HashMap<Box<str>, Slot>>;

pub struct Ledger {
    shards: Box<[Shard]>,
    hash: RandomState,
    tidy_at: AtomicU64,
    turn: AtomicUsize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hash: RandomState::new(),
            tidy_at: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }
}

impl Ledger {
    fn shard(&self, account: &str) -> &Shard {
        &self.shards[self.hash.hash_one(account) as usize % SHARDS]
    }

    pub fn slot(&self, account: &str, now: u64) -> Slot {
        self.tidy(now);
        let shard = self.shard(account);
        let known = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.get(account) {
            return slot.clone();
        }
        drop(known);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.entry(account.into()).or_default().clone()
    }

    pub fn forget(&self, account: &str) {
        let mut shard = self
            .shard(account)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.remove(account);
    }

    /// Now and then, a shard at a time: accounts that nobody holds and that say nothing any more go.
    fn tidy(&self, now: u64) {
        let at = self.tidy_at.load(Ordering::Relaxed);
        // Too far ahead: the clock was set back.
        if now < at && at - now <= TIDY_MS {
            return;
        }
        let next = now + TIDY_MS / SHARDS as u64;
        let taken = self
            .tidy_at
            .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            self.tidy_shard(turn % SHARDS, now);
        }
    }

    fn tidy_shard(&self, shard: usize, now: u64) {
        let mut shard = self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.retain(|_, slot| Arc::strong_count(&slot.0) > 1 || slot.lock().tidy(now));
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        let len = |shard: &Shard| shard.read().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Held;
    use super::super::need::Caps;
    use super::*;
    use crate::base::{Limits, Usd};

    fn use_once(ledger: &Ledger, account: &str, limits: &Limits, spend: u64, now: u64) {
        let slot = ledger.slot(account, now);
        let mut account = slot.lock();
        account.admitted(&Caps::new(limits), true, Held::default(), now);
        account.settle(Held::default(), 0, spend, now);
    }

    #[test]
    fn accounts_that_say_nothing_any_more_are_let_go_of() {
        let ledger = Ledger::default();
        let rpm = Limits {
            rpm: 1,
            ..Limits::default()
        };
        let total = Limits {
            rpm: 1,
            spend_usd: Usd::from_pico(1_000_000),
            ..Limits::default()
        };
        for n in 0..1000 {
            use_once(&ledger, &format!("key_{n}"), &rpm, 0, 1_000_000);
        }
        use_once(&ledger, "spent", &total, 5, 1_000_000);
        use_once(&ledger, "unspent", &total, 0, 1_000_000);
        assert_eq!(ledger.len(), 1002);
        let tidy = |now| (0..SHARDS).for_each(|shard| ledger.tidy_shard(shard, now));
        tidy(1_060_000);
        assert_eq!(ledger.len(), 1002, "all of it still counts");
        let held = ledger.slot("key_7", 1_060_000);
        tidy(1_061_000);
        assert_eq!(ledger.len(), 2, "one that is held, and one that has spent");
        drop(held);
        tidy(1_061_000);
        assert_eq!(ledger.len(), 1);
        ledger.forget("spent");
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn each_shard_has_its_turn_within_two_minutes() {
        let ledger = Ledger::default();
        let rpm = Limits {
            rpm: 1,
            ..Limits::default()
        };
        for n in 0..1000 {
            use_once(&ledger, &format!("key_{n}"), &rpm, 0, 1_000_000);
        }
        for now in (1_061_000..1_181_000).step_by(100) {
            ledger.slot("another", now);
        }
        assert!(ledger.len() <= 1, "{}", ledger.len());
    }
}
