//! Turns and parts as they are written.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Worded;
use crate::wire::read::{List, Str, object};

object! {
    pub(super) struct Entry<'a> {
        "role" => role: Str<'a>,
        "parts" => parts: List<Worded<'a, PartEntry<'a>>>,
    }
}

object! {
    pub(super) struct PartEntry<'a> {
        "text" => text: Str<'a>,
        "thought" => thought: bool,
        "thoughtSignature" | "thought_signature" => signature: Str<'a>,
        "inlineData" | "inline_data" => inline: Blob<'a>,
        "fileData" | "file_data" => file: File<'a>,
        "functionCall" | "function_call" => call: Call<'a>,
        "functionResponse" | "function_response" => response: Response<'a>,
        "executableCode" | "executable_code" => code: Code<'a>,
        "codeExecutionResult" | "code_execution_result" => outcome: Outcome<'a>,
        "videoMetadata" | "video_metadata" => video: IgnoredAny,
        "partMetadata" | "part_metadata" => metadata: IgnoredAny,
        "mediaResolution" | "media_resolution" => resolution: IgnoredAny,
        "toolCall" | "tool_call" => hosted_call: IgnoredAny,
        "toolResponse" | "tool_response" => hosted_response: IgnoredAny,
    }
}

object! {
    pub(super) struct Blob<'a> {
        "mimeType" | "mime_type" => mime: Str<'a>,
        "data" => data: Str<'a>,
        "displayName" | "display_name" => name: Str<'a>,
    }
}

object! {
    pub(super) struct File<'a> {
        "fileUri" | "file_uri" => uri: Str<'a>,
        "mimeType" | "mime_type" => mime: Str<'a>,
        "displayName" | "display_name" => name: Str<'a>,
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
    pub(super) struct Response<'a> {
        "id" => id: Str<'a>,
        "name" => name: Str<'a>,
        "response" => response: &'a RawValue,
        "parts" => parts: List<ResponsePart<'a>>,
        "willContinue" | "will_continue" => continues: bool,
        "scheduling" => scheduling: IgnoredAny,
    }
}

object! {
    pub(super) struct ResponsePart<'a> {
        "inlineData" | "inline_data" => inline: Blob<'a>,
        "fileData" | "file_data" => file: File<'a>,
    }
}

object! {
    pub(super) struct Code<'a> {
        "language" => language: IgnoredAny,
        "code" => code: Str<'a>,
    }
}

object! {
    pub(super) struct Outcome<'a> {
        "outcome" => outcome: IgnoredAny,
        "output" => output: Str<'a>,
    }
}
