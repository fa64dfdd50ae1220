//! A response that is made in the background. The gateway asks itself for the answer as a stream, so that it is planned,
//! failed over and metered as any other; the events are kept for whoever follows, and the end is kept in the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use super::inner::{Broken, Inner, InnerAnswer, Loopback};
use super::keeper::{JobPlace, Keeper, trouble};
use crate::dialect::openai_responses::stored::{self, Milestone};
use crate::store::{Finished, Status};
use crate::wire::sse::{self, Frames};

/// Events beyond this are not kept; the response itself is.
const MAX_LOG: usize = 4 << 20;
/// An error answer that is larger says nothing more.
const MAX_ERROR: usize = 64 << 10;
const MAX_EVENT: usize = 32 << 20;

pub struct Job {
    id: String,
    /// Its maker asked for a stream: the events are kept.
    pub streams: bool,
    log: Mutex<Log>,
    /// Counts what happens to the log.
    changed: watch::Sender<u64>,
    cancelled: Notify,
    _place: JobPlace,
}

#[derive(Default)]
struct Log {
    events: Vec<Bytes>,
    size: usize,
    too_large: bool,
    over: bool,
}

/// What a follower gets next.
pub enum Next {
    Events(Vec<Bytes>),
    Over,
    /// There were more events than are kept.
    Lost,
}

impl Job {
    pub fn new(id: String, streams: bool, place: JobPlace) -> Arc<Self> {
        Arc::new(Self {
            id,
            streams,
            log: Mutex::default(),
            changed: watch::Sender::new(0),
            cancelled: Notify::new(),
            _place: place,
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Nothing under this lock can panic half-way.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: Bytes) {
        if !self.streams {
            return;
        }
        let mut log = self.log();
        if log.too_large {
            return;
        }
        log.size += event.len();
        if log.size > MAX_LOG {
            *log = Log {
                too_large: true,
                ..Log::default()
            };
        } else {
            log.events.push(event);
        }
        drop(log);
        self.changed.send_modify(|n| *n += 1);
    }

    /// The events from number `from` on, once there are any.
    pub async fn next(&self, from: usize) -> Next {
        let mut changes = self.changed.subscribe();
        loop {
            {
                let log = self.log();
                if log.too_large {
                    return Next::Lost;
                }
                if log.events.len() > from {
                    return Next::Events(log.events[from..].to_vec());
                }
                if log.over {
                    return Next::Over;
                }
            }
            if changes.changed().await.is_err() {
                return Next::Over;
            }
        }
    }

    pub fn cancel(&self) {
        self.cancelled.notify_one();
    }

    /// Returns when its end is kept.
    pub async fn ended(&self) {
        let mut changes = self.changed.subscribe();
        while !self.log().over {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Makes the response. `announced`: as it is before anybody was asked.
    pub async fn run(
        self: Arc<Self>,
        keeper: Arc<Keeper>,
        loopback: Loopback,
        inner: Inner,
        body: Bytes,
        announced: String,
    ) {
        // Whatever becomes of this task: nobody waits for ever.
        let _over = Over(&self);
        for (sequence, name) in (0..).zip(["response.created", "response.queued"]) {
            self.add(stored::event(name, &announced, sequence).into());
        }
        let mut making = Making {
            job: &self,
            keeper: &keeper,
            response: announced,
            items: Vec::new(),
            sequence: 2,
            is_over: false,
        };
        let cancelled = tokio::select! {
            () = self.cancelled.notified() => true,
            () = making.make(&loopback, inner, body) => false,
        };
        let response = if cancelled && !making.is_over {
            making.cancelled()
        } else {
            making.response
        };
        let (status, output) = stored::outcome(&response);
        let events = {
            let log = self.log();
            (self.streams && !log.too_large).then(|| log.events.concat())
        };
        let done = Finished {
            status: status
                .and_then(|status| Status::parse(&status))
                .unwrap_or(Status::Failed),
            output: output.to_owned(),
            events,
            body: response.clone(),
        };
        let (tell, told) = oneshot::channel();
        tokio::spawn(
            keeper
                .clone()
                .finish(self.id.clone(), done, None, None, tell),
        );
        let _ = told.await;
    }
}

/// Tells everybody that it is over.
struct Over<'j>(&'j Job);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.log().over = true;
        self.0.changed.send_modify(|n| *n += 1);
    }
}

/// A job at work.
struct Making<'j> {
    job: &'j Job,
    keeper: &'j Arc<Keeper>,
    /// As it stands.
    response: String,
    /// Of its output, those that are whole.
    items: Vec<String>,
    sequence: u64,
    is_over: bool,
}

impl Making<'_> {
    async fn make(&mut self, loopback: &Loopback, inner: Inner, body: Bytes) {
        let answer = loopback.post(inner, "/v1/responses", body).await;
        let broke = match answer {
            Ok(answer) if answer.status == 200 => self.read(answer).await,
            Ok(answer) => Some(refusal(answer).await),
            Err(Broken::Cut | Broken::TooLarge) => None,
        };
        if !self.is_over {
            let (code, message) = broke.unwrap_or_else(|| {
                let message = "The response was cut off before it was whole.";
                ("server_error".to_owned(), message.to_owned())
            });
            self.response = stored::with_status(&self.response, "failed", Some((&code, &message)));
            self.is_over = true;
            let event = stored::event("response.failed", &self.response, self.sequence);
            self.job.add(event.into());
        }
    }

    /// The response as far as it has come.
    fn cancelled(&self) -> String {
        let items = stored::list_of(self.items.iter().map(String::as_str));
        stored::with_output(
            &stored::with_status(&self.response, "cancelled", None),
            &items,
        )
    }

    async fn read(&mut self, mut answer: InnerAnswer) -> Option<(String, String)> {
        let mut frames = Frames::new(MAX_EVENT);
        while let Some(Ok(chunk)) = answer.next().await {
            let mut begun = Vec::new();
            frames.push(&chunk, |frame| begun.push(frame)).ok()?;
            for frame in begun {
                self.event(frame).await;
            }
            if self.is_over {
                return None;
            }
        }
        None
    }

    async fn event(&mut self, frame: Bytes) {
        let Some(data) = sse::parse(&frame).data else {
            return;
        };
        let Ok(text) = std::str::from_utf8(&data) else {
            return;
        };
        self.sequence = stored::sequence(text).map_or(self.sequence + 1, |n| n + 1);
        match stored::milestone(text) {
            Some(Milestone::Begun(response)) => {
                response.clone_into(&mut self.response);
                let (id, body) = (self.job.id.clone(), self.response.clone());
                let set = self
                    .keeper
                    .store
                    .set_status(id, Status::InProgress, body)
                    .await;
                if let Err(error) = set {
                    trouble("set_status", &error);
                }
                // It has been said when it was queued.
                return;
            }
            Some(Milestone::Item(item)) => self.items.push(item.to_owned()),
            Some(Milestone::Over(response)) => {
                response.clone_into(&mut self.response);
                self.is_over = true;
            }
            // Said again, in the response that failed.
            Some(Milestone::Error) => return,
            None => {}
        }
        drop(data);
        self.job.add(frame);
    }
}

/// Code and message of the error that the gateway answered itself with.
async fn refusal(answer: InnerAnswer) -> (String, String) {
    #[derive(serde::Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(serde::Deserialize)]
    struct Error {
        code: Option<String>,
        message: Option<String>,
    }
    let limited = answer.status == 429;
    let body = answer.whole(MAX_ERROR).await.unwrap_or_default();
    let error = serde_json::from_slice::<Body>(&body).ok().map(|b| b.error);
    let (code, message) = error.map_or((None, None), |e| (e.code, e.message));
    let code = match code {
        _ if limited => "rate_limit_exceeded".to_owned(),
        Some(code) if code == "invalid_request" || code == "unsupported_parameter" => {
            "invalid_prompt".to_owned()
        }
        Some(_) | None => "server_error".to_owned(),
    };
    (
        code,
        message.unwrap_or_else(|| "The response could not be made.".to_owned()),
    )
}
