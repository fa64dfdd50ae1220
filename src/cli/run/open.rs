//! What a gateway stands on, opened: the store, the ledger's spool, who counts limits, the keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failed;
use crate::config;
use crate::gate::limits::{Clock, Limiter};
use crate::meter::Ledger;
use crate::store::{Place, Settings, Store, StoreError};
use crate::world::Keys;

/// Where a gateway keeps what has no place of its own.
const STATE: &str = "/var/lib/torouter";

/// How the store of a config is opened, at this URL.
pub fn settings(config: &config::Store, url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        responses_ttl: config.responses_ttl,
        responses_max_bytes: config.responses_max_bytes,
        usage_ttl: config.usage_ttl,
    }
}

/// What the digests of keys are made with.
pub async fn server_secret(store: &Store, config: &config::Store) -> Result<[u8; 32], StoreError> {
    let configured = config.key_secret.as_ref();
    let configured = configured.map(|secret| secret.expose().as_bytes());
    store.server_secret(configured).await
}

/// The store, and the usual place of its spool. Where nothing is configured and the usual place cannot be used, a gateway
/// serves all the same: from memory.
pub fn store(config: &config::Store) -> Result<(Store, Option<PathBuf>), Failed> {
    match Store::open(&settings(config, config.url.expose())) {
        Ok(store) => Ok((store, usual_spool(config.url.expose()))),
        Err(error) if config.configured => Err(Failed::Start(format!("store.url: {error}"))),
        Err(error) => {
            tracing::warn!(
                %error,
                "no [store] is configured and the usual one cannot be used: responses and usage are kept in memory, and lost when the gateway ends"
            );
            let store = Store::open(&settings(config, "sqlite::memory:"))
                .map_err(|error| Failed::Start(format!("the store: {error}")))?;
            Ok((store, None))
        }
    }
}

/// Who counts what keys use.
pub fn limiter(config: &config::Limits) -> Result<Arc<Limiter>, Failed> {
    match &config.redis {
        None => Ok(Limiter::memory(Clock::System)),
        Some(url) => Limiter::redis(url, config.on_failure, Clock::System)
            .map_err(|error| Failed::Start(format!("limits.url: {error}"))),
    }
}

/// Before the first request.
pub fn read_keys(keys: &Keys) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::Start(format!("cannot start a runtime: {error}")))?;
    let read = runtime.block_on(keys.read_first());
    read.map_err(|error| Failed::Start(format!("the keys of the store: {error}")))
}

/// A spool belongs to one store: what is left in it is written there.
fn usual_spool(url: &str) -> Option<PathBuf> {
    let place = Place::parse(url).ok()?;
    match place {
        Place::Memory => None,
        Place::File(path) => {
            let mut name = path.into_os_string();
            name.push("-spool");
            Some(name.into())
        }
        Place::Postgres(_) => {
            let told = place.to_string();
            let name = told.trim_start_matches("postgres://");
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
            Some(Path::new(STATE).join(format!("spool-{name}")))
        }
    }
}

/// A spool that was not asked for is done without, where it cannot be made.
pub fn ledger(
    config: &config::Store,
    store: Store,
    usual: Option<PathBuf>,
) -> Result<Arc<Ledger>, Failed> {
    let max_bytes = config.spool_max_bytes;
    if let Some(spool) = &config.spool {
        return Ledger::open(store, Some(spool.clone()), max_bytes).map_err(Failed::Start);
    }
    Ledger::open(store.clone(), usual, max_bytes).or_else(|error| {
        tracing::warn!(
            error,
            "usage that the store has not taken yet is kept in memory only"
        );
        Ledger::open(store, None, 0).map_err(Failed::Start)
    })
}
