use super::*;

#[test]
fn the_id_is_found_in_a_body_and_in_the_first_event() {
    for (beginning, id) in [
        (r#"{"id":"resp_1","object":"response""#, Some("resp_1")),
        (
            r#"{"object":"response","usage":{"id":"x"},"output":[{"id":"msg"}],"id":"resp_2"}"#,
            Some("resp_2"),
        ),
        (
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"created_at\":1,\"metadata\":{\"id\":\"no\"},\"id\":\"resp_3\"",
            Some("resp_3"),
        ),
        (r#"{"id":"re"#, None),
        ("event: response.created\n", None),
        ("", None),
        (r#"{"a":["}"],"id":"é"}"#, Some("é")),
    ] {
        assert_eq!(
            response_id(beginning.as_bytes()).as_deref(),
            id,
            "{beginning}"
        );
    }
}

#[test]
fn pages_follow_each_other() {
    let items: Vec<String> = (0..5).map(|n| format!("{{\"id\":\"i{n}\"}}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let read = |query: &str| -> serde_json::Value {
        serde_json::from_slice(&page(&items, query).expect(query)).expect("JSON")
    };
    let all = read("");
    assert_eq!(
        (&all["first_id"], &all["last_id"]),
        (&"i4".into(), &"i0".into())
    );
    assert_eq!(all["has_more"], false);
    let first = read("order=asc&limit=2");
    assert_eq!(
        (&first["last_id"], &first["has_more"]),
        (&"i1".into(), &true.into())
    );
    let last = read("order=asc&limit=4&after=i1");
    assert_eq!(
        (&last["first_id"], &last["has_more"]),
        (&"i2".into(), &false.into())
    );
    for wrong in ["limit=0", "limit=101", "limit=x", "order=up", "after=none"] {
        assert!(page(&items, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_status_changes_and_all_else_stays() {
    let response = r#"{"id":"r","status":"in_progress","error":null,"n":1.0}"#;
    assert_eq!(
        with_status(response, "failed", Some(("server_error", "gone"))),
        r#"{"id":"r","status":"failed","error":{"code":"server_error","message":"gone"},"n":1.0}"#
    );
    assert_eq!(
        outcome(r#"{"status":"incomplete","output":[1]}"#),
        (Some("incomplete".to_owned()), "[1]")
    );
}

#[test]
fn milestones_are_told_from_other_events() {
    assert_eq!(
        milestone(r#"{"type":"response.completed","response":{"id":"r"}}"#),
        Some(Milestone::Over(r#"{"id":"r"}"#))
    );
    assert_eq!(
        milestone(r#"{"type":"error","code":"x"}"#),
        Some(Milestone::Error)
    );
    assert_eq!(milestone(r#"{"type":"response.output_text.delta"}"#), None);
    assert_eq!(sequence(r#"{"sequence_number":41}"#), Some(41));
}

#[test]
fn metadata_is_an_object_of_texts() {
    let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).expect("JSON");
    assert_eq!(
        metadata(Some(&raw(r#"{"a":"b"}"#))).expect("read"),
        r#"{"a":"b"}"#
    );
    assert_eq!(metadata(None).expect("read"), "{}");
    assert!(metadata(Some(&raw("[1]"))).is_err());
}
