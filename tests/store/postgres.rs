//! What only a server can suffer.

use std::time::{Duration, Instant};

use torouter::store::{Store, Trouble};

use super::place::{Place, Postgres, alice};
use super::turns::{new, turn};

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
