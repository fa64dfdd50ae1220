//! JSON schemas as Anthropic takes them. Key order and the spelling of numbers stay as they were.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{key, next, raw_field, text_field};
use crate::wire::read::Str;

/// Deeper down a schema is left as it is.
const MOST_DEPTH: usize = 64;

/// An object's fields in their order.
struct Fields<'a>(Vec<(Str<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(field) = map.next_entry()? {
                    all.push(field);
                }
                Ok(Fields(all))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'a> Fields<'a> {
    fn read(schema: &'a RawValue) -> Option<Self> {
        serde_json::from_str(schema.get()).ok()
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value.get())
    }

    fn is_object(&self) -> bool {
        self.get("type")
            .map_or(self.get("properties").is_some(), |kind| {
                kind.contains("\"object\"")
            })
    }
}

/// Is the top of this schema an object?
pub(super) fn is_object(schema: &RawValue) -> bool {
    Fields::read(schema).is_some_and(|fields| fields.is_object() || fields.get("type").is_none())
}

/// The schema of a tool's input, whose top must be of the type `object`.
pub(super) fn of_tool(out: &mut Vec<u8>, schema: Option<&RawValue>) {
    let Some((schema, fields)) = schema.and_then(|s| Some((s, Fields::read(s)?))) else {
        out.extend_from_slice(br#"{"type":"object","properties":{}}"#);
        return;
    };
    if fields.get("type") == Some("\"object\"") {
        out.extend_from_slice(schema.get().as_bytes());
        return;
    }
    out.extend_from_slice(br#"{"type":"object""#);
    for (name, value) in fields.0.iter().filter(|(name, _)| &**name != "type") {
        raw_field(out, name, value.get());
    }
    out.push(b'}');
}

/// Can the schema be closed without forbidding what it allows on purpose: properties of any name?
pub(super) fn can_close(schema: &RawValue) -> bool {
    can_close_down(schema, 0)
}

fn can_close_down(schema: &RawValue, depth: usize) -> bool {
    let Some(fields) = Fields::read(schema) else {
        return true;
    };
    if depth > MOST_DEPTH {
        return false;
    }
    if fields
        .get("additionalProperties")
        .is_some_and(|more| !matches!(more, "false" | "null"))
    {
        return false;
    }
    fields.0.iter().all(|(name, value)| match &**name {
        "properties" | "$defs" | "definitions" => Fields::read(value)
            .is_none_or(|all| all.0.iter().all(|(_, one)| can_close_down(one, depth + 1))),
        "items" => can_close_down(value, depth + 1),
        "anyOf" | "oneOf" | "allOf" => list(value).iter().all(|one| can_close_down(one, depth + 1)),
        _ => true,
    })
}

fn list(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Rules that structured output does not know
/// (<https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations>).
fn is_refused(name: &str, value: &str) -> bool {
    match name {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
        | "minLength" | "maxLength" | "maxItems" | "uniqueItems" | "minProperties"
        | "maxProperties" => true,
        "minItems" => !matches!(value, "0" | "1"),
        "format" => !matches!(
            value.trim_matches('"'),
            "date-time"
                | "time"
                | "date"
                | "duration"
                | "email"
                | "hostname"
                | "uri"
                | "ipv4"
                | "ipv6"
                | "uuid"
        ),
        _ => false,
    }
}

/// The schema with each object closed, as structured output demands. Rules that it does not know go into the
/// descriptions, where the model reads them (Anthropic's SDKs do the same).
pub(super) fn closed(out: &mut Vec<u8>, schema: &RawValue) {
    close(out, schema, 0);
}

fn close(out: &mut Vec<u8>, schema: &RawValue, depth: usize) {
    let fields = Fields::read(schema).filter(|_| depth <= MOST_DEPTH);
    let Some(fields) = fields else {
        out.extend_from_slice(schema.get().as_bytes());
        return;
    };
    let is_object = fields.is_object();
    let mut rules = String::new();
    for (name, value) in &fields.0 {
        if is_refused(name, value.get()) {
            rules.push_str(if rules.is_empty() { "{" } else { ", " });
            rules.push_str(name);
            rules.push_str(": ");
            rules.push_str(value.get());
        }
    }
    if !rules.is_empty() {
        rules.push('}');
    }
    out.push(b'{');
    for (name, value) in &fields.0 {
        match &**name {
            name if is_refused(name, value.get()) => {}
            "additionalProperties" if is_object => {}
            "description" if !rules.is_empty() => {}
            "properties" | "$defs" | "definitions" => {
                key(out, name);
                close_each(out, value, depth);
            }
            "items" => {
                key(out, name);
                close(out, value, depth + 1);
            }
            "anyOf" | "allOf" => {
                key(out, name);
                close_list(out, value, depth);
            }
            "oneOf" => {
                key(
                    out,
                    if fields.get("anyOf").is_none() {
                        "anyOf"
                    } else {
                        name
                    },
                );
                close_list(out, value, depth);
            }
            name => raw_field(out, name, value.get()),
        }
    }
    if !rules.is_empty() {
        let described: Option<String> = fields
            .get("description")
            .and_then(|text| serde_json::from_str(text).ok());
        let text = described.map_or(rules.clone(), |text| format!("{text}\n\n{rules}"));
        text_field(out, "description", &text);
    }
    if is_object {
        raw_field(out, "additionalProperties", "false");
    }
    out.push(b'}');
}

fn close_each(out: &mut Vec<u8>, map: &RawValue, depth: usize) {
    let Some(fields) = Fields::read(map) else {
        out.extend_from_slice(map.get().as_bytes());
        return;
    };
    out.push(b'{');
    for (name, schema) in &fields.0 {
        key(out, name);
        close(out, schema, depth + 1);
    }
    out.push(b'}');
}

fn close_list(out: &mut Vec<u8>, raw: &RawValue, depth: usize) {
    out.push(b'[');
    for schema in list(raw) {
        next(out);
        close(out, schema, depth + 1);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("valid")
    }

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_tool_without_a_type_or_a_schema_gets_an_object() {
        for (schema, expected) in [
            (None, r#"{"type":"object","properties":{}}"#),
            (Some("{}"), r#"{"type":"object"}"#),
            (Some("true"), r#"{"type":"object","properties":{}}"#),
            (
                Some(r#"{"properties":{"b":{"maximum":1.50e+2},"a":{}}}"#),
                r#"{"type":"object","properties":{"b":{"maximum":1.50e+2},"a":{}}}"#,
            ),
            (
                Some(r#"{"$schema":"x", "type":"object"}"#),
                r#"{"$schema":"x", "type":"object"}"#,
            ),
            (
                Some(r#"{"type":["object","null"],"required":[]}"#),
                r#"{"type":"object","required":[]}"#,
            ),
        ] {
            assert_eq!(written(|out| of_tool(out, schema.map(raw))), expected);
        }
    }

    #[test]
    fn structured_output_closes_each_object_and_keeps_the_order() {
        let schema = raw(
            r##"{"type":"object","properties":{"z":{"type":"integer","minimum":1.0,"description":"d\n"},
            "a":{"type":"array","items":{"type":"object","properties":{}},"minItems":1},
            "m":{"oneOf":[{"$ref":"#/$defs/x"},{"type":"null"}]}},"additionalProperties":false,
            "$defs":{"x":{"properties":{"q":{"type":"string","format":"uuid"}}}}}"##,
        );
        assert!(can_close(schema));
        assert_eq!(
            written(|out| closed(out, schema)),
            r##"{"type":"object","properties":{"z":{"type":"integer","description":"d\n\n\n{minimum: 1.0}"},"a":{"type":"array","items":{"type":"object","properties":{},"additionalProperties":false},"minItems":1},"m":{"anyOf":[{"$ref":"#/$defs/x"},{"type":"null"}]}},"$defs":{"x":{"properties":{"q":{"type":"string","format":"uuid"}},"additionalProperties":false}},"additionalProperties":false}"##
        );
        assert!(!can_close(raw(
            r#"{"type":"object","properties":{"m":{"type":"object","additionalProperties":{"type":"string"}}}}"#
        )));
    }
}
