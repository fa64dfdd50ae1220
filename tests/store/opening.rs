//! Stores that are opened, left and dropped.

use std::time::Duration;

use torouter::store::{ContextError, Store};

use super::place::{Place, alice};
use super::suite::list;
use super::turns::{new, turn};

list![
    a_call_that_is_left_is_done_whole_or_not_at_all,
    stores_that_open_at_once_both_open,
    a_newer_schema_is_refused,
    a_store_may_be_dropped_inside_of_a_runtime,
];

async fn a_call_that_is_left_is_done_whole_or_not_at_all(place: Place) {
    let store = place.open();
    for number in 0..50 {
        let id = format!("r{number}");
        let begin = store.begin(new(&id));
        // Polled once or a few times, then dropped.
        let patience = Duration::from_micros(number * 20);
        let _ = tokio::time::timeout(patience, begin).await;
    }
    // Calls end in their own time; the next that writes comes after them where one writes at a time.
    store.begin(new("last")).await.expect("begun");
    for number in 0..50 {
        let id = format!("r{number}");
        match store.context(id.clone(), alice(), 1000).await {
            Ok(context) => assert_eq!(context.turns[0].input, new(&id).input),
            Err(ContextError::NotFound) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn stores_that_open_at_once_both_open(place: Place) {
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| place.open())).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("opened"))
            .collect()
    });
    for (number, store) in opened.iter().enumerate() {
        turn(store, new(&format!("r{number}"))).await;
    }
    if place.is_shared() {
        assert!(
            opened[0]
                .find("r5".into(), alice())
                .await
                .expect("an answer")
                .is_some()
        );
        assert_eq!(
            place
                .sql("SELECT COUNT(*) FROM torouter_schema WHERE version = 1")
                .await,
            Some(1)
        );
    }
}

async fn a_newer_schema_is_refused(place: Place) {
    if !place.is_shared() {
        return;
    }
    drop(place.open());
    place
        .sql("INSERT INTO torouter_schema (version) VALUES (99)")
        .await;
    let error = Store::open(&place.settings())
        .expect_err("newer")
        .to_string();
    assert!(
        error.contains("schema 99") && error.contains("newer"),
        "{error}"
    );
    assert!(!error.contains("hidden"), "{error}");
}

async fn a_store_may_be_dropped_inside_of_a_runtime(place: Place) {
    let store = place.open();
    let twin = store.clone();
    drop(store);
    turn(&twin, new("r")).await;
    // The last one goes while a call of its is under way.
    let begin = twin.begin(new("left"));
    let _ = tokio::time::timeout(Duration::ZERO, begin).await;
    drop(twin);
    if place.is_shared() {
        let found = place
            .open()
            .find("r".into(), alice())
            .await
            .expect("an answer");
        assert!(found.is_some());
    }
}
