//! `--name value` pairs. Three small binaries do not need an argument parser from outside.

use std::str::FromStr;

pub struct Flags(Vec<String>);

impl Flags {
    pub fn new(args: impl Iterator<Item = String>) -> Self {
        Self(args.collect())
    }

    /// The value of `--name`, or `default` when it is not given. Ends the process on a value that does not parse.
    pub fn take<T: FromStr>(&mut self, name: &str, default: T) -> T {
        let Some(at) = self.0.iter().position(|arg| arg == name) else {
            return default;
        };
        if at + 1 == self.0.len() {
            refuse(&format!("{name} lacks its value"));
        }
        let value = self.0.remove(at + 1);
        self.0.remove(at);
        match value.parse() {
            Ok(value) => value,
            Err(_) => refuse(&format!("{name}: cannot read {value:?}")),
        }
    }

    /// Ends the process when something is left that nobody took: a misspelt flag must not pass as its default.
    pub fn finish(self) {
        if let Some(arg) = self.0.first() {
            refuse(&format!("unknown argument {arg:?}"));
        }
    }
}

/// Says what is wrong with the command line and ends the process.
pub fn refuse(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2)
}
