//! Responses that are kept between requests, each for the account that made it, at most so many.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::exchange::{Event, Problem, Reply, Request};
use super::json::{Json, obj, string};
use super::openai_list;
use super::openai_run::Run;
use super::sign;

/// How many responses are kept; the oldest goes first.
const MOST_RESPONSES: usize = 10_000;

/// A response and the conversation that led to it. All items have ids.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) account: String,
    /// The finished response object.
    pub(super) response: Value,
    /// What the previous response or the conversation brought along.
    pub(super) before: Vec<Value>,
    /// The items of this turn's input.
    pub(super) input: Vec<Value>,
    pub(super) output: Vec<Value>,
    /// How a background response proceeds.
    pub(super) run: Option<Run>,
    /// The stream of a background response that was asked for with one.
    pub(super) events: Vec<Event>,
}

impl Stored {
    /// Everything up to the end of this response: what `previous_response_id` stands for.
    fn history(&self) -> Vec<Value> {
        let mut all = self.before.clone();
        all.extend_from_slice(&self.input);
        if !self.run.as_ref().is_some_and(Run::is_cancelled) {
            all.extend_from_slice(&self.output);
        }
        all
    }

    /// The response as it is by now.
    fn response(&self, now_ms: u64) -> Value {
        let mut response = self.response.clone();
        if let Some(status) = self.run.as_ref().and_then(|run| run.status(now_ms)) {
            response["status"] = Value::from(status);
            response["output"] = Value::Array(Vec::new());
            response["usage"] = Value::Null;
            response["completed_at"] = Value::Null;
            response["incomplete_details"] = Value::Null;
        }
        response
    }
}

/// The kept responses by id.
#[derive(Debug, Default)]
pub(super) struct Store {
    responses: HashMap<String, Stored>,
    order: VecDeque<String>,
}

/// What OpenAI says of a previous response that it does not know.
pub(super) fn no_previous(id: &str) -> Problem {
    Problem::bad(format!("Previous response with id '{id}' not found."))
        .code("previous_response_not_found")
        .param("previous_response_id")
}

impl Store {
    pub(super) fn put(&mut self, id: &str, stored: Stored) {
        while self.responses.len() >= MOST_RESPONSES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.responses.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.responses.insert(id.to_owned(), stored);
    }

    /// The conversation that a follow-up continues.
    pub(super) fn history(&self, account: &str, id: &str) -> Result<Vec<Value>, Problem> {
        let stored = self.find(account, id).ok_or_else(|| no_previous(id))?;
        if stored
            .run
            .as_ref()
            .is_some_and(|run| run.is_open(sign::now_ms()))
        {
            return Err(Problem::bad(format!(
                "Previous response with id '{id}' is still in progress."
            ))
            .param("previous_response_id"));
        }
        Ok(stored.history())
    }

    /// The item that an `item_reference` of this account means.
    pub(super) fn item(&self, account: &str, id: &str) -> Option<Value> {
        self.responses
            .values()
            .filter(|stored| stored.account == account)
            .flat_map(|stored| stored.output.iter().chain(&stored.input))
            .find(|item| string(item, "id") == id)
            .cloned()
    }

    /// `GET /responses/{id}`, as JSON or as the rest of a background stream.
    pub(super) fn get(&self, request: &Request, id: &str) -> Result<Reply, Problem> {
        let stored = self.found(request, id)?;
        if !matches!(request.query_value("stream"), Some("true" | "True" | "1")) {
            let response = stored.response(sign::now_ms());
            return Ok(Reply::json(&Json::Value(response)));
        }
        let run = stored.run.clone().filter(|_| !stored.events.is_empty());
        let Some(run) = run else {
            let lacking = if stored.run.is_some() {
                "stream"
            } else {
                "background"
            };
            return Err(Problem::bad(format!(
                "This response cannot be streamed because it was not created with {lacking}=true."
            ))
            .code("invalid_request_error")
            .param("stream"));
        };
        let first = match request
            .query_value("starting_after")
            .map(str::parse::<usize>)
        {
            None => 0,
            Some(Ok(number)) => number.saturating_add(1).min(stored.events.len()),
            Some(Err(_)) => {
                return Err(Problem::bad(
                    "Invalid type for 'starting_after': expected an integer.",
                )
                .code("invalid_type")
                .param("starting_after"));
            }
        };
        Ok(Reply::events(stored.events[first..].to_vec(), 0).over(run, first))
    }

    pub(super) fn delete(&mut self, request: &Request, id: &str) -> Result<Json, Problem> {
        self.found(request, id)?;
        self.responses.remove(id);
        self.order.retain(|one| one != id);
        Ok(obj! { "id": id, "object": "response", "deleted": true })
    }

    /// `POST /responses/{id}/cancel`: only a background response can be cancelled; a finished one stays as it is.
    pub(super) fn cancel(&self, request: &Request, id: &str) -> Result<Value, Problem> {
        let stored = self.found(request, id)?;
        let Some(run) = &stored.run else {
            return Err(Problem::bad("Cannot cancel a synchronous response."));
        };
        let now_ms = sign::now_ms();
        run.cancel(now_ms);
        Ok(stored.response(now_ms))
    }

    /// `GET /responses/{id}/input_items`: what the model was given, earlier turns included.
    pub(super) fn input_items(&self, request: &Request, id: &str) -> Result<Json, Problem> {
        let stored = self.found(request, id)?;
        let all: Vec<&Value> = stored.before.iter().chain(&stored.input).collect();
        openai_list::page(request, &all)
    }

    fn find(&self, account: &str, id: &str) -> Option<&Stored> {
        self.responses
            .get(id)
            .filter(|stored| stored.account == account)
    }

    fn found(&self, request: &Request, id: &str) -> Result<&Stored, Problem> {
        self.find(request.account(), id)
            .ok_or_else(|| Problem::new(404, format!("Response with id '{id}' not found.")))
    }
}
