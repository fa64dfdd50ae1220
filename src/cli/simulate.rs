//! `torouter simulate`: the provider simulator alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pingora::listeners::tls::TlsSettings;
use pingora::services::listening::Service;

use super::{Failed, logging, run};
use crate::config;
use crate::simulate::{self, Fail, Simulator};

#[derive(clap::Args)]
pub struct Options {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Time before the first byte of each answer ("200ms")
    #[arg(long, value_parser = duration, default_value = "0ms")]
    latency: Duration,
    /// Time between the events of a stream
    #[arg(long, value_parser = duration, default_value = "0ms")]
    gap: Duration,
    /// Number of pieces that a streamed text comes in [default: one a word]
    #[arg(long)]
    events: Option<u32>,
    /// Pad each answer's text to about so many bytes
    #[arg(long)]
    size: Option<usize>,
    /// Fail a share of the requests: `STATUS:PROBABILITY`, or hang, close, error-first, empty, garbage,
    /// html, redirect, error-body, no-upgrade (refuses WebSockets only); may be repeated
    #[arg(long, value_parser = fail)]
    fail: Vec<Fail>,
    /// End each stream abruptly after so many events
    #[arg(long)]
    cut: Option<u32>,
    /// Answer each request with the response of this recording
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Refuse requests without a credential
    #[arg(long)]
    require_key: bool,
    /// Worker threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Serve TLS (with h2) with this certificate…
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// …and this key
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "write it like \"200ms\" or \"5s\"".to_owned())
}

fn fail(text: &str) -> Result<Fail, String> {
    text.parse::<Fail>().map_err(|error| error.clone())
}

pub fn run(options: Options) -> Result<(), Failed> {
    logging::start(tracing::Level::INFO, false);
    run::check_free(&[options.listen])?;
    let simulator = Simulator::new(simulate::Options {
        latency: options.latency,
        gap: options.gap,
        events: options.events,
        size: options.size,
        fail: options.fail,
        cut: options.cut,
        replay: options.replay,
        require_key: options.require_key,
    })
    .map_err(Failed::Input)?;
    let mut server = run::server(options.threads, Duration::ZERO, None);
    server.bootstrap();
    let mut service = Service::new("simulator".to_owned(), simulator);
    let address = options.listen.to_string();
    match options.tls_cert.zip(options.tls_key) {
        None => service.add_tcp(&address),
        Some((cert, key)) => {
            let (cert, key) = (cert.display().to_string(), key.display().to_string());
            let mut settings = TlsSettings::intermediate(&cert, &key)
                .map_err(|error| Failed::Start(format!("--tls-cert: {error}")))?;
            settings.enable_h2();
            service.add_tls_with_settings(&address, None, settings);
        }
    }
    server.add_service(service);
    println!("simulated provider on {address}");
    server.run_forever();
}
