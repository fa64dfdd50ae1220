//! Metrics, the rows in the store and the simulator's books say the same after a mixed load with faults.
//! TOROUTER_LOAD_SECONDS: how long it lasts (5); TOROUTER_LOAD_SEED: which load it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;
use torouter::store::UsageRow;

use crate::http1::{Connection, request};
use crate::ledger::rows;
use crate::place::Place;
use crate::socket::Socket;
use crate::stand::{Gateway, KEY, Simulator, channel, eventually};

/// SplitMix64: the same seed, the same load.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Some fail, some are cut, some are slow enough to be left: each on models of its own at the provider, so that the books
/// tell them apart.
fn gateway(simulator: &Simulator, place: &Place) -> Gateway {
    let head = format!("[store]\nurl = \"{}\"\n", place.url);
    Gateway::start(
        simulator.address,
        &head,
        &[
            channel(
                "flaky",
                "anthropic",
                "models = [\"claude-opus-4-7\"]\npriority = -1\nmodel_map = { claude-opus-4-7 = \"claude-sonnet-4-5\" }\nheaders = { x-sim-fail = \"error-late\" }",
            ),
            channel(
                "silent",
                "openai",
                "models = [\"silent\"]\nmodel_map = { silent = \"gpt-4.1-nano\" }\nheaders = { x-sim-no-usage = \"1\" }",
            ),
            channel(
                "cut",
                "anthropic",
                "models = [\"cut\"]\nmodel_map = { cut = \"claude-haiku-4-5\" }\nheaders = { x-sim-fail = \"cut:8\", x-sim-events = \"30\" }",
            ),
            channel(
                "slow",
                "openai",
                "models = [\"slow\"]\nmodel_map = { slow = \"gpt-4.1-mini\" }\nheaders = { x-sim-gap-ms = \"30\", x-sim-events = \"100\" }",
            ),
            channel(
                "openai",
                "openai",
                "models = [\"gpt-*\", \"text-embedding-*\"]",
            ),
            channel("anthropic", "anthropic", "models = [\"claude-*\"]"),
            channel("gemini", "gemini", "models = [\"gemini-*\"]"),
            channel("openrouter", "openrouter", "models = [\"*/*\"]"),
        ],
    )
}

/// Path and body of one request that is answered as it should be.
fn usual(dice: &mut Dice) -> (String, String) {
    let stream = dice.throw(2) == 0;
    let model = [
        "gpt-5",
        "claude-opus-4-7",
        "gemini-2.5-flash",
        "openai/gpt-5",
    ][dice.throw(4) as usize];
    let text = "word ".repeat(dice.throw(60) as usize + 1);
    let messages = json!([{"role": "user", "content": text}]);
    let (path, body) = match dice.throw(7) {
        0 => (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "stream": stream, "messages": messages}),
        ),
        1 => (
            "/v1/messages".to_owned(),
            json!({"model": model, "stream": stream, "max_tokens": 500, "messages": messages,
                "system": [{"type": "text", "text": "a long prompt", "cache_control": {"type": "ephemeral"}}]}),
        ),
        2 => (
            "/v1/responses".to_owned(),
            json!({"model": model, "stream": stream, "store": false, "input": text}),
        ),
        3 => {
            let verb = [
                "generateContent",
                "streamGenerateContent?alt=sse",
                "streamGenerateContent",
            ];
            let verb = verb[dice.throw(3) as usize];
            (
                format!("/v1beta/models/gemini-2.5-flash:{verb}"),
                json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
                    "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}}}),
            )
        }
        4 => (
            "/v1/embeddings".to_owned(),
            json!({"model": "text-embedding-3-small", "input": [text, "b"]}),
        ),
        5 => (
            "/v1/images/generations".to_owned(),
            json!({"model": "gpt-image-1", "prompt": text}),
        ),
        _ => (
            "/v1/responses".to_owned(),
            json!({"model": "claude-opus-4-7", "background": true, "input": text}),
        ),
    };
    (path, body.to_string())
}

/// A client that leaves once something has come.
fn leave(gateway: &Gateway) {
    let body = r#"{"model":"slow","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let mut connection = Connection::open(gateway.address);
    let headers = [("x-api-key", KEY)];
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &headers,
        body.as_bytes(),
    ));
    connection.head().expect("a head");
    connection.chunk().expect("a chunk");
}

/// Returns how many requests it made.
fn client(gateway: &Gateway, mut dice: Dice, until: Instant) -> u64 {
    let mut made = 0;
    while Instant::now() < until {
        made += 1;
        match dice.throw(20) {
            0 => leave(gateway),
            1 => {
                let body = r#"{"model":"cut","stream":true,"max_tokens":500,"messages":[{"role":"user","content":"Hello"}]}"#;
                gateway.post("/v1/messages", body);
            }
            2 => {
                let body = r#"{"model":"silent","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
                gateway.post("/v1/chat/completions", body);
            }
            3 => {
                gateway.post("/v1/chat/completions", "{");
            }
            4 => {
                let mut socket =
                    Socket::open(gateway.address, &[("x-api-key", KEY)]).expect("open");
                let turns = dice.throw(3) + 1;
                made += turns - 1;
                for _ in 0..turns {
                    let model = ["gpt-5", "claude-opus-4-7"][dice.throw(2) as usize];
                    socket.turn(&json!({"type": "response.create", "model": model, "store": false, "input": "Hello"}));
                }
            }
            _ => {
                let (path, body) = usual(&mut dice);
                let answer = gateway.post(&path, &body);
                assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
            }
        }
    }
    made
}

/// The samples of a family: what stands under these labels.
fn samples(text: &str, family: &str, labels: &[&str]) -> BTreeMap<Vec<String>, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line
            .strip_prefix(family)
            .and_then(|rest| rest.strip_prefix('{'))
        else {
            continue;
        };
        let (own, value) = rest.rsplit_once("} ").expect("a sample");
        let value_of = |label: &&str| {
            let at = format!("{label}=\"");
            let pairs = format!(",{own}");
            let rest = pairs.split(&format!(",{at}")).nth(1).expect("a label");
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let names = labels.iter().map(value_of).collect();
        *all.entry(names).or_default() += value.parse::<f64>().expect("a number");
    }
    all
}

const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

fn tokens(row: &UsageRow) -> [i64; 5] {
    let cache_write = row.cache_write_5m + row.cache_write_1h;
    let input = row.uncached + row.cache_read + cache_write;
    [
        input,
        row.output,
        row.cache_read,
        cache_write,
        row.reasoning,
    ]
}

#[test]
fn metrics_rows_and_books_agree_after_a_mixed_load() {
    let (simulator, place) = (Simulator::start(&[]), Place::file());
    let gateway = gateway(&simulator, &place);
    let seed = env("TOROUTER_LOAD_SEED", 1);
    let until = Instant::now() + Duration::from_secs(env("TOROUTER_LOAD_SECONDS", 5));
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (gateway, made) = (&gateway, &made);
            scope.spawn(move || {
                let dice = Dice(seed.wrapping_mul(1000) + n);
                made.fetch_add(client(gateway, dice, until), Relaxed);
            });
        }
    });
    let made = made.into_inner();
    let store = place.open();
    let counted = || {
        let text = gateway.admin("/metrics").text();
        samples(&text, "torouter_requests_total", &["key"])
            .get(&vec!["test".to_owned()])
            .copied()
    };
    eventually("every request is counted, once", || {
        (counted().unwrap_or_default() as u64 >= made).then_some(())
    });
    let all = eventually("every request has its row", || {
        let all = rows(&store);
        let requests = all.iter().filter(|row| row.is_final).count() as u64;
        (requests >= made).then_some(all)
    });
    let text = gateway.admin("/metrics").text();
    let requests = all.iter().filter(|row| row.is_final).count() as u64;
    assert_eq!(
        (requests, counted().unwrap_or_default() as u64),
        (made, made)
    );
    println!("seed {seed}: {made} requests, {} rows", all.len());
    compare_with_metrics(&all, &text);
    compare_with_books(&all, &simulator.get("/__sim/books"));
    let has = |what: &str, check: &dyn Fn(&UsageRow) -> bool| {
        let count = all.iter().filter(|row| check(row)).count();
        println!("{count} {what}");
        assert!(count > 0, "no {what} in this load: seed {seed}");
    };
    has("failed attempts with usage", &|row| {
        !row.is_final && row.uncached + row.cache_read + row.cache_write_5m > 0
    });
    has("left", &|row| row.status == 499 && row.output > 0);
    has("cut", &|row| row.error == "upstream_died");
    has("estimated", &|row| row.estimated && row.channel == "silent");
    has("priced", &|row| row.cost_pico.is_some_and(|cost| cost > 0));
}

fn compare_with_metrics(all: &[UsageRow], text: &str) {
    let (mut used, mut cost) = (BTreeMap::new(), BTreeMap::new());
    for row in all {
        let names = [&row.key, &row.channel, &row.model].map(String::clone);
        for (kind, count) in KINDS.iter().zip(tokens(row)) {
            if count > 0 {
                let mut names = names.to_vec();
                names.push((*kind).to_owned());
                *used.entry(names).or_default() += count as f64;
            }
        }
        if let Some(pico) = row.cost_pico.filter(|_| tokens(row).iter().any(|n| *n > 0)) {
            *cost.entry(names.to_vec()).or_insert(0_i128) += i128::from(pico);
        }
    }
    let labels = ["key", "channel", "model", "type"];
    assert_eq!(samples(text, "torouter_tokens_total", &labels), used);
    let counted = samples(text, "torouter_cost_usd_total", &labels[..3]);
    assert!(counted.keys().eq(cost.keys()), "{counted:?}\n{cost:?}");
    for (names, pico) in &cost {
        let usd = *pico as f64 / 1e12;
        assert!(
            (counted[names] - usd).abs() <= usd * 1e-9,
            "{names:?}: {} {usd}",
            counted[names]
        );
    }
}

/// The books' reported side counts complete answers, and what was said of them.
fn compare_with_books(all: &[UsageRow], books: &serde_json::Value) {
    let mut used: BTreeMap<String, [i64; 5]> = BTreeMap::new();
    for row in all.iter().filter(|row| row.is_final && row.status == 200) {
        if row.estimated || !row.error.is_empty() || row.upstream_model.is_empty() {
            continue;
        }
        let platform = match row.channel.as_str() {
            "flaky" | "cut" | "anthropic" => "anthropic",
            "silent" | "slow" | "openai" => "openai",
            other => other,
        };
        let sums = used
            .entry(format!("{platform}/{}", row.upstream_model))
            .or_default();
        for (sum, count) in sums.iter_mut().zip(tokens(row)) {
            *sum += count;
        }
    }
    let booked: BTreeMap<String, [i64; 5]> = books
        .as_object()
        .expect("books")
        .iter()
        .map(|(name, account)| {
            let counts = KINDS.map(|kind| account[kind].as_i64().unwrap_or_default());
            (name.clone(), counts)
        })
        .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
        .collect();
    used.retain(|_, counts| counts.iter().any(|count| *count > 0));
    assert_eq!(used, booked);
}
