//! Items of an input, in the form in which they are kept and listed.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{elements, member_spans, text};
use crate::base::Ids;
use crate::wire::edit::{self, Edit};
use crate::wire::read::{Lenient, Str, object};

object! {
    pub(super) struct Item<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "id" => id: Lenient<Str<'a>>,
        "role" => role: Lenient<Str<'a>>,
        "content" => content: &'a RawValue,
        "encrypted_content" => encrypted: IgnoredAny,
    }
}

impl<'a> Item<'a> {
    pub(super) fn of(raw: &'a str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        let written = self.kind.as_ref().and_then(|kind| kind.0.as_deref());
        match (written, &self.role) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "message",
            (None, None) => "item_reference",
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_ref()?.0.as_deref()
    }
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
