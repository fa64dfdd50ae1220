//! One minimal use of each parameter of this protocol: what the list of what is carried, dropped and refused for each
//! platform is made from.

/// The parameter as it is documented, and the fields of a request that use it.
pub const SAMPLES: &[(&str, &str)] = &[
    (
        "messages[].role: system",
        r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}]"#,
    ),
    (
        "messages[].role: developer",
        r#""messages":[{"role":"developer","content":"s"},{"role":"user","content":"x"}]"#,
    ),
    (
        "messages[].role: tool",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"1"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
    ),
    (
        "messages[].role: function",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}],"functions":[{"name":"f","parameters":{"type":"object","properties":{}}}]"#,
    ),
    (
        "messages[].name",
        r#""messages":[{"role":"user","name":"ann","content":"x"}]"#,
    ),
    (
        "messages[].content[].text",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]"#,
    ),
    (
        "messages[].content[].image_url: base64",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]"#,
    ),
    (
        "messages[].content[].image_url: url",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]"#,
    ),
    (
        "messages[].content[].image_url.detail",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]}]"#,
    ),
    (
        "messages[].content[].input_audio: wav",
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]"#,
    ),
    (
        "messages[].content[].input_audio: other",
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"ogg"}}]}]"#,
    ),
    (
        "messages[].content[].video_url",
        r#""messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://example.com/a.mp4"}}]}]"#,
    ),
    (
        "messages[].content[].file.file_data",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]"#,
    ),
    (
        "messages[].content[].file.file_data: url",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"https://example.com/a.pdf"}}]}]"#,
    ),
    (
        "messages[].content[].file.file_id",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#,
    ),
    (
        "messages[].content[].refusal",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"y"}]"#,
    ),
    (
        "messages[].content[].cache_control",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]"#,
    ),
    (
        "messages[].content[].prompt_cache_breakpoint",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}]"#,
    ),
    (
        "messages[].content: image in a tool's result",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
    ),
    (
        "messages[].refusal",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"y"}]"#,
    ),
    (
        "messages[].audio",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"audio":{"id":"audio_1"}},{"role":"user","content":"y"}]"#,
    ),
    (
        "messages[].images",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","images":[{"image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]},{"role":"user","content":"z"}]"#,
    ),
    (
        "messages[].annotations",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","annotations":[{"type":"url_citation","url_citation":{"url":"https://example.com","title":"t","start_index":0,"end_index":1}}]},{"role":"user","content":"z"}]"#,
    ),
    (
        "messages[].reasoning_content",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_content":"hm"},{"role":"user","content":"z"}]"#,
    ),
    (
        "messages[].reasoning",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning":"hm"},{"role":"user","content":"z"}]"#,
    ),
    (
        "messages[].reasoning_details",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s","format":"anthropic-claude-v1","index":0}]},{"role":"user","content":"z"}]"#,
    ),
    (
        "messages[].tool_calls[].custom",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"custom","custom":{"name":"c","input":"in"}}]},{"role":"tool","tool_call_id":"call_1","content":"1"}],"tools":[{"type":"custom","custom":{"name":"c"}}]"#,
    ),
    (
        "messages[].tool_calls[].extra_content.google.thought_signature",
        r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"AAAA"}}}]},{"role":"tool","tool_call_id":"call_1","content":"1"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
    ),
    (
        "tools[].function",
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}]"#,
    ),
    (
        "tools[].function.strict",
        r#""tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"required":[],"additionalProperties":false}}}]"#,
    ),
    (
        "tools[].custom",
        r#""tools":[{"type":"custom","custom":{"name":"c","description":"d"}}]"#,
    ),
    (
        "tools[].custom.format: grammar",
        r#""tools":[{"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"x\""}}}}]"#,
    ),
    (
        "tools[].cache_control",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}},"cache_control":{"type":"ephemeral"}}]"#,
    ),
    (
        "tools[].type: web_search",
        r#""tools":[{"type":"openrouter:web_search"}]"#,
    ),
    (
        "tools[].type: web_fetch",
        r#""tools":[{"type":"openrouter:web_fetch"}]"#,
    ),
    (
        "tools[].type: other",
        r#""tools":[{"type":"openrouter:datetime"}]"#,
    ),
    (
        "tool_choice: auto",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":"auto""#,
    ),
    (
        "tool_choice: none",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":"none""#,
    ),
    (
        "tool_choice: required",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":"required""#,
    ),
    (
        "tool_choice: function",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ),
    (
        "tool_choice: custom",
        r#""tools":[{"type":"custom","custom":{"name":"c"}}],"tool_choice":{"type":"custom","custom":{"name":"c"}}"#,
    ),
    (
        "tool_choice: allowed_tools",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
    ),
    (
        "parallel_tool_calls",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"parallel_tool_calls":false"#,
    ),
    (
        "functions",
        r#""functions":[{"name":"f","parameters":{"type":"object","properties":{}}}]"#,
    ),
    (
        "function_call",
        r#""functions":[{"name":"f","parameters":{"type":"object","properties":{}}}],"function_call":{"name":"f"}"#,
    ),
    ("web_search_options", r#""web_search_options":{}"#),
    (
        "web_search_options.search_context_size",
        r#""web_search_options":{"search_context_size":"low"}"#,
    ),
    (
        "web_search_options.user_location",
        r#""web_search_options":{"user_location":{"type":"approximate","approximate":{"country":"NL"}}}"#,
    ),
    (
        "response_format: text",
        r#""response_format":{"type":"text"}"#,
    ),
    (
        "response_format: json_object",
        r#""response_format":{"type":"json_object"}"#,
    ),
    (
        "response_format: json_schema",
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    (
        "response_format: grammar",
        r#""response_format":{"type":"grammar","grammar":"root ::= \"x\""}"#,
    ),
    ("max_completion_tokens", r#""max_completion_tokens":100"#),
    ("max_tokens", r#""max_tokens":100"#),
    ("temperature", r#""temperature":0.5"#),
    ("top_p", r#""top_p":0.5"#),
    ("top_k", r#""top_k":5"#),
    ("min_p", r#""min_p":0.1"#),
    ("top_a", r#""top_a":0.1"#),
    ("repetition_penalty", r#""repetition_penalty":1.1"#),
    ("presence_penalty", r#""presence_penalty":0.5"#),
    ("frequency_penalty", r#""frequency_penalty":0.5"#),
    ("logit_bias", r#""logit_bias":{"50256":-100}"#),
    ("seed", r#""seed":1"#),
    ("stop", r#""stop":["END"]"#),
    ("stop: more than four", r#""stop":["1","2","3","4","5"]"#),
    ("n", r#""n":2"#),
    ("logprobs", r#""logprobs":true"#),
    ("top_logprobs", r#""logprobs":true,"top_logprobs":2"#),
    ("reasoning_effort", r#""reasoning_effort":"low""#),
    ("reasoning_effort: none", r#""reasoning_effort":"none""#),
    ("reasoning.effort", r#""reasoning":{"effort":"high"}"#),
    ("reasoning.max_tokens", r#""reasoning":{"max_tokens":2048}"#),
    ("reasoning.enabled", r#""reasoning":{"enabled":true}"#),
    (
        "reasoning.exclude",
        r#""reasoning":{"effort":"low","exclude":true}"#,
    ),
    ("include_reasoning", r#""include_reasoning":true"#),
    (
        "thinking",
        r#""thinking":{"type":"enabled","budget_tokens":2048}"#,
    ),
    ("verbosity", r#""verbosity":"low""#),
    (
        "modalities: audio",
        r#""modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#,
    ),
    ("modalities: image", r#""modalities":["image","text"]"#),
    (
        "image_config",
        r#""modalities":["image","text"],"image_config":{"aspect_ratio":"16:9"}"#,
    ),
    (
        "prediction",
        r#""prediction":{"type":"content","content":"x"}"#,
    ),
    (
        "moderation",
        r#""moderation":{"model":"omni-moderation-latest"}"#,
    ),
    ("stream", r#""stream":true"#),
    (
        "stream_options.include_usage",
        r#""stream":true,"stream_options":{"include_usage":true}"#,
    ),
    (
        "stream_options.include_obfuscation",
        r#""stream":true,"stream_options":{"include_obfuscation":false}"#,
    ),
    ("service_tier", r#""service_tier":"flex""#),
    ("store", r#""store":true"#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("user", r#""user":"u""#),
    ("safety_identifier", r#""safety_identifier":"u""#),
    ("prompt_cache_key", r#""prompt_cache_key":"k""#),
    (
        "prompt_cache_retention",
        r#""prompt_cache_retention":"24h""#,
    ),
    (
        "prompt_cache_options",
        r#""prompt_cache_options":{"ttl":"30m"}"#,
    ),
    ("cache_control", r#""cache_control":{"type":"ephemeral"}"#),
    ("provider", r#""provider":{"order":["OpenAI"]}"#),
    ("models", r#""models":["a/b"]"#),
    ("route", r#""route":"fallback""#),
    ("transforms", r#""transforms":["middle-out"]"#),
    ("plugins: web", r#""plugins":[{"id":"web"}]"#),
    (
        "plugins: file-parser",
        r#""plugins":[{"id":"file-parser"}]"#,
    ),
    ("usage", r#""usage":{"include":true}"#),
    ("session_id", r#""session_id":"s""#),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_a_request_that_is_understood() {
        for (name, fields) in SAMPLES {
            let messages = if fields.starts_with("\"messages\"") {
                ""
            } else {
                r#""messages":[{"role":"user","content":"x"}],"#
            };
            let body = format!("{{\"model\":\"m\",{messages}{fields}}}");
            super::super::read_request(body.as_bytes())
                .unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        }
    }
}
