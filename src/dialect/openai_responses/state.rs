//! What a request of this protocol continues and wants kept
//! (<https://platform.openai.com/docs/guides/conversation-state>), and the body that says the same without: what came
//! before stands in its `input`. Owns no state; whoever keeps it brings the items.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::base::{Fault, FaultKind, Ids};
use crate::wire::edit::{self, Edit};
use crate::wire::json;
use crate::wire::read::{Lenient, Str, object};

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

object! {
    struct Item<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "id" => id: Lenient<Str<'a>>,
        "role" => role: Lenient<Str<'a>>,
        "content" => content: &'a RawValue,
        "encrypted_content" => encrypted: IgnoredAny,
    }
}

impl<'a> Item<'a> {
    fn of(raw: &'a str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }

    fn kind(&self) -> &str {
        let written = self.kind.as_ref().and_then(|kind| kind.0.as_deref());
        match (written, &self.role) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "message",
            (None, None) => "item_reference",
        }
    }

    fn id(&self) -> Option<&str> {
        self.id.as_ref()?.0.as_deref()
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

/// Is each of the list's elements an item: an object with a type or a role?
pub fn are_items(list: &str) -> bool {
    elements(list).into_iter().all(|raw| {
        let item = Item::of(raw.get());
        raw.get().starts_with('{') && (item.kind.is_some() || item.role.is_some())
    })
}

/// Each item with an id, a type and a list of parts.
pub fn with_ids(list: &str, ids: &mut Ids) -> String {
    let mut out = String::with_capacity(list.len() + 64);
    out.push('[');
    for raw in elements(list) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&with_id(raw.get(), ids));
    }
    out.push(']');
    out
}

fn with_id(raw: &str, ids: &mut Ids) -> String {
    let item = Item::of(raw);
    let kind = item.kind();
    let mut front = String::new();
    let mut edits = Vec::new();
    let spans = member_spans(raw);
    let find = |name: &str| {
        spans
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, at)| at.clone())
    };
    if item.id().is_none_or(str::is_empty) {
        let prefix = match kind {
            "message" => "msg_",
            "function_call" => "fc_",
            "function_call_output" => "fco_",
            "reasoning" => "rs_",
            "custom_tool_call" => "ctc_",
            "custom_tool_call_output" => "ctco_",
            _ => "item_",
        };
        let id = ids.next(prefix);
        match find("id") {
            // Written as null, or empty.
            Some(at) => edits.push(Edit::replace(at, format!("\"{id}\""))),
            None => front.push_str(&format!("\"id\":\"{id}\",")),
        }
    }
    if item.kind.is_none() {
        front.push_str(&format!("\"type\":\"{kind}\","));
    }
    let is_message = kind == "message";
    if let (Some(content), Some(at)) = (item.content.filter(|_| is_message), find("content"))
        && content.get().starts_with('"')
    {
        let role = item.role.as_ref().and_then(|role| role.0.as_deref());
        let parts = if role == Some("assistant") {
            format!(
                r#"[{{"type":"output_text","text":{},"annotations":[]}}]"#,
                content.get()
            )
        } else {
            format!(r#"[{{"type":"input_text","text":{}}}]"#, content.get())
        };
        edits.push(Edit::replace(at, parts));
    }
    if is_message && find("status").is_none() {
        front.push_str("\"status\":\"completed\",");
    }
    if !front.is_empty() {
        let brace = raw.find('{').map_or(0, |at| at + 1);
        edits.push(Edit::insert(brace, front));
    }
    let edited = edit::apply(&bytes::Bytes::copy_from_slice(raw.as_bytes()), &mut edits);
    text(&edited).to_owned()
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
mod tests {
    use super::*;

    fn wishes(body: &str) -> Wishes {
        Wishes::of(body.as_bytes()).expect("wishes")
    }

    fn expanded(body: &str, before: &[&str], referenced: &[(String, String)]) -> String {
        let out = expand(body.as_bytes(), &wishes(body), before, referenced, 1 << 20);
        let out = out.expect("a body");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_defaults_are_the_protocols() {
        let none = wishes(r#"{"model":"m","input":"hi"}"#);
        assert!(none.store && !none.background && !none.continues());
        let null = wishes(r#"{"previous_response_id":null,"conversation":null,"store":null}"#);
        assert!(null.store && !null.continues());
    }

    #[test]
    fn a_conversation_is_an_id_or_an_object_with_one() {
        assert_eq!(
            wishes(r#"{"conversation":"conv_1"}"#)
                .conversation
                .as_deref(),
            Some("conv_1")
        );
        assert_eq!(
            wishes(r#"{"conversation":{"id":"conv_1"}}"#)
                .conversation
                .as_deref(),
            Some("conv_1")
        );
    }

    #[test]
    fn wrong_wishes_are_refused_by_name() {
        for (body, param) in [
            (r#"{"previous_response_id":5}"#, "previous_response_id"),
            (r#"{"conversation":true}"#, "conversation"),
            (r#"{"store":"no"}"#, "store"),
            (r#"{"background":1}"#, "background"),
            (r#"{"background":true,"store":false}"#, "background"),
            (
                r#"{"previous_response_id":"a","conversation":"b"}"#,
                "previous_response_id",
            ),
            (r#"{"input":"a","input":"b"}"#, "input"),
        ] {
            let fault = Wishes::of(body.as_bytes()).expect_err(body);
            assert_eq!(fault.param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn what_came_before_stands_before_the_input_and_all_else_as_it_was_written() {
        assert_eq!(
            expanded(
                r#"{ "n" : 1.50e+2, "input":"a\n", "previous_response_id" : "resp_1","background":true }"#,
                &[r#"[{"id":"1"}]"#, "[ ]", r#"[{"id":"2"},{"id":"3"}]"#],
                &[],
            ),
            r#"{ "n" : 1.50e+2, "input":[{"id":"1"},{"id":"2"},{"id":"3"},{"type":"message","role":"user","content":"a\n"}], "previous_response_id" : null,"background":true }"#
        );
        assert_eq!(
            expanded(
                r#"{"previous_response_id":"r","input":[ {"a":1} ]}"#,
                &["[]"],
                &[]
            ),
            r#"{"previous_response_id":null,"input":[{"a":1}]}"#
        );
        assert_eq!(
            expanded(r#"{"conversation":"c"}"#, &[r#"[{"a":1}]"#], &[]),
            r#"{"input":[{"a":1}],"conversation":null}"#
        );
    }

    #[test]
    fn an_item_stands_in_the_place_of_its_name() {
        let body = r#"{"input":[{"id":"msg_1"},{"type":"item_reference","id":"rs_1"},{"role":"user","content":"x"}]}"#;
        assert_eq!(wishes(body).references, ["msg_1", "rs_1"]);
        let found = [
            ("msg_1".to_owned(), r#"{"M":1}"#.to_owned()),
            ("rs_1".to_owned(), r#"{"R":1}"#.to_owned()),
        ];
        assert_eq!(
            expanded(body, &[], &found),
            r#"{"input":[{"M":1},{"R":1},{"role":"user","content":"x"}]}"#
        );
    }

    #[test]
    fn items_are_kept_with_an_id_a_type_and_parts() {
        let body = br#"{"input":[{"role":"user","content":"x"},{"type":"function_call_output","call_id":"c","output":"1","id":null},{"role":"assistant","content":"y","type":"message"},{"type":"message","id":"msg_own","role":"user","content":[],"status":"completed"}]}"#;
        let wishes = Wishes::of(body).expect("wishes");
        let kept = own_items(body, &wishes, &[], &mut Ids::new(1)).expect("items");
        let kept: Vec<serde_json::Value> = serde_json::from_str(&kept).expect("JSON");
        assert!(
            kept[0]["id"]
                .as_str()
                .is_some_and(|id| id.starts_with("msg_"))
        );
        assert_eq!(kept[0]["type"], "message");
        assert_eq!(kept[0]["content"][0]["type"], "input_text");
        assert!(
            kept[1]["id"]
                .as_str()
                .is_some_and(|id| id.starts_with("fco_"))
        );
        assert_eq!(kept[2]["content"][0]["type"], "output_text");
        assert_eq!(kept[3]["id"], "msg_own");
        let text = own_items(
            br#"{"input":"hi"}"#,
            &Wishes::of(br#"{"input":"hi"}"#).expect("wishes"),
            &[],
            &mut Ids::new(1),
        );
        assert!(
            text.expect("items")
                .contains(r#"[{"type":"input_text","text":"hi"}]"#)
        );
    }

    #[test]
    fn reasoning_that_nobody_could_read_is_left_out() {
        let body = r#"{"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"e"}],"n":1.0}"#;
        let out = without_bare_thoughts(body.as_bytes()).expect("a body");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"e"}],"n":1.0}"#
        );
    }

    #[test]
    fn a_stream_can_be_asked_for() {
        for (body, expected) in [
            (r#"{"stream":false,"a":1}"#, r#"{"stream":true,"a":1}"#),
            (r#"{"a":1}"#, r#"{"stream":true,"a":1}"#),
            ("{}", r#"{"stream":true}"#),
            (
                r#"{"background":true,"stream":true}"#,
                r#"{"background":false,"stream":true}"#,
            ),
        ] {
            let out = streamed(body.as_bytes()).expect("a body");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
