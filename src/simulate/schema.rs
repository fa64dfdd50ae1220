//! JSON schemas: a value that satisfies one, and what each provider refuses in one.

use serde_json::{Map, Value};

use super::exchange::Problem;

/// How deep a made-up value may nest: recursive schemas end here.
const DEPTH: usize = 12;

const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "array", "object", "null",
];

/// What Gemini's `Schema` message knows; protobuf has no unknown fields.
/// <https://ai.google.dev/api/caching#Schema>
const GEMINI_FIELDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

/// Makes a value that satisfies the schema; its strings are words of the user's text.
pub(super) fn instance(schema: &Value, words: &[&str]) -> Value {
    make(schema, schema, words, "", 0)
}

fn make(schema: &Value, root: &Value, words: &[&str], name: &str, depth: usize) -> Value {
    if depth > DEPTH {
        return Value::Null;
    }
    if let Some(found) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|at| root.pointer(at.trim_start_matches('#')))
    {
        return make(found, root, words, name, depth + 1);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema
        .get("enum")
        .and_then(Value::as_array)
        .and_then(|values| values.first())
    {
        return value.clone();
    }
    for key in ["anyOf", "oneOf", "any_of"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            let wanted = options
                .iter()
                .find(|option| kind(option) != "null")
                .or(options.first());
            if let Some(option) = wanted {
                return make(option, root, words, name, depth + 1);
            }
        }
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        return make_all(parts, root, words, name, depth);
    }
    match kind(schema).as_str() {
        "object" => make_object(schema, root, words, depth),
        "array" => make_array(schema, root, words, name, depth),
        "integer" => Value::from(number(schema, 1.0).ceil() as i64),
        "number" => Value::from(number(schema, 1.5)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => Value::String(string(schema, words, name)),
    }
}

/// The schema's type in lower case (Gemini writes it in capitals); of several, the first that is not null.
fn kind(schema: &Value) -> String {
    let written = match schema.get("type") {
        Some(Value::String(one)) => one.to_lowercase(),
        Some(Value::Array(many)) => many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_lowercase)
            .find(|one| one != "null")
            .unwrap_or_else(|| "null".to_owned()),
        _ => String::new(),
    };
    if !written.is_empty() {
        written
    } else if schema.get("properties").is_some() {
        "object".to_owned()
    } else if schema.get("items").is_some() {
        "array".to_owned()
    } else {
        String::new()
    }
}

fn make_all(parts: &[Value], root: &Value, words: &[&str], name: &str, depth: usize) -> Value {
    let mut merged = Map::new();
    let mut other = Value::Null;
    for part in parts {
        match make(part, root, words, name, depth + 1) {
            Value::Object(members) => merged.extend(members),
            value => other = value,
        }
    }
    if merged.is_empty() {
        other
    } else {
        Value::Object(merged)
    }
}

fn make_object(schema: &Value, root: &Value, words: &[&str], depth: usize) -> Value {
    let mut out = Map::new();
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let property = schema
            .get("properties")
            .and_then(|all| all.get(name))
            .unwrap_or(&Value::Null);
        out.insert(
            name.to_owned(),
            make(property, root, words, name, depth + 1),
        );
    }
    Value::Object(out)
}

fn make_array(schema: &Value, root: &Value, words: &[&str], name: &str, depth: usize) -> Value {
    if let Some(fixed) = schema.get("prefixItems").and_then(Value::as_array) {
        return Value::Array(
            fixed
                .iter()
                .map(|item| make(item, root, words, name, depth + 1))
                .collect(),
        );
    }
    let least = bound(schema, "minItems").unwrap_or(1.0).max(0.0) as usize;
    let count = match bound(schema, "maxItems") {
        Some(most) => least.max(1).min(most.max(0.0) as usize),
        None => least.max(1),
    };
    // At the bottom of a recursive schema the empty list ends it.
    if depth + 2 > DEPTH && least == 0 {
        return Value::Array(Vec::new());
    }
    let item = schema.get("items").unwrap_or(&Value::Null);
    Value::Array(
        (0..count.min(64))
            .map(|_| make(item, root, words, name, depth + 1))
            .collect(),
    )
}

/// A bound of a schema; Gemini's JSON has int64 as strings.
fn bound(schema: &Value, key: &str) -> Option<f64> {
    match schema.get(key) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_f64(),
        None => None,
    }
}

fn number(schema: &Value, wish: f64) -> f64 {
    let mut value = wish;
    if let Some(least) = bound(schema, "minimum") {
        value = value.max(least);
    }
    if let Some(least) = bound(schema, "exclusiveMinimum") {
        value = value.max(least + 1.0);
    }
    if let Some(most) = bound(schema, "maximum") {
        value = value.min(most);
    }
    if let Some(most) = bound(schema, "exclusiveMaximum") {
        value = value.min(most - 1.0);
    }
    match bound(schema, "multipleOf") {
        Some(step) if step > 0.0 => (value / step).ceil() * step,
        _ => value,
    }
}

fn string(schema: &Value, words: &[&str], name: &str) -> String {
    let fixed = match schema
        .get("format")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "date" => "2026-01-02",
        "date-time" => "2026-01-02T03:04:05Z",
        "time" => "03:04:05Z",
        "duration" => "P1D",
        "email" => "someone@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_owned();
    }
    // Different properties get different words, the same ones every time.
    let seed: usize = name.bytes().map(usize::from).sum();
    let word = if words.is_empty() {
        "text"
    } else {
        words[seed % words.len()]
    };
    let mut text = word.to_owned();
    let least = bound(schema, "minLength")
        .unwrap_or(0.0)
        .clamp(0.0, 10_000.0) as usize;
    while text.chars().count() < least {
        text.push('x');
    }
    match bound(schema, "maxLength") {
        Some(most) => text.chars().take(most.max(0.0) as usize).collect(),
        None => text,
    }
}

/// The first schema in `schema` that `bad` complains about, with its path in dots.
fn walk(
    schema: &Value,
    path: &str,
    bad: &dyn Fn(&Value, &str) -> Option<String>,
) -> Option<String> {
    if let Some(complaint) = bad(schema, path) {
        return Some(complaint);
    }
    for key in ["properties", "$defs", "definitions"] {
        if let Some(named) = schema.get(key).and_then(Value::as_object) {
            for (name, part) in named {
                let complaint = walk(part, &format!("{path}.{key}.{name}"), bad);
                if complaint.is_some() {
                    return complaint;
                }
            }
        }
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(part) = schema.get(key).filter(|part| part.is_object()) {
            let complaint = walk(part, &format!("{path}.{key}"), bad);
            if complaint.is_some() {
                return complaint;
            }
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems", "any_of"] {
        for (at, part) in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let complaint = walk(part, &format!("{path}.{key}[{at}]"), bad);
            if complaint.is_some() {
                return complaint;
            }
        }
    }
    None
}

/// A `type` that JSON Schema does not know (in capitals, for example).
fn wrong_type(schema: &Value) -> Option<String> {
    let known = |one: &Value| one.as_str().is_some_and(|one| TYPES.contains(&one));
    let written = schema.get("type")?;
    let right = match written {
        Value::Array(many) => many.iter().all(known),
        one => known(one),
    };
    if right {
        None
    } else {
        Some(written.to_string())
    }
}

/// OpenAI's rules for the parameters of a function and for a schema of an answer; `strict` adds those of structured outputs.
/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>
pub(super) fn check_openai(
    schema: &Value,
    what: &str,
    strict: bool,
    code: &'static str,
) -> Result<(), Problem> {
    let root = kind(schema);
    if root != "object" && schema.get("anyOf").is_none() && schema.get("$ref").is_none() {
        let got = if root.is_empty() {
            "None".to_owned()
        } else {
            root
        };
        return Err(Problem::bad(format!(
            "Invalid schema for {what}: schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{got}\"'."
        ))
        .code(code));
    }
    let complaint = walk(schema, "", &|part, path| {
        if let Some(written) = wrong_type(part) {
            return Some(format!(
                "In context=({path}), {written} is not valid under any of the given schemas."
            ));
        }
        if strict && part.get("type").and_then(Value::as_str) == Some("object") {
            if part.get("additionalProperties") != Some(&Value::Bool(false)) {
                return Some(format!(
                    "In context=({path}), 'additionalProperties' is required to be supplied and to be false."
                ));
            }
            let required = part.get("required").and_then(Value::as_array);
            let named = part.get("properties").and_then(Value::as_object);
            for name in named.into_iter().flat_map(|all| all.keys()) {
                if !required
                    .is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name.as_str())))
                {
                    return Some(format!(
                        "In context=({path}), 'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'."
                    ));
                }
            }
        }
        None
    });
    match complaint {
        Some(complaint) => {
            Err(Problem::bad(format!("Invalid schema for {what}: {complaint}")).code(code))
        }
        None => Ok(()),
    }
}

/// Anthropic's rules for `input_schema`.
pub(super) fn check_anthropic(schema: Option<&Value>, at: &str) -> Result<(), Problem> {
    let Some(schema) = schema else {
        return Err(Problem::bad(format!("{at}: Field required")));
    };
    if !schema.is_object() {
        return Err(Problem::bad(format!(
            "{at}: Input should be a valid dictionary"
        )));
    }
    if schema.get("type").is_none() {
        return Err(Problem::bad(format!("{at}.type: Field required")));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(Problem::bad(format!("{at}.type: Input should be 'object'")));
    }
    match walk(schema, "", &|part, _| wrong_type(part)) {
        Some(_) => Err(Problem::bad(format!(
            "{at}: JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12)."
        ))),
        None => Ok(()),
    }
}

/// Gemini's rules for `parameters` and `responseSchema`: a protobuf message, not JSON Schema.
pub(super) fn check_gemini(schema: &Value, at: &str) -> Result<(), Problem> {
    let complaint = walk(schema, at, &|part, path| {
        let Some(members) = part.as_object() else {
            return Some(format!(
                "Invalid value at '{path}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)"
            ));
        };
        for name in members.keys() {
            if !GEMINI_FIELDS.contains(&camel(name).as_str()) {
                return Some(format!(
                    "Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."
                ));
            }
        }
        match members.get("type") {
            None => None,
            Some(Value::String(one))
                if TYPES.contains(&one.to_lowercase().as_str()) || one == "TYPE_UNSPECIFIED" =>
            {
                None
            }
            Some(Value::Array(_)) => Some(format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{path}': Proto field is not repeating, cannot start list."
            )),
            Some(other) => Some(format!(
                "Invalid value at '{path}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), {other}"
            )),
        }
    });
    match complaint {
        Some(complaint) => Err(Problem::bad(complaint)),
        None => Ok(()),
    }
}

/// `max_items` as `maxItems`: protobuf's JSON takes both.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for letter in name.chars() {
        if letter == '_' {
            up = true;
        } else if up {
            out.extend(letter.to_uppercase());
            up = false;
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_instance_has_what_is_required() {
        let schema = json!({
            "type": "object",
            "required": ["city", "unit", "days", "tags", "inner"],
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "integer", "minimum": 3},
                "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "2"},
                "inner": {"$ref": "#/$defs/inner"},
                "unasked": {"type": "string"}
            },
            "$defs": {"inner": {"type": "object", "required": ["ok"], "properties": {"ok": {"type": ["null", "boolean"]}}}}
        });
        let made = instance(&schema, &["Paris"]);
        assert_eq!(
            made,
            json!({"city": "Paris", "unit": "c", "days": 3, "tags": ["Paris", "Paris"], "inner": {"ok": true}})
        );
    }

    #[test]
    fn each_provider_refuses_the_other_ones_schemas() {
        let capital = json!({"type": "OBJECT", "properties": {}});
        assert!(
            check_openai(
                &capital,
                "function 'f'",
                false,
                "invalid_function_parameters"
            )
            .is_err()
        );
        assert!(check_anthropic(Some(&capital), "tools.0").is_err());
        assert!(check_gemini(&capital, "p").is_ok());
        assert!(
            check_gemini(
                &json!({"type": "object", "additionalProperties": false}),
                "p"
            )
            .is_err()
        );
        assert!(check_gemini(&json!({"type": "object", "properties": {"additionalProperties": {"type": "string"}}}), "p").is_ok());
    }
}
