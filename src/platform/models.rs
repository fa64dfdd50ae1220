//! Facts about model ids that the shape of an id does not tell.

/// Ids that really end in `-thinking`, so that the ending is not taken for a wish. A channel that
/// names such an id in `models` or `model_map` makes it known, too.
const THINKING_IDS: [&str; 8] = [
    "kimi-k2-thinking",
    "moonshotai/kimi-k2-thinking",
    "qwen3-max-thinking",
    "qwen/qwen3-max-thinking",
    "qwen3-next-80b-a3b-thinking",
    "qwen/qwen3-next-80b-a3b-thinking",
    "gemini-3.8-live-extended-thinking",
    "baidu/ernie-4.5-21b-a3b-thinking",
];

/// Is the whole id a model's, although it ends in `-thinking`?
pub fn is_thinking_id(id: &str) -> bool {
    THINKING_IDS.contains(&id)
}
