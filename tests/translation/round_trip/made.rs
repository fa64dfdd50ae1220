//! Requests, made up: all that a protocol can express, and nothing that it cannot.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use torouter::chat::{
    CacheMark, Depth, Effort, Format, Function, Json, Logprobs, Media, MediaKind, Part, PartKind,
    Reasoning, Request, Role, ServiceTier, Signature, Source, Thinking, Tool, ToolCall, ToolChoice,
    ToolResult, Turn,
};
use torouter::dialect::{Dialect, anthropic, gemini};

use super::Owned;

fn json(text: &str) -> Json<'static> {
    Cow::Owned(RawValue::from_string(text.to_owned()).expect("JSON"))
}

/// Never blank at its ends, where some protocols trim and others refuse.
fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \"\\\\\näß漢\u{1f389}]{0,24}".prop_map(|inner| format!("w{inner}w"))
}

fn arguments() -> impl Strategy<Value = &'static str> {
    select(vec![
        "{}",
        r#"{"a":1}"#,
        r#"{"z":1,"a":{"y":[],"b":null}}"#,
        r#"{"n":1.50e+2}"#,
        r#"{"n":12345678901234567890123}"#,
        r#"{"s":"ü \"q\" \\ \n"}"#,
        r#"{"list":[1,"two",{"three":3.0}]}"#,
    ])
}

fn schema() -> impl Strategy<Value = &'static str> {
    select(vec![
        r#"{"type":"object","properties":{"city":{"type":"string","description":"Where"}},"required":["city"]}"#,
        r#"{"type":"object","properties":{"n":{"type":"integer"},"unit":{"type":"string","enum":["c","f"]}}}"#,
        r#"{"type":"object","properties":{"list":{"type":"array","items":{"type":"number"}},"on":{"type":"boolean"}}}"#,
    ])
}

fn media(dialect: Dialect) -> impl Strategy<Value = Media<'static>> {
    let medium = |kind, mime: &'static str, source, name: Option<&'static str>| Media {
        kind,
        mime: Some(mime.into()),
        source,
        name: name.map(Into::into),
        detail: None,
        transcript: None,
    };
    let data = |text: &'static str| Source::Base64(text.into());
    let mut all = vec![
        medium(MediaKind::Image, "image/png", data("iVBORw0KGgo="), None),
        medium(
            MediaKind::Document,
            "application/pdf",
            data("JVBERi0xLjQK"),
            (dialect != Dialect::Gemini).then_some("a.pdf"),
        ),
    ];
    if dialect != Dialect::Anthropic {
        all.push(medium(
            MediaKind::Audio,
            "audio/wav",
            data("UklGRg=="),
            None,
        ));
    }
    if dialect != Dialect::Gemini {
        let mut by_url = medium(
            MediaKind::Image,
            "",
            Source::Url("https://example.com/a.png".into()),
            None,
        );
        by_url.mime = None;
        all.push(by_url);
    }
    select(all)
}

fn cached(dialect: Dialect) -> BoxedStrategy<Option<CacheMark>> {
    if dialect == Dialect::Anthropic {
        option::weighted(
            0.1,
            select(vec![CacheMark::FiveMinutes, CacheMark::OneHour]),
        )
        .boxed()
    } else {
        Just(None).boxed()
    }
}

#[derive(Clone, Debug)]
struct Called {
    tool: usize,
    arguments: &'static str,
    result: String,
    image: Option<Media<'static>>,
    is_error: bool,
}

/// A user's turn, the model's answer, and what its calls came to.
#[derive(Clone, Debug)]
struct Exchange {
    asked: String,
    mark: Option<CacheMark>,
    shown: Option<Media<'static>>,
    thought: Option<(String, bool)>,
    said: Option<String>,
    calls: Vec<Called>,
}

fn called(dialect: Dialect) -> impl Strategy<Value = Called> {
    let image = if dialect == Dialect::Anthropic {
        option::weighted(0.3, media(dialect))
            .prop_map(|m| m.filter(|m| m.kind == MediaKind::Image))
            .boxed()
    } else {
        Just(None).boxed()
    };
    let is_error = if dialect == Dialect::Anthropic {
        0.3
    } else {
        0.0
    };
    let is_error = prop::bool::weighted(is_error);
    (0..2_usize, arguments(), words(), image, is_error).prop_map(
        |(tool, arguments, result, image, is_error)| Called {
            tool,
            arguments,
            result,
            image,
            is_error,
        },
    )
}

fn exchange(dialect: Dialect) -> impl Strategy<Value = Exchange> {
    (
        words(),
        cached(dialect),
        option::weighted(0.3, media(dialect)),
        option::weighted(0.3, (words(), prop::bool::ANY)),
        option::weighted(0.8, words()),
        vec(called(dialect), 0..3),
    )
        .prop_map(|(asked, mark, shown, thought, said, calls)| Exchange {
            asked,
            mark,
            shown,
            thought,
            said,
            calls,
        })
}

const NAMES: [&str; 2] = ["get_weather", "find_train"];

fn turns(
    dialect: Dialect,
    system: Vec<String>,
    exchanges: Vec<Exchange>,
    last: String,
) -> Vec<Turn<'static>> {
    let mut turns: Vec<Turn<'static>> = system
        .into_iter()
        .map(|text| Turn::new(Role::System, vec![Part::text(text)]))
        .collect();
    let mut user = Vec::new();
    let mut marks = 0;
    for (round, exchange) in exchanges.into_iter().enumerate() {
        let mut asked = Part::text(exchange.asked);
        // Anthropic takes four: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
        asked.cache = exchange
            .mark
            .filter(|mark| *mark == CacheMark::OneHour && marks < 4);
        marks += usize::from(asked.cache.is_some());
        user.extend(
            exchange
                .shown
                .map(|media| Part::new(PartKind::Media(media))),
        );
        user.push(asked);
        turns.push(Turn::new(Role::User, std::mem::take(&mut user)));
        let (mut said, signed) = (Vec::new(), dialect == Dialect::Gemini);
        if let (Dialect::Anthropic, Some((text, redacted))) = (dialect, exchange.thought) {
            said.push(Part::new(PartKind::Reasoning(Reasoning {
                text: if redacted {
                    Cow::default()
                } else {
                    text.into()
                },
                signature: Some(Signature::new(anthropic::ORIGIN, "c2ln")),
                redacted,
                summary: false,
            })));
        }
        if exchange.calls.is_empty() || exchange.said.is_some() {
            said.push(Part::text(
                exchange.said.unwrap_or_else(|| "Well.".to_owned()),
            ));
        }
        for (at, call) in exchange.calls.into_iter().enumerate() {
            let id = format!("call_{round}_{at}");
            said.push(Part::new(PartKind::ToolCall(ToolCall {
                id: id.clone().into(),
                name: NAMES[call.tool].into(),
                arguments: call.arguments.into(),
                custom: false,
                // Gemini signs the first call of a turn.
                signature: (signed && at == 0).then(|| Signature::new(gemini::ORIGIN, "c2ln")),
            })));
            let mut content = vec![Part::text(call.result)];
            content.extend(call.image.map(|media| Part::new(PartKind::Media(media))));
            user.push(Part::new(PartKind::ToolResult(ToolResult {
                call_id: id.into(),
                name: None,
                content,
                json: None,
                is_error: call.is_error,
            })));
        }
        turns.push(Turn::new(Role::Assistant, said));
    }
    user.push(Part::text(last));
    turns.push(Turn::new(Role::User, user));
    turns
}

/// With thinking on, a turn that calls tools begins with its thoughts
/// (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks>).
fn think_first(turn: &mut Turn<'static>) {
    let thinks = |part: &Part<'_>| matches!(part.kind, PartKind::Reasoning(_));
    if turn.role == Role::Assistant && !turn.parts.first().is_some_and(thinks) {
        let thought = Reasoning {
            text: "So.".into(),
            signature: Some(Signature::new(anthropic::ORIGIN, "c2ln")),
            ..Reasoning::default()
        };
        turn.parts
            .insert(0, Part::new(PartKind::Reasoning(thought)));
    }
}

fn tools() -> impl Strategy<Value = Vec<Tool<'static>>> {
    let function = |name: &'static str| {
        (option::of(words()), option::of(schema())).prop_map(move |(description, schema)| {
            Tool::Function(Function {
                name: name.into(),
                description: description.map(Into::into),
                parameters: schema.map(json),
                strict: None,
                custom: false,
                cache: None,
            })
        })
    };
    (function(NAMES[0]), function(NAMES[1])).prop_map(|(a, b)| vec![a, b])
}

fn tool_choice() -> impl Strategy<Value = ToolChoice<'static>> {
    select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Named(NAMES[1].into()),
    ])
}

fn format(dialect: Dialect) -> impl Strategy<Value = Format<'static>> {
    let chat = dialect == Dialect::OpenAiChat;
    let closed = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"#;
    let open = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    let schema = Format::JsonSchema {
        name: chat.then_some(Cow::Borrowed("answer")),
        description: None,
        schema: json(if dialect == Dialect::Gemini {
            open
        } else {
            closed
        }),
        strict: chat.then_some(true),
    };
    let mut all = vec![schema];
    if dialect != Dialect::Anthropic {
        all.push(Format::JsonObject);
    }
    select(all)
}

fn number(all: &[&'static str]) -> impl Strategy<Value = Option<&'static str>> + use<> {
    option::weighted(0.4, select(all.to_vec()))
}

/// Requests that the protocol can express whole.
pub fn request(dialect: Dialect) -> impl Strategy<Value = Owned> {
    let (chat, claude, google) = (
        dialect == Dialect::OpenAiChat,
        dialect == Dialect::Anthropic,
        dialect == Dialect::Gemini,
    );
    let conversation = (vec(words(), 0..3), vec(exchange(dialect), 0..4), words())
        .prop_map(move |(system, exchanges, last)| turns(dialect, system, exchanges, last));
    let tooling = (
        tools(),
        option::of(tool_choice()),
        prop::bool::weighted(0.2),
    );
    let shape = option::weighted(0.3, format(dialect));
    let thinks = prop::bool::weighted(0.3);
    let sampling = (
        number(&["0.7", "0", "1.0"]),
        number(&["0.9", "0.50"]),
        number(&["40", "1"]),
        number(&["0.5", "-1.5"]),
        number(&["0.25"]),
        number(&["7", "123456789"]),
    );
    let rest = (
        option::of(100_u64..4000),
        vec(select(vec!["END", "###", "stop here"]), 0..3),
        option::weighted(0.2, 2_u32..4),
        option::weighted(0.2, option::of(1_u32..5)),
        option::weighted(0.2, select(vec![ServiceTier::Auto, ServiceTier::Standard])),
        option::weighted(0.3, Just("user-1")),
        prop::bool::ANY,
    );
    (conversation, tooling, shape, thinks, sampling, rest).prop_map(
        move |(mut turns, (tools, choice, one_by_one), shape, thinks, sampling, rest)| {
            let (max_tokens, mut stop, n, logprobs, tier, user, stream) = rest;
            stop.dedup();
            if claude && thinks {
                turns.iter_mut().for_each(think_first);
            }
            let (temperature, top_p, top_k, presence, frequency, seed) = sampling;
            // Those that think take no sampling; some older ones not both of these.
            let json_of = |number: Option<&'static str>, has: bool| {
                number.filter(|_| has && !thinks).map(json)
            };
            let depth = match dialect {
                Dialect::OpenAiChat => Depth::Effort(Effort::Low),
                _ => Depth::Budget(1024),
            };
            let max_tokens = match max_tokens {
                _ if claude && thinks => Some(4096),
                None if claude => Some(1000),
                given => given,
            };
            Request {
                turns,
                tool_choice: if claude && thinks { None } else { choice },
                parallel_tools: (chat && one_by_one).then_some(false),
                format: shape.filter(|_| !google),
                thinking: thinks.then_some(Thinking {
                    depth: Some(depth),
                    show: None,
                }),
                max_tokens,
                temperature: json_of(temperature, true),
                top_p: json_of(top_p, !claude),
                top_k: json_of(top_k, !chat),
                presence_penalty: json_of(presence, !claude),
                frequency_penalty: json_of(frequency, !claude),
                seed: json_of(seed, !claude),
                stop: stop
                    .into_iter()
                    .filter(|_| !(chat && thinks))
                    .map(Into::into)
                    .collect(),
                n: n.filter(|_| chat && !thinks),
                logprobs: logprobs
                    .filter(|_| chat && !thinks)
                    .map(|top| Logprobs { top }),
                service_tier: tier.filter(|_| !google),
                user: user.filter(|_| !google).map(Into::into),
                tools,
                stream,
                ..Request::default()
            }
        },
    )
}

/// Structured output, apart: Gemini's models take it only without functions.
pub fn formatted_by_gemini() -> impl Strategy<Value = Owned> {
    (words(), format(Dialect::Gemini)).prop_map(|(asked, format)| Request {
        turns: vec![Turn::new(Role::User, vec![Part::text(asked)])],
        format: Some(format),
        ..Request::default()
    })
}
