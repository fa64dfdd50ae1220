//! A request on its way: a client's body, read from its protocol and written for a platform.

use torouter::base::Fault;
use torouter::chat::Request;
use torouter::dialect::Dialect;
use torouter::dialect::translate::Rendered;
use torouter::platform::by_name;

use crate::schemas;

/// Each platform, and a model that it serves.
pub const PLATFORMS: [(&str, &str); 5] = [
    ("openai", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
    ("openai-compatible", "llama-3.3-70b"),
];

pub fn platform_dialect(platform: &str) -> Dialect {
    let platform = by_name(platform).expect("a platform");
    platform.target("m").dialect()
}

pub fn write(request: &Request<'_>, platform: &str, model: &str) -> Result<Rendered, Fault> {
    let platform = by_name(platform).expect("a platform");
    platform.target(model).write_request(request)
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
    let dialect = platform_dialect(platform);
    if dialect == surface {
        return None;
    }
    let rendered = surface
        .read_request(body, stream)
        .and_then(|request| write(&request, platform, model));
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
