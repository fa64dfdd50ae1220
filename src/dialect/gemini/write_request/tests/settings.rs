//! Everything but the turns: thinking, sampling, schemas, tools, media.

use super::*;

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
