//! Tools that a provider runs by itself: what becomes of them where it does not run them, or not beside functions.
//!
//! A search that stands beside functions is an offer: agents send one with every request, whoever answers. Where it cannot
//! be had it is left out and named. One that is all that is offered, or is demanded, is what the answer is to be made of:
//! the request is refused under the tool's name. So is any other tool, since there is no telling what hangs on it.

use super::openai_chat::WebSearch;
use super::openai_responses;
use super::translate::Target;
use crate::chat::{Hosted, Loss, Request, Tool, ToolChoice};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    No,
    /// Not in a request that has functions too.
    Alone,
    Beside,
}

impl Target<'_> {
    fn runs(&self, kind: Hosted) -> Runs {
        match (self, kind) {
            (Self::Anthropic(_), Hosted::WebSearch | Hosted::WebFetch | Hosted::CodeExecution)
            | (Self::OpenAiResponses(_), Hosted::WebSearch | Hosted::CodeExecution) => Runs::Beside,
            // Older models refuse the two together; newer ones want each call of their own back, signed, for which no
            // other protocol has a field (https://ai.google.dev/gemini-api/docs/tool-combination).
            (Self::Gemini(_), Hosted::WebSearch | Hosted::WebFetch | Hosted::CodeExecution) => {
                Runs::Alone
            }
            (Self::OpenAiChat(target), Hosted::WebSearch) => match target.flavor.web_search {
                WebSearch::Plugin => Runs::Beside,
                // Models that search take no functions
                // (https://platform.openai.com/docs/guides/tools-web-search#limitations).
                WebSearch::Options => Runs::Alone,
                WebSearch::Responses | WebSearch::None => Runs::No,
            },
            (Self::OpenAiChat(_), Hosted::WebFetch | Hosted::CodeExecution)
            | (Self::OpenAiResponses(_), Hosted::WebFetch)
            | (_, Hosted::Other) => Runs::No,
        }
    }

    /// The same model by the provider's other API, where only that runs what the request asks for.
    #[must_use]
    pub fn suited(self, request: &Request<'_>) -> Self {
        let asks = |tool: &Tool<'_>| {
            matches!(
                tool,
                Tool::Hosted {
                    kind: Hosted::WebSearch | Hosted::CodeExecution,
                    ..
                }
            )
        };
        match self {
            Self::OpenAiChat(target)
                if target.flavor.web_search == WebSearch::Responses
                    && request.tools.iter().any(asks) =>
            {
                Self::OpenAiResponses(openai_responses::Target {
                    model: target.model,
                    reasons: target.reasons,
                })
            }
            Self::OpenAiChat(_)
            | Self::OpenAiResponses(_)
            | Self::Anthropic(_)
            | Self::Gemini(_) => self,
        }
    }
}

/// The request as the target can have it, and what it cost. `None`: as it is.
pub(super) fn fit<'a>(
    request: &Request<'a>,
    target: &Target<'_>,
) -> Option<(Request<'a>, Vec<Loss>)> {
    let is_function = |tool: &Tool<'_>| matches!(tool, Tool::Function(_));
    if request.tools.iter().all(is_function) {
        return None;
    }
    let beside = request.tools.iter().any(is_function);
    let mut fitted = request.clone();
    let mut losses = Vec::new();
    choose(&mut fitted, target, &mut losses);
    let choice = fitted.tool_choice.take();
    fitted.tools.retain(|tool| {
        let Tool::Hosted { kind, name, .. } = tool else {
            return true;
        };
        match target.runs(*kind) {
            Runs::No | Runs::Alone if beside && *kind == Hosted::WebSearch && !demands(choice.as_ref(), name) => {
                losses.push(Loss::cosmetic(path(name)));
                false
            }
            Runs::Alone if beside => {
                losses.push(Loss::meaning(
                    "tools",
                    format!("the tool '{name}' cannot stand beside functions there; offer the one or the others."),
                ));
                true
            }
            // What is not run at all its writer refuses.
            Runs::No | Runs::Alone | Runs::Beside => true,
        }
    });
    fitted.tool_choice = choice;
    Some((fitted, losses))
}

/// Is the tool among those of which one must be used, and no function is?
fn demands(choice: Option<&ToolChoice<'_>>, tool: &str) -> bool {
    match choice {
        Some(ToolChoice::Named(name)) => name == tool,
        Some(ToolChoice::Allowed {
            names,
            required: true,
        }) => names.iter().all(|name| name == tool),
        Some(
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Allowed { .. },
        )
        | None => false,
    }
}

/// A choice that demands one of these tools: only one protocol can say so where there are others.
fn choose(request: &mut Request<'_>, target: &Target<'_>, losses: &mut Vec<Loss>) {
    let demanded = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => name,
        Some(ToolChoice::Allowed {
            names,
            required: true,
        }) if names.len() == 1 => &names[0],
        Some(_) | None => return,
    };
    let is_function = |tool: &Tool<'_>| matches!(tool, Tool::Function(f) if f.name == *demanded);
    if request.tools.iter().any(is_function) {
        return;
    }
    // Some call the tool by a kind with its date, and the choice without.
    let found = request.tools.iter().find_map(|tool| match tool {
        Tool::Hosted { name, .. }
            if name
                .strip_prefix(&**demanded)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_')) =>
        {
            Some(name.clone())
        }
        Tool::Hosted { .. } | Tool::Function(_) => None,
    });
    let Some(name) = found else { return };
    if request.tools.len() == 1 {
        request.tool_choice = Some(ToolChoice::Required);
    } else if matches!(target, Target::OpenAiResponses(_)) {
        request.tool_choice = Some(ToolChoice::Named(name));
    } else {
        losses.push(Loss::meaning(
            "tool_choice",
            format!("the tool '{name}' cannot be demanded there beside others; use 'auto', or offer it alone."),
        ));
    }
}

/// How the header calls a tool that was left out: a field of its own, or one of the tools.
fn path(name: &str) -> String {
    if name.contains('[') || name.ends_with("_options") {
        name.to_owned()
    } else {
        format!("tools[].{name}")
    }
}
