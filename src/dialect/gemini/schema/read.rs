//! Gemini's `Schema` as standard JSON Schema: types in lower case, `nullable` as a type of its own, counts as numbers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::{Object, string as push_string};
use super::{MAX_DEPTH, Members, list, string};
use crate::chat::Json;

/// JSON Schema in its standard spelling; what is none is left as it is.
pub(in crate::dialect::gemini) fn to_standard(raw: &RawValue) -> Json<'_> {
    let mut out = Vec::with_capacity(raw.get().len() + 32);
    schema(raw, &mut out, 0);
    String::from_utf8(out)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .map_or(Json::Borrowed(raw), Json::Owned)
}

/// The field under its standard name.
fn standard_name(key: &str) -> &str {
    match key {
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "any_of" => "anyOf",
        "property_ordering" => "propertyOrdering",
        "additional_properties" => "additionalProperties",
        "one_of" => "oneOf",
        "all_of" => "allOf",
        "ref" => "$ref",
        "defs" => "$defs",
        other => other,
    }
}

/// Types are names in any case, or numbers of the enum
/// (<https://ai.google.dev/api/caching#Type>). `None`: unspecified.
fn type_name(raw: &RawValue) -> Option<Cow<'static, str>> {
    let name = match raw.get() {
        "1" => "string",
        "2" => "number",
        "3" => "integer",
        "4" => "boolean",
        "5" => "array",
        "6" => "object",
        "7" => "null",
        _ => {
            let written = string(raw)?;
            return (!written.eq_ignore_ascii_case("TYPE_UNSPECIFIED"))
                .then(|| Cow::Owned(written.to_ascii_lowercase()));
        }
    };
    Some(Cow::Borrowed(name))
}

fn types(raw: &RawValue) -> Vec<Cow<'static, str>> {
    match list(raw) {
        Some(all) => all.into_iter().filter_map(type_name).collect(),
        None => type_name(raw).into_iter().collect(),
    }
}

fn schema(raw: &RawValue, out: &mut Vec<u8>, depth: usize) {
    let members = Members::of(raw).filter(|_| depth < MAX_DEPTH);
    let Some(members) = members else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    let field = |name: &str| {
        members
            .0
            .iter()
            .find(|(key, value)| standard_name(key) == name && value.get() != "null")
            .map(|(_, value)| *value)
    };
    let nullable = field("nullable").is_some_and(|raw| raw.get() == "true");
    let kinds = field("type").map(types).unwrap_or_default();
    let numeric = kinds.iter().any(|k| k == "integer" || k == "number");
    let ordering: Vec<Cow<'_, str>> = field("propertyOrdering")
        .and_then(list)
        .map(|all| all.into_iter().filter_map(string).collect())
        .unwrap_or_default();
    let mut object = Object::open(out);
    for (key, value) in &members.0 {
        let name = standard_name(key);
        // SDKs write what is not set as null; only a default and a constant may be it.
        if value.get() == "null" && !matches!(name, "default" | "const") {
            continue;
        }
        match name {
            "nullable" | "propertyOrdering" => {}
            "type" => write_types(&kinds, nullable, &mut object),
            "properties" | "$defs" | "definitions" | "patternProperties" => {
                properties(value, &ordering, object.named(name), depth);
            }
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames" => schema(value, object.named(name), depth + 1),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                let null = nullable && kinds.is_empty() && name == "anyOf";
                schemas(value, null, object.named(name), depth);
            }
            "enum" => values(value, numeric, nullable, object.named(name)),
            "example" => {
                let out = object.named("examples");
                out.push(b'[');
                out.extend_from_slice(value.get().as_bytes());
                out.push(b']');
            }
            // OpenAPI's names for kinds of numbers, and Google's for enumerations; JSON Schema has none of them.
            "format"
                if matches!(
                    string(value).as_deref(),
                    Some("enum" | "int32" | "int64" | "float" | "double")
                ) => {}
            "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minLength"
            | "maxLength" | "minimum" | "maximum" => {
                let number = bare_number(value);
                object.named(name).extend_from_slice(number.as_bytes());
            }
            other => object
                .named(other)
                .extend_from_slice(value.get().as_bytes()),
        }
    }
    object.close();
}

fn write_types(kinds: &[Cow<'_, str>], nullable: bool, object: &mut Object<'_>) {
    let adds_null = nullable && !kinds.iter().any(|kind| kind == "null");
    match kinds {
        [] => {}
        [one] if !adds_null => push_string(object.named("type"), one),
        many => {
            let out = object.named("type");
            out.push(b'[');
            for (at, kind) in many.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_string(out, kind);
            }
            out.extend_from_slice(if adds_null { b",\"null\"]" } else { b"]" });
        }
    }
}

/// Properties, in the order that the schema asks answers to have.
fn properties(raw: &RawValue, ordering: &[Cow<'_, str>], out: &mut Vec<u8>, depth: usize) {
    let Some(mut members) = Members::of(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    if !ordering.is_empty() {
        members.0.sort_by_key(|(name, _)| {
            let place = ordering.iter().position(|wanted| wanted == name);
            place.unwrap_or(ordering.len())
        });
    }
    let mut object = Object::open(out);
    for (name, value) in &members.0 {
        schema(value, object.named(name), depth + 1);
    }
    object.close();
}

fn schemas(raw: &RawValue, null: bool, out: &mut Vec<u8>, depth: usize) {
    let Some(all) = list(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    out.push(b'[');
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        schema(one, out, depth + 1);
    }
    if null {
        let comma: &[u8] = if all.is_empty() { b"" } else { b"," };
        out.extend_from_slice(comma);
        out.extend_from_slice(br#"{"type":"null"}"#);
    }
    out.push(b']');
}

/// Gemini's enumerations are of strings whatever the type is; a nullable one takes null, too.
fn values(raw: &RawValue, numeric: bool, nullable: bool, out: &mut Vec<u8>) {
    let Some(all) = list(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    out.push(b'[');
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let value = if numeric {
            bare_number(one)
        } else {
            Cow::Borrowed(one.get())
        };
        out.extend_from_slice(value.as_bytes());
    }
    if nullable && !all.iter().any(|one| one.get() == "null") {
        let comma: &[u8] = if all.is_empty() { b"" } else { b"," };
        out.extend_from_slice(comma);
        out.extend_from_slice(b"null");
    }
    out.push(b']');
}

/// A number without the quotes that JSON-mapped protocol buffers put around 64-bit ones.
fn bare_number(raw: &RawValue) -> Cow<'_, str> {
    match string(raw) {
        Some(text) if serde_json::from_str::<serde_json::Number>(&text).is_ok() => text,
        _ => Cow::Borrowed(raw.get()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(written: &str) -> String {
        let raw: &RawValue = serde_json::from_str(written).expect("JSON");
        to_standard(raw).get().to_owned()
    }

    #[test]
    fn googles_spelling_becomes_the_standard_one() {
        assert_eq!(
            standard(
                r#"{"type":"OBJECT","properties":{"b":{"type":"STRING","nullable":true,"format":"enum","enum":["x"]},
                "a":{"type":"ARRAY","min_items":"2","items":{"type":3,"minimum":1.50e+2}}},"propertyOrdering":["a","b"],
                "required":["a"],"title":null}"#
            ),
            r#"{"type":"object","properties":{"a":{"type":"array","minItems":2,"items":{"type":"integer","minimum":1.50e+2}},"b":{"type":["string","null"],"enum":["x",null]}},"required":["a"]}"#
        );
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        assert_eq!(
            standard(
                r#"{"type":"OBJECT","properties":{"type":{"type":"STRING"},"nullable":{"type":"BOOLEAN"}}}"#
            ),
            r#"{"type":"object","properties":{"type":{"type":"string"},"nullable":{"type":"boolean"}}}"#
        );
    }

    #[test]
    fn enumerations_of_numbers_and_unions_of_null_are_standard_too() {
        assert_eq!(
            standard(r#"{"type":"INTEGER","enum":["1","2"]}"#),
            r#"{"type":"integer","enum":[1,2]}"#
        );
        assert_eq!(
            standard(r#"{"nullable":true,"anyOf":[{"type":"STRING"}],"example":"x"}"#),
            r#"{"anyOf":[{"type":"string"},{"type":"null"}],"examples":["x"]}"#
        );
        assert_eq!(standard("5"), "5");
        assert_eq!(standard(r#"{"type":"TYPE_UNSPECIFIED"}"#), "{}");
    }
}
