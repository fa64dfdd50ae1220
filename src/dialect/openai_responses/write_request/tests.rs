use super::*;
use crate::chat::{Json, Severity};
use crate::dialect::openai_responses::read_request;
use serde_json::value::RawValue;

fn written(request: &Request<'_>, reasons: bool) -> (String, Vec<Loss>) {
    let target = Target {
        model: "gpt-x",
        reasons,
    };
    let rendered = write_request(request, &target).expect("written");
    let text = String::from_utf8(rendered.body).expect("text");
    serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    (text, rendered.losses)
}

#[test]
fn what_has_a_field_stays_as_it_was_written() {
    for fields in [
        r#""tools":[{"type":"function","name":"f","description":"d","parameters":{"b":1.50e+2,"a":{}},"strict":true}],"tool_choice":"required","parallel_tool_calls":false,"store":false"#,
        r#""tools":[{"type":"custom","name":"c","description":"d"}],"tool_choice":{"type":"custom","name":"c"},"store":false"#,
        r#""tools":[{"type":"web_search","filters":{"allowed_domains":["a.com"]}},{"type":"code_interpreter","container":{"type":"auto"}}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]},"store":false"#,
        r#""text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true},"verbosity":"low"},"store":false"#,
        r#""max_output_tokens":50,"temperature":0.70,"top_p":0.1,"top_logprobs":2,"service_tier":"flex","user":"u","store":false,"include":["message.output_text.logprobs"],"stream":true"#,
    ] {
        let head = r#"{"model":"gpt-x","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}],"#;
        let body = format!("{head}{fields}}}");
        let request = read_request(body.as_bytes()).expect("valid");
        let (text, losses) = written(&request, false);
        assert_eq!(text, body);
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn a_reasoning_model_is_asked_for_what_it_can_read_again() {
    let body = r#"{"input":"x","reasoning":{"effort":"low","summary":"detailed"},"temperature":0.5,"max_output_tokens":3}"#;
    let request = read_request(body.as_bytes()).expect("valid");
    let (text, losses) = written(&request, true);
    assert!(text.ends_with(
        r#""reasoning":{"effort":"low","summary":"auto"},"max_output_tokens":16,"store":false,"include":["reasoning.encrypted_content"]}"#
    ), "{text}");
    assert_eq!(
        losses,
        [Loss::cosmetic("max_tokens"), Loss::cosmetic("temperature")]
    );
    let (text, losses) = written(&request, false);
    assert!(!text.contains("effort"));
    assert_eq!(
        losses,
        [
            Loss::cosmetic("reasoning_effort"),
            Loss::cosmetic("max_tokens")
        ]
    );
}

#[test]
fn strictness_is_never_added() {
    let body = r#"{"input":"x","tools":[{"type":"function","name":"f"}]}"#;
    let request = read_request(body.as_bytes()).expect("valid");
    let (text, _) = written(&request, false);
    assert!(
        text.contains(r#""parameters":{"type":"object","properties":{}},"strict":false"#),
        "{text}"
    );
}

#[test]
fn what_would_change_the_answer_is_refused() {
    let raw = |text: &str| Json::Owned(RawValue::from_string(text.to_owned()).expect("JSON"));
    let request = Request {
        n: Some(2),
        stop: vec!["x".into()],
        modalities: vec!["audio".into()],
        seed: Some(raw("5")),
        tools: vec![Tool::Hosted {
            kind: Hosted::WebFetch,
            name: "web_fetch".into(),
            allowed_domains: Vec::new(),
            blocked_domains: Vec::new(),
            max_uses: None,
        }],
        ..Request::default()
    };
    let (text, losses) = written(&request, false);
    assert!(text.contains(r#""tools":[],"#), "{text}");
    let meant: Vec<&str> = losses
        .iter()
        .filter(|loss| loss.severity == Severity::Meaning)
        .map(|loss| &*loss.path)
        .collect();
    assert_eq!(meant, ["web_fetch", "stop", "n", "modalities"]);
    assert!(losses.contains(&Loss::cosmetic("seed")));
}
