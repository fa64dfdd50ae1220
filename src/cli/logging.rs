//! What the process says of itself, on stderr. Requests have their own line, in `meter`.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries whose more talkative levels print heads of requests, credentials and all.
const QUIET: [&str; 7] = [
    "pingora",
    "pingora_core",
    "pingora_proxy",
    "pingora_load_balancing",
    "h2",
    "hyper",
    "rustls",
];

pub fn start(level: Level, json: bool) {
    let mut targets = Targets::new().with_default(level);
    for library in QUIET {
        targets = targets.with_target(library, level.min(Level::WARN));
    }
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(targets);
    // A second start (there is none) would keep the first.
    let _ = if json {
        registry
            .with(layer.json().flatten_event(true).with_target(false))
            .try_init()
    } else {
        registry.with(layer.with_target(false)).try_init()
    };
}
