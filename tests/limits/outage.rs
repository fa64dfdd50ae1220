//! Redis goes away, hangs, comes back, and has forgotten all.

use std::time::{Duration, Instant};

use torouter::base::{Limits, Usd};
use torouter::config::OnFailure;
use torouter::gate::limits::Clock;

use super::server::{Redis, ask, one, rpm, until};

#[tokio::test]
async fn local_goes_on_with_what_it_knows_and_tells_redis_later() {
    let mut redis = Redis::start();
    let gateway = redis.gateway(OnFailure::Local, Clock::System);
    for _ in 0..3 {
        gateway
            .admit("a", &rpm(5), &one())
            .await
            .expect("room")
            .0
            .settle(1, None);
    }
    redis.kill();
    for _ in 0..2 {
        gateway
            .admit("a", &rpm(5), &one())
            .await
            .expect("room")
            .0
            .settle(1, None);
    }
    assert!(!gateway.is_up());
    let denied = gateway
        .admit("a", &rpm(5), &one())
        .await
        .err()
        .expect("3 + 2 is all");
    assert_eq!(denied.limit.name(), "rpm");
    // This Redis has forgotten all: it is told what was used.
    redis.run();
    until("it is found again", || gateway.is_up()).await;
    let denied = gateway
        .admit("a", &rpm(5), &one())
        .await
        .err()
        .expect("still all");
    assert_eq!(denied.limit.name(), "rpm");
    let other = redis.gateway(OnFailure::Deny, Clock::System);
    assert!(
        other.admit("a", &rpm(5), &one()).await.is_err(),
        "for all gateways"
    );
}

#[tokio::test]
async fn deny_refuses_while_redis_is_away_and_only_keys_with_limits() {
    let mut redis = Redis::start();
    let gateway = redis.gateway(OnFailure::Deny, Clock::System);
    let (held, _) = gateway.admit("a", &rpm(5), &one()).await.expect("room");
    redis.kill();
    let denied = gateway
        .admit("a", &rpm(5), &one())
        .await
        .err()
        .expect("refused");
    assert_eq!(denied.limit.name(), "unavailable");
    let fault = denied.fault("a");
    assert_eq!(
        (fault.status, fault.retry_after),
        (503, Some(Duration::from_secs(1)))
    );
    assert!(gateway.admit("b", &Limits::default(), &one()).await.is_ok());
    drop(held);
    redis.run();
    until("it is found again", || gateway.is_up()).await;
    assert!(gateway.admit("a", &rpm(5), &one()).await.is_ok());
}

#[tokio::test]
async fn a_redis_that_hangs_holds_a_request_up_for_a_quarter_of_a_second_and_only_the_first() {
    let redis = Redis::start();
    let gateway = redis.gateway(OnFailure::Local, Clock::System);
    let limits = Limits {
        tpm: 1000,
        spend_usd: Usd::from_pico(1_000_000),
        max_in_flight: 1,
        ..Limits::default()
    };
    let (before, _) = gateway
        .admit("a", &limits, &ask(4, 6, true, 1))
        .await
        .expect("room");
    redis.signal("-STOP");
    let from = Instant::now();
    assert!(
        gateway
            .admit("a", &limits, &ask(4, 6, true, 1))
            .await
            .is_err(),
        "its place is taken"
    );
    assert!(
        from.elapsed() < Duration::from_millis(600),
        "{:?}",
        from.elapsed()
    );
    let from = Instant::now();
    for _ in 0..100 {
        assert!(
            gateway
                .admit("a", &limits, &ask(4, 6, true, 1))
                .await
                .is_err()
        );
    }
    assert!(
        from.elapsed() < Duration::from_millis(100),
        "{:?}",
        from.elapsed()
    );
    before.settle(7, Some(Usd::from_pico(7_000)));
    let (during, _) = gateway
        .admit("a", &limits, &ask(4, 6, true, 1))
        .await
        .expect("a place");
    during.settle(5, Some(Usd::from_pico(5_000)));
    redis.signal("-CONT");
    until("it is found again", || gateway.is_up()).await;
    gateway.flush().await;
    // All that has ended meanwhile is counted, and nothing is held.
    let other = redis.gateway(OnFailure::Deny, Clock::System);
    let (held, standing) = other
        .admit("a", &limits, &ask(4, 6, true, 1))
        .await
        .expect("a place");
    assert_eq!(
        standing.tokens.expect("limited").remaining,
        1000 - 7 - 5 - 10
    );
    drop(held);
    let spent = redis
        .ask(redis::cmd("GET").arg("torouter:limits:a:total"))
        .expect("an answer");
    assert_eq!(redis::from_redis_value::<u64>(spent).expect("a number"), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_restarts_in_mid_load_loses_no_place() {
    let mut redis = Redis::start();
    let gateway = redis.gateway(OnFailure::Local, Clock::System);
    let limits = Limits {
        max_in_flight: 4,
        ..Limits::default()
    };
    let load: Vec<_> = (0..8)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let (from, mut served) = (Instant::now(), 0_u32);
                while from.elapsed() < Duration::from_secs(4) {
                    if let Ok((held, _)) = gateway.admit("a", &limits, &one()).await {
                        served += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        held.settle(1, None);
                    } else {
                        tokio::task::yield_now().await;
                    }
                }
                served
            })
        })
        .collect();
    until("it is found", || gateway.is_up()).await;
    redis.kill();
    until("it is missed", || !gateway.is_up()).await;
    redis.run();
    until("it is found again", || gateway.is_up()).await;
    for task in load {
        assert!(task.await.expect("no panic") > 0);
    }
    gateway.flush().await;
    let mut held = Vec::new();
    while let Ok((place, _)) = gateway.admit("a", &limits, &one()).await {
        held.push(place);
    }
    assert_eq!(held.len(), 4);
}
