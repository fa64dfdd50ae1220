//! What a provider sends, as it is written.

use serde_json::value::RawValue;

use crate::dialect::anthropic::citation;
use crate::wire::read::{Count, Lenient, Str, object};

object! {
    pub(super) struct Frame<'a> {
        "type" => kind: Str<'a>,
        "index" => index: Count,
        "delta" => delta: Change<'a>,
        "content_block" => block: Block<'a>,
        "message" => message: Message<'a>,
        "usage" => usage: &'a RawValue,
    }
}

object! {
    /// Of a block, or of the message.
    pub(super) struct Change<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "partial_json" => partial_json: Str<'a>,
        "thinking" => thinking: Str<'a>,
        "signature" => signature: Str<'a>,
        "citation" => citation: citation::Form<'a>,
        "stop_reason" => stop_reason: Str<'a>,
        "stop_sequence" => stop_sequence: Str<'a>,
        "stop_details" => stop_details: Lenient<StopDetails<'a>>,
    }
}

object! {
    pub(super) struct StopDetails<'a> {
        "category" => category: Str<'a>,
        "explanation" => explanation: Str<'a>,
    }
}

object! {
    pub(super) struct Block<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "thinking" => thinking: Str<'a>,
        "signature" => signature: Str<'a>,
        "data" => data: Str<'a>,
        "id" => id: Lenient<Str<'a>>,
        "name" => name: Str<'a>,
        "input" => input: &'a RawValue,
        "citations" => citations: Lenient<Vec<citation::Form<'a>>>,
    }
}

object! {
    pub(super) struct Message<'a> {
        "type" => kind: Str<'a>,
        "id" => id: Str<'a>,
        "model" => model: Str<'a>,
        "content" => content: Vec<&'a RawValue>,
        "stop_reason" => stop_reason: Str<'a>,
        "stop_sequence" => stop_sequence: Str<'a>,
        "stop_details" => stop_details: Lenient<StopDetails<'a>>,
        "usage" => usage: &'a RawValue,
    }
}

object! {
    pub(super) struct Served<'a> {
        "service_tier" => service_tier: Lenient<Str<'a>>,
    }
}
