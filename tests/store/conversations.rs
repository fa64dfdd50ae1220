//! Conversations: what must hold on every database.

use torouter::store::{BeginError, ContextError, Finished, NewResponse, Status, Store};

use super::place::{Place, alice, owner};
use super::suite::list;
use super::turns::{after, done, new, turn};

list![
    a_conversation_is_made_changed_and_deleted,
    what_another_owner_says_is_not_found,
    a_turn_adds_its_items_when_it_ends_well,
    of_turns_that_race_in_one_conversation_one_is_begun,
    a_turn_that_was_made_without_anothers_items_is_not_begun,
    a_lock_whose_lease_has_run_out_is_lost,
    a_response_continues_from_the_conversation_of_its_time,
];

fn within(id: &str, conversation: &str) -> NewResponse {
    NewResponse {
        conversation: Some(conversation.to_owned()),
        ..new(id)
    }
}

fn items(names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| format!(r#"{{"id":"{name}"}}"#))
        .collect()
}

async fn read(store: &Store, id: &str) -> Vec<String> {
    let read = store.conversation_items(id.into(), alice(), 1 << 20).await;
    read.expect("an answer").expect("found").items
}

async fn a_conversation_is_made_changed_and_deleted(place: Place) {
    let store = place.open();
    let id = || "c".to_owned();
    let many: Vec<String> = (0..150).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
    let made = store
        .create_conversation(id(), alice(), "{ }".into(), many.clone())
        .await
        .expect("made");
    let found = store
        .find_conversation(id(), alice())
        .await
        .expect("an answer");
    assert_eq!(found, Some(made.clone()));
    assert_eq!(made.metadata, "{ }");
    let changed = store
        .change_conversation(id(), alice(), r#"{"a":"b"}"#.into())
        .await
        .expect("an answer");
    assert_eq!(changed.expect("found").metadata, r#"{"a":"b"}"#);
    assert!(
        store
            .add_conversation_items(id(), alice(), items(&["x", "y"]))
            .await
            .expect("an answer")
    );
    let all = [many, items(&["x", "y"])].concat();
    assert_eq!(read(&store, "c").await, all);
    let whole: usize = all.iter().map(String::len).sum();
    assert!(store.conversation_items(id(), alice(), whole).await.is_ok());
    let small = store.conversation_items(id(), alice(), whole - 1).await;
    assert!(matches!(small, Err(ContextError::TooLarge)), "{small:?}");
    assert!(
        store
            .delete_conversation_item(id(), alice(), "x".into())
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .delete_conversation_item(id(), alice(), "x".into())
            .await
            .expect("an answer")
    );
    let kept = read(&store, "c").await;
    assert_eq!((kept.len(), kept.last()), (151, items(&["y"]).last()));
    assert!(
        store
            .delete_conversation(id(), alice())
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .delete_conversation(id(), alice())
            .await
            .expect("an answer")
    );
    assert!(
        store
            .items(vec!["y".into()], alice(), 1 << 20)
            .await
            .expect("an answer")
            .is_empty()
    );
}

async fn what_another_owner_says_is_not_found(place: Place) {
    let store = place.open();
    let id = || "c".to_owned();
    store
        .create_conversation(id(), alice(), "{}".into(), items(&["x"]))
        .await
        .expect("made");
    for other in [owner("bob", "default"), owner("alice", "other")] {
        assert_eq!(
            store
                .find_conversation(id(), other.clone())
                .await
                .expect("an answer"),
            None
        );
        let changed = store
            .change_conversation(id(), other.clone(), "{1}".into())
            .await;
        assert_eq!(changed.expect("an answer"), None);
        let read = store.conversation_items(id(), other.clone(), 1000).await;
        assert_eq!(read.expect("an answer"), None);
        assert!(
            !store
                .add_conversation_items(id(), other.clone(), items(&["z"]))
                .await
                .expect("an answer")
        );
        assert!(
            !store
                .delete_conversation_item(id(), other.clone(), "x".into())
                .await
                .expect("an answer")
        );
        assert!(
            !store
                .delete_conversation(id(), other.clone())
                .await
                .expect("an answer")
        );
        assert!(
            store
                .items(vec!["x".into()], other.clone(), 1 << 20)
                .await
                .expect("an answer")
                .is_empty()
        );
        let begun = store
            .begin(NewResponse {
                owner: other,
                ..within("r", "c")
            })
            .await;
        assert!(
            matches!(begun, Err(BeginError::NoConversation)),
            "{begun:?}"
        );
    }
    assert_eq!(read(&store, "c").await, items(&["x"]));
}

async fn a_turn_adds_its_items_when_it_ends_well(place: Place) {
    let store = place.open();
    store
        .create_conversation("c".into(), alice(), "{}".into(), items(&["x"]))
        .await
        .expect("made");
    let mut expected = items(&["x"]);
    for (id, status) in [
        ("r1", Status::Completed),
        ("r2", Status::Failed),
        ("r3", Status::Incomplete),
        ("r4", Status::Cancelled),
    ] {
        store.begin(within(id, "c")).await.expect("begun");
        assert!(
            store
                .finish(id.into(), Finished { status, ..done(id) })
                .await
                .expect("an answer")
        );
        if matches!(status, Status::Completed | Status::Incomplete) {
            let (input, output) = (new(id).input, done(id).output);
            expected.push(input[1..input.len() - 1].to_owned());
            expected.push(output[1..output.len() - 1].to_owned());
        }
        assert_eq!(read(&store, "c").await, expected, "{id}");
    }
    // A turn that is deleted while it is made lets the next one begin.
    store.begin(within("r5", "c")).await.expect("begun");
    assert!(store.delete("r5".into(), alice()).await.expect("an answer"));
    store.begin(within("r6", "c")).await.expect("begun");
    // A conversation that is deleted meanwhile does not keep its turn from ending.
    assert!(
        store
            .delete_conversation("c".into(), alice())
            .await
            .expect("an answer")
    );
    assert!(
        store
            .finish("r6".into(), done("r6"))
            .await
            .expect("an answer")
    );
    let begun = store.begin(within("r7", "c")).await;
    assert!(
        matches!(begun, Err(BeginError::NoConversation)),
        "{begun:?}"
    );
}

async fn of_turns_that_race_in_one_conversation_one_is_begun(place: Place) {
    let stores = if place.is_shared() {
        vec![place.open(), place.open()]
    } else {
        vec![place.open()]
    };
    stores[0]
        .create_conversation("c".into(), alice(), "{}".into(), Vec::new())
        .await
        .expect("made");
    for round in 0..10 {
        let racing: Vec<_> = (0..8)
            .map(|number| {
                let store = stores[number % stores.len()].clone();
                let id = format!("r{round}-{number}");
                tokio::spawn(async move { store.begin(within(&id, "c")).await.map(|()| id) })
            })
            .collect();
        let mut begun = Vec::new();
        for one in racing {
            match one.await.expect("no panic") {
                Ok(id) => begun.push(id),
                Err(BeginError::ConversationBusy) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(begun.len(), 1);
        let id = begun.remove(0);
        assert!(
            stores[0]
                .finish(id.clone(), done(&id))
                .await
                .expect("an answer")
        );
    }
    assert_eq!(read(&stores[0], "c").await.len(), 20);
}

async fn a_turn_that_was_made_without_anothers_items_is_not_begun(place: Place) {
    let store = place.open();
    store
        .create_conversation("c".into(), alice(), "{}".into(), items(&["x"]))
        .await
        .expect("made");
    let version = async || {
        let read = store.conversation_items("c".into(), alice(), 1000).await;
        Some(read.expect("an answer").expect("found").version)
    };
    let of = |id: &str, conversation_version| NewResponse {
        conversation_version,
        ..within(id, "c")
    };
    let early = version().await;
    turn(&store, of("r1", early)).await;
    let late = store.begin(of("late", early)).await;
    assert!(
        matches!(late, Err(BeginError::ConversationBusy)),
        "{late:?}"
    );
    // Nothing of it is left, nor of the lock.
    let found = store.find("late".into(), alice()).await;
    assert_eq!(found.expect("an answer"), None);
    // A turn that came to nothing has added nothing.
    let early = version().await;
    let failed = Finished {
        status: Status::Failed,
        ..done("r2")
    };
    store.begin(of("r2", early)).await.expect("begun");
    assert!(store.finish("r2".into(), failed).await.expect("finished"));
    turn(&store, of("r3", early)).await;
    let early = version().await;
    let added = store.add_conversation_items("c".into(), alice(), items(&["y"]));
    assert!(added.await.expect("an answer"));
    let late = store.begin(of("late", early)).await;
    assert!(
        matches!(late, Err(BeginError::ConversationBusy)),
        "{late:?}"
    );
    turn(&store, of("late", version().await)).await;
}

async fn a_lock_whose_lease_has_run_out_is_lost(place: Place) {
    if !place.is_shared() {
        return;
    }
    let store = place.open();
    store
        .create_conversation("c".into(), alice(), "{}".into(), Vec::new())
        .await
        .expect("made");
    store.begin(within("slow", "c")).await.expect("begun");
    place.sql("UPDATE conversations SET lease = 1").await;
    // Renewed in time, it is still held.
    store.renew(vec!["slow".into()]).await.expect("an answer");
    let begun = store.begin(within("next", "c")).await;
    assert!(
        matches!(begun, Err(BeginError::ConversationBusy)),
        "{begun:?}"
    );
    place.sql("UPDATE conversations SET lease = 1").await;
    store.begin(within("next", "c")).await.expect("begun");
    // The slow one comes too late to add anything, and takes the lock from nobody.
    assert!(
        store
            .finish("slow".into(), done("slow"))
            .await
            .expect("an answer")
    );
    let begun = store.begin(within("third", "c")).await;
    assert!(
        matches!(begun, Err(BeginError::ConversationBusy)),
        "{begun:?}"
    );
    assert!(
        store
            .finish("next".into(), done("next"))
            .await
            .expect("an answer")
    );
    let kept = read(&store, "c").await.join(" ");
    assert!(
        kept.contains("msg_next") && !kept.contains("slow"),
        "{kept}"
    );
}

async fn a_response_continues_from_the_conversation_of_its_time(place: Place) {
    let store = place.open();
    store
        .create_conversation("c".into(), alice(), "{}".into(), items(&["x", "y"]))
        .await
        .expect("made");
    turn(&store, within("r1", "c")).await;
    turn(&store, within("r2", "c")).await;
    turn(&store, after("next", "r1")).await;
    let context = store
        .context("next".into(), alice(), 1000)
        .await
        .expect("a context");
    let inputs: Vec<_> = context
        .turns
        .iter()
        .map(|turn| turn.input.as_str())
        .collect();
    assert_eq!(
        inputs,
        [
            r#"[{"id":"x"},{"id":"y"}]"#,
            &new("r1").input,
            &new("next").input
        ]
    );
    let context = store
        .context("r2".into(), alice(), 1000)
        .await
        .expect("a context");
    assert_eq!(context.turns.len(), 2);
    let before = &context.turns[0].input;
    assert!(
        before.contains("to r1") && before.contains("msg_r1"),
        "{before}"
    );
    let whole: usize = context
        .turns
        .iter()
        .map(|turn| turn.input.len() + turn.output.len())
        .sum();
    let small = store.context("r2".into(), alice(), whole / 2).await;
    assert!(matches!(small, Err(ContextError::TooLarge)), "{small:?}");
    assert!(
        store
            .delete_conversation("c".into(), alice())
            .await
            .expect("an answer")
    );
    let context = store.context("next".into(), alice(), 1000).await;
    assert!(
        matches!(context, Err(ContextError::MissingAncestor(ref id)) if id == "c"),
        "{context:?}"
    );
}
