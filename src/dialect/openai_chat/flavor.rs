//! In what the providers of this protocol differ. It is data: `platform/` has one for each.

use super::ReasoningField;

/// A provider of this protocol, and the model that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub model: &'a str,
    pub flavor: &'static Flavor,
    /// A reasoning model that refuses sampling parameters
    /// (<https://platform.openai.com/docs/guides/latest-model#parameter-compatibility>).
    pub reasons: bool,
}

/// How earlier reasoning is sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// The protocol has no field for it.
    Nothing,
    /// `reasoning_content`, a text (<https://api-docs.deepseek.com/guides/thinking_mode#tool-calls>).
    ReasoningContent,
    /// `reasoning_details`, as they came
    /// (<https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks>).
    ReasoningDetails,
}

/// How the provider is told to search the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSearch {
    /// It cannot.
    None,
    /// `web_search_options`.
    Options,
    /// `plugins: [{"id": "web"}]`.
    Plugin,
}

/// | field | openai | openrouter | openai-compatible |
/// |---|---|---|---|
/// | `reasoning` | `Effort` | `Object` | `Effort` |
/// | `refuses_effort` | true | false | false |
/// | `max_tokens` | `max_completion_tokens` | `max_tokens` | `max_tokens` |
/// | `developer` | true | false | false |
/// | `history` | `Nothing` | `ReasoningDetails` | `ReasoningContent` |
/// | `refusal` | true | true | false |
/// | `cache_control` | false | true | false |
/// | `file_urls` | false | true | false |
/// | `audio_formats` | wav, mp3 | wav, mp3, flac, m4a, ogg, aac, aiff, pcm16 | wav, mp3 |
/// | `video` | false | true | false |
/// | `tool_media` | false | true | false |
/// | `image_output` | false | true | false |
/// | `audio_output` | true | false | false |
/// | `custom_tools` | true | false | false |
/// | `allowed_tools` | true | false | false |
/// | `web_search` | `Options` | `Plugin` | `None` |
/// | `top_k` | false | true | true |
/// | `n` | true | false | true |
/// | `verbosity` | true | true | false |
/// | `service_tier` | true | true | false |
/// | `stops` | 4 | 4 | `usize::MAX` |
/// | `longest_id` | 40 | `usize::MAX` | 40 |
#[derive(Clone, Copy, Debug)]
pub struct Flavor {
    pub reasoning: ReasoningField,
    /// A model that does not reason refuses the field that says how much to.
    pub refuses_effort: bool,
    /// The name of the field that limits the output.
    pub max_tokens: &'static str,
    /// There is a `developer` role.
    pub developer: bool,
    pub history: History,
    /// Assistant messages have a `refusal`.
    pub refusal: bool,
    /// Parts and tools may carry `cache_control`.
    pub cache_control: bool,
    /// `file` parts may be URLs.
    pub file_urls: bool,
    /// Words for `input_audio.format`.
    pub audio_formats: &'static [&'static str],
    /// There are `video_url` parts.
    pub video: bool,
    /// Tool messages take images and files, not text alone.
    pub tool_media: bool,
    pub image_output: bool,
    pub audio_output: bool,
    /// There are free-form tools.
    pub custom_tools: bool,
    /// There is `tool_choice: {"type": "allowed_tools"}`.
    pub allowed_tools: bool,
    pub web_search: WebSearch,
    pub top_k: bool,
    /// Several answers to one request.
    pub n: bool,
    pub verbosity: bool,
    pub service_tier: bool,
    /// At most so many stop sequences.
    pub stops: usize,
    /// Longer ids of calls are refused (OpenAI: 40).
    pub longest_id: usize,
}
