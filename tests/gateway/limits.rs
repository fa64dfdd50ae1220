//! The limits of a key hold, to the request and to the picodollar, and what is said of them is true.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::http1::Answer;
use crate::stand::{CHAT, Gateway, KEY, Simulator, eventually};

/// A gateway on one channel of each of two platforms, whose key has these limits.
fn limited(simulator: &Simulator, head: &str, limits: &str) -> Gateway {
    let upstream = simulator.address;
    let mut rest = String::new();
    for (platform, models) in [("openai", "gpt-*"), ("anthropic", "claude-*")] {
        rest += &format!(
            "[[channels]]\nname = \"{platform}\"\nplatform = \"{platform}\"\nbase_url = \"http://{upstream}\"\napi_key = {{ value = \"upstream-secret\" }}\nmodels = [\"{models}\", \"unheard-of\"]\n"
        );
    }
    rest += "[[groups]]\nname = \"default\"\nchannels = [\"openai\", \"anthropic\"]\n";
    rest += &format!(
        "[[keys]]\nname = \"test\"\ngroup = \"default\"\nsecret = {{ value = \"{KEY}\" }}\n{limits}\n[[keys]]\nname = \"other\"\ngroup = \"default\"\nsecret = {{ value = \"sk-other\" }}\n"
    );
    Gateway::with_config(head, &rest)
}

fn chat(gateway: &Gateway) -> Answer {
    gateway.post("/v1/chat/completions", CHAT)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(name).unwrap_or_else(|| panic!("no {name}"))
}

/// Statuses of so many requests, sent side by side.
fn race(gateways: &[&Gateway], threads: usize, requests: u32, body: &str) -> (u32, u32) {
    let (good, refused, next) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for n in 0..threads {
            let gateway = gateways[n % gateways.len()];
            let (good, refused, next) = (&good, &refused, &next);
            scope.spawn(move || {
                while next.fetch_add(1, Relaxed) < requests {
                    let answer = gateway.post("/v1/chat/completions", body);
                    match answer.status {
                        200 => good.fetch_add(1, Relaxed),
                        429 => refused.fetch_add(1, Relaxed),
                        status => panic!("{status}: {}", answer.text()),
                    };
                }
            });
        }
    });
    (good.into_inner(), refused.into_inner())
}

#[test]
fn the_sixth_request_of_a_minute_is_told_truly_when_to_come_again() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "rpm = 5");
    for left in (0..5).rev() {
        let answer = chat(&gateway);
        assert_eq!(answer.status, 200);
        assert_eq!(header(&answer, "x-ratelimit-limit-requests"), "5");
        assert_eq!(
            header(&answer, "x-ratelimit-remaining-requests"),
            left.to_string()
        );
    }
    let refused = chat(&gateway);
    let since = Instant::now();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), "0");
    let wait: u64 = header(&refused, "retry-after").parse().expect("seconds");
    assert!((55..=61).contains(&wait), "{wait}");
    // Refused ones cost nothing, and other keys are not held up.
    assert_eq!(chat(&gateway).status, 429);
    let other = [
        ("x-api-key", "sk-other"),
        ("content-type", "application/json"),
    ];
    let answer = gateway.send("POST", "/v1/chat/completions", &other, CHAT.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-ratelimit-limit-requests").is_none());
    assert_eq!(
        gateway.metric(
            "torouter_limit_rejections_total",
            &[("key", "test"), ("limit", "rpm")]
        ) as u32,
        2
    );
    // What is true of it can only be seen when the time has come: two seconds before, and then.
    std::thread::sleep(Duration::from_secs(wait - 2).saturating_sub(since.elapsed()));
    assert_eq!(chat(&gateway).status, 429, "two seconds too early");
    std::thread::sleep(Duration::from_secs(wait).saturating_sub(since.elapsed()));
    assert_eq!(chat(&gateway).status, 200, "after retry-after");
}

#[test]
fn of_a_thousand_racing_requests_a_limit_of_a_hundred_lets_a_hundred_through() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "rpd = 100");
    assert_eq!(race(&[&gateway], 32, 1000, CHAT), (100, 900));
    assert_eq!(
        simulator.get("/__sim/books")["openai/gpt-5"]["requests"],
        100
    );
}

#[test]
fn each_dialect_tells_a_limit_in_its_own_words() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "rp5h = 1");
    assert_eq!(chat(&gateway).status, 200);
    let refused = chat(&gateway).json();
    assert_eq!(refused["error"]["code"], "rate_limit_exceeded");
    let body =
        r#"{"model":"claude-opus-4-7","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    let refused = gateway.post("/v1/messages", body);
    assert_eq!(
        (refused.status, refused.json()["error"]["type"].as_str()),
        (429, Some("rate_limit_error"))
    );
    let refused = gateway.post(
        "/v1beta/models/gpt-5:generateContent",
        r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
    );
    assert_eq!(
        (refused.status, refused.json()["error"]["status"].as_str()),
        (429, Some("RESOURCE_EXHAUSTED"))
    );
    assert!(refused.header("retry-after").is_some());
    // What asks nobody is not counted, and not refused.
    let key = [("authorization", format!("Bearer {KEY}"))];
    let key: Vec<(&str, &str)> = key.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(gateway.send("GET", "/v1/models", &key, b"").status, 200);
}

#[test]
fn no_more_requests_are_under_way_than_the_key_may_have() {
    let simulator = Simulator::start(&["--latency", "400ms"]);
    let gateway = limited(&simulator, "", "max_in_flight = 3");
    let (good, refused) = race(&[&gateway], 8, 8, CHAT);
    assert_eq!((good, refused), (3, 5));
    // Each gives its place back, also one that is left.
    assert_eq!(race(&[&gateway], 3, 3, CHAT), (3, 0));
    let auth = format!("Bearer {KEY}");
    for _ in 0..3 {
        let mut connection = crate::http1::Connection::open(gateway.address);
        let headers = [
            ("authorization", auth.as_str()),
            ("content-type", "application/json"),
        ];
        connection.send(&crate::http1::request(
            "POST",
            "/v1/chat/completions",
            &headers,
            CHAT.as_bytes(),
        ));
    }
    eventually("those who left are gone", || {
        (race(&[&gateway], 3, 3, CHAT) == (3, 0)).then_some(())
    });
}

#[test]
fn tokens_of_a_minute_are_held_to_what_was_truly_used() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "tpm = 400");
    let body = r#"{"model":"gpt-5","max_completion_tokens":60,"messages":[{"role":"user","content":"Hello there"}]}"#;
    let (good, refused) = race(&[&gateway], 4, 200, body);
    let used = gateway.metric("torouter_tokens_total", &[("type", "input")])
        + gateway.metric("torouter_tokens_total", &[("type", "output")]);
    assert!(good > 0 && refused > 0, "{good} {refused}");
    assert!(used <= 400.0, "{used}");
    // No more was refused than had to be: another one of this size would not have fitted.
    assert!(used > 400.0 - 200.0, "{used}");
    let large = body.replace("60", "5000");
    let answer = gateway.post("/v1/chat/completions", &large);
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("400"), "{}", answer.text());
}

#[test]
fn a_spend_limit_is_never_passed_and_says_that_it_is_used_up() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "spend_usd = 0.002");
    let body = r#"{"model":"gpt-5","max_completion_tokens":40,"messages":[{"role":"user","content":"Hello there"}]}"#;
    let (good, refused) = race(&[&gateway], 8, 400, body);
    let spent = gateway.metric("torouter_cost_usd_total", &[("key", "test")]);
    assert!(good > 0 && refused > 0, "{good} {refused}");
    assert!(spent <= 0.002 && spent > 0.001, "{spent}");
    let mut answer = gateway.post("/v1/chat/completions", body);
    // What is left may still be enough for some.
    while answer.status == 200 {
        answer = gateway.post("/v1/chat/completions", body);
    }
    assert_eq!(answer.json()["error"]["code"], "API_KEY_QUOTA_EXHAUSTED");
    assert!(gateway.metric("torouter_cost_usd_total", &[("key", "test")]) <= 0.002);
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn where_money_is_limited_a_model_without_a_price_is_refused() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "spend_usd_30d = 5");
    let answer = gateway.post(
        "/v1/chat/completions",
        r#"{"model":"unheard-of","messages":[{"role":"user","content":"a"}]}"#,
    );
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (403, Some("model_not_allowed"))
    );
    assert!(answer.text().contains("catalogue"), "{}", answer.text());
    assert_eq!(chat(&gateway).status, 200);
}

#[test]
fn a_background_response_is_one_request() {
    let simulator = Simulator::start(&[]);
    let gateway = limited(&simulator, "", "rpd = 2");
    let body = r#"{"model":"claude-opus-4-7","input":"a","background":true}"#;
    let answer = gateway.post("/v1/responses", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(header(&answer, "x-ratelimit-remaining-requests"), "1");
    eventually("it has been made", || {
        let tokens = gateway.metric("torouter_tokens_total", &[("type", "output")]);
        (tokens > 0.0).then_some(())
    });
    assert_eq!(gateway.metric("torouter_requests_total", &[]) as u32, 1);
    assert_eq!(chat(&gateway).status, 200);
    assert_eq!(chat(&gateway).status, 429);
}
