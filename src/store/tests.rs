//! What can only be arranged from inside.

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
        background: false,
        status: Status::InProgress,
        input: format!("[\"{}\"]", "x".repeat(bytes)),
        body: "{}".to_owned(),
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_half_is_left() {
    let store = Store::open(Settings {
        url: "sqlite::memory:".to_owned(),
        responses_ttl: Duration::from_secs(3600),
        responses_max_bytes: 1 << 30,
    })
    .expect("opened");
    let pages = |pragma: &'static str| {
        store.call(move |inner| async move { inner.engine.rows(pragma, args![]).await.map(drop) })
    };
    pages("PRAGMA max_page_count = 60").await.expect("set");
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
    let id = format!("r{number}");
    assert_eq!(store.find(id.clone(), owner()).await.expect("read"), None);
    assert!(
        store
            .find("r0".into(), owner())
            .await
            .expect("read")
            .is_some()
    );
    pages("PRAGMA max_page_count = 10000").await.expect("set");
    store
        .begin(new(id, 20_000))
        .await
        .expect("there is room again");
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
