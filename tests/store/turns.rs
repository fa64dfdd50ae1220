//! Turns: begun, finished, continued, asked to stop; the figures that other cases are made of.

use torouter::store::{BeginError, ContextError, Finished, NewResponse, Status, Store, Trouble};

use super::place::{Place, alice};
use super::suite::list;

list![
    a_response_is_begun_finished_and_found,
    a_chain_of_a_hundred_turns_is_one_context,
    a_deleted_ancestor_is_missed,
    a_response_that_was_deleted_meanwhile_is_not_finished,
    an_end_that_came_first_is_not_undone_by_a_status,
    a_lease_that_has_run_out_means_interrupted,
    a_cancel_or_a_delete_is_told_to_whoever_makes_the_response,
];

pub fn new(id: &str) -> NewResponse {
    NewResponse {
        id: id.to_owned(),
        owner: alice(),
        previous: None,
        conversation: None,
        conversation_version: None,
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
        Err(BeginError::Store(error)) => assert_eq!(error.trouble, Trouble::Refused),
        other => panic!("{other:?}"),
    }
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
            .items(vec!["msg_a".into()], alice(), 1 << 20)
            .await
            .expect("an answer")
            .is_empty()
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
            .items(vec!["msg_r".into()], alice(), 1 << 20)
            .await
            .expect("an answer")
            .is_empty()
    );
}

async fn an_end_that_came_first_is_not_undone_by_a_status(place: Place) {
    let store = place.open();
    let other = if place.is_shared() {
        place.open()
    } else {
        store.clone()
    };
    for round in 0..20 {
        let id = || format!("r{round}");
        let queued = NewResponse {
            status: Status::Queued,
            ..new(&id())
        };
        store.begin(queued).await.expect("begun");
        let set = || other.set_status(id(), Status::InProgress, "{}".into());
        // Whichever is first, the end is what stands.
        let (_, finished) = tokio::join!(set(), store.finish(id(), done(&id())));
        assert!(finished.expect("an answer"));
        assert!(!set().await.expect("an answer"));
        let found = store.find(id(), alice()).await.expect("an answer");
        let found = found.expect("found");
        assert_eq!(
            (found.status, found.body),
            (Status::Completed, done(&id()).body)
        );
    }
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

async fn a_cancel_or_a_delete_is_told_to_whoever_makes_the_response(place: Place) {
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
    // What is deleted need not be made any longer.
    for id in ["r0", "r68"] {
        assert!(other.delete(id.into(), alice()).await.expect("an answer"));
    }
    let mut stop = maker.renew(ids()).await.expect("an answer");
    stop.sort();
    assert_eq!(stop, ["r0", "r68", "r69"]);
}
