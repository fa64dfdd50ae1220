//! What each provider of the OpenAI Chat protocol gets of a request: they differ in what they have fields for.

mod fields;
mod turns;

use torouter::chat::{Loss, Request};
use torouter::dialect::openai_chat::{self, write_request};
use torouter::dialect::translate::Target;
use torouter::platform;

/// The request as the platform gets it.
fn written(request: &Request<'_>, platform: &str, reasons: bool) -> (String, Vec<Loss>) {
    let platform = platform::by_name(platform).expect("a platform");
    let Target::OpenAiChat(target) = platform.target("gpt-x") else {
        panic!("{} speaks another protocol", platform.name);
    };
    let target = openai_chat::Target { reasons, ..target };
    let rendered = write_request(request, &target).expect("written");
    let text = String::from_utf8(rendered.body).expect("text");
    serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    (text, rendered.losses)
}
