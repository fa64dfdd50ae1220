//! What a protocol can express comes back from it: canonical requests, made up, are written for a platform and read back
//! by the same protocol's reader. Each is also valid by the provider's own description.

mod made;
mod normal;

use proptest::prelude::*;

use torouter::chat::Request;
use torouter::dialect::Dialect;

use crate::requests::write;
use crate::schemas;
use made::{formatted_by_gemini, request};
use normal::normal;

type Owned = Request<'static>;

fn comes_back(
    dialect: Dialect,
    platform: &str,
    model: &str,
    request: &Owned,
) -> Result<(), TestCaseError> {
    let rendered = write(request, platform, model)
        .map_err(|fault| TestCaseError::fail(format!("refused: {fault:?}")))?;
    let sent = String::from_utf8_lossy(&rendered.body);
    prop_assert!(
        rendered.losses.is_empty(),
        "lost {:?}\nin {sent}",
        rendered.losses
    );
    if let Err(mistakes) = schemas::check(dialect, &rendered.body) {
        return Err(TestCaseError::fail(format!("{mistakes}\nin {sent}")));
    }
    let back = dialect
        .read_request(&rendered.body, request.stream)
        .map_err(|fault| TestCaseError::fail(format!("not read back: {fault:?}\nin {sent}")))?;
    prop_assert!(back.losses.is_empty(), "lost {:?}\nin {sent}", back.losses);
    let (was, is) = (normal(request), normal(&back));
    prop_assert_eq!(was, is, "in {}", sent);
    Ok(())
}

/// The model that the request can be put to.
fn model(dialect: Dialect, request: &Owned) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Anthropic => ("anthropic", "claude-sonnet-4-5"),
        Dialect::Gemini => ("gemini", "gemini-2.5-flash"),
        // Its models that think refuse sampling, and the others refuse thinking.
        _ if request.thinking.is_some() => ("openai", "gpt-5"),
        _ => ("openai", "gpt-4.1"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_openai_chat_can_express_comes_back_from_it(request in request(Dialect::OpenAiChat)) {
        let (platform, model) = model(Dialect::OpenAiChat, &request);
        comes_back(Dialect::OpenAiChat, platform, model, &request)?;
    }

    #[test]
    fn what_anthropic_can_express_comes_back_from_it(request in request(Dialect::Anthropic)) {
        let (platform, model) = model(Dialect::Anthropic, &request);
        comes_back(Dialect::Anthropic, platform, model, &request)?;
    }

    #[test]
    fn what_gemini_can_express_comes_back_from_it(request in request(Dialect::Gemini)) {
        let (platform, model) = model(Dialect::Gemini, &request);
        comes_back(Dialect::Gemini, platform, model, &request)?;
    }

    #[test]
    fn structured_output_comes_back_from_gemini(request in formatted_by_gemini()) {
        comes_back(Dialect::Gemini, "gemini", "gemini-2.5-flash", &request)?;
    }
}
