//! What a response repeats of its request (<https://platform.openai.com/docs/api-reference/responses/object>).

use serde_json::value::RawValue;

use super::names::flat;
use super::thought::Members;
use crate::wire::emit::Emit;
use crate::wire::read::{Lenient, Str, object};

object! {
    struct Body<'a> {
        "instructions" => instructions: &'a RawValue,
        "max_output_tokens" => max_output_tokens: &'a RawValue,
        "max_tool_calls" => max_tool_calls: &'a RawValue,
        "metadata" => metadata: &'a RawValue,
        "parallel_tool_calls" => parallel_tool_calls: &'a RawValue,
        "prompt_cache_key" => prompt_cache_key: &'a RawValue,
        "reasoning" => reasoning: Lenient<Reasoning<'a>>,
        "safety_identifier" => safety_identifier: &'a RawValue,
        "temperature" => temperature: &'a RawValue,
        "text" => text: Lenient<TextWritten<'a>>,
        "tool_choice" => tool_choice: &'a RawValue,
        "tools" => tools: &'a RawValue,
        "top_logprobs" => top_logprobs: &'a RawValue,
        "top_p" => top_p: &'a RawValue,
        "truncation" => truncation: &'a RawValue,
        "include" => include: Lenient<Vec<Lenient<Str<'a>>>>,
        "user" => user: &'a RawValue,
        "previous_response_id" => previous_response_id: Lenient<Str<'a>>,
        "background" => background: bool,
        "store" => store: bool,
    }
}

object! {
    struct Reasoning<'a> {
        "effort" => effort: &'a RawValue,
        "summary" | "generate_summary" => summary: &'a RawValue,
    }
}

object! {
    struct TextWritten<'a> {
        "format" => format: &'a RawValue,
        "verbosity" => verbosity: &'a RawValue,
    }
}

object! {
    struct Space<'a> {
        "type" => kind: Lenient<Str<'a>>,
        "name" => name: Lenient<Str<'a>>,
        "tools" => tools: Lenient<Vec<Space<'a>>>,
    }
}

/// What a response repeats, and what else its writer must know of the request. Whoever keeps state sets the rest.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// Members of the response, as they are written: `"temperature":1,…`.
    pub fields: String,
    pub previous_response_id: Option<String>,
    /// The id of the conversation that the response belongs to.
    pub conversation: Option<String>,
    pub background: bool,
    /// The client asked for reasoning that it can send back.
    pub encrypted: bool,
    pub store: bool,
    /// The id of the response, where it is known before its provider is asked; and when it was made.
    pub response_id: Option<String>,
    pub created: Option<u64>,
    /// Functions of namespaces: the flat name, the namespace, the name in it.
    pub namespaces: Vec<(String, String, String)>,
}

/// What is settled of a response before its provider is asked.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    pub response_id: Option<String>,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    pub background: bool,
    /// Unix seconds.
    pub created: Option<u64>,
}

impl Default for Repeat {
    /// Of a request that says nothing.
    fn default() -> Self {
        Self::new(&Body::default())
    }
}

impl Repeat {
    /// `body`: a request that has been read, so that it is known to be right.
    pub fn of(body: &[u8]) -> Self {
        Self::new(&serde_json::from_slice(body).unwrap_or_default())
    }

    #[must_use]
    pub fn settled(mut self, settled: &Settled) -> Self {
        self.response_id.clone_from(&settled.response_id);
        self.previous_response_id.clone_from(&settled.previous);
        self.conversation.clone_from(&settled.conversation);
        self.background = settled.background;
        self.created = settled.created;
        self
    }

    fn new(body: &Body<'_>) -> Self {
        Self {
            fields: fields(body),
            previous_response_id: body
                .previous_response_id
                .as_ref()
                .and_then(|id| id.0.as_ref())
                .map(|id| id.to_string()),
            conversation: None,
            background: body.background.unwrap_or(false),
            encrypted: body
                .include
                .as_ref()
                .and_then(|list| list.0.as_ref())
                .into_iter()
                .flatten()
                .any(|name| name.0.as_deref() == Some("reasoning.encrypted_content")),
            // The protocol's default.
            store: body.store.unwrap_or(true),
            response_id: None,
            created: None,
            namespaces: body.tools.map(namespaces).unwrap_or_default(),
        }
    }
}

fn fields(body: &Body<'_>) -> String {
    let mut bytes = Vec::with_capacity(512);
    let mut out = Emit::object(&mut bytes);
    for (name, written, default) in [
        ("instructions", body.instructions, "null"),
        ("max_output_tokens", body.max_output_tokens, "null"),
        ("max_tool_calls", body.max_tool_calls, "null"),
        ("metadata", body.metadata, "{}"),
        ("parallel_tool_calls", body.parallel_tool_calls, "true"),
        ("prompt_cache_key", body.prompt_cache_key, "null"),
        ("safety_identifier", body.safety_identifier, "null"),
        ("temperature", body.temperature, "1.0"),
        ("tool_choice", body.tool_choice, "\"auto\""),
        ("top_logprobs", body.top_logprobs, "0"),
        ("top_p", body.top_p, "1.0"),
        ("truncation", body.truncation, "\"disabled\""),
        ("user", body.user, "null"),
    ] {
        out.literal(name, written.map_or(default, RawValue::get));
    }
    tools(out.key("tools"), body.tools);
    let asked = body.reasoning.as_ref().and_then(|asked| asked.0.as_ref());
    let mut reasoning = out.nested("reasoning");
    reasoning.literal(
        "effort",
        asked.and_then(|r| r.effort).map_or("null", RawValue::get),
    );
    reasoning.literal(
        "summary",
        asked.and_then(|r| r.summary).map_or("null", RawValue::get),
    );
    reasoning.end();
    let asked = body.text.as_ref().and_then(|asked| asked.0.as_ref());
    let mut text = out.nested("text");
    text.literal(
        "format",
        asked
            .and_then(|t| t.format)
            .map_or(r#"{"type":"text"}"#, RawValue::get),
    );
    text.literal(
        "verbosity",
        asked
            .and_then(|t| t.verbosity)
            .map_or("\"medium\"", RawValue::get),
    );
    text.end();
    out.end();
    // A client may have put line ends between; in a stream they would end the event's data.
    bytes.retain(|&b| b != b'\n' && b != b'\r');
    let text = String::from_utf8(bytes).unwrap_or_default();
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// The tools as they were written; strict clients want the members of a function that their model may do without.
fn tools(out: &mut Vec<u8>, written: Option<&RawValue>) {
    let Some(tools) =
        written.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok())
    else {
        out.extend_from_slice(b"[]");
        return;
    };
    let mut list = Emit::list(out);
    for raw in tools {
        let out = list.item();
        let members = serde_json::from_str::<Members<'_>>(raw.get()).map_or(Vec::new(), |m| m.0);
        let has = |wanted: &str| members.iter().any(|(name, _)| &**name == wanted);
        let is_function = members
            .iter()
            .any(|(name, raw)| &**name == "type" && raw.get() == "\"function\"");
        match raw
            .get()
            .trim_end()
            .strip_suffix('}')
            .filter(|_| is_function)
        {
            Some(open) => {
                out.extend_from_slice(open.as_bytes());
                for name in ["description", "parameters", "strict"] {
                    if !has(name) {
                        out.extend_from_slice(b",\"");
                        out.extend_from_slice(name.as_bytes());
                        out.extend_from_slice(b"\":null");
                    }
                }
                out.push(b'}');
            }
            None => out.extend_from_slice(raw.get().as_bytes()),
        }
    }
    list.end();
}

fn namespaces(tools: &RawValue) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    if memchr::memmem::find(tools.get().as_bytes(), b"namespace").is_none() {
        return all;
    }
    let text = |written: &Option<Lenient<Str<'_>>>| {
        written
            .as_ref()
            .and_then(|written| written.0.as_ref())
            .map(|text| text.to_string())
            .unwrap_or_default()
    };
    let tools: Vec<Space<'_>> = serde_json::from_str(tools.get()).unwrap_or_default();
    for space in tools
        .into_iter()
        .filter(|tool| text(&tool.kind) == "namespace")
    {
        let outer = text(&space.name);
        for tool in space.tools.and_then(|tools| tools.0).unwrap_or_default() {
            let name = text(&tool.name);
            let flat = flat(Some(&outer), name.as_str().into()).into_owned();
            all.push((flat, outer.clone(), name));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_repeats_its_request_as_it_was_written() {
        let repeat = Repeat::of(
            b"{\"temperature\":0.70,\"tools\":[{\"type\":\"namespace\",\n\"name\":\"crm\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},{\"type\":\"function\",\"name\":\"g\",\"strict\":true}],\"reasoning\":{\"effort\":\"low\"},\"store\":false,\"previous_response_id\":\"resp_0\",\"metadata\":null}",
        );
        assert!(repeat.fields.contains(r#""temperature":0.70,"#));
        assert!(repeat.fields.contains(r#""metadata":{},"#));
        assert!(repeat.fields.contains(
            r#"{"type":"function","name":"g","strict":true,"description":null,"parameters":null}]"#
        ));
        assert!(
            repeat
                .fields
                .contains(r#""reasoning":{"effort":"low","summary":null}"#)
        );
        assert!(!repeat.fields.contains('\n'));
        serde_json::from_str::<serde_json::Value>(&format!("{{{}}}", repeat.fields)).expect("JSON");
        assert_eq!(
            repeat.namespaces,
            [("crm__f".to_owned(), "crm".to_owned(), "f".to_owned())]
        );
        assert_eq!(
            (repeat.store, repeat.previous_response_id.as_deref()),
            (false, Some("resp_0"))
        );
        assert!(Repeat::default().store);
    }
}
