//! What outlives a request: stored responses and conversations, keys, what they used; in SQLite or PostgreSQL. Each subject has a file of
//! its own; [`engine`] is the only one that knows that there are two databases.
//!
//! The store has threads of its own. A call is a task there, so that nothing of a database runs on the threads that
//! serve requests, and a caller that goes away leaves no half of a transaction. Content is kept byte for byte as it
//! was given; no error, and no log line, holds any of it.

mod audit;
mod context;
mod conversations;
mod engine;
mod error;
mod item;
mod keys;
mod making;
mod place;
mod references;
mod reports;
mod requests;
mod response;
mod responses;
mod schema;
mod secret;
mod sums;
mod upkeep;
mod usage;
mod used;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};

use crate::base::clock;

pub use audit::AuditRow;
pub use context::{Context, Turn};
pub use conversations::{Conversation, ConversationItems};
pub use error::{BeginError, ContextError, OpenError, StoreError, Trouble};
pub use keys::{KeyError, KeyRow};
pub use place::Place;
pub use reports::{Dimension, Filters, ReportQuery, ReportRow};
pub use requests::{RequestQuery, RequestRow};
pub use response::{Finished, NewResponse, Status, Stored};
pub use usage::UsageRow;
pub use used::Used;

use engine::Engine;

/// No call takes longer; what has not ended by then is undone.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How long a response counts as being made after its process has last said so.
const LEASE_MS: i64 = 30_000;

/// Where the store is and what it may hold.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. May hold a password.
    pub url: String,
    pub responses_ttl: Duration,
    pub responses_max_bytes: u64,
    /// How long the rows of usage are kept; zero: for ever.
    pub usage_ttl: Duration,
}

/// Whose a response or a conversation is: the names of key and group. What another owner has is not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub key: Arc<str>,
    pub group: Arc<str>,
}

/// A store that is open. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(…)")
    }
}

struct Inner {
    engine: Engine,
    ttl_ms: i64,
    max_bytes: i64,
    /// Zero: for ever.
    usage_ttl_ms: i64,
    /// The schema is there and is ours; until then each call looks.
    ready: AtomicBool,
    readying: tokio::sync::Mutex<()>,
    /// The bytes that are kept, as counted last and as changed since.
    bytes: AtomicI64,
    /// When they were counted last because they seemed too many (Unix milliseconds).
    counted_ms: AtomicU64,
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime that is dropped on an async thread panics; this way it ends by itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    /// Opens the store and makes its tables. Blocks; may be called in and outside of a runtime.
    ///
    /// A wrong URL, a folder that is not there, a file that is no database or is newer than this program are errors.
    /// A server that cannot be reached is none: until it can be, each call fails with [`Trouble::Down`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let place = Place::parse(&settings.url).map_err(|what| OpenError(what.to_owned()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| {
                OpenError(format!("the store's thread could not be started: {error}"))
            })?;
        let described = place.to_string();
        let handle = runtime.handle().clone();
        let engine = {
            // The pools belong to the runtime in which they are made.
            let _inside = handle.enter();
            Engine::open(place)
        };
        let engine = match engine {
            Ok(engine) => engine,
            Err(what) => {
                runtime.shutdown_background();
                return Err(OpenError(format!("{described}: {what}")));
            }
        };
        let store = Self(Arc::new(Inner::new(engine, settings, runtime)));
        let (tell, told) = mpsc::sync_channel(1);
        let inner = store.0.clone();
        handle.spawn(async move {
            let ready = tokio::time::timeout(CALL_LIMIT, inner.ready()).await;
            let ready = ready.unwrap_or_else(|_| Err(inner.engine.too_slow()));
            // The caller waits for it.
            let _ = tell.send(ready);
        });
        match told.recv() {
            Ok(Ok(())) => Ok(store),
            // A server that is away passes by itself.
            Ok(Err(error)) if error.trouble == Trouble::Down && store.0.engine.is_postgres() => {
                Ok(store)
            }
            Ok(Err(error)) => Err(OpenError(format!("{described}: {error}"))),
            Err(_) => Err(OpenError(format!("{described}: the store's thread ended"))),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.call(move |inner| async move {
            inner.engine.rows("SELECT 1", engine::args![]).await?;
            Ok(())
        })
        .await
    }

    /// Runs a call on the store's own thread, to its end, whatever becomes of the caller.
    async fn call<T, E, F, R>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(Arc<Inner>) -> R + Send + 'static,
        R: Future<Output = Result<T, E>> + Send,
    {
        let inner = self.0.clone();
        let task = self.0.handle.spawn(async move {
            let bounded = tokio::time::timeout(CALL_LIMIT, async {
                inner.ready().await?;
                work(inner.clone()).await
            });
            match bounded.await {
                Ok(result) => result,
                Err(_) => Err(inner.engine.too_slow().into()),
            }
        });
        task.await.unwrap_or_else(|_| {
            let what = "the store was closed before it could answer";
            Err(StoreError::new(Trouble::Down, what).into())
        })
    }
}

impl Inner {
    fn new(engine: Engine, settings: &Settings, runtime: Runtime) -> Self {
        Self {
            engine,
            ttl_ms: i64::try_from(settings.responses_ttl.as_millis())
                .unwrap_or(i64::MAX)
                .clamp(1, i64::MAX / 4),
            max_bytes: i64::try_from(settings.responses_max_bytes).unwrap_or(i64::MAX),
            usage_ttl_ms: i64::try_from(settings.usage_ttl.as_millis()).unwrap_or(i64::MAX),
            ready: AtomicBool::new(false),
            readying: tokio::sync::Mutex::new(()),
            bytes: AtomicI64::new(0),
            counted_ms: AtomicU64::new(0),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        }
    }

    /// When what is made now expires.
    fn expiry(&self) -> i64 {
        now().saturating_add(self.ttl_ms)
    }

    /// When the ancestors of what is made now expire: not before it, and rounded up, so that a chain is not written
    /// anew as a whole with each turn. Going up a chain the expiry never falls, so who finds one that is late enough
    /// need not look further.
    fn ancestors_expiry(&self) -> i64 {
        let step = (self.ttl_ms / 16).max(1);
        (self.expiry() / step)
            .saturating_add(1)
            .saturating_mul(step)
    }
}

/// A count or a length as the tables hold it.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Unix milliseconds, as the tables hold them.
fn now() -> i64 {
    clock::unix_ms().cast_signed()
}

#[cfg(test)]
mod tests;
