//! The session between the client and Pingora. Pingora's own retry buffer ends at 64 KiB and its response
//! goes out at once; this one holds the whole request (within the gateway's limit) for as many
//! attempts as it takes, and the answer's beginning until the exchange commits to it. It also keeps the
//! time: first byte, gaps, total, the commit, heartbeats.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session as CustomSession;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::{Instant, Sleep, sleep_until};

use super::latch::{Clock, Expiry, Latch};

/// A comment, which every reader of event streams skips.
const HEARTBEAT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// A head came, and the end with it.
pub const NO_ANSWER: ErrorType = ErrorType::Custom("the answer ended before it began");

/// How long the end of an answer waits for what is kept of it.
const GATE_TIME: Duration = Duration::from_secs(10);

/// The wrapped session.
pub struct Replay {
    /// Only gone when dropped.
    inner: Option<Box<ServerSession>>,
    latch: Arc<Latch>,
    /// Of the answer: until the commit all of it, after a timed commit on h2 what waits to be written.
    held: Vec<HttpTask>,
    /// The rest of a heartbeat on h2.
    unsent_beat: Bytes,
    answered: bool,
    finished: bool,
    /// The upstream's last sign of life.
    last_activity: Instant,
    last_beat: Instant,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Replay {
    pub fn new(inner: Box<ServerSession>, latch: Arc<Latch>) -> Self {
        let now = Instant::now();
        Self {
            inner: Some(inner),
            latch,
            held: Vec::new(),
            unsent_beat: Bytes::new(),
            answered: false,
            finished: false,
            last_activity: now,
            last_beat: now,
            timer: None,
        }
    }

    fn inner(&self) -> &ServerSession {
        self.inner
            .as_deref()
            .expect("the session is there until the drop")
    }

    fn inner_mut(&mut self) -> &mut ServerSession {
        self.inner
            .as_deref_mut()
            .expect("the session is there until the drop")
    }

    /// When the clock must be looked at next.
    fn deadline(&self, clock: &Clock) -> Option<Instant> {
        let committed = self.latch.is_committed();
        let silence = if self.answered {
            clock.idle.map(|idle| self.last_activity + idle)
        } else {
            clock.first_byte
        };
        let commit = clock.commit.filter(|_| !committed && !self.held.is_empty());
        let beat = clock
            .heartbeat
            .filter(|_| committed)
            .map(|every| self.last_activity.max(self.last_beat) + every);
        [silence, clock.total, commit, beat]
            .into_iter()
            .flatten()
            .min()
    }

    /// The timer has run: what is due?
    async fn on_time(&mut self, clock: Clock) -> Result<()> {
        let now = Instant::now();
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let expired = if over(clock.total) {
            Some(Expiry::Total)
        } else if !self.answered && over(clock.first_byte) {
            Some(Expiry::FirstByte)
        } else if self.answered && over(clock.idle.map(|idle| self.last_activity + idle)) {
            Some(Expiry::Idle)
        } else {
            None
        };
        if let Some(expiry) = expired {
            self.latch.state().expired = Some(expiry);
            return Error::e_explain(ErrorType::ReadTimedout, "the upstream took too long");
        }
        if !self.latch.is_committed() && over(clock.commit) {
            self.latch.commit(None);
            let held = std::mem::take(&mut self.held);
            return self.queue(held).await;
        }
        let due = |every| self.last_activity.max(self.last_beat) + every <= now;
        if self.latch.is_committed() && clock.heartbeat.is_some_and(due) {
            self.last_beat = now;
            if self.latch.at_boundary.load(Relaxed) {
                return self.beat().await;
            }
        }
        Ok(())
    }

    /// What the head must say of the body that follows, now that it is known.
    fn finish_head(&mut self, head: &mut ResponseHeader) -> Result<()> {
        if let Some(length) = self.latch.state().content_length {
            head.remove_header(&http::header::TRANSFER_ENCODING);
            head.set_content_length(length)?;
        }
        let unframed = !head.headers.contains_key(http::header::CONTENT_LENGTH);
        let inner = self.inner_mut();
        if unframed && inner.req_header().version < http::Version::HTTP_11 {
            // Such a body ends with the connection.
            inner.set_keepalive(None);
        }
        Ok(())
    }

    /// Writes outside of Pingora's own writing, from a future that may be dropped half-way.
    async fn queue(&mut self, tasks: Vec<HttpTask>) -> Result<()> {
        let inner = self.inner_mut();
        if matches!(inner, ServerSession::H1(_)) {
            // A write that is cancelled is resumed by the next call.
            for task in tasks {
                inner.send_downstream_proxy_task(task);
            }
            return inner.write_downstream_proxy_tasks().await.map(|_| ());
        }
        // On h2 a body that the client's window does not take at once would be lost in part with this
        // future. A head goes out at once; bodies wait for the next writing that is not dropped.
        for task in tasks {
            match task {
                HttpTask::Header(mut head, end) => {
                    self.finish_head(&mut head)?;
                    self.inner_mut().write_response_header(head).await?;
                    if end {
                        self.held.push(HttpTask::Done);
                    }
                }
                task => self.held.push(task),
            }
        }
        Ok(())
    }

    /// A comment, in a way that can be taken up again where the write was dropped.
    async fn beat(&mut self) -> Result<()> {
        if matches!(self.inner(), ServerSession::H1(_)) {
            return self
                .queue(vec![HttpTask::Body(Some(HEARTBEAT), false)])
                .await;
        }
        if self.held.is_empty() {
            self.unsent_beat = HEARTBEAT;
            self.send_beat().await?;
        }
        Ok(())
    }

    /// Byte by byte: a byte is sent or it is not, whatever the client's window.
    async fn send_beat(&mut self) -> Result<()> {
        while !self.unsent_beat.is_empty() {
            let byte = self.unsent_beat.slice(..1);
            self.inner_mut().write_response_body(byte, false).await?;
            self.unsent_beat.advance(1);
        }
        Ok(())
    }

    /// Ends a write of `queue` or `beat` that was cancelled, before anything else is written.
    async fn settle_queue(&mut self) -> Result<()> {
        self.send_beat().await?;
        let inner = self.inner_mut();
        if inner.has_pending_downstream_proxy_tasks() {
            inner.write_downstream_proxy_tasks().await?;
        }
        Ok(())
    }

    /// What is written now may be the end: it waits until what is kept stands.
    async fn pass_gate(&self) {
        for gate in self.latch.take_gates() {
            // Whatever becomes of it, the client gets its answer.
            let _ = tokio::time::timeout(GATE_TIME, gate).await;
        }
    }

    /// Arms the timer for `deadline`; an earlier one in force is left to run out first.
    fn arm(&mut self, deadline: Instant) {
        match &mut self.timer {
            Some((at, _)) if *at <= deadline && *at > Instant::now() => {}
            Some((at, sleep)) => {
                *at = deadline;
                sleep.as_mut().reset(deadline);
            }
            None => self.timer = Some((deadline, Box::pin(sleep_until(deadline)))),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.latch.state().returned = Some((inner, self.finished));
        }
    }
}

#[async_trait]
impl CustomSession for Replay {
    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let inner = self.inner_mut();
        let read = inner.read_request_body().await;
        if read.is_err() {
            // Where a broken body ends, nobody knows: what follows it is no request.
            inner.set_keepalive(None);
        }
        read
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner_mut().drain_request_body().await
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, _end: bool) -> Result<()> {
        let inner = self.inner_mut();
        if !head.status.is_informational() {
            return inner.write_response_header(head).await;
        }
        // Pingora takes any answer before the body's end for a reason to close the connection.
        let keepalive = inner.get_keepalive();
        inner.write_response_header(head).await?;
        inner.set_keepalive(keepalive);
        Ok(())
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end)
            .await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.settle_queue().await?;
        self.pass_gate().await;
        let held = std::mem::take(&mut self.held);
        if self.latch.is_committed() && !held.is_empty() {
            self.inner_mut().response_duplex_vec(held).await?;
        }
        self.inner_mut().write_response_body(data, end).await?;
        self.finished |= end;
        Ok(())
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    /// The one place where an answer passes to the client, or is held.
    async fn response_duplex_vec(&mut self, mut tasks: Vec<HttpTask>) -> Result<bool> {
        // An interim answer (100, 103) is between us and the upstream.
        tasks.retain(|task| !is_interim(task));
        if tasks.is_empty() {
            return Ok(false);
        }
        self.answered = true;
        self.last_activity = Instant::now();
        if !self.latch.is_committed() {
            for task in tasks {
                match task {
                    HttpTask::Failed(error) => {
                        self.held.clear();
                        return Err(error);
                    }
                    HttpTask::Body(None, false) => {}
                    task => self.held.push(task),
                }
            }
            if self.held.last().is_some_and(HttpTask::is_end) {
                self.held.clear();
                return Error::err(NO_ANSWER);
            }
            return Ok(false);
        }
        self.settle_queue().await?;
        self.pass_gate().await;
        if !self.held.is_empty() {
            let mut all = std::mem::take(&mut self.held);
            all.append(&mut tasks);
            tasks = all;
        }
        if let Some(HttpTask::Header(head, _)) = tasks.first_mut() {
            self.finish_head(head)?;
        }
        if tasks.is_empty() {
            return Ok(false);
        }
        let ended = self.inner_mut().response_duplex_vec(tasks).await?;
        // A client that was slow to take it is not the upstream's silence.
        self.last_activity = Instant::now();
        Ok(ended)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        // The query may hold a credential.
        let head = self.req_header();
        format!("{} {}", head.method, head.uri.path())
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner_mut().shutdown().await;
    }

    fn is_body_done(&mut self) -> bool {
        // The whole body has been read before Pingora is asked to proxy.
        true
    }

    async fn finish(&mut self) -> Result<()> {
        self.settle_queue().await?;
        self.inner_mut().finish_body().await?;
        self.finished = true;
        Ok(())
    }

    fn is_body_empty(&mut self) -> bool {
        self.latch.state().body.is_empty()
    }

    /// Waits for the client to leave, and keeps the time meanwhile. Pingora polls this beside the upstream
    /// and drops it whenever the upstream has something.
    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        self.settle_queue().await?;
        loop {
            let clock = self.latch.state().clock;
            let Some(deadline) = self.deadline(&clock) else {
                return self.inner_mut().read_body_or_idle(no_body_expected).await;
            };
            self.arm(deadline);
            let (Some(inner), Some((_, timer))) = (self.inner.as_mut(), self.timer.as_mut()) else {
                return Ok(None);
            };
            tokio::select! {
                biased;
                left = inner.read_body_or_idle(no_body_expected) => return left,
                () = timer.as_mut() => {}
            }
            self.on_time(clock).await?;
        }
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    /// Pingora calls this at the start of each attempt: what an earlier one left is thrown away.
    fn enable_retry_buffering(&mut self) {
        self.held.clear();
        self.answered = false;
        self.last_activity = Instant::now();
    }

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let body = self.latch.body();
        (!body.is_empty()).then_some(body)
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn futures_util::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>>
    {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<
            dyn futures_util::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static,
        >,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(
        &mut self,
        _writer: Box<dyn CustomMessageWrite>,
    ) -> Result<()> {
        Ok(())
    }
}

fn is_interim(task: &HttpTask) -> bool {
    matches!(task, HttpTask::Header(head, _) if head.status.is_informational())
}
