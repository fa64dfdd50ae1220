//! Reads a GenerateContent request as strictly as Google does: protobuf's JSON, in camelCase or snake_case.
//! <https://ai.google.dev/api/generate-content>

use serde_json::Value;

use super::answer::{Ask, Choice, Tool};
use super::cache::Prompt;
use super::exchange::Problem;
use super::json::{pick, string, yes};
use super::schema::{self, camel};
use super::sign;

/// Who signs thoughts here.
pub(super) const MAKER: &str = "gemini";

/// What clients put where they have no signature; documented as accepted.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
const DUMMIES: [&str; 2] = [
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

const FIELDS: [&str; 11] = [
    "model",
    "contents",
    "tools",
    "toolConfig",
    "safetySettings",
    "systemInstruction",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
];

const CONFIG: [&str; 27] = [
    "candidateCount",
    "stopSequences",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseFormat",
    "responseLogprobs",
    "logprobs",
    "enableEnhancedCivicAnswers",
    "speechConfig",
    "thinkingConfig",
    "imageConfig",
    "mediaResolution",
    "responseModalities",
    "audioTimestamp",
    "routingConfig",
    "modelConfig",
    "translationConfig",
    "enableAffectiveDialog",
    "_responseJsonSchema",
];

const PARTS: [&str; 13] = [
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
    "toolCall",
];

/// A request, understood.
pub(super) struct Content {
    pub(super) ask: Ask,
    pub(super) prompt: Prompt,
    /// Whether thoughts are shown; they are counted in any case.
    pub(super) shows_thoughts: bool,
    pub(super) pictures: bool,
}

/// A list member under its camelCase or snake_case name.
pub(super) fn list<'a>(value: &'a Value, names: &[&str]) -> &'a [Value] {
    pick(value, names)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn fields(value: &Value, known: &[&str], at: &str) -> Result<(), Problem> {
    for name in value
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys())
    {
        // Some names begin with an underscore and are no snake_case.
        if !known.contains(&camel(name).as_str()) && !known.contains(&name.as_str()) {
            let place = if at.is_empty() {
                String::new()
            } else {
                format!(" at '{at}'")
            };
            return Err(Problem::bad(format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
            )));
        }
    }
    Ok(())
}

pub(super) fn read(model: &str, body: &Value) -> Result<Content, Problem> {
    fields(body, &FIELDS, "")?;
    let config = pick(body, &["generationConfig", "generation_config"]).unwrap_or(&Value::Null);
    fields(config, &CONFIG, "generation_config")?;
    let contents = list(body, &["contents"]);
    if contents.is_empty() {
        return Err(Problem::bad(
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    }
    let mut prompt = Prompt::default();
    if let Some(system) = pick(body, &["systemInstruction", "system_instruction"]) {
        for part in list(system, &["parts"]) {
            prompt.text(string(part, "text"));
        }
    }
    let tools = tools(body, &mut prompt)?;
    let thinking = pick(config, &["thinkingConfig", "thinking_config"]);
    let budget = thinking
        .and_then(|thinking| pick(thinking, &["thinkingBudget", "thinking_budget"]))
        .and_then(Value::as_i64);
    let include =
        thinking.and_then(|thinking| pick(thinking, &["includeThoughts", "include_thoughts"]));
    let mut ask = Ask {
        model: model.to_owned(),
        tools,
        choice: choice(body)?,
        parallel: true,
        limit: pick(config, &["maxOutputTokens", "max_output_tokens"])
            .and_then(Value::as_u64)
            .filter(|limit| *limit > 0),
        stops: list(config, &["stopSequences", "stop_sequences"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        schema: structured(config)?,
        reasoning: thinking.is_some() && budget != Some(0),
        ..Ask::default()
    };
    if matches!(ask.choice, Choice::Any | Choice::Named(_)) && ask.tools.is_empty() {
        return Err(Problem::bad(
            "Function calling config is set without function_declarations.",
        ));
    }
    conversation(model, contents, &mut ask, &mut prompt)?;
    let pictures = list(config, &["responseModalities", "response_modalities"])
        .iter()
        .any(|one| {
            one.as_str()
                .is_some_and(|one| one.eq_ignore_ascii_case("image"))
        });
    Ok(Content {
        ask,
        prompt,
        shows_thoughts: include.and_then(Value::as_bool).unwrap_or(false),
        pictures,
    })
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<Vec<Tool>, Problem> {
    let mut out = Vec::new();
    for (at, tool) in list(body, &["tools"]).iter().enumerate() {
        prompt.value(tool);
        for (number, function) in list(tool, &["functionDeclarations", "function_declarations"])
            .iter()
            .enumerate()
        {
            let place = format!("tools[{at}].function_declarations[{number}]");
            let name = string(function, "name");
            let begins =
                name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
            let rest = name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter));
            if !begins || !rest || name.len() > 128 {
                return Err(Problem::bad(format!(
                    "* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.\n"
                )));
            }
            let parameters = pick(function, &["parameters"]);
            let free = pick(
                function,
                &["parametersJsonSchema", "parameters_json_schema"],
            );
            if parameters.is_some() && free.is_some() {
                return Err(Problem::bad(format!(
                    "{place}: parameters and parameters_json_schema are mutually exclusive."
                )));
            }
            if let Some(parameters) = parameters {
                schema::check_gemini(parameters, &format!("{place}.parameters"))?;
            }
            out.push(Tool {
                name: name.to_owned(),
                schema: parameters.or(free).cloned().unwrap_or(Value::Null),
                custom: false,
            });
        }
    }
    Ok(out)
}

fn choice(body: &Value) -> Result<Choice, Problem> {
    let config = pick(body, &["toolConfig", "tool_config"]).and_then(|config| {
        pick(
            config,
            &["functionCallingConfig", "function_calling_config"],
        )
    });
    let Some(config) = config else {
        return Ok(Choice::Auto);
    };
    let mode = string(config, "mode").to_uppercase();
    match mode.as_str() {
        "" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED" => Ok(Choice::Auto),
        "NONE" => Ok(Choice::None),
        "ANY" => match list(config, &["allowedFunctionNames", "allowed_function_names"])
            .first()
            .and_then(Value::as_str)
        {
            Some(name) => Ok(Choice::Named(name.to_owned())),
            None => Ok(Choice::Any),
        },
        _ => Err(Problem::bad(format!(
            "Invalid value at 'tool_config.function_calling_config.mode' (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"{mode}\""
        ))),
    }
}

fn structured(config: &Value) -> Result<Option<Value>, Problem> {
    if let Some(strict) = pick(config, &["responseSchema", "response_schema"]) {
        schema::check_gemini(strict, "generation_config.response_schema")?;
        return Ok(Some(strict.clone()));
    }
    if let Some(free) = pick(
        config,
        &[
            "responseJsonSchema",
            "response_json_schema",
            "_responseJsonSchema",
        ],
    ) {
        return Ok(Some(free.clone()));
    }
    let mime = pick(config, &["responseMimeType", "response_mime_type"]).and_then(Value::as_str);
    Ok((mime == Some("application/json")).then(|| {
        serde_json::json!({ "type": "object", "required": ["answer"], "properties": { "answer": { "type": "string" } } })
    }))
}

/// Walks through the contents: what is asked, what it costs, and whether calls and responses belong together.
fn conversation(
    model: &str,
    contents: &[Value],
    ask: &mut Ask,
    prompt: &mut Prompt,
) -> Result<(), Problem> {
    let mut open = 0;
    for (at, content) in contents.iter().enumerate() {
        let role = string(content, "role");
        if !["", "user", "model", "function"].contains(&role) {
            return Err(Problem::bad("Please use a valid role: user, model."));
        }
        let parts = list(content, &["parts"]);
        if parts.is_empty() {
            return Err(Problem::bad(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            )));
        }
        let mut texts: Vec<&str> = Vec::new();
        let mut results = Vec::new();
        let mut calls = 0;
        for (number, part) in parts.iter().enumerate() {
            fields(part, &PARTS, &format!("contents[{at}].parts[{number}]"))?;
            signature(part)?;
            if let Some(text) = part.get("text").and_then(Value::as_str) {
                prompt.text(text);
                texts.push(text);
            } else if let Some(call) = pick(part, &["functionCall", "function_call"]) {
                prompt.value(call);
                calls += 1;
            } else if let Some(response) = pick(part, &["functionResponse", "function_response"]) {
                prompt.value(response);
                results.push(result_text(
                    response.get("response").unwrap_or(&Value::Null),
                ));
            } else {
                prompt.image(part);
            }
        }
        if results.len() != open {
            return Err(Problem::bad(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        open = calls;
        if role != "model" && !texts.is_empty() {
            ask.hear(texts.join("\n"));
        }
        ask.answered += usize::from(role == "model" && parts.iter().any(is_said));
        ask.used += results.len();
        ask.results = results;
    }
    if model.starts_with("gemini-3") {
        signed(contents)
    } else {
        Ok(())
    }
}

/// Whether a part is text that is no thought.
fn is_said(part: &Value) -> bool {
    !string(part, "text").is_empty() && !yes(part, "thought")
}

/// A tool's response is an object; one whose only member is `output` or `result` is that member's text.
fn result_text(response: &Value) -> String {
    let inner = pick(response, &["output", "result", "error"]).unwrap_or(response);
    match inner {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn signature(part: &Value) -> Result<(), Problem> {
    let written = pick(part, &["thoughtSignature", "thought_signature"]).and_then(Value::as_str);
    let Some(written) = written.filter(|written| !written.is_empty()) else {
        return Ok(());
    };
    if sign::genuine(MAKER, written, "") || dummy(written) {
        return Ok(());
    }
    Err(Problem::bad("Corrupted thought signature."))
}

fn dummy(written: &str) -> bool {
    use base64::Engine;
    DUMMIES.iter().any(|dummy| {
        written == *dummy || written == base64::engine::general_purpose::STANDARD.encode(dummy)
    })
}

/// Gemini 3 wants back the signature of the first call of each step of the current turn.
fn signed(contents: &[Value]) -> Result<(), Problem> {
    let asked = contents.iter().rposition(|content| {
        string(content, "role") != "model"
            && list(content, &["parts"])
                .iter()
                .any(|part| part.get("text").is_some())
    });
    for (at, content) in contents.iter().enumerate().skip(asked.unwrap_or(0)) {
        let first = list(content, &["parts"])
            .iter()
            .find(|part| pick(part, &["functionCall", "function_call"]).is_some());
        let Some(part) = first else { continue };
        if pick(part, &["thoughtSignature", "thought_signature"]).is_none() {
            let call = pick(part, &["functionCall", "function_call"]).unwrap_or(&Value::Null);
            return Err(Problem::bad(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{}` , position {}.",
                string(call, "name"),
                at + 1
            )));
        }
    }
    Ok(())
}
