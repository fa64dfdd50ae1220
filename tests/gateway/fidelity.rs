//! Same dialect on both sides: the bytes are the same, but for what must change.

use base64::Engine as _;

use crate::http1::{Connection, request};
use crate::stand::{CHAT_STREAM, Gateway, KEY, Simulator, all_platforms, channel};

fn body_of(seen: &serde_json::Value) -> Vec<u8> {
    let text = seen["body_base64"].as_str().expect("a small body");
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("base64")
}

#[test]
fn a_request_is_forwarded_byte_for_byte() {
    let (simulator, gateway) = all_platforms("");
    // Odd spacing, order, numbers, escapes and an unknown field.
    let body = "{ \"messages\" :[{\"role\":\"user\",\"content\":\"a\\u00e9\u{1F600} b\"}],\n\t\"temperature\":1.50e+0, \"model\":\"gpt-5\",\"seed\":12345678901234567, \"x_unknown\" : {\"b\":1,\"a\":2} }\r\n";
    assert_eq!(gateway.post("/v1/chat/completions", body).status, 200);
    assert_eq!(body_of(&simulator.requests()[0]), body.as_bytes());
    let anthropic = "{\"model\":\"claude-opus-4-7\",\"max_tokens\":30,\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":\"a\"}] }";
    let headers = [
        ("x-api-key", KEY),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a-1,b-2"),
        ("x-stainless-lang", "python"),
    ];
    let answer = gateway.send(
        "POST",
        "/v1/messages?beta=true",
        &headers,
        anthropic.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = &simulator.requests()[1];
    assert_eq!(body_of(seen), anthropic.as_bytes());
    assert_eq!(seen["path"], "/v1/messages?beta=true");
    assert_eq!(seen["headers"]["anthropic-beta"], "a-1,b-2");
    assert_eq!(seen["headers"]["x-stainless-lang"], "python");
}

#[test]
fn only_the_models_value_changes_where_it_is_mapped() {
    let (simulator, gateway) = all_platforms("");
    for (asked, sent) in [
        ("\"latest\"", "\"gpt-5\""),
        ("\"nick\"", "\"gpt-5\""),
        ("\"openai/gpt-5\"", "\"gpt-5\""),
        ("\"lat\\u0065st\"", "\"gpt-5\""),
    ] {
        let body = |model: &str| {
            format!(
                "{{\"n\": 1.0 ,\"model\" : {model} ,\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}]}}"
            )
        };
        let answer = gateway.post("/v1/chat/completions", &body(asked));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = simulator.requests().pop().expect("a request");
        if answer.header("x-torouter-channel") == Some("openai") {
            assert_eq!(answer.header("x-torouter-model"), Some("gpt-5"));
            assert_eq!(String::from_utf8_lossy(&body_of(&seen)), body(sent));
        }
    }
}

#[test]
fn a_thinking_ending_turns_reasoning_on_by_an_edit() {
    let (simulator, gateway) = all_platforms("");
    let user = "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]";
    let sent = |path: &str, body: &str| {
        let answer = gateway.post(path, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        String::from_utf8(body_of(&simulator.requests().pop().expect("a request"))).expect("text")
    };
    assert_eq!(
        sent(
            "/v1/chat/completions",
            &format!("{{\"model\":\"gpt-5-thinking\",{user}}}")
        ),
        format!("{{\"reasoning_effort\":\"medium\",\"model\":\"gpt-5\",{user}}}")
    );
    assert_eq!(
        sent(
            "/v1/responses",
            "{\"model\":\"gpt-5-thinking\",\"input\":\"a\"}"
        ),
        "{\"reasoning\":{\"effort\":\"medium\"},\"model\":\"gpt-5\",\"input\":\"a\"}"
    );
    assert_eq!(
        sent(
            "/v1/messages",
            &format!("{{\"model\":\"claude-sonnet-4-5-thinking\",\"max_tokens\":4096,{user}}}")
        ),
        format!(
            "{{\"thinking\":{{\"type\":\"enabled\",\"budget_tokens\":2048}},\"model\":\"claude-sonnet-4-5\",\"max_tokens\":4096,{user}}}"
        )
    );
    let contents = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}]}";
    let path = "/v1beta/models/gemini-2.5-flash-thinking:generateContent";
    assert!(sent(path, contents).contains("\"thinkingBudget\":-1"));
    let seen = simulator.requests().pop().expect("a request");
    assert_eq!(
        seen["path"],
        "/v1beta/models/gemini-2.5-flash:generateContent"
    );
    let small = gateway.post(
        "/v1/messages",
        &format!("{{\"model\":\"claude-sonnet-4-5-thinking\",\"max_tokens\":100,{user}}}"),
    );
    assert_eq!(
        (small.status, small.json()["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
}

#[test]
fn credentials_cookies_and_what_proxies_said_stay_here() {
    let (simulator, gateway) = all_platforms("");
    let headers = [
        ("authorization", "Bearer sk-test-key-0001"),
        ("x-goog-api-key", "sk-other"),
        ("cookie", "session=secret"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "a"),
        ("forwarded", "for=1.2.3.4"),
        ("openai-organization", "org-client"),
        ("accept-encoding", "gzip, br"),
        ("user-agent", "client/1"),
    ];
    let answer = gateway.send(
        "POST",
        "/v1/chat/completions",
        &headers,
        crate::stand::CHAT.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    let seen = simulator.requests().pop().expect("a request");
    let sent = seen["headers"].as_object().expect("headers");
    for gone in [
        "cookie",
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "openai-organization",
        "x-goog-api-key",
    ] {
        assert!(!sent.contains_key(gone), "{gone}");
    }
    assert_eq!(sent["authorization"], "Bearer upstream-secret-openai");
    assert_eq!(sent["accept-encoding"], "identity");
    assert_eq!(sent["user-agent"], "client/1");
    assert_eq!(sent["host"], simulator.address.to_string());
    assert!(!answer.text().contains("upstream-secret"));
    assert!(
        answer
            .headers
            .iter()
            .all(|(n, v)| !v.contains("upstream-secret") && !n.starts_with("x-ratelimit"))
    );
}

#[test]
fn a_form_reaches_the_channel_byte_for_byte() {
    let (simulator, gateway) = all_platforms("");
    let mut body =
        b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n".to_vec();
    body.extend((0..=255_u8).cycle().take(30_000));
    body.extend_from_slice(b"\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--b--\r\n");
    let headers = [
        ("x-api-key", KEY),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let answer = gateway.send("POST", "/v1/images/edits", &headers, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = simulator.requests().pop().expect("a request");
    assert_eq!(body_of(&seen), body);
    assert_eq!(
        seen["headers"]["content-type"],
        "multipart/form-data; boundary=b"
    );
}

/// The same answer straight from the simulator and through the gateway, but for what differs by nature.
fn same_answer(lines: &str, body: &str, strip: impl Fn(&str) -> String) {
    let simulator = Simulator::start(&["--gap", "0ms"]);
    let channel_lines = format!("ask_usage = false\nheaders = {{ {lines} }}");
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("c", "openai", &channel_lines)],
    );
    let through = gateway.post("/v1/chat/completions", body);
    let headers: Vec<(String, String)> = lines
        .split(", ")
        .filter_map(|pair| pair.split_once(" = "))
        .map(|(n, v)| (n.to_owned(), v.trim_matches('"').to_owned()))
        .collect();
    let mut all: Vec<(&str, &str)> = vec![("authorization", "Bearer k")];
    all.extend(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let mut direct = Connection::open(simulator.address);
    direct.send(&request(
        "POST",
        "/v1/chat/completions",
        &all,
        body.as_bytes(),
    ));
    let direct = direct.answer().expect("an answer");
    assert!(through.whole && direct.whole, "{lines}");
    assert_eq!(through.status, direct.status, "{lines}");
    assert_eq!(strip(&through.text()), strip(&direct.text()), "{lines}");
}

/// Ids and times differ from answer to answer.
fn without_ids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("chatcmpl-") {
        out += &rest[..at];
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    }
    out += rest;
    let mut clean = String::new();
    let mut rest = out.as_str();
    while let Some(at) = rest.find("\"created\":") {
        clean += &rest[..at + 10];
        rest = rest[at + 10..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    clean + rest
}

#[test]
fn an_answer_comes_back_byte_for_byte_under_awkward_chunking() {
    let text =
        r#"{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"grüße 🎉 done"}]}"#;
    for lines in [
        "x-sim-events = \"8\"",
        "x-sim-chunking = \"1\"",
        "x-sim-chunking = \"7\"",
        "x-sim-chunking = \"100000\"",
        "x-sim-crlf = \"1\"",
        "x-sim-comments = \"1\", x-sim-chunking = \"13\"",
        "x-sim-no-usage = \"1\"",
    ] {
        same_answer(lines, text, without_ids);
        same_answer(lines, &text.replace("true", "false"), without_ids);
    }
    same_answer("x-sim-size = \"300000\"", text, without_ids);
    same_answer(
        "x-sim-size = \"5000000\"",
        &text.replace("true", "false"),
        without_ids,
    );
}

#[test]
fn usage_is_asked_for_and_its_chunk_withheld() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel(
            "c",
            "openai",
            "headers = { x-sim-chunking = \"11\" }",
        )],
    );
    let answer = gateway.post("/v1/chat/completions", CHAT_STREAM);
    assert_eq!(answer.status, 200);
    assert!(
        !answer.text().contains("prompt_tokens"),
        "{}",
        answer.text()
    );
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let seen = String::from_utf8(body_of(&simulator.requests()[0])).expect("text");
    assert_eq!(
        seen,
        CHAT_STREAM.replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1)
    );
    crate::stand::eventually("the tokens are counted", || {
        (gateway.metric("torouter_tokens_total", &[("type", "output")]) > 0.0).then_some(())
    });
    let asked = CHAT_STREAM.replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1);
    assert!(
        gateway
            .post("/v1/chat/completions", &asked)
            .text()
            .contains("prompt_tokens")
    );
}

#[test]
fn a_mapped_model_is_renamed_in_path_and_body() {
    let simulator = Simulator::start(&[]);
    let lines = "model_map = { \"my-embedder\" = \"gemini-embedding-001\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("g", "gemini", lines)]);
    let body =
        r#"{"requests":[{"model":"models/my-embedder","content":{"parts":[{"text":"Hello"}]}}]}"#;
    let answer = gateway.post("/v1beta/models/my-embedder:batchEmbedContents", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = &simulator.requests()[0];
    assert_eq!(
        seen["path"],
        "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    );
    assert_eq!(
        seen["body"],
        body.replace("my-embedder", "gemini-embedding-001")
    );
}
