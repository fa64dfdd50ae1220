//! Who keeps state: the store, and what of it is under way in this process. One for the whole gateway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::job::Job;
use crate::base::{Fault, FaultKind};
use crate::meter::metrics;
use crate::store::{BeginError, Finished, NewResponse, Owner, Store, StoreError, Trouble};

/// A lease lasts ten times as long; so soon it is heard what another gateway was asked to cancel.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long a turn that could not be written is tried again, and how many of them wait at most.
const RETRY_EVERY: Duration = Duration::from_secs(1);
const MAX_RETRIES: u32 = 120;
const MAX_UNWRITTEN: usize = 256;
/// So many jobs at a time, and of one key.
const MAX_JOBS: usize = 512;
const MAX_JOBS_OF_A_KEY: usize = 128;
/// When a client may come again to a store that is in trouble.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

pub struct Keeper {
    pub store: Store,
    /// What is being made here, by id: a job where nobody waits for it.
    under_way: Mutex<HashMap<String, Option<Arc<Job>>>>,
    unwritten: AtomicUsize,
    /// By the key's name.
    jobs: Mutex<HashMap<Arc<str>, usize>>,
}

/// One of the jobs that may be under way.
pub struct JobPlace {
    keeper: Arc<Keeper>,
    key: Arc<str>,
}

impl Drop for JobPlace {
    fn drop(&mut self) {
        let jobs = self.keeper.jobs.lock();
        let mut jobs = jobs.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = jobs.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                jobs.remove(&self.key);
            }
        }
    }
}

impl Keeper {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            under_way: Mutex::default(),
            unwritten: AtomicUsize::new(0),
            jobs: Mutex::default(),
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

    /// A place for one more job of this key, given back when it is dropped.
    pub fn job_place(self: &Arc<Self>, key: &Arc<str>) -> Option<JobPlace> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = jobs.values().sum();
        let own = jobs.get(key).copied().unwrap_or(0);
        if all >= MAX_JOBS || own >= MAX_JOBS_OF_A_KEY {
            return None;
        }
        jobs.insert(key.clone(), own + 1);
        Some(JobPlace {
            keeper: self.clone(),
            key: key.clone(),
        })
    }

    /// Is nothing being made or written here?
    pub fn is_quiet(&self) -> bool {
        self.under_way().is_empty()
    }

    pub fn makes(&self, id: &str) -> bool {
        self.under_way().contains_key(id)
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
                Ok(stop) => {
                    // Cancelled or deleted, perhaps by way of another gateway.
                    for job in stop.iter().filter_map(|id| self.job(id)) {
                        job.cancel();
                    }
                }
                Err(error) => trouble("renew", &error),
            }
        }
    }

    /// Writes the end of a response, and takes it back at once where an owner says so: a conversation may have got its
    /// items. `told` hears when it stands, or when it is only tried again.
    pub async fn finish(
        self: Arc<Self>,
        id: String,
        done: Finished,
        again: Option<NewResponse>,
        forget: Option<Owner>,
        told: oneshot::Sender<()>,
    ) {
        let mut waits = Waits {
            keeper: &self,
            id: &id,
            unwritten: false,
        };
        let mut told = Some(told);
        if let Some(new) = again {
            self.keep_as(new, &done).await;
        }
        for _ in 0..MAX_RETRIES {
            match self.store.finish(id.clone(), done.clone()).await {
                Ok(_) => break,
                Err(error) => {
                    trouble("finish", &error);
                    // The answer is not held back for what it is not about.
                    drop(told.take());
                    if !waits.may_go_on() {
                        break;
                    }
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
        }
        if let Some(owner) = forget
            && let Err(error) = self.store.delete(id.clone(), owner).await
        {
            trouble("delete", &error);
        }
        drop(waits);
        drop(told);
    }
}

impl Keeper {
    /// Keeps a response under the id that its provider gave it.
    async fn keep_as(&self, new: NewResponse, done: &Finished) {
        let id = new.id.clone();
        match self.store.begin(new).await {
            Ok(()) => {}
            Err(BeginError::Store(error)) => return trouble("begin", &error),
            Err(BeginError::ConversationBusy | BeginError::NoConversation) => return,
        }
        if let Err(error) = self.store.finish(id, done.clone()).await {
            trouble("finish", &error);
        }
    }
}

/// An end that is being written: over, however that came about, when it is dropped.
struct Waits<'k> {
    keeper: &'k Keeper,
    id: &'k str,
    unwritten: bool,
}

impl Waits<'_> {
    /// Only so many wait for a store in trouble.
    fn may_go_on(&mut self) -> bool {
        if !self.unwritten {
            let before = self.keeper.unwritten.fetch_add(1, Relaxed);
            self.unwritten = true;
            return before < MAX_UNWRITTEN;
        }
        true
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.unwritten {
            self.keeper.unwritten.fetch_sub(1, Relaxed);
        }
        self.keeper.is_over(self.id);
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
        Trouble::Refused | Trouble::Failed => "failed",
    };
    Fault::new(
        FaultKind::StoreUnavailable,
        format!(
            "The gateway's store of responses {why}. Try again later, or send the whole input with 'store': false."
        ),
    )
    .retry_after(STORE_RETRY_AFTER)
}
