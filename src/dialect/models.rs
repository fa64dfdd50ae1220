//! Lists of models, in the caller's dialect.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Surface;

/// Nothing is known of when a model was made; a constant keeps strict clients content.
const CREATED: u64 = 1_735_689_600;
const CREATED_AT: &str = "2025-01-01T00:00:00Z";

/// `GET …/models`, with the caller's paging where its API has one.
pub fn list(surface: Surface, ids: &[String], query: &str) -> Bytes {
    let body = match surface {
        Surface::OpenAi => json!({
            "object": "list",
            "data": ids.iter().map(|id| openai(id)).collect::<Vec<_>>(),
        }),
        Surface::Anthropic => {
            let (page, more) = page(
                ids,
                parameter(query, "after_id"),
                parameter(query, "limit"),
                20,
            );
            json!({
                "data": page.iter().map(|id| anthropic(id)).collect::<Vec<_>>(),
                "has_more": more,
                "first_id": page.first(),
                "last_id": page.last(),
            })
        }
        Surface::Gemini => {
            let token = parameter(query, "pageToken");
            let (page, more) = page(ids, token, parameter(query, "pageSize"), 50);
            let mut body =
                json!({ "models": page.iter().map(|id| gemini(id)).collect::<Vec<_>>() });
            if let (true, Some(last)) = (more, page.last()) {
                body["nextPageToken"] = json!(last);
            }
            body
        }
    };
    to_bytes(&body)
}

/// `GET …/models/{id}`
pub fn one(surface: Surface, id: &str) -> Bytes {
    to_bytes(&match surface {
        Surface::OpenAi => openai(id),
        Surface::Anthropic => anthropic(id),
        Surface::Gemini => gemini(id),
    })
}

fn openai(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "torouter" })
}

fn anthropic(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": CREATED_AT })
}

fn gemini(id: &str) -> Value {
    // Its ids name what the model is for.
    let methods: &[&str] = if id.contains("embedding") {
        &["embedContent", "batchEmbedContents", "countTokens"]
    } else {
        &["generateContent", "streamGenerateContent", "countTokens"]
    };
    json!({
        "name": format!("models/{id}"),
        "version": "1",
        "displayName": id,
        "supportedGenerationMethods": methods,
    })
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// A value of a query without its percent signs.
fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A page of at most `size` behind `after`, and whether more follow.
fn page<'a>(
    ids: &'a [String],
    after: Option<&str>,
    size: Option<&str>,
    default: usize,
) -> (&'a [String], bool) {
    let size = size
        .and_then(|size| size.parse().ok())
        .unwrap_or(default)
        .clamp(1, 1000);
    // They are sorted: a page goes on behind its mark even where the model itself has gone.
    let from = after.map_or(0, |after| {
        let after = decode(after);
        ids.partition_point(|id| *id <= after)
    });
    let to = (from + size).min(ids.len());
    (&ids[from..to], to < ids.len())
}

fn to_bytes(value: &Value) -> Bytes {
    // A value always serialises.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(surface: Surface, query: &str) -> Value {
        let ids: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        serde_json::from_slice(&list(surface, &ids, query)).expect("JSON")
    }

    #[test]
    fn each_dialect_has_its_form_and_paging() {
        assert_eq!(read(Surface::OpenAi, "")["data"][2]["id"], "c");
        let page = read(Surface::Anthropic, "limit=2");
        assert_eq!(
            (page["last_id"].as_str(), page["has_more"].as_bool()),
            (Some("b"), Some(true))
        );
        let rest = read(Surface::Anthropic, "limit=1000&after_id=b");
        assert_eq!(
            (rest["first_id"].as_str(), rest["has_more"].as_bool()),
            (Some("c"), Some(false))
        );
        let gemini = read(Surface::Gemini, "pageSize=1");
        assert_eq!(gemini["models"][0]["name"], "models/a");
        assert_eq!(gemini["nextPageToken"], "a");
    }

    #[test]
    fn a_mark_with_a_slash_is_found_although_clients_encode_it() {
        let ids: Vec<String> = ["a", "b/c", "d"].map(str::to_owned).to_vec();
        let read = |query: &str| -> Value {
            serde_json::from_slice(&list(Surface::Anthropic, &ids, query)).expect("JSON")
        };
        assert_eq!(read("limit=1&after_id=b%2Fc")["first_id"], "d");
        assert_eq!(read("limit=1&after_id=b%2Fd")["first_id"], "d");
        assert_eq!(read("limit=1&after_id=a%")["first_id"], "b/c");
    }
}
