//! Who keeps state: the store, and what of it is under way in this process. One for the whole gateway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::job::Job;
use crate::base::{Fault, FaultKind};
use crate::meter::metrics;
use crate::store::{Finished, Store, StoreError, Trouble};

/// A lease lasts three times as long.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How long a turn that could not be written is tried again, and how many of them wait at most.
const RETRY_EVERY: Duration = Duration::from_secs(1);
const MAX_RETRIES: u32 = 120;
const MAX_UNWRITTEN: usize = 256;
/// When a client may come again to a store that is in trouble.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

pub struct Keeper {
    pub store: Store,
    /// What is being made here, by id: a job where nobody waits for it.
    under_way: Mutex<HashMap<String, Option<Arc<Job>>>>,
    unwritten: AtomicUsize,
}

impl Keeper {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            under_way: Mutex::default(),
            unwritten: AtomicUsize::new(0),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Option<Arc<Job>>>> {
        // Nothing under this lock can panic half-way.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A response has begun: its lease is renewed until it is over.
    pub fn has_begun(&self, id: String, job: Option<Arc<Job>>) {
        self.under_way().insert(id, job);
    }

    pub fn is_over(&self, id: &str) {
        self.under_way().remove(id);
    }

    pub fn job(&self, id: &str) -> Option<Arc<Job>> {
        self.under_way().get(id)?.clone()
    }

    pub fn jobs(&self) -> usize {
        self.under_way().values().flatten().count()
    }

    /// Keeps the leases, for ever.
    pub async fn keep(&self) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let ids: Vec<String> = self.under_way().keys().cloned().collect();
            if ids.is_empty() {
                continue;
            }
            match self.store.renew(ids).await {
                Ok(asked) => {
                    for job in asked.iter().filter_map(|id| self.job(id)) {
                        job.cancel();
                    }
                }
                Err(error) => trouble("renew", &error),
            }
        }
    }

    /// Writes the end of a response. `told` hears when it stands, or when it is only tried again.
    pub async fn finish(self: Arc<Self>, id: String, done: Finished, told: oneshot::Sender<()>) {
        let mut told = Some(told);
        for tries in 0..MAX_RETRIES {
            match self.store.finish(id.clone(), done.clone()).await {
                Ok(_) => break,
                Err(error) => {
                    trouble("finish", &error);
                    // The answer is not held back for what it is not about.
                    drop(told.take());
                    if tries == 0 && self.unwritten.fetch_add(1, Relaxed) >= MAX_UNWRITTEN {
                        self.unwritten.fetch_sub(1, Relaxed);
                        break;
                    }
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
            if tries + 1 == MAX_RETRIES {
                self.unwritten.fetch_sub(1, Relaxed);
            }
        }
        self.is_over(&id);
        drop(told);
    }

    /// Takes a response back that never came to be.
    pub async fn forget(self: Arc<Self>, id: String, owner: crate::store::Owner, done: Finished) {
        // Its conversation is let go by the end, its row by the deletion.
        if let Err(error) = self.store.finish(id.clone(), done).await {
            trouble("finish", &error);
        }
        if let Err(error) = self.store.delete(id.clone(), owner).await {
            trouble("delete", &error);
        }
        self.is_over(&id);
    }
}

/// Counts what the store could not do, and says it in the log.
pub fn trouble(call: &'static str, error: &StoreError) {
    metrics().store_failures.with_label_values(&[call]).inc();
    tracing::warn!(call, error = %error, "the store failed");
}

/// What the client is told of a store in trouble.
pub fn unavailable(call: &'static str, error: &StoreError) -> Fault {
    trouble(call, error);
    let why = match error.trouble {
        Trouble::Down => "cannot be reached",
        Trouble::Locked => "is busy",
        Trouble::Full => "is full",
        Trouble::Failed => "failed",
    };
    Fault::new(
        FaultKind::StoreUnavailable,
        format!(
            "The gateway's store of responses {why}. Try again later, or send the whole input with 'store': false."
        ),
    )
    .retry_after(STORE_RETRY_AFTER)
}
