//! The admin listener: metrics and health.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::Response;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_prometheus::PrometheusHttpApp;
use serde_json::json;

use crate::meter::metrics;
use crate::store::Store;
use crate::world::World;

pub struct Admin {
    world: Arc<ArcSwap<World>>,
    store: Store,
}

impl Admin {
    pub fn new(world: Arc<ArcSwap<World>>, store: Store) -> Self {
        Self { world, store }
    }

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

    async fn ready(&self) -> Response<Vec<u8>> {
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
            return json_answer(200, &said);
        }
        said["status"] = json!("not ready");
        json_answer(503, &said)
    }
}

fn json_answer(status: u16, body: &serde_json::Value) -> Response<Vec<u8>> {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    let length = response.body().len();
    response.headers_mut().insert(
        http::header::CONTENT_LENGTH,
        http::HeaderValue::from(length),
    );
    response
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let path = session.req_header().uri.path();
        match path {
            "/metrics" => {
                self.refresh_gauges();
                PrometheusHttpApp.response(session).await
            }
            "/healthz" => json_answer(200, &json!({ "status": "ok" })),
            "/readyz" => self.ready().await,
            path if path.starts_with("/admin/") => {
                let message = "the admin API is not available: no admin token is configured";
                json_answer(
                    403,
                    &json!({ "error": { "code": "admin_disabled", "message": message } }),
                )
            }
            _ => json_answer(
                404,
                &json!({ "error": { "code": "not_found", "message": "unknown path" } }),
            ),
        }
    }
}
