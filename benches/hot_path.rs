//! The parts of the hot path, alone: finding model and stream in a body, the tap on a stream, the choice of a
//! channel, the translation of requests and of streams' events, the limits. `make bench` measures the whole.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use torouter::base::{Ids, Limits, Usd};
use torouter::config;
use torouter::dialect::translate::{Echo, Reader, Writer};
use torouter::dialect::{Dialect, Operation, Peek};
use torouter::gate::limits::{Ask, Clock, Limiter, Spend, Tokens};
use torouter::meter::Tap;
use torouter::platform;
use torouter::route::{Channel, Group, Pick, Plan};
use torouter::wire::sse;

/// A chat body of about `size` bytes, with the model behind the messages, where it takes longest to find.
fn body(size: usize) -> Vec<u8> {
    let line =
        "The quick brown fox \\\"jumps\\\" over the lazy dog, and then — ünïcode — some more.";
    let messages: Vec<String> = (0..size.div_ceil(line.len() + 30).max(1))
        .map(|_| format!("{{\"role\":\"user\",\"content\":\"{line}\"}}"))
        .collect();
    format!(
        "{{\"messages\":[{}],\"temperature\":0.7,\"stream\":true,\"model\":\"gpt-5\"}}",
        messages.join(",")
    )
    .into_bytes()
}

fn peek(c: &mut Criterion) {
    let mut group = c.benchmark_group("peek");
    for (name, size) in [("1KB", 1 << 10), ("100KB", 100 << 10), ("5MB", 5 << 20)] {
        let body = body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &body, |b, body| {
            b.iter(|| {
                let peek = Peek::json(body).expect("valid");
                let model = peek.model(body, Operation::Chat).expect("a model");
                black_box((model, peek.stream(body)))
            });
        });
    }
    group.finish();
}

fn tap(c: &mut Criterion) {
    const EVENTS: u64 = 200;
    let mut group = c.benchmark_group("sse_tap");
    group.throughput(Throughput::Elements(EVENTS));
    let event = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
    let last = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,\"total_tokens\":209}}\n\n";
    group.bench_function("openai_chat", |b| {
        b.iter(|| {
            let mut tap = Tap::new(Dialect::OpenAiChat, true);
            for _ in 1..EVENTS {
                tap.feed(black_box(event.as_bytes()));
            }
            tap.feed(last.as_bytes());
            black_box(tap.finish(true, false, 0))
        });
    });
    group.finish();
}

fn route(c: &mut Criterion) {
    let mut text = String::new();
    for i in 0..10 {
        text += &format!(
            "[[channels]]\nname = \"c{i}\"\nplatform = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\nmodels = [\"o3\", \"gpt-4*\", \"gpt-5*\"]\n"
        );
    }
    let names: Vec<String> = (0..10).map(|i| format!("\"c{i}\"")).collect();
    text += &format!(
        "[[groups]]\nname = \"g\"\nchannels = [{}]\n",
        names.join(",")
    );
    let (config, report) = config::parse("bench", &text);
    let config = config.unwrap_or_else(|| panic!("{}", report.mistakes()));
    let channels: Vec<Arc<Channel>> = (0..)
        .zip(&config.channels)
        .map(|(id, channel)| Arc::new(Channel::new(id, channel.clone())))
        .collect();
    for channel in &channels {
        channel.set_addresses(vec![SocketAddr::from(([127, 0, 0, 1], 9))]);
    }
    let group = Group::new(&config.groups[0], &channels);
    c.bench_function("route_choice/10_channels", |b| {
        b.iter(|| {
            let mut plan = Plan::default();
            let pick = group.pick(&mut plan, Operation::Chat, Some("gpt-5"), Instant::now());
            black_box(matches!(pick, Pick::Channel(_)))
        });
    });
}

/// The protocols that are translated, with a platform that speaks each.
const PROTOCOLS: [(Dialect, &str, &str); 3] = [
    (Dialect::OpenAiChat, "openai", "gpt-4.1"),
    (Dialect::Anthropic, "anthropic", "claude-sonnet-4-5"),
    (Dialect::Gemini, "gemini", "gemini-2.5-flash"),
];

/// Each event of a stream of so many text deltas, as a provider sends it.
fn stream(dialect: Dialect, deltas: usize) -> Vec<String> {
    let chat = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let claude =
        |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let gemini = |text: &str, finish: &str| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}],\"role\":\"model\"}},\"index\":0{finish}}}],\"usageMetadata\":{{\"promptTokenCount\":9,\"candidatesTokenCount\":2,\"totalTokenCount\":11}},\"modelVersion\":\"up\",\"responseId\":\"r\"}}\r\n\r\n"
        )
    };
    let (opening, delta, closing) = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => (
            vec![chat("{\"role\":\"assistant\",\"content\":\"\"}", "null")],
            chat("{\"content\":\" some words\"}", "null"),
            vec![chat("{}", "\"stop\""), "data: [DONE]\n\n".to_owned()],
        ),
        Dialect::Anthropic => (
            vec![
                claude(
                    "message_start",
                    ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}",
                ),
                claude(
                    "content_block_start",
                    ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}",
                ),
            ],
            claude(
                "content_block_delta",
                ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" some words\"}",
            ),
            vec![
                claude("content_block_stop", ",\"index\":0"),
                claude(
                    "message_delta",
                    ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}",
                ),
                claude("message_stop", ""),
            ],
        ),
        Dialect::Gemini => (
            Vec::new(),
            gemini(" some words", ""),
            vec![gemini("", ",\"finishReason\":\"STOP\"")],
        ),
    };
    let mut all = opening;
    all.extend(std::iter::repeat_n(delta, deltas));
    all.extend(closing);
    all
}

fn echo() -> Echo {
    Echo {
        ids: Some(Ids::new(7)),
        model: "asked".to_owned(),
        ..Echo::default()
    }
}

/// Time of one event, from the frame that a provider sent to the bytes that a client gets.
fn events(c: &mut Criterion) {
    const DELTAS: usize = 1000;
    let mut group = c.benchmark_group("translated_event");
    group.throughput(Throughput::Elements(DELTAS as u64));
    for (upstream, from, _) in PROTOCOLS {
        let frames = stream(upstream, DELTAS);
        for (surface, to, _) in PROTOCOLS {
            if upstream == surface {
                continue;
            }
            group.bench_function(format!("{from}_to_{to}"), |b| {
                let mut out = Vec::with_capacity(16 << 10);
                b.iter(|| {
                    let mut reader = Reader::new(upstream, Ids::new(7)).expect("translated");
                    let mut writer = Writer::new(surface, echo()).expect("translated");
                    let mut written = 0;
                    for frame in &frames {
                        let event = sse::parse(black_box(frame.as_bytes()));
                        reader.data(&event.data.unwrap_or_default(), &mut |event| {
                            writer.event(event, &mut out);
                        });
                        written += black_box(&out).len();
                        out.clear();
                    }
                    reader.end(&mut |event| writer.event(event, &mut out));
                    out.clear();
                    assert!(written > DELTAS, "nothing was written");
                    written
                });
            });
        }
    }
    group.finish();
}

/// About 1 KB, as clients of each protocol send it.
fn request_of(dialect: Dialect) -> String {
    let question =
        "Compare the two drafts line by line and say which of them reads better. ".repeat(11);
    let system = "Answer briefly, in plain words.";
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => format!(
            "{{\"model\":\"m\",\"messages\":[{{\"role\":\"system\",\"content\":\"{system}\"}},{{\"role\":\"user\",\"content\":\"{question}\"}}],\"temperature\":0.2,\"max_tokens\":400}}"
        ),
        Dialect::Anthropic => format!(
            "{{\"model\":\"m\",\"system\":\"{system}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{question}\"}}],\"temperature\":0.2,\"max_tokens\":400}}"
        ),
        Dialect::Gemini => format!(
            "{{\"systemInstruction\":{{\"parts\":[{{\"text\":\"{system}\"}}]}},\"contents\":[{{\"role\":\"user\",\"parts\":[{{\"text\":\"{question}\"}}]}}],\"generationConfig\":{{\"temperature\":0.2,\"maxOutputTokens\":400}}}}"
        ),
    }
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("translated_request");
    for (surface, from, _) in PROTOCOLS {
        let body = request_of(surface);
        group.throughput(Throughput::Bytes(body.len() as u64));
        for (dialect, to, model) in PROTOCOLS {
            if dialect == surface {
                continue;
            }
            let target = platform::by_name(to).expect("a platform").target(model);
            group.bench_function(format!("{from}_to_{to}"), |b| {
                b.iter(|| {
                    let request = surface
                        .read_request(black_box(body.as_bytes()), false)
                        .expect("a request");
                    target.write_request(&request).expect("carried").body
                });
            });
        }
    }
    group.finish();
}

/// A request let in and settled, with no limit and with all of them; windows that have something in every bucket.
fn limits(c: &mut Criterion) {
    let now = Arc::new(AtomicU64::new(1_795_358_349_123));
    let limiter = Limiter::memory(Clock::Set(now.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let (most, usd) = (1_000_000_000_000, Usd::from_pico(1_000_000_000_000_000));
    let all = Limits {
        rpm: most,
        rp5h: most,
        rpd: most,
        rp7d: most,
        tpm: most,
        max_in_flight: most,
        spend_usd: usd,
        spend_usd_5h: usd,
        spend_usd_day: usd,
        spend_usd_7d: usd,
        spend_usd_30d: usd,
    };
    let price = Usd::from_pico(2_500_000);
    let ask = Ask {
        tokens: Tokens {
            input: 900,
            output: 4096,
            stated: false,
        },
        spend: Spend {
            most: Some(price.times(4996)),
            least: Some(price.times(901)),
            stated: false,
        },
        counts: true,
    };
    let request = |limits: &Limits| {
        let admitted = runtime.block_on(limiter.admit("key_bench", limits, black_box(&ask)));
        let (reservation, standing) = admitted.expect("room");
        black_box(standing);
        reservation.settle(1000, Some(price));
    };
    for _ in 0..2000 {
        now.fetch_add(1_296_000, Ordering::Relaxed);
        request(&all);
    }
    let mut group = c.benchmark_group("limits");
    group.bench_function("none", |b| b.iter(|| request(&Limits::default())));
    group.bench_function("all", |b| {
        b.iter(|| {
            now.fetch_add(7, Ordering::Relaxed);
            request(&all);
        });
    });
    group.finish();
}

criterion_group!(benches, peek, tap, route, events, requests, limits);
criterion_main!(benches);
