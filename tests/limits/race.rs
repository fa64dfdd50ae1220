//! Many requests at a time, over one and over several gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use torouter::base::{Limits, Usd};
use torouter::config::OnFailure;
use torouter::gate::limits::{Ask, Clock, Limiter, Reservation};

use super::server::{Redis, ask, one, rpm};

/// Each of these requests at once, over these gateways in turn: what was let in, and how many under each word were not.
async fn race(
    gateways: &[Arc<Limiter>],
    limits: Limits,
    asks: Vec<Ask>,
) -> (Vec<Reservation>, Vec<&'static str>) {
    let start = Arc::new(tokio::sync::Barrier::new(asks.len()));
    let tasks: Vec<_> = asks
        .into_iter()
        .enumerate()
        .map(|(n, ask)| {
            let (gateway, start) = (gateways[n % gateways.len()].clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                gateway.admit("key_race", &limits, &ask).await
            })
        })
        .collect();
    let (mut held, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.expect("no panic") {
            Ok((reservation, _)) => held.push(reservation),
            Err(denied) => refused.push(denied.limit.name()),
        }
    }
    (held, refused)
}

/// Limits of requests, places, tokens and spend each let exactly so many in, and what is given back can be used.
async fn suite(gateways: &[Arc<Limiter>]) {
    let of = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let forget = async || gateways[0].forget("key_race").await;
    let cases = [
        ("rpm", of(|l| l.rpm = 100)),
        ("rp7d", of(|l| l.rp7d = 100)),
        ("max_in_flight", of(|l| l.max_in_flight = 100)),
        ("tpm", of(|l| l.tpm = 1009)),
        ("spend_usd", of(|l| l.spend_usd = Usd::from_pico(1_009_000))),
        (
            "spend_usd_5h",
            of(|l| l.spend_usd_5h = Usd::from_pico(1_009_000)),
        ),
    ];
    for (name, limits) in cases {
        let (held, refused) = race(gateways, limits, vec![ask(4, 6, true, 1); 1000]).await;
        assert_eq!(held.len(), 100, "{name}");
        assert!(
            refused.iter().all(|limit| *limit == name),
            "{name}: {refused:?}"
        );
        // Half of them used half of it, the others nothing.
        for (n, reservation) in held.into_iter().enumerate() {
            if n % 2 == 0 {
                reservation.settle(5, Some(Usd::from_pico(5_000)));
            }
        }
        for gateway in gateways {
            gateway.flush().await;
        }
        let (held, _) = race(gateways, limits, vec![ask(4, 6, true, 1); 1000]).await;
        let again = match name {
            "rpm" | "rp7d" => 0,
            "max_in_flight" => 100,
            _ => (1009 - 250) / 10,
        };
        assert_eq!(held.len(), again, "{name}, when something was given back");
        drop(held);
        for gateway in gateways {
            gateway.flush().await;
        }
        forget().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_at_once_exactly_a_hundred_come_in() {
    suite(&[Limiter::memory(Clock::System)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_gateways_hold_one_limit_together() {
    let redis = Redis::start();
    let gateway = || redis.gateway(OnFailure::Deny, Clock::System);
    suite(&[gateway(), gateway()]).await;
}

#[test]
fn threads_that_race_let_exactly_a_hundred_through() {
    let limiter = Limiter::memory(Clock::System);
    let admitted = AtomicUsize::new(0);
    let start = std::sync::Barrier::new(50);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                start.wait();
                for _ in 0..20 {
                    if let Ok((held, _)) = runtime.block_on(limiter.admit("a", &rpm(100), &one())) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        held.settle(1, None);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 100);
}
