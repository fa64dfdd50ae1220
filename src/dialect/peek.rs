//! What the gateway must know of a body before it can choose a channel, read in one pass, and where
//! it stands, so that it can be edited without touching anything else.

use std::borrow::Cow;
use std::ops::Range;

use super::Operation;
use crate::base::{Fault, FaultKind};
use crate::wire::{json, multipart};

/// Where the fields stand that decide something, or that an edit may have to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model's value: a JSON string with its quotes, or the bare text of a form field.
    pub model: Option<Range<usize>>,
    pub stream: Option<Range<usize>>,
    pub stream_options: Option<Range<usize>>,
    pub reasoning_effort: Option<Range<usize>>,
    pub reasoning: Option<Range<usize>>,
    pub thinking: Option<Range<usize>>,
    pub max_tokens: Option<Range<usize>>,
    pub generation_config: Option<Range<usize>>,
    /// Just behind the opening brace, where a field can be put in; 0 for a form.
    pub front: usize,
    /// The object has no field yet.
    pub empty: bool,
    form: bool,
}

impl Peek {
    /// Reads a JSON body.
    pub fn json(body: &[u8]) -> Result<Self, Fault> {
        let mut peek = Self {
            empty: true,
            ..Self::default()
        };
        let mut twice = None;
        json::scan_object(body, |field| {
            peek.empty = false;
            let Some((slot, name)) = peek.slot(field.key) else {
                return;
            };
            // Two readers may take different ones of two `model`s: what we meter and what the
            // provider runs must be the same.
            if slot.replace(field.value).is_some() {
                twice = Some(name);
            }
        })
        .map_err(|error| {
            Fault::new(
                FaultKind::InvalidJson,
                format!("The request body is not valid JSON: {error}."),
            )
        })?;
        if let Some(name) = twice {
            return Err(Fault::new(
                FaultKind::InvalidRequest,
                format!("'{name}' stands twice in the request body; send it once."),
            )
            .param(name));
        }
        peek.front = body.iter().position(|&b| b == b'{').map_or(0, |at| at + 1);
        Ok(peek)
    }

    /// Reads a multipart form.
    pub fn form(body: &[u8], boundary: &str) -> Result<Self, Fault> {
        let mut peek = Self {
            form: true,
            ..Self::default()
        };
        let mut twice = None;
        multipart::scan_fields(body, boundary, |name, at| {
            let (slot, name) = match name {
                "model" => (&mut peek.model, "model"),
                "stream" => (&mut peek.stream, "stream"),
                _ => return,
            };
            if slot.replace(at).is_some() {
                twice = Some(name);
            }
        })
        .map_err(|error| {
            Fault::new(
                FaultKind::InvalidRequest,
                format!("The multipart body cannot be read: {}.", error.0),
            )
        })?;
        if let Some(name) = twice {
            return Err(Fault::new(
                FaultKind::InvalidRequest,
                format!("'{name}' stands twice in the form; send it once."),
            )
            .param(name));
        }
        Ok(peek)
    }

    fn slot(&mut self, key: &[u8]) -> Option<(&mut Option<Range<usize>>, &'static str)> {
        // Most keys of a body are none of these: the length tells soonest.
        if key.len() < 5 || key.len() > 96 {
            return None;
        }
        if key.contains(&b'\\') {
            return self.escaped_slot(key);
        }
        Some(match key {
            b"model" => (&mut self.model, "model"),
            b"stream" => (&mut self.stream, "stream"),
            b"stream_options" => (&mut self.stream_options, "stream_options"),
            b"reasoning_effort" => (&mut self.reasoning_effort, "reasoning_effort"),
            b"reasoning" => (&mut self.reasoning, "reasoning"),
            b"thinking" => (&mut self.thinking, "thinking"),
            b"max_tokens" => (&mut self.max_tokens, "max_tokens"),
            b"generationConfig" | b"generation_config" => {
                (&mut self.generation_config, "generationConfig")
            }
            _ => return None,
        })
    }

    /// A key written with escapes is understood by the provider: it must not pass unseen.
    fn escaped_slot(&mut self, key: &[u8]) -> Option<(&mut Option<Range<usize>>, &'static str)> {
        if json::key_is(key, "model") {
            Some((&mut self.model, "model"))
        } else if json::key_is(key, "stream") {
            Some((&mut self.stream, "stream"))
        } else {
            None
        }
    }

    /// The model that the body names.
    pub fn model<'a>(
        &self,
        body: &'a [u8],
        operation: Operation,
    ) -> Result<Option<Cow<'a, str>>, Fault> {
        let Some(at) = self.model.clone() else {
            return if operation.model_is_optional() {
                Ok(None)
            } else {
                Err(Fault::new(
                    FaultKind::InvalidRequest,
                    "You must provide a 'model' parameter, a string.",
                )
                .param("model"))
            };
        };
        let value = &body[at];
        let model = if self.form {
            std::str::from_utf8(value).ok().map(Cow::Borrowed)
        } else {
            json::string_value(value)
        };
        match model {
            Some(model) if model.contains(char::is_control) => Err(Fault::new(
                FaultKind::InvalidRequest,
                "'model' must not hold control characters.",
            )
            .param("model")),
            Some(model) if !model.is_empty() && model.len() <= 256 => Ok(Some(model)),
            _ => Err(Fault::new(
                FaultKind::InvalidRequest,
                "'model' must be a string of 1 to 256 characters.",
            )
            .param("model")),
        }
    }

    /// Does the body ask for a stream?
    pub fn stream(&self, body: &[u8]) -> Result<bool, Fault> {
        match self.stream.clone().map(|at| &body[at]) {
            None | Some(b"false" | b"null") => Ok(false),
            Some(b"true") => Ok(true),
            Some(_) if self.form => Ok(false),
            Some(_) => Err(Fault::new(
                FaultKind::InvalidRequest,
                "'stream' must be true or false.",
            )
            .param("stream")),
        }
    }

    /// How a new value of the model is written at its place.
    pub fn write_model(&self, model: &str) -> String {
        if self.form {
            model.to_owned()
        } else {
            json::quote(model)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_stream_are_found_anywhere_in_the_body() {
        let body = br#"{"messages":[{"model":"x"}],"stream" : true, "mod\u0065l":"gpt\u002d5"}"#;
        let peek = Peek::json(body).expect("valid");
        assert_eq!(
            peek.model(body, Operation::Chat)
                .expect("a model")
                .as_deref(),
            Some("gpt-5")
        );
        assert_eq!(peek.stream(body), Ok(true));
        assert_eq!(peek.front, 1);
    }

    #[test]
    fn what_decides_must_be_there_once_and_of_its_type() {
        for (body, param) in [
            (r#"{"model":"a","model":"b"}"#, "model"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "model"),
            (r#"{"model":"a","stream":false,"stream":true}"#, "stream"),
        ] {
            let fault = Peek::json(body.as_bytes()).expect_err(body);
            assert_eq!((fault.status, fault.param.as_deref()), (400, Some(param)));
        }
        for body in [
            r#"{"model":5}"#,
            r#"{"model":null}"#,
            r#"{"model":""}"#,
            r#"{"model":"gpt-5\u001b[2J"}"#,
            r#"{"model":"gpt-5\u0085"}"#,
            r#"{"model":"gpt-5\n"}"#,
            r"{}",
        ] {
            let peek = Peek::json(body.as_bytes()).expect("valid JSON");
            assert!(
                peek.model(body.as_bytes(), Operation::Chat).is_err(),
                "{body}"
            );
        }
        let peek = Peek::json(br#"{"stream":"yes"}"#).expect("valid JSON");
        assert!(peek.stream(br#"{"stream":"yes"}"#).is_err());
    }
}
