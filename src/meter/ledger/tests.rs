use super::*;
use crate::meter::spool::TestFolder as Folder;
use crate::store::{ReportQuery, ReportRow, Settings};

use sqlx::{Connection as _, Executor as _};
use std::time::Instant;

fn settings(folder: &Folder) -> Settings {
    Settings {
        url: format!("sqlite:{}/store.db", folder.0.display()),
        responses_ttl: Duration::from_secs(60),
        responses_max_bytes: 1 << 20,
        usage_ttl: Duration::ZERO,
    }
}

fn store(folder: &Folder) -> Store {
    std::fs::create_dir_all(&folder.0).expect("a folder");
    Store::open(&settings(folder)).expect("a store")
}

fn spool(folder: &Folder) -> PathBuf {
    folder.0.join("spool")
}

fn open(store: &Store, folder: &Folder) -> Arc<Ledger> {
    Ledger::open(store.clone(), Some(spool(folder)), 1 << 30).expect("a ledger")
}

fn row(n: i64) -> UsageRow {
    UsageRow {
        at: 1_800_000_000_000 + n,
        request_id: format!("req_{n:024}"),
        is_final: true,
        key_id: "config:test".into(),
        key: "test".into(),
        group: "default".into(),
        channel: "openai-1".into(),
        surface: "openai".into(),
        endpoint: "chat".into(),
        model: "gpt-5-mini".into(),
        upstream_model: "gpt-5-mini".into(),
        status: 200,
        uncached: n,
        output: 1,
        cost_pico: Some(n),
        ..UsageRow::default()
    }
}

async fn total(store: &Store) -> ReportRow {
    let ask = ReportQuery {
        filters: crate::store::Filters::default(),
        by: Vec::new(),
        limit: 1,
    };
    let rows = store.usage_report(ask).await.expect("a report");
    rows.into_iter().next().expect("the total")
}

fn start(ledger: &Arc<Ledger>) -> tokio::task::JoinHandle<()> {
    let ledger = ledger.clone();
    tokio::spawn(async move { ledger.run().await })
}

fn segments(folder: &Folder) -> usize {
    fn count(path: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(path) else {
            return 0;
        };
        entries
            .flatten()
            .map(|entry| match entry.path() {
                path if path.is_dir() => count(&path),
                path => usize::from(path.extension().is_some_and(|e| e == "rows")),
            })
            .sum()
    }
    count(&spool(folder))
}

async fn until(what: &str, check: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_pushed_is_in_the_store_once_and_nowhere_else() {
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = open(&store, &folder);
    let task = start(&ledger);
    for n in 0..5000 {
        ledger.push(row(n));
    }
    assert!(ledger.flush().await);
    let all = total(&store).await;
    assert_eq!((all.requests, all.input_tokens), (5000, 4999 * 5000 / 2));
    assert_eq!(segments(&folder), 0);
    assert_eq!(ledger.held_rows.load(Relaxed), 0);
    assert_eq!(ledger.held_bytes.load(Relaxed), 0);
    task.abort();
}

/// A process that ends without a word: its rows are in the spool, some of them in the store as well.
#[tokio::test]
async fn what_a_killed_process_left_is_written_by_the_next_and_not_twice() {
    let folder = Folder::new();
    let store = store(&folder);
    let killed = open(&store, &folder);
    for n in 0..3000 {
        killed.push(row(n));
    }
    until("all is on disk", || lock(&killed.queue).gathered == 3000).await;
    // The store has got a batch, and the process did not live to hear of it.
    let batch = killed.next().expect("a batch");
    let segment = batch.segment.as_ref().expect("it is on disk");
    let (rows, _) = Spool::read(segment).expect("a file");
    assert!(
        store
            .usage_write(batch.id.clone(), rows)
            .await
            .expect("written")
    );
    drop(batch);
    drop(killed);
    until("its thread has ended", || {
        Spool::open(&spool(&folder), 1 << 30).is_ok_and(|opened| !opened.left.is_empty())
    })
    .await;
    let next = open(&store, &folder);
    let task = start(&next);
    next.push(row(3000));
    assert!(next.flush().await);
    assert_eq!(total(&store).await.requests, 3001);
    assert_eq!(segments(&folder), 0);
    task.abort();
}

#[tokio::test]
async fn while_the_store_is_locked_rows_wait_on_disk_in_few_batches() {
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = open(&store, &folder);
    let url = settings(&folder).url;
    let mut other = sqlx::SqliteConnection::connect(&url).await.expect("open");
    other.execute("BEGIN IMMEDIATE").await.expect("the lock");
    let task = start(&ledger);
    for n in 0..40 {
        ledger.push(row(n));
        until("it is gathered", || lock(&ledger.queue).gathered > n as u64).await;
    }
    assert!(segments(&folder) <= MAX_FRESH + 3, "{}", segments(&folder));
    assert_eq!(total(&store).await.requests, 0);
    other.execute("ROLLBACK").await.expect("free");
    until("all is written", || segments(&folder) == 0).await;
    assert_eq!(total(&store).await.requests, 40);
    assert_eq!(ledger.held_bytes.load(Relaxed), 0);
    task.abort();
}

#[tokio::test]
async fn without_a_spool_rows_wait_in_memory_up_to_a_bound() {
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = Ledger::open_within(store.clone(), None, 0, 3000).expect("a ledger");
    let lost = metrics().usage_write_failures.get();
    for n in 0..3500 {
        ledger.push(row(n));
    }
    assert_eq!(ledger.held_rows.load(Relaxed), 3000);
    let one = size_of_row(&row(0));
    assert_eq!(ledger.held_bytes.load(Relaxed), 3000 * one);
    assert!(MAX_ROWS * one > MAX_BYTES, "the bytes are what bounds it");
    assert_eq!(metrics().usage_write_failures.get() - lost, 500);
    let task = start(&ledger);
    until("all is written", || ledger.held_rows.load(Relaxed) == 0).await;
    assert!(ledger.flush().await);
    assert_eq!(total(&store).await.requests, 3000);
    task.abort();
}

#[tokio::test]
async fn a_closed_ledger_leaves_all_in_the_store_or_else_in_the_spool() {
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = open(&store, &folder);
    let task = start(&ledger);
    ledger.push(row(1));
    ledger.close().await;
    assert_eq!(total(&store).await.requests, 1);
    task.abort();
    let _ = task.await;
    ledger.push(row(2));
    ledger.close().await;
    assert_eq!(segments(&folder), 1);
}

/// Prints what it reaches; the bound is a generous one.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn twenty_thousand_rows_a_second_are_kept_up_with() {
    const RATE: i64 = if cfg!(debug_assertions) { 4000 } else { 20_000 };
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = open(&store, &folder);
    let task = start(&ledger);
    let (began, mut peak) = (Instant::now(), 0);
    for tick in 0..250_i64 {
        let due = began + Duration::from_millis(20) * (tick as u32 + 1);
        for n in 0..RATE / 50 {
            ledger.push(row(tick * 10_000 + n));
        }
        let waiting = lock(&ledger.waiting).rows.len() as u64;
        let queued: u64 = lock(&ledger.queue).batches.iter().map(|b| b.count).sum();
        peak = peak.max(waiting + queued);
        tokio::time::sleep_until(due.into()).await;
    }
    let pushed = RATE * 5;
    until("all is written", || ledger.has_written(pushed as u64)).await;
    let took = began.elapsed().as_secs_f64();
    println!(
        "{pushed} rows in {took:.2} s: {:.0} rows/s, at most {peak} rows not yet offered to the store",
        pushed as f64 / took
    );
    assert_eq!(total(&store).await.requests, pushed);
    assert!(peak < RATE as u64 * 2, "{peak}");
    task.abort();
}
