//! The table of the admin API: what it answers to, and of what its document is made.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::audit::{AuditParameters, Changes};
use super::form::{KeyChange, NewKey};
use super::keys::{KeyAnswer, KeyList, KeysQuery, NewKeyAnswer};
use super::requests::{RequestList, RequestParameters};
use super::usage::{UsageAnswer, UsageParameters};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    ListKeys,
    CreateKey,
    ShowKey,
    ChangeKey,
    DeleteKey,
    Audit,
    Usage,
    Requests,
    Sync,
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub struct Route {
    pub operation: Operation,
    pub method: &'static str,
    /// `{key}` stands for one segment.
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub query: Option<SchemaOf>,
    pub body: Option<SchemaOf>,
    pub answer: Answer,
    /// What it may also answer, beside 401, 403 and 503.
    pub refusals: &'static [u16],
}

/// What is answered when all is well.
pub enum Answer {
    Json(u16, SchemaOf),
    /// JSON, or CSV if that is asked for.
    JsonOrCsv(SchemaOf),
    Nothing,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Parameters stand in the document each by itself.
fn parameters<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// The answer of what has no other.
#[derive(serde::Serialize, JsonSchema)]
pub struct Done {
    pub ok: bool,
}

const KEYS: &str = "/admin/v1/keys";
const KEY: &str = "/admin/v1/keys/{key}";

pub static ROUTES: [Route; 9] = [
    Route {
        operation: Operation::ListKeys,
        method: "GET",
        path: KEYS,
        id: "listKeys",
        summary: "Keys of the store and of the config, by name",
        query: Some(parameters::<KeysQuery>),
        body: None,
        answer: Answer::Json(200, schema::<KeyList>),
        refusals: &[400],
    },
    Route {
        operation: Operation::CreateKey,
        method: "POST",
        path: KEYS,
        id: "createKey",
        summary: "Makes a key; its secret is in this answer and nowhere else",
        query: None,
        body: Some(schema::<NewKey>),
        answer: Answer::Json(201, schema::<NewKeyAnswer>),
        refusals: &[400, 409, 413, 415],
    },
    Route {
        operation: Operation::ShowKey,
        method: "GET",
        path: KEY,
        id: "getKey",
        summary: "One key, by id or name",
        query: None,
        body: None,
        answer: Answer::Json(200, schema::<KeyAnswer>),
        refusals: &[400, 404],
    },
    Route {
        operation: Operation::ChangeKey,
        method: "PATCH",
        path: KEY,
        id: "changeKey",
        summary: "Changes what is sent of a key; it holds for the next request",
        query: None,
        body: Some(schema::<KeyChange>),
        answer: Answer::Json(200, schema::<KeyAnswer>),
        refusals: &[400, 404, 409, 413, 415],
    },
    Route {
        operation: Operation::DeleteKey,
        method: "DELETE",
        path: KEY,
        id: "deleteKey",
        summary: "Deletes a key; its next request is refused",
        query: None,
        body: None,
        answer: Answer::Nothing,
        refusals: &[400, 404, 409],
    },
    Route {
        operation: Operation::Audit,
        method: "GET",
        path: "/admin/v1/audit",
        id: "listChanges",
        summary: "Who changed which key, newest first",
        query: Some(parameters::<AuditParameters>),
        body: None,
        answer: Answer::Json(200, schema::<Changes>),
        refusals: &[400],
    },
    Route {
        operation: Operation::Usage,
        method: "GET",
        path: "/admin/v1/usage",
        id: "getUsage",
        summary: "What was used and what it cost",
        query: Some(parameters::<UsageParameters>),
        body: None,
        answer: Answer::JsonOrCsv(schema::<UsageAnswer>),
        refusals: &[400],
    },
    Route {
        operation: Operation::Requests,
        method: "GET",
        path: "/admin/v1/requests",
        id: "listRequests",
        summary: "The request log, newest first",
        query: Some(parameters::<RequestParameters>),
        body: None,
        answer: Answer::JsonOrCsv(schema::<RequestList>),
        refusals: &[400],
    },
    Route {
        operation: Operation::Sync,
        method: "POST",
        path: "/admin/v1/sync",
        id: "sync",
        summary: "Reads the keys anew and writes the usage that waits",
        query: None,
        body: None,
        answer: Answer::Json(200, schema::<Done>),
        refusals: &[400],
    },
];

/// What a path and a method lead to.
pub enum Found<'a> {
    /// With the segment that `{key}` stands for, as it was sent.
    Route(&'static Route, Option<&'a str>),
    /// There is such a path; these are its methods.
    OtherMethods(String),
    Nothing,
}

pub fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    // A HEAD is a GET without its body.
    let method = if method == "HEAD" { "GET" } else { method };
    let mut methods: Vec<&str> = Vec::new();
    for route in &ROUTES {
        let Some(segment) = matches(route.path, path) else {
            continue;
        };
        if route.method == method {
            let segment = (!segment.is_empty()).then_some(segment);
            return Found::Route(route, segment);
        }
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::OtherMethods(methods.join(", "))
    }
}

/// The segment that stands for `{key}`; empty where the path has none.
fn matches<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    match template.strip_suffix("{key}") {
        None => (template == path).then_some(""),
        Some(front) => {
            let segment = path.strip_prefix(front)?;
            let one = !segment.is_empty() && !segment.contains('/');
            one.then_some(segment)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_method_lead_to_one_route() {
        let operation = |method: &str, path| match find(method, path) {
            Found::Route(route, segment) => Some((route.operation, segment)),
            Found::OtherMethods(_) | Found::Nothing => None,
        };
        assert_eq!(
            operation("GET", "/admin/v1/keys"),
            Some((Operation::ListKeys, None))
        );
        let show = Some((Operation::ShowKey, Some("a%2Fb")));
        assert_eq!(operation("HEAD", "/admin/v1/keys/a%2Fb"), show);
        assert_eq!(operation("GET", "/admin/v1/keys/"), None);
        assert_eq!(operation("GET", "/admin/v1/keys/a/b"), None);
        assert!(matches!(find("GET", "/admin/v2/keys"), Found::Nothing));
        let Found::OtherMethods(methods) = find("PUT", "/admin/v1/keys/a") else {
            panic!("PUT is not there");
        };
        assert_eq!(methods, "GET, HEAD, PATCH, DELETE");
    }
}
