//! Two gateways on one Redis and one PostgreSQL are one: they hold a limit together.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::place::Postgres;
use crate::redis::Redis;
use crate::stand::{CHAT, Gateway, KEY, Simulator, eventually};

fn pair(simulator: &Simulator, postgres: &Postgres, redis: &Redis, limits: &str) -> [Gateway; 2] {
    let head = format!(
        "[store]\nurl = \"{}\"\n[limits]\nurl = \"{}\"\n",
        postgres.url("shared"),
        redis.url()
    );
    let rest = format!(
        "[[channels]]\nname = \"openai\"\nplatform = \"openai\"\nbase_url = \"http://{}\"\napi_key = {{ value = \"upstream-secret\" }}\nmodels = [\"gpt-*\"]\n[[groups]]\nname = \"default\"\nchannels = [\"openai\"]\n[[keys]]\nname = \"test\"\ngroup = \"default\"\nsecret = {{ value = \"{KEY}\" }}\n{limits}\n",
        simulator.address
    );
    [(); 2].map(|()| Gateway::with_config(&head, &rest))
}

#[test]
fn two_gateways_hold_one_limit_and_keep_one_account() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    postgres.create_database("shared");
    let simulator = Simulator::start(&[]);
    let gateways = pair(&simulator, &postgres, &redis, "rpd = 100");
    let (good, refused, next) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for n in 0..16 {
            let gateway = &gateways[n % 2];
            let (good, refused, next) = (&good, &refused, &next);
            scope.spawn(move || {
                while next.fetch_add(1, Relaxed) < 1000 {
                    match gateway.post("/v1/chat/completions", CHAT).status {
                        200 => good.fetch_add(1, Relaxed),
                        429 => refused.fetch_add(1, Relaxed),
                        status => panic!("{status}"),
                    };
                }
            });
        }
    });
    assert_eq!((good.into_inner(), refused.into_inner()), (100, 900));
    let store = crate::stand::open_store(&postgres.url("shared"));
    eventually("both have written what was used", || {
        (crate::stand::requests_in(&store) == 1000).then_some(())
    });
    let counted: f64 = gateways
        .iter()
        .map(|gateway| gateway.metric("torouter_tokens_total", &[("type", "input")]))
        .sum();
    let books = simulator.get("/__sim/books");
    assert_eq!(books["openai/gpt-5"]["input"].as_f64(), Some(counted));
}
