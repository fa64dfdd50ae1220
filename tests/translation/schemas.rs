//! The providers' own descriptions of their requests, where they lie beside the project.

use std::collections::HashMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use torouter::dialect::Dialect;

use crate::corpus;

/// OpenAPI's own words, as JSON Schema has them.
fn plain(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // Of OpenAPI 3.0: https://spec.openapis.org/oas/v3.0.3#fixed-fields-20
            let nullable = object.remove("nullable") == Some(Value::Bool(true));
            object.retain(|name, _| {
                !matches!(
                    name.as_str(),
                    "discriminator" | "example" | "examples" | "xml"
                )
            });
            object.values_mut().for_each(plain);
            if nullable && object.len() > 1 {
                let own = std::mem::take(object);
                object.insert("anyOf".to_owned(), json!([own, {"type": "null"}]));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        _ => {}
    }
}

fn validator(dialect: Dialect, file: &str, name: &str) -> Option<Validator> {
    let path = corpus::beside("specs")?.join(file);
    let text = std::fs::read_to_string(path).ok()?;
    let mut document: Value = if text.starts_with('{') {
        serde_json::from_str(&text).expect("JSON")
    } else {
        // A bound that was rounded to beyond 64 bits.
        let text = text.replace("-9223372036854776000", "-9223372036854775808");
        serde_yaml_ng::from_str(&text).expect("YAML")
    };
    let mut schemas = document["components"]["schemas"].take();
    plain(&mut schemas);
    newer(dialect, &mut schemas);
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": {"schemas": schemas},
    });
    let made = jsonschema::draft202012::options().build(&schema);
    Some(made.unwrap_or_else(|error| panic!("{file}: {error}")))
}

/// What the providers document and their descriptions do not have yet.
fn newer(dialect: Dialect, schemas: &mut Value) {
    match dialect {
        Dialect::Gemini => {
            // https://ai.google.dev/gemini-api/docs/thinking#levels
            let levels = &mut schemas["ThinkingConfig"]["properties"]["thinkingLevel"];
            *levels = json!({"type": "string"});
            // The service takes functions that are not described.
            schemas["FunctionDeclaration"]["required"] = json!(["name"]);
            long(schemas);
        }
        Dialect::OpenAiResponses => {
            // Forms of one item overlap: each is accepted by more than one description.
            any_of(schemas);
            // A message of the model's that was not kept there has neither id nor status; its own agent sends it so.
            schemas["OutputMessage"]["required"] = json!(["type", "role", "content"]);
            schemas["OutputTextContent"]["required"] = json!(["type", "text"]);
            // It has a default: https://platform.openai.com/docs/guides/images-vision#specify-image-input-detail-level
            schemas["InputImageContent"]["required"] = json!(["type"]);
            // https://platform.openai.com/docs/guides/tools-web-search
            let kinds = &mut schemas["ToolChoiceTypes"]["properties"]["type"]["enum"];
            if let Some(kinds) = kinds.as_array_mut() {
                kinds.push(json!("web_search"));
            }
        }
        Dialect::OpenAiChat | Dialect::Anthropic => {}
    }
}

fn any_of(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(forms) = object.remove("oneOf") {
                object.insert("anyOf".to_owned(), forms);
            }
            object.values_mut().for_each(any_of);
        }
        Value::Array(all) => all.iter_mut().for_each(any_of),
        _ => {}
    }
}

/// 64-bit numbers are texts in what Google's services write, and may be numbers in what they read
/// (<https://protobuf.dev/programming-guides/json/>).
fn long(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("format") == Some(&json!("int64")) {
                object.insert("type".to_owned(), json!(["string", "integer"]));
            }
            object.values_mut().for_each(long);
        }
        Value::Array(all) => all.iter_mut().for_each(long),
        _ => {}
    }
}

fn validators() -> &'static HashMap<Dialect, Validator> {
    static ALL: OnceLock<HashMap<Dialect, Validator>> = OnceLock::new();
    ALL.get_or_init(|| {
        let files = [
            (
                Dialect::OpenAiChat,
                "openai.openapi.yaml",
                "CreateChatCompletionRequest",
            ),
            (
                Dialect::OpenAiResponses,
                "openai.openapi.yaml",
                "CreateResponse",
            ),
            (
                Dialect::Anthropic,
                "anthropic.openapi.json",
                "CreateMessageParams",
            ),
            (
                Dialect::Gemini,
                "gemini.openapi.json",
                "GenerateContentRequest",
            ),
        ];
        files
            .into_iter()
            .filter_map(|(dialect, file, name)| Some((dialect, validator(dialect, file, name)?)))
            .collect()
    })
}

/// The mistakes in a request by the provider's description; none where the description is not here.
pub fn check(dialect: Dialect, body: &[u8]) -> Result<(), String> {
    let Some(validator) = validators().get(&dialect) else {
        return Ok(());
    };
    let mut body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if dialect == Dialect::Gemini {
        // It stands in the path.
        body["model"] = json!("models/m");
    }
    let mistakes: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| {
            let what: String = error.to_string().chars().take(300).collect();
            format!("{}: {what}", error.instance_path)
        })
        .collect();
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes.join("; "))
    }
}

#[test]
fn the_descriptions_accept_a_plain_request_and_refuse_a_wrong_one() {
    if corpus::beside("specs").is_none() {
        return;
    }
    for (dialect, good, bad) in [
        (
            Dialect::OpenAiChat,
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#,
            r#"{"model":"m","messages":[{"role":"user"}]}"#,
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"model":"m","input":[{"role":"user","content":"Hi"}],"store":false}"#,
            r#"{"model":"m","input":[{"role":"user","content":5}]}"#,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#,
        ),
        (
            Dialect::Gemini,
            r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
            r#"{"contents":[{"role":"user","parts":[{"text":5}]}]}"#,
        ),
    ] {
        assert_eq!(check(dialect, good.as_bytes()), Ok(()), "{dialect:?}");
        assert!(check(dialect, bad.as_bytes()).is_err(), "{dialect:?}");
    }
}
