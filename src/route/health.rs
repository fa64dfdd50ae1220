//! Probes a channel and resolves its host, on the background's time, for as long as the channel lives.

use std::sync::Weak;
use std::time::Duration;

use pingora_core::upstreams::peer::Peer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck, TcpHealthCheck};
use pingora_load_balancing::{Backend, Backends};

use super::channel::Channel;
use super::resolve::Host;

/// How often names are asked for anew.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// How soon a name that could not be resolved is asked for again.
const RESOLVE_RETRY: Duration = Duration::from_secs(1);
/// A channel that stays barred is probed ever more seldom, down to this.
const SELDOMEST: Duration = Duration::from_secs(600);

/// Resolves once, then probes and resolves until nobody holds the channel any more. `on_probe` is told
/// after each round.
pub async fn watch(channel: Weak<Channel>, on_probe: impl Fn(&Channel)) {
    let Some(prober) = channel.upgrade().and_then(|channel| Prober::new(&channel)) else {
        return;
    };
    let interval = prober.interval;
    let mut since_resolve = RESOLVE_EVERY;
    let mut barred_rounds = 0_u32;
    let mut barred_wait = Duration::ZERO;
    loop {
        let mut wait = interval;
        {
            let Some(channel) = channel.upgrade() else {
                return;
            };
            if since_resolve >= RESOLVE_EVERY {
                since_resolve = Duration::ZERO;
                if prober.backends.update(|_| {}).await.is_err()
                    && prober.backends.get_backend().is_empty()
                {
                    since_resolve = RESOLVE_EVERY;
                    wait = RESOLVE_RETRY;
                }
                // Traffic may flow before the first probe: a channel counts as up until one fails.
                prober.publish(&channel);
                channel.mark_looked_up();
            }
            prober.backends.run_health_check(true).await;
            prober.publish(&channel);
            if channel.is_barred() {
                if barred_wait.is_zero() {
                    barred_rounds += 1;
                    barred_wait = (interval * (1 << barred_rounds.min(10))).min(SELDOMEST);
                    prober.try_credential(&channel).await;
                }
                barred_wait = barred_wait.saturating_sub(wait);
            } else {
                barred_wait = Duration::ZERO;
                if channel.is_ready(std::time::Instant::now()) {
                    barred_rounds = barred_rounds.saturating_sub(1);
                }
            }
            on_probe(&channel);
        }
        tokio::time::sleep(wait).await;
        since_resolve += wait;
    }
}

struct Prober {
    backends: Backends,
    /// Asks for something that needs the credential.
    credential: Box<dyn HealthCheck + Send + Sync>,
    interval: Duration,
}

impl Prober {
    fn new(channel: &Channel) -> Option<Self> {
        let base = &channel.config.base;
        let mut backends = Backends::new(Box::new(Host {
            name: base.host.clone(),
            port: base.port,
        }));
        let health = &channel.config.health;
        let check: Box<dyn HealthCheck + Send + Sync> = match &health.path {
            Some(path) => http_check(channel, path, health.expect.clone())?,
            None => tcp_check(channel),
        };
        backends.set_health_check(check);
        let probe_path = channel.config.platform.probe_path;
        Some(Self {
            backends,
            credential: http_check(channel, probe_path, (200..300).collect())?,
            interval: health.interval,
        })
    }

    /// Tells the channel which addresses are ready.
    fn publish(&self, channel: &Channel) {
        let ready = self
            .backends
            .get_backend()
            .iter()
            .filter(|backend| self.backends.ready(backend))
            .filter_map(|backend| backend.addr.as_inet().copied())
            .collect();
        channel.set_addresses(ready);
    }

    async fn try_credential(&self, channel: &Channel) {
        let backends = self.backends.get_backend();
        let Some(backend) = backends.iter().next() else {
            return;
        };
        if self.credential.check(backend).await.is_ok() {
            tracing::info!(channel = &*channel.name, "the credential is accepted again");
            channel.unbar();
        }
    }
}

fn tcp_check(channel: &Channel) -> Box<dyn HealthCheck + Send + Sync> {
    let (config, health) = (&channel.config, &channel.config.health);
    let mut check = if config.base.tls {
        TcpHealthCheck::new_tls(&config.base.host)
    } else {
        TcpHealthCheck::new()
    };
    check.consecutive_success = health.healthy;
    check.consecutive_failure = health.unhealthy;
    check.peer_template.options.connection_timeout = Some(health.timeout);
    check.peer_template.options.total_connection_timeout = Some(health.timeout);
    Box::new(Timed {
        check,
        timeout: health.timeout,
    })
}

fn http_check(
    channel: &Channel,
    path: &str,
    expect: Vec<u16>,
) -> Option<Box<dyn HealthCheck + Send + Sync>> {
    let (config, health) = (&channel.config, &channel.config.health);
    let mut check = HttpHealthCheck::new(&config.base.host, config.base.tls);
    check.consecutive_success = health.healthy;
    check.consecutive_failure = health.unhealthy;
    if let Some(options) = check.peer_template.get_mut_peer_options() {
        options.connection_timeout = Some(health.timeout);
        options.total_connection_timeout = Some(health.timeout);
        options.read_timeout = Some(health.timeout);
    }
    let path = format!("{}{path}", config.base.path);
    let mut request = RequestHeader::build("GET", path.as_bytes(), None).ok()?;
    request.insert_header("host", channel.host.clone()).ok()?;
    request.insert_header("user-agent", "torouter-probe").ok()?;
    if let Some((name, value)) = config.platform.default_header {
        request.insert_header(name, value).ok()?;
    }
    if let Some((name, value)) = &channel.credential {
        request.insert_header(name, value.clone()).ok()?;
    }
    for (name, value) in &config.headers {
        request.insert_header(name, value.clone()).ok()?;
    }
    check.req = request;
    check.validator = Some(Box::new(move |answer: &ResponseHeader| -> Result<()> {
        let status = answer.status.as_u16();
        if expect.contains(&status) {
            return Ok(());
        }
        Error::e_explain(
            ErrorType::HTTPStatus(status),
            "the probe's answer is not an expected one",
        )
    }));
    Some(Box::new(Timed {
        check: Box::new(check),
        timeout: health.timeout,
    }))
}

/// Bounds a whole check: the library's own timeouts are one a step.
struct Timed<C> {
    check: Box<C>,
    timeout: Duration,
}

#[async_trait::async_trait]
impl<C: HealthCheck + Send + Sync> HealthCheck for Timed<C> {
    async fn check(&self, target: &Backend) -> Result<()> {
        match tokio::time::timeout(self.timeout, self.check.check(target)).await {
            Ok(result) => result,
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "the probe took too long"),
        }
    }

    fn health_threshold(&self, success: bool) -> usize {
        self.check.health_threshold(success)
    }
}
