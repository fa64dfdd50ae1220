//! The parts of the hot path, alone: finding model and stream in a body, the tap on a stream, the choice of a
//! channel. `make bench` measures the whole.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use torouter::config;
use torouter::dialect::{Dialect, Operation, Peek};
use torouter::meter::Tap;
use torouter::route::{Channel, Group, Pick, Plan};

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
            black_box(tap.finish(true, 0))
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

criterion_group!(benches, peek, tap, route);
criterion_main!(benches);
