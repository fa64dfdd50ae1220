//! Conversations: items that responses are added to. <https://platform.openai.com/docs/api-reference/conversations>

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::exchange::{Context, Problem, Reply};
use super::json::{Json, obj, string};
use super::openai_list::{self, listed};
use super::openai_read::missing;
use super::openai_run::Run;
use super::{held, route, sign};

/// How many conversations are kept; the oldest goes first.
const MOST_CONVERSATIONS: usize = 10_000;

/// How many items may be added at once.
const MOST_ITEMS: usize = 20;

#[derive(Debug)]
struct Conversation {
    account: String,
    created_s: u64,
    metadata: Value,
    items: Vec<Value>,
    /// A background response that is being added.
    busy: Option<Run>,
}

/// The kept conversations by id.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    kept: HashMap<String, Conversation>,
    order: VecDeque<String>,
}

impl Conversations {
    fn put(&mut self, id: &str, conversation: Conversation) {
        while self.kept.len() >= MOST_CONVERSATIONS {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.kept.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.kept.insert(id.to_owned(), conversation);
    }

    fn found(&mut self, account: &str, id: &str) -> Result<&mut Conversation, Problem> {
        self.kept
            .get_mut(id)
            .filter(|conversation| conversation.account == account)
            .ok_or_else(|| Problem::new(404, format!("Conversation with id '{id}' not found.")))
    }

    /// The items that a response in this conversation begins with.
    pub(super) fn history(&mut self, account: &str, id: &str) -> Result<Vec<Value>, Problem> {
        let conversation = self.found(account, id)?;
        if conversation
            .busy
            .as_ref()
            .is_some_and(|run| run.is_open(sign::now_ms()))
        {
            return Err(Problem::bad(
                "Another process is currently operating on this conversation. Please retry in a few seconds.",
            )
            .code("conversation_locked")
            .param("conversation"));
        }
        Ok(conversation.items.clone())
    }

    /// Adds what a response was given and gave. One that was deleted meanwhile is left alone.
    pub(super) fn add(&mut self, account: &str, id: &str, items: Vec<Value>, run: Option<Run>) {
        if let Ok(conversation) = self.found(account, id) {
            conversation.items.extend(items);
            conversation.busy = run;
        }
    }

    /// The item that an `item_reference` of this account means.
    pub(super) fn item(&self, account: &str, id: &str) -> Option<Value> {
        self.kept
            .values()
            .filter(|conversation| conversation.account == account)
            .flat_map(|conversation| &conversation.items)
            .find(|item| string(item, "id") == id)
            .cloned()
    }
}

/// Every path below `conversations`.
pub(super) fn endpoint(context: &Context<'_>, rest: &str) -> Result<Reply, Problem> {
    let mut parts = rest.split('/').skip(1);
    let method = context.request.method.as_str();
    let account = context.request.account();
    let mut kept = held(&context.sim.conversations);
    let out = match (
        method,
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        ("POST", None, ..) => create(context, &mut kept)?,
        ("GET", Some(id), None, ..) => shown(id, kept.found(account, id)?),
        ("POST", Some(id), None, ..) => {
            let body = context.request.json()?;
            let conversation = kept.found(account, id)?;
            conversation.metadata = metadata(&body)?;
            shown(id, conversation)
        }
        ("DELETE", Some(id), None, ..) => {
            kept.found(account, id)?;
            kept.kept.remove(id);
            kept.order.retain(|one| one != id);
            obj! { "id": id, "object": "conversation.deleted", "deleted": true }
        }
        ("GET", Some(id), Some("items"), None, _) => {
            let all: Vec<&Value> = kept.found(account, id)?.items.iter().collect();
            openai_list::page(context.request, &all)?
        }
        ("POST", Some(id), Some("items"), None, _) => {
            let added = items(&context.request.json()?)?.ok_or_else(|| missing("items"))?;
            kept.found(account, id)?.items.extend(added.iter().cloned());
            openai_list::list(&added.iter().collect::<Vec<_>>(), false)
        }
        ("GET", Some(id), Some("items"), Some(item), None) => {
            let conversation = kept.found(account, id)?;
            let at = place(conversation, item)?;
            Json::from(&conversation.items[at])
        }
        ("DELETE", Some(id), Some("items"), Some(item), None) => {
            let conversation = kept.found(account, id)?;
            let at = place(conversation, item)?;
            conversation.items.remove(at);
            shown(id, conversation)
        }
        (_, None, ..) => {
            return Err(route::method(context, "POST")
                .err()
                .unwrap_or_else(|| route::not_found(context)));
        }
        _ => return Err(route::not_found(context)),
    };
    Ok(Reply::json(&out))
}

fn create(context: &Context<'_>, kept: &mut Conversations) -> Result<Json, Problem> {
    let body = if context.request.body.is_empty() {
        Value::Null
    } else {
        context.request.json()?
    };
    let id = sign::id("conv_", 48);
    let conversation = Conversation {
        account: context.request.account().to_owned(),
        created_s: sign::now_s(),
        metadata: metadata(&body)?,
        items: items(&body)?.unwrap_or_default(),
        busy: None,
    };
    let out = shown(&id, &conversation);
    kept.put(&id, conversation);
    Ok(out)
}

fn shown(id: &str, conversation: &Conversation) -> Json {
    obj! {
        "id": id,
        "object": "conversation",
        "created_at": conversation.created_s,
        "metadata": &conversation.metadata,
    }
}

fn metadata(body: &Value) -> Result<Value, Problem> {
    match body.get("metadata") {
        None | Some(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
        Some(given @ Value::Object(_)) => Ok(given.clone()),
        Some(_) => Err(
            Problem::bad("Invalid type for 'metadata': expected an object.")
                .code("invalid_type")
                .param("metadata"),
        ),
    }
}

/// The items of a body, each with an id; none if it brings none.
fn items(body: &Value) -> Result<Option<Vec<Value>>, Problem> {
    match body.get("items") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) if items.len() <= MOST_ITEMS => {
            Ok(Some(items.iter().map(listed).collect()))
        }
        Some(Value::Array(items)) => Err(Problem::bad(format!(
            "Invalid 'items': array too long. Expected an array with maximum length {MOST_ITEMS}, but got an array with length {} instead.",
            items.len()
        ))
        .code("array_above_max_length")
        .param("items")),
        Some(_) => Err(
            Problem::bad("Invalid type for 'items': expected an array of items.")
                .code("invalid_type")
                .param("items"),
        ),
    }
}

fn place(conversation: &Conversation, item: &str) -> Result<usize, Problem> {
    conversation
        .items
        .iter()
        .position(|one| string(one, "id") == item)
        .ok_or_else(|| Problem::new(404, format!("Item with id '{item}' not found.")))
}
