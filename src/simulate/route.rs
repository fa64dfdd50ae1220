//! From path to provider and endpoint, and the credentials of each provider.

use super::exchange::{Context, Problem, Reply, Request, Voice};
use super::{
    anthropic, errors, gemini, openai_chat, openai_conversations, openai_misc, openai_responses,
};

/// Whose dialect a path is in.
pub(super) fn voice(request: &Request) -> Voice {
    let path = request.path.as_str();
    if let Some(rest) = path.strip_prefix("/api/v1/") {
        return if rest.starts_with("responses") {
            Voice::RouterResponses
        } else {
            Voice::OpenRouter
        };
    }
    if path.starts_with("/v1beta") {
        return Voice::Gemini;
    }
    let Some(rest) = path.strip_prefix("/v1/") else {
        return Voice::OpenAi;
    };
    if rest == "messages" || rest.starts_with("messages/") {
        Voice::Anthropic
    } else if let Some(model) = rest.strip_prefix("models") {
        // Three providers list their models here; a verb or a header tells them apart.
        if model.contains(':') || request.header("x-goog-api-key").is_some() {
            Voice::Gemini
        } else if request.header("anthropic-version").is_some() {
            Voice::Anthropic
        } else {
            Voice::OpenAi
        }
    } else if rest == "responses" || rest.starts_with("responses/") {
        Voice::Responses
    } else {
        Voice::OpenAi
    }
}

/// Answers a request without faults.
pub(super) fn answer(context: &Context<'_>) -> Result<Reply, Problem> {
    let path = context.request.path.as_str();
    let known = ["/v1/", "/v1beta/", "/api/v1/"]
        .iter()
        .find_map(|root| path.strip_prefix(root));
    let Some(rest) = known else {
        return Err(not_found(context));
    };
    credential(context)?;
    match context.voice {
        Voice::Anthropic => anthropic::endpoint(context, rest),
        Voice::Gemini => gemini::endpoint(context, rest),
        Voice::OpenAi | Voice::OpenRouter => openai(context, rest),
        Voice::Responses | Voice::RouterResponses => openai_responses::endpoint(context, rest),
    }
}

fn openai(context: &Context<'_>, rest: &str) -> Result<Reply, Problem> {
    let create: fn(&Context<'_>) -> Result<Reply, Problem> = match rest {
        "chat/completions" => openai_chat::create,
        "embeddings" => openai_misc::embeddings,
        "images/generations" => openai_misc::images,
        "images/edits" => openai_misc::image_edits,
        "audio/speech" => openai_misc::speech,
        "audio/transcriptions" | "audio/translations" => openai_misc::transcription,
        "moderations" => openai_misc::moderations,
        "completions" => openai_misc::completions,
        "rerank" => openai_misc::rerank,
        _ if context.voice == Voice::OpenAi && rest.split('/').next() == Some("conversations") => {
            return openai_conversations::endpoint(context, rest);
        }
        "models" => return of_method(context, "GET", openai_misc::models),
        _ => {
            return match rest.strip_prefix("models/") {
                Some(model) => {
                    method(context, "GET")?;
                    openai_misc::model(context, model)
                }
                None => Err(not_found(context)),
            };
        }
    };
    of_method(context, "POST", create)
}

fn of_method(
    context: &Context<'_>,
    wanted: &str,
    create: fn(&Context<'_>) -> Result<Reply, Problem>,
) -> Result<Reply, Problem> {
    method(context, wanted)?;
    create(context)
}

/// Refuses every other method.
pub(super) fn method(context: &Context<'_>, wanted: &str) -> Result<(), Problem> {
    let got = context.request.method.as_str();
    if got == wanted || (wanted == "GET" && got == "HEAD") {
        return Ok(());
    }
    Err(Problem::new(
        405,
        format!(
            "Not allowed to {got} on {} (HINT: Perhaps you meant to use a different HTTP method?)",
            context.request.path
        ),
    ))
}

/// The provider's answer to a path that it does not know.
pub(super) fn not_found(context: &Context<'_>) -> Problem {
    let request = context.request;
    match context.voice {
        Voice::Anthropic => Problem::new(404, "Not Found"),
        Voice::Gemini => Problem::new(404, "Requested entity was not found."),
        Voice::OpenRouter | Voice::RouterResponses => Problem::new(404, "Not Found"),
        Voice::OpenAi | Voice::Responses => Problem::new(
            404,
            format!("Invalid URL ({} {})", request.method, request.path),
        ),
    }
}

/// The provider's answer to a model that it does not have: by convention those that begin with `missing`.
pub(super) fn known_model(context: &Context<'_>, model: &str) -> Result<(), Problem> {
    let bare = model.rsplit('/').next().unwrap_or(model);
    if !bare.starts_with("missing") {
        return Ok(());
    }
    Err(match context.voice {
        Voice::OpenAi | Voice::Responses => Problem::new(
            404,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
        .code("model_not_found"),
        Voice::Anthropic => Problem::new(404, format!("model: {model}")),
        Voice::Gemini => Problem::new(
            404,
            format!(
                "models/{bare} is not found for API version v1beta, or is not supported for this method. Call ListModels to see the list of available models and their supported methods."
            ),
        ),
        Voice::OpenRouter | Voice::RouterResponses => {
            Problem::new(404, format!("No endpoints found for {model}."))
        }
    })
}

/// The credential that this provider looks at.
pub(super) fn credential(context: &Context<'_>) -> Result<(), Problem> {
    if !context.sim.options.require_key {
        return Ok(());
    }
    let request = context.request;
    let bearer = request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let key = match context.voice {
        Voice::Anthropic => request.header("x-api-key").or(bearer),
        Voice::Gemini => request
            .header("x-goog-api-key")
            .or_else(|| request.query_value("key"))
            .or(bearer),
        Voice::OpenAi | Voice::Responses | Voice::OpenRouter | Voice::RouterResponses => bearer,
    };
    match key.filter(|key| !key.is_empty()) {
        None => Err(errors::no_key(context.voice)),
        Some(key) if key.starts_with("bad") => Err(errors::bad_key(context.voice)),
        Some(_) => Ok(()),
    }
}
