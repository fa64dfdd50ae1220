//! A response as it is written. Enumerations are names, or numbers where a proxy re-wrote them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

use crate::chat::Text;
use crate::wire::read::{Count, Str, object};

/// By their numbers (`Candidate.FinishReason` of the service's protocol buffers).
pub(super) const FINISH_REASONS: [&str; 18] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
];

/// By their numbers (`PromptFeedback.BlockReason`).
pub(super) const BLOCK_REASONS: [&str; 6] = [
    "BLOCK_REASON_UNSPECIFIED",
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
];

/// A value of an enumeration.
#[derive(Clone, Debug)]
pub(super) enum Word<'a> {
    Name(Cow<'a, str>),
    Number(u64),
}

impl<'a> Word<'a> {
    pub(super) fn name(self, names: &[&'static str]) -> Cow<'a, str> {
        match self {
            Self::Name(name) => name,
            Self::Number(number) => {
                let known = usize::try_from(number).ok().and_then(|n| names.get(n));
                Cow::Borrowed(known.copied().unwrap_or("OTHER"))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a number")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Word::Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Word::Name(Cow::Owned(name.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Word::Number(number))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

object! {
    pub(super) struct Chunk<'a> {
        "candidates" => candidates: Vec<Candidate<'a>>,
        "usageMetadata" | "usage_metadata" => usage: &'a RawValue,
        "modelVersion" | "model_version" => model: Str<'a>,
        "responseId" | "response_id" => id: Str<'a>,
        "createTime" | "create_time" => created: Str<'a>,
        "promptFeedback" | "prompt_feedback" => feedback: Feedback<'a>,
        "error" => error: &'a RawValue,
    }
}

object! {
    pub(super) struct Feedback<'a> {
        "blockReason" | "block_reason" => reason: Word<'a>,
    }
}

object! {
    pub(super) struct Candidate<'a> {
        "content" => content: Content<'a>,
        "finishReason" | "finish_reason" => finish: Word<'a>,
        "index" => index: Count,
        "groundingMetadata" | "grounding_metadata" => grounding: &'a RawValue,
        "citationMetadata" | "citation_metadata" => citations: &'a RawValue,
        "logprobsResult" | "logprobs_result" => logprobs: Logprobs<'a>,
        "safetyRatings" | "safety_ratings" => safety: IgnoredAny,
    }
}

object! {
    pub(super) struct Content<'a> {
        "parts" => parts: Vec<PartEntry<'a>>,
        "role" => role: IgnoredAny,
    }
}

object! {
    pub(super) struct PartEntry<'a> {
        "text" => text: Str<'a>,
        "thought" => thought: bool,
        "thoughtSignature" | "thought_signature" => signature: Str<'a>,
        "functionCall" | "function_call" => call: Call<'a>,
        "inlineData" | "inline_data" => inline: Blob<'a>,
        "fileData" | "file_data" => file: File<'a>,
        "executableCode" | "executable_code" => code: Code<'a>,
        "codeExecutionResult" | "code_execution_result" => outcome: Outcome<'a>,
        // What Google's own tools were asked and told.
        "toolCall" | "tool_call" => hosted_call: IgnoredAny,
        "toolResponse" | "tool_response" => hosted_response: IgnoredAny,
    }
}

object! {
    pub(super) struct Call<'a> {
        "id" => id: Str<'a>,
        "name" => name: Str<'a>,
        "args" => args: &'a RawValue,
    }
}

object! {
    pub(super) struct Blob<'a> {
        "mimeType" | "mime_type" => mime: Str<'a>,
        "data" => data: Str<'a>,
    }
}

object! {
    pub(super) struct File<'a> {
        "fileUri" | "file_uri" => uri: Str<'a>,
        "mimeType" | "mime_type" => mime: Str<'a>,
    }
}

object! {
    pub(super) struct Code<'a> {
        "code" => code: Str<'a>,
    }
}

object! {
    pub(super) struct Outcome<'a> {
        "output" => output: Str<'a>,
    }
}

object! {
    pub(super) struct Logprobs<'a> {
        "chosenCandidates" | "chosen_candidates" => chosen: Vec<Token<'a>>,
        "topCandidates" | "top_candidates" => top: Vec<Top<'a>>,
    }
}

object! {
    pub(super) struct Top<'a> {
        "candidates" => candidates: Vec<Token<'a>>,
    }
}

object! {
    pub(super) struct Token<'a> {
        "token" => token: Str<'a>,
        "logProbability" | "log_probability" => logprob: &'a RawValue,
    }
}

object! {
    struct Tier<'a> {
        "serviceTier" | "service_tier" => tier: Str<'a>,
    }
}

/// The tier that served the request, in usage metadata.
pub(super) fn service_tier(usage: &RawValue) -> Option<Text<'_>> {
    memchr::memmem::find(usage.get().as_bytes(), b"erviceTier\"")?;
    let read: Tier<'_> = serde_json::from_str(usage.get()).ok()?;
    let tier = read.tier.filter(|tier| !tier.is_empty())?;
    Some(tier.0)
}
