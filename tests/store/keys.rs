//! Keys: what must hold on every database.

use torouter::base::{Limits, Usd};
use torouter::store::{KeyError, KeyRow};

use super::place::Place;
use super::suite::list;

list![
    a_key_is_found_as_it_was_made,
    a_change_is_made_once_and_only_to_what_was_read,
    a_deleted_key_is_gone_and_its_name_is_free,
    of_keys_that_race_for_a_name_one_is_made,
    changes_that_race_are_made_one_after_the_other,
    the_version_grows_with_each_change_and_no_other_call,
    the_audit_tells_what_has_changed_and_no_digest,
    names_with_sql_in_them_are_names,
    keys_are_there_for_who_comes_later,
];

pub fn key(name: &str) -> KeyRow {
    KeyRow {
        id: format!("key_{name}"),
        name: name.to_owned(),
        group: "default".to_owned(),
        digest: [7; 32],
        hint: "sk-…abcd".to_owned(),
        enabled: true,
        models: vec!["gpt-*".to_owned(), "\"quoted\"".to_owned()],
        allow: vec!["10.0.0.0/8".to_owned()],
        deny: Vec::new(),
        expires: Some(1_900_000_000_000),
        limits: Limits {
            rpm: 5,
            tpm: 1_000_000_000_000,
            spend_usd: Usd::parse("999999999.000000000001").expect("an amount"),
            spend_usd_30d: Usd::parse("0.5").expect("an amount"),
            ..Limits::default()
        },
        created: 0,
        updated: 0,
    }
}

async fn a_key_is_found_as_it_was_made(place: Place) {
    let store = place.open();
    assert_eq!(store.keys().await.expect("keys").1, []);
    assert_eq!(store.key("a").await.expect("an answer"), None);
    let made = store.key_create(key("a"), "cli").await.expect("made");
    assert!(made.created > 0 && made.updated == made.created);
    let expected = KeyRow {
        created: made.created,
        updated: made.updated,
        ..key("a")
    };
    assert_eq!(made, expected);
    for name in ["a", "key_a"] {
        let found = store.key(name).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&made), "{name}");
    }
    // A name that looks like another's id does not hide it.
    let other = KeyRow {
        id: "key_other".to_owned(),
        ..key("key_a")
    };
    let other = store.key_create(other, "cli").await.expect("made");
    let found = store.key("key_a").await.expect("an answer");
    assert_eq!(found.expect("found").id, "key_a");
    assert_eq!(store.keys().await.expect("keys").1, [made, other]);
}

async fn a_change_is_made_once_and_only_to_what_was_read(place: Place) {
    let store = place.open();
    let made = store.key_create(key("a"), "cli").await.expect("made");
    store.key_create(key("b"), "cli").await.expect("made");
    let wanted = KeyRow {
        name: "new".to_owned(),
        enabled: false,
        expires: None,
        limits: Limits::default(),
        digest: [8; 32],
        created: 5,
        ..made.clone()
    };
    let changed = store.key_update(wanted.clone(), "admin").await;
    let changed = changed.expect("changed");
    assert!(changed.updated > made.updated);
    let expected = KeyRow {
        created: made.created,
        updated: changed.updated,
        ..wanted.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(store.key("new").await.expect("an answer"), Some(expected));
    let again = store.key_update(wanted.clone(), "admin").await;
    assert!(matches!(again, Err(KeyError::Conflict)), "{again:?}");
    let taken = KeyRow {
        name: "b".to_owned(),
        ..changed.clone()
    };
    let taken = store.key_update(taken, "admin").await;
    assert!(matches!(taken, Err(KeyError::NameTaken)), "{taken:?}");
    let nobody = store.key_update(key("nobody"), "admin").await;
    assert!(matches!(nobody, Err(KeyError::NotFound)), "{nobody:?}");
    assert_eq!(store.key("new").await.expect("an answer"), Some(changed));
}

async fn a_deleted_key_is_gone_and_its_name_is_free(place: Place) {
    let store = place.open();
    let made = store.key_create(key("a"), "cli").await.expect("made");
    let deleted = store.key_delete("a", "cli").await.expect("deleted");
    assert_eq!(deleted, made);
    for gone in ["a", "key_a"] {
        assert_eq!(store.key(gone).await.expect("an answer"), None);
        let again = store.key_delete(gone, "cli").await;
        assert!(matches!(again, Err(KeyError::NotFound)), "{again:?}");
    }
    store.key_create(key("a"), "cli").await.expect("made anew");
    store
        .key_delete("key_a", "cli")
        .await
        .expect("deleted by id");
}

async fn of_keys_that_race_for_a_name_one_is_made(place: Place) {
    let stores = if place.is_shared() {
        vec![place.open(), place.open()]
    } else {
        vec![place.open()]
    };
    for round in 0..5 {
        let racing: Vec<_> = (0..8)
            .map(|number| {
                let store = stores[number % stores.len()].clone();
                let key = KeyRow {
                    id: format!("key_{round}_{number}"),
                    ..key(&format!("name{round}"))
                };
                tokio::spawn(async move { store.key_create(key, "cli").await })
            })
            .collect();
        let mut made = 0;
        for one in racing {
            match one.await.expect("no panic") {
                Ok(_) => made += 1,
                Err(KeyError::NameTaken) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(made, 1);
    }
    let audit = stores[0].audit(None, 100).await.expect("an audit");
    assert_eq!(audit.len(), 5);
}

async fn changes_that_race_are_made_one_after_the_other(place: Place) {
    let store = place.open();
    let made = store.key_create(key("a"), "cli").await.expect("made");
    let racing: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            let key = KeyRow {
                group: format!("g{number}"),
                ..made.clone()
            };
            tokio::spawn(async move { store.key_update(key, "cli").await })
        })
        .collect();
    let mut changed = 0;
    for one in racing {
        match one.await.expect("no panic") {
            Ok(_) => changed += 1,
            Err(KeyError::Conflict) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(changed, 1);
}

async fn the_version_grows_with_each_change_and_no_other_call(place: Place) {
    let store = place.open();
    let version = async || {
        let version = store.keys_version().await.expect("a version");
        assert_eq!(store.keys().await.expect("keys").0, version);
        version
    };
    let mut last = version().await;
    let made = store.key_create(key("a"), "cli").await.expect("made");
    assert!(version().await > last);
    last = version().await;
    store
        .key_update(made.clone(), "cli")
        .await
        .expect("changed");
    assert!(version().await > last);
    last = version().await;
    let taken = KeyRow {
        id: "key_other".to_owned(),
        ..key("a")
    };
    assert!(store.key_create(taken, "cli").await.is_err());
    assert!(store.key_update(made, "cli").await.is_err());
    assert!(store.key_delete("nobody", "cli").await.is_err());
    assert_eq!(version().await, last);
    store.key_delete("a", "cli").await.expect("deleted");
    assert!(version().await > last);
}

async fn the_audit_tells_what_has_changed_and_no_digest(place: Place) {
    let store = place.open();
    let made = store.key_create(key("a"), "cli").await.expect("made");
    let changed = KeyRow {
        name: "b".to_owned(),
        digest: [9; 32],
        limits: Limits {
            rpm: 50,
            ..made.limits
        },
        ..made
    };
    store.key_update(changed, "admin").await.expect("changed");
    store.key_delete("b", "cli").await.expect("deleted");
    let audit = store.audit(None, 10).await.expect("an audit");
    let told: Vec<_> = audit
        .iter()
        .map(|row| (&*row.by, &*row.action, &*row.subject, &*row.name))
        .collect();
    assert_eq!(
        told,
        [
            ("cli", "key.delete", "key_a", "b"),
            ("admin", "key.update", "key_a", "b"),
            ("cli", "key.create", "key_a", "a"),
        ]
    );
    assert_eq!(
        audit[1].detail,
        r#"{"name":{"before":"a","after":"b"},"rpm":{"before":5,"after":50},"secret":{"before":"sk-…abcd","after":"sk-…abcd"}}"#
    );
    for part in [
        r#""spend_usd":{"after":999999999.000000000001}"#,
        r#""models":{"after":["gpt-*","\"quoted\""]}"#,
        r#""secret":{"after":"sk-…abcd"}"#,
    ] {
        assert!(audit[2].detail.contains(part), "{}", audit[2].detail);
    }
    assert!(audit[0].detail.contains(r#""rpm":{"before":50}"#));
    assert!(audit.iter().all(|row| row.at > 0));
    let page = store.audit(Some(audit[0].id), 1).await.expect("a page");
    assert_eq!(page, audit[1..2]);
}

async fn names_with_sql_in_them_are_names(place: Place) {
    let store = place.open();
    for name in [
        "'; DROP TABLE keys; --",
        "\" OR 1=1",
        "$1",
        "100%",
        "ä\u{202e}",
    ] {
        store.key_create(key(name), "'); --").await.expect("made");
        let found = store.key(name).await.expect("an answer");
        assert_eq!(found.expect("found").name, name);
    }
    assert_eq!(store.keys().await.expect("keys").1.len(), 5);
    assert!(store.key_delete("' OR '1'='1", "cli").await.is_err());
    let audit = store.audit(None, 1).await.expect("an audit");
    assert_eq!(audit[0].by, "'); --");
}

async fn keys_are_there_for_who_comes_later(place: Place) {
    let store = place.open();
    let made = store.key_create(key("a"), "cli").await.expect("made");
    if place.is_shared() {
        let later = place.open();
        assert_eq!(
            later.keys().await.expect("keys"),
            (store.keys_version().await.expect("a version"), vec![made])
        );
    }
}
