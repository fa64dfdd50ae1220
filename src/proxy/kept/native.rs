//! Answers that pass as they are, from a channel that keeps them itself: whose they are is remembered, and a conversation
//! of the gateway's gets their items.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::exchange::Exchange;
use super::super::keeper::trouble;
use super::{Row, State, hold, owner};
use crate::dialect::openai_responses::stored::{self, Milestone};
use crate::dialect::{Expect, Operation};
use crate::wire::sse::{self, Frames};

/// Where the id of an answer has not come by then, it has none.
const MAX_BEGINNING: usize = 64 << 10;
/// An event or a body that is larger is not looked at.
const MAX_EVENT: usize = 32 << 20;

/// What is seen of one answer.
pub struct Watch {
    /// The channel keeps it: it is remembered which one.
    keeps: bool,
    /// So does the gateway.
    is_kept_here: bool,
    id: Option<String>,
    form: Form,
}

enum Form {
    Stream(Frames),
    Whole(Vec<u8>),
    /// Too large to be looked at.
    Lost,
}

impl Watch {
    fn event(&mut self, frame: &[u8], ids: &mut Vec<String>) -> Option<Vec<u8>> {
        // Deltas are most of a stream: they are told apart by their names.
        let is_milestone = [
            &b"response.created"[..],
            b"output_item.done",
            b"response.completed",
        ]
        .into_iter()
        .chain([&b"response.incomplete"[..], b"response.failed"])
        .any(|name| memchr::memmem::find(&frame[..frame.len().min(160)], name).is_some());
        if !is_milestone {
            return None;
        }
        let data = sse::parse(frame).data?;
        let text = std::str::from_utf8(&data).ok()?;
        match stored::milestone(text) {
            Some(Milestone::Begun(response)) => {
                let id = stored::item_id(response);
                self.id = Some(id.clone());
                ids.push(id);
                None
            }
            Some(Milestone::Item(item)) => {
                ids.push(stored::item_id(item));
                None
            }
            Some(Milestone::Over(response)) => Some(response.as_bytes().to_vec()),
            Some(Milestone::Error) | None => None,
        }
    }

    /// Reads on. What is to be remembered, and the response when it is over.
    fn read(&mut self, chunk: &[u8], end: bool) -> (Vec<String>, Option<Vec<u8>>) {
        let (mut ids, mut over) = (Vec::new(), None);
        let mut form = std::mem::replace(&mut self.form, Form::Lost);
        match &mut form {
            Form::Stream(frames) => {
                let pushed = frames.push(&Bytes::copy_from_slice(chunk), |frame| {
                    over = self.event(&frame, &mut ids).or(over.take());
                });
                if end {
                    // Some end without a blank line.
                    over = self.event(&frames.rest(), &mut ids).or(over);
                }
                if pushed.is_err() {
                    return (ids, over);
                }
            }
            Form::Whole(body) => {
                body.extend_from_slice(chunk);
                if self.id.is_none() {
                    let start = &body[..body.len().min(MAX_BEGINNING)];
                    self.id = stored::response_id(start);
                    ids.extend(self.id.clone());
                }
                if end {
                    let body = std::mem::take(body);
                    if let Ok(text) = std::str::from_utf8(&body) {
                        let (_, output) = stored::outcome(text);
                        ids.extend(stored::elements(output).into_iter().map(stored::item_id));
                    }
                    over = Some(body);
                } else if body.len() > MAX_EVENT {
                    return (ids, over);
                }
            }
            Form::Lost => {}
        }
        self.form = form;
        (ids, over)
    }
}

/// An answer that passes as it is begins: nothing of an earlier attempt's counts.
pub fn answer_begins(x: &mut Exchange) {
    let (Some(state), Some(asked)) = (&mut x.state, &x.asked) else {
        return;
    };
    if asked.operation != Operation::Responses {
        return;
    }
    let keeps = x
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.channel.config.platform.keeps_responses);
    let is_begun = matches!(state.row, Row::Begun(_));
    let is_kept_here = is_begun && (state.settled.conversation.is_some() || !keeps);
    let watches = (keeps && state.wishes.store) || is_kept_here;
    state.native = watches.then(|| Watch {
        keeps: keeps && state.wishes.store,
        is_kept_here,
        id: None,
        form: if asked.expect == Expect::Sse {
            Form::Stream(Frames::new(MAX_EVENT))
        } else {
            Form::Whole(Vec::new())
        },
    });
}

/// It stands.
pub fn answer_stands(x: &mut Exchange) {
    let Some(state) = &mut x.state else { return };
    state.own = Bytes::new();
    state.referenced = Vec::new();
    if !state
        .native
        .as_ref()
        .is_some_and(|watch| watch.is_kept_here)
    {
        // An attempt before this one would have kept it here.
        state.forget();
    }
}

/// Bytes of an answer that passes as it is.
pub fn passes(x: &mut Exchange, chunk: &[u8], end: bool) {
    let (Some(state), Some(attempt)) = (&mut x.state, &x.attempt) else {
        return;
    };
    let Some(watch) = &mut state.native else {
        return;
    };
    let (mut ids, over) = watch.read(chunk, end);
    ids.retain(|id| !id.is_empty());
    let mut gates = Vec::new();
    if watch.keeps && !ids.is_empty() {
        gates.push(state.remember(ids, attempt.channel.name.to_string()));
    }
    if let Some(response) = over {
        gates.extend(state.finish(&response));
    } else {
        // The end waits for them, and nothing before it.
        state.pins.append(&mut gates);
        return;
    }
    gates.append(&mut state.pins);
    for gate in gates {
        hold(x, Some(gate));
    }
}

/// The channel of the exchange keeps this response.
pub async fn remember(x: &Exchange, response: &str) {
    let (Some(owner), Some(attempt)) = (owner(x), &x.attempt) else {
        return;
    };
    let (_, output) = stored::outcome(response);
    let items = stored::elements(output).into_iter().map(stored::item_id);
    let ids = std::iter::once(stored::item_id(response)).chain(items);
    let ids = ids.filter(|id| !id.is_empty()).collect();
    let channel = attempt.channel.name.to_string();
    if let Err(error) = x.keeper.store.pin(ids, owner, channel).await {
        trouble("pin", &error);
    }
}

impl State {
    /// These are kept by that channel.
    fn remember(&self, ids: Vec<String>, channel: String) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let (keeper, owner) = (self.keeper.clone(), self.owner.clone());
        tokio::spawn(async move {
            if let Err(error) = keeper.store.pin(ids, owner, channel).await {
                trouble("pin", &error);
            }
            drop(tell);
        });
        told
    }
}
