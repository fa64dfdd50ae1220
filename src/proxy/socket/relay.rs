//! A turn over a WebSocket of the channel's own: frames pass as they are, metered like any request. The channel's connection is
//! kept while turns go to it, because only there a response that nobody stores can be continued.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Method, header};
use pingora_core::protocols::{ALPN, Stream};
use pingora_http::RequestHeader;
use pingora_proxy::ProxyHttp as _;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::super::attempt::{Answer, Attempt, Made, outcome_of, timeout_fault};
use super::super::exchange::{Asked, Exchange};
use super::super::{allowance, heads, intake, kept};
use super::talk::{Gone, Talk};
use super::turn::{self, Meaning};
use super::{Sockets, config};
use crate::base::{Fault, Outcome, UpstreamError};
use crate::dialect::openai_responses::socket::Create;
use crate::dialect::openai_responses::socket::id_of;
use crate::dialect::openai_responses::state::Wishes;
use crate::dialect::{Dialect, Expect, Opening, Operation, Surface};
use crate::gate::limits::Reservation;
use crate::platform::scrub;
use crate::route::{Channel, Claim, Pick};

/// So many responses of a connection can be continued there.
const MAX_IDS: usize = 256;
/// So many opening events are held back, as many bytes.
const MAX_HELD: usize = 1 << 20;
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of a turn.
pub enum Relayed {
    Done,
    /// It is to be asked over HTTP: nothing of it has reached the client. With what it was let in with, if it was.
    ByHttp(Option<Reservation>),
}

/// A channel's WebSocket.
pub struct Upstream {
    channel: Arc<Channel>,
    socket: WebSocketStream<Stream>,
    /// What was made on it.
    ids: VecDeque<String>,
}

impl Upstream {
    /// Between turns: answers pings, until it is closed.
    pub async fn rest(&mut self) {
        while let Some(Ok(message)) = self.socket.next().await {
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    }

    fn remember(&mut self, id: String) {
        if self.ids.len() >= MAX_IDS {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
    }
}

/// May the channel be asked for a WebSocket?
fn has_socket(sockets: &Sockets, channel: &Channel) -> bool {
    channel.config.platform.responses_socket && !sockets.has_refused(&channel.name)
}

/// Takes the turn, where its channel has a WebSocket.
pub async fn turn(talk: &mut Talk<'_>, create: &Create, text: &Bytes) -> Result<Relayed, Gone> {
    let Some(mut x) = prepare(talk, create, text).await else {
        return Ok(Relayed::ByHttp(None));
    };
    let Some(attempt) = x.attempt.take() else {
        return Ok(Relayed::ByHttp(None));
    };
    if allowance::admit(&mut x, text).await.is_err() {
        // It is refused there, too, and told so.
        return Ok(Relayed::ByHttp(None));
    }
    let known = talk
        .upstream
        .take_if(|upstream| Arc::ptr_eq(&upstream.channel, &attempt.channel));
    let upstream = match (known, &x.asked) {
        (Some(upstream), _) => upstream,
        (None, Some(asked)) => match connect(talk, &attempt, asked).await {
            Some(upstream) => upstream,
            None => {
                talk.sockets.refuses(&attempt.channel.name);
                return Ok(Relayed::ByHttp(x.reservation.take()));
            }
        },
        (None, None) => return Ok(Relayed::ByHttp(x.reservation.take())),
    };
    // The one that was there leads elsewhere.
    talk.upstream = None;
    if let Some(key) = x.key.take() {
        x.admit(key);
    }
    x.begun = true;
    x.status = 200;
    x.own_time = Some(x.started.elapsed());
    let body = attempt.body.clone();
    x.attempt = Some(attempt);
    let passing = Passing {
        talk,
        upstream,
        x,
        lane: create.lane.as_deref(),
        can_move: create.previous.is_none() || create.store,
        stores: create.store,
        committed: false,
        held: Vec::new(),
        held_bytes: 0,
    };
    passing.run(body).await
}

/// The request as its channel gets it. `None`: the turn goes by HTTP, also to be told what is wrong with it.
async fn prepare(talk: &Talk<'_>, create: &Create, text: &Bytes) -> Option<Box<Exchange>> {
    let mut x = talk.sockets.gateway.new_ctx();
    let (guest, now) = (&talk.guest, SystemTime::now());
    x.key = Some(x.world.ring().readmit(&guest.key, guest.client, now).ok()?);
    x.request_id = talk.turn_id();
    x.method = Method::GET;
    x.client = guest.client;
    x.asked = Some(Asked {
        operation: Operation::Responses,
        raw_path: "/v1/responses".to_owned(),
        query: String::new(),
        path_model: None,
        model: String::new(),
        target: String::new(),
        peek: None,
        stream: true,
        expect: Expect::Sse,
        body_bytes: 0,
        text_bytes: 0,
        has_betas: false,
    });
    intake::inspect(&mut x, text, None).ok()?;
    let asked = x.asked.as_mut()?;
    // Over the WebSocket this goes without saying.
    (asked.stream, asked.expect) = (true, Expect::Sse);
    let claim = choose(talk, create, &mut x)?;
    let server = &x.world.config.server;
    match Attempt::make(claim, x.asked.as_ref()?, text, server, None, true).await {
        Ok(Made::Attempt(attempt)) => x.attempt = Some(attempt),
        Ok(Made::Local(_)) | Err(_) => return None,
    }
    Some(x)
}

fn choose(talk: &Talk<'_>, create: &Create, x: &mut Exchange) -> Option<Claim> {
    let world = x.world.clone();
    // What is kept here, or must be looked for, is brought along over HTTP.
    let wishes = Wishes::of(&create.body).ok()?;
    let names = [&wishes.references, &wishes.thoughts];
    if wishes.conversation.is_some() || wishes.background || names.iter().any(|n| !n.is_empty()) {
        return None;
    }
    let (asked, key) = (x.asked.as_ref()?, x.key.as_ref()?);
    let group = &world.groups[key.group];
    let can = |channel: &Channel| {
        has_socket(talk.sockets, channel) && channel.route(&asked.target).is_some()
    };
    if asked.model.is_empty() || !group.channels().any(|channel| can(channel)) {
        return None;
    }
    let now = std::time::Instant::now();
    let kept = talk.upstream.as_ref().filter(|upstream| {
        let is_there = |channel: &Arc<Channel>| Arc::ptr_eq(channel, &upstream.channel);
        group.channels().any(is_there) && can(&upstream.channel)
    });
    match (&create.previous, kept) {
        (Some(previous), Some(upstream)) if upstream.ids.contains(previous) => {
            x.plan.pin(upstream.channel.id);
        }
        // Only where it was made, or by what is stored of it.
        (Some(_), _) => return None,
        (None, Some(upstream)) if upstream.channel.is_ready(now) => {
            x.plan.pin(upstream.channel.id);
        }
        (None, _) => {}
    }
    match group.pick(&mut x.plan, asked.operation, Some(&asked.target), now) {
        Pick::Channel(claim) => has_socket(talk.sockets, claim.channel()).then_some(claim),
        Pick::NoOperation | Pick::NoModel | Pick::Away(_) | Pick::Exhausted => None,
    }
}

/// Opens the channel's WebSocket: path, headers and credential as over HTTP.
async fn connect(talk: &Talk<'_>, attempt: &Attempt, asked: &Asked) -> Option<Upstream> {
    let channel = &attempt.channel;
    channel.be_looked_up().await;
    let mut peer = channel.peer()?;
    peer.options.alpn = ALPN::H1;
    let mut head = RequestHeader::build(Method::GET, asked.raw_path.as_bytes(), None).ok()?;
    for (name, value) in &talk.guest.headers {
        head.append_header(name.clone(), value.clone()).ok()?;
    }
    heads::for_upstream(&mut head, attempt, asked, Surface::OpenAi).ok()?;
    let path = head.uri.path_and_query()?.as_str();
    let mut request = http::Request::builder()
        .uri(format!("ws://{}{path}", channel.config.base.authority))
        .body(())
        .ok()?;
    *request.headers_mut() = head.headers.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let key = HeaderValue::try_from(generate_key()).ok()?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    let opened = async {
        let stream = talk.sockets.connector.new_stream(&*peer).await.ok()?;
        let config = Some(config(talk.guest.limit));
        let opened = client_async_with_config(request, stream, config).await;
        opened.ok().map(|(socket, _)| socket)
    };
    let patience = channel.config.timeouts.first_byte;
    let socket = timeout(patience, opened).await.ok()??;
    Some(Upstream {
        channel: channel.clone(),
        socket,
        ids: VecDeque::new(),
    })
}

/// A turn under way.
struct Passing<'a, 'b> {
    talk: &'a mut Talk<'b>,
    upstream: Upstream,
    x: Box<Exchange>,
    lane: Option<&'a str>,
    /// Another way may answer while nothing has reached the client.
    can_move: bool,
    /// The channel keeps the response.
    stores: bool,
    committed: bool,
    /// The opening events: they pass with the first output.
    held: Vec<String>,
    held_bytes: usize,
}

enum Step {
    On,
    Ended(Relayed),
    /// It has ended, and the channel's WebSocket is good for more.
    Kept,
}

impl Passing<'_, '_> {
    async fn run(mut self, body: Bytes) -> Result<Relayed, Gone> {
        let timeouts = self.upstream.channel.config.timeouts;
        let began = Instant::now();
        let (mut heard, mut held_since) = (None::<Instant>, None::<Instant>);
        let Ok(text) = body.try_into() else {
            return self.died(Outcome::BadResponse, turn::broken_off()).await;
        };
        let sent = self.upstream.socket.send(Message::Text(text));
        if !matches!(timeout(WRITE_TIMEOUT, sent).await, Ok(Ok(()))) {
            return self.died(Outcome::Reset, turn::broken_off()).await;
        }
        loop {
            let silence = heard.map_or(began + timeouts.first_byte, |at| at + timeouts.idle);
            let commit_after = self.x.world.config.server.commit_after;
            let commit = held_since
                .filter(|_| !self.committed)
                .map(|at| at + commit_after);
            let deadline = silence.min(began + timeouts.total);
            let message = tokio::select! {
                message = self.upstream.socket.next() => message,
                said = self.talk.read() => {
                    self.interrupted(said).await?;
                    continue;
                }
                () = sleep_until(commit.map_or(deadline, |at| at.min(deadline))) => {
                    if Instant::now() < deadline {
                        self.commit().await?;
                        continue;
                    }
                    return self.died(Outcome::Timeout, timeout_fault()).await;
                }
            };
            heard = Some(Instant::now());
            let step = match message {
                Some(Ok(Message::Text(text))) => self.event(text.as_str()).await?,
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Binary(_),
                )) => Step::On,
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return self.died(Outcome::Reset, turn::broken_off()).await;
                }
            };
            if !self.held.is_empty() {
                held_since.get_or_insert_with(Instant::now);
            }
            match step {
                Step::On => {}
                Step::Ended(relayed) => return Ok(relayed),
                Step::Kept => {
                    self.talk.upstream = Some(self.upstream);
                    return Ok(Relayed::Done);
                }
            }
        }
    }

    async fn interrupted(&mut self, said: super::talk::Said) -> Result<(), Gone> {
        let told = self.talk.interrupted(said).await;
        self.unless_gone(told)
    }

    fn unless_gone<T>(&mut self, told: Result<T, Gone>) -> Result<T, Gone> {
        if told.is_err() {
            // What was used is metered when the exchange is dropped; the channel's connection ends with it.
            self.x.client_left = true;
            if let Some(attempt) = &mut self.x.attempt {
                attempt.answer = Answer::Passing;
            }
        }
        told
    }

    async fn event(&mut self, text: &str) -> Result<Step, Gone> {
        let frame = [b"data: ", text.as_bytes(), b"\n\n"].concat();
        if let Some(attempt) = &mut self.x.attempt {
            attempt.tap.feed(&frame);
        }
        let opening = (!self.committed).then(|| Dialect::OpenAiResponses.opening(&frame));
        match (turn::meaning(text), opening) {
            (Meaning::Error, _) => self.error(text).await,
            (Meaning::Over(_), Some(Opening::Fault(error)))
                if self.can_move && !error.is_clients_fault() =>
            {
                Ok(self.move_on(Outcome::BadResponse, &error))
            }
            (Meaning::Over(response), _) => {
                self.commit().await?;
                if let Some(response) = &response {
                    self.upstream.remember(id_of(response));
                    if self.stores {
                        kept::remember(&self.x, response).await;
                    }
                }
                self.pass(text.to_owned()).await?;
                self.x.end_attempt(Outcome::Ok, None);
                Ok(Step::Kept)
            }
            (Meaning::Goes, Some(Opening::Hold)) if self.held_bytes < MAX_HELD => {
                self.held_bytes += text.len();
                self.held.push(text.to_owned());
                Ok(Step::On)
            }
            (Meaning::Goes, _) => {
                self.commit().await?;
                self.pass(text.to_owned()).await?;
                Ok(Step::On)
            }
        }
    }

    /// An error of the channel: the client's own passes, another may be mended elsewhere.
    async fn error(&mut self, text: &str) -> Result<Step, Gone> {
        let status = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|frame| frame.get("status")?.as_u64())
            .map_or(500, |status| status as u16);
        let error = Dialect::OpenAiResponses.read_error(status, text.as_bytes());
        let outcome = outcome_of(&error);
        if !self.committed && self.can_move && !error.is_clients_fault() {
            return Ok(self.move_on(outcome, &error));
        }
        let credential = self.upstream.channel.config.api_key.as_ref();
        let credential = credential.map_or_else(String::new, |key| key.expose().to_owned());
        let clean = scrub::scrub(text, &credential).into_owned();
        if !self.committed {
            self.x.status = status;
        }
        self.x.error = Some("upstream_refused");
        self.x.end_attempt(outcome, error.retry_after);
        for event in std::mem::take(&mut self.held) {
            self.pass(event).await?;
        }
        self.pass(clean).await?;
        Ok(Step::Kept)
    }

    fn move_on(&mut self, outcome: Outcome, error: &UpstreamError) -> Step {
        self.x.end_attempt(outcome, error.retry_after);
        // What it used goes with what it was let in with.
        self.x.write_off();
        let admitted = self.x.reservation.take();
        self.x.give_up();
        Step::Ended(Relayed::ByHttp(admitted))
    }

    /// From here on it is the client's.
    async fn commit(&mut self) -> Result<(), Gone> {
        if self.committed {
            return Ok(());
        }
        self.committed = true;
        self.x.first_output = Some(std::time::Instant::now());
        if let Some(attempt) = &mut self.x.attempt {
            attempt.answer = Answer::Passing;
            attempt.body = Bytes::new();
        }
        for event in std::mem::take(&mut self.held) {
            self.pass(event).await?;
        }
        Ok(())
    }

    /// The channel itself marks frames with their lane.
    async fn pass(&mut self, text: String) -> Result<(), Gone> {
        self.x.response_bytes += text.len() as u64;
        let told = self.talk.send(text).await;
        self.unless_gone(told)
    }

    /// The channel's connection is gone, or silent.
    async fn died(mut self, outcome: Outcome, fault: Fault) -> Result<Relayed, Gone> {
        self.x.end_attempt(outcome, None);
        if !self.committed && self.can_move {
            self.x.write_off();
            let admitted = self.x.reservation.take();
            self.x.give_up();
            return Ok(Relayed::ByHttp(admitted));
        }
        self.x.error = Some("upstream_died");
        if !self.committed {
            self.x.status = fault.status;
        }
        let told = self.talk.fault(&fault, self.lane).await;
        self.unless_gone(told)?;
        Ok(Relayed::Done)
    }
}
