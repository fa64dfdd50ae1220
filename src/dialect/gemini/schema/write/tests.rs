use serde_json::Value;

use super::*;

fn written(schema: &str) -> String {
    let raw: &RawValue = serde_json::from_str(schema).expect("JSON");
    match to_gemini(raw, false) {
        Written::Schema(bytes) => String::from_utf8(bytes).expect("UTF-8"),
        other => format!("{other:?}"),
    }
}

fn arguments(schema: &str) -> Written {
    to_gemini(serde_json::from_str(schema).expect("JSON"), true)
}

#[test]
fn the_subset_keeps_order_and_the_spelling_of_numbers() {
    assert_eq!(
        written(
            r#"{"$schema":"x","type":"object","additionalProperties":false,"properties":{
            "z":{"type":"number","minimum":1.50e+2,"exclusiveMaximum":12345678901234567890123,"default":5},
            "a":{"type":"string","format":"email","pattern":"^a$","examples":["b"],"minLength":1}},
            "required":["z","gone"]}"#
        ),
        r#"{"type":"OBJECT","properties":{"z":{"type":"NUMBER","minimum":1.50e+2,"maximum":12345678901234567890123},"a":{"type":"STRING","minLength":1,"pattern":"^a$"}},"required":["z"]}"#
    );
}

#[test]
fn null_in_a_union_becomes_nullable() {
    let expected = r#"{"type":"STRING","description":"d","nullable":true}"#;
    for schema in [
        r#"{"type":["string","null"],"description":"d"}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"null"}],"description":"d"}"#,
        r#"{"oneOf":[{"type":"null"},{"type":"string","description":"d"}]}"#,
        r#"{"type":"string","nullable":true,"description":"d"}"#,
    ] {
        assert_eq!(written(schema), expected, "{schema}");
    }
}

#[test]
fn a_union_stands_alone_and_its_branches_hold_what_stood_around_it() {
    assert_eq!(
        written(
            r#"{"description":"d","title":"t","oneOf":[{"type":"string"},{"type":"integer","description":"i"},{"type":"null"}]}"#
        ),
        r#"{"anyOf":[{"type":"STRING","description":"d","nullable":true},{"type":"INTEGER","description":"i","nullable":true}]}"#
    );
    assert_eq!(
        written(r#"{"type":["number","string"],"minimum":1,"maxLength":5}"#),
        r#"{"anyOf":[{"type":"NUMBER","minimum":1},{"type":"STRING","maxLength":5}]}"#
    );
    assert_eq!(
        written(
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#
        ),
        r#"{"anyOf":[{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a"]},{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["b"]}]}"#
    );
}

#[test]
fn references_are_put_in_place_and_all_of_is_merged() {
    assert_eq!(
        written(
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x","description":"here"},"b":{"allOf":[{"$ref":"#/$defs/x"},{"maxLength":3}]}},
            "$defs":{"x":{"type":"string","description":"there"}}}"##
        ),
        r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","description":"here"},"b":{"type":"STRING","description":"there","maxLength":3}}}"#
    );
}

#[test]
fn what_contains_itself_or_points_nowhere_stays_json_schema() {
    for schema in [
        r##"{"type":"object","properties":{"n":{"$ref":"#"}}}"##,
        r##"{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}}}}}"##,
        r##"{"type":"object","properties":{"n":{"$ref":"#/$defs/gone"}}}"##,
        r#"{"type":"object","properties":{"n":{"$ref":"https://example.com/x"}}}"#,
    ] {
        assert_eq!(written(schema), "Raw", "{schema}");
    }
    // References that double at each step end at a limit.
    let mut bomb = String::from(r##"{"$ref":"#/$defs/d0","$defs":{"##);
    for at in 0..40 {
        let next = at + 1;
        bomb.push_str(&format!(
            r##""d{at}":{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d{next}"}},"b":{{"$ref":"#/$defs/d{next}"}}}}}},"##
        ));
    }
    bomb.push_str(r#""d40":{"type":"string"}}}"#);
    assert_eq!(written(&bomb), "Raw");
}

#[test]
fn enumerations_of_numbers_are_told_in_words() {
    assert_eq!(
        written(r#"{"const":"a"}"#),
        r#"{"type":"STRING","enum":["a"]}"#
    );
    assert_eq!(
        written(r#"{"enum":["a",null,"b"],"type":["string","null"]}"#),
        r#"{"type":"STRING","nullable":true,"enum":["a","b"]}"#
    );
    assert_eq!(
        written(r#"{"type":"integer","enum":[1,2],"description":"d"}"#),
        r#"{"type":"INTEGER","description":"d\nOne of: 1, 2."}"#
    );
    assert_eq!(
        written(r#"{"const":true}"#),
        r#"{"type":"BOOLEAN","description":"Always true."}"#
    );
    assert_eq!(
        written(r#"{"enum":["auto",1]}"#),
        r#"{"anyOf":[{"type":"STRING","enum":["auto"]},{"type":"INTEGER","description":"Always 1."}]}"#
    );
    assert_eq!(
        written(r#"{"enum":["","a"]}"#),
        r#"{"type":"STRING","description":"One of: \"\", \"a\"."}"#
    );
}

#[test]
fn each_place_has_a_type_and_each_array_says_of_what() {
    assert_eq!(
        written(r#"{"properties":{"any":{},"list":{"type":"array"},"yes":true}}"#),
        r#"{"type":"OBJECT","properties":{"any":{"type":"STRING"},"list":{"type":"ARRAY","items":{"type":"STRING"}},"yes":{"type":"STRING"}}}"#
    );
    assert_eq!(
        written(r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}"#),
        r#"{"type":"ARRAY","items":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]}}"#
    );
}

#[test]
fn arguments_are_an_object_or_left_out() {
    assert_eq!(
        arguments(r#"{"type":"object","properties":{}}"#),
        Written::Nothing
    );
    assert_eq!(arguments("{}"), Written::Nothing);
    assert_eq!(
        arguments(r#"{"type":"object","additionalProperties":true}"#),
        Written::Raw
    );
    assert_eq!(
        arguments(r#"{"anyOf":[{"type":"object"},{"type":"string"}]}"#),
        Written::Raw
    );
    assert_eq!(
        arguments(r#"{"properties":{"a":{"type":"STRING"}}}"#),
        Written::Schema(br#"{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}"#.to_vec())
    );
}

const FIELDS: [&str; 22] = [
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

fn check(schema: &Value) {
    let members = schema.as_object().expect("a schema is an object");
    for name in members.keys() {
        assert!(FIELDS.contains(&name.as_str()), "{name} in {schema}");
    }
    if let Some(union) = members.get("anyOf") {
        assert_eq!(members.len(), 1, "{schema}");
        union.as_array().expect("a list").iter().for_each(check);
        return;
    }
    let kind = members["type"].as_str().expect("a type");
    assert!(
        [
            "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"
        ]
        .contains(&kind),
        "{kind}"
    );
    assert_eq!(kind == "ARRAY", members.contains_key("items"), "{schema}");
    if let Some(items) = members.get("items") {
        check(items);
    }
    let properties = members.get("properties").and_then(Value::as_object);
    for property in properties.into_iter().flat_map(serde_json::Map::values) {
        check(property);
    }
    for name in members
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = name.as_str().expect("a name");
        assert!(
            properties.is_some_and(|all| all.contains_key(name)),
            "{schema}"
        );
    }
    for value in members
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        assert!(
            value.as_str().is_some_and(|text| !text.is_empty()),
            "{schema}"
        );
    }
}

/// A made-up schema, of every keyword there is.
fn made(random: &mut crate::base::Ids, depth: u32) -> Value {
    fn chosen(random: &mut crate::base::Ids, most: usize) -> usize {
        let id = random.next("");
        id.bytes().fold(7_usize, |sum, b| {
            sum.wrapping_mul(31).wrapping_add(usize::from(b))
        }) % most
    }
    macro_rules! pick {
        ($most:expr) => {
            chosen(random, $most)
        };
    }
    let mut schema = serde_json::Map::new();
    let types = [
        "string", "number", "integer", "boolean", "array", "object", "null",
    ];
    match pick!(4) {
        0 => {}
        1 => {
            let two = [types[pick!(7)], types[pick!(7)]];
            schema.insert("type".into(), serde_json::json!(two));
        }
        _ => {
            schema.insert("type".into(), types[pick!(7)].into());
        }
    }
    let plain = [
        ("format", serde_json::json!("uuid")),
        ("title", "t".into()),
        ("default", 5.into()),
        ("const", 7.into()),
        ("enum", serde_json::json!(["a", 1, null, ""])),
        ("minimum", 1.into()),
        ("exclusiveMinimum", 2.into()),
        ("multipleOf", 2.into()),
        ("minItems", 1.into()),
        ("uniqueItems", true.into()),
        ("pattern", "x".into()),
        ("required", serde_json::json!(["p0", "p9"])),
        ("additionalProperties", true.into()),
        ("$comment", "c".into()),
        ("contentEncoding", "base64".into()),
        ("nullable", true.into()),
        ("$ref", "#/$defs/d".into()),
        ("readOnly", true.into()),
    ];
    for _ in 0..pick!(4) {
        let (name, value) = plain[pick!(plain.len())].clone();
        schema.insert(name.into(), value);
    }
    if depth > 0 {
        let nested = [
            "anyOf",
            "oneOf",
            "allOf",
            "items",
            "prefixItems",
            "properties",
            "not",
            "if",
        ][pick!(8)];
        let parts: Vec<Value> = (0..pick!(3)).map(|_| made(random, depth - 1)).collect();
        let value = match nested {
            "items" | "not" | "if" => made(random, depth - 1),
            "properties" => parts
                .into_iter()
                .enumerate()
                .map(|(at, part)| (format!("p{at}"), part))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            _ => parts.into(),
        };
        schema.insert(nested.into(), value);
    }
    Value::Object(schema)
}

#[test]
fn what_is_written_holds_only_what_gemini_knows() {
    let mut random = crate::base::Ids::new(5);
    let mut checked = 0;
    for _ in 0..3000 {
        let mut schema = made(&mut random, 4);
        schema["$defs"] =
            serde_json::json!({"d": {"type": "object", "properties": {"x": {"const": 1}}}});
        let text = schema.to_string();
        if let Written::Schema(bytes) = to_gemini(serde_json::from_str(&text).expect("JSON"), false)
        {
            check(&serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{e}: {text}")));
            checked += 1;
        }
    }
    assert!(checked > 2000, "{checked}");
}
