mod settings;

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
