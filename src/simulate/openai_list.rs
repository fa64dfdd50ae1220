//! Items as OpenAI lists them: each with an id, a page at a time.

use serde_json::Value;

use super::exchange::{Problem, Request};
use super::json::{Json, items, obj, string};
use super::sign;

/// How many items a page has, unless asked for otherwise, and at most.
const PAGE: usize = 20;
const MOST: usize = 100;

/// One page of items that are given oldest first. <https://platform.openai.com/docs/api-reference/responses/input-items>
pub(super) fn page(request: &Request, all: &[&Value]) -> Result<Json, Problem> {
    let mut all: Vec<&Value> = all.to_vec();
    match request.query_value("order") {
        Some("asc") => {}
        None | Some("desc") => all.reverse(),
        Some(other) => {
            return Err(Problem::bad(format!(
                "Invalid value: '{other}'. Supported values are: 'asc' and 'desc'."
            ))
            .code("invalid_value")
            .param("order"));
        }
    }
    let limit = match request.query_value("limit").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => {
            return Err(Problem::bad(format!(
                "Invalid 'limit': expected an integer from 1 to {MOST}."
            ))
            .code("invalid_value")
            .param("limit"));
        }
    };
    if let Some(after) = request.query_value("after") {
        let Some(at) = all.iter().position(|item| string(item, "id") == after) else {
            return Err(
                Problem::new(404, format!("Item with id '{after}' not found.")).param("after"),
            );
        };
        all.drain(..=at);
    }
    let more = all.len() > limit;
    all.truncate(limit);
    Ok(list(&all, more))
}

/// The items as a list object.
pub(super) fn list(items: &[&Value], has_more: bool) -> Json {
    let id = |item: Option<&&Value>| item.map(|item| string(item, "id").to_owned());
    obj! {
        "object": "list",
        "data": items.iter().map(|item| Json::from(*item)).collect::<Vec<_>>(),
        "first_id": id(items.first()),
        "last_id": id(items.last()),
        "has_more": has_more,
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
        let prefix = match string(&item, "type") {
            "message" => "msg_",
            "reasoning" => "rs_",
            "function_call" => "fc_",
            "function_call_output" => "fco_",
            "custom_tool_call" => "ctc_",
            "custom_tool_call_output" => "ctco_",
            "compaction" => "cmp_",
            _ => "item_",
        };
        item["id"] = Value::from(sign::id(prefix, 48));
        if item.get("status").is_none() && string(&item, "type").starts_with("function_call") {
            item["status"] = Value::from("completed");
        }
    }
    item
}

fn kind_of_first(item: &Value) -> &str {
    items(item, "content")
        .first()
        .map(|part| string(part, "type"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Request {
        Request {
            method: "GET".to_owned(),
            path: "/v1/responses/resp_1/input_items".to_owned(),
            query: query.to_owned(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn items_come_a_page_at_a_time_newest_first() {
        let items: Vec<Value> = (0..5)
            .map(|n| serde_json::json!({ "id": format!("i{n}") }))
            .collect();
        let all: Vec<&Value> = items.iter().collect();
        let ids = |query: &str| {
            let page = page(&asked(query), &all).expect("a page").value();
            let ids = super::items(&page, "data")
                .iter()
                .map(|item| string(item, "id").to_owned())
                .collect::<String>();
            (ids, page["has_more"].as_bool().expect("a yes or no"))
        };
        assert_eq!(ids("limit=2"), ("i4i3".to_owned(), true));
        assert_eq!(ids("limit=2&after=i3"), ("i2i1".to_owned(), true));
        assert_eq!(
            ids("order=asc&after=i1&limit=3"),
            ("i2i3i4".to_owned(), false)
        );
        assert_eq!(ids(""), ("i4i3i2i1i0".to_owned(), false));
        for bad in ["limit=0", "limit=101", "order=up", "after=i9"] {
            assert!(page(&asked(bad), &all).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listed_item_has_an_id_of_its_kind_and_keeps_its_own() {
        let output =
            serde_json::json!({ "type": "function_call_output", "call_id": "c", "output": "7" });
        assert!(string(&listed(&output), "id").starts_with("fco_"));
        let said = listed(&serde_json::json!({ "role": "user", "content": "Hi", "id": "mine" }));
        assert_eq!(said["content"][0]["text"], "Hi");
        assert_eq!(said["id"], "mine");
    }
}
