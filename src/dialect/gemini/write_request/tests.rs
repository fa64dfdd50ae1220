use serde_json::{Value, json};

use super::*;
use crate::chat::{
    CacheMark, Logprobs, Media, MediaKind, Part, Reasoning, Role, Severity, Signature,
    Thinking as Wanted, ToolCall, ToolResult, Turn,
};

const THIRD: Target<'static> = Target {
    model: "gemini-3-flash-preview",
    thinking: Some(Thinking::Level),
    can_disable: false,
    minimal_level: true,
    signed_calls: true,
};
const SECOND: Target<'static> = Target {
    model: "gemini-2.5-flash",
    thinking: Some(Thinking::Budget),
    can_disable: true,
    minimal_level: false,
    signed_calls: false,
};

fn rendered(request: &Request<'_>, target: &Target<'_>) -> (Value, Vec<Loss>) {
    let rendered = write_request(request, target).expect("written");
    let body = serde_json::from_slice(&rendered.body)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&rendered.body)));
    (body, rendered.losses)
}

fn user(text: &'static str) -> Turn<'static> {
    Turn::new(Role::User, vec![Part::text(text)])
}

fn call(id: &'static str, name: &'static str, arguments: &'static str) -> Part<'static> {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        custom: false,
        signature: None,
    }))
}

fn result(id: &'static str, text: &'static str, is_error: bool) -> ToolResult<'static> {
    ToolResult {
        call_id: id.into(),
        name: None,
        content: vec![Part::text(text)],
        json: None,
        is_error,
    }
}

fn request(turns: Vec<Turn<'_>>) -> Request<'_> {
    Request {
        turns,
        ..Request::default()
    }
}

#[test]
fn roles_alternate_and_instructions_stand_apart() {
    let (body, losses) = rendered(
        &request(vec![
            Turn::new(Role::System, vec![Part::text("s")]),
            Turn::new(Role::Developer, vec![Part::text("d")]),
            user("a"),
            user("b"),
            Turn::new(Role::Assistant, vec![Part::text(""), Part::text("c")]),
            Turn::new(Role::Developer, vec![Part::text("late")]),
            user("e"),
        ]),
        &THIRD,
    );
    assert_eq!(
        body,
        json!({"systemInstruction":{"parts":[{"text":"s"},{"text":"d"}]},"contents":[
            {"role":"user","parts":[{"text":"a"},{"text":"b"}]},
            {"role":"model","parts":[{"text":"c"}]},
            {"role":"user","parts":[{"text":"<system-reminder>\nlate\n</system-reminder>"},{"text":"e"}]}]})
    );
    assert!(losses.is_empty());
}

#[test]
fn a_conversation_is_never_empty_and_begins_with_the_user() {
    let (body, _) = rendered(
        &request(vec![Turn::new(Role::System, vec![Part::text("s")])]),
        &THIRD,
    );
    assert_eq!(
        body,
        json!({"contents":[{"role":"user","parts":[{"text":"s"}]}]})
    );
    let (body, _) = rendered(
        &request(vec![Turn::new(Role::Assistant, vec![Part::text("m")])]),
        &THIRD,
    );
    assert_eq!(body["contents"][0]["role"], "user");
    let fault = write_request(&request(vec![user("")]), &THIRD).expect_err("nothing to say");
    assert_eq!(fault.param.as_deref(), Some("messages"));
}

#[test]
fn results_stand_in_one_content_in_the_order_of_their_calls() {
    let (body, _) = rendered(
        &request(vec![
            user("go"),
            Turn::new(
                Role::Assistant,
                vec![call("1", "f", r#"{"n":1.50e+2}"#), call("2", "g", "")],
            ),
            Turn::new(
                Role::User,
                vec![Part::new(PartKind::ToolResult(result("2", "two", true)))],
            ),
            Turn::new(
                Role::User,
                vec![
                    Part::new(PartKind::ToolResult(result("1", "one", false))),
                    Part::text("and?"),
                ],
            ),
        ]),
        &SECOND,
    );
    assert_eq!(
        body["contents"][1]["parts"],
        json!([{"functionCall":{"name":"f","args":{"n":1.50e+2},"id":"1"}},{"functionCall":{"name":"g","args":{},"id":"2"}}])
    );
    assert_eq!(
        body["contents"][2],
        json!({"role":"user","parts":[
            {"functionResponse":{"name":"f","id":"1","response":{"output":"one"}}},
            {"functionResponse":{"name":"g","id":"2","response":{"error":"two"}}},
            {"text":"and?"}]})
    );
    assert_eq!(body["contents"].as_array().map(Vec::len), Some(3));
}

#[test]
fn only_the_first_call_of_each_step_needs_a_signature_and_only_googles_goes_out() {
    let signed = |origin| {
        let PartKind::ToolCall(mut call) = call("3", "f", "{}").kind else {
            unreachable!()
        };
        call.signature = Some(Signature::new(origin, "S"));
        Part::new(PartKind::ToolCall(call))
    };
    let answer = |id| {
        Turn::new(
            Role::User,
            vec![Part::new(PartKind::ToolResult(result(id, "x", false)))],
        )
    };
    let turns = |origin| {
        vec![
            user("before"),
            Turn::new(Role::Assistant, vec![call("0", "f", "{}")]),
            answer("0"),
            user("now"),
            Turn::new(
                Role::Assistant,
                vec![call("1", "f", "{}"), call("2", "f", "{}")],
            ),
            answer("1"),
            answer("2"),
            Turn::new(Role::Assistant, vec![signed(origin)]),
            answer("3"),
        ]
    };
    let signatures = |body: &Value| -> Vec<String> {
        let contents = body["contents"].as_array().expect("contents");
        let parts = contents
            .iter()
            .flat_map(|c| c["parts"].as_array().expect("parts"));
        parts
            .filter(|part| part.get("functionCall").is_some())
            .map(|part| part["thoughtSignature"].as_str().unwrap_or("-").to_owned())
            .collect()
    };
    let dummy = "skip_thought_signature_validator";
    let (body, _) = rendered(&request(turns("gemini")), &THIRD);
    assert_eq!(signatures(&body), ["-", dummy, "-", "S"]);
    let (body, _) = rendered(&request(turns("anthropic")), &THIRD);
    assert_eq!(signatures(&body), ["-", dummy, "-", dummy]);
    let (body, _) = rendered(&request(turns("anthropic")), &SECOND);
    assert_eq!(signatures(&body), ["-", "-", "-", "-"]);
}

#[test]
fn reasoning_goes_back_to_its_maker_only() {
    let reasoning = |origin| {
        Part::new(PartKind::Reasoning(Reasoning {
            text: "hm".into(),
            signature: Some(Signature::new(origin, "S")),
            redacted: false,
            summary: false,
        }))
    };
    let (body, losses) = rendered(
        &request(vec![
            user("a"),
            Turn::new(
                Role::Assistant,
                vec![reasoning("anthropic"), reasoning("gemini"), Part::text("b")],
            ),
            user("c"),
        ]),
        &THIRD,
    );
    assert_eq!(
        body["contents"][1]["parts"],
        json!([{"text":"hm","thought":true,"thoughtSignature":"S"},{"text":"b"}])
    );
    assert!(losses.is_empty());
}

#[test]
fn images_in_results_go_inside_or_beside_by_generation() {
    let turns = || {
        let mut with_image = result("1", "see", false);
        with_image
            .content
            .push(Part::new(PartKind::Media(Media::new(
                MediaKind::Image,
                Some("image/png".into()),
                Source::Base64("AAAA".into()),
            ))));
        vec![
            user("a"),
            Turn::new(Role::Assistant, vec![call("1", "f", "[1]")]),
            Turn::new(
                Role::User,
                vec![Part::new(PartKind::ToolResult(with_image))],
            ),
        ]
    };
    let image = json!({"inlineData":{"mimeType":"image/png","data":"AAAA"}});
    let (third, _) = rendered(&request(turns()), &THIRD);
    assert_eq!(
        third["contents"][2]["parts"],
        json!([{"functionResponse":{"name":"f","id":"1","response":{"output":"see"},"parts":[image]}}])
    );
    assert_eq!(
        third["contents"][1]["parts"][0]["functionCall"]["args"],
        json!({"input":[1]})
    );
    let (second, _) = rendered(&request(turns()), &SECOND);
    assert_eq!(
        second["contents"][2]["parts"],
        json!([{"functionResponse":{"name":"f","id":"1","response":{"output":"see"}}}, image])
    );
}

#[test]
fn json_results_stay_what_they_are() {
    let raw = |text: &'static str| {
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("JSON")
    };
    let with = |json: &'static str, is_error| {
        let mut one = result("1", "", is_error);
        one.json = Some(std::borrow::Cow::Borrowed(raw(json)));
        let turns = vec![
            user("a"),
            Turn::new(Role::Assistant, vec![call("1", "f", "{}")]),
            Turn::new(Role::User, vec![Part::new(PartKind::ToolResult(one))]),
        ];
        let rendered = write_request(&request(turns), &THIRD).expect("written");
        let text = String::from_utf8(rendered.body).expect("UTF-8");
        let at = text.find("\"response\":").expect("a response");
        text[at + 11..]
            .split("}}]}")
            .next()
            .expect("its end")
            .to_owned()
    };
    assert_eq!(
        with(r#"{"b":1.50e+2,"a":12345678901234567890123}"#, false),
        r#"{"b":1.50e+2,"a":12345678901234567890123"#.to_owned() + "}"
    );
    assert_eq!(with("[1]", false), r#"{"result":[1]}"#);
    assert_eq!(with(r#"{"a":1}"#, true), r#"{"error":{"a":1}}"#);
}

fn config(request: Request<'_>, target: &Target<'_>) -> (Value, Vec<Loss>) {
    let request = Request {
        turns: vec![user("a")],
        ..request
    };
    let (body, losses) = rendered(&request, target);
    (body["generationConfig"].clone(), losses)
}

#[test]
fn thinking_is_said_as_the_generation_takes_it() {
    let wanted = |depth, show| Request {
        thinking: Some(Wanted { depth, show }),
        ..Request::default()
    };
    let cannot = Target {
        thinking: None,
        ..SECOND
    };
    let must = Target {
        can_disable: false,
        ..SECOND
    };
    let low = Target {
        minimal_level: false,
        ..THIRD
    };
    for (target, depth, show, expected, lost) in [
        (
            SECOND,
            Some(Depth::Off),
            None,
            json!({"thinkingBudget":0}),
            false,
        ),
        (must, Some(Depth::Off), None, Value::Null, true),
        (
            SECOND,
            Some(Depth::Dynamic),
            None,
            json!({"includeThoughts":true,"thinkingBudget":-1}),
            false,
        ),
        (
            SECOND,
            Some(Depth::Effort(Effort::Medium)),
            Some(false),
            json!({"thinkingBudget":8192}),
            false,
        ),
        (
            SECOND,
            Some(Depth::Budget(77)),
            None,
            json!({"includeThoughts":true,"thinkingBudget":77}),
            false,
        ),
        (
            SECOND,
            None,
            Some(true),
            json!({"includeThoughts":true}),
            false,
        ),
        (
            THIRD,
            Some(Depth::Off),
            None,
            json!({"thinkingLevel":"minimal"}),
            true,
        ),
        (
            low,
            Some(Depth::Off),
            None,
            json!({"thinkingLevel":"low"}),
            true,
        ),
        (
            low,
            Some(Depth::Effort(Effort::Minimal)),
            None,
            json!({"includeThoughts":true,"thinkingLevel":"low"}),
            false,
        ),
        (
            THIRD,
            Some(Depth::Effort(Effort::Max)),
            None,
            json!({"includeThoughts":true,"thinkingLevel":"high"}),
            false,
        ),
        (
            THIRD,
            Some(Depth::Budget(10_000)),
            None,
            json!({"includeThoughts":true,"thinkingLevel":"medium"}),
            false,
        ),
        (
            THIRD,
            Some(Depth::Dynamic),
            None,
            json!({"includeThoughts":true}),
            false,
        ),
        (
            cannot,
            Some(Depth::Effort(Effort::High)),
            None,
            Value::Null,
            true,
        ),
        (cannot, Some(Depth::Off), None, Value::Null, false),
    ] {
        let (config, losses) = config(wanted(depth, show), &target);
        assert_eq!(config["thinkingConfig"], expected, "{depth:?}");
        assert_eq!(!losses.is_empty(), lost, "{depth:?}");
    }
}

#[test]
fn settings_are_carried_as_they_were_written_and_nothing_is_added() {
    let raw = |text: &'static str| {
        Some(std::borrow::Cow::Borrowed(
            serde_json::from_str(text).expect("JSON"),
        ))
    };
    let settings = Request {
        temperature: raw("1.50e-1"),
        top_p: raw("0.9"),
        top_k: raw("40"),
        seed: raw("5"),
        presence_penalty: raw("0.5"),
        frequency_penalty: raw("-0.5"),
        max_tokens: Some(9),
        n: Some(2),
        stop: vec!["x".into(), "".into()],
        logprobs: Some(Logprobs { top: Some(3) }),
        modalities: vec!["image".into()],
        image_aspect: Some("16:9".into()),
        turns: vec![user("a")],
        ..Request::default()
    };
    let body = write_request(&settings, &SECOND).expect("written").body;
    assert_eq!(
        String::from_utf8(body).as_deref(),
        Ok(
            r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}],"generationConfig":{"stopSequences":["x"],"temperature":1.50e-1,"topP":0.9,"topK":40,"presencePenalty":0.5,"frequencyPenalty":-0.5,"seed":5,"maxOutputTokens":9,"candidateCount":2,"responseLogprobs":true,"logprobs":3,"responseModalities":["TEXT","IMAGE"],"imageConfig":{"aspectRatio":"16:9"}}}"#
        )
    );
    let (config, losses) = config(Request::default(), &SECOND);
    assert_eq!((config, losses), (Value::Null, Vec::new()));
}

#[test]
fn schemas_are_reduced_or_sent_as_they_are_where_they_recur() {
    let raw =
        |text: &'static str| std::borrow::Cow::Borrowed(serde_json::from_str(text).expect("JSON"));
    let schema = |text| Request {
        format: Some(Format::JsonSchema {
            name: Some("n".into()),
            description: None,
            schema: raw(text),
            strict: Some(true),
        }),
        ..Request::default()
    };
    let (plain, _) = config(
        schema(
            r#"{"$schema":"x","type":"object","properties":{"a":{"type":["string","null"]}},"additionalProperties":false}"#,
        ),
        &THIRD,
    );
    assert_eq!(
        plain,
        json!({"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}})
    );
    let recursive = r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##;
    let (raw_config, _) = config(schema(recursive), &THIRD);
    let expected: Value = serde_json::from_str(recursive).expect("JSON");
    assert_eq!(raw_config["responseJsonSchema"], expected);
}

#[test]
fn tools_choices_and_names_are_what_gemini_takes() {
    let function = |name: &'static str, parameters: Option<&'static str>, custom| {
        Tool::Function(Function {
            name: name.into(),
            description: Some("d".into()),
            parameters: parameters
                .map(|p| std::borrow::Cow::Borrowed(serde_json::from_str(p).expect("JSON"))),
            strict: Some(true),
            custom,
            cache: Some(CacheMark::FiveMinutes),
        })
    };
    let wanted = Request {
        turns: vec![user("a")],
        tools: vec![
            function("f", Some(r#"{"type":"object","properties":{}}"#), false),
            function("a/b", None, true),
            Tool::Hosted {
                kind: Hosted::WebSearch,
                name: "web_search".into(),
                allowed_domains: vec!["x.y".into()],
                blocked_domains: Vec::new(),
                max_uses: Some(1),
            },
        ],
        tool_choice: Some(ToolChoice::Allowed {
            names: vec!["a/b".into()],
            required: false,
        }),
        parallel_tools: Some(false),
        ..Request::default()
    };
    let (body, losses) = rendered(&wanted, &THIRD);
    assert_eq!(
        body["tools"],
        json!([{"functionDeclarations":[{"name":"f","description":"d"},
            {"name":"a_b","description":"d","parameters":{"type":"OBJECT","properties":{"input":{"type":"STRING"}},"required":["input"]}}]},
            {"googleSearch":{}}])
    );
    assert_eq!(
        body["toolConfig"],
        json!({"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["a_b"]}})
    );
    let meaning: Vec<_> = losses
        .iter()
        .filter(|l| l.severity == Severity::Meaning)
        .map(|l| &*l.path)
        .collect();
    assert_eq!(meaning, ["allowed_domains"]);
    let cosmetic: Vec<_> = losses
        .iter()
        .filter(|l| l.severity == Severity::Cosmetic)
        .map(|l| &*l.path)
        .collect();
    assert_eq!(
        cosmetic,
        ["max_uses", "strict", "cache_control", "parallel_tool_calls"]
    );
    let renamed = write_request(&wanted, &THIRD).expect("written").renamed;
    assert_eq!(renamed, [("a_b".to_owned(), "a/b".to_owned())]);
}

#[test]
fn media_without_a_home_are_refused_and_urls_told_by_their_ending() {
    let media = |kind, source| Part::new(PartKind::Media(Media::new(kind, None, source)));
    let (body, losses) = rendered(
        &request(vec![Turn::new(
            Role::User,
            vec![
                media(MediaKind::Image, Source::Url("https://e.x/a.webp".into())),
                media(MediaKind::Image, Source::Base64("/9j/AA==".into())),
                media(MediaKind::Document, Source::Plain("text".into())),
                media(MediaKind::Document, Source::File("file-1".into())),
            ],
        )]),
        &THIRD,
    );
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"fileData":{"fileUri":"https://e.x/a.webp","mimeType":"image/webp"}},
            {"inlineData":{"mimeType":"image/jpeg","data":"/9j/AA=="}},{"text":"text"}])
    );
    assert_eq!(
        (&*losses[0].path, losses[0].severity),
        ("file_id", Severity::Meaning)
    );
}
