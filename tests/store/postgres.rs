//! What only a server can suffer.

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection, Row};
use torouter::store::{Store, Trouble};

use super::place::{Place, Postgres, alice};
use super::turns::{after, new, turn};

#[tokio::test]
async fn a_server_that_goes_away_comes_back_without_a_restart() {
    let mut server = Postgres::start();
    let place = Place::postgres(&server, "away");
    let store = place.open();
    turn(&store, new("before")).await;
    server.kill();
    let from = Instant::now();
    let error = store
        .find("before".into(), alice())
        .await
        .expect_err("away");
    assert_eq!(error.trouble, Trouble::Down, "{error}");
    assert!(!error.message.contains("hidden"), "{error}");
    assert!(
        from.elapsed() < Duration::from_secs(10),
        "{:?}",
        from.elapsed()
    );

    // A store that is opened meanwhile is in the same trouble, and no error.
    let second = place.open();
    assert_eq!(
        second.ping().await.expect_err("away").trouble,
        Trouble::Down
    );

    server.run();
    for store in [&store, &second] {
        let found = store
            .find("before".into(), alice())
            .await
            .expect("an answer");
        assert!(found.is_some());
    }
    turn(&second, new("after")).await;

    let mut elsewhere = place.settings();
    elsewhere.url = server.url("nowhere");
    let told = Store::open(&elsewhere)
        .expect_err("no such database")
        .to_string();
    assert!(
        told.contains("nowhere") && !told.contains("hidden"),
        "{told}"
    );
}

/// Which of the responses nobody has locked, in order.
async fn free(connection: &mut PgConnection) -> Vec<String> {
    let rows = connection
        .fetch_all("SELECT id FROM responses WHERE id LIKE 'r%' FOR UPDATE SKIP LOCKED")
        .await
        .expect("an answer");
    let mut free: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    free.sort();
    free
}

#[tokio::test]
async fn a_turn_locks_its_ancestors_in_the_order_of_their_ids() {
    let server = Postgres::start();
    let place = Place::postgres(&server, "order");
    let store = place.open();
    // The names run against the chain, and not quite.
    let names: Vec<String> = (0..64).map(|n| format!("r{:02}", 37 * n % 64)).collect();
    turn(&store, new(&names[0])).await;
    for pair in names.windows(2) {
        turn(&store, after(&pair[1], &pair[0])).await;
    }
    place
        .sql("UPDATE responses SET expires = expires - 864000000")
        .await;
    let connect = async || {
        let connection = PgConnection::connect(&place.url).await;
        connection.expect("a connection")
    };
    let (mut other, mut watcher) = (connect().await, connect().await);
    other.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM responses WHERE id = 'r40' FOR UPDATE";
    other.execute(lock).await.expect("locked");
    let beginning = tokio::spawn({
        let (store, last) = (store.clone(), names[63].clone());
        async move { store.begin(after("fork", &last)).await }
    });
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = 'order' AND wait_event_type = 'Lock'";
    let until = Instant::now() + Duration::from_secs(10);
    while place.sql(waiting).await != Some(1) {
        assert!(Instant::now() < until && !beginning.is_finished());
    }
    // It waits for r40, holds all before that, and none behind it.
    let behind: Vec<String> = (41..64).map(|n| format!("r{n}")).collect();
    assert_eq!(free(&mut watcher).await, behind);
    other.execute("COMMIT").await.expect("unlocked");
    beginning.await.expect("no panic").expect("begun");
    assert_eq!(
        place
            .sql("SELECT COUNT(DISTINCT expires) FROM responses WHERE id LIKE 'r%'")
            .await,
        Some(1)
    );
}
