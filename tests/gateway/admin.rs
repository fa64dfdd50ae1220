//! The admin API over sockets: keys, usage, requests, and every kind of bad input.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http1::{Answer, Connection, request};
use crate::stand::{Gateway, Simulator, channel};

const TOKEN: &str = "admin-token-0001";
pub const ADMIN: &str = "[admin]\ntoken = { value = \"admin-token-0001\" }\n";

pub fn start(head: &str) -> (Simulator, Gateway) {
    let simulator = Simulator::start(&[]);
    let channels = [channel("openai", "openai", "models = [\"gpt-*\"]")];
    let gateway = Gateway::start(simulator.address, head, &channels);
    (simulator, gateway)
}

fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut connection = Connection::open(address);
    // An answer without a body ends with the connection.
    let headers = [headers, &[("connection", "close")]].concat();
    connection.send(&request(method, path, &headers, body));
    connection.answer().expect("the admin listener answers")
}

/// A request with the admin token.
pub fn ask(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Answer {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    ask_raw(gateway, method, path, &bytes)
}

fn ask_raw(gateway: &Gateway, method: &str, path: &str, body: &[u8]) -> Answer {
    let auth = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", auth.as_str()),
        ("content-type", "application/json"),
    ];
    send(gateway.admin, method, path, &headers, body)
}

fn get(gateway: &Gateway, path: &str) -> Value {
    let answer = ask(gateway, "GET", path, &Value::Null);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn create(gateway: &Gateway, body: &Value) -> Value {
    let answer = ask(gateway, "POST", "/admin/v1/keys", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[test]
fn the_admin_api_is_for_who_has_the_token() {
    let (_simulator, gateway) = start(ADMIN);
    let with = |authorization: &str| {
        let headers = [("authorization", authorization)];
        send(gateway.admin, "GET", "/admin/v1/keys", &headers, b"")
    };
    assert_eq!(with(&format!("Bearer {TOKEN}")).status, 200);
    let long = format!("Bearer {TOKEN}x");
    for wrong in ["", "Bearer", "Bearer x", "Basic admin-token-0001", &long] {
        let answer = with(wrong);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "unauthorized"),
            "{wrong}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    // Neither a path nor a method is told to who has none.
    for path in ["/admin/v1/nothing", "/admin/v1/sync"] {
        assert_eq!(send(gateway.admin, "PUT", path, &[], b"").status, 401);
    }
    assert_eq!(gateway.admin("/openapi.json").status, 200);
    assert_eq!(gateway.admin("/metrics").status, 200);
}

#[test]
fn without_a_token_there_is_no_admin_api() {
    let (_simulator, gateway) = start("");
    for (method, path) in [("GET", "/admin/v1/keys"), ("POST", "/admin/v1/sync")] {
        let headers = [("authorization", "Bearer x")];
        let answer = send(gateway.admin, method, path, &headers, b"");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "admin_disabled")
        );
    }
}

#[test]
fn a_key_is_made_shown_changed_and_deleted() {
    let (_simulator, gateway) = start(ADMIN);
    let made = create(
        &gateway,
        &json!({
            "name": "a/b \u{e9}", "group": "default", "models": ["gpt-*"], "allow": ["10.0.0.1", "::/0"],
            "expires": "2030-01-01T00:00:00Z", "limits": { "rpm": 5, "spend_usd": 0.1 },
        }),
    );
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("sk-") && secret.len() == 46, "{secret}");
    let key = &made["key"];
    assert_eq!(key["hint"], format!("sk-…{}", &secret[42..]));
    assert_eq!(key["allow"], json!(["10.0.0.1/32", "::/0"]));
    assert_eq!(key["expires"], "2030-01-01T00:00:00.000Z");
    assert_eq!(
        (&key["limits"]["rpm"], &key["limits"]["rpd"]),
        (&json!(5), &Value::Null)
    );
    assert_eq!(key["source"], "store");

    let id = key["id"].as_str().expect("an id").to_owned();
    let by_id = get(&gateway, &format!("/admin/v1/keys/{id}"));
    assert_eq!(by_id, json!({ "key": key }));
    assert_eq!(get(&gateway, "/admin/v1/keys/a%2Fb%20%C3%A9"), by_id);
    assert!(!by_id.to_string().contains(secret));

    let path = format!("/admin/v1/keys/{id}");
    let change = json!({ "name": "c", "enabled": false, "expires": null, "limits": { "rpm": null, "tpm": 7 } });
    let changed = ask(&gateway, "PATCH", &path, &change).json()["key"].clone();
    assert_eq!(
        (&changed["name"], &changed["enabled"]),
        (&json!("c"), &json!(false))
    );
    assert_eq!(
        (&changed["expires"], &changed["models"]),
        (&Value::Null, &json!(["gpt-*"]))
    );
    let limits = &changed["limits"];
    assert_eq!((&limits["rpm"], &limits["tpm"]), (&Value::Null, &json!(7)));
    assert_eq!(limits["spend_usd"].to_string(), "0.1");

    assert_eq!(
        ask(&gateway, "DELETE", "/admin/v1/keys/c", &Value::Null).status,
        204
    );
    let gone = ask(&gateway, "GET", &path, &Value::Null);
    assert_eq!((gone.status, gone.code().as_str()), (404, "not_found"));

    let changes = get(&gateway, "/admin/v1/audit");
    let actions = changes["changes"].as_array().expect("changes").iter();
    let actions: Vec<&str> = actions
        .filter_map(|change| change["action"].as_str())
        .collect();
    assert_eq!(actions, ["key.delete", "key.update", "key.create"]);
    assert!(
        changes["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .all(|c| c["by"] == "admin")
    );
    assert!(!changes.to_string().contains(secret));
    let page = get(&gateway, "/admin/v1/audit?limit=2");
    let next = page["next"].as_i64().expect("more");
    let rest = get(&gateway, &format!("/admin/v1/audit?before={next}"));
    assert_eq!(rest["changes"][0]["action"], "key.create");
    assert_eq!(rest["next"], Value::Null);
}

#[test]
fn keys_are_listed_by_name_in_pages_with_those_of_the_config() {
    let (_simulator, gateway) = start(ADMIN);
    for name in ["zeta", "alpha", "'; DROP TABLE keys;--", "beta"] {
        create(
            &gateway,
            &json!({ "name": name, "group": "default", "enabled": name != "beta" }),
        );
    }
    let names = |list: &Value| -> Vec<String> {
        let keys = list["keys"].as_array().expect("keys").iter();
        keys.map(|key| key["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let mut all = Vec::new();
    let mut path = "/admin/v1/keys?limit=2".to_owned();
    loop {
        let page = get(&gateway, &path);
        assert!(names(&page).len() <= 2);
        all.extend(names(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/admin/v1/keys?limit=2&after={next}");
    }
    assert_eq!(
        all,
        ["'; DROP TABLE keys;--", "alpha", "beta", "test", "zeta"]
    );
    assert_eq!(
        names(&get(&gateway, "/admin/v1/keys?enabled=false")),
        ["beta"]
    );
    assert_eq!(
        names(&get(&gateway, "/admin/v1/keys?name=alpha&group=default")),
        ["alpha"]
    );
    assert!(names(&get(&gateway, "/admin/v1/keys?group=other")).is_empty());

    let fixed = get(&gateway, "/admin/v1/keys/config:test");
    assert_eq!(fixed["key"]["source"], "config");
    for (method, body) in [
        ("PATCH", json!({ "enabled": false })),
        ("DELETE", Value::Null),
    ] {
        let answer = ask(&gateway, method, "/admin/v1/keys/test", &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (409, "key_of_config")
        );
        assert!(answer.text().contains("config file"), "{}", answer.text());
    }
}

#[test]
fn bad_fields_are_refused_by_their_names() {
    let (_simulator, gateway) = start(ADMIN);
    create(&gateway, &json!({ "name": "taken", "group": "default" }));
    let long = "x".repeat(65);
    for (body, param) in [
        (json!({ "group": "default" }), "name"),
        (json!({ "name": "a" }), "group"),
        (json!({ "name": null, "group": "default" }), "name"),
        (json!({ "name": 5, "group": "default" }), "name"),
        (json!({ "name": "", "group": "default" }), "name"),
        (json!({ "name": long, "group": "default" }), "name"),
        (json!({ "name": "a\u{0}b", "group": "default" }), "name"),
        (json!({ "name": "key_1", "group": "default" }), "name"),
        (json!({ "name": "a", "group": "nowhere" }), "group"),
        (
            json!({ "name": "a", "group": "default", "colour": "red" }),
            "colour",
        ),
        (
            json!({ "name": "a", "group": "default", "enabled": "yes" }),
            "enabled",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": [] }),
            "limits",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "rpm": -1 } }),
            "limits.rpm",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "rpm": 1.5 } }),
            "limits.rpm",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "rpm": "5" } }),
            "limits.rpm",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "rpm": 1e15 } }),
            "limits.rpm",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "spend_usd": -0.1 } }),
            "limits.spend_usd",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "spend_usd": "1" } }),
            "limits.spend_usd",
        ),
        (
            json!({ "name": "a", "group": "default", "limits": { "burst": 1 } }),
            "limits.burst",
        ),
        (
            json!({ "name": "a", "group": "default", "allow": ["10.0.0.0/8", "10.0.0.0/33"] }),
            "allow[1]",
        ),
        (
            json!({ "name": "a", "group": "default", "deny": ["example.org"] }),
            "deny[0]",
        ),
        (
            json!({ "name": "a", "group": "default", "models": [null] }),
            "models[0]",
        ),
        (
            json!({ "name": "a", "group": "default", "models": vec!["m"; 257] }),
            "models",
        ),
        (
            json!({ "name": "a", "group": "default", "expires": "tomorrow" }),
            "expires",
        ),
        (
            json!({ "name": "a", "group": "default", "expires": 1_800_000_000 }),
            "expires",
        ),
    ] {
        let answer = ask(&gateway, "POST", "/admin/v1/keys", &body);
        let error = &answer.json()["error"];
        let said = (
            answer.status,
            error["code"].as_str(),
            error["param"].as_str(),
        );
        assert_eq!(
            said,
            (400, Some("invalid_request"), Some(param)),
            "{body}: {error}"
        );
    }
    let unknown = ask(
        &gateway,
        "POST",
        "/admin/v1/keys",
        &json!({ "name": "a", "group": "nowhere" }),
    );
    assert!(
        unknown.text().contains("defined: \\\"default\\\""),
        "{}",
        unknown.text()
    );
    for name in ["taken", "test"] {
        let answer = ask(
            &gateway,
            "POST",
            "/admin/v1/keys",
            &json!({ "name": name, "group": "default" }),
        );
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (409, "name_taken"),
            "{name}"
        );
    }
    let keys = get(&gateway, "/admin/v1/keys");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2), "{keys}");
}

#[test]
fn what_is_no_json_object_is_refused() {
    let (_simulator, gateway) = start(ADMIN);
    let deep = "[".repeat(60_000);
    let nested = format!(
        r#"{{"name":"a","group":"default","models":{}"#,
        "[".repeat(5000)
    );
    for (body, code) in [
        (&b""[..], "invalid_json"),
        (b"{", "invalid_json"),
        (b"{} x", "invalid_json"),
        (b"{\"name\":\"\xff\"}", "invalid_json"),
        (b"{\"name\":\"\\ud800\"}", "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b"\"name\"", "invalid_request"),
        (
            br#"{"name":"a","name":"b","group":"default"}"#,
            "invalid_request",
        ),
        (
            br#"{"name":"a","group":"default","limits":{"rpm":1,"rpm":2}}"#,
            "invalid_request",
        ),
        (deep.as_bytes(), "invalid_request"),
        (nested.as_bytes(), "invalid_request"),
    ] {
        let answer = ask_raw(&gateway, "POST", "/admin/v1/keys", body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{shown}: {}",
            answer.text()
        );
    }
    assert!(
        get(&gateway, "/admin/v1/keys?name=a")["keys"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
}

#[test]
fn a_body_of_ten_megabytes_is_refused_before_it_is_read() {
    let (_simulator, gateway) = start(ADMIN);
    let body = vec![b' '; 10 << 20];
    let answer = ask_raw(&gateway, "POST", "/admin/v1/keys", &body);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    // Without a length it is noticed while it comes.
    let mut connection = Connection::open(gateway.admin);
    let head = format!(
        "POST /admin/v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    connection.send(head.as_bytes());
    let chunk = [b"8000\r\n".to_vec(), vec![b' '; 0x8000], b"\r\n".to_vec()].concat();
    for _ in 0..3 {
        connection.send(&chunk);
    }
    assert_eq!(connection.answer().expect("an answer").status, 413);
}

#[test]
fn methods_media_types_and_parameters_are_checked() {
    let (_simulator, gateway) = start(ADMIN);
    let answer = ask(&gateway, "PUT", "/admin/v1/keys/test", &json!({}));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PATCH, DELETE"));
    assert_eq!(
        ask(&gateway, "GET", "/admin/v1/nothing", &Value::Null).status,
        404
    );
    let auth = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", auth.as_str()),
        ("content-type", "text/plain"),
    ];
    let answer = send(gateway.admin, "POST", "/admin/v1/keys", &headers, b"{}");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (415, "unsupported_media_type")
    );
    for (path, param) in [
        ("/admin/v1/keys?nmae=a", Some("nmae")),
        ("/admin/v1/keys?limit=0", Some("limit")),
        ("/admin/v1/keys?limit=1001", Some("limit")),
        ("/admin/v1/keys?enabled=1", Some("enabled")),
        ("/admin/v1/keys?name=%00", Some("name")),
        ("/admin/v1/keys?name=%ff", None),
        ("/admin/v1/usage?by=hour", Some("by")),
        ("/admin/v1/usage?since=yesterday", Some("since")),
        (
            "/admin/v1/usage?since=2026-01-01&since=2026-01-02",
            Some("since"),
        ),
        ("/admin/v1/usage?format=xml", Some("format")),
        ("/admin/v1/requests?status=99", Some("status")),
        ("/admin/v1/requests?cursor=x", Some("cursor")),
        ("/admin/v1/requests?limit=1001", Some("limit")),
        ("/admin/v1/audit?before=-1", Some("before")),
        ("/admin/v1/keys/test?x=1", Some("x")),
    ] {
        let answer = ask(&gateway, "GET", path, &Value::Null);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, error["param"].as_str()),
            (400, param),
            "{path}: {error}"
        );
    }
    assert_eq!(
        ask(&gateway, "GET", "/admin/v1/keys/%ff", &Value::Null).status,
        400
    );
    assert_eq!(
        ask(&gateway, "GET", "/admin/v1/keys/%00", &Value::Null).status,
        404
    );
}

#[test]
fn a_connection_is_kept_and_a_head_has_no_body() {
    let (_simulator, gateway) = start(ADMIN);
    let mut connection = Connection::open(gateway.admin);
    let auth = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", auth.as_str()),
        ("content-type", "application/json"),
    ];
    let body = br#"{"name":"kept","group":"default"}"#;
    connection.send(&request("POST", "/admin/v1/keys", &headers, body));
    assert_eq!(connection.answer().expect("an answer").status, 201);
    connection.send(&request("HEAD", "/admin/v1/keys/kept", &headers, b""));
    let head = connection.head().expect("a head");
    assert_eq!(head.status, 200);
    connection.send(&request(
        "GET",
        "/admin/v1/requests?format=csv",
        &headers,
        b"",
    ));
    let csv = connection.answer().expect("an answer");
    assert!(
        csv.whole && csv.text().starts_with("id,at,request_id,final,"),
        "{}",
        csv.text()
    );
    connection.send(&request("DELETE", "/admin/v1/keys/kept", &headers, b""));
    assert_eq!(connection.head().expect("a head").status, 204);
    connection.send(&request("GET", "/healthz", &[], b""));
    assert_eq!(connection.answer().expect("an answer").status, 200);
}

#[test]
fn usage_of_nothing_is_one_row_of_zeros_with_no_dimension() {
    let (_simulator, gateway) = start(ADMIN);
    let usage = get(&gateway, "/admin/v1/usage?key=nobody");
    let rows = usage["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "{usage}");
    for name in [
        "requests",
        "errors",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "estimated",
        "unpriced",
    ] {
        assert_eq!(rows[0][name], 0, "{name}: {usage}");
    }
    assert!(rows[0].get("cost_usd").is_some() && rows[0].get("day").is_none());
    let by = get(&gateway, "/admin/v1/usage?by=day,key,model&key=nobody");
    assert_eq!(by["rows"], json!([]));
    let csv = ask(
        &gateway,
        "GET",
        "/admin/v1/usage?by=day,key&key=nobody&format=csv",
        &Value::Null,
    );
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let head = "day,key,requests,errors,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,reasoning_tokens,estimated,unpriced,cost_usd\r\n";
    assert_eq!(csv.text(), head);
}

#[test]
fn a_connection_ends_where_it_is_not_known_where_a_body_does() {
    let (_simulator, gateway) = start(ADMIN);
    let next = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    for (framing, body, says) in [
        ("transfer-encoding: chunked", "zz\r\n{}\r\n", "to its end"),
        (
            "transfer-encoding: chunked",
            "2\r\n{}xx0\r\n\r\n",
            "to its end",
        ),
        (
            "content-length: 2\r\ntransfer-encoding: chunked",
            "2\r\n{}\r\n0\r\n\r\n",
            "both",
        ),
    ] {
        let mut connection = Connection::open(gateway.admin);
        let head = format!(
            "POST /admin/v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
        );
        connection.send(format!("{head}{body}{next}").as_bytes());
        let answer = connection.answer().expect("an answer");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{framing}"
        );
        assert!(answer.text().contains(says), "{}", answer.text());
        assert!(!connection.fill(), "closed after {body}");
        assert_eq!(connection.rest(), 0, "{body}");
    }
}

#[test]
fn a_change_that_changes_nothing_leaves_no_trace() {
    let (_simulator, gateway) = start(ADMIN);
    let made = create(&gateway, &json!({ "name": "a", "group": "default" }));
    for change in [json!({}), json!({ "name": "a", "limits": { "rpm": null } })] {
        let answer = ask(&gateway, "PATCH", "/admin/v1/keys/a", &change);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["key"], made["key"]);
    }
    let audit = get(&gateway, "/admin/v1/audit");
    assert_eq!(
        audit["changes"].as_array().map(Vec::len),
        Some(1),
        "{audit}"
    );
}
