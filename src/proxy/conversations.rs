//! Conversations of the Responses API (<https://platform.openai.com/docs/api-reference/conversations>). They are kept here for
//! every channel: a turn gets the items, and brings back its own.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exchange::Exchange;
use super::keeper::unavailable;
use super::kept;
use crate::base::{Fault, FaultKind, Ids};
use crate::dialect::openai_responses::{state, stored};
use crate::store::{ContextError, Conversation, Owner, StoreError};

/// So many items may be added at once.
const MAX_ITEMS: usize = 20;

/// What a path under `/v1/conversations` names.
enum Place<'p> {
    All,
    One(&'p str),
    Items(&'p str),
    Item(&'p str, &'p str),
}

impl<'p> Place<'p> {
    fn of(path: &'p str) -> Self {
        let rest = path.strip_prefix("/v1/conversations").unwrap_or_default();
        let mut segments = rest.split('/').skip(1);
        match (segments.next(), segments.next(), segments.next()) {
            (None, _, _) => Self::All,
            (Some(id), None, _) => Self::One(id),
            (Some(id), Some(_), None) => Self::Items(id),
            (Some(id), Some(_), Some(item)) => Self::Item(id, item),
        }
    }
}

#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

fn read(body: &[u8]) -> Result<Body<'_>, Fault> {
    if body.is_empty() {
        return Ok(Body::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Fault::new(
            FaultKind::InvalidJson,
            format!("The request body is not valid JSON: {error}."),
        )
    })
}

/// The items of a body, as they are kept.
fn items(written: Option<&RawValue>) -> Result<Vec<String>, Fault> {
    let Some(written) = written.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    let wrong = |message| Fault::new(FaultKind::InvalidRequest, message).param("items");
    if !written.get().starts_with('[') {
        return Err(wrong("'items' must be an array of items."));
    }
    if !state::are_items(written.get()) {
        return Err(wrong(
            "'items' must be an array of items: objects with a 'type' or a 'role'.",
        ));
    }
    let with_ids = state::with_ids(written.get(), &mut Ids::random());
    let items: Vec<String> = stored::elements(&with_ids)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if items.len() > MAX_ITEMS {
        return Err(wrong("'items' may hold at most 20 items at a time."));
    }
    Ok(items)
}

fn missing(name: &'static str) -> Fault {
    Fault::new(
        FaultKind::InvalidRequest,
        format!("You must provide '{name}'."),
    )
    .param(name)
}

fn not_found(id: &str) -> Fault {
    stored::not_found("Conversation", id)
}

fn told(conversation: &Conversation) -> Vec<u8> {
    stored::conversation(
        &conversation.id,
        conversation.created,
        &conversation.metadata,
    )
}

fn trouble(call: &'static str) -> impl Fn(StoreError) -> Fault {
    move |error| unavailable(call, &error)
}

/// Does what is asked, and says so.
pub async fn ask(x: &Exchange, body: &Bytes) -> Result<Bytes, Fault> {
    let (Some(asked), Some(owner)) = (&x.asked, kept::owner(x)) else {
        return Err(not_found(""));
    };
    let store = &x.keeper.store;
    let query = asked.query.as_str();
    let answer = match (Place::of(asked.path()), x.method.as_str()) {
        (Place::All, _) => {
            let body = read(body)?;
            let metadata = stored::metadata(body.metadata)?;
            let id = Ids::random().next("conv_");
            let made = store.create_conversation(id, owner, metadata, items(body.items)?);
            told(&made.await.map_err(trouble("create_conversation"))?)
        }
        (Place::One(id), "GET") => {
            let found = store.find_conversation(id.to_owned(), owner).await;
            let found = found.map_err(trouble("find_conversation"))?;
            told(&found.ok_or_else(|| not_found(id))?)
        }
        (Place::One(id), "DELETE") => {
            let deleted = store.delete_conversation(id.to_owned(), owner).await;
            if !deleted.map_err(trouble("delete_conversation"))? {
                return Err(not_found(id));
            }
            stored::deleted(id, "conversation.deleted")
        }
        (Place::One(id), _) => {
            let body = read(body)?;
            if body.metadata.is_none() {
                return Err(missing("metadata"));
            }
            let metadata = stored::metadata(body.metadata)?;
            let changed = store.change_conversation(id.to_owned(), owner, metadata);
            let changed = changed.await.map_err(trouble("change_conversation"))?;
            told(&changed.ok_or_else(|| not_found(id))?)
        }
        (Place::Items(id), "GET") => {
            let all = all_items(x, id, owner).await?;
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            stored::page(&all, query)?
        }
        (Place::Items(id), _) => {
            let body = read(body)?;
            if body.items.is_none() {
                return Err(missing("items"));
            }
            let added = items(body.items)?;
            let is_there = store.add_conversation_items(id.to_owned(), owner, added.clone());
            if !is_there.await.map_err(trouble("add_conversation_items"))? {
                return Err(not_found(id));
            }
            let added: Vec<&str> = added.iter().map(String::as_str).collect();
            stored::page(&added, "order=asc&limit=100")?
        }
        (Place::Item(id, item), "GET") => {
            let all = all_items(x, id, owner).await?;
            let found = all.into_iter().find(|kept| stored::item_id(kept) == item);
            found.ok_or_else(|| stored::not_found("Item", item))?.into()
        }
        (Place::Item(id, item), _) => {
            let gone =
                store.delete_conversation_item(id.to_owned(), owner.clone(), item.to_owned());
            if !gone.await.map_err(trouble("delete_conversation_item"))? {
                return Err(stored::not_found("Item", item));
            }
            let found = store.find_conversation(id.to_owned(), owner).await;
            let found = found.map_err(trouble("find_conversation"))?;
            told(&found.ok_or_else(|| not_found(id))?)
        }
    };
    Ok(answer.into())
}

async fn all_items(x: &Exchange, id: &str, owner: Owner) -> Result<Vec<String>, Fault> {
    let limit = x.world.config.server.body_limit;
    let items = x
        .keeper
        .store
        .conversation_items(id.to_owned(), owner, limit);
    match items.await {
        Ok(Some(read)) => Ok(read.items),
        Ok(None) | Err(ContextError::NotFound | ContextError::MissingAncestor(_)) => {
            Err(not_found(id))
        }
        Err(ContextError::Store(error)) => Err(unavailable("conversation_items", &error)),
        Err(ContextError::TooLarge) => Err(Fault::new(
            FaultKind::TooLarge,
            "The items of this conversation are more than can be read.",
        )),
    }
}
