//! `torouter check`: tells every mistake of a config.

use std::path::Path;

use super::{ConfigOption, Failed, out};
use crate::config::{self, Config, Report};

pub fn run(option: &ConfigOption) -> Result<(), Failed> {
    let path = option.path();
    let file = path.display().to_string();
    let (config, notes) = read(&path)?;
    out(&format!(
        "{notes}{file}: ok: {} channels, {} groups, {} keys\n",
        config.channels.len(),
        config.groups.len(),
        config.keys.len()
    ))
}

/// The config of a file, and the notes on it.
pub fn read(path: &Path) -> Result<(Config, String), Failed> {
    read_by(config::parse, path)
}

/// The config of a file, for a command on its store.
pub fn read_for_commands(path: &Path) -> Result<Config, Failed> {
    let (config, _) = read_by(config::parse_for_commands, path)?;
    Ok(config)
}

fn read_by(
    parse: fn(&str, &str) -> (Option<Config>, Report),
    path: &Path,
) -> Result<(Config, String), Failed> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failed::Input(format!(
            "{file}: cannot be read: {error}. Name another with --config."
        ))
    })?;
    let (config, report) = parse(&file, &text);
    config
        .map(|config| (config, report.notes()))
        .ok_or_else(|| Failed::Input(report.mistakes()))
}
