//! The store's side of the ledger: batches in their order, each until the store has it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::metrics::metrics;
use super::super::spool::Spool;
use super::{Batch, Ledger, lock};
use crate::store::{StoreError, Trouble};

/// How soon a store in trouble is asked again.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(2);

impl Ledger {
    /// Gives the store what is there, for ever.
    pub async fn run(&self) {
        let mut changes = self.changed.subscribe();
        let mut wait = RETRY_FIRST;
        loop {
            changes.borrow_and_update();
            let Some(batch) = self.next() else {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            if self.give(batch).await {
                wait = RETRY_FIRST;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MOST);
            }
        }
    }

    /// Before anything else is served: what processes before this one left behind, as far as `patience` lasts. Limits are
    /// told what was used, and should not miss it.
    /// `false`: not all of it is in the store.
    pub async fn recover(&self, patience: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + patience;
        while tokio::time::Instant::now() < deadline
            && let Some(batch) = self.next()
        {
            if !self.give(batch).await {
                return false;
            }
        }
        lock(&self.queue).batches.is_empty()
    }

    pub(super) fn next(&self) -> Option<Batch> {
        let mut queue = lock(&self.queue);
        let mut batch = queue.batches.pop_front()?;
        batch.offered = true;
        queue.writing = Some(batch.first);
        Some(batch)
    }

    /// Gives the store one batch. `false`: it comes again.
    async fn give(&self, mut batch: Batch) -> bool {
        let rows = match (&batch.segment, batch.rows.take()) {
            (None, Some(rows)) => {
                batch.rows = Some(rows.clone());
                rows
            }
            (Some(_), Some(rows)) => {
                self.let_go(batch.count, std::mem::take(&mut batch.bytes));
                rows
            }
            (Some(segment), None) => match Spool::read(segment) {
                Ok((rows, torn)) => {
                    if torn > 0 {
                        metrics().usage_write_failures.inc_by(torn);
                        tracing::warn!(
                            batch = batch.id,
                            lines = torn,
                            "a segment of the spool is damaged: its other rows are used"
                        );
                    }
                    rows
                }
                Err(error) => {
                    self.refuse(&batch, &error.to_string());
                    return true;
                }
            },
            (None, None) => Vec::new(),
        };
        let written = if rows.is_empty() {
            Ok(true)
        } else {
            self.store.usage_write(batch.id.clone(), rows).await
        };
        match written {
            Ok(_) => {
                self.store_works();
                if let (Some(spool), Some(segment)) = (&self.spool, &batch.segment) {
                    spool.remove(segment);
                }
                self.is_done(&batch);
                true
            }
            Err(error) if error.trouble == Trouble::Refused => {
                self.refuse(&batch, &error.message);
                true
            }
            Err(error) => {
                self.store_fails(&error);
                let mut queue = lock(&self.queue);
                queue.writing = None;
                queue.batches.push_front(batch);
                false
            }
        }
    }

    /// It is in the store, or it is given up.
    fn is_done(&self, batch: &Batch) {
        if batch.rows.is_some() {
            self.let_go(batch.count, batch.bytes);
        }
        metrics().usage_queue.sub(batch.count.cast_signed());
        let mut queue = lock(&self.queue);
        queue.writing = None;
        let none_left = queue.batches.front().is_none_or(|next| next.first > 0);
        drop(queue);
        if batch.first == 0 && none_left {
            lock(&self.adopted).clear();
        }
        self.notify();
    }

    fn store_works(&self) {
        self.troubles.full.store(false, Relaxed);
        if self.troubles.store.swap(false, Relaxed) {
            tracing::info!("the store takes usage again");
        }
    }

    fn store_fails(&self, error: &StoreError) {
        metrics()
            .store_failures
            .with_label_values(&["usage_write"])
            .inc();
        if !self.troubles.store.swap(true, Relaxed) {
            tracing::warn!(%error, "the store does not take usage: it is kept until the store does");
        }
    }

    /// The store would never take it: the others go on without it.
    fn refuse(&self, batch: &Batch, why: &str) {
        let aside = match (&self.spool, &batch.segment) {
            (Some(spool), Some(segment)) => spool.put_aside(segment).ok(),
            _ => None,
        };
        metrics().usage_write_failures.inc_by(batch.count.max(1));
        match aside {
            Some(path) => tracing::error!(
                batch = batch.id, why, file = %path.display(),
                "a batch of usage cannot be written and is put aside: move its file into the spool's folder to have it tried again at the next start"
            ),
            None => tracing::error!(
                batch = batch.id,
                why,
                rows = batch.count,
                "a batch of usage cannot be written and is lost"
            ),
        }
        self.is_done(batch);
    }
}
