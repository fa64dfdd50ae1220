//! Responses: what must hold on every database.

use std::time::Duration;

use torouter::store::{
    BeginError, ContextError, Finished, NewResponse, Settings, Status, Store, Trouble,
};

use super::place::{Place, alice, owner};
use super::suite::list;

list![
    a_response_is_begun_finished_and_found,
    what_another_owner_has_is_not_found,
    a_chain_of_a_hundred_turns_is_one_context,
    a_deleted_ancestor_is_missed,
    what_has_expired_is_not_found_and_goes,
    an_ancestor_lives_as_long_as_the_last_turn,
    a_response_that_was_deleted_meanwhile_is_not_finished,
    a_lease_that_has_run_out_means_interrupted,
    a_cancel_is_told_to_whoever_makes_the_response,
    items_are_found_by_their_ids,
    a_full_store_refuses_what_is_new_and_finishes_what_is_begun,
    every_byte_is_kept,
    sql_in_names_and_ids_is_only_text,
    a_pin_says_where_a_response_is,
    a_call_that_is_left_is_done_whole_or_not_at_all,
    stores_that_open_at_once_both_open,
    a_newer_schema_is_refused,
    a_store_may_be_dropped_inside_of_a_runtime,
];

pub fn new(id: &str) -> NewResponse {
    NewResponse {
        id: id.to_owned(),
        owner: alice(),
        previous: None,
        conversation: None,
        background: false,
        status: Status::InProgress,
        input: format!(r#"[{{"role":"user","content":"to {id}"}}]"#),
        body: format!(r#"{{"id":"{id}"}}"#),
    }
}

pub fn after(id: &str, previous: &str) -> NewResponse {
    NewResponse {
        previous: Some(previous.to_owned()),
        ..new(id)
    }
}

pub fn done(id: &str) -> Finished {
    Finished {
        status: Status::Completed,
        output: format!(r#"[{{"id":"msg_{id}","type":"message"}}]"#),
        body: format!(r#"{{"id":"{id}","status":"completed"}}"#),
        events: None,
    }
}

/// A whole turn.
pub async fn turn(store: &Store, new: NewResponse) {
    let id = new.id.clone();
    store.begin(new).await.expect("begun");
    assert!(store.finish(id.clone(), done(&id)).await.expect("finished"));
}

async fn a_response_is_begun_finished_and_found(place: Place) {
    let store = place.open();
    store.ping().await.expect("an answer");
    let begun = NewResponse {
        background: true,
        status: Status::Queued,
        ..new("r")
    };
    store.begin(begun).await.expect("begun");
    let found = store
        .find("r".into(), alice())
        .await
        .expect("an answer")
        .expect("found");
    assert_eq!(
        (found.status, found.background, found.interrupted),
        (Status::Queued, true, false)
    );
    assert_eq!(
        (found.channel.as_str(), found.body.as_str()),
        ("", r#"{"id":"r"}"#)
    );
    assert!(
        found
            .created
            .abs_diff(torouter::base::clock::unix_ms() / 1000)
            < 60
    );

    let set = store
        .set_status("r".into(), Status::InProgress, "{}".into())
        .await;
    assert!(set.expect("an answer"));
    let found = store
        .find("r".into(), alice())
        .await
        .expect("an answer")
        .expect("found");
    assert_eq!(
        (found.status, found.body.as_str()),
        (Status::InProgress, "{}")
    );
    assert_eq!(
        store.events("r".into(), alice()).await.expect("an answer"),
        None
    );

    let finished = Finished {
        events: Some(b"data: 1\n\n\0\xff".to_vec()),
        ..done("r")
    };
    assert!(store.finish("r".into(), finished).await.expect("an answer"));
    let found = store
        .find("r".into(), alice())
        .await
        .expect("an answer")
        .expect("found");
    assert_eq!(
        (found.status, found.body.as_str()),
        (Status::Completed, r#"{"id":"r","status":"completed"}"#)
    );
    let events = store.events("r".into(), alice()).await.expect("an answer");
    assert_eq!(events.as_deref(), Some(b"data: 1\n\n\0\xff".as_slice()));
    // An id is given once.
    match store.begin(new("r")).await {
        Err(BeginError::Store(error)) => assert_eq!(error.trouble, Trouble::Failed),
        other => panic!("{other:?}"),
    }
}

async fn what_another_owner_has_is_not_found(place: Place) {
    let store = place.open();
    store.begin(new("r")).await.expect("begun");
    turn(&store, new("done")).await;
    for other in [
        owner("bob", "default"),
        owner("alice", "other"),
        owner("", ""),
        owner("alic", "edefault"),
    ] {
        let id = || "r".to_owned();
        assert_eq!(
            store.find(id(), other.clone()).await.expect("an answer"),
            None
        );
        assert_eq!(
            store.events(id(), other.clone()).await.expect("an answer"),
            None
        );
        let context = store.context(id(), other.clone(), 1000).await;
        assert!(
            matches!(context, Err(ContextError::NotFound)),
            "{context:?}"
        );
        assert!(!store.delete(id(), other.clone()).await.expect("an answer"));
        assert!(
            !store
                .ask_cancel(id(), other.clone())
                .await
                .expect("an answer")
        );
        let items = store.items(vec!["msg_done".into()], other.clone()).await;
        assert!(items.expect("an answer").is_empty());
        // Nor is it an ancestor for it.
        let stolen = NewResponse {
            owner: other.clone(),
            ..after(&format!("{}{}", other.key, other.group), "done")
        };
        let id = stolen.id.clone();
        store.begin(stolen).await.expect("begun");
        let context = store.context(id, other, 1000).await;
        assert!(
            matches!(context, Err(ContextError::MissingAncestor(ref id)) if id == "done"),
            "{context:?}"
        );
    }
    assert!(
        store
            .find("r".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
}

async fn a_chain_of_a_hundred_turns_is_one_context(place: Place) {
    let store = place.open();
    turn(&store, new("r0")).await;
    for number in 1..100 {
        turn(
            &store,
            after(&format!("r{number}"), &format!("r{}", number - 1)),
        )
        .await;
    }
    // A branch that is no part of it.
    turn(&store, after("branch", "r50")).await;
    let context = store
        .context("r99".into(), alice(), 1 << 20)
        .await
        .expect("a context");
    assert_eq!(context.turns.len(), 100);
    assert_eq!(context.stored.id, "r99");
    for (number, turn) in context.turns.iter().enumerate() {
        assert_eq!(turn.input, new(&format!("r{number}")).input);
        assert_eq!(turn.output, done(&format!("r{number}")).output);
    }
    let whole: usize = context
        .turns
        .iter()
        .map(|turn| turn.input.len() + turn.output.len())
        .sum();
    assert!(store.context("r99".into(), alice(), whole).await.is_ok());
    for too_small in [0, 10, whole / 2, whole - 1] {
        let context = store.context("r99".into(), alice(), too_small).await;
        assert!(
            matches!(context, Err(ContextError::TooLarge)),
            "{too_small}"
        );
    }
    let branch = store
        .context("branch".into(), alice(), 1 << 20)
        .await
        .expect("a context");
    assert_eq!(branch.turns.len(), 52);
}

async fn a_deleted_ancestor_is_missed(place: Place) {
    let store = place.open();
    turn(&store, new("a")).await;
    turn(&store, after("b", "a")).await;
    turn(&store, after("c", "b")).await;
    assert!(store.delete("a".into(), alice()).await.expect("an answer"));
    assert!(!store.delete("a".into(), alice()).await.expect("an answer"));
    assert_eq!(
        store.find("a".into(), alice()).await.expect("an answer"),
        None
    );
    let context = store.context("c".into(), alice(), 1000).await;
    assert!(
        matches!(context, Err(ContextError::MissingAncestor(ref id)) if id == "a"),
        "{context:?}"
    );
    assert!(
        store
            .find("c".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
    assert!(
        store
            .items(vec!["msg_a".into()], alice())
            .await
            .expect("an answer")
            .is_empty()
    );
}

async fn what_has_expired_is_not_found_and_goes(place: Place) {
    let store = place.open_for(Duration::from_millis(1500));
    turn(&store, new("r")).await;
    store
        .pin("p".into(), alice(), "up".into())
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
            .items(vec!["msg_r".into()], alice())
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

async fn a_response_that_was_deleted_meanwhile_is_not_finished(place: Place) {
    let store = place.open();
    assert!(
        !store
            .finish("never".into(), done("never"))
            .await
            .expect("an answer")
    );
    store.begin(new("r")).await.expect("begun");
    assert!(store.delete("r".into(), alice()).await.expect("an answer"));
    assert!(
        !store
            .finish("r".into(), done("r"))
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .set_status("r".into(), Status::InProgress, "{}".into())
            .await
            .expect("an answer")
    );
    assert_eq!(
        store.find("r".into(), alice()).await.expect("an answer"),
        None
    );
    assert!(
        store
            .items(vec!["msg_r".into()], alice())
            .await
            .expect("an answer")
            .is_empty()
    );
}

async fn a_lease_that_has_run_out_means_interrupted(place: Place) {
    if !place.is_shared() {
        return;
    }
    let store = place.open();
    store.begin(new("r")).await.expect("begun");
    turn(&store, new("done")).await;
    let find = async |id: &str| {
        store
            .find(id.into(), alice())
            .await
            .expect("an answer")
            .expect("found")
    };
    assert!(!find("r").await.interrupted);
    place.sql("UPDATE responses SET lease = 1").await;
    let found = find("r").await;
    assert_eq!((found.status, found.interrupted), (Status::Failed, true));
    assert!(
        !store
            .ask_cancel("r".into(), alice())
            .await
            .expect("an answer")
    );
    let context = store
        .context("r".into(), alice(), 1000)
        .await
        .expect("a context");
    assert!(context.stored.interrupted);
    assert_eq!(
        (context.turns.len(), context.turns[0].output.as_str()),
        (1, "[]")
    );
    let found = find("done").await;
    assert_eq!(
        (found.status, found.interrupted),
        (Status::Completed, false)
    );
    // It was only slow.
    store
        .renew(vec!["r".into(), "done".into()])
        .await
        .expect("an answer");
    assert_eq!(find("r").await.status, Status::InProgress);
    assert!(
        store
            .finish("r".into(), done("r"))
            .await
            .expect("an answer")
    );
    assert_eq!(find("r").await.status, Status::Completed);
}

async fn a_cancel_is_told_to_whoever_makes_the_response(place: Place) {
    let maker = place.open();
    let other = if place.is_shared() {
        place.open()
    } else {
        maker.clone()
    };
    for number in 0..70 {
        maker
            .begin(new(&format!("r{number}")))
            .await
            .expect("begun");
    }
    let ids = || {
        (0..70)
            .map(|number| format!("r{number}"))
            .collect::<Vec<_>>()
    };
    assert!(maker.renew(ids()).await.expect("an answer").is_empty());
    assert!(maker.renew(Vec::new()).await.expect("an answer").is_empty());
    assert!(
        other
            .ask_cancel("r7".into(), alice())
            .await
            .expect("an answer")
    );
    assert!(
        other
            .ask_cancel("r69".into(), alice())
            .await
            .expect("an answer")
    );
    let mut asked = maker.renew(ids()).await.expect("an answer");
    asked.sort();
    assert_eq!(asked, ["r69", "r7"]);
    let cancelled = Finished {
        status: Status::Cancelled,
        ..done("r7")
    };
    assert!(
        maker
            .finish("r7".into(), cancelled)
            .await
            .expect("an answer")
    );
    assert_eq!(maker.renew(ids()).await.expect("an answer"), ["r69"]);
    assert!(
        !other
            .ask_cancel("r7".into(), alice())
            .await
            .expect("an answer")
    );
    assert!(
        !other
            .ask_cancel("never".into(), alice())
            .await
            .expect("an answer")
    );
}

async fn items_are_found_by_their_ids(place: Place) {
    let store = place.open();
    let many: Vec<String> = (0..150)
        .map(|n| format!(r#"{{"id":"in_{n}", "n" : {n}}}"#))
        .collect();
    let input = format!(
        "[{}, {{\"type\":\"item_reference\",\"id\":\"msg_r\"}}]",
        many.join(" , ")
    );
    turn(&store, NewResponse { input, ..new("r") }).await;
    store
        .create_conversation(
            "c".into(),
            alice(),
            "{}".into(),
            vec![r#"{"id" : "kept"}"#.into()],
        )
        .await
        .expect("made");
    let asked = ["in_149", "nowhere", "msg_r", "kept", "in_0"]
        .map(str::to_owned)
        .to_vec();
    let found = store.items(asked, alice()).await.expect("an answer");
    let expected = [
        ("in_149", r#"{"id":"in_149", "n" : 149}"#),
        ("msg_r", r#"{"id":"msg_r","type":"message"}"#),
        ("kept", r#"{"id" : "kept"}"#),
        ("in_0", r#"{"id":"in_0", "n" : 0}"#),
    ];
    assert_eq!(
        found,
        expected.map(|(id, item)| (id.to_owned(), item.to_owned()))
    );
}

async fn a_full_store_refuses_what_is_new_and_finishes_what_is_begun(place: Place) {
    let settings = Settings {
        responses_max_bytes: 10_000,
        ..place.settings()
    };
    let store = Store::open(settings).expect("a store that opens");
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
        .pin("p".into(), alice(), "up".into())
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

async fn every_byte_is_kept(place: Place) {
    let store = place.open();
    let odd = "[{\"id\":\"i\0\u{1}\", \"t\": \"\0 \\u0000 \\ud800 \u{feff} \u{202e} é e\u{301} 👩‍👩‍👧 \u{10ffff}\",  \"n\":1e400, \"z\":12345678901234567890123, \"a\":1.0}]";
    let whole = NewResponse {
        input: odd.into(),
        body: "{\"\0\":\"\0\"}".into(),
        ..new("r")
    };
    store.begin(whole).await.expect("begun");
    let finished = Finished {
        output: odd.into(),
        body: "{\"\0\0\":\"\u{7f}\"}".into(),
        ..done("r")
    };
    assert!(store.finish("r".into(), finished).await.expect("an answer"));
    let context = store
        .context("r".into(), alice(), 1000)
        .await
        .expect("a context");
    assert_eq!(context.stored.body, "{\"\0\0\":\"\u{7f}\"}");
    assert_eq!(
        (
            context.turns[0].input.as_str(),
            context.turns[0].output.as_str()
        ),
        (odd, odd)
    );
    for id in ["\0", "r\0", "", "\u{10ffff}", &"x".repeat(100_000)] {
        assert_eq!(
            store.find(id.to_owned(), alice()).await.expect("an answer"),
            None
        );
    }
}

async fn sql_in_names_and_ids_is_only_text(place: Place) {
    let store = place.open();
    let nasty = "'; DROP TABLE responses; --\" OR 1=1 $1 ?1 %s \\";
    let mallory = owner(nasty, nasty);
    let mine = NewResponse {
        owner: mallory.clone(),
        input: format!("[{{\"id\":{nasty:?}}}]"),
        ..new(nasty)
    };
    store.begin(mine).await.expect("begun");
    turn(&store, new("r")).await;
    let found = store
        .find(nasty.into(), mallory.clone())
        .await
        .expect("an answer");
    assert_eq!(found.expect("found").id, nasty);
    assert_eq!(
        store
            .items(vec![nasty.into()], mallory.clone())
            .await
            .expect("an answer")
            .len(),
        1
    );
    store
        .pin(nasty.into(), alice(), nasty.into())
        .await
        .expect("pinned");
    store
        .create_conversation(
            nasty.into(),
            mallory.clone(),
            nasty.into(),
            vec![nasty.into()],
        )
        .await
        .expect("made");
    let items = store
        .conversation_items(nasty.into(), mallory.clone(), 1000)
        .await
        .expect("an answer");
    assert_eq!(items, Some(vec![nasty.to_owned()]));
    store.renew(vec![nasty.into()]).await.expect("an answer");
    assert!(
        store
            .delete(nasty.into(), mallory)
            .await
            .expect("an answer")
    );
    assert!(
        store
            .find("r".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
}

async fn a_pin_says_where_a_response_is(place: Place) {
    let store = place.open();
    store
        .pin("p".into(), alice(), "openai-1".into())
        .await
        .expect("pinned");
    store
        .pin("p".into(), owner("bob", "default"), "openai-2".into())
        .await
        .expect("pinned");
    let context = store
        .context("p".into(), alice(), 0)
        .await
        .expect("a context");
    assert_eq!(
        (context.stored.channel.as_str(), context.turns.len()),
        ("openai-1", 0)
    );
    store
        .pin("p".into(), alice(), "openai-3".into())
        .await
        .expect("pinned");
    let found = store
        .find("p".into(), alice())
        .await
        .expect("an answer")
        .expect("found");
    assert_eq!(
        (found.channel.as_str(), found.interrupted),
        ("openai-3", false)
    );
    assert!(store.delete("p".into(), alice()).await.expect("an answer"));
    assert_eq!(
        store.find("p".into(), alice()).await.expect("an answer"),
        None
    );
    let bobs = store
        .find("p".into(), owner("bob", "default"))
        .await
        .expect("an answer");
    assert_eq!(bobs.expect("found").channel, "openai-2");
}

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
    let error = Store::open(place.settings())
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
