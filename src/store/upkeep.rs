//! Upkeep: reconnecting, deleting what has expired, counting what is kept.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::args;
use super::error::{StoreError, Trouble};
use super::sums::HOUR_MS;
use super::{Inner, Store, now, signed};
use crate::base::clock;

/// Rows that are deleted at once: few enough that nobody waits long for the lock.
const SWEEP: i64 = 64;
/// The same for rows of usage, which are small and many.
const SWEEP_USAGE: i64 = 1_000;
/// How long the ids of batches are remembered: 7 days.
const BATCHES_MS: i64 = 7 * 86_400_000;
/// A full store counts again, and deletes what has expired, no more often.
const RECOUNT_MS: u64 = 1_000;
/// About what a row without content takes, with its indexes: a pin, or an id by which an item can be referred to.
pub(super) const ROW_BYTES: usize = 256;

impl Store {
    /// Upkeep, for ever. For one task of the process.
    pub async fn keep(&self) {
        let ttl_ms = self.0.ttl_ms.cast_unsigned();
        let pause = Duration::from_millis((ttl_ms / 10).clamp(250, 60_000));
        let mut trouble = false;
        loop {
            match self
                .call(move |inner| async move { inner.ready().await })
                .await
            {
                Ok(()) => {}
                Err(error) => {
                    if !trouble {
                        tracing::warn!(%error, "the store cannot be used; trying again");
                    }
                    trouble = true;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            }
            let kept = self.keep_once().await;
            match &kept {
                Ok(()) if trouble => tracing::info!("the store can be used again"),
                Err(error) if !trouble => tracing::warn!(%error, "the store is in trouble"),
                Ok(()) | Err(_) => {}
            }
            trouble = kept.is_err();
            let pause = if trouble {
                Duration::from_secs(1)
            } else {
                pause
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Deletes all that has expired, then counts the rest.
    async fn keep_once(&self) -> Result<(), StoreError> {
        // Each batch is a call of its own, and others come between.
        while self
            .call(move |inner| async move { inner.sweep().await })
            .await?
        {}
        while self
            .call(move |inner| async move { inner.sweep_usage().await })
            .await?
        {}
        self.call(move |inner| async move { inner.measure().await })
            .await
    }
}

impl Inner {
    /// Deletes some of what has expired; whether there may be more.
    async fn sweep(&self) -> Result<bool, StoreError> {
        let mut more = false;
        for sql in [
            "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE expires <= $1 ORDER BY expires LIMIT $2)",
            "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations WHERE expires <= $1 ORDER BY expires LIMIT $2)",
            "DELETE FROM pins WHERE (id, owner_key, owner_group) IN
             (SELECT id, owner_key, owner_group FROM pins WHERE expires <= $1 ORDER BY expires LIMIT $2)",
        ] {
            let mut work = self.engine.begin().await?;
            let deleted = work.run(sql, args![now(), SWEEP]).await?;
            work.commit().await?;
            more |= deleted >= SWEEP.cast_unsigned();
        }
        Ok(more)
    }

    /// Deletes some of the rows of usage that are old enough, in whole hours, and the ids of old batches; whether
    /// there may be more. Sums stay.
    async fn sweep_usage(&self) -> Result<bool, StoreError> {
        let mut work = self.engine.begin().await?;
        let sql = "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE at < $1 ORDER BY at LIMIT $2)";
        let batches = work
            .run(sql, args![now() - BATCHES_MS, SWEEP_USAGE])
            .await?;
        let mut rows = 0;
        if self.usage_ttl_ms > 0 {
            let old = now().saturating_sub(self.usage_ttl_ms).max(0) / HOUR_MS * HOUR_MS;
            // Whoever reads takes the sums of all that ended before, whether its rows are gone yet or not.
            let sql = "UPDATE counters SET value = $1 WHERE name = 'swept' AND value < $1";
            work.run(sql, args![old]).await?;
            let sql = "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE at < $1 ORDER BY at, id LIMIT $2)";
            rows = work.run(sql, args![old, SWEEP_USAGE]).await?;
        }
        work.commit().await?;
        Ok(batches.max(rows) >= SWEEP_USAGE.cast_unsigned())
    }

    /// Counts the bytes of what is kept.
    pub(super) async fn measure(&self) -> Result<(), StoreError> {
        let rows = self
            .engine
            .rows(
                "SELECT CAST(
                 COALESCE((SELECT SUM(input_size + output_size + rest_size) FROM responses), 0)
                 + COALESCE((SELECT SUM(size) FROM conversations), 0)
                 + COALESCE((SELECT SUM(size) FROM conversation_items), 0)
                 + $1 * ((SELECT COUNT(*) FROM pins) + (SELECT COUNT(*) FROM response_items)) AS BIGINT)",
                args![signed(ROW_BYTES)],
            )
            .await?;
        let bytes = rows.first().map_or(Ok(0), |row| row.int(0))?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// What has been added, or taken away.
    pub(super) fn grown(&self, by: i64) {
        self.bytes.fetch_add(by, Ordering::Relaxed);
    }

    fn fits(&self, more: usize) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed);
        bytes.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) <= self.max_bytes
    }

    /// Whether so much more may be kept. When not, what has expired goes first.
    pub(super) async fn room(&self, more: usize) -> Result<(), StoreError> {
        if self.fits(more) {
            return Ok(());
        }
        let (now, last) = (clock::unix_ms(), self.counted_ms.load(Ordering::Relaxed));
        if now.abs_diff(last) >= RECOUNT_MS {
            self.counted_ms.store(now, Ordering::Relaxed);
            while self.sweep().await? {}
            self.measure().await?;
        }
        if self.fits(more) {
            return Ok(());
        }
        let what = format!(
            "the store holds as much as it may ({} bytes, store.responses_max_bytes); raise it, or lower store.responses_ttl",
            self.max_bytes
        );
        Err(StoreError::new(Trouble::Full, what))
    }
}
