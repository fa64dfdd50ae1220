//! The gateway's requests of itself: made in the process, without a socket, and served as any other: planned, failed
//! over, metered, logged, settled once. What a request of this kind brings with it stands beside the connection, never in a header:
//! no client can say of itself that it has been let in.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, header};
use pingora_core::apps::HttpServerApp as _;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::server::ShutdownWatch;
use pingora_http::RequestHeader;
use pingora_proxy::HttpProxy;

use super::front;
use super::gateway::Gateway;
use crate::dialect::openai_responses::Settled;
use crate::gate::Key;
use crate::gate::limits::Reservation;

/// So much of either direction is on its way at a time.
const PIPE_BYTES: usize = 64 << 10;

/// What a request of the gateway's own brings with it.
pub struct Inner {
    /// Let in before; it must still be there, and allowed.
    pub key: Arc<Key>,
    pub client: Option<IpAddr>,
    pub request_id: Option<String>,
    /// Headers of the client that made it necessary: what would pass to a provider does.
    pub headers: HeaderMap,
    /// The previous response whose items already stand in the body: only repeated in the answer.
    pub previous: Option<String>,
    /// Of a job: what is settled of its response, which the job itself keeps.
    pub settled: Option<Settled>,
    /// What the client's request was let in with: it is not counted twice.
    pub reservation: Mutex<Option<Reservation>>,
}

impl Inner {
    pub fn take_reservation(&self) -> Option<Reservation> {
        self.reservation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Why there is no answer, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The gateway is ending, or its answer was cut.
    Cut,
    /// It is larger than whoever waits for it takes.
    TooLarge,
}

/// The way from the inside of the gateway to its own front.
#[derive(Clone, Default)]
pub struct Loopback {
    proxy: Arc<OnceLock<Weak<HttpProxy<Gateway>>>>,
}

/// The gateway's answer to itself.
pub struct InnerAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    session: Box<HttpSession>,
    is_over: bool,
}

impl Loopback {
    /// The gateway is made with its loopback, and the proxy of the gateway: so the end is tied afterwards.
    pub(super) fn tie(&self, proxy: &Arc<HttpProxy<Gateway>>) {
        // Only the first one counts; there is no other.
        let _ = self.proxy.set(Arc::downgrade(proxy));
    }

    /// POSTs `body` to `path` of the gateway itself. Dropping the answer is the client's leaving: the upstream is
    /// cancelled and what was used is metered.
    pub async fn post(&self, inner: Inner, path: &str, body: Bytes) -> Result<InnerAnswer, Broken> {
        let proxy = self
            .proxy
            .get()
            .and_then(Weak::upgrade)
            .ok_or(Broken::Cut)?;
        let head = head_of(&inner, path, body.len()).map_err(|_| Broken::Cut)?;
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(serve(proxy, far, Arc::new(inner)));
        let mut session = Box::new(HttpSession::new(Box::new(near)));
        // A request that is refused by its head is answered all the same.
        let _ = write(&mut session, head, &body).await;
        drop(body);
        let head = session.read_resp_header_parts().await;
        let head = head.map_err(|_| Broken::Cut)?;
        Ok(InnerAnswer {
            status: head.status.as_u16(),
            headers: head.headers.clone(),
            session,
            is_over: false,
        })
    }
}

async fn write(
    session: &mut HttpSession,
    head: RequestHeader,
    body: &[u8],
) -> pingora_core::Result<()> {
    session.write_request_header(Box::new(head)).await?;
    session.write_body(body).await?;
    session.finish_body().await.map(|_| ())
}

fn head_of(inner: &Inner, path: &str, length: usize) -> pingora_core::Result<RequestHeader> {
    let mut head =
        RequestHeader::build(Method::POST, path.as_bytes(), Some(inner.headers.len() + 3))?;
    for (name, value) in &inner.headers {
        if !is_of_the_hop(name.as_str()) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    head.insert_header(header::HOST, "gateway.internal")?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(length))?;
    Ok(head)
}

/// What tells of the way that the client's own request came, not of what it asked.
fn is_of_the_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "upgrade"
            | "keep-alive"
            | "expect"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "content-encoding"
            | "proxy-connection"
    ) || name.starts_with("sec-websocket-")
}

/// The same path as a client's connection takes, for one request.
async fn serve(proxy: Arc<HttpProxy<Gateway>>, stream: tokio::io::DuplexStream, inner: Arc<Inner>) {
    // What the gateway has begun it finishes: the end of new connections is none for these.
    static NEVER: LazyLock<(tokio::sync::watch::Sender<bool>, ShutdownWatch)> =
        LazyLock::new(|| tokio::sync::watch::channel(false));
    let never = NEVER.1.clone();
    let session = ServerSession::new_http1(Box::new(stream));
    let Some((wrapped, latch)) = Box::pin(front::begin_inner(session, &never, inner)).await else {
        return;
    };
    proxy.process_new_http(wrapped, &never).await;
    Box::pin(front::end(&latch)).await;
}

impl InnerAnswer {
    /// The next part of the body. `None`: it is whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.is_over {
            return None;
        }
        match self.session.read_body_bytes().await {
            Ok(Some(chunk)) => Some(Ok(chunk)),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(_) => {
                self.is_over = true;
                Some(Err(Broken::Cut))
            }
        }
    }

    /// The whole body, of at most `limit` bytes.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, Broken> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > limit {
                return Err(Broken::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keeper::Keeper;
    use super::*;
    use crate::store::{Settings, Store};
    use std::time::{Duration, SystemTime};

    use arc_swap::ArcSwap;
    use pingora_core::server::configuration::ServerConf;
    use prometheus::core::Collector as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use crate::gate::limits::{Clock, Limiter};
    use crate::gate::{Book, Credentials};
    use crate::meter::{Ledger, metrics};
    use crate::proxy::Front;
    use crate::world::World;

    const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    const DELTA: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"some text\"}}]}\n\n";

    /// A gateway in this process, with a key of the test's own name.
    fn store() -> Store {
        Store::open(&Settings {
            url: "sqlite::memory:".to_owned(),
            responses_ttl: std::time::Duration::from_secs(60),
            responses_max_bytes: 1 << 20,
            usage_ttl: std::time::Duration::ZERO,
        })
        .expect("a store")
    }

    struct Within {
        front: Front,
        world: Arc<ArcSwap<World>>,
        key: &'static str,
    }

    impl Within {
        fn new(key: &'static str, upstream: std::net::SocketAddr) -> Self {
            let text = format!(
                "[server]\nlisten = [\"127.0.0.1:1\"]\nbody_limit = \"64KiB\"\n[[channels]]\nname = \"{key}\"\nplatform = \"openai-compatible\"\nbase_url = \"http://{upstream}\"\nmodels = [\"m\"]\n[[groups]]\nname = \"g\"\nchannels = [\"{key}\"]\n[[keys]]\nname = \"{key}\"\ngroup = \"g\"\nsecret = {{ value = \"sk-inner-test-0001\" }}\n"
            );
            let (config, report) = crate::config::parse("test.toml", &text);
            let config = config.unwrap_or_else(|| panic!("{}", report.mistakes()));
            let world = Arc::new(ArcSwap::from_pointee(World::new(
                config,
                Arc::new(Book::new(None)),
                Limiter::memory(Clock::System),
                None,
            )));
            let front = Front::new(
                &Arc::new(ServerConf::default()),
                world.clone(),
                Arc::new(Keeper::new(store())),
                Ledger::open(store(), None, 0).expect("a ledger"),
            );
            Self { front, world, key }
        }

        fn inner(&self) -> Inner {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static("sk-inner-test-0001"));
            let credentials = Credentials::find(&headers, "", false).expect("well placed");
            let world = self.world.load();
            let key = world
                .ring()
                .authenticate(&credentials, None, SystemTime::now());
            Inner {
                key: key.expect("it is known"),
                client: None,
                request_id: Some("req_inner".into()),
                headers: HeaderMap::new(),
                previous: None,
                settled: None,
                reservation: Mutex::default(),
            }
        }

        async fn post(&self, body: &str) -> InnerAnswer {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let asked = self
                .front
                .loopback
                .post(self.inner(), "/v1/chat/completions", body);
            asked.await.expect("it answers")
        }

        /// Requests that were counted with this status.
        fn counted(&self, status: u16) -> u64 {
            let status = status.to_string();
            let families = metrics().requests.collect();
            let all = families
                .iter()
                .flat_map(prometheus::proto::MetricFamily::get_metric);
            all.filter(|metric| {
                let has = |name: &str, value: &str| {
                    metric
                        .get_label()
                        .iter()
                        .any(|label| label.name() == name && label.value() == value)
                };
                has("key", self.key) && has("status", &status)
            })
            .map(|metric| metric.get_counter().value() as u64)
            .sum()
        }
    }

    async fn accept(listener: &TcpListener) -> TcpStream {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.ends_with(b"}]}") && !read.ends_with(b"}}") {
            let count = stream.read_buf(&mut read).await.expect("a request");
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&read));
        }
        let head = String::from_utf8_lossy(&read).to_ascii_lowercase();
        assert!(!head.contains("sk-inner") && !head.contains("connection:"));
        stream
    }

    async fn listen() -> (TcpListener, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    #[tokio::test]
    async fn a_request_of_its_own_is_served_and_counted_as_any() {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let mut stream = accept(&listener).await;
            let length = ANSWER.len();
            let whole = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
            );
            stream.write_all(whole.as_bytes()).await.expect("written");
            let _ = stream.read(&mut [0]).await;
        });
        let within = Within::new("inner_whole", address);
        let answer = within
            .post(r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#)
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-request-id"], "req_inner");
        let body = answer.whole(1 << 20).await.expect("whole");
        assert_eq!(body, ANSWER);
        wait_for(|| within.counted(200) == 1).await;
    }

    #[tokio::test]
    async fn dropping_the_answer_cancels_the_upstream() {
        let (listener, address) = listen().await;
        let (gone, is_gone) = oneshot::channel();
        tokio::spawn(async move {
            let mut stream = accept(&listener).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).await.expect("written");
            stream.write_all(DELTA.as_bytes()).await.expect("written");
            let ended = stream.read(&mut [0; 64]).await;
            let _ = gone.send(matches!(ended, Ok(0) | Err(_)));
        });
        let within = Within::new("inner_left", address);
        let mut answer = within
            .post(r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}"#)
            .await;
        let first = answer.next().await.expect("more").expect("a chunk");
        assert_eq!(first, DELTA);
        drop(answer);
        assert!(is_gone.await.expect("the upstream sees it"));
        wait_for(|| within.counted(499) == 1).await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_it_is_told_as_to_any() {
        let (_listener, address) = listen().await;
        let within = Within::new("inner_wrong", address);
        let unknown = within.post(r#"{"model":"other","messages":[]}"#).await;
        assert_eq!(unknown.status, 404);
        let large = "x".repeat(65 << 10);
        let large = within.post(&large).await;
        assert_eq!(large.status, 413);
        assert_eq!(large.whole(8).await, Err(Broken::TooLarge));
        wait_for(|| within.counted(404) == 1 && within.counted(413) == 1).await;
    }

    #[tokio::test]
    async fn a_key_that_is_gone_comes_in_no_more() {
        let (_listener, address) = listen().await;
        let within = Within::new("inner_gone", address);
        let inner = within.inner();
        let mut config = within.world.load().config.clone();
        config.keys[0].secret = crate::base::Secret::new("sk-another");
        let old = within.world.load_full();
        let next = World::new(config, old.book.clone(), old.limiter.clone(), Some(&old));
        within.world.store(Arc::new(next));
        let asked =
            within
                .front
                .loopback
                .post(inner, "/v1/chat/completions", Bytes::from_static(b"{}"));
        assert_eq!(asked.await.expect("it answers").status, 401);
    }

    async fn wait_for(mut check: impl FnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !check() {
            assert!(tokio::time::Instant::now() < deadline, "it never happened");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
