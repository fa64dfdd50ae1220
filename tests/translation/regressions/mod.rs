//! What other gateways got wrong, one test each: the list stands in issue 3, most of it with the trackers of several
//! projects behind it.

mod answers;
mod history;
mod hosted;
mod providers;
mod requests;
mod schemas;
mod signatures;

use serde_json::{Value, json};

use torouter::base::Fault;
use torouter::dialect::Dialect::{self, OpenAiChat};

use crate::hear::{self, Heard};
use crate::relay::{Relayed, feed, frames, relay};
use crate::requests::{PLATFORMS, refusal_names_its_field, render};

fn model(platform: &str) -> &'static str {
    let found = PLATFORMS.iter().find(|(name, _)| *name == platform);
    found.expect("a platform").1
}

fn attempt(surface: Dialect, body: &str, platform: &str) -> Result<String, Fault> {
    let rendered = render(surface, body.as_bytes(), false, platform, model(platform));
    let rendered = rendered.expect("another protocol than the client's")?;
    Ok(String::from_utf8(rendered.body).expect("UTF-8"))
}

/// What a platform gets of a client's request, as text.
fn text_for(surface: Dialect, body: &str, platform: &str) -> String {
    attempt(surface, body, platform)
        .unwrap_or_else(|fault| panic!("refused by {platform}: {fault:?}: {body}"))
}

fn sent(surface: Dialect, body: &Value, platform: &str) -> Value {
    serde_json::from_str(&text_for(surface, &body.to_string(), platform)).expect("JSON")
}

/// Carried (`mark` stands in what is sent), or refused by name; never just gone.
fn carried_or_refused(surface: Dialect, body: &Value, platform: &str, mark: &str) {
    match attempt(surface, &body.to_string(), platform) {
        Ok(text) => assert!(text.contains(mark), "{platform} gets no {mark}: {text}"),
        Err(fault) => refusal_names_its_field(platform, &fault),
    }
}

fn sse(events: &[Value]) -> String {
    let frame = |event: &Value| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    events.iter().map(frame).collect()
}

/// A stream of a provider, to all surfaces.
fn streamed(upstream: Dialect, events: &[Value]) -> Relayed {
    let mut text = sse(events);
    if upstream == OpenAiChat {
        text.push_str("data: [DONE]\n\n");
    }
    relay(upstream, "a stream", |reader, sink| {
        feed(reader, &[text.as_bytes()], sink);
    })
}

fn whole(upstream: Dialect, body: &Value) -> Relayed {
    let body = body.to_string();
    relay(upstream, "a body", |reader, sink| {
        reader.body(body.as_bytes(), sink);
    })
}

fn heard(relayed: &Relayed, surface: Dialect) -> Heard {
    let stream = relayed.stream(surface);
    let streamed = hear::stream(surface, stream).unwrap_or_else(|error| {
        panic!("{surface:?}: {error}\n{}", String::from_utf8_lossy(stream))
    });
    let body = relayed.whole(surface);
    let at_once = hear::whole(surface, &body)
        .unwrap_or_else(|error| panic!("{surface:?}: {error}\n{}", String::from_utf8_lossy(&body)));
    assert_eq!(streamed.choices, at_once.choices, "{surface:?}");
    streamed
}

fn data(relayed: &Relayed, surface: Dialect) -> Vec<Value> {
    let frames = frames(relayed.stream(surface));
    let read = |(_, data): &(String, String)| serde_json::from_str(data).ok();
    frames.iter().filter_map(read).collect()
}

fn user(content: &Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

fn claude_user(content: &Value) -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": content}]})
}
