use super::*;

fn wishes(body: &str) -> Wishes {
    Wishes::of(body.as_bytes()).expect("wishes")
}

fn expanded(body: &str, before: &[&str], referenced: &[(String, String)]) -> String {
    let out = expand(body.as_bytes(), &wishes(body), before, referenced, 1 << 20);
    let out = out.expect("a body");
    String::from_utf8(out).expect("text")
}

#[test]
fn the_defaults_are_the_protocols() {
    let none = wishes(r#"{"model":"m","input":"hi"}"#);
    assert!(none.store && !none.background && !none.continues());
    let null = wishes(r#"{"previous_response_id":null,"conversation":null,"store":null}"#);
    assert!(null.store && !null.continues());
}

#[test]
fn a_conversation_is_an_id_or_an_object_with_one() {
    assert_eq!(
        wishes(r#"{"conversation":"conv_1"}"#)
            .conversation
            .as_deref(),
        Some("conv_1")
    );
    assert_eq!(
        wishes(r#"{"conversation":{"id":"conv_1"}}"#)
            .conversation
            .as_deref(),
        Some("conv_1")
    );
}

#[test]
fn wrong_wishes_are_refused_by_name() {
    for (body, param) in [
        (r#"{"previous_response_id":5}"#, "previous_response_id"),
        (r#"{"conversation":true}"#, "conversation"),
        (r#"{"store":"no"}"#, "store"),
        (r#"{"background":1}"#, "background"),
        (r#"{"background":true,"store":false}"#, "background"),
        (
            r#"{"previous_response_id":"a","conversation":"b"}"#,
            "previous_response_id",
        ),
        (r#"{"input":"a","input":"b"}"#, "input"),
    ] {
        let fault = Wishes::of(body.as_bytes()).expect_err(body);
        assert_eq!(fault.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn what_came_before_stands_before_the_input_and_all_else_as_it_was_written() {
    assert_eq!(
        expanded(
            r#"{ "n" : 1.50e+2, "input":"a\n", "previous_response_id" : "resp_1","background":true }"#,
            &[r#"[{"id":"1"}]"#, "[ ]", r#"[{"id":"2"},{"id":"3"}]"#],
            &[],
        ),
        r#"{ "n" : 1.50e+2, "input":[{"id":"1"},{"id":"2"},{"id":"3"},{"type":"message","role":"user","content":"a\n"}], "previous_response_id" : null,"background":true }"#
    );
    assert_eq!(
        expanded(
            r#"{"previous_response_id":"r","input":[ {"a":1} ]}"#,
            &["[]"],
            &[]
        ),
        r#"{"previous_response_id":null,"input":[{"a":1}]}"#
    );
    assert_eq!(
        expanded(r#"{"conversation":"c"}"#, &[r#"[{"a":1}]"#], &[]),
        r#"{"input":[{"a":1}],"conversation":null}"#
    );
}

#[test]
fn an_item_stands_in_the_place_of_its_name() {
    let body = r#"{"input":[{"id":"msg_1"},{"type":"item_reference","id":"rs_1"},{"role":"user","content":"x"}]}"#;
    assert_eq!(wishes(body).references, ["msg_1", "rs_1"]);
    let found = [
        ("msg_1".to_owned(), r#"{"M":1}"#.to_owned()),
        ("rs_1".to_owned(), r#"{"R":1}"#.to_owned()),
    ];
    assert_eq!(
        expanded(body, &[], &found),
        r#"{"input":[{"M":1},{"R":1},{"role":"user","content":"x"}]}"#
    );
}

#[test]
fn items_are_kept_with_an_id_a_type_and_parts() {
    let body = br#"{"input":[{"role":"user","content":"x"},{"type":"function_call_output","call_id":"c","output":"1","id":null},{"role":"assistant","content":"y","type":"message"},{"type":"message","id":"msg_own","role":"user","content":[],"status":"completed"}]}"#;
    let wishes = Wishes::of(body).expect("wishes");
    let kept = own_items(body, &wishes, &[], &mut Ids::new(1)).expect("items");
    let kept: Vec<serde_json::Value> = serde_json::from_str(&kept).expect("JSON");
    assert!(
        kept[0]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("msg_"))
    );
    assert_eq!(kept[0]["type"], "message");
    assert_eq!(kept[0]["content"][0]["type"], "input_text");
    assert!(
        kept[1]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("fco_"))
    );
    assert_eq!(kept[2]["content"][0]["type"], "output_text");
    assert_eq!(kept[3]["id"], "msg_own");
    let text = own_items(
        br#"{"input":"hi"}"#,
        &Wishes::of(br#"{"input":"hi"}"#).expect("wishes"),
        &[],
        &mut Ids::new(1),
    );
    assert!(
        text.expect("items")
            .contains(r#"[{"type":"input_text","text":"hi"}]"#)
    );
}

#[test]
fn reasoning_that_nobody_could_read_is_left_out() {
    let body = r#"{"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"e"}],"n":1.0}"#;
    let out = without_bare_thoughts(body.as_bytes()).expect("a body");
    assert_eq!(
        String::from_utf8(out).expect("text"),
        r#"{"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"e"}],"n":1.0}"#
    );
}

#[test]
fn a_stream_can_be_asked_for() {
    for (body, expected) in [
        (r#"{"stream":false,"a":1}"#, r#"{"stream":true,"a":1}"#),
        (r#"{"a":1}"#, r#"{"stream":true,"a":1}"#),
        ("{}", r#"{"stream":true}"#),
        (
            r#"{"background":true,"stream":true}"#,
            r#"{"background":false,"stream":true}"#,
        ),
    ] {
        let out = streamed(body.as_bytes()).expect("a body");
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
