//! What requests used, on its way into the store: safe on disk soon after a request has ended, in the store a moment later,
//! each row exactly once.
//!
//! A request only appends a row. A thread of the ledger's own gathers rows and writes them as a batch into the spool; one
//! task gives the batches to the store, each under its id, by which the store knows a batch that it has already. A store that is
//! away, locked or full holds up nothing: batches wait in the spool, and what finds no place there waits in memory, up to a bound.

mod give;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::metrics::metrics;
use super::spool::{Adopted, Segment, Spool};
use crate::base::Ids;
use crate::store::{Store, UsageRow};

/// Rows are gathered for so long: what `kill -9` can lose.
const GATHER: Duration = Duration::from_millis(40);
/// The gathering thread looks whether the ledger is still there.
const LOOK: Duration = Duration::from_secs(1);
/// So many rows are one batch, one transaction of the store.
const MAX_BATCH: usize = 2000;
/// Memory holds no more than so many rows, of so many bytes.
const MAX_ROWS: u64 = 200_000;
const MAX_BYTES: u64 = 64 << 20;
/// Of batches that are in the spool so many stay in memory too, so that they need not be read again.
const MAX_FRESH: usize = 8;
/// How long who wants all to be in the store waits for one in trouble.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

pub struct Ledger {
    store: Store,
    spool: Option<Spool>,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Held while rows become batches, so that one does it at a time.
    gathering: Mutex<()>,
    queue: Mutex<Queue>,
    /// Counts what happens to the queue.
    changed: watch::Sender<u64>,
    /// Of what processes before this one left behind; until it is in the store.
    adopted: Mutex<Vec<Adopted>>,
    name: String,
    batches: AtomicU64,
    max_rows: u64,
    held_rows: AtomicU64,
    held_bytes: AtomicU64,
    troubles: Troubles,
}

/// What has been said in the log, and is not over.
#[derive(Default)]
struct Troubles {
    store: AtomicBool,
    spool: AtomicBool,
    full: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<UsageRow>,
    /// All that ever came.
    pushed: u64,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    /// Of all that ever came so many are in a batch, or further.
    gathered: u64,
    /// The first row of the batch that the store is being given.
    writing: Option<u64>,
    /// Of the batch that gets more rows.
    growing: Option<u64>,
}

struct Batch {
    id: String,
    /// The number of its first row; 0: another process left it.
    first: u64,
    count: u64,
    /// In memory: always where there is no segment.
    rows: Option<Vec<UsageRow>>,
    bytes: u64,
    segment: Option<Segment>,
    /// The store may have it already: it must stay as it is.
    offered: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// `spool`: the folder for what is not in the store yet; without one it is kept in memory only.
    pub fn open(
        store: Store,
        spool: Option<PathBuf>,
        spool_max_bytes: u64,
    ) -> Result<Arc<Self>, String> {
        Self::open_within(store, spool, spool_max_bytes, MAX_ROWS)
    }

    fn open_within(
        store: Store,
        spool: Option<PathBuf>,
        spool_max_bytes: u64,
        max_rows: u64,
    ) -> Result<Arc<Self>, String> {
        let mut queue = Queue::default();
        let (mut own, mut adopted) = (None, Vec::new());
        if let Some(folder) = spool {
            let opened = Spool::open(&folder, spool_max_bytes)?;
            if !opened.left.is_empty() {
                let segments = opened.left.len();
                tracing::info!(
                    segments,
                    "usage that was not in the store yet is written now"
                );
            }
            queue
                .batches
                .extend(opened.left.into_iter().map(Batch::left));
            (own, adopted) = (Some(opened.spool), opened.adopted);
        }
        if queue.batches.is_empty() {
            adopted.clear();
        }
        let ledger = Arc::new(Self {
            store,
            spool: own,
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            gathering: Mutex::default(),
            queue: Mutex::new(queue),
            changed: watch::Sender::new(0),
            adopted: Mutex::new(adopted),
            name: Ids::random().next(""),
            batches: AtomicU64::new(0),
            max_rows,
            held_rows: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            troubles: Troubles::default(),
        });
        let weak = Arc::downgrade(&ledger);
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || gather(&weak))
            .map_err(|error| format!("the ledger's thread could not be started: {error}"))?;
        Ok(ledger)
    }

    /// Takes a row. Where there is no more room it is lost, and counted as that.
    pub fn push(&self, row: UsageRow) {
        let bytes = size_of_row(&row);
        let has_room = self.held_rows.load(Relaxed) < self.max_rows
            && self.held_bytes.load(Relaxed) + bytes <= MAX_BYTES;
        if !has_room {
            metrics().usage_write_failures.inc();
            if !self.troubles.full.swap(true, Relaxed) {
                tracing::error!(
                    "usage is being lost: neither the store nor the spool takes it, and what waits in memory has reached its bound"
                );
            }
            return;
        }
        self.hold(1, bytes);
        metrics().usage_queue.inc();
        let mut waiting = lock(&self.waiting);
        waiting.pushed += 1;
        waiting.rows.push(row);
        let was_empty = waiting.rows.len() == 1;
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    fn hold(&self, rows: u64, bytes: u64) {
        self.held_rows.fetch_add(rows, Relaxed);
        self.held_bytes.fetch_add(bytes, Relaxed);
    }

    fn let_go(&self, rows: u64, bytes: u64) {
        self.held_rows.fetch_sub(rows, Relaxed);
        self.held_bytes.fetch_sub(bytes, Relaxed);
    }

    fn notify(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// What waits becomes batches, on disk where there is a spool.
    fn put_down(&self) {
        let _one = lock(&self.gathering);
        let (mut rows, pushed) = {
            let mut waiting = lock(&self.waiting);
            (std::mem::take(&mut waiting.rows), waiting.pushed)
        };
        let mut first = pushed - rows.len() as u64 + 1;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(MAX_BATCH));
            let next = first + rows.len() as u64;
            self.put_down_batch(std::mem::replace(&mut rows, rest), first);
            first = next;
        }
        lock(&self.queue).gathered = pushed;
        self.notify();
    }

    fn put_down_batch(&self, rows: Vec<UsageRow>, first: u64) {
        let Some(rows) = self.grow_last(rows) else {
            return;
        };
        let number = self.batches.fetch_add(1, Relaxed);
        let mut batch = Batch {
            id: format!("{}-{number:08}", self.name),
            first,
            count: rows.len() as u64,
            bytes: rows.iter().map(size_of_row).sum(),
            rows: Some(rows),
            segment: None,
            offered: false,
        };
        if let (Some(spool), Some(rows)) = (&self.spool, &batch.rows) {
            match spool.write(&batch.id, rows) {
                Ok(segment) => {
                    batch.segment = Some(segment);
                    self.spool_works();
                }
                Err(error) => self.spool_fails(spool, &error),
            }
        }
        let mut queue = lock(&self.queue);
        if batch.segment.is_some() && queue.batches.len() >= MAX_FRESH {
            self.forget_rows(&mut batch);
        }
        queue.batches.push_back(batch);
        drop(queue);
        self.notify();
    }

    /// While the store is away few batches get more rows, rather than many having a few. Returns the rows where that
    /// cannot be.
    fn grow_last(&self, rows: Vec<UsageRow>) -> Option<Vec<UsageRow>> {
        let may_grow = |batch: &Batch| {
            !batch.offered && batch.rows.is_none() && batch.count as usize + rows.len() <= MAX_BATCH
        };
        let Some(spool) = &self.spool else {
            return Some(rows);
        };
        let mut batch = {
            let mut queue = lock(&self.queue);
            if !queue.batches.back().is_some_and(may_grow) {
                return Some(rows);
            }
            let batch = queue.batches.pop_back()?;
            queue.growing = Some(batch.first);
            batch
        };
        let grown = match &mut batch.segment {
            Some(segment) => spool.append(segment, &rows).is_ok(),
            None => false,
        };
        if grown {
            batch.count += rows.len() as u64;
            self.let_go(rows.len() as u64, rows.iter().map(size_of_row).sum());
        }
        let mut queue = lock(&self.queue);
        queue.growing = None;
        queue.batches.push_back(batch);
        (!grown).then_some(rows)
    }

    /// They can be read from the segment.
    fn forget_rows(&self, batch: &mut Batch) {
        if batch.rows.take().is_some() {
            self.let_go(batch.count, std::mem::take(&mut batch.bytes));
        }
    }

    fn spool_works(&self) {
        if self.troubles.spool.swap(false, Relaxed) {
            tracing::info!("the spool takes usage again");
        }
    }

    fn spool_fails(&self, spool: &Spool, error: &std::io::Error) {
        if !self.troubles.spool.swap(true, Relaxed) {
            let folder = spool.folder().display();
            tracing::error!(%folder, %error, "the spool does not take usage, which waits in memory: it is lost if the gateway is killed now");
        }
    }

    /// Waits until all that was pushed before is in the store. `false`: it is not, and the store was waited for long enough.
    pub async fn flush(&self) -> bool {
        let pushed = lock(&self.waiting).pushed;
        let mut changes = self.changed.subscribe();
        let written = async {
            loop {
                changes.borrow_and_update();
                if self.has_written(pushed) || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(FLUSH_LIMIT, written).await.is_ok()
    }

    fn has_written(&self, upto: u64) -> bool {
        let queue = lock(&self.queue);
        let first = queue.batches.front().map(|batch| batch.first);
        queue.gathered >= upto
            && [first, queue.writing, queue.growing]
                .iter()
                .all(|first| first.is_none_or(|first| first > upto))
    }

    /// The process has ended all else: what there is stays in the spool for the next start.
    pub fn end(&self) {
        self.put_down();
        if let Some(Err(error)) = self.spool.as_ref().map(Spool::sync) {
            tracing::error!(%error, "the spool of usage could not be made safe on disk");
        }
    }

    /// The process ends: what there is goes into the store, or stays in the spool for the next start.
    pub async fn close(&self) {
        self.put_down();
        if self.flush().await {
            return;
        }
        if let Some(Err(error)) = self.spool.as_ref().map(Spool::sync) {
            tracing::error!(%error, "the spool of usage could not be made safe on disk");
        }
        let queue = lock(&self.queue);
        let (mut spooled, mut lost) = (0, 0);
        for batch in &queue.batches {
            let rows = if batch.segment.is_some() {
                &mut spooled
            } else {
                &mut lost
            };
            *rows += batch.count;
        }
        tracing::warn!(spooled, lost, "the store has not taken all usage");
    }
}

impl Batch {
    /// Of another process.
    fn left(segment: Segment) -> Self {
        Self {
            id: segment.id(),
            first: 0,
            count: 0,
            rows: None,
            bytes: 0,
            segment: Some(segment),
            offered: true,
        }
    }
}

/// The thread's work, as long as there is a ledger.
fn gather(ledger: &Weak<Ledger>) {
    while let Some(ledger) = ledger.upgrade() {
        let waiting = lock(&ledger.waiting);
        let empty = |waiting: &mut Waiting| waiting.rows.is_empty();
        let waited = ledger.arrived.wait_timeout_while(waiting, LOOK, empty);
        let (waiting, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        if !result.timed_out() {
            std::thread::sleep(GATHER);
            ledger.put_down();
        }
    }
}

fn size_of_row(row: &UsageRow) -> u64 {
    let texts = [
        &row.request_id,
        &row.key_id,
        &row.key,
        &row.group,
        &row.channel,
        &row.surface,
        &row.endpoint,
        &row.model,
        &row.upstream_model,
        &row.tier,
        &row.error,
        &row.client,
    ];
    let texts: usize = texts.iter().map(|text| text.capacity()).sum();
    (size_of::<UsageRow>() + texts) as u64
}

#[cfg(test)]
mod tests;
