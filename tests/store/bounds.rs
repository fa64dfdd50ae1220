//! How long things are kept, and how much.

use std::time::Duration;

use torouter::store::{BeginError, ContextError, Finished, NewResponse, Settings, Store, Trouble};

use super::place::{Place, alice};
use super::suite::list;
use super::turns::{after, done, new, turn};

list![
    what_has_expired_is_not_found_and_goes,
    an_ancestor_lives_as_long_as_the_last_turn,
    a_full_store_refuses_what_is_new_and_finishes_what_is_begun,
    what_has_no_content_takes_room_too,
];

async fn what_has_expired_is_not_found_and_goes(place: Place) {
    let store = place.open_for(Duration::from_millis(1500));
    turn(&store, new("r")).await;
    store
        .pin(vec!["p".into()], alice(), "up".into())
        .await
        .expect("pinned");
    store
        .create_conversation("c".into(), alice(), "{}".into(), vec!["{}".into()])
        .await
        .expect("made");
    assert!(
        store
            .find("r".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
    tokio::time::sleep(Duration::from_millis(1600)).await;
    for id in ["r", "p"] {
        assert_eq!(
            store.find(id.into(), alice()).await.expect("an answer"),
            None,
            "{id}"
        );
        let context = store.context(id.into(), alice(), 1000).await;
        assert!(
            matches!(context, Err(ContextError::NotFound)),
            "{context:?}"
        );
        assert!(!store.delete(id.into(), alice()).await.expect("an answer"));
    }
    assert!(
        store
            .items(vec!["msg_r".into()], alice(), 1 << 20)
            .await
            .expect("an answer")
            .is_empty()
    );
    assert_eq!(
        store
            .find_conversation("c".into(), alice())
            .await
            .expect("an answer"),
        None
    );
    if place.is_shared() {
        let count = "SELECT (SELECT COUNT(*) FROM responses) + (SELECT COUNT(*) FROM contents)
             + (SELECT COUNT(*) FROM response_items) + (SELECT COUNT(*) FROM pins)
             + (SELECT COUNT(*) FROM conversations) + (SELECT COUNT(*) FROM conversation_items)";
        assert_eq!(place.sql(count).await, Some(6));
        // Upkeep never ends by itself; it has its first round at once.
        let swept = async { while place.sql(count).await != Some(0) {} };
        tokio::select! {
            () = store.keep() => unreachable!(),
            swept = tokio::time::timeout(Duration::from_secs(10), swept) => swept.expect("swept"),
        }
    }
}

async fn an_ancestor_lives_as_long_as_the_last_turn(place: Place) {
    let store = place.open_for(Duration::from_millis(2000));
    turn(&store, new("a")).await;
    turn(&store, new("alone")).await;
    turn(&store, after("b", "a")).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    turn(&store, after("c", "b")).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let context = store
        .context("c".into(), alice(), 1000)
        .await
        .expect("a context");
    assert_eq!(context.turns.len(), 3);
    assert_eq!(
        store
            .find("alone".into(), alice())
            .await
            .expect("an answer"),
        None
    );
}

async fn a_full_store_refuses_what_is_new_and_finishes_what_is_begun(place: Place) {
    let settings = Settings {
        responses_max_bytes: 10_000,
        ..place.settings()
    };
    let store = Store::open(&settings).expect("a store that opens");
    let large = |id: &str| NewResponse {
        input: format!("[\"{}\"]", "x".repeat(4000)),
        ..new(id)
    };
    store.begin(large("a")).await.expect("begun");
    store.begin(large("b")).await.expect("begun");
    match store.begin(large("c")).await {
        Err(BeginError::Store(error)) => {
            assert_eq!(error.trouble, Trouble::Full);
            assert!(error.message.contains("responses_max_bytes"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let item = format!("\"{}\"", "x".repeat(4000));
    let made = store
        .create_conversation("c".into(), alice(), "{}".into(), vec![item.clone()])
        .await;
    assert_eq!(made.expect_err("full").trouble, Trouble::Full);
    store
        .create_conversation("c".into(), alice(), "{}".into(), Vec::new())
        .await
        .expect("small enough");
    let added = store
        .add_conversation_items("c".into(), alice(), vec![item])
        .await;
    assert_eq!(added.expect_err("full").trouble, Trouble::Full);
    store
        .pin(vec!["p".into()], alice(), "up".into())
        .await
        .expect("pinned");
    assert!(
        store
            .finish("a".into(), done("a"))
            .await
            .expect("an answer")
    );
    assert!(
        store
            .find("a".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
    assert!(store.delete("a".into(), alice()).await.expect("an answer"));
    store.begin(large("d")).await.expect("there is room again");
}

async fn what_has_no_content_takes_room_too(place: Place) {
    let settings = Settings {
        responses_max_bytes: 20_000,
        ..place.settings()
    };
    let open = || Store::open(&settings).expect("a store that opens");
    let begin = async |store: &Store, id: &str| match store.begin(new(id)).await {
        Ok(()) => true,
        Err(BeginError::Store(error)) if error.trouble == Trouble::Full => false,
        Err(other) => panic!("{other:?}"),
    };
    let delete = async |store: &Store, id: String| {
        assert!(store.delete(id, alice()).await.expect("an answer"));
    };
    let store = open();
    let pins = |range: std::ops::Range<i32>| range.map(|n| format!("p{n}")).collect();
    let pin = async |ids| store.pin(ids, alice(), "up".into()).await.expect("pinned");
    pin(pins(0..60)).await;
    assert!(begin(&store, "beside").await);
    delete(&store, "beside".into()).await;
    pin(pins(60..80)).await;
    assert!(!begin(&store, "r").await, "pins are counted");
    pin(pins(80..90)).await;
    if place.is_shared() {
        assert!(!begin(&open(), "r").await, "and found again");
    }
    for id in pins(0..90) {
        delete(&store, id).await;
    }
    // Ids of items, in what comes and in what is made.
    let items = |prefix: &str, count: i32| {
        let items: Vec<_> = (0..count)
            .map(|n| format!("{{\"id\":\"{prefix}{n}\"}}"))
            .collect();
        format!("[{}]", items.join(","))
    };
    let with = |id: &str, count| NewResponse {
        input: items("in", count),
        ..new(id)
    };
    assert!(store.begin(with("much", 80)).await.is_err());
    store.begin(with("a", 40)).await.expect("begun");
    assert!(begin(&store, "beside").await);
    delete(&store, "beside".into()).await;
    let output = items("out", 40);
    let finished = Finished {
        output,
        ..done("a")
    };
    assert!(store.finish("a".into(), finished).await.expect("finished"));
    assert!(!begin(&store, "r").await, "ids are counted");
    if place.is_shared() {
        assert!(!begin(&open(), "r").await, "and found again");
    }
    delete(&store, "a".into()).await;
    assert!(begin(&store, "r").await);
}
