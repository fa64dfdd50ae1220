//! The state of a turn of the Responses API: what it continues is found before a channel is chosen; what is kept of it
//! is written before the client has the end of it.
//!
//! A channel that has the API keeps its responses itself: of these the gateway only remembers which channel, and pins
//! what continues them to it. Of all others the gateway keeps the items.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::exchange::{Asked, Exchange};
use super::inner::{Inner, Loopback};
use super::job::{Job, MAX_JOBS};
use super::keeper::{Keeper, unavailable};
use super::stored as stored_answers;
use crate::base::{Fault, FaultKind, Ids, clock};
use crate::dialect::openai_responses::state::{self, Wishes};
use crate::dialect::openai_responses::stored::{self, Milestone, shown};
use crate::dialect::openai_responses::{Repeat, Settled};
use crate::dialect::translate::Echo;
use crate::dialect::{Expect, Operation};
use crate::store::{BeginError, Context, ContextError, Finished, NewResponse, Owner, Status, Turn};
use crate::wire::sse::{self, Frames};

/// Where the id of an answer has not come by then, it has none.
const MAX_BEGINNING: usize = 64 << 10;
/// An event that is larger is not looked at.
const MAX_EVENT: usize = 32 << 20;

/// What one request has to do with state.
pub struct State {
    pub keeper: Arc<Keeper>,
    pub owner: Owner,
    wishes: Wishes,
    /// As it came, and what it refers to: what is kept of the turn itself.
    own: Bytes,
    referenced: Vec<(String, String)>,
    pub settled: Settled,
    /// Its row is in the store.
    begun: bool,
    finished: bool,
    /// A job of the gateway's own keeps it.
    pub of_job: bool,
    /// The first bytes of an answer that its channel keeps, until its id is found.
    beginning: Option<BytesMut>,
    /// What a conversation needs of such an answer.
    capture: Option<Capture>,
}

/// Finds the finished response in an answer that passes as it is.
enum Capture {
    Stream(Frames),
    Whole(Vec<u8>),
}

/// Whose state the request may touch.
pub fn owner(x: &Exchange) -> Option<Owner> {
    let key = x.key.as_ref()?;
    Some(Owner {
        key: key.name.clone(),
        group: x.world.groups[key.group].name.clone(),
    })
}

fn takes_state(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Responses | Operation::ResponsesInputTokens | Operation::ResponsesCompact
    )
}

/// Finds what the request continues. The body that goes on: with it, where it is kept here.
pub async fn resolve(x: &mut Exchange, body: Bytes) -> Result<Bytes, Fault> {
    let operation = x.asked.as_ref().map(|asked| asked.operation);
    let (Some(_), Some(owner)) = (operation.filter(|o| takes_state(*o)), owner(x)) else {
        return Ok(body);
    };
    let wishes = Wishes::of(&body)?;
    let mut state = Box::new(State {
        keeper: x.keeper.clone(),
        owner,
        wishes,
        own: body.clone(),
        referenced: Vec::new(),
        settled: Settled::default(),
        begun: false,
        finished: false,
        of_job: false,
        beginning: None,
        capture: None,
    });
    if let Some(inner) = &x.inner {
        state.settled.previous.clone_from(&inner.previous);
        if let Some(settled) = &inner.settled {
            state.settled = settled.clone();
            state.of_job = true;
        }
    }
    let body = if state.wishes.continues() {
        continued(x, &mut state, &body).await?
    } else {
        body
    };
    x.state = Some(state);
    Ok(body)
}

async fn continued(x: &mut Exchange, state: &mut State, body: &Bytes) -> Result<Bytes, Fault> {
    let limit = x.world.config.server.body_limit;
    let store = state.keeper.store.clone();
    let mut before: Vec<String> = Vec::new();
    if let Some(previous) = state.wishes.previous.clone() {
        let context = store
            .context(previous.clone(), state.owner.clone(), limit)
            .await;
        let context = context.map_err(|error| no_context(error, &previous))?;
        if !context.stored.channel.is_empty() {
            pin(x, &previous, &context.stored.channel)?;
            return Ok(body.clone());
        }
        is_over(&context)?;
        for Turn { input, output } in context.turns {
            before.extend([input, output]);
        }
        state.settled.previous = Some(previous);
    }
    if let Some(id) = state.wishes.conversation.clone() {
        let items = store
            .conversation_items(id.clone(), state.owner.clone(), limit)
            .await;
        let items = items
            .map_err(|error| no_context(error, &id))?
            .ok_or_else(|| stored::not_found("Conversation", &id).param("conversation"))?;
        before.push(stored::list_of(items.iter().map(String::as_str)));
        state.settled.conversation = Some(id);
    }
    if !state.wishes.references.is_empty() {
        let found = store
            .items(state.wishes.references.clone(), state.owner.clone())
            .await;
        state.referenced = found.map_err(|error| unavailable("items", &error))?;
    }
    if before.is_empty() && state.referenced.is_empty() {
        // Whoever knows the items may still understand them.
        return Ok(body.clone());
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let expanded = state::expand(body, &state.wishes, &before, &state.referenced)?;
    if expanded.len() > limit {
        return Err(too_long());
    }
    Ok(expanded.into())
}

/// Only the channel that made a response knows what it says.
pub fn pin(x: &mut Exchange, id: &str, channel: &str) -> Result<(), Fault> {
    let Some(key) = &x.key else { return Ok(()) };
    let group = &x.world.groups[key.group];
    let Some(found) = group.channels().find(|c| &*c.name == channel) else {
        return Err(Fault::new(
            FaultKind::PreviousResponseNotFound,
            format!(
                "The response '{}' is kept by the channel '{channel}', which the group '{}' no longer has. Start again with the whole input.",
                shown(id),
                group.name
            ),
        )
        .param("previous_response_id"));
    };
    x.plan.pin(found.id);
    Ok(())
}

fn is_over(context: &Context) -> Result<(), Fault> {
    let id = shown(&context.stored.id);
    match context.stored.status {
        Status::Queued | Status::InProgress => Err(Fault::new(
            FaultKind::Conflict,
            format!("The response '{id}' is still being made. Wait until it is completed, then continue it."),
        )
        .param("previous_response_id")
        .retry_after(std::time::Duration::from_secs(1))),
        Status::Failed => Err(Fault::new(
            FaultKind::InvalidRequest,
            format!("The response '{id}' failed and cannot be continued. Continue the one before it."),
        )
        .param("previous_response_id")),
        Status::Completed | Status::Incomplete | Status::Cancelled => Ok(()),
    }
}

fn too_long() -> Fault {
    Fault::new(
        FaultKind::TooLarge,
        "What this request continues is larger than a request may be. Start again with a summary of it.",
    )
}

fn no_context(error: ContextError, id: &str) -> Fault {
    match error {
        ContextError::Store(error) => unavailable("context", &error),
        ContextError::NotFound => Fault::new(
            FaultKind::PreviousResponseNotFound,
            format!("Previous response with id '{}' not found.", shown(id)),
        )
        .param("previous_response_id"),
        ContextError::MissingAncestor(gone) => Fault::new(
            FaultKind::PreviousResponseNotFound,
            format!(
                "The response '{}' rests on '{}', which has been deleted. Start again with the whole input.",
                shown(id),
                shown(&gone)
            ),
        )
        .param("previous_response_id"),
        ContextError::TooLarge => too_long(),
    }
}

impl State {
    /// Is an answer to be made by a job, and not while the client waits?
    pub fn wants_job(&self) -> bool {
        self.wishes.background && !self.of_job
    }

    /// Is the answer, made by translation, to be kept here?
    fn is_kept_here(&self, native: bool) -> bool {
        !self.of_job && (self.settled.conversation.is_some() || (!native && self.wishes.store))
    }

    /// The turn's own input as it is kept.
    pub fn input(&self) -> Result<String, Fault> {
        state::own_items(
            &self.own,
            &self.wishes,
            &self.referenced,
            &mut Ids::random(),
        )
    }

    /// Writes the row, with the response as it is before anybody was asked; returns that.
    async fn announce(
        &mut self,
        body: &[u8],
        model: &str,
        job: Option<Arc<Job>>,
    ) -> Result<String, Fault> {
        let status = if job.is_some() {
            Status::Queued
        } else {
            Status::InProgress
        };
        let id = match &job {
            Some(job) => job.id().to_owned(),
            None => Ids::random().next("resp_"),
        };
        self.settled.response_id = Some(id.clone());
        self.settled.background = job.is_some();
        let echo = Echo {
            model: model.to_owned(),
            now: clock::unix_ms() / 1000,
            ..Echo::default()
        };
        let repeat = Repeat::of(body).settled(&self.settled);
        let response = stored::announced(echo, repeat, status.as_str());
        let response = String::from_utf8(response).unwrap_or_default();
        let new = NewResponse {
            id: id.clone(),
            owner: self.owner.clone(),
            previous: self.settled.previous.clone(),
            conversation: self.settled.conversation.clone(),
            background: job.is_some(),
            status,
            input: self.input()?,
            body: response.clone(),
        };
        let begun = self.keeper.store.begin(new).await;
        begun.map_err(|error| self.not_begun(error))?;
        // A job ends its row itself.
        self.begun = job.is_none();
        self.keeper.has_begun(id, job);
        Ok(response)
    }

    fn not_begun(&self, error: BeginError) -> Fault {
        let conversation = self.settled.conversation.as_deref().unwrap_or_default();
        match error {
            BeginError::Store(error) => unavailable("begin", &error),
            BeginError::ConversationBusy => Fault::new(
                FaultKind::Conflict,
                "Another response of this conversation is being made. Wait until it is over, then try again.",
            )
            .param("conversation")
            .retry_after(std::time::Duration::from_secs(1)),
            BeginError::NoConversation => {
                stored::not_found("Conversation", conversation).param("conversation")
            }
        }
    }

    /// The answer is whole, or broken: `response` is what the client was told.
    fn finish(&mut self, response: &[u8]) -> Option<oneshot::Receiver<()>> {
        if !self.begun || std::mem::replace(&mut self.finished, true) {
            return None;
        }
        let body = String::from_utf8_lossy(response).into_owned();
        let (status, output) = stored::outcome(&body);
        let done = Finished {
            status: Status::parse(&status).unwrap_or(Status::Completed),
            output: output.to_owned(),
            events: None,
            body: body.clone(),
        };
        let (tell, told) = oneshot::channel();
        let id = self.settled.response_id.clone()?;
        tokio::spawn(self.keeper.clone().finish(id, done, tell));
        Some(told)
    }

    /// What passes as it is: its id, and what a conversation needs of it.
    fn watch(
        &mut self,
        chunk: &[u8],
        end: bool,
        stream: bool,
        channel: &str,
    ) -> [Option<oneshot::Receiver<()>>; 2] {
        let mut gate = None;
        if let Some(beginning) = &mut self.beginning {
            beginning.extend_from_slice(&chunk[..chunk.len().min(MAX_BEGINNING)]);
            let id = stored::response_id(beginning);
            if id.is_some() || beginning.len() >= MAX_BEGINNING {
                self.beginning = None;
            }
            gate = id.map(|id| self.remember(id, channel.to_owned()));
        }
        let mut response = None;
        match &mut self.capture {
            Some(Capture::Stream(frames)) => {
                let pushed = frames.push(&Bytes::copy_from_slice(chunk), |frame| {
                    let data = sse::parse(&frame).data.unwrap_or_default();
                    if let Ok(text) = std::str::from_utf8(&data)
                        && let Some(Milestone::Over(over)) = stored::milestone(text)
                    {
                        response = Some(over.as_bytes().to_vec());
                    }
                });
                if pushed.is_err() {
                    self.capture = None;
                }
            }
            Some(Capture::Whole(body)) if body.len() + chunk.len() <= MAX_EVENT => {
                body.extend_from_slice(chunk);
                if end {
                    response = Some(std::mem::take(body));
                }
            }
            Some(Capture::Whole(_)) => self.capture = None,
            None => {}
        }
        debug_assert!(stream || !matches!(self.capture, Some(Capture::Stream(_))));
        let kept = response.and_then(|response| self.finish(&response));
        [gate, kept]
    }

    /// Nothing came of it, or nothing that is to be kept here.
    fn forget(&mut self) {
        let finished = std::mem::replace(&mut self.finished, true);
        let (Some(id), false) = (self.settled.response_id.take(), finished) else {
            return;
        };
        let done = Finished {
            status: Status::Failed,
            output: "[]".to_owned(),
            events: None,
            body: "{}".to_owned(),
        };
        tokio::spawn(self.keeper.clone().forget(id, self.owner.clone(), done));
    }

    fn remember(&self, id: String, channel: String) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let (keeper, owner) = (self.keeper.clone(), self.owner.clone());
        tokio::spawn(async move {
            if let Err(error) = keeper.store.pin(id, owner, channel).await {
                super::keeper::trouble("pin", &error);
            }
            drop(tell);
        });
        told
    }
}

/// Before an attempt: what is to be kept here has its row, and the body is the one that this channel can be asked with.
pub async fn prepare(
    state: &mut State,
    asked: &Asked,
    native: bool,
    body: &mut Bytes,
) -> Result<(), Fault> {
    if asked.operation != Operation::Responses {
        return Ok(());
    }
    if state.wants_job() {
        if !native {
            *body = state::streamed(body)?.into();
        }
        return Ok(());
    }
    if !state.begun && state.is_kept_here(native) {
        state.announce(body, &asked.model, None).await?;
    }
    Ok(())
}

/// Starts the making of a response for which nobody waits, and says what the client gets meanwhile.
pub async fn start_job(
    x: &mut Exchange,
    loopback: &Loopback,
    body: &Bytes,
) -> Result<stored_answers::Answer, Fault> {
    let (Some(state), Some(asked), Some(key)) = (x.state.as_deref_mut(), &x.asked, &x.key) else {
        return Err(Fault::new(FaultKind::Internal, "A job has no request."));
    };
    let keeper = state.keeper.clone();
    if keeper.jobs() >= MAX_JOBS {
        return Err(Fault::new(
            FaultKind::UpstreamUnavailable,
            "Too many responses are being made in the background. Try again later, or without 'background'.",
        )
        .retry_after(std::time::Duration::from_secs(5)));
    }
    let job = Job::new(Ids::random().next("resp_"), asked.stream);
    let announced = state
        .announce(body, &asked.model, Some(job.clone()))
        .await?;
    let inner = Inner {
        key: key.clone(),
        client: x.client,
        request_id: None,
        headers: http::HeaderMap::new(),
        previous: None,
        settled: Some(state.settled.clone()),
    };
    let answer = stored_answers::of_job(job.clone(), asked.stream, &announced);
    tokio::spawn(job.run(keeper, loopback.clone(), inner, body.clone(), announced));
    Ok(answer)
}

/// An answer that passes as it is begins: nothing of an earlier attempt's counts.
pub fn answer_begins(x: &mut Exchange) {
    let (Some(state), Some(asked)) = (&mut x.state, &x.asked) else {
        return;
    };
    if asked.operation != Operation::Responses {
        return;
    }
    state.beginning = state.wishes.store.then(BytesMut::new);
    let captures = state.begun && state.settled.conversation.is_some();
    state.capture = captures.then(|| {
        if asked.expect == Expect::Sse {
            Capture::Stream(Frames::new(MAX_EVENT))
        } else {
            Capture::Whole(Vec::new())
        }
    });
}

/// It stands.
pub fn answer_stands(x: &mut Exchange) {
    if let Some(state) = &mut x.state
        && state.begun
        && state.capture.is_none()
    {
        // An attempt before this one would have kept it here.
        state.forget();
    }
}

/// Bytes of an answer that passes as it is.
pub fn passes(x: &mut Exchange, chunk: &[u8], end: bool) {
    let (Some(state), Some(asked), Some(attempt)) = (&mut x.state, &x.asked, &x.attempt) else {
        return;
    };
    if state.beginning.is_none() && state.capture.is_none() {
        return;
    }
    let stream = asked.expect == Expect::Sse;
    for gate in state.watch(chunk, end, stream, &attempt.channel.name) {
        hold(x, gate);
    }
}

/// A translated answer is over: whole (`response`), or as far as its stream says.
pub fn answer_ends(x: &mut Exchange, response: Option<&[u8]>) {
    let Some(state) = &mut x.state else { return };
    if !state.begun || state.finished {
        return;
    }
    let of_stream = || {
        let translation = x.attempt.as_ref()?.translation.as_ref()?;
        translation.answering.kept()
    };
    let gate = match response {
        Some(response) => state.finish(response),
        None => of_stream().and_then(|response| state.finish(&response)),
    };
    hold(x, gate);
}

/// The end waits until what is kept stands.
fn hold(x: &Exchange, gate: Option<oneshot::Receiver<()>>) {
    if let (Some(gate), Some(latch)) = (gate, &x.latch) {
        latch.hold_end(gate);
    }
}

/// The request is over, however that came about: what has begun is ended.
pub fn settle(x: &mut Exchange) {
    let committed = x.is_committed();
    let Some(state) = &mut x.state else { return };
    if !state.begun || std::mem::replace(&mut state.finished, true) {
        return;
    }
    let Some(id) = state.settled.response_id.clone() else {
        return;
    };
    let translated = x.attempt.as_ref().and_then(|a| a.translation.as_ref());
    let so_far = translated
        .and_then(|t| t.answering.so_far())
        .unwrap_or_default();
    let body = String::from_utf8_lossy(&so_far).into_owned();
    let keeper = state.keeper.clone();
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        // The process ends: the lease runs out.
        return;
    };
    if committed && !body.is_empty() {
        // The client left in the middle of it: what it has seen can be continued.
        let body = stored::with_status(&body, "cancelled", None);
        let (_, output) = stored::outcome(&body);
        let done = Finished {
            status: Status::Cancelled,
            output: output.to_owned(),
            events: None,
            body: body.clone(),
        };
        let (tell, _) = oneshot::channel();
        runtime.spawn(keeper.finish(id, done, tell));
    } else {
        state.finished = false;
        state.forget();
    }
}
