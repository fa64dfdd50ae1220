//! The items of a JSON array, as they stand. Nothing is rebuilt, so that every byte survives.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longer ids cannot be referred to: they would not fit an index.
const ID_LIMIT: usize = 256;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, borrow)]
    id: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
}

/// The elements of an array; none when it is no array.
pub fn elements(array: &str) -> Vec<&str> {
    serde_json::from_str::<Vec<&RawValue>>(array)
        .map(|elements| elements.into_iter().map(RawValue::get).collect())
        .unwrap_or_default()
}

/// The id by which an item can be referred to. One that only refers to another has none of its own.
pub fn id_of(item: &str) -> Option<String> {
    let head: Head<'_> = serde_json::from_str(item).ok()?;
    if head.kind.as_deref() == Some("item_reference") {
        return None;
    }
    head.id
        .filter(|id| !id.is_empty() && id.len() <= ID_LIMIT)
        .map(std::borrow::Cow::into_owned)
}

/// The ids in an array, each once.
pub fn ids_in(array: &str) -> Vec<String> {
    // Most inputs have none: a look for the word is cheaper than reading them.
    if !array.contains("\"id\"") {
        return Vec::new();
    }
    let mut ids: Vec<String> = elements(array).into_iter().filter_map(id_of).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The array of these items.
pub fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_every_byte() {
        let array = "[ {\"id\":\"a\", \"n\": 123456789012345678901234567890.10 ,\"t\":\"\\u0000\\/\"} ,7, {\"b\":1,\"a\":2}]";
        assert_eq!(
            elements(array),
            [
                "{\"id\":\"a\", \"n\": 123456789012345678901234567890.10 ,\"t\":\"\\u0000\\/\"}",
                "7",
                "{\"b\":1,\"a\":2}"
            ]
        );
        assert_eq!(ids_in(array), ["a"]);
    }

    #[test]
    fn only_what_can_be_referred_to_has_an_id() {
        for none in [
            r#"[{"id":7},{"id":null},"id",{"x":{"id":"deep"}}]"#,
            r#"[{"type":"item_reference","id":"a"}]"#,
            r#"{"id":"not an array"}"#,
            "[",
        ] {
            assert!(ids_in(none).is_empty(), "{none}");
        }
        assert_eq!(ids_in(r#"[{"id":"b"},{"id":"a"},{"id":"b"}]"#), ["a", "b"]);
    }
}
