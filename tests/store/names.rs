//! Names and bytes: whose something is, under which id it is found, and that nothing in it is changed.

use torouter::store::{ContextError, Finished, NewResponse};

use super::place::{Place, alice, owner};
use super::suite::list;
use super::turns::{after, done, new, turn};

list![
    what_another_owner_has_is_not_found,
    items_are_found_by_their_ids,
    of_items_with_one_id_the_newest_is_found,
    no_more_items_are_read_than_fit,
    every_byte_is_kept,
    sql_in_names_and_ids_is_only_text,
    a_pin_says_where_a_response_is,
    many_are_pinned_at_once,
];

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
        let items = store
            .items(vec!["msg_done".into()], other.clone(), 1 << 20)
            .await;
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
    let found = store
        .items(asked, alice(), 1 << 20)
        .await
        .expect("an answer");
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

async fn of_items_with_one_id_the_newest_is_found(place: Place) {
    let store = place.open();
    let item = |id: &str, n: i32| format!(r#"{{"id":"{id}","n":{n}}}"#);
    let conversation = |id: &str, n| {
        let items = vec![item("both", n), item("talk", n), item("talk", n + 1)];
        store.create_conversation(id.into(), alice(), "{}".into(), items)
    };
    conversation("old", 0).await.expect("made");
    for n in 10..13 {
        // Two that are made in one millisecond have no order.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let id = format!("r{n}");
        let input = format!("[{},{}]", item("both", n), item(&id, n));
        store
            .begin(NewResponse { input, ..new(&id) })
            .await
            .expect("begun");
        let output = format!("[{}]", item("made", n));
        let finished = Finished {
            output,
            ..done(&id)
        };
        assert!(store.finish(id, finished).await.expect("finished"));
    }
    conversation("young", 2).await.expect("made");
    // More than are looked for at once, and some again and again.
    let mut asked: Vec<String> = (0..600).map(|n| format!("nowhere{n}")).collect();
    for id in ["talk", "made", "r10", "both", "r12", "made", "talk"] {
        asked.extend(vec![id.to_owned(); 300]);
    }
    let found = store.items(asked.clone(), alice(), 1 << 20).await;
    let expected = [
        ("talk", 3),
        ("made", 12),
        ("r10", 10),
        ("both", 12),
        ("r12", 12),
    ];
    assert_eq!(
        found.expect("an answer"),
        expected.map(|(id, n)| (id.to_owned(), item(id, n)))
    );
    assert!(store.delete("r12".into(), alice()).await.expect("deleted"));
    let found = store.items(asked, alice(), 1 << 20).await;
    let expected = [("talk", 3), ("made", 11), ("r10", 10), ("both", 11)];
    assert_eq!(
        found.expect("an answer"),
        expected.map(|(id, n)| (id.to_owned(), item(id, n)))
    );
}

async fn no_more_items_are_read_than_fit(place: Place) {
    let store = place.open();
    let items: Vec<String> = (0..300)
        .map(|n| format!(r#"{{"id":"i{n}","t":"{}"}}"#, "x".repeat(100)))
        .collect();
    let input = format!("[{}]", items[..2].join(","));
    turn(&store, NewResponse { input, ..new("r") }).await;
    store
        .create_conversation("c".into(), alice(), "{}".into(), items[2..].to_vec())
        .await
        .expect("made");
    for count in [1, 2, 3, 300] {
        let asked: Vec<String> = (0..count).map(|n| format!("i{n}")).collect();
        let whole = items[..count].iter().map(String::len).sum();
        let found = store.items(asked.clone(), alice(), whole).await;
        let found = found.expect("they fit");
        assert!(found.iter().map(|(_, item)| item).eq(&items[..count]));
        let found = store.items(asked, alice(), whole - 1).await;
        assert!(matches!(found, Err(ContextError::TooLarge)), "{count}");
    }
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
            .items(vec![nasty.into()], mallory.clone(), 1 << 20)
            .await
            .expect("an answer")
            .len(),
        1
    );
    store
        .pin(vec![nasty.into()], alice(), nasty.into())
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
    assert_eq!(items.expect("found").items, [nasty]);
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
        .pin(vec!["p".into()], alice(), "openai-1".into())
        .await
        .expect("pinned");
    store
        .pin(vec!["p".into()], owner("bob", "default"), "openai-2".into())
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
        .pin(vec!["p".into()], alice(), "openai-3".into())
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

async fn many_are_pinned_at_once(place: Place) {
    let store = place.open();
    store
        .pin(Vec::new(), alice(), "up".into())
        .await
        .expect("nothing to do");
    // More than a statement takes, and one of them twice.
    let mut ids: Vec<String> = (0..150).map(|n| format!("p{}", n % 149)).collect();
    // Kept under one name.
    ids.extend(["\0".to_owned(), "\u{fffd}".to_owned()]);
    store
        .pin(ids.clone(), alice(), "up".into())
        .await
        .expect("pinned");
    for id in &ids {
        let found = store.find(id.clone(), alice()).await.expect("an answer");
        assert_eq!(found.expect("found").channel, "up", "{id}");
    }
    // Two who pin the same, each in its own order, do not stand in each other's way.
    let racing: Vec<_> = (0..8)
        .map(|number| {
            let (store, mut ids) = (store.clone(), ids.clone());
            ids.rotate_left(number * 19);
            tokio::spawn(async move { store.pin(ids, alice(), format!("up{number}")).await })
        })
        .collect();
    for one in racing {
        one.await.expect("no panic").expect("pinned");
    }
    let mut channels = Vec::new();
    for id in &ids {
        let found = store.find(id.clone(), alice()).await.expect("an answer");
        channels.push(found.expect("found").channel);
    }
    channels.dedup();
    assert_eq!(channels.len(), 1, "all by the last: {channels:?}");
}
