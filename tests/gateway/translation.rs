//! One protocol on the client's side, another on the channel's.

use serde_json::Value;

use crate::http1::{Answer, Connection, request};
use crate::stand::{Gateway, KEY, RawUpstream, Simulator, all_platforms, channel, eventually};

/// A client's protocol: where it asks, how, and what its answers look like.
pub struct Surface {
    pub name: &'static str,
    path: fn(&str, bool) -> String,
    body: fn(&str, bool, &str) -> String,
    /// The text of a whole answer.
    text: fn(&Value) -> String,
    /// The pieces of text in a stream.
    piece: fn(&Value) -> String,
    end: &'static str,
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn gemini_text(v: &Value) -> String {
    let parts = v["candidates"][0]["content"]["parts"].as_array();
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    parts.iter().map(|p| string(&p["text"])).collect()
}

pub const SURFACES: [Surface; 3] = [
    Surface {
        name: "openai",
        path: |_, _| "/v1/chat/completions".to_owned(),
        body: |model, stream, text| {
            format!(
                r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#
            )
        },
        text: |v| string(&v["choices"][0]["message"]["content"]),
        piece: |v| string(&v["choices"][0]["delta"]["content"]),
        end: "data: [DONE]\n\n",
    },
    Surface {
        name: "anthropic",
        path: |_, _| "/v1/messages".to_owned(),
        body: |model, stream, text| {
            format!(
                r#"{{"model":"{model}","max_tokens":500,"stream":{stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#
            )
        },
        text: |v| string(&v["content"][0]["text"]),
        piece: |v| string(&v["delta"]["text"]),
        end: "message_stop\"}\n\n",
    },
    Surface {
        name: "gemini",
        path: |model, stream| {
            let verb = if stream {
                "streamGenerateContent?alt=sse"
            } else {
                "generateContent"
            };
            format!("/v1beta/models/{model}:{verb}")
        },
        body: |_, _, text| {
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]}}"#)
        },
        text: gemini_text,
        piece: gemini_text,
        end: "}\r\n\r\n",
    },
];

impl Surface {
    fn ask(&self, gateway: &Gateway, model: &str, stream: bool) -> Answer {
        self.say(gateway, model, stream, "Hello there")
    }

    pub fn say(&self, gateway: &Gateway, model: &str, stream: bool, text: &str) -> Answer {
        let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
        let body = (self.body)(model, stream, text);
        gateway.send(
            "POST",
            &(self.path)(model, stream),
            &headers,
            body.as_bytes(),
        )
    }

    pub fn text_of(&self, answer: &Answer, stream: bool) -> String {
        if stream {
            let text = answer.text();
            assert!(text.ends_with(self.end), "{}: {text}", self.name);
            events(&text).iter().map(self.piece).collect()
        } else {
            (self.text)(&answer.json())
        }
    }
}

pub fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect()
}

const MODELS: [(&str, &str); 5] = [
    ("gpt-5", "openai"),
    ("claude-opus-4-7", "anthropic"),
    ("gemini-3-flash-preview", "gemini"),
    ("meta-llama/llama-3.3-70b-instruct", "openrouter"),
    ("llama3:8b", "compatible"),
];

#[test]
fn every_surface_gets_the_same_answer_from_every_platform_streamed_or_not() {
    let (_simulator, gateway) = all_platforms("");
    for surface in &SURFACES {
        for (model, channel) in MODELS {
            // A slash cannot stand in this protocol's path.
            if surface.name == "gemini" && model.contains('/') {
                continue;
            }
            let mut texts = Vec::new();
            for stream in [false, true] {
                let answer = surface.ask(&gateway, model, stream);
                let what = format!("{} {model} {stream}: {}", surface.name, answer.text());
                assert_eq!(answer.status, 200, "{what}");
                assert!(answer.whole, "{what}");
                assert_eq!(answer.header("x-torouter-channel"), Some(channel), "{what}");
                assert!(answer.header("x-torouter-dropped").is_none(), "{what}");
                texts.push(surface.text_of(&answer, stream));
            }
            assert!(texts[0].contains("Hello there"), "{texts:?}");
            assert_eq!(texts[0], texts[1], "{} {model}", surface.name);
        }
    }
}

/// An anthropic channel that is asked first and fails, and a gemini one, both for the model `smart`.
fn across(simulator: &Simulator, fail: &str) -> Gateway {
    let first = format!(
        "priority = 1\nmodels = []\nmodel_map = {{ smart = \"claude-opus-4-7\" }}\nheaders = {{ x-sim-fail = \"{fail}\" }}\ntimeouts = {{ first_byte = \"400ms\", idle = \"400ms\" }}"
    );
    let second = "priority = 2\nmodels = []\nmodel_map = { smart = \"gemini-3-flash-preview\" }";
    Gateway::start(
        simulator.address,
        "",
        &[
            channel("first", "anthropic", &first),
            channel("second", "gemini", second),
        ],
    )
}

#[test]
fn a_failing_channel_of_one_protocol_is_followed_by_one_of_another_and_the_client_cannot_tell() {
    let simulator = Simulator::start(&[]);
    for fail in ["529", "hang", "close", "error-first", "cut=1", "html"] {
        for surface in &SURFACES {
            for stream in [false, true] {
                if fail == "cut=1" && !stream {
                    continue;
                }
                let gateway = across(&simulator, fail);
                let answer = surface.ask(&gateway, "smart", stream);
                let what = format!("{fail} {} {stream}: {}", surface.name, answer.text());
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(
                    answer.header("x-torouter-channel"),
                    Some("second"),
                    "{what}"
                );
                assert_eq!(answer.header("x-torouter-attempts"), Some("2"), "{what}");
                assert!(surface.text_of(&answer, stream).contains("Hello there"));
                // What passes as it is names the provider's own.
                let named = surface.name == "gemini" || answer.text().contains("\"smart\"");
                assert!(named, "{what}");
            }
        }
    }
}

#[test]
fn what_is_left_out_is_named_and_counted_and_a_meaningful_loss_names_the_field() {
    let (_simulator, gateway) = all_platforms("");
    let chat = |model: &str, field: &str| {
        let body = format!(
            r#"{{"model":"{model}",{field},"messages":[{{"role":"user","content":"Hello"}}]}}"#
        );
        gateway.post("/v1/chat/completions", &body)
    };
    let answer = chat(
        "claude-opus-4-7",
        r#""seed":7,"logit_bias":{"1":2},"brand_new":1"#,
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let dropped = answer.header("x-torouter-dropped").expect("a header");
    for name in ["seed", "logit_bias", "brand_new"] {
        assert!(dropped.split(',').any(|d| d == name), "{dropped}");
    }
    let count = |parameter: &str| {
        let labels = [
            ("surface", "openai"),
            ("platform", "anthropic"),
            ("parameter", parameter),
        ];
        gateway.metric("torouter_dropped_parameters_total", &labels) as u64
    };
    eventually("it is counted", || (count("seed") == 1).then_some(()));
    assert_eq!((count("logit_bias"), count("other")), (1, 1));
    let answer = chat("claude-opus-4-7", r#""logprobs":true"#);
    assert_eq!(answer.status, 400);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "unsupported_parameter");
    assert_eq!(error["param"], "logprobs");
    assert!(
        error["message"]
            .as_str()
            .expect("text")
            .contains("logprobs")
    );
    assert_eq!(answer.header("x-torouter-attempts"), None);
}

#[test]
fn what_one_platform_lacks_is_asked_of_another_that_has_it() {
    let simulator = Simulator::start(&[]);
    let map = |model: &str, priority: u32| {
        format!("priority = {priority}\nmodels = []\nmodel_map = {{ smart = \"{model}\" }}")
    };
    let (first, second) = (map("claude-opus-4-7", 1), map("gpt-4o", 2));
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("a", "anthropic", &first),
            channel("b", "openai", &second),
        ],
    );
    let body =
        r#"{"model":"smart","logprobs":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let answer = gateway.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-torouter-channel"), Some("b"));
    assert_eq!(answer.header("x-torouter-attempts"), Some("1"));
}

fn error_word(surface: &Surface, body: &Value) -> (String, String) {
    match surface.name {
        "openai" => (
            string(&body["error"]["type"]),
            string(&body["error"]["message"]),
        ),
        "anthropic" => {
            assert_eq!(body["type"], "error");
            (
                string(&body["error"]["type"]),
                string(&body["error"]["message"]),
            )
        }
        _ => {
            assert!(body["error"]["code"].is_u64());
            (
                string(&body["error"]["status"]),
                string(&body["error"]["message"]),
            )
        }
    }
}

#[test]
fn errors_of_each_platform_have_the_shape_of_each_surface() {
    let simulator = Simulator::start(&[]);
    for (platform, model) in [
        ("openai", "gpt-5"),
        ("anthropic", "claude-opus-4-7"),
        ("gemini", "gemini-3-flash-preview"),
        ("openrouter", "openai/gpt-5"),
    ] {
        for (fail, status) in [
            ("429;retry-after=7", 429),
            ("400", 400),
            ("413", 413),
            ("500", 502),
        ] {
            let same = |name| name == platform || (name, platform) == ("openai", "openrouter");
            for surface in SURFACES.iter().filter(|s| !same(s.name)) {
                let lines = format!(
                    "models = []\nmodel_map = {{ m = \"{model}\" }}\nheaders = {{ x-sim-fail = \"{fail}\" }}"
                );
                let gateway =
                    Gateway::start(simulator.address, "", &[channel("c", platform, &lines)]);
                for stream in [false, true] {
                    let answer = surface.ask(&gateway, "m", stream);
                    let what = format!("{fail} {platform} {}: {}", surface.name, answer.text());
                    if answer.status == 503 && stream {
                        // It cools down after the first.
                        continue;
                    }
                    assert_eq!(answer.status, status, "{what}");
                    let (word, message) = error_word(surface, &answer.json());
                    assert!(!word.is_empty() && message.len() > 5, "{what}");
                    if status == 429 {
                        assert_eq!(answer.header("retry-after"), Some("7"), "{what}");
                    }
                }
            }
        }
    }
}

/// A stream of Anthropic's that says something, and then `rest`.
fn broken_stream(rest: &str) -> RawUpstream {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Once upon a time"}}"#,
    ]
    .map(|data| format!("data: {data}\n\n"))
    .concat();
    let body = format!("{events}{rest}");
    RawUpstream::start(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
        .as_bytes(),
        1,
    )
}

#[test]
fn a_stream_that_dies_ends_with_the_clients_own_error_event_and_is_metered() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for surface in SURFACES.iter().filter(|s| s.name != "anthropic") {
        for rest in ["", overloaded] {
            let upstream = broken_stream(rest);
            let gateway = Gateway::start(
                upstream.address,
                "",
                &[channel("c", "anthropic", "models = [\"m\"]")],
            );
            let answer = surface.ask(&gateway, "m", true);
            let text = answer.text();
            let what = format!("{} {rest:?}: {text}", surface.name);
            assert_eq!(answer.status, 200, "{what}");
            assert!(text.contains("Once upon a time"), "{what}");
            let last = events(&text).pop().expect("events");
            let message = string(&last["error"]["message"]);
            assert!(!message.is_empty(), "{what}");
            assert_eq!(message.contains("Overloaded"), !rest.is_empty(), "{what}");
            let output = || {
                let labels = [("channel", "c"), ("type", "output")];
                gateway.metric("torouter_tokens_total", &labels)
            };
            eventually("it is metered", || (output() > 2.0).then_some(()));
        }
    }
}

#[test]
fn tokens_are_counted_on_every_platform() {
    let (_simulator, gateway) = all_platforms("");
    for (model, channel) in MODELS {
        let body = format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"How many tokens are in this sentence?"}}]}}"#
        );
        let answer = gateway.post("/v1/messages/count_tokens", &body);
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().expect("a number");
        assert!((5..40).contains(&tokens), "{model}: {tokens}");
        let local = !matches!(channel, "anthropic" | "gemini");
        let flag = answer.header("x-torouter-estimated");
        assert_eq!(flag, local.then_some("true"), "{model}");
        if model.contains('/') {
            continue;
        }
        let path = format!("/v1beta/models/{model}:countTokens");
        let contents =
            r#""contents":[{"parts":[{"text":"How many tokens are in this sentence?"}]}]"#;
        for body in [
            format!("{{{contents}}}"),
            format!(r#"{{"generateContentRequest":{{"model":"models/{model}",{contents}}}}}"#),
        ] {
            let answer = gateway.post(&path, &body);
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let tokens = answer.json()["totalTokens"].as_u64().expect("a number");
            assert!((5..40).contains(&tokens), "{model}: {tokens}");
        }
    }
}

#[test]
fn embeddings_cross_over_both_ways_and_a_platform_without_any_says_so() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel("openai", "openai", "models = [\"text-embedding-*\"]"),
            channel("gemini", "gemini", "models = [\"gemini-*\"]"),
            channel("anthropic", "anthropic", "models = [\"claude-*\"]"),
        ],
    );
    let body = r#"{"model":"gemini-embedding-001","input":["a","b","c"],"dimensions":8}"#;
    let answer = gateway.post("/v1/embeddings", body).json();
    let data = answer["data"].as_array().expect("a list");
    assert_eq!(data.len(), 3, "{answer}");
    assert!(
        data.iter()
            .all(|d| d["embedding"].as_array().is_some_and(|e| e.len() == 8))
    );
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    assert_eq!(answer["model"], "gemini-embedding-001");
    let one = r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":8}"#;
    let answer = gateway
        .post("/v1beta/models/text-embedding-3-small:embedContent", one)
        .json();
    assert_eq!(
        answer["embedding"]["values"].as_array().map(Vec::len),
        Some(8),
        "{answer}"
    );
    let many = r#"{"requests":[{"model":"models/text-embedding-3-small","content":{"parts":[{"text":"a"}]}},{"model":"models/text-embedding-3-small","content":{"parts":[{"text":"b"}]}}]}"#;
    let answer = gateway
        .post(
            "/v1beta/models/text-embedding-3-small:batchEmbedContents",
            many,
        )
        .json();
    assert_eq!(
        answer["embeddings"].as_array().map(Vec::len),
        Some(2),
        "{answer}"
    );
    let answer = gateway.post(
        "/v1/embeddings",
        r#"{"model":"claude-opus-4-7","input":"a"}"#,
    );
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("embeddings"), "{}", answer.text());
}

#[test]
fn a_picture_is_drawn_by_a_model_that_draws_in_its_answers() {
    let (_simulator, gateway) = all_platforms("");
    let body = r#"{"model":"gemini-2.5-flash-image","prompt":"a red dot","size":"1024x1536"}"#;
    let answer = gateway.post("/v1/images/generations", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let image = string(&answer.json()["data"][0]["b64_json"]);
    assert!(image.starts_with("iVBOR"), "{image}");
    let refused = gateway.post(
        "/v1/images/generations",
        r#"{"model":"gemini-2.5-flash-image","prompt":"a","n":2}"#,
    );
    assert_eq!(
        (refused.status, string(&refused.json()["error"]["param"])),
        (400, "n".into())
    );
}

#[test]
fn a_stream_without_sse_is_one_json_array_on_every_platform() {
    let (_simulator, gateway) = all_platforms("");
    for model in ["gpt-5", "claude-opus-4-7", "gemini-3-flash-preview"] {
        let path = format!("/v1beta/models/{model}:streamGenerateContent");
        let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hello there"}]}]}"#;
        let answer = gateway.post(&path, body);
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(
            answer
                .header("content-type")
                .map(|t| t.split(';').next().unwrap_or(t)),
            Some("application/json")
        );
        let elements = answer.json();
        let text: String = elements
            .as_array()
            .expect("an array")
            .iter()
            .map(gemini_text)
            .collect();
        assert!(text.contains("Hello there"), "{model}: {text}");
    }
}

#[test]
fn a_large_answer_has_its_length_and_a_model_in_a_path_leads_nowhere_else() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[
            channel(
                "a",
                "anthropic",
                "models = [\"claude-*\"]\nheaders = { x-sim-size = \"300000\" }",
            ),
            channel("g", "gemini", "models = [\"gemini-*\"]"),
        ],
    );
    let answer = SURFACES[0].ask(&gateway, "claude-opus-4-7", false);
    assert!(answer.whole && answer.text().len() > 300_000);
    let stated = answer.header("content-length").and_then(|l| l.parse().ok());
    assert_eq!(stated, Some(answer.text().len()));
    SURFACES[0].ask(&gateway, "gemini-x/../../v1beta/files?a=b#", false);
    let paths: Vec<String> = simulator
        .requests()
        .iter()
        .map(|r| string(&r["path"]))
        .collect();
    assert!(
        paths
            .iter()
            .all(|path| !path.contains("files?") && !path.contains("/..")),
        "{paths:?}"
    );
}

#[test]
fn a_translated_request_carries_nothing_of_the_other_protocols_headers() {
    let (simulator, gateway) = all_platforms("");
    let headers = [
        ("x-api-key", KEY),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "context-1m-2025-08-07"),
        ("x-stainless-lang", "python"),
        ("x-my-trace", "7"),
    ];
    let body = (SURFACES[1].body)("gpt-5", false, "Hello");
    let answer = gateway.send("POST", "/v1/messages?beta=true", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-torouter-dropped"), Some("anthropic-beta"));
    assert!(answer.header("openai-processing-ms").is_none());
    let asked = simulator.requests().pop().expect("a request");
    let sent = asked["headers"].as_object().expect("headers");
    for name in [
        "x-api-key",
        "anthropic-version",
        "anthropic-beta",
        "x-stainless-lang",
    ] {
        assert!(!sent.contains_key(name), "{name}");
    }
    assert_eq!(sent["x-my-trace"], "7");
    assert_eq!(asked["path"], "/v1/chat/completions");
    let overhead = || {
        let labels = [("surface", "anthropic"), ("translated", "true")];
        gateway.metric("torouter_gateway_overhead_seconds_count", &labels)
    };
    eventually("it counts as translated", || {
        (overhead() > 0.5).then_some(())
    });
}

#[test]
fn reasoning_of_another_maker_is_taken_out_of_a_request_that_passes() {
    let (simulator, gateway) = all_platforms("");
    let sealed = torouter::chat::seal::seal(&torouter::chat::Signature::new("gemini", "abc"));
    let kept = r#"{"type":"text","text":"é 1.50"}"#;
    let body = |blocks: &str| {
        format!(
            r#"{{"model":"claude-opus-4-7","max_tokens":50,"messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":[{blocks}]}},{{"role":"user","content":"Hello"}}]}}"#
        )
    };
    let foreign = format!(r#"{{"type":"thinking","thinking":"","signature":"{sealed}"}},{kept}"#);
    let answer = gateway.post("/v1/messages", &body(&foreign));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = simulator.requests().pop().expect("a request");
    assert_eq!(asked["body"], body(kept), "{asked}");
}

#[test]
fn media_by_url_are_fetched_only_where_it_is_allowed() {
    let simulator = Simulator::start(&[]);
    let png = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\x89PNG";
    let pictures = RawUpstream::start(png, 1);
    let url = format!("http://{}/cat.png?signature=secret", pictures.address);
    let body = format!(
        r#"{{"model":"gemini-3-flash-preview","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}},{{"type":"text","text":"What is it?"}}]}}]}}"#
    );
    let ask = |head: &str, lines: &str| {
        let gateway = Gateway::start(simulator.address, head, &[channel("g", "gemini", lines)]);
        let answer = gateway.post("/v1/chat/completions", &body);
        let asked = simulator
            .requests()
            .pop()
            .map_or(String::new(), |r| r.to_string());
        (answer, asked)
    };
    let (answer, _) = ask("", "fetch_media = true");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("not public"), "{}", answer.text());
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    let (answer, asked) = ask(
        "fetch_media_from = [\"127.0.0.0/8\"]\n",
        "fetch_media = true",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        asked.contains("iVBORw") || asked.contains("iVBO"),
        "{asked}"
    );
    let (_, asked) = ask("fetch_media_from = [\"127.0.0.0/8\"]\n", "");
    assert!(asked.contains("cat.png"), "{asked}");
}

#[test]
fn a_client_that_leaves_ends_a_translated_stream_and_pays_for_what_it_got() {
    let simulator = Simulator::start(&["--gap", "30ms"]);
    let gateway = Gateway::start(
        simulator.address,
        "",
        &[channel("a", "anthropic", "models = [\"claude-*\"]")],
    );
    let body = (SURFACES[0].body)(
        "claude-opus-4-7",
        true,
        "Tell me a long story about the wide sea",
    );
    let mut connection = Connection::open(gateway.address);
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        body.as_bytes(),
    ));
    connection.head().expect("a head");
    for _ in 0..3 {
        connection.chunk().expect("a chunk");
    }
    drop(connection);
    eventually("it is settled as left", || {
        let left = gateway.metric("torouter_requests_total", &[("status", "499")]);
        (left > 0.5).then_some(())
    });
    let labels = [("channel", "a"), ("type", "output")];
    assert!(gateway.metric("torouter_tokens_total", &labels) > 0.0);
}
