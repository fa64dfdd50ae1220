//! Text to image: OpenAI's request (<https://platform.openai.com/docs/api-reference/images/create>) on models that draw
//! in their answers (<https://ai.google.dev/gemini-api/docs/image-generation>).

use serde::Serialize;

use super::translate::Rendered;
use crate::base::{Fault, FaultKind, Usage};
use crate::chat::{Answer, Loss, PartKind, Source};
use crate::wire::read::{Count, Str, object, whole};

object! {
    struct Wish<'a> {
        "model" => model: Str<'a>,
        "prompt" => prompt: Str<'a>,
        "n" => n: Count,
        "size" => size: Str<'a>,
        "response_format" => response_format: Str<'a>,
        "stream" => stream: bool,
        "background" => background: Str<'a>,
        "output_format" => output_format: Str<'a>,
        "quality" => quality: Str<'a>,
        "style" => style: Str<'a>,
        "user" => user: Str<'a>,
        "moderation" => moderation: Str<'a>,
        "output_compression" => output_compression: Count,
        "partial_images" => partial_images: Count,
    }
}

/// Width to height, of the sizes that the API has.
const ASPECTS: [(&str, &str); 8] = [
    ("256x256", "1:1"),
    ("512x512", "1:1"),
    ("1024x1024", "1:1"),
    ("1536x1024", "3:2"),
    ("1024x1536", "2:3"),
    ("1792x1024", "16:9"),
    ("1024x1792", "9:16"),
    ("2048x2048", "1:1"),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'a> {
    contents: [Content<'a>; 1],
    generation_config: Config,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    response_modalities: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    image_config: Option<Aspect>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Aspect {
    aspect_ratio: &'static str,
}

fn unsupported(param: &'static str, message: &'static str) -> Fault {
    Fault::new(FaultKind::UnsupportedParameter, message).param(param)
}

/// Writes the request that makes the model draw.
pub fn write_request(body: &[u8]) -> Result<Rendered, Fault> {
    let wish: Wish<'_> = whole(body).map_err(|(path, what)| {
        Fault::new(
            FaultKind::InvalidRequest,
            format!("'{path}' is wrong: {what}."),
        )
        .param(path)
    })?;
    let Some(prompt) = wish.prompt.as_deref().filter(|p| !p.is_empty()) else {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            "You must provide a 'prompt', a text that says what to draw.",
        )
        .param("prompt"));
    };
    if wish.n.is_some_and(|n| n.0 > 1) {
        return Err(unsupported(
            "n",
            "'n' must be 1 for this model: it draws one image a request. Send several requests.",
        ));
    }
    if wish.response_format.as_deref() == Some("url") {
        return Err(unsupported(
            "response_format",
            "'response_format' must be 'b64_json' for this model: its images have no URL.",
        ));
    }
    if wish.stream == Some(true) {
        return Err(unsupported(
            "stream",
            "'stream' is not supported for images of this model. Leave it out.",
        ));
    }
    if wish.background.as_deref() == Some("transparent") {
        return Err(unsupported(
            "background",
            "'background' cannot be transparent for this model. Leave it out.",
        ));
    }
    let aspect = match wish.size.as_deref() {
        None | Some("auto") => None,
        Some(size) => match ASPECTS.iter().find(|(known, _)| *known == size) {
            Some((_, aspect_ratio)) => Some(Aspect { aspect_ratio }),
            None => {
                return Err(unsupported(
                    "size",
                    "'size' must be one of 1024x1024, 1536x1024, 1024x1536, 1792x1024, 1024x1792 or auto for this model.",
                ));
            }
        },
    };
    let dropped = [
        (wish.quality.is_some(), "quality"),
        (wish.style.is_some(), "style"),
        (wish.user.is_some(), "user"),
        (wish.moderation.is_some(), "moderation"),
        (wish.output_format.is_some(), "output_format"),
        (wish.output_compression.is_some(), "output_compression"),
        (wish.partial_images.is_some(), "partial_images"),
        (wish.background.is_some(), "background"),
    ];
    let known = dropped
        .iter()
        .filter(|(is_there, _)| *is_there)
        .map(|(_, name)| Loss::cosmetic(*name));
    let unknown = wish
        .unknown
        .iter()
        .map(|name| Loss::cosmetic(name.clone().into_owned()));
    let losses = known.chain(unknown).collect();
    let out = Out {
        contents: [Content {
            role: "user",
            parts: [Text { text: prompt }],
        }],
        generation_config: Config {
            response_modalities: ["IMAGE"],
            image_config: aspect,
        },
    };
    Ok(Rendered {
        // Texts always serialise.
        body: serde_json::to_vec(&out).unwrap_or_default(),
        losses,
        ..Rendered::default()
    })
}

#[derive(Serialize)]
struct Images<'a> {
    created: u64,
    data: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Image<'a> {
    b64_json: &'a str,
}

#[derive(Serialize)]
struct Tokens {
    input_tokens: u64,
    input_tokens_details: InputTokens,
    output_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputTokens {
    text_tokens: u64,
    image_tokens: u64,
}

/// Writes the images of an answer. A model that drew nothing has refused: `Err` says so.
pub fn write_answer(answer: &Answer, now: u64) -> Result<Vec<u8>, Fault> {
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    let data: Vec<Image<'_>> = parts
        .filter_map(|part| match &part.kind {
            PartKind::Media(media) => match &media.source {
                Source::Base64(data) => Some(Image { b64_json: data }),
                Source::Url(_) | Source::Plain(_) | Source::File(_) => None,
            },
            PartKind::Text { .. }
            | PartKind::Reasoning(_)
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal(_) => None,
        })
        .collect();
    if data.is_empty() {
        let detail = answer.choices.first().and_then(|c| c.detail.as_deref());
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            format!(
                "The model drew no image ({}). Change the prompt.",
                detail.unwrap_or("it gave no reason")
            ),
        )
        .param("prompt"));
    }
    let usage = answer.usage.map(|usage: Usage| Tokens {
        input_tokens: usage.input(),
        input_tokens_details: InputTokens {
            text_tokens: usage.input(),
            image_tokens: 0,
        },
        output_tokens: usage.output,
        total_tokens: usage.input() + usage.output,
    });
    let images = Images {
        created: answer.created.unwrap_or(now),
        data,
        usage,
    };
    Ok(serde_json::to_vec(&images).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_and_a_size_become_a_drawing_request() {
        let body =
            br#"{"model":"x","prompt":"a \"cat\"","size":"1536x1024","quality":"high","n":1}"#;
        let rendered = write_request(body).expect("valid");
        assert_eq!(
            String::from_utf8(rendered.body).expect("text"),
            r#"{"contents":[{"role":"user","parts":[{"text":"a \"cat\""}]}],"generationConfig":{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"3:2"}}}"#
        );
        assert_eq!(rendered.losses, [Loss::cosmetic("quality")]);
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        for (field, param) in [
            (r#""n":2"#, "n"),
            (r#""response_format":"url""#, "response_format"),
            (r#""background":"transparent""#, "background"),
            (r#""size":"7x7""#, "size"),
            (r#""prompt":"""#, "prompt"),
            (r#""stream":true"#, "stream"),
        ] {
            let body = format!(r#"{{"prompt":"a",{field}}}"#);
            let fault = write_request(body.as_bytes()).expect_err(field);
            assert_eq!((fault.status, fault.param.as_deref()), (400, Some(param)));
        }
    }
}
