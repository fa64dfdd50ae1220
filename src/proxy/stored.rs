//! Stored responses: read, listed, cancelled and deleted here, where they are kept here; else passed to the channel that
//! keeps them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::allowance;
use super::answer;
use super::exchange::Exchange;
use super::intake::Stop;
use super::job::{Job, Next};
use super::keeper::unavailable;
use super::kept;
use crate::base::{Fault, FaultKind};
use crate::dialect::Operation;
use crate::dialect::openai_responses::stored;
use crate::store::{ContextError, Owner, Stored};

/// How long a cancellation is waited for that another gateway must carry out: as long as it takes to hear of it.
const CANCEL_WAIT: Duration = Duration::from_secs(15);
const CANCEL_LOOK: Duration = Duration::from_millis(250);

/// What is asked of a response that is kept here.
pub struct Asked {
    id: String,
    owner: Owner,
    stored: Stored,
}

/// What to answer, without a provider.
pub enum Answer {
    Json(Bytes),
    /// A stream that is whole.
    Events(Bytes),
    /// One that is being made, from this event on.
    Follow(Arc<Job>, Option<u64>),
}

fn not_found(id: &str) -> Fault {
    stored::not_found("Response", id)
}

/// The id in `/v1/responses/{id}…`.
fn id_in(path: &str) -> &str {
    let rest = path.strip_prefix("/v1/responses/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// Finds the response that the path names. `None`: its channel keeps it, and is pinned.
pub async fn find(x: &mut Exchange) -> std::result::Result<Option<Asked>, Fault> {
    let (Some(asked), Some(owner)) = (&x.asked, kept::owner(x)) else {
        return Ok(None);
    };
    let id = id_in(asked.path()).to_owned();
    let found = x.keeper.store.find(id.clone(), owner.clone()).await;
    let stored = found
        .map_err(|error| unavailable("find", &error))?
        .ok_or_else(|| not_found(&id))?;
    if !stored.channel.is_empty() {
        kept::pin(x, &id, &stored.channel)?;
        return Ok(None);
    }
    Ok(Some(Asked { id, owner, stored }))
}

/// Does what is asked.
pub async fn ask(x: &Exchange, what: Asked) -> std::result::Result<Answer, Fault> {
    let (operation, query) = match &x.asked {
        Some(asked) => (asked.operation, asked.query.as_str()),
        None => return Err(not_found(&what.id)),
    };
    let json = |body: Vec<u8>| Ok(Answer::Json(body.into()));
    match operation {
        Operation::ResponseInputItems => json(input_items(x, &what, query).await?),
        Operation::ResponseDelete => {
            if let Some(job) = x.keeper.job(&what.id) {
                job.cancel();
            }
            let deleted = x.keeper.store.delete(what.id.clone(), what.owner).await;
            if !deleted.map_err(|error| unavailable("delete", &error))? {
                return Err(not_found(&what.id));
            }
            json(stored::deleted(&what.id, "response"))
        }
        Operation::ResponseCancel => json(cancel(x, what).await?.into_bytes()),
        _ if query.split('&').any(|pair| pair == "stream=true") => events(x, what, query).await,
        _ => json(told(x, &what.stored).into_bytes()),
    }
}

/// The response as a client sees it.
fn told(x: &Exchange, stored: &Stored) -> String {
    // A lease may run out while the store is in trouble.
    if stored.interrupted && !x.keeper.makes(&stored.id) {
        let why = "The gateway ended while it made this response. Ask again.";
        return stored::with_status(&stored.body, "failed", Some(("server_error", why)));
    }
    stored.body.clone()
}

/// What the response was made from: all that came before it, and its own input.
async fn input_items(
    x: &Exchange,
    what: &Asked,
    query: &str,
) -> std::result::Result<Vec<u8>, Fault> {
    let limit = x.world.config.server.body_limit;
    let store = &x.keeper.store;
    let context = match store
        .context(what.id.clone(), what.owner.clone(), limit)
        .await
    {
        Ok(context) => context,
        Err(ContextError::Store(error)) => return Err(unavailable("context", &error)),
        Err(ContextError::NotFound | ContextError::MissingAncestor(_)) => {
            return Err(not_found(&what.id));
        }
        Err(ContextError::TooLarge) => {
            return Err(Fault::new(
                FaultKind::TooLarge,
                "The items of this response are more than can be listed.",
            ));
        }
    };
    let mut items = Vec::new();
    let last = context.turns.len().saturating_sub(1);
    for (at, turn) in context.turns.iter().enumerate() {
        items.extend(stored::elements(&turn.input));
        if at != last {
            items.extend(stored::elements(&turn.output));
        }
    }
    stored::page(&items, query)
}

async fn cancel(x: &Exchange, what: Asked) -> std::result::Result<String, Fault> {
    if !what.stored.background {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "Cannot cancel a synchronous response: only one that was made with 'background': true can be cancelled.",
        ));
    }
    let store = &x.keeper.store;
    if what.stored.status.under_way() {
        if let Some(job) = x.keeper.job(&what.id) {
            job.cancel();
            let _ = tokio::time::timeout(CANCEL_WAIT, job.ended()).await;
        } else {
            let asked = store.ask_cancel(what.id.clone(), what.owner.clone()).await;
            asked.map_err(|error| unavailable("cancel", &error))?;
            // Another gateway makes it, and says nothing but in the store.
            let over = async {
                loop {
                    let found = store.find(what.id.clone(), what.owner.clone()).await;
                    if !matches!(&found, Ok(Some(stored)) if stored.status.under_way()) {
                        return;
                    }
                    tokio::time::sleep(CANCEL_LOOK).await;
                }
            };
            let _ = tokio::time::timeout(CANCEL_WAIT, over).await;
        }
    }
    let found = store.find(what.id.clone(), what.owner).await;
    let found = found.map_err(|error| unavailable("find", &error))?;
    Ok(told(x, &found.ok_or_else(|| not_found(&what.id))?))
}

/// The stream of a response that was made in the background, from an event on.
async fn events(x: &Exchange, what: Asked, query: &str) -> std::result::Result<Answer, Fault> {
    let after = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("starting_after="))
        .map(|written| {
            written.parse::<u64>().map_err(|_| {
                Fault::new(
                    FaultKind::InvalidRequest,
                    "'starting_after' must be the sequence_number of an event.",
                )
                .param("starting_after")
            })
        })
        .transpose()?;
    let job = x.keeper.job(&what.id);
    let is_elsewhere = job.is_none() && what.stored.status.under_way();
    if let Some(job) = job.filter(|job| job.streams) {
        return Ok(Answer::Follow(job, after));
    }
    if is_elsewhere && what.stored.background {
        return Err(Fault::new(
            FaultKind::Conflict,
            "This response is being made by another gateway: ask for it without 'stream' until it is completed.",
        )
        .retry_after(Duration::from_secs(1)));
    }
    let kept = x.keeper.store.events(what.id, what.owner).await;
    let kept = kept.map_err(|error| unavailable("events", &error))?;
    let Some(kept) = kept.filter(|kept| !kept.is_empty()) else {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "This response has no stream: only one that was made with 'background': true and 'stream': true can be streamed again.",
        )
        .param("stream"));
    };
    Ok(Answer::Events(later(kept.into(), after)))
}

/// The events after this one.
fn later(events: Bytes, after: Option<u64>) -> Bytes {
    let Some(after) = after else { return events };
    let mut frames = crate::wire::sse::Frames::new(usize::MAX);
    let mut out = Vec::new();
    let _ = frames.push(&events, |frame| {
        if is_later(&frame, Some(after)) {
            out.extend_from_slice(&frame);
        }
    });
    out.into()
}

fn is_later(frame: &[u8], after: Option<u64>) -> bool {
    let data = crate::wire::sse::parse(frame).data.unwrap_or_default();
    let number = std::str::from_utf8(&data).ok().and_then(stored::sequence);
    after.is_none_or(|after| number.is_none_or(|number| number > after))
}

/// Writes it.
pub async fn answer(session: &mut Session, x: &mut Exchange, answer: Answer) -> Result<()> {
    x.status = 200;
    let mut head = ResponseHeader::build(200, Some(6))?;
    let whole = match &answer {
        Answer::Json(body) => {
            head.insert_header("content-type", "application/json")?;
            Some(body.clone())
        }
        Answer::Events(events) => {
            head.insert_header("content-type", "text/event-stream; charset=utf-8")?;
            Some(events.clone())
        }
        Answer::Follow(..) => {
            head.insert_header("content-type", "text/event-stream; charset=utf-8")?;
            head.insert_header("cache-control", "no-cache")?;
            None
        }
    };
    if let Some(body) = &whole {
        head.set_content_length(body.len())?;
    } else if session.req_header().version == http::Version::HTTP_11 {
        head.insert_header("transfer-encoding", "chunked")?;
    }
    answer::identify(&mut head, x.surface, &x.request_id)?;
    allowance::stand_in(&mut head, x)?;
    match (whole, answer) {
        (Some(body), _) => {
            x.response_bytes = body.len() as u64;
            answer::write(session, head, body).await
        }
        (None, Answer::Follow(job, after)) => {
            session.write_response_header(Box::new(head), false).await?;
            follow(session, x, &job, after).await
        }
        (None, Answer::Json(_) | Answer::Events(_)) => Error::err(ErrorType::InternalError),
    }
}

async fn follow(
    session: &mut Session,
    x: &mut Exchange,
    job: &Job,
    after: Option<u64>,
) -> Result<()> {
    let heartbeat = x.world.config.server.heartbeat;
    let mut from = 0;
    loop {
        let next = if heartbeat.is_zero() {
            Ok(job.next(from).await)
        } else {
            tokio::time::timeout(heartbeat, job.next(from)).await
        };
        let out = match next {
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
            Ok(Next::Events(events)) => {
                from += events.len();
                events
                    .iter()
                    .filter(|event| is_later(event, after))
                    .fold(Vec::new(), |mut out, event| {
                        out.extend_from_slice(event);
                        out
                    })
                    .into()
            }
            Ok(Next::Over) => return session.write_response_body(Some(Bytes::new()), true).await,
            Ok(Next::Lost) => {
                tracing::warn!("a background response has more events than are kept");
                trouble_event(x)
            }
        };
        let lost = matches!(x.error, Some("events_lost"));
        if !out.is_empty() {
            x.response_bytes += out.len() as u64;
            session.write_response_body(Some(out), lost).await?;
        }
        if lost {
            return Ok(());
        }
    }
}

fn trouble_event(x: &mut Exchange) -> Bytes {
    x.error = Some("events_lost");
    let fault = Fault::new(
        FaultKind::Internal,
        "This stream is too long to be followed; ask for the response without 'stream'.",
    );
    Operation::Responses.error_event(&fault, &x.request_id)
}

/// The queued response, or its stream, once a job has begun.
pub fn of_job(job: Arc<Job>, stream: bool, announced: &str) -> Answer {
    if stream {
        Answer::Follow(job, None)
    } else {
        Answer::Json(Bytes::copy_from_slice(announced.as_bytes()))
    }
}

/// A fault ends the request before a channel is chosen.
pub async fn serve(x: &mut Exchange) -> std::result::Result<Option<Answer>, Stop> {
    match find(x).await? {
        None => Ok(None),
        Some(asked) => Ok(Some(ask(x, asked).await?)),
    }
}
