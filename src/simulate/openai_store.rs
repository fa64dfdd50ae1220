//! Responses that are kept between requests, at most so many.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::exchange::Problem;
use super::json::{Json, items, obj, string};
use super::sign;

/// How many responses are kept; the oldest goes first.
const MOST_RESPONSES: usize = 10_000;

/// A response and the conversation that led to it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The finished response object.
    pub(super) response: Value,
    /// The items of this turn's input.
    pub(super) input: Vec<Value>,
    /// Everything up to the end of this response: what `previous_response_id` stands for.
    pub(super) history: Vec<Value>,
    pub(super) background: bool,
    /// When a background response is done.
    pub(super) ready_ms: u64,
}

/// The kept responses by id.
#[derive(Debug, Default)]
pub(super) struct Store {
    responses: HashMap<String, Stored>,
    order: VecDeque<String>,
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
    pub(super) fn history(&self, id: &str) -> Result<Vec<Value>, Problem> {
        match self.responses.get(id) {
            Some(stored) => Ok(stored.history.clone()),
            None => Err(
                Problem::bad(format!("Previous response with id '{id}' not found."))
                    .code("previous_response_not_found")
                    .param("previous_response_id"),
            ),
        }
    }

    /// `GET /responses/{id}`: a background response is in progress until it is ready.
    pub(super) fn get(&self, id: &str) -> Result<Value, Problem> {
        let stored = self.found(id)?;
        let mut response = stored.response.clone();
        if stored.background && sign::now_ms() < stored.ready_ms {
            response["status"] = Value::from("in_progress");
            response["output"] = Value::Array(Vec::new());
            response["usage"] = Value::Null;
            response["completed_at"] = Value::Null;
        }
        Ok(response)
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<Json, Problem> {
        self.found(id)?;
        self.responses.remove(id);
        self.order.retain(|one| one != id);
        Ok(obj! { "id": id, "object": "response", "deleted": true })
    }

    /// `POST /responses/{id}/cancel`: only a background response can be cancelled; a finished one stays as it is.
    pub(super) fn cancel(&mut self, id: &str) -> Result<Value, Problem> {
        let stored = self.found(id)?;
        if !stored.background {
            return Err(Problem::bad("Cannot cancel a synchronous response."));
        }
        let open = sign::now_ms() < stored.ready_ms;
        if open && let Some(stored) = self.responses.get_mut(id) {
            stored.ready_ms = 0;
            stored.response["status"] = Value::from("cancelled");
            stored.response["output"] = Value::Array(Vec::new());
            stored.response["usage"] = Value::Null;
            stored.response["completed_at"] = Value::Null;
        }
        self.get(id)
    }

    /// `GET /responses/{id}/input_items`: newest first, each with an id.
    pub(super) fn input_items(&self, id: &str) -> Result<Json, Problem> {
        let stored = self.found(id)?;
        let data: Vec<Value> = stored.input.iter().rev().map(listed).collect();
        let first = data.first().map(|item| string(item, "id").to_owned());
        let last = data.last().map(|item| string(item, "id").to_owned());
        Ok(
            obj! { "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": false },
        )
    }

    fn found(&self, id: &str) -> Result<&Stored, Problem> {
        self.responses
            .get(id)
            .ok_or_else(|| Problem::new(404, format!("Response with id '{id}' not found.")))
    }
}

/// An input item as the API lists it: with an id and its content in parts.
pub(super) fn listed(item: &Value) -> Value {
    let mut item = item.clone();
    let role = string(&item, "role").to_owned();
    if !role.is_empty() {
        item["type"] = Value::from("message");
        if let Some(text) = item
            .get("content")
            .and_then(Value::as_str)
            .map(str::to_owned)
        {
            let kind = if role == "assistant" {
                "output_text"
            } else {
                "input_text"
            };
            item["content"] = serde_json::json!([{ "type": kind, "text": text }]);
        }
        if item.get("status").is_none() {
            item["status"] = Value::from("completed");
        }
        if kind_of_first(&item) == "output_text" {
            // The SDKs' types have these on every text of the assistant.
            if let Some(parts) = item.get_mut("content").and_then(Value::as_array_mut) {
                for part in parts
                    .iter_mut()
                    .filter(|part| part.get("annotations").is_none())
                {
                    part["annotations"] = Value::Array(Vec::new());
                }
            }
        }
    }
    if string(&item, "id").is_empty() {
        item["id"] = Value::from(sign::id("msg_", 32));
    }
    item
}

fn kind_of_first(item: &Value) -> &str {
    items(item, "content")
        .first()
        .map(|part| string(part, "type"))
        .unwrap_or_default()
}
