//! `tools` and `toolConfig`.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::schema;
use super::{Losses, wrong};
use crate::base::Fault;
use crate::chat::{Function, Hosted, Json, Request, Tool, ToolChoice};
use crate::wire::read::{List, Str, object};

object! {
    pub(super) struct ToolEntry<'a> {
        "functionDeclarations" | "function_declarations" => functions: List<Declaration<'a>>,
        "googleSearch" | "google_search" => search: Search<'a>,
        "googleSearchRetrieval" | "google_search_retrieval" => retrieval: SearchRetrieval<'a>,
        "codeExecution" | "code_execution" => code: IgnoredAny,
        "urlContext" | "url_context" => urls: IgnoredAny,
        "fileSearch" | "file_search" => files: IgnoredAny,
        "computerUse" | "computer_use" => computer: IgnoredAny,
        "googleMaps" | "google_maps" => maps: IgnoredAny,
        "mcpServers" | "mcp_servers" => servers: IgnoredAny,
        "enterpriseWebSearch" | "enterprise_web_search" => enterprise: IgnoredAny,
        "retrieval" => vertex: IgnoredAny,
    }
}

object! {
    pub(super) struct Declaration<'a> {
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "parameters" => parameters: &'a RawValue,
        "parametersJsonSchema" | "parameters_json_schema" => json_schema: &'a RawValue,
        "response" => response: IgnoredAny,
        "responseJsonSchema" | "response_json_schema" => response_schema: IgnoredAny,
        "behavior" => behavior: IgnoredAny,
    }
}

object! {
    pub(super) struct Search<'a> {
        "timeRangeFilter" | "time_range_filter" => range: IgnoredAny,
        "excludeDomains" | "exclude_domains" => blocked: List<Str<'a>>,
    }
}

object! {
    pub(super) struct SearchRetrieval<'a> {
        "dynamicRetrievalConfig" | "dynamic_retrieval_config" => dynamic: IgnoredAny,
    }
}

object! {
    pub(super) struct ToolConfig<'a> {
        "functionCallingConfig" | "function_calling_config" => calling: Calling<'a>,
        "retrievalConfig" | "retrieval_config" => retrieval: IgnoredAny,
        "includeServerSideToolInvocations" | "include_server_side_tool_invocations" => invocations: IgnoredAny,
    }
}

object! {
    pub(super) struct Calling<'a> {
        "mode" => mode: &'a RawValue,
        "allowedFunctionNames" | "allowed_function_names" => allowed: List<Str<'a>>,
        "streamFunctionCallArguments" | "stream_function_call_arguments" => streams: IgnoredAny,
    }
}

pub(super) fn read<'a>(
    tools: Option<List<ToolEntry<'a>>>,
    config: Option<ToolConfig<'a>>,
    request: &mut Request<'a>,
    losses: &mut Losses<'_>,
) -> Result<(), Fault> {
    for (at, tool) in tools
        .map(|list| list.0)
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let place = format!("tools[{at}]");
        let functions = tool.functions.map(|list| list.0).unwrap_or_default();
        for (number, function) in functions.into_iter().enumerate() {
            let place = format!("{place}.functionDeclarations[{number}]");
            request.tools.push(function_of(function, &place, losses)?);
        }
        if let Some(search) = tool.search {
            losses.cosmetic_if(
                search.range.is_some(),
                &format!("{place}.googleSearch.timeRangeFilter"),
            );
            losses.unknown(&format!("{place}.googleSearch"), &search.unknown);
            let blocked = search.blocked.map(|list| list.0).unwrap_or_default();
            request.tools.push(Tool::Hosted {
                kind: Hosted::WebSearch,
                name: "googleSearch".into(),
                allowed_domains: Vec::new(),
                blocked_domains: blocked.into_iter().map(|domain| domain.0).collect(),
                max_uses: None,
            });
        }
        if let Some(retrieval) = tool.retrieval {
            losses.cosmetic_if(
                retrieval.dynamic.is_some(),
                &format!("{place}.googleSearchRetrieval.dynamicRetrievalConfig"),
            );
            request
                .tools
                .push(hosted(Hosted::WebSearch, "googleSearchRetrieval"));
        }
        for (written, kind, name) in [
            (tool.code, Hosted::CodeExecution, "codeExecution"),
            (tool.urls, Hosted::WebFetch, "urlContext"),
            (tool.enterprise, Hosted::WebSearch, "enterpriseWebSearch"),
            (tool.files, Hosted::Other, "fileSearch"),
            (tool.computer, Hosted::Other, "computerUse"),
            (tool.maps, Hosted::Other, "googleMaps"),
            (tool.servers, Hosted::Other, "mcpServers"),
            (tool.vertex, Hosted::Other, "retrieval"),
        ] {
            if written.is_some() {
                request.tools.push(hosted(kind, name));
            }
        }
        losses.unknown(&place, &tool.unknown);
    }
    if let Some(config) = config {
        losses.cosmetic_if(config.retrieval.is_some(), "toolConfig.retrievalConfig");
        losses.cosmetic_if(
            config.invocations.is_some(),
            "toolConfig.includeServerSideToolInvocations",
        );
        losses.unknown("toolConfig", &config.unknown);
        if let Some(calling) = config.calling {
            losses.cosmetic_if(
                calling.streams.is_some(),
                "toolConfig.functionCallingConfig.streamFunctionCallArguments",
            );
            losses.unknown("toolConfig.functionCallingConfig", &calling.unknown);
            request.tool_choice = choice(calling)?;
        }
    }
    Ok(())
}

fn hosted(kind: Hosted, name: &'static str) -> Tool<'static> {
    Tool::Hosted {
        kind,
        name: name.into(),
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
    }
}

fn function_of<'a>(
    function: Declaration<'a>,
    place: &str,
    losses: &mut Losses<'_>,
) -> Result<Tool<'a>, Fault> {
    let name = function
        .name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            let path = losses.path(&format!("{place}.name"));
            wrong(
                path.clone(),
                format!("'{path}' is missing: each function has a name."),
            )
        })?;
    losses.cosmetic_if(function.response.is_some(), &format!("{place}.response"));
    losses.cosmetic_if(
        function.response_schema.is_some(),
        &format!("{place}.responseJsonSchema"),
    );
    losses.cosmetic_if(function.behavior.is_some(), &format!("{place}.behavior"));
    losses.unknown(place, &function.unknown);
    let free = function.json_schema.map(Json::Borrowed);
    Ok(Tool::Function(Function {
        name: name.0,
        description: function.description.map(|text| text.0),
        parameters: free.or_else(|| function.parameters.map(schema::to_standard)),
        strict: None,
        custom: false,
        cache: None,
    }))
}

/// <https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes>
fn choice(calling: Calling<'_>) -> Result<Option<ToolChoice<'_>>, Fault> {
    let raw = calling.mode.map_or("", RawValue::get);
    let mode = raw.trim_matches('"').to_ascii_uppercase();
    let allowed = calling.allowed.map(|list| list.0).unwrap_or_default();
    let mut names: Vec<_> = allowed.into_iter().map(|name| name.0).collect();
    Ok(match mode.as_str() {
        "" | "0" | "MODE_UNSPECIFIED" => None,
        "1" | "AUTO" | "4" | "VALIDATED" if names.is_empty() => Some(ToolChoice::Auto),
        "1" | "AUTO" | "4" | "VALIDATED" => Some(ToolChoice::Allowed {
            names,
            required: false,
        }),
        "2" | "ANY" => Some(match names.len() {
            0 => ToolChoice::Required,
            1 => ToolChoice::Named(names.remove(0)),
            _ => ToolChoice::Allowed {
                names,
                required: true,
            },
        }),
        "3" | "NONE" => Some(ToolChoice::None),
        other => {
            return Err(wrong(
                "toolConfig.functionCallingConfig.mode",
                format!("'{other}' is not a mode; there are AUTO, ANY, NONE and VALIDATED."),
            ));
        }
    })
}
