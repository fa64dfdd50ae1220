//! What requests of both protocols say alike, and how a wrong one is refused.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::{Fault, FaultKind};
use crate::chat::{Depth, Effort, Json, Loss, ServiceTier, Text};
use crate::wire::read::{Str, whole};

/// A request that is wrong: where, and what to write instead.
pub fn wrong(param: impl Into<String>, what: &str) -> Fault {
    let param = param.into();
    Fault::new(
        FaultKind::InvalidRequest,
        format!("'{param}' is wrong: {what}"),
    )
    .param(param)
}

pub fn missing(param: impl Into<String>, what: &str) -> Fault {
    let param = param.into();
    Fault::new(
        FaultKind::InvalidRequest,
        format!("'{param}' is missing: {what}"),
    )
    .param(param)
}

/// Reads a whole body.
pub fn body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    whole(body).map_err(|(path, what)| {
        let message = if path == "." {
            format!("The body is wrong: {what}.")
        } else {
            format!("'{path}' is wrong: {what}.")
        };
        Fault::new(FaultKind::InvalidRequest, message).param(path)
    })
}

/// Unknown fields change nothing that is known of.
pub fn unknown(prefix: &str, names: &[Text<'_>], losses: &mut Vec<Loss>) {
    losses.extend(
        names
            .iter()
            .map(|name| Loss::cosmetic(format!("{prefix}{name}"))),
    );
}

/// A number as it is written.
pub fn numeric<'a>(raw: Option<&'a RawValue>, param: &str) -> Result<Option<Json<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    match raw.get().as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => Ok(Some(Json::Borrowed(raw))),
        Some(_) | None => Err(wrong(param, "a number is expected.")),
    }
}

pub fn effort(word: &str, param: &str) -> Result<Depth, Fault> {
    Ok(match word {
        "none" => Depth::Off,
        "minimal" => Depth::Effort(Effort::Minimal),
        "low" => Depth::Effort(Effort::Low),
        "medium" => Depth::Effort(Effort::Medium),
        "high" => Depth::Effort(Effort::High),
        "xhigh" => Depth::Effort(Effort::XHigh),
        "max" => Depth::Effort(Effort::Max),
        "auto" => Depth::Dynamic,
        _ => {
            return Err(wrong(
                param,
                "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max' is expected.",
            ));
        }
    })
}

/// The tier of the word, in whatever case. `also`: words that only one of the protocols' dialects has.
pub fn service_tier(
    written: Option<Str<'_>>,
    also: &[(&str, ServiceTier)],
    losses: &mut Vec<Loss>,
) -> Option<ServiceTier> {
    let word = written?.to_ascii_lowercase();
    let tier = match word.as_str() {
        "auto" => Some(ServiceTier::Auto),
        "default" | "standard" => Some(ServiceTier::Standard),
        "flex" => Some(ServiceTier::Flex),
        "priority" | "fast" => Some(ServiceTier::Priority),
        other => also
            .iter()
            .find(|(known, _)| *known == other)
            .map(|(_, tier)| *tier),
    };
    if tier.is_none() {
        losses.push(Loss::cosmetic("service_tier"));
    }
    tier
}

/// Whom the request is for: `safety_identifier`, which has taken the place of `user`.
pub fn user<'a>(
    identifier: Option<Str<'a>>,
    user: Option<Str<'a>>,
    losses: &mut Vec<Loss>,
) -> Option<Text<'a>> {
    if let (Some(identifier), Some(user)) = (&identifier, &user)
        && identifier != user
    {
        losses.push(Loss::cosmetic("user"));
    }
    identifier.or(user).map(|Str(one)| one)
}

/// No other provider holds a model to a grammar, but a model can be told of it.
pub fn with_grammar<'a>(
    description: Option<Text<'a>>,
    syntax: &str,
    definition: &str,
) -> Option<Text<'a>> {
    let said = description.unwrap_or_default();
    let gap = if said.is_empty() { "" } else { "\n\n" };
    Some(Text::Owned(format!(
        "{said}{gap}The input must follow this {syntax} grammar:\n{definition}"
    )))
}
