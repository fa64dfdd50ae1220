//! A gateway that dies.

use torouter::base::Limits;
use torouter::config::OnFailure;
use torouter::gate::limits::Clock;

use super::server::{Redis, one};

#[tokio::test]
async fn a_gateway_that_dies_gives_its_places_back() {
    let redis = Redis::start();
    let limits = Limits {
        max_in_flight: 2,
        ..Limits::default()
    };
    let (dies, lives) = (
        redis.gateway(OnFailure::Deny, Clock::System),
        redis.gateway(OnFailure::Deny, Clock::System),
    );
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(dies.admit("a", &limits, &one()).await.expect("room").0);
    }
    let denied = lives
        .admit("a", &limits, &one())
        .await
        .err()
        .expect("no room");
    assert_eq!(denied.limit.name(), "max_in_flight");

    // As if it was killed: nobody tells of its requests, and its sign of life runs out.
    let keys = redis
        .ask(redis::cmd("KEYS").arg("torouter:limits:*:held:*"))
        .expect("an answer");
    let redis::Value::Array(keys) = keys else {
        panic!("{keys:?}")
    };
    assert_eq!(keys.len(), 1);
    let key: String = redis::from_redis_value(keys[0].clone()).expect("a key");
    let gateway = key.rsplit(':').next().expect("its name").to_owned();
    let sign = format!("torouter:limits:gateway:{gateway}");
    let left = redis.ask(redis::cmd("PTTL").arg(&sign)).expect("an answer");
    let redis::Value::Int(left) = left else {
        panic!("{left:?}")
    };
    assert!((1..=10_000).contains(&left), "{left}");
    held.into_iter().for_each(std::mem::forget);
    std::mem::forget(dies.clone());
    redis.ask(redis::cmd("DEL").arg(&sign)).expect("an answer");

    let (first, _) = lives
        .admit("a", &limits, &one())
        .await
        .expect("a place that came back");
    let (second, _) = lives
        .admit("a", &limits, &one())
        .await
        .expect("the other one");
    assert!(lives.admit("a", &limits, &one()).await.is_err());
    drop((first, second));
}

#[tokio::test]
async fn an_end_that_is_told_twice_counts_once() {
    let redis = Redis::start();
    let limits = Limits {
        tpm: 10,
        ..Limits::default()
    };
    let gateway = redis.gateway(OnFailure::Deny, Clock::System);
    let (held, _) = gateway.admit("a", &limits, &one()).await.expect("room");
    held.settle(4, None);
    gateway.flush().await;
    let marks = redis
        .ask(redis::cmd("KEYS").arg("torouter:limits:settled:*"))
        .expect("an answer");
    let redis::Value::Array(marks) = marks else {
        panic!("{marks:?}")
    };
    assert_eq!(marks.len(), 1, "it is remembered");
    let mark: String = redis::from_redis_value(marks[0].clone()).expect("a key");
    let id = mark
        .trim_start_matches("torouter:limits:settled:")
        .to_owned();
    let name = id.split(':').next().expect("the gateway").to_owned();
    // The same words once more, as after a reply that was lost.
    let source = [
        include_str!("../../src/gate/limits/common.lua"),
        include_str!("../../src/gate/limits/settle.lua"),
    ]
    .join("\n");
    let mut again = redis::cmd("EVAL");
    again
        .arg(source)
        .arg(5)
        .arg("torouter:limits:a")
        .arg("torouter:limits:a:total");
    again
        .arg(format!("torouter:limits:a:held:{name}"))
        .arg("torouter:limits:gateway:")
        .arg(&mark);
    again.arg(0).arg(&name).arg(&id).arg(4).arg(0).arg(0);
    assert_eq!(redis.ask(&again).expect("an answer"), redis::Value::Int(0));
    let (held, standing) = gateway.admit("a", &limits, &one()).await.expect("room");
    assert_eq!(standing.tokens.expect("limited").remaining, 10 - 4 - 2);
    drop(held);
}
