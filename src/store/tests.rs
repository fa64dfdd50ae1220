//! What can only be arranged from inside.

use std::task::Poll;

use super::*;
use crate::store::engine::args;

fn owner() -> Owner {
    Owner {
        key: "k".into(),
        group: "g".into(),
    }
}

fn new(id: String, bytes: usize) -> NewResponse {
    NewResponse {
        id,
        owner: owner(),
        previous: None,
        conversation: None,
        conversation_version: None,
        background: false,
        status: Status::InProgress,
        input: format!("[\"{}\"]", "x".repeat(bytes)),
        body: "{}".to_owned(),
    }
}

fn open(url: &str) -> Store {
    Store::open(&Settings {
        url: url.to_owned(),
        responses_ttl: Duration::from_secs(3600),
        responses_max_bytes: 1 << 30,
        usage_ttl: Duration::ZERO,
    })
    .expect("opened")
}

/// SQLite, in memory and in a file of the test's own.
async fn on_both<F: Future<Output = ()>>(name: &str, test: impl Fn(Store) -> F) {
    test(open("sqlite::memory:")).await;
    let file = std::env::temp_dir().join(format!("torouter-{name}-{}.db", std::process::id()));
    test(open(&format!("sqlite:{}", file.display()))).await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
}

/// How large the database may grow: the connection that writes is told.
async fn allow_pages(store: &Store, pages: u32) {
    let told = store.call(move |inner| async move {
        let mut work = inner.engine.begin().await?;
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        work.rows(pragma, args![]).await?;
        work.commit().await
    });
    told.await.expect("set");
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    let rows = store.call(move |inner| async move { inner.engine.rows(sql, args![]).await });
    let rows = rows.await.expect("read");
    rows[0].int(0).expect("a number")
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_half_is_left() {
    on_both("full", async |store: Store| {
        allow_pages(&store, 60).await;
        let mut number = 0;
        let error = loop {
            match store.begin(new(format!("r{number}"), 20_000)).await {
                Ok(()) => number += 1,
                Err(BeginError::Store(error)) => break error,
                Err(other) => panic!("{other:?}"),
            }
            assert!(number < 60);
        };
        assert_eq!(error.trouble, Trouble::Full, "{error}");
        assert!(number > 1);
        let find = async |id: String| store.find(id, owner()).await.expect("read");
        let id = format!("r{number}");
        assert_eq!(find(id.clone()).await, None);
        assert!(find("r0".into()).await.is_some());
        // Full it stays, and says so again; what makes room is done.
        let again = store.begin(new(id.clone(), 20_000)).await;
        assert!(
            matches!(&again, Err(BeginError::Store(error)) if error.trouble == Trouble::Full),
            "{again:?}"
        );
        assert!(store.delete("r0".into(), owner()).await.expect("deleted"));
        allow_pages(&store, 10_000).await;
        store
            .begin(new(id.clone(), 20_000))
            .await
            .expect("there is room again");
        assert!(find(id).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_finds_the_disk_full_is_written_later() {
    let rows: Vec<UsageRow> = (0..2000)
        .map(|at| UsageRow {
            at,
            is_final: true,
            model: format!("m{at}"),
            ..UsageRow::default()
        })
        .collect();
    on_both("full-usage", async |store: Store| {
        allow_pages(&store, 60).await;
        let full = store.usage_write("b".into(), rows.clone()).await;
        assert_eq!(full.expect_err("full").trouble, Trouble::Full);
        for sql in [
            "SELECT COUNT(*) FROM requests",
            "SELECT COUNT(*) FROM hours",
            "SELECT COUNT(*) FROM batches",
        ] {
            assert_eq!(count(&store, sql).await, 0, "{sql}");
        }
        allow_pages(&store, 10_000).await;
        let written = store.usage_write("b".into(), rows.clone()).await;
        assert!(written.expect("there is room again"));
        assert_eq!(count(&store, "SELECT COUNT(*) FROM requests").await, 2000);
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_fails_is_undone() {
    on_both("commit", async |store: Store| {
        let dangling = store.call(|inner| async move {
            let mut work = inner.engine.begin().await?;
            // References are looked at by the commit, which fails and leaves the transaction open.
            work.rows("PRAGMA defer_foreign_keys = ON", args![]).await?;
            let item = "INSERT INTO response_items (item, response) VALUES ('i', 'nobody')";
            work.run(item, args![]).await?;
            work.commit().await
        });
        let error = dangling.await.expect_err("it refers to nothing");
        assert!(error.message.contains("FOREIGN KEY"), "{error}");
        store.begin(new("r".into(), 10)).await.expect("begun");
        assert_eq!(
            count(&store, "SELECT COUNT(*) FROM response_items").await,
            0
        );
    })
    .await;
}

/// Where a transaction is left: its call of that number is begun, and dropped with whatever it has under way.
struct Left {
    at: usize,
    calls: usize,
}

impl Left {
    /// `None`: here it is left.
    async fn or<F: Future>(&mut self, call: F) -> Option<F::Output> {
        self.calls += 1;
        if self.calls < self.at {
            return Some(call.await);
        }
        let mut call = Box::pin(call);
        let begun = |context: &mut std::task::Context<'_>| Poll::Ready(call.as_mut().poll(context));
        drop(std::future::poll_fn(begun).await);
        None
    }
}

/// Two rows in one transaction: four calls.
async fn write_a_pair(inner: &Inner, mut left: Left) -> Option<Result<(), StoreError>> {
    let mut work = left.or(inner.engine.begin()).await?.expect("begun");
    for id in ["a", "b"] {
        let insert = "INSERT INTO pins (id, owner_key, owner_group, channel, created, expires) VALUES ($1, '', '', '', 0, 0)";
        left.or(work.run(insert, args![id])).await?.expect("done");
    }
    left.or(work.commit()).await
}

#[tokio::test]
async fn a_transaction_that_is_dropped_at_any_point_is_whole_or_undone() {
    on_both("dropped", async |store: Store| {
        for at in 1..=5 {
            let write = store.call(move |inner| async move {
                let left = Left { at, calls: 0 };
                write_a_pair(&inner, left).await.transpose()
            });
            let done = write.await.expect("no error").is_some();
            assert_eq!(done, at == 5);
            // The next one waits until all of it is over.
            store.begin(new(format!("r{at}"), 10)).await.expect("begun");
            let rows = count(&store, "SELECT COUNT(*) FROM pins").await;
            match at {
                // The commit may have been under way.
                4 => assert!(rows == 0 || rows == 2, "{rows}"),
                5 => assert_eq!(rows, 2),
                _ => assert_eq!(rows, 0, "left at {at}"),
            }
            let cleared = store.call(|inner| async move {
                let mut work = inner.engine.begin().await?;
                work.run("DELETE FROM pins", args![]).await?;
                work.commit().await
            });
            cleared.await.expect("cleared");
        }
    })
    .await;
}

#[test]
fn a_place_never_shows_its_password() {
    let place = Place::parse("postgres://user:hidden@db:5433/torouter").expect("valid");
    assert_eq!(
        format!("{place} {place:?}"),
        "postgres://db:5433/torouter postgres://db:5433/torouter"
    );
}

#[test]
fn statuses_are_read_as_they_are_written() {
    for word in [
        "queued",
        "in_progress",
        "completed",
        "incomplete",
        "failed",
        "cancelled",
    ] {
        assert_eq!(Status::parse(word).map(Status::as_str), Some(word));
    }
    assert_eq!(Status::parse("done"), None);
}
