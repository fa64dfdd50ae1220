//! Every token is counted, and every request once.

use crate::stand::{
    CHAT, CHAT_STREAM, Gateway, KEY, Simulator, all_platforms, channel, eventually,
};

fn is(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.001
}

#[test]
fn metrics_are_exact_after_a_scripted_load() {
    let (simulator, gateway) = all_platforms("");
    let messages = |stream: bool| {
        format!(
            r#"{{"model":"claude-opus-4-7","max_tokens":99,"stream":{stream},"system":[{{"type":"text","text":"long prompt","cache_control":{{"type":"ephemeral"}}}}],"messages":[{{"role":"user","content":"Hello"}}]}}"#
        )
    };
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}],"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":1024}}}"#;
    for _ in 0..5 {
        for body in [CHAT, CHAT_STREAM] {
            assert_eq!(gateway.post("/v1/chat/completions", body).status, 200);
        }
        for stream in [false, true] {
            assert_eq!(gateway.post("/v1/messages", &messages(stream)).status, 200);
            let body = format!(
                r#"{{"model":"gpt-5","input":"Hello","stream":{stream},"reasoning":{{"effort":"low"}}}}"#
            );
            assert_eq!(gateway.post("/v1/responses", &body).status, 200);
        }
        for verb in [
            "generateContent",
            "streamGenerateContent?alt=sse",
            "streamGenerateContent",
        ] {
            let path = format!("/v1beta/models/gemini-2.5-flash:{verb}");
            assert_eq!(gateway.post(&path, contents).status, 200);
        }
        assert_eq!(
            gateway
                .post(
                    "/v1/messages/count_tokens",
                    r#"{"model":"claude-opus-4-7","messages":[{"role":"user","content":"a"}]}"#
                )
                .status,
            200
        );
        assert_eq!(
            gateway
                .post(
                    "/v1/embeddings",
                    r#"{"model":"text-embedding-3-small","input":["a","b"]}"#
                )
                .status,
            200
        );
        assert_eq!(gateway.post("/v1/chat/completions", "{").status, 400);
    }
    let books = simulator.get("/__sim/books");
    eventually("all are counted", || {
        is(gateway.metric("torouter_requests_total", &[]), 60.0).then_some(())
    });
    for (channel, platform) in [
        ("openai", "openai/"),
        ("anthropic", "anthropic/"),
        ("gemini", "gemini/"),
    ] {
        for (kind, field) in [
            ("input", "input"),
            ("output", "output"),
            ("cache_read", "cache_read"),
            ("cache_write", "cache_write"),
            ("reasoning", "reasoning"),
        ] {
            let booked: f64 = books
                .as_object()
                .expect("books")
                .iter()
                .filter(|(name, _)| name.starts_with(platform))
                .filter_map(|(_, account)| account[field].as_f64())
                .sum();
            let counted = gateway.metric(
                "torouter_tokens_total",
                &[("channel", channel), ("type", kind), ("key", "test")],
            );
            assert!(
                is(counted, booked),
                "{channel} {kind}: counted {counted}, booked {booked}\n{books:#}"
            );
        }
    }
    assert!(
        gateway.metric(
            "torouter_tokens_total",
            &[("type", "cache_read"), ("channel", "anthropic")]
        ) > 0.0
    );
    assert!(
        gateway.metric(
            "torouter_tokens_total",
            &[("type", "reasoning"), ("channel", "gemini")]
        ) > 0.0
    );
    let requests = |labels: &[(&str, &str)]| gateway.metric("torouter_requests_total", labels);
    assert!(is(
        requests(&[
            ("endpoint", "chat"),
            ("status", "200"),
            ("model", "gpt-5"),
            ("group", "default"),
            ("surface", "openai"),
            ("channel", "openai"),
            ("key", "test")
        ]),
        10.0
    ));
    assert!(is(requests(&[("status", "400")]), 5.0));
    assert!(is(
        gateway.metric("torouter_request_duration_seconds_count", &[]),
        60.0
    ));
    assert!(is(
        gateway.metric(
            "torouter_time_to_first_token_seconds_count",
            &[("model", "gpt-5")]
        ),
        10.0
    ));
    assert!(is(
        gateway.metric("torouter_upstream_attempts_total", &[("outcome", "ok")]),
        55.0
    ));
    assert!(is(
        gateway.metric("torouter_requests_in_flight", &[("key", "test")]),
        0.0
    ));
    assert!(
        gateway.metric(
            "torouter_gateway_overhead_seconds_count",
            &[("translated", "false")]
        ) > 40.0
    );
    assert!(is(gateway.metric("torouter_build_info", &[]), 1.0));
    assert!(gateway.metric("process_resident_memory_bytes", &[]) > 0.0);
}

#[test]
fn usage_that_is_not_stated_is_estimated_and_flagged() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel(
            "c",
            "openai",
            "headers = { x-sim-no-usage = \"1\" }",
        )],
    );
    assert_eq!(
        gateway.post("/v1/chat/completions", CHAT_STREAM).status,
        200
    );
    let line = eventually("its line is logged", || {
        gateway
            .process
            .log()
            .lines()
            .find(|l| l.contains("\"estimated\":true"))
            .map(str::to_owned)
    });
    assert!(line.contains("\"status\":200"), "{line}");
    assert!(gateway.metric("torouter_tokens_total", &[("type", "output")]) > 0.0);
    assert!(is(
        gateway.metric("torouter_usage_missing_total", &[("channel", "c")]),
        1.0
    ));
}

#[test]
fn a_stream_that_died_is_counted_as_far_as_it_went() {
    let simulator = Simulator::start(&["--size", "4000"]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel(
            "c",
            "anthropic",
            "headers = { x-sim-fail = \"cut:20\", x-sim-events = \"100\" }",
        )],
    );
    let body = r#"{"model":"claude-opus-4-7","max_tokens":4000,"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    assert!(
        gateway
            .post("/v1/messages", body)
            .text()
            .contains("event: error")
    );
    let output = eventually("it is counted", || {
        let output = gateway.metric("torouter_tokens_total", &[("type", "output")]);
        (output > 0.0).then_some(output)
    });
    assert!((100.0..400.0).contains(&output), "{output}");
    // What the provider said at the start is taken as it said it.
    assert!(gateway.metric("torouter_tokens_total", &[("type", "input")]) >= 1.0);
    assert!(is(
        gateway.metric("torouter_upstream_attempts_total", &[("outcome", "reset")]),
        1.0
    ));
}

#[test]
fn the_log_tells_of_each_request_and_holds_no_secret() {
    let (_simulator, gateway) = all_platforms("");
    let headers = [
        ("authorization", "Bearer sk-test-key-0001"),
        ("x-request-id", "my-id.1"),
    ];
    let body = CHAT.replace("Hello there", "a very private prompt");
    let answer = gateway.send(
        "POST",
        "/api/v1/chat/completions",
        &headers,
        body.as_bytes(),
    );
    assert_eq!(answer.header("x-request-id"), Some("my-id.1"));
    let timing = answer.header("server-timing").expect("a timing");
    let ms: f64 = timing
        .strip_prefix("gateway;dur=")
        .and_then(|t| t.parse().ok())
        .expect("a number");
    assert!(ms > 0.0 && ms < 1000.0);
    let odd = gateway.send(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY), ("x-request-id", "a b")],
        CHAT.as_bytes(),
    );
    assert!(
        odd.header("x-request-id")
            .is_some_and(|id| id.starts_with("req_"))
    );
    let line = eventually("its line is logged", || {
        gateway
            .process
            .log()
            .lines()
            .find(|l| l.contains("my-id.1"))
            .map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["status"], 200);
    assert_eq!(
        (
            line["key"].as_str(),
            line["channel"].as_str(),
            line["model"].as_str()
        ),
        (Some("test"), Some("openai"), Some("gpt-5"))
    );
    assert!(line["input_tokens"].as_u64() > Some(0) && line["output_tokens"].as_u64() > Some(0));
    assert_eq!(
        (line["path"].as_str(), line["attempts"].as_u64()),
        (Some("/api/v1/chat/completions"), Some(1))
    );
    let log = gateway.process.log();
    let metrics = gateway.admin("/metrics").text();
    for secret in [
        "sk-test-key",
        "upstream-secret",
        "private prompt",
        "You said",
    ] {
        assert!(
            !log.contains(secret) && !metrics.contains(secret),
            "{secret}"
        );
    }
}

#[test]
fn model_names_in_metrics_are_bounded() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel(
            "c",
            "openai",
            "models = [\"*\"]\nheaders = { x-sim-fail = \"404\" }",
        )],
    );
    for i in 0..50 {
        gateway.post(
            "/v1/chat/completions",
            &format!("{{\"model\":\"made-up-{i}\"}}"),
        );
    }
    eventually("all are counted", || {
        is(
            gateway.metric("torouter_requests_total", &[("model", "other")]),
            50.0,
        )
        .then_some(())
    });
    assert!(!gateway.admin("/metrics").text().contains("made-up"));
}

#[test]
fn health_tells_which_group_has_no_channel() {
    let nobody = crate::stand::free_address();
    let simulator = Simulator::start(&[]);
    let config = format!(
        "[[channels]]\nname = \"up\"\nplatform = \"openai\"\nbase_url = \"http://{}\"\n\
         [[channels]]\nname = \"down\"\nplatform = \"openai\"\nbase_url = \"http://{nobody}\"\nhealth = {{ path = \"/v1/models\", interval = \"100ms\", unhealthy = 2 }}\n\
         [[groups]]\nname = \"a\"\nchannels = [\"up\"]\n[[groups]]\nname = \"b\"\nchannels = [\"down\"]\n",
        simulator.address
    );
    let gateway = Gateway::with_config("", &config);
    let body = eventually("the probe has failed", || {
        let answer = gateway.admin("/readyz");
        (answer.status == 503).then(|| answer.json())
    });
    assert_eq!(body["groups_without_channel"], serde_json::json!(["b"]));
    assert_eq!(gateway.admin("/healthz").status, 200);
    assert!(is(
        gateway.metric("torouter_channel_up", &[("channel", "down")]),
        0.0
    ));
    assert!(is(
        gateway.metric("torouter_channel_up", &[("channel", "up")]),
        1.0
    ));
    assert_eq!(gateway.admin("/admin/v1/keys").status, 403);
}
