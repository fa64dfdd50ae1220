//! The config file: as written → every mistake with its line → resolved. What comes out of here is
//! valid; nothing behind it checks again.

mod accounts;
pub mod catalog;
mod keys;
mod reader;
mod sections;
mod source;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use crate::base::{self, Secret, glob};
use crate::dialect::translate::Target;
use crate::platform::Platform;

pub use catalog::Catalog;
pub use sections::network;
pub use source::Report;
pub use values::duration;

/// A whole, valid config.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub log: Log,
    pub store: Store,
    /// What the admin API asks for; without it there is no admin API.
    pub admin_token: Option<Secret>,
    pub limits: Limits,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
    pub channels: Vec<Channel>,
    pub groups: Vec<Group>,
    pub keys: Vec<Key>,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub listen: Vec<SocketAddr>,
    pub admin: SocketAddr,
    /// 0: one per core.
    pub threads: usize,
    pub body_limit: usize,
    /// How long a client may take to start its body; beyond it the body must keep up 16 KiB/s.
    pub read_timeout: Duration,
    pub drain_timeout: Duration,
    pub upgrade_socket: PathBuf,
    /// Zero: no heartbeats.
    pub heartbeat: Duration,
    pub commit_after: Duration,
    pub trusted_proxies: Vec<IpNet>,
    /// Fetch media on all channels.
    pub fetch_media: bool,
    /// Networks that media may be fetched from although they are not public.
    pub fetch_media_from: Vec<IpNet>,
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub listen: Vec<SocketAddr>,
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Where responses, conversations, keys and usage are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// A secret, because it may hold a password. Its scheme is known.
    pub url: Secret,
    /// The file says where; else it is the default.
    pub configured: bool,
    pub responses_ttl: Duration,
    pub responses_max_bytes: u64,
    /// How long the rows of usage are kept; zero: for ever.
    pub usage_ttl: Duration,
    /// What the digests of keys are made with; without, the store has one of its own. At least 32 bytes.
    pub key_secret: Option<Secret>,
    /// Where usage waits while the store is away; without, at the usual place.
    pub spool: Option<PathBuf>,
    pub spool_max_bytes: u64,
}

/// Who holds keys to their limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `redis://…`, where several gateways count together. A secret, because it may hold a password.
    pub redis: Option<Secret>,
    pub on_failure: OnFailure,
}

/// What becomes of requests while Redis is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Each gateway counts by itself.
    Local,
    /// Requests of keys with limits are refused.
    Deny,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub level: tracing::Level,
    pub json: bool,
    pub requests: bool,
}

#[derive(Clone, Debug)]
pub struct Channel {
    pub name: String,
    pub platform: &'static Platform,
    pub base: BaseUrl,
    pub api_key: Option<Secret>,
    /// Globs; `*` when the config names none.
    pub models: Vec<String>,
    pub model_map: Vec<(String, String)>,
    pub priority: i64,
    pub weight: u32,
    /// 0: no bound.
    pub max_in_flight: u32,
    pub timeouts: Timeouts,
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub ask_usage: bool,
    /// Media that a client names by URL may be fetched for a provider that takes none.
    pub fetch_media: bool,
    /// Globs of the provider's models that have no Chat Completions.
    pub responses_only: Vec<String>,
    pub health: Health,
    /// What is known of its models.
    pub catalog: Arc<Catalog>,
}

impl Channel {
    /// Does the provider answer for this model of its on the Responses API only?
    pub fn is_responses_only(&self, model: &str) -> bool {
        self.responses_only
            .iter()
            .any(|pattern| glob::matches(pattern, model))
    }

    /// How a request of another protocol is to be written for this model of the provider's.
    pub fn target<'a>(&self, model: &'a str) -> Target<'a> {
        if self.is_responses_only(model) {
            return self.platform.responses_target(model);
        }
        let target = self.platform.target(model);
        match self.catalog.find(model).and_then(|model| model.max_output) {
            Some(max_output) => target.with_max_output(max_output),
            None => target,
        }
    }
}

/// Where a channel's provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// What stands between the authority and `/v1`; empty, or `/…` without a slash at its end.
    pub path: String,
    /// For the `host` header.
    pub authority: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
}

#[derive(Clone, Debug)]
pub struct Health {
    /// `None`: a TCP or TLS handshake is the probe.
    pub path: Option<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy: usize,
    pub unhealthy: usize,
    pub expect: Vec<u16>,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub channels: Vec<Member>,
    pub aliases: Vec<(String, String)>,
    pub max_attempts: u32,
}

/// A channel in a group, with what the group says of it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Index into `Config::channels`.
    pub channel: usize,
    pub priority: i64,
    pub weight: u32,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    /// Index into `Config::groups`.
    pub group: usize,
    pub secret: Secret,
    pub enabled: bool,
    /// Globs; empty: every model.
    pub models: Vec<String>,
    pub allow: Vec<IpNet>,
    pub deny: Vec<IpNet>,
    pub expires: Option<SystemTime>,
    pub limits: base::Limits,
}

/// Reads a config. On failure the report holds every mistake; on success it may hold notes.
pub fn parse(file: &str, text: &str) -> (Option<Config>, Report) {
    read(Report::new(file, text), text)
}

/// The same for commands on the store, which may run where the secrets of channels, of keys and of the admin API are
/// not: those that cannot be resolved are empty. What is served must never be made of it.
pub fn parse_for_commands(file: &str, text: &str) -> (Option<Config>, Report) {
    let mut report = Report::new(file, text);
    report.secrets_may_be_away = true;
    read(report, text)
}

fn read(mut report: Report, text: &str) -> (Option<Config>, Report) {
    let config = sections::read(text, &mut report);
    let config = config.filter(|_| !report.has_mistakes());
    (config, report)
}

#[cfg(test)]
mod tests;
