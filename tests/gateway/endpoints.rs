//! Every endpoint, on both mounts, with every credential header.

use crate::http1::Answer;
use crate::stand::{Gateway, KEY, all_platforms};

const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nMODEL\r\n--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nHello\r\n--x\r\nContent-Disposition: form-data; name=\"FILE\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\u{1}\u{2}--x\r\n\u{3}\r\n--x--\r\n";

fn form(model: &str, file: &str) -> String {
    FORM.replace("MODEL", model).replace("FILE", file)
}

fn credentials(path: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("authorization", format!("Bearer {KEY}")),
        ("x-api-key", KEY.to_owned()),
        ("x-goog-api-key", KEY.to_owned()),
    ];
    // This header would move the shared path to another surface.
    if path.starts_with("/v1/models") {
        all.pop();
    }
    all
}

fn on_both_mounts(
    gateway: &Gateway,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
    check: impl Fn(&Answer),
) {
    for mount in ["", "/api"] {
        let path = format!("{mount}{path}");
        for (name, value) in credentials(path.trim_start_matches("/api")) {
            let headers = [(name, value.as_str()), ("content-type", kind)];
            let answer = gateway.send(method, &path, &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{path} with {name}: {}", answer.text());
            assert!(answer.whole && answer.header("x-request-id").is_some());
            check(&answer);
        }
    }
}

#[test]
fn every_post_endpoint_answers_on_both_mounts_with_every_credential() {
    let (_simulator, gateway) = all_platforms("");
    let json = "application/json";
    let openai = |a: &Answer| assert_eq!(a.header("x-torouter-channel"), Some("openai"));
    let anthropic = |a: &Answer| assert_eq!(a.header("x-torouter-channel"), Some("anthropic"));
    let gemini = |a: &Answer| assert_eq!(a.header("x-torouter-channel"), Some("gemini"));
    let user = r#""messages":[{"role":"user","content":"Hello"}]"#;
    for (path, body) in [
        (
            "/v1/chat/completions",
            format!(r#"{{"model":"gpt-5",{user}}}"#),
        ),
        (
            "/v1/completions",
            r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/embeddings",
            r#"{"model":"text-embedding-3-small","input":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/images/generations",
            r#"{"model":"gpt-image-1","prompt":"a cat"}"#.to_owned(),
        ),
        (
            "/v1/responses",
            r#"{"model":"gpt-5","input":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/responses/input_tokens",
            r#"{"model":"gpt-5","input":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/responses/compact",
            r#"{"model":"gpt-5","input":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/moderations",
            r#"{"model":"omni-moderation-latest","input":"Hello"}"#.to_owned(),
        ),
        (
            "/v1/rerank",
            r#"{"model":"rerank-1","query":"a","documents":["a","b"]}"#.to_owned(),
        ),
        (
            "/v1/audio/speech",
            r#"{"model":"gpt-4o-mini-tts","input":"Hello","voice":"alloy"}"#.to_owned(),
        ),
    ] {
        on_both_mounts(&gateway, "POST", path, json, &body, openai);
    }
    let multipart = "multipart/form-data; boundary=x";
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/images/edits",
        multipart,
        &form("gpt-image-1", "image"),
        openai,
    );
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/audio/transcriptions",
        multipart,
        &form("whisper-1", "file"),
        openai,
    );
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/audio/translations",
        multipart,
        &form("whisper-1", "file"),
        openai,
    );
    let messages = format!(r#"{{"model":"claude-opus-4-7","max_tokens":50,{user}}}"#);
    on_both_mounts(&gateway, "POST", "/v1/messages", json, &messages, |a| {
        anthropic(a);
        assert_eq!(a.header("request-id"), a.header("x-request-id"));
    });
    let count = format!(r#"{{"model":"claude-opus-4-7",{user}}}"#);
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/messages/count_tokens",
        json,
        &count,
        anthropic,
    );
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#;
    let embed = r#"{"content":{"parts":[{"text":"Hello"}]}}"#;
    let batch = r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"Hello"}]}}]}"#;
    for version in ["/v1beta", "/v1"] {
        for (verb, body) in [
            ("gemini-2.5-flash:generateContent", contents),
            ("gemini-2.5-flash:streamGenerateContent?alt=sse", contents),
            ("gemini-2.5-flash:streamGenerateContent", contents),
            ("gemini-2.5-flash:countTokens", contents),
            ("gemini-embedding-001:embedContent", embed),
            ("gemini-embedding-001:batchEmbedContents", batch),
        ] {
            on_both_mounts(
                &gateway,
                "POST",
                &format!("{version}/models/{verb}"),
                json,
                body,
                gemini,
            );
        }
    }
    let compatible = format!(r#"{{"model":"llama3:8b",{user}}}"#);
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/chat/completions",
        json,
        &compatible,
        |a| {
            assert_eq!(a.header("x-torouter-channel"), Some("compatible"));
        },
    );
    let openrouter = format!(r#"{{"model":"openai/gpt-5",{user}}}"#);
    on_both_mounts(
        &gateway,
        "POST",
        "/v1/chat/completions",
        json,
        &openrouter,
        |a| {
            let channel = a.header("x-torouter-channel");
            assert!(
                matches!(channel, Some("openrouter" | "openai")),
                "{channel:?}"
            );
        },
    );
}

#[test]
fn stored_responses_are_read_cancelled_and_deleted() {
    // The account that made a response is the one that has it: with several, each would have its own.
    let simulator = crate::stand::Simulator::start(&[]);
    let gateway = crate::stand::Gateway::start(
        simulator.address,
        "",
        &[crate::stand::channel("openai", "openai", "")],
    );
    let made = gateway
        .post("/v1/responses", r#"{"model":"gpt-5","input":"Hello"}"#)
        .json();
    let id = made["id"].as_str().expect("an id");
    let auth = [("authorization", "Bearer sk-test-key-0001")];
    let get = |path: &str| gateway.send("GET", path, &auth, b"");
    assert_eq!(get(&format!("/v1/responses/{id}")).json()["id"], id);
    assert_eq!(
        get(&format!("/v1/responses/{id}/input_items")).json()["object"],
        "list"
    );
    let background = gateway
        .post(
            "/v1/responses",
            r#"{"model":"gpt-5","input":"Hello","background":true}"#,
        )
        .json();
    let cancel = format!(
        "/v1/responses/{}/cancel",
        background["id"].as_str().expect("an id")
    );
    assert_eq!(gateway.send("POST", &cancel, &auth, b"").status, 200);
    assert_eq!(
        gateway
            .send("DELETE", &format!("/v1/responses/{id}"), &auth, b"")
            .status,
        200
    );
    assert_eq!(get(&format!("/v1/responses/{id}")).status, 404);
}

#[test]
fn models_are_listed_in_three_dialects() {
    let (_simulator, gateway) = all_platforms("");
    let key = ("x-api-key", KEY);
    let openai = gateway.send("GET", "/v1/models", &[key], b"").json();
    assert_eq!(openai["object"], "list");
    let ids: Vec<&str> = openai["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|m| m["id"].as_str())
        .collect();
    assert!(
        ids.contains(&"latest") && ids.contains(&"nick") && ids.contains(&"whisper-1"),
        "{ids:?}"
    );
    assert!(!ids.iter().any(|id| id.contains('*')));
    let version = ("anthropic-version", "2023-06-01");
    let anthropic = gateway
        .send("GET", "/v1/models?limit=1", &[key, version], b"")
        .json();
    assert_eq!(
        (
            anthropic["data"][0]["type"].as_str(),
            anthropic["has_more"].as_bool()
        ),
        (Some("model"), Some(true))
    );
    let goog = ("x-goog-api-key", KEY);
    for path in ["/v1beta/models", "/v1/models"] {
        let gemini = gateway.send("GET", path, &[goog], b"").json();
        assert!(
            gemini["models"][0]["name"]
                .as_str()
                .is_some_and(|n| n.starts_with("models/")),
            "{gemini}"
        );
    }
    let one = gateway.send("GET", "/v1/models/gpt-5", &[key], b"");
    assert_eq!(
        (one.status, one.json()["id"].as_str()),
        (200, Some("gpt-5"))
    );
    let none = gateway.send("GET", "/v1/models/unheard-of", &[key], b"");
    assert_eq!(
        (none.status, none.code().as_str()),
        (404, "model_not_found")
    );
}

#[test]
fn the_query_key_is_for_gemini_only() {
    let (simulator, gateway) = all_platforms("");
    let body = br#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#;
    let path = format!("/v1beta/models/gemini-2.5-flash:streamGenerateContent?key={KEY}&alt=sse");
    assert_eq!(gateway.send("POST", &path, &[], body).status, 200);
    let seen = simulator.requests();
    assert_eq!(
        seen[0]["path"],
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
    let path = format!("/v1/chat/completions?key={KEY}");
    let refused = gateway.send("POST", &path, &[("x-api-key", KEY)], b"{}");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "api_key_in_query_deprecated")
    );
    assert_eq!(simulator.requests().len(), 1);
}

#[test]
fn an_endpoint_that_no_channel_can_serve_is_told_so() {
    let simulator = crate::stand::Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[crate::stand::channel("a", "anthropic", "")],
    );
    let answer = gateway.post("/v1/moderations", r#"{"input":"a"}"#);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "endpoint_not_found")
    );
    assert!(answer.text().contains("default"), "{}", answer.text());
    let answer = gateway.post("/v1/embeddings", r#"{"model":"m","input":"a"}"#);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "endpoint_not_found")
    );
}

#[test]
fn a_client_that_says_hello_is_answered() {
    let (_simulator, gateway) = all_platforms("");
    assert_eq!(gateway.send("HEAD", "/", &[], b"").status, 200);
    assert_eq!(gateway.send("GET", "/", &[], b"").status, 404);
}
