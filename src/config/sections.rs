//! The file as a whole, and the sections of which there is one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeTable;

use super::catalog::{self, Catalog, Model};
use super::reader::Table;
use super::source::Report;
use super::{Config, Limits, Log, OnFailure, Server, Store, Tls, accounts, keys, values};
use crate::base::Secret;

/// Reads all sections, going on after mistakes.
pub fn read(text: &str, report: &mut Report) -> Option<Config> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // Half of a document would only give mistakes that are none.
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            report.mistake(at, error.message().replace('\n', ", "));
        }
        return None;
    }
    let mut root = Table::new(document.get_ref(), "", 0);
    let server = server(&mut root, report);
    let admin_token = admin(&mut root, report);
    let log = log(&mut root, report);
    let store = store(&mut root, report);
    let limits = limits(&mut root, report);
    let catalog = catalog(&mut root, report);
    later(&mut root, report);
    let channels = accounts::channels(&mut root, &catalog, report);
    let groups = accounts::groups(&mut root, &channels, report);
    let keys = keys::keys(&mut root, &groups, report);
    root.finish(report);
    Some(Config {
        server,
        log,
        store,
        admin_token,
        limits,
        catalog,
        channels: channels.into_iter().map(|(_, channel)| channel).collect(),
        groups: groups.into_iter().map(|(_, group)| group).collect(),
        keys,
    })
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

pub fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

const ADDRESS: &str = "an address like \"127.0.0.1:8080\" or \"[::]:8080\"";

fn server(root: &mut Table<'_, '_>, report: &mut Report) -> Server {
    let empty = DeTable::new();
    let mut t = root
        .table("server", report)
        .unwrap_or_else(|| Table::new(&empty, "server", 0));
    let seconds = Duration::from_secs;
    let listen = t
        .list("listen", ADDRESS, report, address)
        .unwrap_or_else(|| vec![SocketAddr::from(([0, 0, 0, 0], 8080))]);
    let admin = t
        .parsed("admin", ADDRESS, report, address)
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9090)));
    let server = Server {
        listen,
        admin,
        threads: t.integer("threads", 0, 0..1025, report) as usize,
        body_limit: t
            .parsed("body_limit", "a size like \"64MiB\"", report, values::size)
            .unwrap_or(64 << 20),
        read_timeout: t.duration("read_timeout", seconds(30), report),
        drain_timeout: t.duration("drain_timeout", seconds(600), report),
        upgrade_socket: t.string("upgrade_socket", report).map_or_else(
            || PathBuf::from("/run/torouter/upgrade.sock"),
            |(path, _)| path.into(),
        ),
        heartbeat: t.duration("heartbeat", seconds(15), report),
        commit_after: t.duration("commit_after", seconds(2), report),
        trusted_proxies: t
            .list(
                "trusted_proxies",
                "a network like \"10.0.0.0/8\"",
                report,
                network,
            )
            .unwrap_or_default(),
        fetch_media: t.boolean("fetch_media", false, report),
        fetch_media_from: t
            .list(
                "fetch_media_from",
                "a network like \"10.0.0.0/8\"",
                report,
                network,
            )
            .unwrap_or_default(),
        tls: tls(&mut t, report),
    };
    let at = t.at;
    t.finish(report);
    if server.listen.is_empty() && server.tls.is_none() && !report.has_mistakes() {
        report.mistake(
            at,
            "server.listen is empty and there is no [server.tls]: nothing would be served",
        );
    }
    server
}

fn tls(server: &mut Table<'_, '_>, report: &mut Report) -> Option<Tls> {
    let mut t = server.table("tls", report)?;
    let listen = t
        .list("listen", ADDRESS, report, address)
        .unwrap_or_else(|| vec![SocketAddr::from(([0, 0, 0, 0], 8443))]);
    let mut file = |key: &'static str| {
        let (path, at) = t.required(key, report)?;
        if let Err(error) = std::fs::File::open(&path) {
            report.mistake(
                at,
                format!("server.tls.{key}: {path} cannot be read: {error}"),
            );
        }
        Some(PathBuf::from(path))
    };
    let (cert, key) = (file("cert"), file("key"));
    t.finish(report);
    Some(Tls {
        listen,
        cert: cert?,
        key: key?,
    })
}

fn admin(root: &mut Table<'_, '_>, report: &mut Report) -> Option<Secret> {
    let mut t = root.table("admin", report)?;
    let token = t.secret("token", report);
    t.finish(report);
    token
}

fn log(root: &mut Table<'_, '_>, report: &mut Report) -> Log {
    let empty = DeTable::new();
    let mut t = root
        .table("log", report)
        .unwrap_or_else(|| Table::new(&empty, "log", 0));
    let levels = "one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"";
    let log = Log {
        level: t
            .parsed("level", levels, report, |text| {
                text.chars()
                    .all(|c| c.is_ascii_lowercase())
                    .then(|| text.parse().ok())
                    .flatten()
            })
            .unwrap_or(tracing::Level::INFO),
        json: t
            .parsed(
                "format",
                "\"json\" or \"text\"",
                report,
                |text| match text {
                    "json" => Some(true),
                    "text" => Some(false),
                    _ => None,
                },
            )
            .unwrap_or(true),
        requests: t.boolean("requests", true, report),
    };
    t.finish(report);
    log
}

/// As long as the digests that are made with it.
const KEY_SECRET_BYTES: usize = 32;

const STORE: &str = "sqlite:/var/lib/torouter/torouter.db";

fn store(root: &mut Table<'_, '_>, report: &mut Report) -> Store {
    let empty = DeTable::new();
    let mut t = root
        .table("store", report)
        .unwrap_or_else(|| Table::new(&empty, "store", 0));
    let url = t.text_or_secret("url", report);
    if let Some((url, at)) = &url
        && let Err(what) = values::store_url(url.expose())
    {
        report.mistake(*at, format!("store.url {what}"));
    }
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let (ttl, ttl_at) = t.duration_at("responses_ttl", days(30), report);
    if ttl < Duration::from_secs(1) || ttl > days(36_500) {
        report.mistake(
            ttl_at,
            "store.responses_ttl must be from \"1s\" to \"36500d\"",
        );
    }
    let bytes = t.parsed(
        "responses_max_bytes",
        "a size like \"10GiB\"",
        report,
        values::size,
    );
    let (usage_ttl, usage_ttl_at) = t.duration_at("usage_ttl", days(90), report);
    if usage_ttl > days(36_500) || (usage_ttl < Duration::from_secs(3600) && !usage_ttl.is_zero()) {
        report.mistake(
            usage_ttl_at,
            "store.usage_ttl must be from \"1h\" to \"36500d\", or \"0s\": for ever",
        );
    }
    let key_secret = t.secret_at("key_secret", report);
    if let Some((secret, at)) = &key_secret
        && secret.expose().len() < KEY_SECRET_BYTES
    {
        report.mistake(
            *at,
            format!("store.key_secret is too short: at least {KEY_SECRET_BYTES} bytes, as `openssl rand -hex 32` makes them"),
        );
    }
    let spool = t.string("spool", report);
    if let Some((path, at)) = &spool
        && path.is_empty()
    {
        report.mistake(*at, "store.spool is empty; write a path, or leave it out");
    }
    let spool_bytes = t.parsed(
        "spool_max_bytes",
        "a size like \"1GiB\"",
        report,
        values::size,
    );
    t.finish(report);
    Store {
        configured: url.is_some(),
        url: url.map_or_else(|| Secret::new(STORE), |(url, _)| url),
        responses_ttl: ttl,
        responses_max_bytes: bytes.map_or(10 << 30, |bytes| bytes as u64),
        usage_ttl,
        key_secret: key_secret.map(|(secret, _)| secret),
        spool: spool.map(|(path, _)| PathBuf::from(path)),
        spool_max_bytes: spool_bytes.map_or(1 << 30, |bytes| bytes as u64),
    }
}

fn limits(root: &mut Table<'_, '_>, report: &mut Report) -> Limits {
    let mut limits = Limits {
        redis: None,
        on_failure: OnFailure::Local,
    };
    let Some(mut t) = root.table("limits", report) else {
        return limits;
    };
    if let Some((url, at)) = t.text_or_secret("url", report) {
        match values::limits_url(url.expose()) {
            Ok(is_redis) => limits.redis = is_redis.then_some(url),
            Err(what) => report.mistake(at, format!("limits.url {what}")),
        }
    }
    let words = "\"local\" or \"deny\"";
    let on_failure = t.parsed("on_failure", words, report, |word| match word {
        "local" => Some(OnFailure::Local),
        "deny" => Some(OnFailure::Deny),
        _ => None,
    });
    limits.on_failure = on_failure.unwrap_or(limits.on_failure);
    t.finish(report);
    limits
}

/// Price files are smaller; `LiteLLM`'s has 2 MB.
const MAX_CATALOG: u64 = 64 << 20;

fn catalog(root: &mut Table<'_, '_>, report: &mut Report) -> Arc<Catalog> {
    let Some(mut t) = root.table("catalog", report) else {
        return Catalog::built_in();
    };
    let own = models_of(&mut t, "models", report, catalog::own_models);
    let others = models_of(&mut t, "litellm", report, catalog::litellm_models);
    t.finish(report);
    Catalog::assembled(own, others)
}

/// The models of a file that the config names; a relative path is from the config's folder.
fn models_of(
    t: &mut Table<'_, '_>,
    key: &'static str,
    report: &mut Report,
    read: fn(&str, &mut Report) -> Vec<Model>,
) -> Vec<Model> {
    let Some((path, at)) = t.string(key, report) else {
        return Vec::new();
    };
    let folder = Path::new(report.file()).parent();
    let path = folder.unwrap_or(Path::new("")).join(path);
    let name = path.display().to_string();
    let text = std::fs::metadata(&path)
        .map_err(|error| error.to_string())
        .and_then(|file| {
            if file.len() > MAX_CATALOG {
                return Err(format!("it is larger than {} MiB", MAX_CATALOG >> 20));
            }
            std::fs::read_to_string(&path).map_err(|error| error.to_string())
        });
    match text {
        Ok(text) => {
            let mut found = Report::new(&name, &text);
            let models = read(&text, &mut found);
            report.add(found);
            models
        }
        Err(error) => {
            report.mistake(at, format!("catalog.{key}: {name} cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// Sections that later work will use: read for mistakes, and told by name.
fn later(root: &mut Table<'_, '_>, report: &mut Report) {
    if let Some(mut t) = root.table("telemetry", report) {
        if let Some((url, at)) = t.string("otlp", report)
            && !url.is_empty()
        {
            report.note(at, "telemetry.otlp is accepted but not yet used");
        }
        t.finish(report);
    }
}
