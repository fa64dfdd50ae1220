//! HTTP/2 with and without TLS, on both sides.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::stand::{CHAT, CHAT_STREAM, Gateway, KEY, Simulator, channel};

struct Pem {
    folder: std::path::PathBuf,
    cert: String,
    key: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Pem {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!(
            "torouter-tls-{}-{}",
            std::process::id(),
            crate::stand::free_address().port()
        ));
        std::fs::create_dir_all(&folder).expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ])
        .expect("a certificate");
        let path = |name: &str| folder.join(name).display().to_string();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        std::fs::write(&cert, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        let der = made.cert.der().clone();
        Self {
            folder,
            cert,
            key,
            der,
        }
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One request over h2: status, headers, body.
async fn h2_post<T>(io: T, path: &str, body: &[u8]) -> (u16, http::HeaderMap, Vec<u8>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut client, connection) = h2::client::handshake(io).await.expect("h2");
    let driver = tokio::spawn(connection);
    let request = http::Request::post(format!("https://gateway.test{path}"))
        .header("x-api-key", KEY)
        .body(())
        .expect("a request");
    let (response, mut stream) = client.send_request(request, false).expect("a stream");
    for piece in body.chunks(10_000) {
        stream.reserve_capacity(piece.len());
        std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        stream
            .send_data(Bytes::copy_from_slice(piece), false)
            .expect("sent");
    }
    stream.send_data(Bytes::new(), true).expect("sent");
    let response = response.await.expect("an answer");
    let (head, mut incoming) = response.into_parts();
    let mut out = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk.expect("a whole message");
        incoming
            .flow_control()
            .release_capacity(chunk.len())
            .expect("released");
        out.extend_from_slice(&chunk);
    }
    driver.abort();
    (head.status.as_u16(), head.headers, out)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async {
            tokio::time::timeout(std::time::Duration::from_secs(30), work)
                .await
                .expect("in time")
        })
}

async fn tls(
    address: SocketAddr,
    pem: &Pem,
    alpn: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem.der.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(address).await.expect("it listens");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .expect("TLS")
}

#[test]
fn h2_without_tls_serves_streams_large_bodies_and_failover() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel(
                "bad",
                "openai",
                "priority = 1\nheaders = { x-sim-fail = \"503\" }",
            ),
            channel("good", "openai", "priority = 2"),
        ],
    );
    let post = |body: String| {
        block_on(async {
            let io = TcpStream::connect(gateway.address)
                .await
                .expect("it listens");
            h2_post(io, "/v1/chat/completions", body.as_bytes()).await
        })
    };
    let (status, headers, body) = post(CHAT_STREAM.to_owned());
    assert_eq!(
        (status, headers["x-torouter-attempts"].to_str().ok()),
        (200, Some("2"))
    );
    assert!(String::from_utf8_lossy(&body).ends_with("[DONE]\n\n"));
    let large = CHAT.replace("Hello there", &"z".repeat(3 << 20));
    assert_eq!(post(large).0, 200);
    let (status, _, body) = post("{".to_owned());
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).contains("invalid_json"));
}

#[test]
fn a_client_that_resets_its_h2_stream_is_counted_as_left() {
    let simulator = Simulator::start(&["--gap", "50ms", "--events", "100"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", "")]);
    block_on(async {
        let io = TcpStream::connect(gateway.address)
            .await
            .expect("it listens");
        let (mut client, connection) = h2::client::handshake(io).await.expect("h2");
        let driver = tokio::spawn(connection);
        let request = http::Request::post("http://gateway.test/v1/chat/completions")
            .header("x-api-key", KEY)
            .body(())
            .expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        stream
            .send_data(Bytes::from_static(CHAT_STREAM.as_bytes()), true)
            .expect("sent");
        let mut body = response.await.expect("an answer").into_body();
        body.data().await.expect("an event").expect("whole");
        stream.send_reset(h2::Reason::CANCEL);
        drop(body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        driver.abort();
    });
    crate::stand::eventually("it is counted", || {
        (gateway.metric("torouter_requests_total", &[("status", "499")]) > 0.5).then_some(())
    });
}

#[test]
fn tls_serves_h2_and_http1_to_clients() {
    let (simulator, pem) = (Simulator::start(&[]), Pem::new());
    let address = crate::stand::free_address();
    let head = format!(
        "[server.tls]\nlisten = [\"{address}\"]\ncert = \"{}\"\nkey = \"{}\"\n",
        pem.cert, pem.key
    );
    let gateway = Gateway::start(simulator.address, &head, &[channel("c", "openai", "")]);
    let (status, _, body) = block_on(async {
        h2_post(
            tls(address, &pem, b"h2").await,
            "/v1/chat/completions",
            CHAT_STREAM.as_bytes(),
        )
        .await
    });
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&body).ends_with("[DONE]\n\n"));
    let text = block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut io = tls(address, &pem, b"http/1.1").await;
        let headers = [("x-api-key", KEY), ("connection", "close")];
        io.write_all(&crate::http1::request(
            "POST",
            "/v1/chat/completions",
            &headers,
            CHAT.as_bytes(),
        ))
        .await
        .expect("sent");
        let mut text = Vec::new();
        io.read_to_end(&mut text).await.ok();
        String::from_utf8_lossy(&text).into_owned()
    });
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(gateway);
}

#[test]
fn upstreams_are_reached_over_tls_with_h2() {
    let pem = Pem::new();
    let simulator = Simulator::start(&["--tls-cert", &pem.cert, "--tls-key", &pem.key]);
    let port = simulator.address.port();
    let config = format!(
        "[[channels]]\nname = \"bad\"\npriority = 1\nplatform = \"openai\"\nbase_url = \"https://localhost:{port}\"\nheaders = {{ x-sim-fail = \"error-late\" }}\n\
         [[channels]]\nname = \"cut\"\npriority = 2\nplatform = \"openai\"\nbase_url = \"https://127.0.0.1:{port}\"\nheaders = {{ x-sim-fail = \"cut:0\" }}\n\
         [[channels]]\nname = \"good\"\npriority = 3\nplatform = \"openai\"\nbase_url = \"https://localhost:{port}\"\n\
         [[groups]]\nname = \"g\"\nchannels = [\"bad\", \"cut\", \"good\"]\n[[keys]]\nname = \"k\"\ngroup = \"g\"\nsecret = {{ value = \"{KEY}\" }}\n"
    );
    let gateway = Gateway::with_env("", &config, &[("SSL_CERT_FILE", &pem.cert)]);
    let answer = gateway.post("/v1/chat/completions", CHAT_STREAM);
    assert_eq!(
        (answer.status, answer.header("x-torouter-attempts")),
        (200, Some("3")),
        "{} {}",
        answer.text(),
        gateway.process.log()
    );
    assert!(
        answer.whole && answer.text().ends_with("[DONE]\n\n"),
        "{}",
        answer.text()
    );
    for _ in 0..5 {
        let large = CHAT.replace("Hello there", &"w".repeat(1 << 20));
        assert_eq!(gateway.post("/v1/chat/completions", &large).status, 200);
    }
    let connects = gateway.metric(
        "torouter_upstream_attempts_total",
        &[("outcome", "connect")],
    );
    assert!(connects.abs() < 0.1, "{connects}");
}

#[test]
fn an_h2_client_whose_window_is_shut_loses_nothing_to_heartbeats_and_commits() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-gap-ms = \"300\", x-sim-events = \"3\" }\nask_usage = false";
    let head = "heartbeat = \"60ms\"\ncommit_after = \"50ms\"\n";
    let gateway = Gateway::start(simulator.address, head, &[channel("c", "openai", lines)]);
    let text = block_on(async {
        let io = TcpStream::connect(gateway.address)
            .await
            .expect("it listens");
        // Odd and small, so that writes end in the middle of everything.
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(37);
        let (mut client, connection) = builder.handshake::<_, Bytes>(io).await.expect("h2");
        let driver = tokio::spawn(connection);
        let request = http::Request::post("http://gateway.test/v1/chat/completions")
            .header("x-api-key", KEY)
            .body(())
            .expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        stream
            .send_data(Bytes::from_static(CHAT_STREAM.as_bytes()), true)
            .expect("sent");
        let mut body = response.await.expect("an answer").into_body();
        let (mut text, mut reads) = (Vec::new(), 0);
        while let Some(chunk) = body.data().await {
            let chunk = chunk.expect("whole");
            text.extend_from_slice(&chunk);
            reads += 1;
            if reads < 12 {
                // The window stays shut while heartbeats come due.
                tokio::time::sleep(std::time::Duration::from_millis(90)).await;
            }
            body.flow_control()
                .release_capacity(chunk.len())
                .expect("released");
        }
        driver.abort();
        String::from_utf8(text).expect("whole characters")
    });
    let events: Vec<&str> = text
        .split("\n\n")
        .filter(|e| !e.is_empty() && *e != ": keep-alive")
        .collect();
    assert!(events.iter().all(|e| e.starts_with("data: ")), "{text}");
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    let said: String = events
        .iter()
        .filter_map(|e| serde_json::from_str::<serde_json::Value>(&e[6..]).ok())
        .filter_map(|e| {
            e["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(said, "Hello from gpt-5. You said: Hello there");
}

#[test]
fn the_responses_websocket_and_a_followed_response_go_over_tls() {
    let (simulator, pem) = (Simulator::start(&[]), Pem::new());
    let address = crate::stand::free_address();
    let head = format!(
        "[server.tls]\nlisten = [\"{address}\"]\ncert = \"{}\"\nkey = \"{}\"\n",
        pem.cert, pem.key
    );
    let _gateway = Gateway::start(
        simulator.address,
        &head,
        &[channel("c", "anthropic", "models = [\"claude-*\"]")],
    );
    let frames = block_on(async {
        use futures_util::{SinkExt as _, StreamExt as _};
        use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
        let mut request = "wss://localhost/v1/responses"
            .into_client_request()
            .expect("a request");
        let key = http::HeaderValue::from_static(KEY);
        request.headers_mut().insert("x-api-key", key);
        let io = tls(address, &pem, b"http/1.1").await;
        let (mut socket, _) = tokio_tungstenite::client_async(request, io)
            .await
            .expect("an upgrade");
        let asked = r#"{"type":"response.create","model":"claude-opus-4-7","input":"Hello there"}"#;
        socket.send(Message::text(asked)).await.expect("sent");
        let mut frames = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            frames.push(message.into_text().expect("text").to_string());
            if frames
                .last()
                .is_some_and(|frame| frame.contains("response.completed"))
            {
                break;
            }
        }
        frames
    });
    assert!(frames[0].contains("response.created"), "{frames:?}");
    assert!(
        frames
            .last()
            .is_some_and(|frame| frame.contains("Hello there"))
    );

    let body =
        r#"{"model":"claude-opus-4-7","input":"Hello there","background":true,"stream":true}"#;
    let (status, _, followed) = block_on(async {
        let io = tls(address, &pem, b"h2").await;
        h2_post(io, "/v1/responses", body.as_bytes()).await
    });
    let followed = String::from_utf8_lossy(&followed);
    assert_eq!(status, 200);
    assert!(followed.contains("response.queued") && followed.contains("response.completed"));
}

#[test]
fn a_channels_websocket_is_reached_over_tls() {
    let pem = Pem::new();
    let simulator = Simulator::start(&["--tls-cert", &pem.cert, "--tls-key", &pem.key]);
    let port = simulator.address.port();
    let config = format!(
        "[[channels]]\nname = \"c\"\nplatform = \"openai\"\nbase_url = \"https://localhost:{port}\"\napi_key = {{ value = \"k\" }}\n\
         [[groups]]\nname = \"g\"\nchannels = [\"c\"]\n[[keys]]\nname = \"k\"\ngroup = \"g\"\nsecret = {{ value = \"{KEY}\" }}\n"
    );
    let gateway = Gateway::with_env("", &config, &[("SSL_CERT_FILE", &pem.cert)]);
    let mut socket = crate::socket::Socket::open(gateway.address, &[("x-api-key", KEY)])
        .expect("an open WebSocket");
    let frames = socket.turn(&serde_json::json!({
        "type": "response.create", "model": "gpt-5", "input": "Hello there"
    }));
    let last = frames.last().expect("frames");
    assert_eq!(last["type"], "response.completed", "{frames:?}");
    // Over HTTP its line would say POST.
    crate::stand::eventually("the turn is in the log", || {
        let log = gateway.process.log();
        assert!(!log.contains("\"method\":\"POST\""), "{log}");
        log.contains("\"method\":\"GET\"").then_some(())
    });
}
