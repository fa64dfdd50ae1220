//! One small request fragment for each parameter of the protocol: from these the lists of what is carried, dropped and
//! refused are generated.

/// `(parameter, top-level fields that use it)`.
pub const SAMPLES: &[(&str, &str)] = &[
    ("max_tokens", r#""max_tokens":100"#),
    ("stream", r#""stream":true"#),
    ("system", r#""system":"Be brief.""#),
    (
        "system[].cache_control",
        r#""system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
    ),
    ("temperature", r#""temperature":0.5"#),
    ("top_p", r#""top_p":0.9"#),
    ("top_k", r#""top_k":40"#),
    ("stop_sequences", r#""stop_sequences":["END"]"#),
    ("metadata.user_id", r#""metadata":{"user_id":"u"}"#),
    ("service_tier", r#""service_tier":"standard_only""#),
    ("cache_control", r#""cache_control":{"type":"ephemeral"}"#),
    ("container", r#""container":"container_1""#),
    (
        "context_management",
        r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
    ),
    ("inference_geo", r#""inference_geo":"us""#),
    ("speed", r#""speed":"fast""#),
    (
        "mcp_servers",
        r#""mcp_servers":[{"type":"url","name":"s","url":"https://example.org/mcp"}]"#,
    ),
    ("thread", r#""thread":{"id":"thread_1"}"#),
    ("user_profile_id", r#""user_profile_id":"p""#),
    (
        "thinking (enabled)",
        r#""max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":2048}"#,
    ),
    ("thinking (adaptive)", r#""thinking":{"type":"adaptive"}"#),
    ("thinking (disabled)", r#""thinking":{"type":"disabled"}"#),
    (
        "thinking.display",
        r#""thinking":{"type":"adaptive","display":"omitted"}"#,
    ),
    (
        "output_config.effort",
        r#""output_config":{"effort":"high"}"#,
    ),
    (
        "output_config.format",
        r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    (
        "output_config.task_budget",
        r#""output_config":{"task_budget":{"type":"tokens","total":2048}}"#,
    ),
    (
        "output_format",
        r#""output_format":{"type":"json_schema","schema":{"type":"object","properties":{},"additionalProperties":false}}"#,
    ),
    (
        "tools[] (custom)",
        r#""tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}]"#,
    ),
    (
        "tools[].strict",
        r#""tools":[{"name":"f","strict":true,"input_schema":{"type":"object","properties":{},"additionalProperties":false}}]"#,
    ),
    (
        "tools[].cache_control",
        r#""tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}]"#,
    ),
    (
        "tools[].defer_loading",
        r#""tools":[{"name":"f","input_schema":{"type":"object"},"defer_loading":true}]"#,
    ),
    (
        "tools[].eager_input_streaming",
        r#""tools":[{"name":"f","input_schema":{"type":"object"},"eager_input_streaming":true}]"#,
    ),
    (
        "tools[].input_examples",
        r#""tools":[{"name":"f","input_schema":{"type":"object"},"input_examples":[{}]}]"#,
    ),
    (
        "tools[].allowed_callers",
        r#""tools":[{"name":"f","input_schema":{"type":"object"},"allowed_callers":["code_execution_20250825"]}]"#,
    ),
    (
        "tools[] (web_search)",
        r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#,
    ),
    (
        "tools[] (web_fetch)",
        r#""tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]"#,
    ),
    (
        "tools[] (code_execution)",
        r#""tools":[{"type":"code_execution_20250825","name":"code_execution"}]"#,
    ),
    (
        "tools[] (bash)",
        r#""tools":[{"type":"bash_20250124","name":"bash"}]"#,
    ),
    (
        "tools[] (text_editor)",
        r#""tools":[{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"}]"#,
    ),
    (
        "tools[] (computer)",
        r#""tools":[{"type":"computer_20250124","name":"computer","display_width_px":800,"display_height_px":600}]"#,
    ),
    (
        "tools[] (memory)",
        r#""tools":[{"type":"memory_20250818","name":"memory"}]"#,
    ),
    (
        "tools[].web_search_20250305 beside functions",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}]"#,
    ),
    (
        "tools[] (tool_search)",
        r#""tools":[{"type":"tool_search_tool_regex_20251119","name":"tool_search_tool_regex"}]"#,
    ),
    (
        "tools[] (mcp_toolset)",
        r#""tools":[{"type":"mcp_toolset","mcp_server_name":"s"}]"#,
    ),
    (
        "tool_choice (auto)",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}"#,
    ),
    (
        "tool_choice (any)",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}"#,
    ),
    (
        "tool_choice (tool)",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}"#,
    ),
    (
        "tool_choice (none)",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}"#,
    ),
    (
        "tool_choice.disable_parallel_tool_use",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
    ),
    (
        "messages[] (assistant last)",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    ),
    (
        "messages[] (system)",
        r#""messages":[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]"#,
    ),
    (
        "messages[].content[].text",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]"#,
    ),
    (
        "messages[].content[].cache_control",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
    ),
    (
        "messages[].content[].text.citations",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b","citations":[{"type":"web_search_result_location","url":"https://example.org","title":"t","cited_text":"c","encrypted_index":"e"}]}]},{"role":"user","content":"d"}]"#,
    ),
    (
        "messages[].content[].image (base64)",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]"#,
    ),
    (
        "messages[].content[].image (url)",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.org/a.png"}}]}]"#,
    ),
    (
        "messages[].content[].image (file)",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"file_1"}}]}]"#,
    ),
    (
        "messages[].content[].document (base64)",
        r#""messages":[{"role":"user","content":[{"type":"document","title":"t","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}}]}]"#,
    ),
    (
        "messages[].content[].document (text)",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a"}}]}]"#,
    ),
    (
        "messages[].content[].document (url)",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://example.org/a.pdf"}}]}]"#,
    ),
    (
        "messages[].content[].document (file)",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]"#,
    ),
    (
        "messages[].content[].document (content)",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"}]}}]}]"#,
    ),
    (
        "messages[].content[].document.context",
        r#""messages":[{"role":"user","content":[{"type":"document","context":"c","source":{"type":"text","media_type":"text/plain","data":"a"}}]}]"#,
    ),
    (
        "messages[].content[].document.citations",
        r#""messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"a"}}]}]"#,
    ),
    (
        "messages[].content[].search_result",
        r#""messages":[{"role":"user","content":[{"type":"search_result","title":"t","source":"https://example.org","content":[{"type":"text","text":"a"}]}]}]"#,
    ),
    (
        "messages[].content[].container_upload",
        r#""messages":[{"role":"user","content":[{"type":"container_upload","file_id":"file_1"}]}]"#,
    ),
    (
        "messages[].content[].tool_use, tool_result",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"b"}]}]"#,
    ),
    (
        "messages[].content[].tool_result.is_error",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":"b"}]}]"#,
    ),
    (
        "messages[].content[].tool_result.content[].image",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]"#,
    ),
    (
        "messages[].content[].tool_result.content[].document",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}}]}]}]"#,
    ),
    (
        "messages[].content[].tool_result.content[].tool_reference",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"tool_reference","tool_name":"f"}]}]}]"#,
    ),
    (
        "messages[].content[].thinking",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"b","signature":"EqQB"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]"#,
    ),
    (
        "messages[].content[].redacted_thinking",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"EqQB"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]"#,
    ),
    (
        "messages[].content[].server_tool_use, web_search_tool_result",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]"#,
    ),
    (
        "messages[].content[].mcp_tool_use, mcp_tool_result",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"mcp_tool_use","id":"mcptoolu_1","name":"f","server_name":"s","input":{}},{"type":"mcp_tool_result","tool_use_id":"mcptoolu_1","content":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]"#,
    ),
    (
        "messages[].content[].compaction",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"compaction","content":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]"#,
    ),
];
