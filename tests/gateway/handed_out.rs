//! Keys of the store let in, and what they use can be asked for.

use std::time::{Duration, Instant};

use serde_json::{Value, json as value};

use crate::admin;
use crate::http1::Answer;
use crate::keys::{Database, json, run};
use crate::place::Postgres;
use crate::stand::{CHAT, Gateway, KEY, Simulator, eventually};

fn chat(gateway: &Gateway, secret: &str) -> Answer {
    let auth = format!("Bearer {secret}");
    gateway.send(
        "POST",
        "/v1/chat/completions",
        &[("authorization", &auth)],
        CHAT.as_bytes(),
    )
}

fn create(gateway: &Gateway, key: &Value) -> String {
    let made = admin::ask(gateway, "POST", "/admin/v1/keys", key);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["secret"].as_str().expect("a secret").to_owned()
}

fn change(gateway: &Gateway, name: &str, what: &Value) {
    let changed = admin::ask(gateway, "PATCH", &format!("/admin/v1/keys/{name}"), what);
    assert_eq!(changed.status, 200, "{}", changed.text());
}

fn code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, code)
}

#[test]
fn a_change_of_a_key_holds_for_the_next_request() {
    let database = Database::new();
    let (_simulator, gateway) = admin::start(&format!("{}{}", admin::ADMIN, database.head()));
    let a = create(&gateway, &value!({ "name": "a", "group": "default" }));
    let b = create(
        &gateway,
        &value!({ "name": "b", "group": "default", "models": ["claude-*"] }),
    );
    assert_eq!(chat(&gateway, &a).status, 200);
    assert_eq!(code(&chat(&gateway, &b)), (403, "model_not_allowed".into()));
    change(&gateway, "b", &value!({ "models": null }));
    assert_eq!(chat(&gateway, &b).status, 200);
    change(&gateway, "a", &value!({ "enabled": false }));
    assert_eq!(code(&chat(&gateway, &a)), (401, "API_KEY_DISABLED".into()));
    change(
        &gateway,
        "a",
        &value!({ "enabled": true, "deny": ["127.0.0.0/8"] }),
    );
    assert_eq!(code(&chat(&gateway, &a)), (403, "ACCESS_DENIED".into()));
    change(
        &gateway,
        "a",
        &value!({ "deny": null, "limits": { "rpd": 1 } }),
    );
    // What it did before the limit was set counts, too.
    assert_eq!(
        code(&chat(&gateway, &a)),
        (429, "rate_limit_exceeded".into())
    );
    change(&gateway, "a", &value!({ "limits": { "rpd": 3 } }));
    assert_eq!(chat(&gateway, &a).status, 200);
    change(&gateway, "a", &value!({ "name": "renamed" }));
    assert_eq!(chat(&gateway, &a).status, 200);
    assert_eq!(code(&chat(&gateway, &a)).0, 429);
    assert_eq!(
        gateway.metric(
            "torouter_requests_total",
            &[("key", "renamed"), ("status", "200")]
        ) as u32,
        1
    );
    assert_eq!(gateway.metric("torouter_requests_in_flight", &[]) as u32, 0);
    let gone = admin::ask(&gateway, "DELETE", "/admin/v1/keys/renamed", &Value::Null);
    assert_eq!(gone.status, 204);
    assert_eq!(code(&chat(&gateway, &a)), (401, "INVALID_API_KEY".into()));
    // The same name again is somebody else, who has used nothing.
    let again = create(
        &gateway,
        &value!({ "name": "renamed", "group": "default", "limits": { "rpd": 1 } }),
    );
    assert_eq!(chat(&gateway, &again).status, 200);
    assert_eq!(chat(&gateway, &again).status, 429);
    // No secret is anywhere but with its owner.
    let log = gateway.process.log();
    let files: Vec<u8> = std::fs::read_dir(database.folder())
        .expect("a folder")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path()).ok())
        .flatten()
        .collect();
    for secret in [&a, &b, &again] {
        assert!(!log.contains(secret.as_str()));
        let held = files
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes());
        assert!(!held, "the store holds a secret");
    }
}

#[test]
fn a_command_beside_the_gateway_holds_when_it_returns() {
    let database = Database::new();
    let (simulator, mut gateway) = admin::start(&database.head());
    let config = gateway.folder.join("torouter.toml");
    let made = json(&run(
        &config,
        "keys create --name a --group default --rpd 3 --json",
    ));
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    for _ in 0..2 {
        assert_eq!(chat(&gateway, &secret).status, 200);
    }
    // Limits outlive the process, and what they do not count does not count afterwards either.
    let headers = [("x-api-key", secret.as_str())];
    for _ in 0..5 {
        assert_eq!(gateway.send("GET", "/v1/models", &headers, b"").status, 200);
    }
    gateway.process.signal("-TERM");
    gateway.process.wait();
    gateway.kill_and_restart();
    assert_eq!(chat(&gateway, &secret).status, 200);
    assert_eq!(chat(&gateway, &secret).status, 429);
    let books = &simulator.get("/__sim/books")["openai/gpt-5"];
    let usage = json(&run(&config, "usage --by key,model --format json"));
    let rows = usage["rows"].as_array().expect("rows");
    let sum = |field: &str| {
        rows.iter()
            .filter_map(|row| row[field].as_u64())
            .sum::<u64>()
    };
    assert_eq!(Some(sum("input_tokens")), books["input"].as_u64());
    assert_eq!(Some(sum("output_tokens")), books["output"].as_u64());
    assert_eq!(sum("requests"), 9, "{usage:#}");
    let gone = run(&config, "keys delete a");
    assert_eq!(gone.status.code(), Some(0));
    assert_eq!(chat(&gateway, &secret).status, 401);
}

#[test]
fn another_gateway_sees_a_change_within_a_second_and_goes_on_without_the_store() {
    let mut postgres = Postgres::start();
    postgres.create_database("keys");
    let head = format!(
        "{}[store]\nurl = \"{}\"\n",
        admin::ADMIN,
        postgres.url("keys")
    );
    let simulator = Simulator::start(&[]);
    let rest = format!(
        "[[channels]]\nname = \"openai\"\nplatform = \"openai\"\nbase_url = \"http://{}\"\napi_key = {{ value = \"upstream-secret\" }}\nmodels = [\"gpt-*\"]\n[[groups]]\nname = \"default\"\nchannels = [\"openai\"]\n[[keys]]\nname = \"test\"\ngroup = \"default\"\nsecret = {{ value = \"{KEY}\" }}\n",
        simulator.address
    );
    let [here, there] = [(); 2].map(|()| Gateway::with_config(&head, &rest));
    let secret = create(&here, &value!({ "name": "a", "group": "default" }));
    let since = Instant::now();
    eventually("the other gateway knows it", || {
        (chat(&there, &secret).status == 200).then_some(())
    });
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
    postgres.kill();
    for gateway in [&here, &there] {
        assert_eq!(chat(gateway, &secret).status, 200, "a known key works");
        assert_eq!(chat(gateway, KEY).status, 200);
        assert_eq!(chat(gateway, "sk-unknown").status, 401);
    }
    let refused = admin::ask(&here, "DELETE", "/admin/v1/keys/a", &Value::Null);
    assert_eq!(refused.status, 503, "{}", refused.text());
    postgres.run();
    eventually("it can be deleted again", || {
        let gone = admin::ask(&here, "DELETE", "/admin/v1/keys/a", &Value::Null);
        (gone.status == 204).then_some(())
    });
    assert_eq!(chat(&here, &secret).status, 401);
    eventually("the other gateway knows that it is gone", || {
        (chat(&there, &secret).status == 401).then_some(())
    });
}
