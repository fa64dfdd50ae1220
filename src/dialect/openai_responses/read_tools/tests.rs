use crate::chat::{Hosted, Request, Severity, Tool, ToolChoice};
use crate::dialect::openai_responses::read_request;

fn body(fields: &str) -> String {
    format!(r#"{{"input":"x",{fields}}}"#)
}

fn read(body: &str) -> Request<'_> {
    read_request(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"))
}

#[test]
fn the_tools_of_a_namespace_get_flat_names() {
    let body = body(
        r#""tools":[{"type":"namespace","name":"crm","description":"Customers.","tools":[{"type":"function","name":"find","description":"Finds.","strict":false,"parameters":{"type":"object","properties":{"z":{},"a":{}}}}]},{"type":"tool_search","execution":"client"}],"tool_choice":{"type":"function","namespace":"crm","name":"find"}"#,
    );
    let request = read(&body);
    let [Tool::Function(function)] = &request.tools[..] else {
        panic!("{:?}", request.tools)
    };
    assert_eq!(function.name, "crm__find");
    assert_eq!(
        function.description.as_deref(),
        Some("Finds.\n\n(crm: Customers.)")
    );
    assert_eq!(
        function.parameters.as_ref().map(|p| p.get()),
        Some(r#"{"type":"object","properties":{"z":{},"a":{}}}"#)
    );
    assert_eq!(
        request.tool_choice,
        Some(ToolChoice::Named("crm__find".into()))
    );
    assert_eq!(
        (&*request.losses[0].path, request.losses[0].severity),
        ("tools[1]", Severity::Cosmetic)
    );
}

#[test]
fn a_grammar_is_told_to_the_model_where_it_cannot_bind_it() {
    let body = body(
        r#""tools":[{"type":"custom","name":"apply_patch","description":"Edits.","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}]"#,
    );
    let request = read(&body);
    let [Tool::Function(function)] = &request.tools[..] else {
        panic!("no tool")
    };
    assert!(function.custom);
    assert!(
        function
            .description
            .as_deref()
            .is_some_and(|d| d.starts_with("Edits.") && d.ends_with("start: x"))
    );
    assert_eq!(request.losses[0].path, "tools[0].format");
}

#[test]
fn tools_of_the_provider_are_told_by_what_they_do() {
    let body = body(
        r#""max_tool_calls":3,"tools":[{"type":"web_search","filters":{"allowed_domains":["a.com"]},"user_location":null,"search_context_size":"low"},{"type":"code_interpreter","container":{"type":"auto"}},{"type":"file_search","vector_store_ids":["vs"]},{"type":"mcp","server_label":"x"}]"#,
    );
    let request = read(&body);
    let kinds: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Hosted {
                kind,
                name,
                max_uses,
                ..
            } => (*kind, &**name, *max_uses),
            Tool::Function(_) => panic!("a function"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (Hosted::WebSearch, "web_search", Some(3)),
            (Hosted::CodeExecution, "code_interpreter", Some(3)),
            (Hosted::Other, "file_search", Some(3)),
            (Hosted::Other, "mcp", Some(3)),
        ]
    );
    let paths: Vec<&str> = request.losses.iter().map(|l| &*l.path).collect();
    assert_eq!(
        paths,
        ["tools[0].user_location", "tools[0].search_context_size"]
    );
}

#[test]
fn choices_are_understood() {
    for (choice, expected) in [
        (r#""required""#, Some(ToolChoice::Required)),
        (
            r#"{"type":"custom","name":"c"}"#,
            Some(ToolChoice::Named("c".into())),
        ),
        (
            r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}"#,
            Some(ToolChoice::Allowed {
                names: vec!["f".into(), "web_search".into()],
                required: true,
            }),
        ),
        (r#"{"type":"web_search"}"#, Some(ToolChoice::Required)),
        (r#"{"type":"file_search"}"#, None),
    ] {
        let body = body(&format!(
            r#""tools":[{{"type":"web_search"}}],"tool_choice":{choice}"#
        ));
        assert_eq!(read(&body).tool_choice, expected, "{choice}");
    }
}
