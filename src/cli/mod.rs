//! The commands, one file each.

mod check;
mod demo;
mod keys;
mod logging;
mod run;
mod serve;
mod simulate;
mod store;
mod table;
mod usage;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Where the config is when nothing says otherwise.
const DEFAULT_CONFIG: &str = "/etc/torouter/torouter.toml";

/// LLM API gateway: one host, one key, every model.
#[derive(Parser)]
#[command(name = "torouter", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a gateway with a simulated provider behind it: no config, no network, no account
    Demo(demo::Options),
    /// Run the gateway in the foreground
    Serve(serve::Options),
    /// Validate the config and tell every mistake
    Check(ConfigOption),
    /// Make, list, show, change and delete keys in the store
    Keys(keys::Options),
    /// Tell what was used and what it cost
    Usage(usage::Options),
    /// Run the provider simulator alone
    Simulate(simulate::Options),
}

#[derive(clap::Args)]
struct ConfigOption {
    /// Config file [default: $TOROUTER_CONFIG, else /etc/torouter/torouter.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigOption {
    fn path(&self) -> PathBuf {
        self.config
            .clone()
            .or_else(|| std::env::var_os("TOROUTER_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG))
    }
}

/// Why a command did not do its work; the numbers are the process's exit codes.
enum Failed {
    /// The input is wrong: the message says where.
    Input(String),
    /// It could not start.
    Start(String),
}

/// Writes to the standard output. Whoever reads no further has enough; anything else that hinders is told.
fn out(text: &str) -> Result<(), Failed> {
    match write_out(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failed::Start(format!(
            "the standard output cannot be written: {error}"
        ))),
        _ => Ok(()),
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Tells a person. Where nobody listens there is nothing to do.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Check(config) => check::run(&config),
        Command::Keys(options) => keys::run(options),
        Command::Usage(options) => usage::run(options),
        Command::Simulate(options) => simulate::run(options),
    };
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failed::Input(message)) => (message, 1),
        Err(Failed::Start(message)) => (message, 3),
    };
    tell(message.trim_end());
    ExitCode::from(code)
}
