//! One minimal use of each parameter of this protocol: what the list of what is carried, dropped and refused for each
//! platform is made from.

/// The parameter as it is documented, and the fields of a request that use it.
pub const SAMPLES: &[(&str, &str)] = &[
    ("input: text", r#""input":"x""#),
    (
        "input[].content: text",
        r#""input":[{"role":"user","content":"x"}]"#,
    ),
    (
        "input[].role: system",
        r#""input":[{"role":"system","content":"s"},{"role":"user","content":"x"}]"#,
    ),
    (
        "input[].role: developer",
        r#""input":[{"role":"developer","content":"s"},{"role":"user","content":"x"}]"#,
    ),
    (
        "input[].content[].input_text",
        r#""input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]"#,
    ),
    (
        "input[].content[].input_image: base64",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]"#,
    ),
    (
        "input[].content[].input_image: url",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]"#,
    ),
    (
        "input[].content[].input_image.file_id",
        r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]"#,
    ),
    (
        "input[].content[].input_image.detail",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}]}]"#,
    ),
    (
        "input[].content[].input_file.file_data",
        r#""input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}]}]"#,
    ),
    (
        "input[].content[].input_file.file_url",
        r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://example.com/a.pdf"}]}]"#,
    ),
    (
        "input[].content[].input_file.file_id",
        r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]"#,
    ),
    (
        "input[].content[].input_audio",
        r#""input":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]"#,
    ),
    (
        "input[].content[].prompt_cache_breakpoint",
        r#""input":[{"role":"user","content":[{"type":"input_text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}]"#,
    ),
    (
        "input[].content[].output_text.annotations",
        r#""input":[{"role":"user","content":"x"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"y","annotations":[{"type":"url_citation","url":"https://example.com","title":"t","start_index":0,"end_index":1}]}]},{"role":"user","content":"z"}]"#,
    ),
    (
        "input[].content[].refusal",
        r#""input":[{"role":"user","content":"x"},{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"y"}]"#,
    ),
    (
        "input[].type: function_call",
        r#""input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":"1"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}}}]"#,
    ),
    (
        "input[].type: function_call_output with an image",
        r#""input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}}}]"#,
    ),
    (
        "input[].type: custom_tool_call",
        r#""input":[{"role":"user","content":"x"},{"type":"custom_tool_call","call_id":"call_1","name":"c","input":"in"},{"type":"custom_tool_call_output","call_id":"call_1","output":"1"}],"tools":[{"type":"custom","name":"c"}]"#,
    ),
    (
        "input[].type: reasoning",
        r#""input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},{"role":"assistant","content":"y"},{"role":"user","content":"z"}]"#,
    ),
    (
        "input[].type: reasoning, encrypted",
        r#""input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},{"role":"assistant","content":"y"},{"role":"user","content":"z"}]"#,
    ),
    (
        "input[].type: item_reference",
        r#""input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]"#,
    ),
    (
        "input[].type: compaction",
        r#""input":[{"type":"compaction","encrypted_content":"gAAA"},{"role":"user","content":"x"}]"#,
    ),
    (
        "input[].type: compaction_trigger",
        r#""input":[{"role":"user","content":"x"},{"type":"compaction_trigger"}]"#,
    ),
    (
        "input[].type: web_search_call",
        r#""input":[{"role":"user","content":"x"},{"type":"web_search_call","id":"ws_1","status":"completed"},{"role":"assistant","content":"y"},{"role":"user","content":"z"}]"#,
    ),
    (
        "input[].type: image_generation_call",
        r#""input":[{"role":"user","content":"x"},{"type":"image_generation_call","id":"ig_1","status":"completed","result":"iVBORw0KGgo="},{"role":"user","content":"z"}]"#,
    ),
    (
        "input[].type: additional_tools",
        r#""input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"f"}]},{"role":"user","content":"x"}]"#,
    ),
    ("instructions", r#""instructions":"s""#),
    ("previous_response_id", r#""previous_response_id":"resp_1""#),
    ("conversation", r#""conversation":"conv_1""#),
    ("background", r#""background":true"#),
    ("prompt", r#""prompt":{"id":"pmpt_1"}"#),
    ("store", r#""store":true"#),
    (
        "context_management",
        r#""context_management":[{"type":"compaction","compact_threshold":1000}]"#,
    ),
    (
        "moderation",
        r#""moderation":{"model":"omni-moderation-latest"}"#,
    ),
    (
        "tools[].function",
        r#""tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}]"#,
    ),
    (
        "tools[].function.strict",
        r#""tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object","properties":{},"required":[],"additionalProperties":false}}]"#,
    ),
    (
        "tools[].function.defer_loading",
        r#""tools":[{"type":"function","name":"f","defer_loading":true}]"#,
    ),
    (
        "tools[].custom",
        r#""tools":[{"type":"custom","name":"c","description":"d"}]"#,
    ),
    (
        "tools[].custom.format: grammar",
        r#""tools":[{"type":"custom","name":"c","format":{"type":"grammar","syntax":"lark","definition":"start: \"x\""}}]"#,
    ),
    (
        "tools[].type: namespace",
        r#""tools":[{"type":"namespace","name":"n","description":"d","tools":[{"type":"function","name":"f"}]}]"#,
    ),
    (
        "tools[].type: tool_search",
        r#""tools":[{"type":"tool_search"}]"#,
    ),
    (
        "tools[].type: web_search",
        r#""tools":[{"type":"web_search"}]"#,
    ),
    (
        "tools[].web_search beside functions",
        r#""tools":[{"type":"function","name":"f"},{"type":"web_search"}]"#,
    ),
    (
        "tools[].web_search.filters.allowed_domains",
        r#""tools":[{"type":"web_search","filters":{"allowed_domains":["example.com"]}}]"#,
    ),
    (
        "tools[].web_search.user_location",
        r#""tools":[{"type":"web_search","user_location":{"type":"approximate","country":"NL"}}]"#,
    ),
    (
        "tools[].web_search.search_context_size",
        r#""tools":[{"type":"web_search","search_context_size":"low"}]"#,
    ),
    (
        "tools[].type: web_search_preview",
        r#""tools":[{"type":"web_search_preview"}]"#,
    ),
    (
        "tools[].type: code_interpreter",
        r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
    ),
    (
        "tools[].code_interpreter.container",
        r#""tools":[{"type":"code_interpreter","container":"cntr_1"}]"#,
    ),
    (
        "tools[].type: file_search",
        r#""tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#,
    ),
    (
        "tools[].type: computer",
        r#""tools":[{"type":"computer_use_preview","display_width":1,"display_height":1,"environment":"linux"}]"#,
    ),
    (
        "tools[].type: mcp",
        r#""tools":[{"type":"mcp","server_label":"l","server_url":"https://example.com"}]"#,
    ),
    (
        "tools[].type: image_generation",
        r#""tools":[{"type":"image_generation"}]"#,
    ),
    (
        "tools[].type: local_shell",
        r#""tools":[{"type":"local_shell"}]"#,
    ),
    ("tools[].type: shell", r#""tools":[{"type":"shell"}]"#),
    (
        "tools[].type: apply_patch",
        r#""tools":[{"type":"apply_patch"}]"#,
    ),
    (
        "tool_choice: auto",
        r#""tools":[{"type":"function","name":"f"}],"tool_choice":"auto""#,
    ),
    (
        "tool_choice: none",
        r#""tools":[{"type":"function","name":"f"}],"tool_choice":"none""#,
    ),
    (
        "tool_choice: required",
        r#""tools":[{"type":"function","name":"f"}],"tool_choice":"required""#,
    ),
    (
        "tool_choice: function",
        r#""tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"}"#,
    ),
    (
        "tool_choice: custom",
        r#""tools":[{"type":"custom","name":"c"}],"tool_choice":{"type":"custom","name":"c"}"#,
    ),
    (
        "tool_choice: allowed_tools",
        r#""tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
    ),
    (
        "tool_choice: hosted",
        r#""tools":[{"type":"function","name":"f"},{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#,
    ),
    (
        "parallel_tool_calls",
        r#""tools":[{"type":"function","name":"f"}],"parallel_tool_calls":false"#,
    ),
    (
        "max_tool_calls",
        r#""tools":[{"type":"web_search"}],"max_tool_calls":3"#,
    ),
    ("text.format: text", r#""text":{"format":{"type":"text"}}"#),
    (
        "text.format: json_object",
        r#""text":{"format":{"type":"json_object"}}"#,
    ),
    (
        "text.format: json_schema",
        r#""text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    ("text.verbosity", r#""text":{"verbosity":"low"}"#),
    ("reasoning.effort", r#""reasoning":{"effort":"low"}"#),
    ("reasoning.effort: none", r#""reasoning":{"effort":"none"}"#),
    ("reasoning.summary", r#""reasoning":{"summary":"auto"}"#),
    (
        "reasoning.generate_summary",
        r#""reasoning":{"generate_summary":"auto"}"#,
    ),
    ("max_output_tokens", r#""max_output_tokens":100"#),
    ("temperature", r#""temperature":0.5"#),
    ("top_p", r#""top_p":0.5"#),
    (
        "top_logprobs",
        r#""top_logprobs":2,"include":["message.output_text.logprobs"]"#,
    ),
    (
        "include: reasoning.encrypted_content",
        r#""include":["reasoning.encrypted_content"]"#,
    ),
    (
        "include: message.output_text.logprobs",
        r#""include":["message.output_text.logprobs"]"#,
    ),
    (
        "include: other",
        r#""include":["web_search_call.action.sources"]"#,
    ),
    ("service_tier: flex", r#""service_tier":"flex""#),
    ("service_tier: priority", r#""service_tier":"priority""#),
    ("service_tier: scale", r#""service_tier":"scale""#),
    ("user", r#""user":"u""#),
    ("safety_identifier", r#""safety_identifier":"u""#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("prompt_cache_key", r#""prompt_cache_key":"k""#),
    (
        "prompt_cache_retention",
        r#""prompt_cache_retention":"24h""#,
    ),
    (
        "prompt_cache_options",
        r#""prompt_cache_options":{"mode":"explicit"}"#,
    ),
    ("truncation", r#""truncation":"auto""#),
    ("stream", r#""stream":true"#),
    (
        "stream_options",
        r#""stream":true,"stream_options":{"include_obfuscation":false}"#,
    ),
];
