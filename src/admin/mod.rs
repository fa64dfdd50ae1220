//! The admin listener: metrics and health for everybody who reaches it, and the admin API for who has the token. It
//! knows keys and usage by the store alone; what else has to hear of a change is behind the [`Bell`].

mod access;
mod audit;
pub mod csv;
pub mod form;
pub mod keys;
mod listener;
mod openapi;
mod query;
mod reply;
mod requests;
mod routes;
pub mod usage;
pub mod value;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use serde_json::json;

pub use reply::Refusal;

use crate::meter::metrics;
use crate::store::{Store, StoreError};
use crate::world::World;
use query::Query;
use reply::Reply;
use routes::{Done, Found, Operation};

/// Work that the rest of the gateway does when it is asked to.
pub type Ring<T> = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync>;

/// What tells the rest of the gateway.
#[derive(Clone)]
pub struct Bell {
    /// Reads the keys anew: what changed holds for the next request.
    pub refresh_keys: Ring<()>,
    /// Writes the usage that waits to be written.
    pub flush_usage: Ring<()>,
    /// What the digests of keys are made with.
    pub server_secret: Ring<Result<[u8; 32], StoreError>>,
}

/// The listener's application.
pub struct Admin {
    api: Api,
}

/// The admin API, and what is told beside it.
struct Api {
    world: Arc<ArcSwap<World>>,
    store: Store,
    bell: Bell,
}

impl Admin {
    pub fn new(world: Arc<ArcSwap<World>>, store: Store, bell: Bell) -> Self {
        let api = Api { world, store, bell };
        Self { api }
    }
}

impl Api {
    /// Gauges that are read off the channels when somebody looks.
    fn refresh_gauges(&self) {
        let now = Instant::now();
        for channel in &self.world.load().channels {
            let name = &[&*channel.name];
            let up = i64::from(channel.is_up() && channel.ready_in(now).is_zero());
            metrics().channel_up.with_label_values(name).set(up);
            metrics()
                .channel_in_flight
                .with_label_values(name)
                .set(i64::from(channel.in_flight()));
        }
    }

    async fn ready(&self) -> Reply {
        let store = self.store.ping().await;
        let world = self.world.load();
        let missing = world.groups_without_channel(Instant::now());
        let mut said = json!({ "status": "ready" });
        if let Err(error) = &store {
            said["store"] = json!(error.message);
        }
        if !missing.is_empty() {
            said["groups_without_channel"] = json!(missing);
        }
        if missing.is_empty() && store.is_ok() {
            return Reply::json(200, &said);
        }
        said["status"] = json!("not ready");
        Reply::json(503, &said)
    }

    /// The document, with the groups that there are now.
    fn document(&self) -> Reply {
        let world = self.world.load();
        let groups = world.config.groups.iter();
        let groups: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
        Reply::json(200, &openapi::document(&groups))
    }

    async fn run(
        &self,
        operation: Operation,
        key: Option<&str>,
        query: Query,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        let key = key.map(query::decode_segment).transpose()?;
        let key = key.as_deref().unwrap_or_default();
        match operation {
            Operation::ListKeys => self.list_keys(query).await,
            Operation::Audit => self.audit(query).await,
            Operation::Usage => self.usage(query).await,
            Operation::Requests => self.requests(query).await,
            Operation::CreateKey => {
                query.end(&[])?;
                self.create_key(body).await
            }
            Operation::ShowKey => {
                query.end(&[])?;
                self.show_key(key).await
            }
            Operation::ChangeKey => {
                query.end(&[])?;
                self.change_key(key, body).await
            }
            Operation::DeleteKey => {
                query.end(&[])?;
                self.delete_key(key).await
            }
            Operation::Sync => {
                query.end(&[])?;
                (self.bell.refresh_keys)().await;
                (self.bell.flush_usage)().await;
                Ok(Reply::json(200, &Done { ok: true }))
            }
        }
    }

    /// The route of a request, when whoever asks may take it.
    async fn route<'a>(
        &self,
        method: &str,
        path: &'a str,
        authorization: Option<&[u8]>,
    ) -> Result<(&'static routes::Route, Option<&'a str>), Refusal> {
        let found = routes::find(method, path);
        let syncs = matches!(&found, Found::Route(route, _) if route.operation == Operation::Sync);
        self.admit(authorization, syncs).await?;
        match found {
            Found::Route(route, segment) => Ok((route, segment)),
            Found::OtherMethods(methods) => {
                let message = format!("this path takes {methods}");
                Err(Refusal::new(405, "method_not_allowed", message).with("allow", methods))
            }
            Found::Nothing => Err(unknown_path()),
        }
    }
}

fn unknown_path() -> Refusal {
    Refusal::new(
        404,
        "not_found",
        "unknown path; /openapi.json tells those that there are",
    )
}
