//! `torouter serve`: the gateway, in the foreground.

use super::{ConfigOption, Failed, check, logging, run};

#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    config: ConfigOption,
    /// Take the listening sockets over from the running process
    #[arg(long)]
    upgrade: bool,
}

pub fn run(options: &Options) -> Result<(), Failed> {
    let path = options.config.path();
    let (config, notes) = check::read(&path)?;
    logging::start(config.log.level, config.log.json);
    for note in notes.lines() {
        tracing::info!("{note}");
    }
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    let (server, ledger) = run::gateway(run::Run {
        config,
        file: Some(path),
        upgrade: options.upgrade,
    })?;
    tracing::info!(
        listen = listen.join(", "),
        version = env!("CARGO_PKG_VERSION"),
        "starting"
    );
    run::until_end(server, &ledger);
}
