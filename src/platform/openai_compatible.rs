//! Anything that speaks like `OpenAI`: vLLM, Ollama, `DeepSeek`, Groq and the rest. A new one needs
//! only a channel in the config.

use super::{Auth, Platform, is_openai_operation, openai};

pub static PLATFORM: Platform = Platform {
    name: "openai-compatible",
    base_url: None,
    vendor: None,
    auth: Auth::Bearer,
    probe_path: "/v1/models",
    request_id_header: "x-request-id",
    account_headers: &["openai-organization", "openai-project"],
    private_headers: &["openai-organization", "openai-project", "x-ratelimit-"],
    asks_usage: true,
    serves: is_openai_operation,
    reason: openai::reason,
    default_header: None,
};
