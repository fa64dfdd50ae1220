//! The admin API described (OpenAPI 3.1), from the table that it is served by and the types that it reads and writes.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::csv;
use super::reply::ErrorBody;
use super::routes::{Answer, ROUTES, Route};

/// `groups`: those that the config defines now, which a key may belong to.
pub fn document(groups: &[&str]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorBody<'_>>();
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route, &mut generator, &error);
    }
    let mut schemas = generator.take_definitions(true);
    for name in ["NewKey", "KeyChange"] {
        if let Some(schema) = schemas.get_mut(name) {
            schema["properties"]["group"]["enum"] = json!(groups);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "torouter admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Keys, their usage and its cost. Times are in UTC; amounts are in US dollars and exact.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "admin.token of the config" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, error: &Schema) -> Value {
    let mut said = json!({ "operationId": route.id, "summary": route.summary });
    let mut parameters: Vec<Value> = Vec::new();
    if route.path.ends_with("{key}") {
        parameters.push(json!({
            "name": "key", "in": "path", "required": true, "description": "Id or name",
            "schema": { "type": "string", "minLength": 1 },
        }));
    }
    if let Some(query) = route.query {
        parameters.extend(query_parameters(&query(generator)));
    }
    if !parameters.is_empty() {
        said["parameters"] = json!(parameters);
    }
    if let Some(body) = route.body {
        let schema = body(generator);
        said["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    said["responses"] = responses(route, generator, error);
    said
}

/// The properties of a query's type, each a parameter.
fn query_parameters(schema: &Schema) -> Vec<Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let described = properties.into_iter().flatten().map(|(name, schema)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|s| s.remove("description"));
        without_null(&mut schema);
        let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    });
    described.collect()
}

/// A parameter that may be left out is no null: a query has none.
fn without_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(types) = object.get("type").and_then(Value::as_array) {
        let left = types.iter().find(|name| **name != "null").cloned();
        object.extend(left.map(|name| ("type".to_owned(), name)));
    }
    let choices = object.get("anyOf").and_then(Value::as_array).cloned();
    if let Some([one, null]) = choices.as_deref()
        && *null == json!({ "type": "null" })
    {
        let one = one.as_object().cloned().unwrap_or_default();
        object.remove("anyOf");
        object.extend(one);
    }
    if let Some(choices) = object.get_mut("enum").and_then(Value::as_array_mut) {
        choices.retain(|choice| !choice.is_null());
    }
}

fn responses(route: &Route, generator: &mut SchemaGenerator, error: &Schema) -> Value {
    let mut responses = Map::new();
    let (status, answer) = match route.answer {
        Answer::Json(status, schema) => {
            let schema = schema(generator);
            (
                status,
                json!({ "content": { "application/json": { "schema": schema } } }),
            )
        }
        Answer::JsonOrCsv(schema) => {
            let schema = schema(generator);
            let csv_type = csv::TYPE.split(';').next().unwrap_or_default();
            let mut content = json!({ "application/json": { "schema": schema } });
            content[csv_type] = json!({ "schema": { "type": "string" } });
            (200, json!({ "content": content }))
        }
        Answer::Nothing => (204, json!({})),
    };
    responses.insert(status.to_string(), answer);
    if let Some(answer) = responses.values_mut().next() {
        answer["description"] = json!("Done");
    }
    for status in route.refusals.iter().chain(&[401, 403, 503]) {
        let mut answer = json!({
            "description": meaning(*status),
            "content": { "application/json": { "schema": error } },
        });
        match status {
            401 => answer["headers"] = header("www-authenticate", "Bearer"),
            503 => answer["headers"] = header("retry-after", "Seconds"),
            _ => {}
        }
        responses.insert(status.to_string(), answer);
    }
    Value::Object(responses)
}

fn header(name: &str, description: &str) -> Value {
    let mut headers = json!({});
    headers[name] =
        json!({ "description": description, "required": true, "schema": { "type": "string" } });
    headers
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "A field or a parameter is wrong; `param` says which",
        401 => "No admin token, or a wrong one",
        403 => "No admin token is configured: there is no admin API",
        404 => "There is no such key",
        409 => "The name is taken, or the key stands in the config",
        413 => "The body is larger than 64 KiB",
        415 => "The body is not said to be JSON",
        _ => "The store does not answer now",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::query::Query;

    #[test]
    fn each_reference_of_the_document_leads_somewhere() {
        let document = document(&["default"]);
        let text = document.to_string();
        let mut count = 0;
        for part in text.split("\"$ref\":\"#/").skip(1) {
            let path = part.split('"').next().unwrap_or_default();
            assert!(document.pointer(&format!("/{path}")).is_some(), "{path}");
            count += 1;
        }
        assert!(count > 10, "{text}");
        assert_eq!(
            document.pointer("/components/schemas/NewKey/required"),
            Some(&json!(["name", "group"]))
        );
        assert!(!text.contains("9007199254740992"));
    }

    #[test]
    fn no_parameter_is_said_to_be_null() {
        let document = document(&["default"]);
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths
            .values()
            .flat_map(|path| path.as_object().expect("methods").values());
        for operation in operations {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    !parameter["schema"].to_string().contains("null"),
                    "{parameter}"
                );
            }
        }
    }

    #[test]
    fn each_parameter_of_the_document_is_known_to_its_reader() {
        let document = document(&["default"]);
        let names = |path: &str| -> Vec<String> {
            let parameters = document["paths"][path]["get"]["parameters"].as_array();
            let names = parameters.expect("parameters").iter();
            names
                .map(|p| p["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        let mut usage = crate::admin::usage::Asked::known(&["by", "limit"]);
        let mut said = names("/admin/v1/usage");
        said.sort();
        usage.sort_unstable();
        assert_eq!(said, usage);
        for name in names("/admin/v1/keys") {
            let value = match name.as_str() {
                "enabled" => "true",
                "limit" => "1",
                _ => "x",
            };
            let query = Query::parse(&format!("{name}={value}")).expect("a query");
            assert!(crate::admin::keys::KeysQuery::read(query).is_ok(), "{name}");
        }
    }
}
