//! What a request of this protocol continues and wants kept
//! (<https://platform.openai.com/docs/guides/conversation-state>), and the body that says the same without: what came
//! before stands in its `input`. Owns no state; whoever keeps it brings the items.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::{Fault, FaultKind, Ids};
use crate::wire::edit::{self, Edit};
use crate::wire::json;
use crate::wire::read::Str;

mod item;

pub use item::{are_items, with_ids};

use item::Item;

/// So many items a request may refer to.
const MAX_REFERENCES: usize = 1000;

/// What a request says of state.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The response that it continues.
    pub previous: Option<String>,
    /// The conversation that it belongs to.
    pub conversation: Option<String>,
    pub store: bool,
    /// It says so itself.
    pub store_asked: bool,
    pub background: bool,
    /// Ids of items that the input only names, each once.
    pub references: Vec<String>,
    /// Ids of reasoning without its content: only its maker has that.
    pub thoughts: Vec<String>,
    at: Spans,
}

#[derive(Clone, Debug, Default)]
struct Spans {
    front: usize,
    empty: bool,
    input: Option<Range<usize>>,
    previous: Option<Range<usize>>,
    conversation: Option<Range<usize>>,
    background: Option<Range<usize>>,
    store: Option<Range<usize>>,
    stream: Option<Range<usize>>,
}

impl Spans {
    fn of(body: &[u8]) -> Result<Self, Fault> {
        let mut spans = Self {
            empty: true,
            ..Self::default()
        };
        let mut twice = None;
        json::scan_object(body, |field| {
            spans.empty = false;
            let slot = [
                ("input", &mut spans.input),
                ("previous_response_id", &mut spans.previous),
                ("conversation", &mut spans.conversation),
                ("background", &mut spans.background),
                ("store", &mut spans.store),
                ("stream", &mut spans.stream),
            ]
            .into_iter()
            .find(|(name, _)| json::key_is(field.key, name));
            if let Some((name, slot)) = slot
                && slot.replace(field.value).is_some()
            {
                twice = Some(name);
            }
        })
        .map_err(|error| {
            Fault::new(
                FaultKind::InvalidJson,
                format!("The request body is not valid JSON: {error}."),
            )
        })?;
        if let Some(name) = twice {
            return Err(wrong(
                name,
                format!("'{name}' stands twice in the request body; send it once."),
            ));
        }
        spans.front = body.iter().position(|&b| b == b'{').map_or(0, |at| at + 1);
        Ok(spans)
    }
}

fn wrong(param: &'static str, message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::InvalidRequest, message.into()).param(param)
}

/// Reads a member; `null` and none are the same.
fn member<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    at: Option<&Range<usize>>,
    name: &'static str,
    what: &str,
) -> Result<Option<T>, Fault> {
    let Some(at) = at else { return Ok(None) };
    serde_json::from_slice(&body[at.clone()])
        .map_err(|_| wrong(name, format!("'{name}' must be {what}.")))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Conversation<'a> {
    #[serde(borrow)]
    Id(Str<'a>),
    Object {
        #[serde(borrow)]
        id: Str<'a>,
    },
}

impl Wishes {
    /// Reads what decides about state, and nothing else.
    pub fn of(body: &[u8]) -> Result<Self, Fault> {
        let at = Spans::of(body)?;
        let previous: Option<Str<'_>> = member(
            body,
            at.previous.as_ref(),
            "previous_response_id",
            "the id of a response, a string",
        )?;
        let conversation: Option<Conversation<'_>> = member(
            body,
            at.conversation.as_ref(),
            "conversation",
            "the id of a conversation, or an object with its 'id'",
        )?;
        let conversation = conversation.map(|conversation| match conversation {
            Conversation::Id(id) | Conversation::Object { id } => id.to_string(),
        });
        if previous.is_some() && conversation.is_some() {
            return Err(wrong(
                "previous_response_id",
                "'previous_response_id' and 'conversation' cannot be used together; send one of them.",
            ));
        }
        let written: Option<bool> = member(body, at.store.as_ref(), "store", "true or false")?;
        let store = written.unwrap_or(true);
        let background =
            member(body, at.background.as_ref(), "background", "true or false")?.unwrap_or(false);
        if background && !store {
            return Err(wrong(
                "background",
                "'background' needs the response to be kept: leave out 'store', or set it to true.",
            ));
        }
        let (references, thoughts) = at
            .input
            .clone()
            .map_or_else(Default::default, |at| references(&body[at]));
        if references.len() > MAX_REFERENCES {
            return Err(wrong(
                "input",
                format!("'input' may refer to at most {MAX_REFERENCES} items."),
            ));
        }
        Ok(Self {
            previous: previous.map(|id| id.to_string()),
            conversation,
            store,
            store_asked: written == Some(true),
            background,
            references,
            thoughts,
            at,
        })
    }

    /// Does it need what was kept before?
    pub fn continues(&self) -> bool {
        self.previous.is_some()
            || self.conversation.is_some()
            || !self.references.is_empty()
            || !self.thoughts.is_empty()
    }
}

fn elements(list: &str) -> Vec<&RawValue> {
    serde_json::from_str(list).unwrap_or_default()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Ids that stand for an item: of those that the input only names, and of reasoning whose content its maker has.
fn references(input: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut named, mut known) = (BTreeSet::new(), BTreeSet::new());
    let is_list = input.first() == Some(&b'[');
    if is_list && memmem::find(input, b"\"id\"").is_some() {
        for raw in elements(text(input)) {
            let item = Item::of(raw.get());
            let (kind, id) = (item.kind(), item.id());
            match (kind, id) {
                ("item_reference", Some(id)) => named.insert(id.to_owned()),
                ("reasoning", Some(id)) if item.encrypted.is_none() => known.insert(id.to_owned()),
                _ => false,
            };
        }
    }
    (named.into_iter().collect(), known.into_iter().collect())
}

/// The list without its brackets.
fn inner(list: &str) -> &str {
    let list = list.trim();
    list.strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
        .unwrap_or(list)
        .trim()
}

/// The body with the items of `before` (JSON lists) in front of its own input, the items of `referenced` (id, item) in
/// the place of their names, and without a word of state. All else stands as it was written.
pub fn expand(
    body: &[u8],
    wishes: &Wishes,
    before: &[&str],
    referenced: &[(String, String)],
    limit: usize,
) -> Result<Vec<u8>, Fault> {
    let mut edits = Vec::new();
    let at = &wishes.at;
    for gone in [&at.previous, &at.conversation].into_iter().flatten() {
        edits.push(Edit::replace(gone.clone(), "null"));
    }
    let own = match &at.input {
        Some(at) => own_list(&body[at.clone()], referenced, limit)?,
        None => String::new(),
    };
    let length = before.iter().map(|list| list.len()).sum::<usize>() + own.len() + body.len();
    if length > limit {
        return Err(too_long());
    }
    if !before.is_empty() || !referenced.is_empty() {
        let mut input = String::from("[");
        for items in before.iter().map(|list| inner(list)).chain([own.as_str()]) {
            if items.is_empty() {
                continue;
            }
            if input.len() > 1 {
                input.push(',');
            }
            input.push_str(items);
        }
        input.push(']');
        match &at.input {
            Some(at) => edits.push(Edit::replace(at.clone(), input)),
            None => edits.push(put_in(at, "input", &input)),
        }
    }
    edits.sort_by_key(|edit| edit.at.start);
    Ok(edit::apply(&bytes::Bytes::copy_from_slice(body), &mut edits).into())
}

fn put_in(at: &Spans, name: &str, value: &str) -> Edit {
    let comma = if at.empty { "" } else { "," };
    Edit::insert(at.front, format!("\"{name}\":{value}{comma}"))
}

/// The body without reasoning whose content nobody has: its maker signed nothing, and no other maker would know its id.
pub fn without_bare_thoughts(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let Some(at) = Spans::of(body)?.input else {
        return Ok(body.to_vec());
    };
    let is_bare = |raw: &&RawValue| {
        let item = Item::of(raw.get());
        item.kind() == "reasoning" && item.encrypted.is_none()
    };
    let all = elements(text(&body[at.clone()]));
    if !all.iter().any(is_bare) {
        return Ok(body.to_vec());
    }
    let kept: Vec<&str> = all
        .into_iter()
        .filter(|raw| !is_bare(raw))
        .map(RawValue::get)
        .collect();
    let edit = Edit::replace(at, format!("[{}]", kept.join(",")));
    Ok(edit::apply(&bytes::Bytes::copy_from_slice(body), &mut [edit]).into())
}

/// The body that asks for a stream to wait for.
pub fn streamed(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let at = Spans::of(body)?;
    let mut edits = vec![match at.stream.clone() {
        Some(at) => Edit::replace(at, "true"),
        None => put_in(&at, "stream", "true"),
    }];
    if let Some(background) = at.background {
        edits.push(Edit::replace(background, "false"));
    }
    Ok(edit::apply(&bytes::Bytes::copy_from_slice(body), &mut edits).into())
}

/// What a request continues is too much for it.
pub fn too_long() -> Fault {
    Fault::new(
        FaultKind::TooLarge,
        "What this request continues is larger than a request may be. Start again with a summary of it.",
    )
}

/// The items of an input, without brackets; a text becomes the message that it stands for.
fn own_list(input: &[u8], referenced: &[(String, String)], limit: usize) -> Result<String, Fault> {
    let input = text(input);
    match input.as_bytes().first() {
        Some(b'"') => Ok(format!(
            r#"{{"type":"message","role":"user","content":{input}}}"#
        )),
        Some(b'n') => Ok(String::new()),
        Some(b'[') if referenced.is_empty() => Ok(inner(input).to_owned()),
        Some(b'[') => {
            let found: HashMap<&str, &str> = referenced
                .iter()
                .map(|(id, item)| (id.as_str(), item.as_str()))
                .collect();
            let mut out = String::new();
            for raw in elements(input) {
                let item = Item::of(raw.get());
                let named = item.id().filter(|_| item.kind() == "item_reference");
                if !out.is_empty() {
                    out.push(',');
                }
                if out.len() > limit {
                    return Err(too_long());
                }
                out.push_str(
                    named
                        .and_then(|id| found.get(id).copied())
                        .unwrap_or(raw.get()),
                );
            }
            Ok(out)
        }
        _ => Err(wrong(
            "input",
            "'input' must be a string or an array of items.",
        )),
    }
}

/// The request's own input as a JSON list of items in the form in which they are kept and listed: each has an id, a type
/// and, where it is a message, a list of parts.
pub fn own_items(
    body: &[u8],
    wishes: &Wishes,
    referenced: &[(String, String)],
    ids: &mut Ids,
) -> Result<String, Fault> {
    let Some(at) = &wishes.at.input else {
        return Ok("[]".to_owned());
    };
    let list = format!("[{}]", own_list(&body[at.clone()], referenced, usize::MAX)?);
    Ok(with_ids(&list, ids))
}

/// Where the members of an object stand.
pub(super) fn member_spans(raw: &str) -> Vec<(String, Range<usize>)> {
    let mut spans = Vec::new();
    let scanned = json::scan_object(raw.as_bytes(), |field| {
        spans.push((text(field.key).to_owned(), field.value));
    });
    if scanned.is_err() {
        spans.clear();
    }
    spans
}

#[cfg(test)]
mod tests;
