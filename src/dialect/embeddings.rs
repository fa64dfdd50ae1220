//! Embeddings between the protocols that have them: OpenAI's (<https://platform.openai.com/docs/api-reference/embeddings>)
//! and Gemini's (<https://ai.google.dev/api/embeddings>).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::translate::Rendered;
use super::{Dialect, Operation, openai};
use crate::base::{Fault, FaultKind, Usage};
use crate::chat::{Loss, count};
use crate::wire::read::{Content, Count, Str, object, whole};

/// What is to be embedded.
#[derive(Debug, Default)]
struct Wish<'a> {
    texts: Vec<Cow<'a, str>>,
    dimensions: Option<u64>,
    losses: Vec<Loss>,
}

/// What the answer must know of the question.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    operation: Operation,
    base64: bool,
    /// Tokens of the texts, for a provider that does not say.
    tokens: u64,
}

object! {
    struct OpenAiRequest<'a> {
        "model" => model: Str<'a>,
        "input" => input: Content<'a, Input<'a>>,
        "dimensions" => dimensions: Count,
        "encoding_format" => encoding_format: Str<'a>,
        "user" => user: Str<'a>,
    }
}

object! {
    struct GeminiBatch<'a> {
        "requests" => requests: Vec<GeminiRequest<'a>>,
    }
}

object! {
    struct GeminiRequest<'a> {
        "model" => model: Str<'a>,
        "content" => content: GeminiContent<'a>,
        "taskType" | "task_type" => task_type: Str<'a>,
        "title" => title: Str<'a>,
        "outputDimensionality" | "output_dimensionality" => dimensions: Count,
        "embedContentConfig" | "embed_content_config" => config: GeminiConfig<'a>,
    }
}

object! {
    struct GeminiConfig<'a> {
        "taskType" | "task_type" => task_type: Str<'a>,
        "title" => title: Str<'a>,
        "outputDimensionality" | "output_dimensionality" => dimensions: Count,
    }
}

object! {
    struct GeminiContent<'a> {
        "role" => role: Str<'a>,
        "parts" => parts: Vec<GeminiPart<'a>>,
    }
}

object! {
    struct GeminiPart<'a> {
        "text" => text: Str<'a>,
    }
}

/// One input: a text, or tokens of a vocabulary that only its maker has.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Input<'a> {
    #[serde(borrow)]
    Text(Str<'a>),
    Tokens(serde::de::IgnoredAny),
}

/// Writes the request for the other protocol.
pub fn write_request(
    operation: Operation,
    body: &[u8],
    target: Dialect,
    model: &str,
) -> Result<(Rendered, Asked), Fault> {
    let mut base64 = false;
    let wish = match operation {
        Operation::EmbedContent => read_gemini(vec![read::<GeminiRequest<'_>>(body)?])?,
        Operation::BatchEmbedContents => {
            let batch = read::<GeminiBatch<'_>>(body)?;
            read_gemini(batch.requests.unwrap_or_default())?
        }
        _ => {
            let request = read::<OpenAiRequest<'_>>(body)?;
            base64 = request.encoding_format.as_deref() == Some("base64");
            read_openai(request)?
        }
    };
    if wish.texts.is_empty() {
        return Err(bad(
            "input",
            "There is nothing to embed: send at least one text.",
        ));
    }
    let asked = Asked {
        operation,
        base64,
        tokens: wish.texts.iter().map(|text| count::text(text)).sum(),
    };
    let body = match target {
        Dialect::Gemini => write_gemini(&wish, model),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => {
            write_openai(&wish, model)
        }
    };
    let rendered = Rendered {
        body,
        losses: wish.losses,
        ..Rendered::default()
    };
    Ok((rendered, asked))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    whole(body).map_err(|(path, what)| {
        Fault::new(
            FaultKind::InvalidRequest,
            format!("'{path}' is wrong: {what}."),
        )
        .param(path)
    })
}

fn bad(param: &'static str, message: &'static str) -> Fault {
    Fault::new(FaultKind::InvalidRequest, message).param(param)
}

fn read_openai(request: OpenAiRequest<'_>) -> Result<Wish<'_>, Fault> {
    let mut wish = Wish {
        dimensions: request.dimensions.map(|n| n.0),
        ..Wish::default()
    };
    match request.input {
        None => {
            return Err(bad(
                "input",
                "You must provide an 'input', a text or a list of texts.",
            ));
        }
        Some(Content::Text(text)) => wish.texts.push(text),
        Some(Content::Many(inputs)) => {
            for input in inputs {
                match input {
                    Input::Text(text) => wish.texts.push(text.0),
                    Input::Tokens(_) => {
                        return Err(Fault::new(
                            FaultKind::UnsupportedParameter,
                            "'input' holds tokens, which only the model of their vocabulary understands; send texts.",
                        )
                        .param("input"));
                    }
                }
            }
        }
    }
    wish.losses
        .extend(request.user.map(|_| Loss::cosmetic("user")));
    unknown(&mut wish.losses, request.unknown);
    Ok(wish)
}

fn unknown(losses: &mut Vec<Loss>, names: Vec<Cow<'_, str>>) {
    losses.extend(
        names
            .into_iter()
            .map(|name| Loss::cosmetic(name.into_owned())),
    );
}

fn read_gemini(requests: Vec<GeminiRequest<'_>>) -> Result<Wish<'_>, Fault> {
    let mut wish = Wish::default();
    for request in requests {
        let config = request.config.unwrap_or_default();
        let parts = request.content.and_then(|c| c.parts).unwrap_or_default();
        let mut text = Cow::Borrowed("");
        for part in parts {
            let Some(piece) = part.text else {
                return Err(Fault::new(
                    FaultKind::UnsupportedParameter,
                    "Only text can be embedded by this model; 'content.parts' holds something else.",
                )
                .param("content.parts"));
            };
            if text.is_empty() {
                text = piece.0;
            } else {
                text.to_mut().push('\n');
                text.to_mut().push_str(&piece);
            }
        }
        wish.texts.push(text);
        // One request has one size: the last one's, as all are the same in practice.
        let dimensions = request.dimensions.or(config.dimensions).map(|n| n.0);
        if wish.dimensions.is_some() && dimensions != wish.dimensions {
            return Err(bad(
                "outputDimensionality",
                "All requests of a batch must ask for the same 'outputDimensionality' on this model.",
            ));
        }
        wish.dimensions = dimensions;
        let dropped = [
            (request.task_type.or(config.task_type), "taskType"),
            (request.title.or(config.title), "title"),
        ];
        for (value, name) in dropped {
            if value.is_some() && !wish.losses.iter().any(|loss| loss.path == name) {
                wish.losses.push(Loss::cosmetic(name));
            }
        }
        unknown(&mut wish.losses, request.unknown);
    }
    Ok(wish)
}

#[derive(Serialize)]
struct OpenAiOut<'a> {
    model: &'a str,
    input: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    encoding_format: &'static str,
}

fn write_openai(wish: &Wish<'_>, model: &str) -> Vec<u8> {
    let out = OpenAiOut {
        model,
        input: &wish.texts,
        dimensions: wish.dimensions,
        encoding_format: "float",
    };
    // Texts and numbers always serialise.
    serde_json::to_vec(&out).unwrap_or_default()
}

#[derive(Serialize)]
struct GeminiOut<'a> {
    requests: Vec<GeminiOne<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiOne<'a> {
    model: &'a str,
    content: GeminiParts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct GeminiParts<'a> {
    parts: [GeminiText<'a>; 1],
}

#[derive(Serialize)]
struct GeminiText<'a> {
    text: &'a str,
}

/// Always a batch: it takes one text as well as many.
fn write_gemini(wish: &Wish<'_>, model: &str) -> Vec<u8> {
    let model = format!("models/{model}");
    let requests = wish
        .texts
        .iter()
        .map(|text| GeminiOne {
            model: &model,
            content: GeminiParts {
                parts: [GeminiText { text }],
            },
            output_dimensionality: wish.dimensions,
        })
        .collect();
    serde_json::to_vec(&GeminiOut { requests }).unwrap_or_default()
}

#[derive(Deserialize)]
struct GeminiAnswer<'a> {
    #[serde(borrow)]
    embeddings: Vec<GeminiVector<'a>>,
    #[serde(borrow, rename = "usageMetadata")]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GeminiVector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
struct OpenAiAnswer<'a> {
    #[serde(borrow)]
    data: Vec<OpenAiVector<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OpenAiVector<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Writes the answer as the client's protocol has it; `None`: the provider's is not one.
pub fn write_answer(asked: &Asked, body: &[u8], model: &str) -> Option<Vec<u8>> {
    match asked.operation {
        Operation::EmbedContent | Operation::BatchEmbedContents => answer_gemini(asked, body),
        _ => answer_openai(asked, body, model),
    }
}

fn answer_openai(asked: &Asked, body: &[u8], model: &str) -> Option<Vec<u8>> {
    let answer: GeminiAnswer<'_> = serde_json::from_slice(body).ok()?;
    let mut usage = Usage::default();
    let stated = answer
        .usage
        .is_some_and(|raw| Dialect::Gemini.read_usage(raw.get().as_bytes(), &mut usage));
    let tokens = if stated { usage.input() } else { asked.tokens };
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, vector) in answer.embeddings.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(
            format!("{{\"object\":\"embedding\",\"index\":{index},\"embedding\":").as_bytes(),
        );
        if asked.base64 {
            let values: Vec<f32> = serde_json::from_str(vector.values.get()).ok()?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(vector.values.get().as_bytes());
        }
        out.push(b'}');
    }
    let model = crate::wire::json::quote(model);
    out.extend_from_slice(
        format!(
            "],\"model\":{model},\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}"
        )
        .as_bytes(),
    );
    Some(out)
}

fn answer_gemini(asked: &Asked, body: &[u8]) -> Option<Vec<u8>> {
    let mut answer: OpenAiAnswer<'_> = serde_json::from_slice(body).ok()?;
    answer.data.sort_by_key(|vector| vector.index);
    let mut vectors = answer.data.iter();
    let mut out = Vec::with_capacity(body.len() + 64);
    if asked.operation == Operation::EmbedContent {
        out.extend_from_slice(b"{\"embedding\":{\"values\":");
        out.extend_from_slice(vectors.next()?.embedding.get().as_bytes());
        out.push(b'}');
    } else {
        out.extend_from_slice(b"{\"embeddings\":[");
        for (index, vector) in vectors.enumerate() {
            out.extend_from_slice(if index > 0 {
                b",{\"values\":"
            } else {
                b"{\"values\":"
            });
            out.extend_from_slice(vector.embedding.get().as_bytes());
            out.push(b'}');
        }
        out.push(b']');
    }
    let mut usage = Usage::default();
    let stated = answer
        .usage
        .is_some_and(|raw| openai::read_usage(raw.get().as_bytes(), &mut usage));
    if stated {
        out.extend_from_slice(
            format!(
                ",\"usageMetadata\":{{\"promptTokenCount\":{}}}",
                usage.input()
            )
            .as_bytes(),
        );
    }
    out.push(b'}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("text")
    }

    #[test]
    fn every_input_is_embedded_and_comes_back_in_its_place() {
        let body = br#"{"model":"m","input":["a","b"],"dimensions":2,"encoding_format":"base64","user":"u"}"#;
        let (rendered, asked) =
            write_request(Operation::Embeddings, body, Dialect::Gemini, "g").expect("valid");
        assert_eq!(
            text(&rendered.body),
            r#"{"requests":[{"model":"models/g","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},{"model":"models/g","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}"#
        );
        assert_eq!(rendered.losses, [Loss::cosmetic("user")]);
        let answer = br#"{"embeddings":[{"values":[1.0,-0.5]},{"values":[0.25,2]}]}"#;
        let out = write_answer(&asked, answer, "m").expect("valid");
        assert_eq!(
            text(&out),
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="},{"object":"embedding","index":1,"embedding":"AACAPgAAAEA="}],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}"#
        );
    }

    #[test]
    fn a_batch_of_gemini_becomes_one_list_and_numbers_keep_their_spelling() {
        let body = br#"{"requests":[{"model":"models/g","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"X"},{"content":{"parts":[{"text":"c"}]}}]}"#;
        let (rendered, asked) = write_request(
            Operation::BatchEmbedContents,
            body,
            Dialect::OpenAiChat,
            "o",
        )
        .expect("valid");
        assert_eq!(
            text(&rendered.body),
            r#"{"model":"o","input":["a\nb","c"],"encoding_format":"float"}"#
        );
        assert_eq!(rendered.losses, [Loss::cosmetic("taskType")]);
        let answer = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1.50e+2]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(
            text(&write_answer(&asked, answer, "m").expect("valid")),
            r#"{"embeddings":[{"values":[1.50e+2]},{"values":[2]}],"usageMetadata":{"promptTokenCount":3}}"#
        );
    }

    #[test]
    fn tokens_and_nothing_are_refused_by_name() {
        for body in [
            r#"{"input":[1,2]}"#,
            r#"{"input":[[1]]}"#,
            "{}",
            r#"{"input":[]}"#,
        ] {
            let refused =
                write_request(Operation::Embeddings, body.as_bytes(), Dialect::Gemini, "g");
            let fault = refused.expect_err(body);
            assert_eq!((fault.status, fault.param.as_deref()), (400, Some("input")));
        }
    }
}
