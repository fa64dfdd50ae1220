//! What goes with time, and what stays; and a database of before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use torouter::store::{Dimension, Filters, ReportQuery, Settings, Store};

use super::place::{Place, alice};
use super::suite::list;
use super::usage::{HOUR, all, row, total, write};

list![
    old_rows_go_and_their_sums_stay,
    rows_are_kept_for_ever_where_nothing_else_is_said,
    a_database_of_schema_1_keeps_what_it_has,
];

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_millis() as i64
}

fn open(place: &Place, usage_ttl: Duration) -> Store {
    let settings = Settings {
        usage_ttl,
        ..place.settings()
    };
    Store::open(&settings).expect("a store that opens")
}

/// Upkeep until this holds.
async fn kept(store: &Store, place: &Place, left: i64) {
    let swept = async {
        loop {
            let rows = if place.is_shared() {
                let sql = "SELECT (SELECT COUNT(*) FROM requests) + (SELECT COUNT(*) FROM batches)";
                place.sql(sql).await.expect("a number")
            } else {
                // The batch of each test that can be seen only from inside.
                all(store).await.len() as i64 + 1
            };
            if rows == left {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = store.keep() => unreachable!(),
        swept = tokio::time::timeout(Duration::from_secs(30), swept) => swept.expect("swept"),
    }
}

async fn old_rows_go_and_their_sums_stay(place: Place) {
    let store = open(&place, Duration::from_secs(2 * 3600));
    // The hour that is cut by the end of the time stays as a whole.
    let edge = (now() / HOUR - 2) * HOUR;
    let mut rows: Vec<_> = (0..2500).map(|n| row(edge - 1 - n * 1000, "a")).collect();
    rows.extend((0..10).map(|n| row(edge + HOUR + n, "a")));
    write(&store, "b", rows).await;
    let by = |filters: Filters| ReportQuery {
        filters,
        by: vec![Dimension::Key],
        limit: 10,
    };
    let everything = store.usage_report(by(Filters::default())).await;
    let (used, spent) = (
        store.used(None, 0, HOUR).await.expect("used"),
        store.spent().await.expect("spent"),
    );
    kept(&store, &place, 11).await;
    let after = store.usage_report(by(Filters::default())).await;
    assert_eq!(after.expect("a report"), everything.expect("a report"));
    assert_eq!(store.used(None, 0, HOUR).await.expect("used"), used);
    assert_eq!(store.spent().await.expect("spent"), spent);
    // In minutes: all that is known of an hour is in its last one.
    let minutes = store.used(None, 0, 60_000).await.expect("used");
    let requests: i64 = minutes.iter().map(|used| used.requests).sum();
    assert_eq!(requests, 2510);
    assert!(
        minutes
            .iter()
            .all(|used| used.bucket % 60 == 59 || used.bucket * 60_000 >= edge)
    );
    // Of an hour whose rows are gone a report has all or nothing, and of the others what is asked for.
    let cut = |since: i64, until: i64| Filters {
        since: Some(since),
        until: Some(until),
        ..Filters::default()
    };
    let of = async |since, until| total(&store, cut(since, until)).await.requests;
    assert_eq!(of(edge - 10, edge).await, of(edge - HOUR, edge).await);
    assert!(of(edge - 10, edge).await > 2000);
    assert_eq!(of(edge + HOUR + 3, edge + HOUR + 5).await, 2);
    // What comes late is in the sums, and goes.
    write(&store, "late", vec![row(edge - 5, "b")]).await;
    let filters = Filters {
        keys: vec!["b".to_owned()],
        ..cut(edge - 6, edge - 1)
    };
    assert_eq!(total(&store, filters).await.requests, 1);
    if place.is_shared() {
        place.sql("UPDATE batches SET at = 0 WHERE id = 'b'").await;
        kept(&store, &place, 11).await;
        assert_eq!(place.sql("SELECT COUNT(*) FROM batches").await, Some(1));
    }
}

async fn rows_are_kept_for_ever_where_nothing_else_is_said(place: Place) {
    if !place.is_shared() {
        return;
    }
    let store = open(&place, Duration::ZERO);
    write(&store, "b", vec![row(0, "a")]).await;
    write(&store, "old", Vec::new()).await;
    place
        .sql("UPDATE batches SET at = 0 WHERE id = 'old'")
        .await;
    kept(&store, &place, 2).await;
    assert_eq!(all(&store).await.len(), 1);
}

async fn a_database_of_schema_1_keeps_what_it_has(place: Place) {
    use sqlx::{Connection as _, Executor as _};
    if !place.is_shared() {
        return;
    }
    let made = include_str!("schema_1.sql");
    if place.url.starts_with("sqlite:") {
        let url = format!("{}?mode=rwc", place.url);
        let mut database = sqlx::SqliteConnection::connect(&url).await.expect("made");
        database.execute(sqlx::raw_sql(made)).await.expect("made");
        database.close().await.expect("closed");
    } else {
        let made = made.replace("BLOB", "BYTEA");
        let mut database = sqlx::PgConnection::connect(&place.url).await.expect("made");
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(made));
        database.execute(made).await.expect("made");
    }
    // Of several gateways that start at once.
    let stores: Vec<_> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(|| place.open())).collect();
        opening
            .into_iter()
            .map(|one| one.join().expect("opened"))
            .collect()
    });
    assert_eq!(
        place
            .sql("SELECT COUNT(*) FROM torouter_schema WHERE version = 2")
            .await,
        Some(1)
    );
    let store = &stores[3];
    let pin = store.find("p".into(), alice()).await.expect("an answer");
    assert!(pin.is_some());
    let conversation = store.find_conversation("c".into(), alice()).await;
    assert_eq!(
        conversation.expect("an answer").expect("found").metadata,
        "{}"
    );
    write(&stores[0], "b", vec![row(0, "a")]).await;
    let key = super::keys::key("a");
    stores[1].key_create(key, "cli").await.expect("made");
    assert_eq!(store.keys().await.expect("keys").1.len(), 1);
    assert_eq!(all(store).await.len(), 1);
}
