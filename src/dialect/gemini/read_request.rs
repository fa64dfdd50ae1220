//! A GenerateContent request as the canonical one (<https://ai.google.dev/api/generate-content>).
//!
//! JSON-mapped protocol buffers: each field in camelCase or snake_case, enumerations as names or numbers, 64-bit numbers
//! also as texts, `null` for what is not set.

mod config;
mod content;
mod tools;
mod turns;
mod wire;

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::base::{Fault, FaultKind};
use crate::chat::{Json, Loss, Request, ServiceTier};
use crate::wire::read::{List, Str, object, whole};

use config::Config;
use tools::{ToolConfig, ToolEntry};
use wire::Entry;

object! {
    struct Body<'a> {
        "contents" => contents: List<Worded<'a, Entry<'a>>>,
        "systemInstruction" | "system_instruction" => system: Worded<'a, Entry<'a>>,
        "tools" => tools: List<ToolEntry<'a>>,
        "toolConfig" | "tool_config" => tool_config: ToolConfig<'a>,
        "generationConfig" | "generation_config" => config: Config<'a>,
        "safetySettings" | "safety_settings" => safety: IgnoredAny,
        "cachedContent" | "cached_content" => cached: Str<'a>,
        "labels" => labels: IgnoredAny,
        "serviceTier" | "service_tier" => tier: Str<'a>,
        "store" => store: IgnoredAny,
        // The path says it.
        "model" => model: IgnoredAny,
    }
}

/// A text where an object is meant: REST clients write it, the SDKs turn it into the object.
#[derive(Clone, Debug)]
enum Worded<'a, T> {
    Text(Cow<'a, str>),
    Whole(T),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Worded<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<'a, T>(std::marker::PhantomData<(&'a (), T)>);

        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Either<'a, T> {
            type Value = Worded<'a, T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Worded::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Worded::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Worded::Whole)
            }
        }

        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// What could not be carried, under the names that the client uses.
struct Losses<'a> {
    body: &'a [u8],
    all: Vec<Loss>,
}

impl Losses<'_> {
    /// `name` in camelCase; said in snake_case to a client that writes so.
    fn spelled(&self, name: &str) -> String {
        let mut snake = String::with_capacity(name.len() + 4);
        for c in name.chars() {
            if c.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        let writes = |name: &str| {
            let quoted = format!("\"{name}\"");
            memchr::memmem::find(self.body, quoted.as_bytes()).is_some()
        };
        if snake != name && !writes(name) && writes(&snake) {
            snake
        } else {
            name.to_owned()
        }
    }

    /// A path of such names, each spelled as the client does.
    fn path(&self, path: &str) -> String {
        let names: Vec<String> = path
            .split('.')
            .map(|step| match step.split_once('[') {
                Some((name, index)) => format!("{}[{index}", self.spelled(name)),
                None => self.spelled(step),
            })
            .collect();
        names.join(".")
    }

    fn cosmetic(&mut self, path: &str) {
        let path = self.path(path);
        self.all.push(Loss::cosmetic(path));
    }

    fn cosmetic_if(&mut self, present: bool, path: &str) {
        if present {
            self.cosmetic(path);
        }
    }

    fn meaning(&mut self, path: &str, why: &'static str) {
        let path = self.path(path);
        self.all.push(Loss::meaning(path, why));
    }

    /// Fields that the API's documentation does not have.
    fn unknown(&mut self, place: &str, names: &[Cow<'_, str>]) {
        for name in names {
            let dot = if place.is_empty() { "" } else { "." };
            let place = self.path(place);
            self.all.push(Loss::cosmetic(format!("{place}{dot}{name}")));
        }
    }
}

fn wrong(param: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::InvalidRequest, message).param(param)
}

/// A number, as written; one in quotes without them.
fn number<'a>(raw: Option<&'a RawValue>, path: &str) -> Result<Option<Json<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(None) };
    let is_number = |text: &str| serde_json::from_str::<serde_json::Number>(text).is_ok();
    if is_number(raw.get()) {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let text = serde_json::from_str::<Str<'_>>(raw.get()).ok();
    text.filter(|text| is_number(text))
        .and_then(|text| RawValue::from_string(text.0.into_owned()).ok())
        .map(|raw| Some(Cow::Owned(raw)))
        .ok_or_else(|| wrong(path.to_owned(), format!("'{path}' is not a number.")))
}

/// Reads a request for an answer; `stream`: whether its path asks for one that streams.
pub fn read_request(body: &[u8], stream: bool) -> Result<Request<'_>, Fault> {
    let body_read = whole::<Body<'_>>(body)
        .map_err(|(path, what)| wrong(path.clone(), format!("'{path}' is wrong: {what}.")))?;
    let mut losses = Losses {
        body,
        all: Vec::new(),
    };
    let mut request = Request {
        stream,
        // Gemini states usage in each chunk, asked or not.
        include_usage: true,
        ..Request::default()
    };
    let contents = body_read.contents.map(|list| list.0).unwrap_or_default();
    if contents.is_empty() {
        return Err(wrong(
            "contents",
            "'contents' is missing or empty; it holds the turns of the conversation.",
        ));
    }
    turns::read(body_read.system, contents, &mut request, &mut losses)?;
    tools::read(
        body_read.tools,
        body_read.tool_config,
        &mut request,
        &mut losses,
    )?;
    if let Some(config) = body_read.config {
        config::read(config, &mut request, &mut losses)?;
    }
    losses.cosmetic_if(body_read.safety.is_some(), "safetySettings");
    losses.cosmetic_if(body_read.labels.is_some(), "labels");
    losses.cosmetic_if(body_read.store.is_some(), "store");
    if body_read.cached.is_some_and(|name| !name.is_empty()) {
        losses.meaning(
            "cachedContent",
            "the cached content is held by Google; send the content itself.",
        );
    }
    if let Some(tier) = body_read.tier {
        request.service_tier = match tier.to_ascii_lowercase().as_str() {
            "auto" => Some(ServiceTier::Auto),
            "default" | "standard" => Some(ServiceTier::Standard),
            "flex" => Some(ServiceTier::Flex),
            "priority" => Some(ServiceTier::Priority),
            _ => {
                losses.cosmetic("serviceTier");
                None
            }
        };
    }
    losses.unknown("", &body_read.unknown);
    request.losses = losses.all;
    Ok(request)
}

#[cfg(test)]
mod tests;
