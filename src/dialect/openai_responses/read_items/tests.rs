use super::*;
use crate::chat::{Request, Severity, seal};
use crate::dialect::openai_responses::read_request;

fn items(items: &str) -> String {
    format!(r#"{{"input":[{items}]}}"#)
}

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"))
}

fn kinds(turn: &Turn<'_>) -> Vec<&'static str> {
    turn.parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::Text { .. } => "text",
            PartKind::Media(_) => "media",
            PartKind::Reasoning(_) => "reasoning",
            PartKind::ToolCall(_) => "call",
            PartKind::ToolResult(_) => "result",
            PartKind::Refusal(_) => "refusal",
        })
        .collect()
}

#[test]
fn items_of_the_assistant_are_one_turn_and_results_another() {
    let body = items(
        r#"{"role":"user","content":"x"},
            {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"gAAA"},
            {"type":"message","role":"assistant","id":"msg_1","status":"completed","content":[{"type":"output_text","text":"I look","annotations":[],"logprobs":[]}]},
            {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","namespace":"crm","arguments":"{\"n\":1.50e+2}","status":"completed"},
            {"type":"custom_tool_call","call_id":"c2","name":"apply_patch","input":"*** Begin"},
            {"type":"web_search_call","id":"ws_1","status":"completed"},
            {"type":"function_call_output","call_id":"c1","output":"1"},
            {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"ok"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},
            {"role":"user","content":[{"type":"input_text","text":"y"}]}"#,
    );
    let request = read(&body);
    let turns: Vec<_> = request
        .turns
        .iter()
        .map(|turn| (turn.role, kinds(turn)))
        .collect();
    assert_eq!(
        turns,
        [
            (Role::User, vec!["text"]),
            (Role::Assistant, vec!["reasoning", "text", "call", "call"]),
            (Role::User, vec!["result", "result"]),
            (Role::User, vec!["text"]),
        ]
    );
    let PartKind::Reasoning(reasoning) = &request.turns[1].parts[0].kind else {
        panic!("no reasoning");
    };
    assert_eq!((&*reasoning.text, reasoning.summary), ("a\n\nb", true));
    let signature = reasoning.signature.as_ref().expect("signed");
    assert_eq!(signature.origin, "openai_responses");
    assert!(
        signature
            .data
            .starts_with(r#"{"type":"reasoning","id":"rs_1""#)
    );
    let PartKind::ToolCall(call) = &request.turns[1].parts[2].kind else {
        panic!("no call");
    };
    assert_eq!(
        (&*call.name, &*call.arguments),
        ("crm__f", r#"{"n":1.50e+2}"#)
    );
    assert_eq!(request.losses, [Loss::cosmetic("input[5]")]);
}

#[test]
fn the_reasoning_of_others_finds_its_way_back() {
    let sealed = seal::seal(&Signature::new("anthropic", "EqQB"));
    let call = thought::note(Owner::Call("c1".into()), &Signature::new("gemini", "CiQB"));
    let text = thought::note(Owner::Text(1), &Signature::new("gemini", "CiQC"));
    let body = items(&format!(
        r#"{{"role":"user","content":"x"}},
            {{"type":"reasoning","id":"rs_1","summary":[{{"type":"summary_text","text":"hm"}}],"encrypted_content":"{sealed}"}},
            {{"type":"function_call","call_id":"c1","name":"f","arguments":""}},
            {{"role":"assistant","content":[{{"type":"output_text","text":"a"}},{{"type":"output_text","text":"b"}}]}},
            {{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"{call}"}},
            {{"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":"{text}"}}"#
    ));
    let request = read(&body);
    let parts = &request.turns[1].parts;
    assert_eq!(
        kinds(&request.turns[1]),
        ["reasoning", "call", "text", "text"]
    );
    let PartKind::Reasoning(reasoning) = &parts[0].kind else {
        panic!("no reasoning")
    };
    assert_eq!(
        reasoning.signature,
        Some(Signature::new("anthropic", "EqQB"))
    );
    assert!(!reasoning.summary && !reasoning.redacted);
    let PartKind::ToolCall(call) = &parts[1].kind else {
        panic!("no call")
    };
    assert_eq!(call.signature, Some(Signature::new("gemini", "CiQB")));
    assert_eq!(call.arguments, "{}");
    let PartKind::Text { signature, .. } = &parts[3].kind else {
        panic!("no text")
    };
    assert_eq!(*signature, Some(Signature::new("gemini", "CiQC")));
}

#[test]
fn a_compacted_history_is_told_or_refused() {
    let own = thought::compaction("they met");
    let body = items(&format!(
        r#"{{"type":"compaction","encrypted_content":"{own}"}},{{"type":"compaction","encrypted_content":"gAAA"}}"#
    ));
    let request = read(&body);
    assert!(
        request.turns[0].parts[0]
            .as_text()
            .is_some_and(|text| text.ends_with("they met"))
    );
    assert_eq!(
        request
            .losses
            .iter()
            .map(|l| (&*l.path, l.severity))
            .collect::<Vec<_>>(),
        [("input[1]", Severity::Meaning)]
    );
}

#[test]
fn tools_that_the_conversation_brings_are_tools() {
    let body = r#"{"input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"g"},{"type":"function","name":"f"}]},{"role":"user","content":"x"}],"tools":[{"type":"function","name":"f"}]}"#;
    let request = read(body);
    let names: Vec<&str> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function(f) => &*f.name,
            Tool::Hosted { name, .. } => name,
        })
        .collect();
    assert_eq!(names, ["f", "g"]);
}
