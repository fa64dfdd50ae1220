//! `torouter demo`: a gateway with a simulated provider behind it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use pingora::services::listening::Service;

use super::{Failed, logging, run};
use crate::config;
use crate::simulate::{self, Simulator};

#[derive(clap::Args)]
pub struct Options {
    /// Address of the gateway
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of metrics and health
    #[arg(long, default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// Milliseconds between the events of a simulated stream, so that a person sees it as one
    #[arg(long, default_value_t = 30)]
    gap_ms: u64,
}

/// The config of the demo, with the simulator's address in it.
fn config_text(options: &Options, simulator: SocketAddr) -> String {
    let Options { listen, admin, .. } = options;
    let mut text = format!(
        "[server]\nlisten = [\"{listen}\"]\nadmin = \"{admin}\"\ndrain_timeout = \"5s\"\n[store]\nurl = \"sqlite::memory:\"\n[log]\nformat = \"text\"\n"
    );
    for (name, platform, base, models) in [
        (
            "openai-sim",
            "openai",
            "",
            "\"gpt-5\", \"gpt-5-mini\", \"gpt-4o\", \"text-embedding-3-small\", \"text-embedding-3-large\", \"gpt-image-1\", \"gpt-4o-mini-tts\", \"whisper-1\", \"omni-moderation-latest\", \"gpt-3.5-turbo-instruct\", \"rerank-1\"",
        ),
        (
            "anthropic-sim",
            "anthropic",
            "",
            "\"claude-opus-4-7\", \"claude-sonnet-4-5\", \"claude-haiku-4-5\"",
        ),
        (
            "gemini-sim",
            "gemini",
            "",
            "\"gemini-3-flash-preview\", \"gemini-2.5-pro\", \"gemini-2.5-flash\", \"gemini-2.5-flash-image\", \"gemini-embedding-001\"",
        ),
        (
            "openrouter-sim",
            "openrouter",
            "/api",
            "\"openai/gpt-5\", \"anthropic/claude-opus-4.7\", \"google/gemini-2.5-pro\"",
        ),
        (
            "compatible-sim",
            "openai-compatible",
            "",
            "\"deepseek-chat\", \"deepseek-reasoner\"",
        ),
    ] {
        text += &format!(
            "[[channels]]\nname = \"{name}\"\nplatform = \"{platform}\"\nbase_url = \"http://{simulator}{base}\"\napi_key = {{ value = \"sim-key\" }}\nmodels = [{models}]\n"
        );
    }
    text += "[[groups]]\nname = \"default\"\nchannels = [\"openai-sim\", \"anthropic-sim\", \"gemini-sim\", \"openrouter-sim\", \"compatible-sim\"]\n";
    text += "[[keys]]\nname = \"demo\"\ngroup = \"default\"\nsecret = { value = \"sk-demo\" }\n";
    text
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

pub fn run(options: &Options) -> Result<(), Failed> {
    let simulator_address =
        free_address().map_err(|error| Failed::Start(format!("no free port: {error}")))?;
    let (config, report) = config::parse("demo", &config_text(options, simulator_address));
    let config = config.ok_or_else(|| Failed::Start(report.mistakes()))?;
    logging::start(tracing::Level::WARN, false);
    let simulator = Simulator::new(simulate::Options {
        gap: Duration::from_millis(options.gap_ms),
        ..simulate::Options::default()
    })
    .map_err(Failed::Start)?;
    let (mut server, ledger) = run::gateway(run::Run {
        config,
        file: None,
        upgrade: false,
    })?;
    let mut service = Service::new("simulator".to_owned(), simulator);
    service.threads = Some(1);
    service.add_tcp(&simulator_address.to_string());
    server.add_service(service);
    println!("{}", greeting(options));
    run::until_end(server, &ledger);
}

fn greeting(options: &Options) -> String {
    let Options { listen, admin, .. } = options;
    format!(
        r#"torouter demo
  gateway   http://{listen}   key sk-demo
  metrics   http://{admin}/metrics   health http://{admin}/readyz

Try:
  curl http://{listen}/v1/chat/completions -H 'authorization: Bearer sk-demo' \
    -d '{{"model":"gpt-5","messages":[{{"role":"user","content":"Hello"}}]}}'
  curl -N http://{listen}/v1/messages -H 'x-api-key: sk-demo' -H 'anthropic-version: 2023-06-01' \
    -d '{{"model":"claude-opus-4-7","max_tokens":100,"stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'
  curl -N 'http://{listen}/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse' \
    -H 'x-goog-api-key: sk-demo' -d '{{"contents":[{{"role":"user","parts":[{{"text":"Hello"}}]}}]}}'

Any model answers on any of these paths: try "model":"gemini-2.5-pro" on the first.
Stop with Ctrl-C."#
    )
}
