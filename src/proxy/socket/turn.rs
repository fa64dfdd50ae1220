//! A turn as a request of the gateway's own: planned, failed over, metered and logged as any; its events are frames.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::inner::{Broken, Inner, Loopback};
use crate::base::{Fault, FaultKind};
use crate::dialect::Peek;
use crate::dialect::openai_responses::socket::{self, Before, Create};
use crate::dialect::openai_responses::stored::{Milestone, milestone};
use crate::wire::sse::{self, Frames};

/// An event that is larger is none that a model made.
const MAX_EVENT: usize = 32 << 20;
const MAX_ERROR: usize = 1 << 20;
/// Events that wait for the client.
const MAX_WAITING: usize = 16;

/// What comes back of a turn.
pub enum Part {
    Event(String),
    /// Nothing, but somebody is there.
    Beat,
    Refused {
        status: u16,
        retry_after: Option<String>,
        body: Bytes,
    },
    /// It ended, or broke off.
    End,
}

/// Asks the gateway for the turn. Dropping the receiver is the client's leaving.
pub fn ask(loopback: Loopback, inner: Inner, body: Bytes) -> mpsc::Receiver<Part> {
    let (parts, received) = mpsc::channel(MAX_WAITING);
    tokio::spawn(async move {
        let left = parts.clone();
        tokio::select! {
            () = left.closed() => {}
            asked = bring(&loopback, inner, body, &parts) => {
                if asked.is_err() {
                    let _ = parts.send(Part::End).await;
                }
            }
        }
    });
    received
}

async fn bring(
    loopback: &Loopback,
    inner: Inner,
    body: Bytes,
    parts: &mpsc::Sender<Part>,
) -> Result<(), Broken> {
    let mut answer = loopback.post(inner, "/v1/responses", body).await?;
    if answer.status != 200 {
        let (status, headers) = (answer.status, answer.headers.clone());
        let retry_after = headers.get("retry-after").and_then(|v| v.to_str().ok());
        let part = Part::Refused {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: answer.whole(MAX_ERROR).await?,
        };
        let _ = parts.send(part).await;
        return Ok(());
    }
    let mut frames = Frames::new(MAX_EVENT);
    while let Some(chunk) = answer.next().await {
        let mut ready = Vec::new();
        let pushed = frames.push(&chunk?, |frame| ready.push(part_of(&frame)));
        for part in ready {
            if parts.send(part).await.is_err() {
                return Ok(());
            }
        }
        pushed.map_err(|_| Broken::TooLarge)?;
    }
    let _ = parts.send(Part::End).await;
    Ok(())
}

fn part_of(frame: &[u8]) -> Part {
    match sse::parse(frame).data {
        Some(data) if *data != *b"[DONE]" => {
            Part::Event(String::from_utf8_lossy(&data).into_owned())
        }
        Some(_) | None => Part::Beat,
    }
}

/// What the connection remembers: its last response that no store knows of.
#[derive(Default)]
pub struct Memory {
    last: Option<(String, Before)>,
}

impl Memory {
    fn before(&self, create: &Create) -> Option<&Before> {
        let (id, before) = self.last.as_ref()?;
        (create.previous.as_ref() == Some(id)).then_some(before)
    }

    /// The body for the turn, and the previous response where its items stand in it.
    pub fn body(&self, create: &Create) -> Result<(Bytes, Option<String>), Fault> {
        match self.before(create) {
            Some(before) => {
                let body = before.put_before(&create.body)?;
                Ok((body.into(), create.previous.clone()))
            }
            None => Ok((create.body.clone(), None)),
        }
    }

    /// What a turn begins with that is to be remembered. `None`: the store keeps it.
    pub fn begin(&self, create: &Create) -> Option<Before> {
        match self.before(create) {
            Some(before) => Some(before.clone()),
            None => (!create.store).then(Before::default),
        }
    }

    /// A response to `body` is whole.
    pub fn remember(&mut self, before: &Before, body: &[u8], response: &str, limit: usize) {
        let after = before.followed(body, response);
        self.last = after
            .ok()
            .filter(|after| after.size() <= limit)
            .map(|after| (socket::id_of(response), after));
    }

    /// Nothing is to be said yet: the answer is made here.
    pub fn get_ready(&mut self, create: &Create) -> Result<[String; 2], Fault> {
        let (body, previous) = self.body(create)?;
        let model = Peek::json(&body)?
            .model(&body, crate::dialect::Operation::Responses)?
            .unwrap_or_default()
            .into_owned();
        let ready = Before::ready(&body, self.before(create))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let (id, frames) = socket::got_ready(&body, &model, previous.as_deref(), now);
        self.last = Some((id, ready));
        Ok(frames)
    }
}

/// What an event means for the turn.
pub enum Meaning {
    Goes,
    /// The response is over; this is it, where it is whole.
    Over(Option<String>),
    Error,
}

pub fn meaning(event: &str) -> Meaning {
    match milestone(event) {
        Some(Milestone::Over(response)) => Meaning::Over(Some(response.to_owned())),
        Some(Milestone::Error) => Meaning::Error,
        Some(Milestone::Begun(_) | Milestone::Item(_)) | None => Meaning::Goes,
    }
}

pub fn broken_off() -> Fault {
    Fault::new(
        FaultKind::UpstreamError,
        "The answer broke off before its end. Send the request again.",
    )
}
