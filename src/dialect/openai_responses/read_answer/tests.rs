use super::*;
use crate::chat::{Answer, Fold, PartKind};

fn read(events: &[&str]) -> Answer {
    let mut fold = Fold::default();
    let mut reader = Reader::new(Ids::new(1));
    for event in events {
        reader.data(event.as_bytes(), &mut |event| fold.event(event));
    }
    reader.end(&mut |event| fold.event(event));
    fold.finish()
}

fn said(answer: &Answer) -> Vec<String> {
    answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::Text {
                text, citations, ..
            } if citations.is_empty() => format!("text {text}"),
            PartKind::Text {
                text, citations, ..
            } => format!("text {text} {}", citations.len()),
            PartKind::Media(media) => format!("media {:?}", media.source),
            PartKind::Reasoning(r) => format!(
                "reasoning {} {} {}",
                r.text,
                r.redacted,
                r.signature.as_ref().map_or("", |s| &s.data)
            ),
            PartKind::ToolCall(call) => {
                format!("call {} {} {}", call.id, call.name, call.arguments)
            }
            PartKind::ToolResult(_) => "result".to_owned(),
            PartKind::Refusal(text) => format!("refusal {text}"),
        })
        .collect()
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","created_at":5,"model":"m","status":"in_progress","output":[]}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}"#;

#[test]
fn what_comes_in_pieces_and_whole_is_told_once() {
    let answer = read(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}"#,
        r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"He"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":""}"#,
        r#"{"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation":{"type":"url_citation","url":"https://a","start_index":0,"end_index":1}}"#,
        r#"{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hello"}"#,
        r#"{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"https://a"}]}}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"https://a"},{"type":"url_citation","url":"https://b"}]}]}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\""}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":1,"arguments":"{\"a\":1.0}"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1.0}"}}"#,
        r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","id":"msg_x","content":[{"type":"output_text","text":"Hello"}]},{"type":"function_call","id":"fc_x","call_id":"c1","name":"f","arguments":"{\"a\":1.0}"}]}}"#,
    ]);
    assert_eq!(said(&answer), ["text Hello 2", "call c1 f {\"a\":1.0}"]);
    assert_eq!(answer.choices[0].stop, Some(StopReason::ToolCalls));
    assert_eq!(
        (answer.id.as_deref(), answer.created),
        (Some("resp_1"), Some(5))
    );
    assert!(answer.fault.is_none());
}

#[test]
fn what_only_the_end_tells_is_not_lost() {
    let late = read(&[
        CREATED,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"custom_tool_call","call_id":"c","name":"patch","input":"x"}}"#,
        COMPLETED,
    ]);
    assert_eq!(said(&late), ["call c patch x"]);
    let last = read(&[
        r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}}"#,
    ]);
    assert_eq!(said(&last), ["refusal no"]);
    assert_eq!(last.choices[0].stop, Some(StopReason::Refusal));
    let nameless = read(&[
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call"}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"f","arguments":"{}"}}"#,
        COMPLETED,
    ]);
    assert!(
        said(&nameless)[0].starts_with("call call_"),
        "{:?}",
        said(&nameless)
    );
}

#[test]
fn reasoning_keeps_its_item_and_its_summaries() {
    let item = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"ab"},{"type":"summary_text","text":"c"}],"encrypted_content":"gA"}"#;
    let done = format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{item}}}"#);
    let answer = read(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"g"}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"ab"}"#,
        r#"{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"text":"ab"}"#,
        r#"{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":1,"text":"c"}"#,
        &done,
        COMPLETED,
    ]);
    assert_eq!(said(&answer), [format!("reasoning ab\n\nc false {item}")]);
    let silent = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gA"}"#;
    let done =
        format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{silent}}}"#);
    assert_eq!(
        said(&read(&[&done, COMPLETED])),
        [format!("reasoning  true {silent}")]
    );
    let empty = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#;
    assert_eq!(said(&read(&[empty, COMPLETED])), [""; 0]);
}

#[test]
fn a_cut_stream_and_an_error_are_faults() {
    let cut = read(&[
        CREATED,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"He"}"#,
    ]);
    assert_eq!(said(&cut), ["text He"]);
    assert_eq!(cut.fault.map(|f| f.status), Some(502));
    let failed = read(&[
        CREATED,
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}}"#,
        COMPLETED,
    ]);
    assert_eq!(
        failed.fault.map(|f| (f.status, f.message)),
        Some((429, "m".to_owned()))
    );
    let cut = read(&[
        r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
    ]);
    assert_eq!(cut.choices[0].stop, Some(StopReason::MaxTokens));
}

#[test]
fn whole_bodies_give_the_same_and_their_errors_are_faults() {
    for (body, fault) in [
        (
            r#"{"id":"r","status":"failed","output":[],"error":{"code":"server_error","message":"m"}}"#,
            Some((500, "m")),
        ),
        (
            r#"{"error":{"message":"m","type":"invalid_request_error"}}"#,
            Some((400, "m")),
        ),
        (
            r#"{"id":"r","object":"response","status":"in_progress","output":[]}"#,
            Some((
                502,
                "The provider's stream ended before the answer was whole.",
            )),
        ),
        (
            "<html>",
            Some((502, "The provider's answer is none of this protocol.")),
        ),
        (
            r#"{"id":"r","status":"completed","error":null,"output":[{"type":"image_generation_call","result":"AAAA","output_format":"webp"}]}"#,
            None,
        ),
    ] {
        let mut fold = Fold::default();
        Reader::new(Ids::new(1)).body(body.as_bytes(), &mut |event| fold.event(event));
        let answer = fold.finish();
        assert_eq!(
            answer
                .fault
                .as_ref()
                .map(|f| (f.status, f.message.as_str())),
            fault,
            "{body}"
        );
        if fault.is_none() {
            assert_eq!(said(&answer), ["media Base64(\"AAAA\")"]);
        }
    }
}
