//! The protocol's request as it is written: every field optional, opaque JSON as raw text.

use serde_json::value::RawValue;

use crate::wire::read::{Content, Count, Str, object};

object! {
    pub(super) struct Message<'a> {
        // Whoever routes the request reads it.
        "model" => model: &'a RawValue,
        "messages" => messages: Vec<Turn<'a>>,
        "system" => system: Content<'a, Block<'a>>,
        "tools" => tools: Vec<Tool<'a>>,
        "tool_choice" => tool_choice: ToolChoice<'a>,
        "thinking" => thinking: Thinking<'a>,
        "output_config" => output_config: OutputConfig<'a>,
        "output_format" => output_format: Format<'a>,
        "max_tokens" => max_tokens: Count,
        "stop_sequences" => stop_sequences: Vec<Str<'a>>,
        "temperature" => temperature: &'a RawValue,
        "top_p" => top_p: &'a RawValue,
        "top_k" => top_k: &'a RawValue,
        "metadata" => metadata: Metadata<'a>,
        "service_tier" => service_tier: Str<'a>,
        "stream" => stream: bool,
        "cache_control" => cache_control: CacheControl<'a>,
        "mcp_servers" => mcp_servers: Vec<&'a RawValue>,
        "thread" => thread: &'a RawValue,
    }
}

object! {
    pub(super) struct Turn<'a> {
        "role" => role: Str<'a>,
        "content" => content: Content<'a, Block<'a>>,
    }
}

object! {
    /// A content block of any kind. What means different things in different kinds is read when the kind is known.
    pub(super) struct Block<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "cache_control" => cache_control: CacheControl<'a>,
        "citations" => citations: &'a RawValue,
        "source" => source: &'a RawValue,
        "title" => title: Str<'a>,
        "context" => context: Str<'a>,
        "id" => id: Str<'a>,
        "name" => name: Str<'a>,
        "input" => input: &'a RawValue,
        "caller" => caller: &'a RawValue,
        "tool_use_id" => tool_use_id: Str<'a>,
        "content" => content: &'a RawValue,
        "is_error" => is_error: bool,
        "thinking" => thinking: Str<'a>,
        "signature" => signature: Str<'a>,
        "data" => data: Str<'a>,
        "encrypted_content" => encrypted_content: Str<'a>,
    }
}

object! {
    pub(super) struct CacheControl<'a> {
        "type" => kind: Str<'a>,
        "ttl" => ttl: Str<'a>,
        "scope" => scope: &'a RawValue,
    }
}

object! {
    /// Of an image or a document.
    pub(super) struct Source<'a> {
        "type" => kind: Str<'a>,
        "media_type" => media_type: Str<'a>,
        "data" => data: Str<'a>,
        "url" => url: Str<'a>,
        "file_id" => file_id: Str<'a>,
        "content" => content: Content<'a, Block<'a>>,
    }
}

object! {
    /// Whether a document is to be cited.
    pub(super) struct Cited<'a> {
        "enabled" => enabled: bool,
    }
}

object! {
    pub(super) struct Tool<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "description" => description: Str<'a>,
        "input_schema" => input_schema: &'a RawValue,
        "strict" => strict: bool,
        "cache_control" => cache_control: CacheControl<'a>,
        "max_uses" => max_uses: Count,
        "allowed_domains" => allowed_domains: Vec<Str<'a>>,
        "blocked_domains" => blocked_domains: Vec<Str<'a>>,
        "defer_loading" => defer_loading: bool,
        "eager_input_streaming" => eager_input_streaming: bool,
        "allowed_callers" => allowed_callers: Vec<Str<'a>>,
        "input_examples" => input_examples: Vec<&'a RawValue>,
        "user_location" => user_location: &'a RawValue,
    }
}

object! {
    pub(super) struct ToolChoice<'a> {
        "type" => kind: Str<'a>,
        "name" => name: Str<'a>,
        "disable_parallel_tool_use" => one_at_a_time: bool,
    }
}

object! {
    pub(super) struct Thinking<'a> {
        "type" => kind: Str<'a>,
        "budget_tokens" => budget_tokens: Count,
        "display" => display: Str<'a>,
    }
}

object! {
    pub(super) struct OutputConfig<'a> {
        "effort" => effort: Str<'a>,
        "format" => format: Format<'a>,
    }
}

object! {
    pub(super) struct Format<'a> {
        "type" => kind: Str<'a>,
        "schema" => schema: &'a RawValue,
    }
}

object! {
    pub(super) struct Metadata<'a> {
        "user_id" => user_id: Str<'a>,
    }
}
