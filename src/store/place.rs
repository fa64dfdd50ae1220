//! Where a store is: the URL of the config, understood.

use std::fmt;
use std::path::PathBuf;

/// A URL that has been understood. Its `Display` and `Debug` hold no password.
#[derive(Clone)]
pub enum Place {
    Memory,
    File(PathBuf),
    Postgres(Box<sqlx::postgres::PgConnectOptions>),
}

impl Place {
    /// Reads a URL; the mistake that is told never holds any of it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return url
                .parse()
                .map(|options| Self::Postgres(Box::new(options)))
                .map_err(|_| "is not a PostgreSQL URL; write \"postgres://user:password@host:5432/database\" with special characters as %XX");
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err("must begin with \"sqlite:\", \"postgres://\" or \"postgresql://\"");
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        match path {
            ":memory:" => Ok(Self::Memory),
            "" => Err("has no path; write \"sqlite:/var/lib/torouter/torouter.db\""),
            _ if path.contains('?') => Err("must be \"sqlite:PATH\" without parameters"),
            _ if path.contains('\0') => Err("must not hold a NUL"),
            _ if path.ends_with('/') => Err("must name a file, not a folder"),
            _ => Ok(Self::File(path.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(options) => {
                let (host, port) = (options.get_host(), options.get_port());
                let database = options.get_database().unwrap_or_default();
                write!(f, "postgres://{host}:{port}/{database}")
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
