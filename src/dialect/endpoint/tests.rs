use super::*;

fn op(method: &Method, path: &str) -> Result<(Surface, Operation, Option<String>), Unmatched> {
    find(method, path, &HeaderMap::new())
        .map(|e| (e.surface, e.operation, e.model.map(str::to_owned)))
}

#[test]
fn every_path_answers_on_both_mounts() {
    use Operation as Op;
    for (method, path, operation) in [
        (Method::POST, "/v1/chat/completions", Op::Chat),
        (Method::POST, "/v1/responses", Op::Responses),
        (Method::GET, "/v1/responses/resp_1", Op::ResponseGet),
        (Method::DELETE, "/v1/responses/resp_1", Op::ResponseDelete),
        (
            Method::GET,
            "/v1/responses/resp_1/input_items",
            Op::ResponseInputItems,
        ),
        (
            Method::POST,
            "/v1/responses/resp_1/cancel",
            Op::ResponseCancel,
        ),
        (Method::POST, "/v1/responses/compact", Op::ResponsesCompact),
        (Method::POST, "/v1/conversations", Op::Conversations),
        (
            Method::DELETE,
            "/v1/conversations/conv_1",
            Op::Conversations,
        ),
        (
            Method::GET,
            "/v1/conversations/conv_1/items/msg_1",
            Op::Conversations,
        ),
        (Method::POST, "/v1/messages", Op::Messages),
        (
            Method::POST,
            "/v1/messages/count_tokens",
            Op::MessagesCountTokens,
        ),
        (
            Method::POST,
            "/v1beta/models/gemini-3-flash:generateContent",
            Op::GenerateContent,
        ),
        (
            Method::POST,
            "/v1/models/gemini-3-flash:generateContent",
            Op::GenerateContent,
        ),
        (Method::GET, "/v1beta/models/gemini-3-flash", Op::ModelGet),
        (Method::GET, "/v1/models", Op::ModelsList),
        (Method::GET, "/v1/models/openai/gpt-5", Op::ModelGet),
    ] {
        assert_eq!(op(&method, path).map(|e| e.1), Ok(operation), "{path}");
        let mounted = format!("/api{path}");
        assert_eq!(
            op(&method, &mounted).map(|e| e.1),
            Ok(operation),
            "{mounted}"
        );
    }
}

#[test]
fn paths_are_matched_as_they_stand() {
    for path in [
        "/",
        "/v1",
        "/v1/",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/api/api/v1/models",
        "/v1/../v1/models",
        "/v1/models/..",
        "/v1/models/a%2fb",
        "/v1/chat/completions;x",
        "/v1/models/",
        "/v1/responses/",
        "/v1/responses/a/b",
        "/v1beta/models/:generateContent",
        "/apiv1/models",
        "/v1beta/models/m:unknownVerb",
        "/v1/models//a",
        "/V1/models",
        "/v1/responses/a/cancel/",
        "/v1/conversations/",
        "/v1/conversations/a/b",
        "/v1/conversationsx",
    ] {
        assert!(
            matches!(op(&Method::POST, path), Err(Unmatched::Path(_))),
            "{path}"
        );
    }
}

#[test]
fn the_path_and_headers_suggest_the_surface() {
    let mut anthropic = HeaderMap::new();
    anthropic.insert(
        "anthropic-version",
        http::HeaderValue::from_static("2023-06-01"),
    );
    let surface = |path, headers: &HeaderMap| find(&Method::GET, path, headers).map(|e| e.surface);
    assert_eq!(surface("/v1/models", &anthropic), Ok(Surface::Anthropic));
    assert_eq!(
        surface("/v1/models", &HeaderMap::new()),
        Ok(Surface::OpenAi)
    );
    let mut google = HeaderMap::new();
    google.insert("x-goog-api-key", http::HeaderValue::from_static("k"));
    assert_eq!(surface("/v1/models", &google), Ok(Surface::Gemini));
    assert_eq!(
        op(&Method::GET, "/v1beta/x"),
        Err(Unmatched::Path(Surface::Gemini))
    );
    assert_eq!(
        op(&Method::GET, "/v1/messages/x"),
        Err(Unmatched::Path(Surface::Anthropic))
    );
}

#[test]
fn models_may_have_colons_and_slashes() {
    let model = |method: &Method, path: &str| op(method, path).map(|e| e.2.unwrap_or_default());
    assert_eq!(
        model(&Method::POST, "/v1beta/models/a/b:free:generateContent"),
        Ok("a/b:free".into())
    );
    assert_eq!(
        model(&Method::GET, "/v1/models/llama3:8b"),
        Ok("llama3:8b".into())
    );
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    assert_eq!(
        op(&Method::GET, "/v1/chat/completions"),
        Err(Unmatched::Method {
            surface: Surface::OpenAi,
            allow: "POST"
        })
    );
    assert_eq!(
        op(&Method::POST, "/v1/responses/resp_1"),
        Err(Unmatched::Method {
            surface: Surface::OpenAi,
            allow: "GET, DELETE"
        })
    );
}
