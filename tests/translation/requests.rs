//! A request on its way: a client's body, read from its protocol and written for a platform.

use torouter::base::Fault;
use torouter::chat::Request;
use torouter::dialect::translate::{Rendered, Target};
use torouter::dialect::{Dialect, Operation};
use torouter::platform::by_name;

use crate::schemas;

/// Each platform, and a model that it serves; one of them by its other API.
pub const PLATFORMS: [(&str, &str); 6] = [
    ("openai", "gpt-5"),
    (RESPONSES, "gpt-5-pro"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
    ("openai-compatible", "llama-3.3-70b"),
];

/// `openai`, for its models that only the Responses API has.
pub const RESPONSES: &str = "openai-responses";

pub fn target<'a>(platform: &str, model: &'a str) -> Target<'a> {
    if platform == RESPONSES {
        return by_name("openai")
            .expect("a platform")
            .responses_target(model);
    }
    by_name(platform).expect("a platform").target(model)
}

/// Does a request of this protocol reach the platform as it came?
pub fn is_verbatim(surface: Dialect, platform: &str) -> bool {
    let operation = match surface {
        Dialect::OpenAiResponses => Operation::Responses,
        other => return other == platform_dialect(platform),
    };
    platform == RESPONSES || (by_name(platform).expect("a platform").serves)(operation)
}

pub fn platform_dialect(platform: &str) -> Dialect {
    target(platform, "m").dialect()
}

pub fn write(request: &Request<'_>, platform: &str, model: &str) -> Result<Rendered, Fault> {
    target(platform, model)
        .suited(request)
        .write_request(request)
}

/// `None`: the platform speaks the client's protocol, so that the body is passed on and not rendered. What is rendered
/// is valid by the provider's own description, where that is here.
pub fn render(
    surface: Dialect,
    body: &[u8],
    stream: bool,
    platform: &str,
    model: &str,
) -> Option<Result<Rendered, Fault>> {
    let target = target(platform, model);
    if target.dialect() == surface {
        return None;
    }
    let mut dialect = target.dialect();
    let rendered = surface.read_request(body, stream).and_then(|request| {
        let target = target.suited(&request);
        dialect = target.dialect();
        target.write_request(&request)
    });
    if let Ok(rendered) = &rendered
        && platform != "openrouter"
        && platform != "openai-compatible"
        && let Err(mistakes) = schemas::check(dialect, &rendered.body)
    {
        let (asked, sent) = (
            String::from_utf8_lossy(body),
            String::from_utf8_lossy(&rendered.body),
        );
        panic!("not valid for {platform}: {mistakes}\nasked: {asked}\nsent: {sent}");
    }
    Some(rendered)
}

pub fn refusal_names_its_field(name: &str, fault: &Fault) {
    assert_eq!(fault.status, 400, "{name}: {fault:?}");
    assert!(fault.param.is_some(), "{name}: {fault:?}");
    assert!(fault.message.ends_with('.'), "{name}: {fault:?}");
}
