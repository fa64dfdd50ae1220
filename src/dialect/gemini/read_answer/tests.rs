use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::chat::{Answer, Fold, Media, PartKind, Reasoning, Source, ToolCall};

/// Checks the grammar of events while it folds them.
#[derive(Default)]
pub(in crate::dialect::gemini) struct Grammar {
    fold: Fold,
    seen: Vec<&'static str>,
    open: BTreeSet<u32>,
    opened: u32,
}

impl Grammar {
    fn event(&mut self, event: Event<'_>) {
        let last = self.seen.last().copied();
        assert!(
            !matches!(last, Some("finish" | "fault")),
            "after the end: {event:?}"
        );
        let name = match &event {
            Event::Start { .. } => {
                assert_eq!(last, None);
                "start"
            }
            Event::Open { part, .. } => {
                assert_eq!(*part, self.opened, "numbers are contiguous");
                self.opened += 1;
                self.open.insert(*part);
                "open"
            }
            Event::Delta { part, delta } => {
                assert!(self.open.contains(part), "{event:?}");
                if let Delta::Text(text) | Delta::Data(text) = delta {
                    assert!(!text.is_empty());
                }
                "delta"
            }
            Event::Close { part } => {
                assert!(self.open.remove(part), "{event:?}");
                "close"
            }
            Event::Stop(_) => {
                assert!(self.open.is_empty());
                "stop"
            }
            Event::Finish => {
                assert_eq!(last, Some("stop"));
                "finish"
            }
            Event::Fault(_) => {
                assert!(self.open.is_empty());
                "fault"
            }
            Event::Usage(_) => "usage",
            Event::ServiceTier(_) => "tier",
            Event::Logprobs { .. } => "logprobs",
            Event::Ping => "ping",
        };
        if name != "start" {
            assert!(last.is_some(), "{name} before the start");
        }
        if last == Some("stop") {
            assert!(matches!(name, "stop" | "finish"));
        }
        self.seen.push(name);
        self.fold.event(event);
    }

    fn finish(self) -> Answer {
        assert!(matches!(self.seen.last(), Some(&("finish" | "fault"))));
        self.fold.finish()
    }
}

fn streamed(chunks: &[&str]) -> Answer {
    let mut reader = Reader::new(Ids::new(1));
    let mut grammar = Grammar::default();
    for chunk in chunks {
        reader.data(chunk.as_bytes(), &mut |event| grammar.event(event));
    }
    reader.end(&mut |event| grammar.event(event));
    reader.end(&mut |event| grammar.event(event));
    grammar.finish()
}

fn whole(body: &str) -> Answer {
    let mut reader = Reader::new(Ids::new(1));
    let mut grammar = Grammar::default();
    reader.body(body.as_bytes(), &mut |event| grammar.event(event));
    grammar.finish()
}

fn part(part: &str, more: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}}{more}}}]}}"#)
}

fn streamed_parts(parts: &[&str]) -> Answer {
    let mut chunks: Vec<String> = parts.iter().map(|one| part(one, "")).collect();
    chunks.push(part(
        r#"{"text":""}"#,
        r#","finishReason":"STOP","index":0"#,
    ));
    streamed(&chunks.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn text_of_one_kind_is_one_part_and_late_content_is_not_lost() {
    let answer = streamed(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"th","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"thoughtsTokenCount":2,"totalTokenCount":7},"modelVersion":"m","responseId":"r","createTime":"2026-03-12T18:06:00.786631Z"}"#,
        r#"{"candidates":[{"content":null}],"new":1}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"ink","thought":true},{"text":"a","thought":false}]},"finishReason":"STOP"}]}"#,
        "not JSON",
        r#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":1}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"thoughtsTokenCount":2,"serviceTier":"flex"}}"#,
    ]);
    assert_eq!(answer.id.as_deref(), Some("r"));
    assert_eq!(answer.model.as_deref(), Some("m"));
    assert_eq!(answer.created, Some(1_773_338_760));
    assert_eq!(answer.service_tier.as_deref(), Some("flex"));
    let choice = &answer.choices[0];
    assert_eq!(choice.parts.len(), 2);
    assert!(matches!(&choice.parts[0].kind, PartKind::Reasoning(r) if r.text == "think"));
    assert_eq!(choice.parts[1].as_text(), Some("ab"));
    assert_eq!(choice.stop, Some(StopReason::End));
    let usage = answer.usage.expect("usage");
    assert_eq!((usage.input(), usage.output, usage.reasoning), (5, 4, 2));
}

#[test]
fn calls_get_ids_where_there_are_none_and_keep_their_arguments() {
    let answer = streamed_parts(&[
        r#"{"functionCall":{"name":"f","args":{"n":1.50e+2}},"thoughtSignature":"AA=="},{"functionCall":{"name":"f","id":""}}"#,
        r#"{"functionCall":{"name":"g","id":"own","args":{}}}"#,
        r#"{"text":"","thoughtSignature":"late"}"#,
    ]);
    let calls: Vec<&ToolCall<'_>> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::ToolCall(call) => call,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls[0].arguments, r#"{"n":1.50e+2}"#);
    assert_eq!(calls[1].arguments, "{}");
    assert!(calls[0].id.starts_with("call_") && calls[0].id != calls[1].id);
    assert_eq!(calls[2].id, "own");
    let signed: Vec<_> = calls
        .iter()
        .map(|c| c.signature.as_ref().map(|s| &*s.data))
        .collect();
    assert_eq!(signed, [Some("AA=="), None, Some("late")]);
    assert_eq!(answer.choices[0].stop, Some(StopReason::ToolCalls));
}

#[test]
fn signatures_stand_on_the_part_that_they_came_on() {
    let answer = streamed_parts(&[
        r#"{"text":"hm","thought":true}"#,
        r#"{"text":"","thought":true,"thoughtSignature":"T"}"#,
        r#"{"toolCall":{"toolType":"x"},"thoughtSignature":"no"}"#,
        r#"{"text":"a"},{"text":"","thoughtSignature":"A"}"#,
        r#"{"text":"b"}"#,
        r#"{"thoughtSignature":"B"}"#,
    ]);
    let parts = &answer.choices[0].parts;
    assert!(
        matches!(&parts[0].kind, PartKind::Reasoning(Reasoning { signature: Some(s), .. }) if s.data == "T" && s.origin == "gemini")
    );
    let texts: Vec<_> = parts[1..]
        .iter()
        .map(|part| match &part.kind {
            PartKind::Text {
                text, signature, ..
            } => (&**text, signature.as_ref().map(|s| &*s.data)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [("a", Some("A")), ("b", Some("B"))]);
}

#[test]
fn reasons_are_words_or_numbers_and_say_what_stopped_it() {
    for (written, reason, detail) in [
        (r#""STOP""#, StopReason::End, None),
        ("2", StopReason::MaxTokens, None),
        (r#""SAFETY""#, StopReason::Filtered, Some("SAFETY")),
        ("9", StopReason::Filtered, Some("SPII")),
        (
            r#""UNEXPECTED_TOOL_CALL""#,
            StopReason::MalformedCall,
            Some("UNEXPECTED_TOOL_CALL"),
        ),
        (r#""BRAND_NEW""#, StopReason::Other, Some("BRAND_NEW")),
        ("99", StopReason::Other, Some("OTHER")),
    ] {
        let answer = streamed(&[&part(
            r#"{"text":"a"}"#,
            &format!(r#","finishReason":{written}"#),
        )]);
        let choice = &answer.choices[0];
        assert_eq!(
            (choice.stop, choice.detail.as_deref()),
            (Some(reason), detail),
            "{written}"
        );
    }
}

#[test]
fn a_stream_that_ends_too_early_is_a_fault() {
    for chunks in [
        vec![],
        vec![part(r#"{"text":"a"}"#, "")],
        vec!["garbage".to_owned()],
    ] {
        let answer = streamed(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(answer.fault.map(|fault| fault.status), Some(502));
    }
    // A whole body is whole.
    let answer = whole(&part(r#"{"text":"a"}"#, ""));
    assert_eq!(answer.choices[0].stop, Some(StopReason::End));
    assert!(whole("{}").fault.is_some());
    assert!(whole("<html>").fault.is_some());
}

#[test]
fn errors_are_faults_also_in_lists() {
    let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let answer = streamed(&[&part(r#"{"text":"a"}"#, ""), error]);
    assert_eq!(
        answer.fault.map(|f| (f.status, f.message)),
        Some((503, "busy".to_owned()))
    );
    for body in [
        error.to_owned(),
        format!("[{error}]"),
        format!("[{},\n{error}]", part(r#"{"text":"a"}"#, "")),
    ] {
        assert_eq!(whole(&body).fault.map(|f| f.status), Some(503));
    }
}

#[test]
fn a_refused_prompt_is_an_empty_answer_that_was_filtered() {
    let body = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}"#;
    for answer in [streamed(&[body]), whole(body)] {
        let choice = &answer.choices[0];
        assert!(choice.parts.is_empty());
        assert_eq!(
            (choice.stop, choice.detail.as_deref()),
            (Some(StopReason::Filtered), Some("SAFETY"))
        );
        assert_eq!(answer.usage.map(|usage| usage.input()), Some(3));
    }
}

#[test]
fn a_list_of_responses_is_read_as_a_stream() {
    let chunk = part(r#"{"text":"a"}"#, "");
    let last = part(r#"{"text":"b"}"#, r#","finishReason":"STOP""#);
    let answer = whole(&format!("[{chunk}\n,\r\n{last}\n]"));
    assert_eq!(answer.choices[0].parts[0].as_text(), Some("ab"));
    assert!(whole(&format!("[{chunk}]")).fault.is_some());
    // Events without blank lines between them come as one.
    let answer = streamed(&[&format!("{chunk}\n{last}")]);
    assert_eq!(answer.choices[0].parts[0].as_text(), Some("ab"));
}

#[test]
fn grounding_is_told_in_characters_of_the_part() {
    let answer = streamed(&[
        &part(r#"{"text":"Grüße, "}"#, ""),
        &part(
            r#"{"text":"Welt ist groß"}"#,
            r#","finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"web":{"uri":"https://b"}},{"retrievedContext":{"title":"C","text":"q"}}],
            "groundingSupports":[{"segment":{"startIndex":9,"endIndex":23,"text":"Welt ist groß"},"groundingChunkIndices":[0,2,9]}]}"#,
        ),
        &part(r#"{"text":"!"}"#, r#","groundingMetadata":{}"#),
    ]);
    let PartKind::Text {
        text, citations, ..
    } = &answer.choices[0].parts[0].kind
    else {
        panic!("no text");
    };
    assert_eq!(text, "Grüße, Welt ist groß!");
    let told: Vec<_> = citations
        .iter()
        .map(|c| {
            (
                c.url.as_deref(),
                c.title.as_deref(),
                c.quote.as_deref(),
                c.span,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("https://a"), Some("A"), None, Some((7, 20))),
            (None, Some("C"), Some("q"), Some((7, 20))),
            (Some("https://b"), None, None, None),
        ]
    );
    let recited = streamed(&[&part(
        r#"{"text":"abc"}"#,
        r#","finishReason":"RECITATION","citationMetadata":{"citationSources":[{"startIndex":1,"endIndex":2,"uri":"https://c"}]}"#,
    )]);
    let PartKind::Text { citations, .. } = &recited.choices[0].parts[0].kind else {
        panic!("no text");
    };
    assert_eq!(citations[0].span, Some((1, 2)));
}

#[test]
fn media_code_logprobs_and_several_choices_are_carried() {
    let answer = streamed(&[
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"},{"index":0,"content":{"parts":[{"executableCode":{"language":"PYTHON","code":"print(1)"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}},{"inlineData":{"mimeType":"image/png","data":"ab-_"}},{"inlineData":{"mimeType":"image/png","data":"AAAA"},"thought":true}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/L16","data":"AAAA"}}]},"logprobsResult":{"chosenCandidates":[{"token":"a","tokenId":1,"logProbability":-1.50}],"topCandidates":[{"candidates":[{"token":"b","logProbability":-2}]}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/L16","data":"BBBB"}}]},"finishReason":"STOP"}]}"#,
    ]);
    assert_eq!(answer.choices[1].parts[0].as_text(), Some("b"));
    assert_eq!(answer.choices[1].stop, Some(StopReason::MaxTokens));
    let choice = &answer.choices[0];
    assert_eq!(
        choice.parts[0].as_text(),
        Some("```python\nprint(1)\n```\n```\n1\n```\n")
    );
    let data: Vec<&str> = choice.parts[1..]
        .iter()
        .map(|part| match &part.kind {
            PartKind::Media(Media {
                source: Source::Base64(data),
                ..
            }) => &**data,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(data, ["ab+/", "AAAABBBB"]);
    assert_eq!(choice.logprobs[0].logprob.0.get(), "-1.50");
    assert_eq!(choice.logprobs[0].top[0].0, "b");
}

/// What was recorded, where it lies beside the project.
#[test]
fn recorded_answers_are_read_by_the_grammar() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    let mut read = 0;
    for folder in [
        "gemini/generateContent",
        "gemini/streamGenerateContent",
        "vertex/generateContent",
        "vertex/streamGenerateContent",
    ] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let text = std::fs::read_to_string(&path).expect("a file");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            if let Some(body) = record["request"]["body"].as_object() {
                let body = Value::Object(body.clone()).to_string();
                crate::dialect::gemini::read_request(body.as_bytes(), false)
                    .unwrap_or_else(|fault| panic!("{path:?}: {fault:?}"));
            }
            let response = &record["response"];
            let answer = match response["sse"].as_str() {
                Some(sse) => {
                    let lines: Vec<&str> = sse
                        .lines()
                        .filter_map(|line| line.strip_prefix("data: "))
                        .collect();
                    if lines.is_empty() {
                        whole(sse)
                    } else {
                        streamed(&lines)
                    }
                }
                None => whole(&response["body"].to_string()),
            };
            if response["truncated"] != true {
                let failed = response["status"] != 200;
                assert_eq!(
                    answer.fault.is_some(),
                    failed,
                    "{path:?} {:?}",
                    answer.fault
                );
            }
            read += 1;
        }
    }
    assert!(read > 40, "{read}");
}
