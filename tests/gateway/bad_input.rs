//! Bad input is a feature: a clear error in the right shape, and never an upstream call.

use std::time::{Duration, Instant};

use crate::http1::{Connection, request};
use crate::stand::{CHAT, Gateway, KEY, Simulator, channel, eventually};

fn stand(head: &str) -> (Simulator, Gateway) {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        head,
        &[
            channel("o", "openai", "models = [\"gpt-*\"]"),
            channel("a", "anthropic", "models = [\"claude-*\"]"),
            channel("g", "gemini", "models = [\"gemini-*\"]"),
        ],
    );
    (simulator, gateway)
}

/// The connection that got the error still serves.
fn still_serves(connection: &mut Connection) {
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        CHAT.as_bytes(),
    ));
    assert_eq!(connection.answer().map(|a| a.status), Some(200));
}

#[test]
fn wrong_bodies_are_refused_with_what_where_and_how() {
    let (simulator, gateway) = stand("");
    let deep = format!(
        "{{\"model\":\"gpt-5\",\"messages\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let mut connection = Connection::open(gateway.address);
    for (body, code, says) in [
        ("", "invalid_json", "empty"),
        ("hello", "invalid_json", "at byte 0"),
        ("[1]", "invalid_json", "expected a JSON object"),
        (
            "{\"model\":\"gpt-5\",\"messages\":[",
            "invalid_json",
            "ends too early",
        ),
        (deep.as_str(), "invalid_json", "nested"),
        (
            "{\"model\":\"gpt-5\",\"model\":\"gpt-4\"}",
            "invalid_request",
            "'model' stands twice",
        ),
        (
            "{\"model\":5}",
            "invalid_request",
            "'model' must be a string",
        ),
        ("{\"messages\":[]}", "invalid_request", "'model'"),
        (
            "{\"model\":\"gpt-5\\u001b[2J\"}",
            "invalid_request",
            "'model' must not hold control characters",
        ),
        (
            "{\"model\":\"gpt-5\",\"stream\":\"yes\"}",
            "invalid_request",
            "'stream'",
        ),
        (
            "{\"model\":\"gpt-5\"} x",
            "invalid_json",
            "something follows",
        ),
    ] {
        connection.send(&request(
            "POST",
            "/v1/chat/completions",
            &[("x-api-key", KEY)],
            body.as_bytes(),
        ));
        let answer = connection.answer().expect("an answer");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{}",
            answer.text()
        );
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.contains(says), "{message}");
        assert!(answer.header("x-request-id").is_some());
    }
    still_serves(&mut connection);
    assert_eq!(simulator.requests().len(), 1);
}

#[test]
fn errors_have_the_shape_of_their_surface() {
    let (_simulator, gateway) = stand("");
    let key = [("x-api-key", KEY)];
    let openai = gateway
        .send("POST", "/v1/chat/completions", &key, b"x")
        .json();
    assert_eq!(openai["error"]["type"], "invalid_request_error");
    assert!(openai["error"].get("param").is_some());
    let anthropic = gateway.send("POST", "/v1/messages", &key, b"x");
    let body = anthropic.json();
    assert_eq!(
        (body["type"].as_str(), body["error"]["type"].as_str()),
        (Some("error"), Some("invalid_request_error"))
    );
    assert_eq!(body["request_id"].as_str(), anthropic.header("request-id"));
    let gemini = gateway
        .send(
            "POST",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            &key,
            b"x",
        )
        .json();
    assert_eq!(
        (
            gemini["error"]["code"].as_u64(),
            gemini["error"]["status"].as_str()
        ),
        (Some(400), Some("INVALID_ARGUMENT"))
    );
    for (path, model) in [
        ("/v1/chat/completions", "nope"),
        ("/v1/messages", "claudius"),
    ] {
        let body = format!("{{\"model\":\"{model}\"}}");
        let answer = gateway.send("POST", path, &key, body.as_bytes());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "model_not_found"),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let (simulator, gateway) = stand("");
    let code = |headers: &[(&str, &str)]| {
        let answer = gateway.send("POST", "/v1/chat/completions", headers, CHAT.as_bytes());
        (answer.status, answer.code())
    };
    assert_eq!(code(&[]), (401, "API_KEY_REQUIRED".to_owned()));
    assert_eq!(
        code(&[("authorization", "Basic c2s=")]),
        (401, "API_KEY_REQUIRED".to_owned())
    );
    assert_eq!(
        code(&[("x-api-key", "sk-wrong")]),
        (401, "INVALID_API_KEY".to_owned())
    );
    assert_eq!(
        code(&[("authorization", "Bearer sk-test-key-000")]),
        (401, "INVALID_API_KEY".to_owned())
    );
    assert_eq!(simulator.requests().len(), 0);
    let log = gateway.process.log();
    assert!(!log.contains("sk-wrong") && !log.contains("c2s="), "{log}");
}

#[test]
fn paths_and_methods_that_are_none_are_told_so() {
    let (_simulator, gateway) = stand("");
    let key = [("x-api-key", KEY)];
    for path in [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1/nothing",
        "/api/api/v1/models",
        "/v1/models/a%2fb",
        "/v1/x;y",
    ] {
        let answer = gateway.send("POST", path, &key, CHAT.as_bytes());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "endpoint_not_found"),
            "{path}"
        );
    }
    assert_eq!(
        gateway.send("POST", "/v1beta/nothing", &key, b"{}").json()["error"]["status"],
        "NOT_FOUND"
    );
    let wrong = gateway.send("DELETE", "/v1/chat/completions", &key, b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
}

#[test]
fn a_body_over_the_limit_is_refused_stated_or_not() {
    let (simulator, gateway) = stand("");
    let mut connection = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n",
        65 << 20
    );
    connection.send(head.as_bytes());
    let answer = connection.answer().expect("an answer before the body");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    assert_eq!(answer.header("connection"), Some("close"));
    drop(connection);
    let mut connection = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.send(head.as_bytes());
    let chunk = [
        format!("{:x}\r\n", 1 << 20).into_bytes(),
        vec![b' '; 1 << 20],
        b"\r\n".to_vec(),
    ]
    .concat();
    for _ in 0..65 {
        connection.send(&chunk);
    }
    let answer = connection.answer().expect("an answer");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    assert_eq!(simulator.requests().len(), 0);
}

#[test]
fn a_body_within_the_limit_passes_in_chunks_and_after_a_continue() {
    let (simulator, gateway) = stand("");
    let mut connection = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
    );
    connection.send(head.as_bytes());
    let mut interim = [0; 25];
    std::io::Read::read_exact(&mut connection.stream, &mut interim).expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    for piece in CHAT.as_bytes().chunks(9) {
        connection.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(connection.answer().map(|a| a.status), Some(200));
    still_serves(&mut connection);
    let seen = &simulator.requests()[0];
    assert_eq!(seen["body"], CHAT);
    assert!(seen["headers"].get("expect").is_none());
    assert_eq!(seen["headers"]["content-length"], CHAT.len().to_string());
}

#[test]
fn framing_that_two_readers_may_read_differently_is_refused_and_closed() {
    let (simulator, gateway) = stand("");
    let body = CHAT.len();
    for (head, says) in [
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: {body}\r\ntransfer-encoding: chunked\r\n\r\n"
            ),
            "both",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nhost: b\r\nx-api-key: {KEY}\r\ncontent-length: {body}\r\n\r\n"
            ),
            "",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\nx-api-key: {KEY}\r\ncontent-length: {body}\r\n\r\n"
            ),
            "",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\nx-a: 1\r\n 2\r\ncontent-length: {body}\r\n\r\n"
            ),
            "",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: x\r\n\r\n"
            ),
            "",
        ),
        ("nonsense\r\n\r\n".to_owned(), ""),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nx-api-key: {KEY}\r\ncontent-length: {body}\r\n\r\n"
            ),
            "no host",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
            ),
            "transfer-encoding",
        ),
        (
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
            ),
            "chunks",
        ),
    ] {
        let mut connection = Connection::open(gateway.address);
        connection.send(head.as_bytes());
        connection.send(CHAT.as_bytes());
        let answer = connection
            .answer()
            .unwrap_or_else(|| panic!("no answer to {head}"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{head}"
        );
        assert!(answer.text().contains(says), "{}", answer.text());
        assert!(!connection.fill(), "closed after {head}");
    }
    assert_eq!(simulator.requests().len(), 0);
    assert!(
        !gateway.process.log().contains(KEY),
        "{}",
        gateway.process.log()
    );
}

#[test]
fn a_content_length_that_lies_hurts_nobody_else() {
    let (simulator, gateway) = stand("");
    let mut short = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n",
        CHAT.len() + 100
    );
    short.send(head.as_bytes());
    short.send(CHAT.as_bytes());
    drop(short);
    eventually("it counts as left", || {
        (gateway.metric("torouter_requests_total", &[("status", "499")]) > 0.5).then_some(())
    });
    let mut long = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n",
        CHAT.len() - 10
    );
    long.send(head.as_bytes());
    long.send(CHAT.as_bytes());
    assert_eq!(
        long.answer().map(|a| a.code()),
        Some("invalid_json".to_owned())
    );
    assert_eq!(simulator.requests().len(), 0);
}

#[test]
fn a_head_of_2_mib_is_refused() {
    let (_simulator, gateway) = stand("");
    let mut connection = Connection::open(gateway.address);
    connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-big: ");
    let _ = std::io::Write::write_all(&mut connection.stream, &vec![b'x'; 2 << 20]);
    let answer = connection.answer().expect("an answer");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (431, "invalid_request")
    );
}

#[test]
fn a_client_that_sends_one_byte_at_a_time_is_given_up() {
    let (simulator, gateway) = stand("read_timeout = \"1s\"\n");
    let mut connection = Connection::open(gateway.address);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: 1000\r\n\r\n"
    );
    connection.send(head.as_bytes());
    let mut slow = connection.stream.try_clone().expect("a socket");
    let sender = std::thread::spawn(move || {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if std::io::Write::write_all(&mut slow, b" ").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let began = Instant::now();
    let answer = connection.answer().expect("an answer");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "request_timeout")
    );
    assert!(began.elapsed() < Duration::from_secs(4));
    drop(connection);
    sender.join().expect("no panic");
    assert_eq!(simulator.requests().len(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let (_simulator, gateway) = stand("");
    let mut connection = Connection::open(gateway.address);
    let one = request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        CHAT.as_bytes(),
    );
    connection.send(&[one.clone(), one.clone(), one].concat());
    for _ in 0..3 {
        assert_eq!(connection.answer().map(|a| a.status), Some(200));
    }
}

#[test]
fn networks_models_and_expiry_of_keys_hold() {
    let simulator = Simulator::start(&[]);
    let keys = format!(
        "[[channels]]\nname = \"c\"\nplatform = \"openai\"\nbase_url = \"http://{}\"\n[[groups]]\nname = \"g\"\nchannels = [\"c\"]\n\
         [[keys]]\nname = \"far\"\ngroup = \"g\"\nsecret = {{ value = \"sk-far\" }}\nallow = [\"10.0.0.0/8\"]\n\
         [[keys]]\nname = \"near\"\ngroup = \"g\"\nsecret = {{ value = \"sk-near\" }}\ndeny = [\"127.0.0.0/8\"]\n\
         [[keys]]\nname = \"old\"\ngroup = \"g\"\nsecret = {{ value = \"sk-old\" }}\nexpires = \"2020-01-01T00:00:00Z\"\n\
         [[keys]]\nname = \"off\"\ngroup = \"g\"\nsecret = {{ value = \"sk-off\" }}\nenabled = false\n\
         [[keys]]\nname = \"few\"\ngroup = \"g\"\nsecret = {{ value = \"sk-few\" }}\nmodels = [\"gpt-4*\"]\n",
        simulator.address
    );
    let gateway = Gateway::with_config("trusted_proxies = [\"127.0.0.1/32\"]\n", &keys);
    let code = |key: &str, forwarded: &str| {
        let headers = [("x-api-key", key), ("x-forwarded-for", forwarded)];
        let answer = gateway.send("POST", "/v1/chat/completions", &headers, CHAT.as_bytes());
        (
            answer.status,
            if answer.status == 200 {
                String::new()
            } else {
                answer.code()
            },
        )
    };
    assert_eq!(code("sk-far", "10.1.1.1"), (200, String::new()));
    assert_eq!(
        code("sk-far", "10.1.1.1, 9.9.9.9"),
        (403, "ACCESS_DENIED".to_owned())
    );
    assert_eq!(
        code("sk-near", "127.0.0.1"),
        (403, "ACCESS_DENIED".to_owned())
    );
    assert_eq!(code("sk-near", "8.8.8.8"), (200, String::new()));
    assert_eq!(code("sk-old", ""), (403, "API_KEY_EXPIRED".to_owned()));
    assert_eq!(code("sk-off", ""), (401, "API_KEY_DISABLED".to_owned()));
    assert_eq!(code("sk-few", ""), (403, "model_not_allowed".to_owned()));
}
