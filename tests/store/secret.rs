//! The secret that digests of keys are made with.

use torouter::store::Trouble;

use super::place::Place;
use super::suite::list;

list![
    a_secret_is_made_once_and_stays,
    gateways_that_start_at_once_agree_on_a_secret,
    a_configured_secret_is_not_kept_and_may_not_change,
    a_secret_of_the_databases_own_is_not_replaced,
];

async fn a_secret_is_made_once_and_stays(place: Place) {
    let store = place.open();
    let secret = store.server_secret(None).await.expect("a secret");
    assert_ne!(secret, [0; 32]);
    assert_eq!(store.server_secret(None).await.expect("a secret"), secret);
    if place.is_shared() {
        let later = place.open().server_secret(None).await;
        assert_eq!(later.expect("a secret"), secret);
    }
}

async fn gateways_that_start_at_once_agree_on_a_secret(place: Place) {
    if !place.is_shared() {
        return;
    }
    let stores: Vec<_> = (0..6).map(|_| place.open()).collect();
    let asking: Vec<_> = stores
        .into_iter()
        .map(|store| tokio::spawn(async move { store.server_secret(None).await }))
        .collect();
    let mut secrets = Vec::new();
    for one in asking {
        secrets.push(one.await.expect("no panic").expect("a secret"));
    }
    secrets.dedup();
    assert_eq!(secrets.len(), 1);
}

async fn a_configured_secret_is_not_kept_and_may_not_change(place: Place) {
    let store = place.open();
    let secret = store.server_secret(Some(b"first")).await.expect("taken");
    let again = store.server_secret(Some(b"first")).await;
    assert_eq!(again.expect("the same"), secret);
    for other in [Some(&b"second"[..]), None] {
        let error = store.server_secret(other).await.expect_err("another");
        assert_eq!(error.trouble, Trouble::Failed);
        assert!(error.message.contains("store.key_secret"), "{error}");
        assert!(!error.message.contains("second"), "{error}");
    }
    if place.is_shared() {
        let kept = "SELECT COUNT(*) FROM secrets WHERE secret IS NOT NULL";
        assert_eq!(place.sql(kept).await, Some(0));
    }
}

async fn a_secret_of_the_databases_own_is_not_replaced(place: Place) {
    let store = place.open();
    let own = store.server_secret(None).await.expect("a secret");
    let error = store.server_secret(Some(b"mine")).await;
    let error = error.expect_err("another");
    assert!(error.message.contains("take it out"), "{error}");
    assert_eq!(store.server_secret(None).await.expect("a secret"), own);
}
