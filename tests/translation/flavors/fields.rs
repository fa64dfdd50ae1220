//! The fields beside the messages.

use torouter::chat::{Loss, Severity};
use torouter::dialect::openai_chat::read_request;

use super::written;

fn rendered(fields: &str, platform: &str, reasons: bool) -> (String, Vec<Loss>) {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#);
    let request = read_request(body.as_bytes()).unwrap_or_else(|f| panic!("{fields}: {f:?}"));
    written(&request, platform, reasons)
}

fn fields_of(text: &str) -> &str {
    text.strip_prefix(r#"{"model":"gpt-x","messages":[{"role":"user","content":"x"}]"#)
        .and_then(|rest| rest.strip_suffix('}'))
        .map_or(text, |rest| rest.trim_start_matches(','))
}

#[test]
fn what_has_a_field_stays_as_it_was_written() {
    for fields in [
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"b":1.50e+2,"a":{}},"strict":true}}],"tool_choice":"required","parallel_tool_calls":false"#,
        r#""tools":[{"type":"custom","custom":{"name":"c","description":"d"}}],"tool_choice":{"type":"custom","custom":{"name":"c"}}"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":true}}"#,
        r#""response_format":{"type":"json_object"}"#,
        r#""max_completion_tokens":5,"temperature":0.70,"top_p":0.1,"presence_penalty":-1,"frequency_penalty":0.5,"seed":12345678901234567890123,"stop":["a","b"],"n":2,"logprobs":true,"top_logprobs":3"#,
        r#""service_tier":"flex","user":"u","verbosity":"low","modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"},"stream":true,"stream_options":{"include_usage":true}"#,
        r#""web_search_options":{}"#,
    ] {
        let (text, losses) = rendered(fields, "openai", false);
        assert_eq!(fields_of(&text), fields);
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn reasoning_is_asked_for_in_the_words_of_each() {
    for (asked, openai, openrouter) in [
        (
            r#""reasoning_effort":"none""#,
            r#""reasoning_effort":"none""#,
            r#""reasoning":{"effort":"none"}"#,
        ),
        (
            r#""reasoning_effort":"max""#,
            r#""reasoning_effort":"xhigh""#,
            r#""reasoning":{"effort":"xhigh"}"#,
        ),
        (
            r#""reasoning":{"max_tokens":8000}"#,
            r#""reasoning_effort":"medium""#,
            r#""reasoning":{"max_tokens":8000}"#,
        ),
        (
            r#""reasoning":{"enabled":true}"#,
            "",
            r#""reasoning":{"enabled":true}"#,
        ),
        (
            r#""reasoning":{"exclude":true}"#,
            "",
            r#""reasoning":{"exclude":true}"#,
        ),
    ] {
        let (text, _) = rendered(asked, "openai", true);
        assert_eq!(fields_of(&text), openai);
        let (text, _) = rendered(asked, "openrouter", false);
        assert_eq!(fields_of(&text), openrouter);
    }
    let (text, losses) = rendered(r#""reasoning_effort":"low""#, "openai", false);
    assert_eq!(fields_of(&text), "");
    assert_eq!(losses, [Loss::cosmetic("reasoning_effort")]);
}

#[test]
fn a_reasoning_model_takes_no_sampling() {
    let (text, losses) = rendered(
        r#""temperature":0.5,"top_p":1,"max_tokens":9"#,
        "openai",
        true,
    );
    assert_eq!(fields_of(&text), r#""max_completion_tokens":9,"top_p":1"#);
    assert_eq!(losses, [Loss::cosmetic("temperature")]);
}

#[test]
fn a_choice_among_some_leaves_out_the_others_where_it_cannot_be_said() {
    let asked = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
            "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}"#;
    let (text, losses) = rendered(asked, "openai-compatible", false);
    assert_eq!(
        fields_of(&text),
        r#""tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required""#
    );
    assert!(losses.is_empty());
}

#[test]
fn a_free_form_tool_becomes_a_function_of_one_text() {
    let (text, _) = rendered(
        r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#,
        "openai-compatible",
        false,
    );
    assert!(
        text.contains(r#""function":{"name":"c","parameters":{"type":"object""#),
        "{text}"
    );
}

#[test]
fn what_would_change_the_answer_is_refused() {
    for (fields, platform, path) in [
        (r#""n":2"#, "openrouter", "n"),
        (r#""modalities":["image","text"]"#, "openai", "modalities"),
        (
            r#""web_search_options":{}"#,
            "openai-compatible",
            "web_search_options",
        ),
        (
            r#""tools":[{"type":"code_interpreter"}]"#,
            "openai",
            "code_interpreter",
        ),
        (r#""stop":["1","2","3","4","5"]"#, "openai", "stop"),
    ] {
        let (_, losses) = rendered(fields, platform, false);
        let meant: Vec<&str> = losses
            .iter()
            .filter(|loss| loss.severity == Severity::Meaning)
            .map(|loss| &*loss.path)
            .collect();
        assert_eq!(meant, [path]);
    }
}
