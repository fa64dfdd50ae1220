//! The provider simulator: OpenAI, Anthropic, Gemini and OpenRouter from one port, without network or account.
//!
//! Answers depend on the request (model, last message, tools offered, limits) and are the same streamed and
//! unstreamed; event sequences, usage, errors and headers have the providers' true shapes. What is sent and what
//! was asked can be read back under `/__sim/`, so that a test can compare both sides of a gateway.
//!
//! | file | what it owns |
//! |---|---|
//! | `exchange` | a request, an answer, a problem, before any bytes |
//! | `route` | path to endpoint, credentials |
//! | `answer`, `schema`, `cache` | what to say, and what it costs |
//! | `openai_store`, `openai_run`, `openai_conversations`, `openai_list` | what OpenAI remembers: responses, background, items |
//! | `openai_socket` | the Responses WebSocket |
//! | `openai_*`, `anthropic`, `gemini*`, `openrouter` | the dialects |
//! | `fault`, `errors`, `serve` | what goes wrong on purpose; each provider's errors and headers; framing and pacing |
//! | `books`, `replay`, `sign`, `json`, `media` | journal, recordings, signatures, ordered JSON, a PNG and a WAV |
//!
//! Request bodies and credentials are never logged.

mod answer;
mod anthropic;
mod anthropic_read;
mod books;
mod cache;
mod errors;
mod exchange;
mod fault;
mod gemini;
mod gemini_read;
mod json;
mod media;
mod openai_chat;
mod openai_conversations;
mod openai_list;
mod openai_misc;
mod openai_read;
mod openai_responses;
mod openai_run;
mod openai_socket;
mod openai_store;
mod openrouter;
mod replay;
mod responses_read;
mod route;
mod schema;
mod serve;
mod sign;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use pingora_core::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream,
};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;

use books::{Books, Journal};
use cache::Caches;
use exchange::{Problem, Reply, Request, Voice};
use fault::Asked;
use openai_conversations::Conversations;
use openai_run::SLOW_GAP_MS;
use openai_socket::Lane;
use openai_store::Store;
use replay::Recording;
use serve::End;

pub use fault::{Fail, Fault};

/// The largest request body that is read; a provider would stop far below.
const MOST_BODY: usize = 512 * 1024 * 1024;

/// How many names of `x-sim-fail: …;id=NAME` are counted.
const MOST_COUNTERS: usize = 10_000;

/// How long a slow answer takes that is no stream.
const SLOW_WHOLE: Duration = Duration::from_millis(1500);

/// How the simulator behaves when a request does not say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Before the first byte of every answer.
    pub latency: Duration,
    /// Between the events of a stream.
    pub gap: Duration,
    /// Number of pieces into which the text of a stream is divided (none: one for each word).
    pub events: Option<u32>,
    /// Pads the text of an answer to about so many bytes.
    pub size: Option<usize>,
    /// What goes wrong, and how often.
    pub fail: Vec<Fail>,
    /// Ends every stream abruptly after so many events.
    pub cut: Option<u32>,
    /// Answers every request with the response of this recording.
    pub replay: Option<PathBuf>,
    /// Whether a request without a credential is refused; otherwise any credential or none passes.
    pub require_key: bool,
}

/// The provider that answers; shared by all connections.
pub struct Simulator {
    options: Options,
    recording: Option<Recording>,
    replay_folder: Option<PathBuf>,
    server: HttpServerOptions,
    journal: Mutex<Journal>,
    books: Mutex<Books>,
    caches: Mutex<Caches>,
    store: Mutex<Store>,
    conversations: Mutex<Conversations>,
    counters: Mutex<HashMap<String, u32>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Locks; a panic elsewhere leaves counts behind, not broken data.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// Makes a simulator; fails when the recording cannot be read.
    pub fn new(options: Options) -> Result<Self, String> {
        let recording = options.replay.as_deref().map(Recording::read).transpose()?;
        let mut server = HttpServerOptions::default();
        server.h2c = true;
        Ok(Simulator {
            replay_folder: replay::folder(options.replay.as_deref()),
            recording,
            server,
            journal: Mutex::default(),
            books: Mutex::default(),
            caches: Mutex::default(),
            store: Mutex::default(),
            conversations: Mutex::default(),
            counters: Mutex::default(),
            options,
        })
    }

    /// How often this name was asked for, this time included.
    fn count(&self, name: &str) -> u32 {
        let mut counters = held(&self.counters);
        if counters.len() >= MOST_COUNTERS && !counters.contains_key(name) {
            counters.clear();
        }
        let count = counters.entry(name.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// The simulator's own endpoints, which need no credential and leave no trace.
    fn own(&self, method: &str, path: &str) -> Option<json::Json> {
        match (method, path) {
            (_, "/healthz") => Some(json::obj! { "status": "ok" }),
            ("GET", "/__sim/requests") => Some(held(&self.journal).requests()),
            ("DELETE", "/__sim/requests") => {
                held(&self.journal).clear();
                Some(json::obj! { "cleared": true })
            }
            ("GET", "/__sim/books") => Some(held(&self.books).json()),
            ("GET", "/__sim/state") => Some(held(&self.journal).state()),
            _ => None,
        }
    }

    /// Answers one request over its session; `End` says what to do with the connection.
    async fn serve(&self, session: &mut ServerSession, request: &Request, steer: Steered) -> End {
        let voice = route::voice(request);
        let (reply, steer) = self.reply(request, voice, steer, None);
        if !serve::wait(session, steer.delay).await {
            return End::ClientLeft;
        }
        match &steer.trouble {
            Some(fault::Trouble::Fault(Fault::Hang)) => {
                serve::hang(session).await;
                return End::ClientLeft;
            }
            Some(fault::Trouble::Fault(Fault::Close)) => return End::Broken,
            _ => {}
        }
        let head_only = request.method == "HEAD";
        let (end, sent) = serve::deliver(session, &reply, &steer, voice, head_only).await;
        if let Some(bill) = &reply.bill {
            held(&self.books).enter(voice.platform(), bill, sent);
        }
        end
    }

    /// The answer with its faults, and how it is to be sent.
    fn reply(
        &self,
        request: &Request,
        voice: Voice,
        steer: Steered,
        lane: Option<&Lane>,
    ) -> (Reply, fault::Steer) {
        let mut steer = match steer {
            Ok(steer) => steer,
            Err(message) => {
                return (
                    errors::refusal(voice, &Problem::bad(message)),
                    fault::Steer::default(),
                );
            }
        };
        let context = exchange::Context {
            sim: self,
            request,
            steer: &steer,
            voice,
            lane,
        };
        if steer
            .trouble
            .as_ref()
            .is_some_and(fault::Trouble::comes_first)
        {
            // The request is never looked at: it must not warm a prompt cache or be stored.
            return (
                serve::spoil(Reply::json(&json::obj! {}), &steer, voice),
                steer,
            );
        }
        let reply = match self.recorded(&steer) {
            Some(Ok(reply)) => reply,
            Some(Err(message)) => errors::refusal(voice, &Problem::bad(message)),
            None => match route::answer(&context) {
                Ok(mut reply) => {
                    reply
                        .headers
                        .extend(errors::headers(voice, &errors::request_id(voice), false));
                    reply
                }
                Err(problem) => errors::refusal(voice, &problem),
            },
        };
        if reply.slow && reply.is_stream() {
            steer.gap = steer.gap.max(Duration::from_millis(SLOW_GAP_MS));
        } else if reply.slow {
            steer.delay = steer.delay.max(SLOW_WHOLE);
        }
        (serve::spoil(reply, &steer, voice), steer)
    }

    /// The recording that answers, if one does.
    fn recorded(&self, steer: &fault::Steer) -> Option<Result<Reply, String>> {
        if let Some(name) = &steer.replay {
            let read = replay::named(self.replay_folder.as_deref(), name);
            return Some(read.map(|recording| recording.reply()));
        }
        self.recording
            .as_ref()
            .map(|recording| Ok(recording.reply()))
    }
}

/// How a request wants to be answered, or which of its headers is wrong.
type Steered = Result<fault::Steer, String>;

/// One request's place in the journal: it is closed once, also when its task is dropped.
struct Visit {
    sim: Arc<Simulator>,
    n: u64,
    open: bool,
}

impl Visit {
    fn begin(sim: &Arc<Simulator>) -> Self {
        let n = held(&sim.journal).begin();
        Visit {
            sim: Arc::clone(sim),
            n,
            open: true,
        }
    }

    fn end(mut self, aborted: bool) {
        self.open = false;
        held(&self.sim.journal).end(self.n, aborted);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.open {
            held(&self.sim.journal).end(self.n, true);
        }
    }
}

/// Reads the body; `None` when the client left or sent too much.
async fn read(session: &mut ServerSession) -> Option<Request> {
    let head = session.req_header();
    let mut request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.clone(),
        body: bytes::Bytes::new(),
    };
    if request.headers.contains_key("expect") {
        session.write_continue_response().await.ok()?;
    }
    let mut body = BytesMut::new();
    while let Some(bytes) = session.read_request_body().await.ok()? {
        if body.len() + bytes.len() > MOST_BODY {
            return None;
        }
        body.extend_from_slice(&bytes);
    }
    request.body = body.freeze();
    Some(request)
}

/// Gives the connection back for the next request.
async fn finish(session: ServerSession) -> Option<ReusedHttpStream> {
    let settings = HttpPersistentSettings::for_session(&session);
    let stream = session.finish().await.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(stream, settings))
}

#[async_trait]
impl HttpServerApp for Simulator {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(session.read_request().await, Ok(true)) {
            return None;
        }
        let stopping = *shutdown.borrow();
        session.set_keepalive(if stopping { None } else { Some(60) });
        let method = session.req_header().method.as_str().to_owned();
        let path = session.req_header().uri.path().to_owned();
        if let Some(json) = self.own(&method, &path) {
            let end = serve::tell(&mut session, &json, method == "HEAD").await;
            return if end == End::Complete {
                finish(session).await
            } else {
                None
            };
        }
        let visit = Visit::begin(self);
        let started_ms = sign::now_ms();
        let Some(request) = read(&mut session).await else {
            visit.end(true);
            return None;
        };
        held(&self.journal).keep(visit.n, &request, started_ms);
        let wants_socket = openai_socket::is_wanted(&request) && !session.is_http2();
        let asked = if wants_socket {
            Asked::Upgrade
        } else {
            Asked::Answer
        };
        let steer = fault::steer(self, &self.options, &request, asked);
        let well = steer.as_ref().is_ok_and(|steer| steer.trouble.is_none());
        // A handshake that is no good is answered like the same request without one.
        if wants_socket
            && well
            && let Some(head) = openai_socket::accept(self, &request)
        {
            let open = session.write_response_header(Box::new(head)).await.is_ok();
            let ended = open && openai_socket::serve(self, session, &request, shutdown).await;
            visit.end(!ended);
            return None;
        }
        match self.serve(&mut session, &request, steer).await {
            End::Complete => {
                // The end of the body is part of the answer: the journal is closed after it.
                let stream = finish(session).await;
                visit.end(false);
                stream
            }
            End::Broken => {
                session.shutdown().await;
                visit.end(false);
                None
            }
            End::ClientLeft => {
                visit.end(true);
                None
            }
        }
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server)
    }
}
