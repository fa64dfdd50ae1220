//! What a request continues, found: by the response before it, its conversation, or single items.

use std::collections::HashSet;

use bytes::Bytes;

use super::super::exchange::Exchange;
use super::super::keeper::unavailable;
use super::{Row, State};
use crate::base::{Fault, FaultKind};
use crate::dialect::Operation;
use crate::dialect::openai_responses::Settled;
use crate::dialect::openai_responses::state::{self, Wishes, too_long};
use crate::dialect::openai_responses::stored::{self, shown};
use crate::store::{Context, ContextError, Owner, Status, Turn};

/// Whose state the request may touch.
pub fn owner(x: &Exchange) -> Option<Owner> {
    let key = x.key.as_ref()?;
    Some(Owner {
        key: key.owner.clone(),
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
    let Some(operation) = x.asked.as_ref().map(|asked| asked.operation) else {
        return Ok(body);
    };
    let Some(owner) = takes_state(operation).then(|| owner(x)).flatten() else {
        return Ok(body);
    };
    let mut wishes = Wishes::of(&body)?;
    wishes.background &= operation == Operation::Responses;
    let mut state = Box::new(State {
        keeper: x.keeper.clone(),
        owner,
        wishes,
        own: body.clone(),
        referenced: Vec::new(),
        settled: Settled::default(),
        conversation_version: None,
        row: Row::None,
        announced: None,
        of_job: false,
        native: None,
        pins: Vec::new(),
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
    if state.of_job || (state.wishes.background && state.settled.conversation.is_some()) {
        // It would be kept there, under another id and outside of the conversation.
        exclude_native(x, operation);
    }
    x.state = Some(state);
    Ok(body)
}

fn exclude_native(x: &mut Exchange, operation: Operation) {
    let Some(key) = &x.key else { return };
    for channel in x.world.groups[key.group].channels() {
        let platform = channel.config.platform;
        if (platform.serves)(operation) && platform.keeps_responses {
            x.plan.exclude(channel.id);
        }
    }
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
        if context.stored.channel.is_empty() {
            is_over(&context)?;
            for Turn { input, output } in context.turns {
                before.extend([input, output]);
            }
            state.settled.previous = Some(previous);
        } else {
            pin(x, &previous, &context.stored.channel)?;
        }
    }
    if let Some(id) = state.wishes.conversation.clone() {
        let read = store
            .conversation_items(id.clone(), state.owner.clone(), limit)
            .await;
        let read = read.map_err(|error| no_context(error, &id))?;
        let read =
            read.ok_or_else(|| stored::not_found("Conversation", &id).param("conversation"))?;
        before.push(stored::list_of(read.items.iter().map(String::as_str)));
        state.conversation_version = Some(read.version);
        state.settled.conversation = Some(id);
    }
    find_items(x, state).await?;
    if before.is_empty() && state.referenced.is_empty() {
        return Ok(body.clone());
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let expanded = state::expand(body, &state.wishes, &before, &state.referenced, limit)?;
    Ok(expanded.into())
}

/// Items that the input only names: they are kept here, or by the channel that made them. Anybody else's are not found.
async fn find_items(x: &mut Exchange, state: &mut State) -> Result<(), Fault> {
    let (named, thoughts) = (&state.wishes.references, &state.wishes.thoughts);
    if named.is_empty() && thoughts.is_empty() {
        return Ok(());
    }
    let limit = x.world.config.server.body_limit;
    let store = &state.keeper.store;
    let found = store.items(named.clone(), state.owner.clone(), limit).await;
    state.referenced = found.map_err(|error| match error {
        ContextError::Store(error) => unavailable("items", &error),
        ContextError::TooLarge => too_long(),
        // Items that are missing are left out.
        ContextError::NotFound | ContextError::MissingAncestor(_) => {
            stored::not_found("Item", "").param("input")
        }
    })?;
    let here: HashSet<&String> = state.referenced.iter().map(|(id, _)| id).collect();
    let elsewhere: Vec<&String> = named.iter().filter(|id| !here.contains(id)).collect();
    for (id, must) in elsewhere
        .into_iter()
        .map(|id| (id, true))
        .chain(thoughts.iter().take(1).map(|id| (id, false)))
    {
        let found = store.find(id.clone(), state.owner.clone()).await;
        let found = found.map_err(|error| unavailable("find", &error))?;
        match found.filter(|stored| !stored.channel.is_empty()) {
            Some(stored) => pin(x, id, &stored.channel)?,
            None if must => return Err(stored::not_found("Item", id).param("input")),
            None => {}
        }
    }
    Ok(())
}

/// Only the channel that made a response knows what it says.
pub fn pin(x: &mut Exchange, id: &str, channel: &str) -> Result<(), Fault> {
    let Some(key) = &x.key else { return Ok(()) };
    let group = &x.world.groups[key.group];
    let Some(found) = group.channels().find(|c| &*c.name == channel) else {
        return Err(Fault::new(
            FaultKind::PreviousResponseNotFound,
            format!(
                "'{}' is kept by the channel '{channel}', which the group '{}' no longer has. Start again with the whole input.",
                shown(id),
                group.name
            ),
        ));
    };
    if !x.plan.pin(found.id) {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            format!(
                "'{}' is kept by another channel than the rest of what this request continues. Start again with the whole input.",
                shown(id)
            ),
        ));
    }
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

fn no_context(error: ContextError, id: &str) -> Fault {
    let gone = |message| {
        Fault::new(FaultKind::PreviousResponseNotFound, message).param("previous_response_id")
    };
    match error {
        ContextError::Store(error) => unavailable("context", &error),
        ContextError::NotFound => gone(format!(
            "Previous response with id '{}' not found.",
            shown(id)
        )),
        ContextError::MissingAncestor(ancestor) => gone(format!(
            "The response '{}' rests on '{}', which has been deleted. Start again with the whole input.",
            shown(id),
            shown(&ancestor)
        )),
        ContextError::TooLarge => too_long(),
    }
}
