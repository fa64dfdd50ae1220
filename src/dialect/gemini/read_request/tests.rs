use super::*;
use crate::chat::{
    Depth, Effort, Format, Hosted, MediaKind, PartKind, Role, Severity, Source, Tool, ToolCall,
    ToolChoice, ToolResult, Turn,
};
use crate::dialect::gemini::SAMPLES;
use crate::dialect::gemini::sealed::{Thought, pack};

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes(), false).unwrap_or_else(|fault| panic!("{fault:?}: {body}"))
}

fn calls<'r>(request: &'r Request<'_>) -> Vec<&'r ToolCall<'r>> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts
        .filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(call),
            _ => None,
        })
        .collect()
}

fn results<'r>(request: &'r Request<'_>) -> Vec<&'r ToolResult<'r>> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts
        .filter_map(|part| match &part.kind {
            PartKind::ToolResult(result) => Some(result),
            _ => None,
        })
        .collect()
}

fn paths(request: &Request<'_>, severity: Severity) -> Vec<String> {
    let losses = request.losses.iter();
    losses
        .filter(|loss| loss.severity == severity)
        .map(|loss| loss.path.clone().into_owned())
        .collect()
}

fn roles(turns: &[Turn<'_>]) -> Vec<Role> {
    turns.iter().map(|turn| turn.role).collect()
}

#[test]
fn both_spellings_and_the_short_forms_are_understood() {
    let camel = r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}],"systemInstruction":{"role":"model","parts":[{"text":"s"}]},
        "generationConfig":{"maxOutputTokens":5,"topK":40.0,"stopSequences":["x"],"thinkingConfig":{"thinkingBudget":0}}}"#;
    let snake = r#"{"contents":{"role":"USER","parts":{"text":"a"}},"system_instruction":"s","safety_settings":null,
        "generation_config":{"max_output_tokens":"5","top_k":40.0,"stop_sequences":["x"],"thinking_config":{"thinking_budget":0}}}"#;
    for body in [camel, snake] {
        let request = read(body);
        assert_eq!(roles(&request.turns), [Role::System, Role::User]);
        assert_eq!(request.turns[1].parts[0].as_text(), Some("a"));
        assert_eq!(request.max_tokens, Some(5));
        assert_eq!(request.top_k.as_ref().map(|k| k.get()), Some("40.0"));
        assert_eq!(request.stop, ["x"]);
        assert_eq!(request.thinking.and_then(|t| t.depth), Some(Depth::Off));
        assert!(request.include_usage && request.losses.is_empty());
    }
    assert_eq!(roles(&read(r#"{"contents":"hello"}"#).turns), [Role::User]);
    assert_eq!(
        roles(&read(r#"{"contents":["a",{"parts":["b"]}]}"#).turns),
        [Role::User]
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (body, param) in [
        ("{}", "contents"),
        (r#"{"contents":[]}"#, "contents"),
        (
            r#"{"contents":[{"role":"bot","parts":[]}]}"#,
            "contents[0].role",
        ),
        (
            r#"{"contents":"a","tools":[{"function_declarations":[{"description":"d"}]}]}"#,
            "tools[0].function_declarations[0].name",
        ),
        (
            r#"{"contents":"a","generationConfig":{"temperature":"hot"}}"#,
            "generationConfig.temperature",
        ),
        (
            r#"{"contents":[{"parts":[{"text":5}]}]}"#,
            "contents[0].parts[0].text",
        ),
    ] {
        let fault = read_request(body.as_bytes(), false).expect_err(body);
        assert_eq!(fault.status, 400);
        assert_eq!(fault.param.as_deref(), Some(param), "{}", fault.message);
    }
}

#[test]
fn calls_without_ids_get_stable_ones_and_their_results_find_them() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"go"}]},
        {"role":"model","parts":[{"functionCall":{"name":"get.it","args":{"n":1.50e+2}}},{"functionCall":{"name":"get.it"}},{"functionCall":{"name":"other","args":{}}}]},
        {"role":"function","parts":[{"functionResponse":{"name":"other","response":{"output":"o"}}},
            {"functionResponse":{"name":"get.it","response":{"result":5}}},{"functionResponse":{"name":"get.it","response":{"error":"no"}}}]},
        {"role":"model","parts":[{"functionCall":{"name":"get.it","args":{}}}]}]}"#;
    let request = read(body);
    let ids: Vec<&str> = calls(&request).iter().map(|call| &*call.id).collect();
    assert_eq!(
        ids,
        [
            "call_get_it_1",
            "call_get_it_2",
            "call_other_1",
            "call_get_it_3"
        ]
    );
    assert_eq!(calls(&request)[0].arguments, r#"{"n":1.50e+2}"#);
    assert_eq!(calls(&request)[1].arguments, "{}");
    let results = results(&request);
    let answered: Vec<&str> = results.iter().map(|result| &*result.call_id).collect();
    assert_eq!(answered, ["call_other_1", "call_get_it_1", "call_get_it_2"]);
    assert_eq!(results[0].content[0].as_text(), Some("o"));
    assert_eq!(results[1].json.as_ref().map(|json| json.get()), Some("5"));
    assert!(results[2].is_error && !results[1].is_error);
}

#[test]
fn results_are_paired_by_id_where_there_is_one() {
    let request = read(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"id":"b","name":"f"}},{"functionCall":{"id":"a","name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"x":1,"y":[2]},
            "parts":[{"inlineData":{"mimeType":"image/png","data":"ab-_"}}]}},
            {"functionResponse":{"id":"b","name":"f","response":{}}}]}]}"#,
    );
    let results = results(&request);
    assert_eq!((&*results[0].call_id, &*results[1].call_id), ("a", "b"));
    assert_eq!(
        results[0].json.as_ref().map(|json| json.get()),
        Some(r#"{"x":1,"y":[2]}"#)
    );
    let PartKind::Media(media) = &results[0].content[1].kind else {
        panic!("no image");
    };
    assert!(matches!(&media.source, Source::Base64(data) if data == "ab+/"));
}

#[test]
fn media_are_told_apart_by_type_and_place() {
    let request = read(
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"UklG"}},
        {"inline_data":{"mime_type":"text/csv","data":"YSxi"}},
        {"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x","mimeType":"image/png"}},
        {"fileData":{"fileUri":"gs://b/x.pdf"}},{"fileData":{"fileUri":"https://youtu.be/x"}},
        {"file_data":{"file_uri":"https://example.com/a.png?b"},"videoMetadata":{"fps":1}}]}]}"#,
    );
    let media: Vec<_> = request.turns[0]
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Media(media) => Some((media.kind, &media.source)),
            _ => None,
        })
        .collect();
    assert!(matches!(media[0], (MediaKind::Audio, Source::Base64(_))));
    assert!(matches!(media[1], (MediaKind::Document, Source::Plain(t)) if t == "a,b"));
    assert!(matches!(media[2], (MediaKind::Image, Source::File(_))));
    assert!(matches!(media[3], (MediaKind::Document, Source::File(_))));
    assert!(matches!(media[4], (MediaKind::Video, Source::Url(_))));
    assert!(matches!(media[5], (MediaKind::Image, Source::Url(_))));
    assert_eq!(
        paths(&request, Severity::Cosmetic),
        ["contents[0].parts[5].videoMetadata"]
    );
}

#[test]
fn tools_schemas_and_choices_become_standard() {
    let request = read(
        r#"{"contents":"a","tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"x":{"type":"STRING"}}}},
            {"name":"g","parametersJsonSchema":{"type":"object","x-odd":1.0}}]},{"google_search":{}},{"codeExecution":{},"urlContext":{}},{"googleMaps":{}}],
        "toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["f"]}}}"#,
    );
    let Tool::Function(f) = &request.tools[0] else {
        panic!("no function");
    };
    assert_eq!(
        f.parameters.as_ref().map(|p| p.get()),
        Some(r#"{"type":"object","properties":{"x":{"type":"string"}}}"#)
    );
    let Tool::Function(g) = &request.tools[1] else {
        panic!("no function");
    };
    assert_eq!(
        g.parameters.as_ref().map(|p| p.get()),
        Some(r#"{"type":"object","x-odd":1.0}"#)
    );
    let kinds: Vec<Hosted> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Hosted { kind, .. } => Some(*kind),
            Tool::Function(_) => None,
        })
        .collect();
    assert_eq!(
        kinds,
        [
            Hosted::WebSearch,
            Hosted::CodeExecution,
            Hosted::WebFetch,
            Hosted::Other
        ]
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    for (config, expected) in [
        (r#"{"mode":2}"#, Some(ToolChoice::Required)),
        (r#"{"mode":"NONE"}"#, Some(ToolChoice::None)),
        (r#"{"mode":"VALIDATED"}"#, Some(ToolChoice::Auto)),
        ("{}", None),
    ] {
        let body =
            format!(r#"{{"contents":"a","tool_config":{{"function_calling_config":{config}}}}}"#);
        assert_eq!(read(&body).tool_choice, expected);
    }
}

#[test]
fn structured_output_is_a_schema_or_any_object() {
    let format = |config: &str| {
        let body = format!(r#"{{"contents":"a","generationConfig":{config}}}"#);
        match read(&body).format {
            Some(Format::JsonSchema { schema, .. }) => schema.get().to_owned(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(
        format(r#"{"responseMimeType":"application/json"}"#),
        "Some(JsonObject)"
    );
    assert_eq!(
        format(r#"{"responseMimeType":"application/json","responseSchema":{"type":"STRING"}}"#),
        r#"{"type":"string"}"#
    );
    assert_eq!(
        format(
            r#"{"response_mime_type":"application/json","response_json_schema":{"type":"string"}}"#
        ),
        r#"{"type":"string"}"#
    );
    let body = r#"{"contents":"a","generation_config":{"response_mime_type":"text/x.enum"}}"#;
    assert_eq!(
        paths(&read(body), Severity::Meaning),
        ["generation_config.response_mime_type"]
    );
}

#[test]
fn thoughts_gather_their_pieces_and_dummies_are_no_signatures() {
    let request = read(
        r#"{"contents":["go",{"role":"model","parts":[{"text":"a","thought":true},{"text":"b","thought":true},
        {"text":"","thought":true,"thoughtSignature":"AAAA"},{"text":"say","thought":false},{"text":"","thoughtSignature":"BBBB"},
        {"functionCall":{"name":"f"},"thoughtSignature":"skip_thought_signature_validator"},
        {"functionCall":{"name":"f"},"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="},
        {"functionCall":{"name":"f"},"thoughtSignature":"CC_-"}]}]}"#,
    );
    let parts = &request.turns[1].parts;
    assert!(
        matches!(&parts[0].kind, PartKind::Reasoning(r) if r.text == "ab" && r.signature.as_ref().is_some_and(|s| s.data == "AAAA" && s.origin == "gemini"))
    );
    assert!(
        matches!(&parts[1].kind, PartKind::Text { text, signature: Some(s), .. } if text == "say" && s.data == "BBBB")
    );
    let signed: Vec<bool> = calls(&request)
        .iter()
        .map(|c| c.signature.is_some())
        .collect();
    assert_eq!(signed, [false, false, true]);
    assert_eq!(parts.len(), 5);
}

#[test]
fn reasoning_of_others_comes_back_from_the_call_that_carried_it() {
    let signature = crate::chat::Signature::new("anthropic", "Eq/+==");
    let redacted = crate::chat::Signature::new("anthropic", "hidden");
    let thought = |text: &str, signature, redacted| Thought {
        text: text.into(),
        signature: Some(signature),
        redacted,
        summary: false,
    };
    let packed = pack(&[
        thought("deep", signature.clone(), false),
        thought("", redacted.clone(), true),
    ]);
    let sealed = crate::chat::seal::seal(&signature);
    // The client kept all, the text only, or nothing of the thoughts.
    for kept in [
        format!(r#"{{"text":"deep","thought":true,"thoughtSignature":"{sealed}"}},"#),
        r#"{"text":"deep","thought":true},"#.to_owned(),
        String::new(),
    ] {
        let body = format!(
            r#"{{"contents":["go",{{"role":"model","parts":[{kept}{{"functionCall":{{"name":"f"}},"thoughtSignature":"{}"}}]}}]}}"#,
            packed.replace('+', "-").replace('/', "_")
        );
        let request = read(&body);
        let parts = &request.turns[1].parts;
        assert_eq!(parts.len(), 3, "{kept}");
        assert!(
            matches!(&parts[0].kind, PartKind::Reasoning(r) if r.text == "deep" && r.signature.as_ref() == Some(&signature) && !r.redacted)
        );
        assert!(
            matches!(&parts[1].kind, PartKind::Reasoning(r) if r.signature.as_ref() == Some(&redacted) && r.redacted)
        );
        assert!(matches!(&parts[2].kind, PartKind::ToolCall(c) if c.signature.is_none()));
    }
}

#[test]
fn what_is_not_carried_is_told_as_the_client_spells_it() {
    let request = read(
        r#"{"contents":[{"parts":[{"text":"a","new":1,"part_metadata":{}}]}],"safety_settings":[],"labels":{},"fresh":1,
        "cached_content":"cachedContents/x","generation_config":{"thinking_config":{"thinking_level":"HIGH","include_thoughts":true},"audio_timestamp":true}}"#,
    );
    assert_eq!(
        paths(&request, Severity::Cosmetic),
        [
            "contents[0].parts[0].part_metadata",
            "contents[0].parts[0].new",
            "generation_config.audio_timestamp",
            "safety_settings",
            "labels",
            "fresh"
        ]
    );
    assert_eq!(paths(&request, Severity::Meaning), ["cached_content"]);
    let thinking = request.thinking.expect("thinking");
    assert_eq!(
        (thinking.depth, thinking.show),
        (Some(Depth::Effort(Effort::High)), Some(true))
    );
}

#[test]
fn each_sample_is_a_request_that_is_read() {
    for (name, fields) in SAMPLES {
        let contents = if fields.contains("\"contents\"") {
            ""
        } else {
            r#""contents":[{"role":"user","parts":[{"text":"hi"}]}],"#
        };
        let body = format!("{{{contents}{fields}}}");
        let request = read(&body);
        let unknown: Vec<_> = request
            .losses
            .iter()
            .filter(|loss| loss.path.is_empty())
            .collect();
        assert!(unknown.is_empty(), "{name}");
    }
}
