//! The state of a turn of the Responses API: what it continues is found before a channel is chosen; what is kept of it
//! is written before the client has the end of it.
//!
//! A channel that has the API keeps its responses itself: of these the gateway only remembers which channel, and pins
//! what continues them to it. Of all others the gateway keeps the items.

mod native;
mod resolve;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::exchange::{Asked, Exchange};
use super::inner::{Inner, Loopback};
use super::job::Job;
use super::keeper::{Keeper, unavailable};
use super::stored as stored_answers;
use crate::base::{Fault, FaultKind, Ids, clock};
use crate::dialect::Operation;
use crate::dialect::openai_responses::state::{self, Wishes};
use crate::dialect::openai_responses::stored;
use crate::dialect::openai_responses::{Repeat, Settled};
use crate::dialect::translate::Echo;
use crate::platform::Platform;
use crate::store::{BeginError, Finished, NewResponse, Owner, Status};

pub use native::{answer_begins, answer_stands, passes, remember};
pub use resolve::{owner, pin, resolve};

/// How long an error waits for what it leaves behind.
const LET_GO_TIME: Duration = Duration::from_secs(3);

/// What one request has to do with state.
pub struct State {
    keeper: Arc<Keeper>,
    owner: Owner,
    wishes: Wishes,
    /// As it came, and what it refers to: what is kept of the turn itself, until it is kept.
    own: Bytes,
    referenced: Vec<(String, String)>,
    pub settled: Settled,
    /// Of its conversation, when that was read.
    conversation_version: Option<i64>,
    row: Row,
    /// What its row was begun with, where its id will be another.
    announced: Option<Box<NewResponse>>,
    /// A job of the gateway's own keeps it.
    of_job: bool,
    /// What an answer that its channel keeps says of itself.
    native: Option<native::Watch>,
    /// What is remembered of it, and is not written yet.
    pins: Vec<oneshot::Receiver<()>>,
}

/// What is in the store of this turn.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    None,
    /// Under this id, until it is finished.
    Begun(String),
    /// It was, and nothing more is to be done.
    Over,
}

/// A response of which nothing came.
fn nothing() -> Finished {
    Finished {
        status: Status::Failed,
        output: "[]".to_owned(),
        events: None,
        body: "{}".to_owned(),
    }
}

impl State {
    /// Is the answer to be made by a job, and not while the client waits?
    pub fn wants_job(&self) -> bool {
        self.wishes.background && !self.of_job
    }

    /// May the request pass to this platform, which has the API, as it is? Where nothing is kept there, only what needs
    /// no more than that its items be kept.
    pub fn may_pass(&self, platform: &Platform) -> bool {
        platform.keeps_responses
            || !(self.of_job
                || self.wishes.background
                || self.wishes.store_asked
                || self.settled.previous.is_some()
                || self.settled.conversation.is_some())
    }

    /// Is an answer to be kept here? `native`: of this platform, as it is.
    fn is_kept_here(&self, native: Option<&Platform>) -> bool {
        let is_kept_there = native.is_some_and(|platform| platform.keeps_responses);
        !self.of_job
            && (self.settled.conversation.is_some() || (!is_kept_there && self.wishes.store))
    }

    /// Writes the row, with the response as it is before anybody was asked; returns that.
    async fn announce(
        &mut self,
        body: &[u8],
        model: &str,
        job: Option<Arc<Job>>,
        passes: bool,
    ) -> Result<String, Fault> {
        let (id, status) = match &job {
            Some(job) => (job.id().to_owned(), Status::Queued),
            None => (Ids::random().next("resp_"), Status::InProgress),
        };
        self.settled.response_id = Some(id.clone());
        self.settled.background = job.is_some();
        self.settled.created = Some(clock::unix_ms() / 1000);
        let echo = Echo {
            model: model.to_owned(),
            now: clock::unix_ms() / 1000,
            ..Echo::default()
        };
        let repeat = Repeat::of(body).settled(&self.settled);
        let response = stored::announced(echo, repeat, status.as_str());
        let response = String::from_utf8(response).unwrap_or_default();
        let own = std::mem::take(&mut self.own);
        let referenced = std::mem::take(&mut self.referenced);
        let new = NewResponse {
            id: id.clone(),
            owner: self.owner.clone(),
            previous: self.settled.previous.clone(),
            conversation: self.settled.conversation.clone(),
            conversation_version: self.conversation_version,
            background: job.is_some(),
            status,
            input: state::own_items(&own, &self.wishes, &referenced, &mut Ids::random())?,
            body: response.clone(),
        };
        // One that passes bears its provider's id in the end.
        self.announced = passes.then(|| Box::new(new.clone()));
        let begun = self.keeper.store.begin(new).await;
        begun.map_err(|error| self.not_begun(error))?;
        self.row = match &job {
            // A job ends its row itself.
            Some(_) => Row::Over,
            None => Row::Begun(id.clone()),
        };
        self.keeper.has_begun(id, job);
        Ok(response)
    }

    fn not_begun(&self, error: BeginError) -> Fault {
        let conversation = self.settled.conversation.as_deref().unwrap_or_default();
        match error {
            BeginError::Store(error) => unavailable("begin", &error),
            BeginError::ConversationBusy => Fault::new(
                FaultKind::Conflict,
                "Another response of this conversation is being made, or has just been. Wait until it is over, then try again.",
            )
            .param("conversation")
            .retry_after(Duration::from_secs(1)),
            BeginError::NoConversation => {
                stored::not_found("Conversation", conversation).param("conversation")
            }
        }
    }

    /// The answer is whole, or broken: `response` is what the client was told, or would have been.
    fn finish(&mut self, response: &[u8]) -> Option<oneshot::Receiver<()>> {
        let Row::Begun(id) = std::mem::replace(&mut self.row, Row::Over) else {
            return None;
        };
        let body = String::from_utf8_lossy(response).into_owned();
        let (status, output) = stored::outcome(&body);
        // Without a status it is no response: an error in the place of one.
        let done = match status.and_then(|status| Status::parse(&status)) {
            Some(status) => Finished {
                status,
                output: output.to_owned(),
                events: None,
                body: body.clone(),
            },
            None => nothing(),
        };
        let (tell, told) = oneshot::channel();
        let keeper = self.keeper.clone();
        let passed = self.native.take();
        let again = match (self.announced.take(), &passed) {
            (Some(new), Some(_)) => Some(NewResponse {
                id: stored::item_id(&body),
                ..*new
            }),
            (Some(_) | None, _) => None,
        };
        // A conversation gets the items; the response itself is kept only where that was asked for, and here.
        let forget = !self.wishes.store || passed.is_some();
        let owner = forget.then(|| self.owner.clone());
        tokio::spawn(keeper.finish(id, done, again, owner, tell));
        Some(told)
    }

    /// Nothing came of it, or nothing that is to be kept here.
    fn forget(&mut self) -> Option<oneshot::Receiver<()>> {
        let Row::Begun(id) = std::mem::replace(&mut self.row, Row::Over) else {
            return None;
        };
        let (tell, told) = oneshot::channel();
        let owner = Some(self.owner.clone());
        tokio::spawn(self.keeper.clone().finish(id, nothing(), None, owner, tell));
        Some(told)
    }
}

/// Before an attempt: what is to be kept here has its row, and the body is the one that this channel can be asked with.
pub async fn prepare(
    state: &mut State,
    asked: &Asked,
    native: Option<&Platform>,
    body: &mut Bytes,
) -> Result<(), Fault> {
    if asked.operation != Operation::Responses {
        return Ok(());
    }
    if state.wants_job() {
        if native.is_none() {
            *body = state::streamed(body)?.into();
        }
        return Ok(());
    }
    if native.is_some() && state.settled.previous.is_some() {
        // What was made elsewhere says nothing to this one.
        *body = state::without_bare_thoughts(body)?.into();
    }
    if state.row == Row::None && state.is_kept_here(native) {
        let passes = native.is_some_and(|platform| !platform.keeps_responses);
        state.announce(body, &asked.model, None, passes).await?;
    }
    Ok(())
}

/// Starts the making of a response for which nobody waits, and says what the client gets meanwhile.
pub async fn start_job(
    x: &mut Exchange,
    loopback: &Loopback,
    body: &Bytes,
) -> Result<stored_answers::Answer, Fault> {
    // An attempt before this one has nothing to do with it.
    x.write_off();
    let (Some(state), Some(asked), Some(key)) = (x.state.as_deref_mut(), &x.asked, &x.key) else {
        return Err(Fault::new(FaultKind::Internal, "A job has no request."));
    };
    let keeper = state.keeper.clone();
    let Some(place) = keeper.job_place(&state.owner.key) else {
        return Err(Fault::new(
            FaultKind::UpstreamUnavailable,
            "Too many responses are being made in the background. Try again later, or without 'background'.",
        )
        .retry_after(Duration::from_secs(5)));
    };
    let job = Job::new(Ids::random().next("resp_"), asked.stream, place);
    let announced = state
        .announce(body, &asked.model, Some(job.clone()), false)
        .await?;
    let inner = Inner {
        key: key.clone(),
        client: x.client,
        request_id: Some(x.request_id.clone()),
        headers: http::HeaderMap::new(),
        previous: None,
        settled: Some(state.settled.clone()),
        reservation: Mutex::new(x.reservation.take()),
    };
    let answer = stored_answers::of_job(job.clone(), asked.stream, &announced);
    x.is_jobs = true;
    tokio::spawn(job.run(keeper, loopback.clone(), inner, body.clone(), announced));
    Ok(answer)
}

/// A translated answer is over: whole (`response`), or as far as its stream says.
pub fn answer_ends(x: &mut Exchange, response: Option<&[u8]>) {
    let Some(state) = &mut x.state else { return };
    if !matches!(state.row, Row::Begun(_)) {
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

/// No answer came: whoever is told so may try again at once, and must find the conversation free.
pub async fn let_go(x: &mut Exchange) {
    let gone = x.state.as_deref_mut().and_then(State::forget);
    if let Some(gone) = gone {
        let _ = tokio::time::timeout(LET_GO_TIME, gone).await;
    }
}

/// The request is over, however that came about: what has begun is ended.
pub fn settle(x: &mut Exchange) {
    let committed = x.is_committed();
    let Some(state) = &mut x.state else { return };
    if !matches!(state.row, Row::Begun(_)) || tokio::runtime::Handle::try_current().is_err() {
        // Without a runtime the process ends: the lease runs out.
        return;
    }
    let translated = x.attempt.as_ref().and_then(|a| a.translation.as_ref());
    let so_far = translated.and_then(|t| t.answering.so_far());
    match so_far.filter(|_| committed) {
        // The client left in the middle of it: what it has seen can be continued.
        Some(so_far) => {
            let so_far = String::from_utf8_lossy(&so_far).into_owned();
            let cancelled = stored::with_status(&so_far, "cancelled", None);
            state.finish(cancelled.as_bytes());
        }
        None => {
            state.forget();
        }
    }
}
