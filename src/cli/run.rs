//! Puts the services together and runs them until the process is told to end.

pub(super) mod open;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use pingora::services::listening::Service;

use super::Failed;
use crate::admin::{Admin, Bell};
use crate::config::{self, Config};
use crate::gate::Book;
use crate::meter::{self, Ledger, metrics};
use crate::proxy::{Front, Keeper, requests_under_way};
use crate::route;
use crate::world::{Keys, World};

/// Idle connections kept to all upstreams, a thread.
const POOL: usize = 1024;
/// Pingora's own bound on attempts; the plan of a request ends it sooner.
const MAX_RETRIES: usize = 256;
/// How often the end of the last request is looked for while draining.
const DRAIN_STEP: Duration = Duration::from_millis(50);
/// How long the end waits for Redis.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// What to run.
pub struct Run {
    pub config: Config,
    /// Read again on SIGHUP.
    pub file: Option<PathBuf>,
    pub upgrade: bool,
}

/// The address must be free, unless it is taken over.
pub fn check_free(addresses: &[SocketAddr]) -> Result<(), Failed> {
    for address in addresses {
        TcpListener::bind(address)
            .map_err(|error| Failed::Start(format!("cannot listen on {address}: {error}")))?;
    }
    Ok(())
}

/// A server with nothing in it.
pub fn server(threads: usize, drain: Duration, upgrade: Option<(&str, bool)>) -> Server {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    let (upgrade_sock, upgrade) = upgrade.unwrap_or_default();
    let conf = ServerConf {
        threads,
        work_stealing: threads > 1,
        upstream_keepalive_pool_size: POOL,
        max_retries: MAX_RETRIES,
        grace_period_seconds: Some(drain.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: upgrade_sock.to_owned(),
        ..ServerConf::default()
    };
    let opt = Opt {
        upgrade,
        ..Opt::default()
    };
    Server::new_with_opt_and_conf(opt, conf)
}

/// Builds the gateway's services. The caller may add its own before `run`.
pub fn gateway(run: Run) -> Result<(Server, Arc<Ledger>), Failed> {
    let config = run.config.clone();
    let tls_addresses = config.server.tls.iter().flat_map(|tls| &tls.listen);
    let mut addresses: Vec<SocketAddr> = config.server.listen.clone();
    addresses.extend(tls_addresses);
    addresses.push(config.server.admin);
    if !run.upgrade {
        check_free(&addresses)?;
    }
    meter::register()
        .map_err(|error| Failed::Start(format!("cannot register the metrics: {error}")))?;
    if config.log.requests {
        meter::start_log(config.log.json)
            .map_err(|error| Failed::Start(format!("cannot start the request log: {error}")))?;
    }
    let socket = config.server.upgrade_socket.display().to_string();
    let mut server = server(
        config.server.threads,
        config.server.drain_timeout,
        Some((&socket, run.upgrade)),
    );
    server.bootstrap();
    let (store, spool) = open::store(&config.store)?;
    let ledger = open::ledger(&config.store, store.clone(), spool)?;
    let keeper = Arc::new(Keeper::new(store));
    let secret = config.store.key_secret.as_ref();
    let book = Book::new(secret.map(|secret| secret.expose().as_bytes().to_vec()));
    let limiter = open::limiter(&config.limits)?;
    let keys = Keys::new(
        World::new(run.config, Arc::new(book), limiter, None),
        keeper.store.clone(),
        ledger.clone(),
    );
    open::read_keys(&keys)?;
    let world = keys.world.clone();

    let front = Front::new(
        &server.configuration,
        world.clone(),
        keeper.clone(),
        ledger.clone(),
    );
    let mut front = Service::new("gateway".to_owned(), front);
    for address in &config.server.listen {
        front.add_tcp(&address.to_string());
    }
    if let Some(tls) = &config.server.tls {
        let (cert, key) = (
            tls.cert.display().to_string(),
            tls.key.display().to_string(),
        );
        for address in &tls.listen {
            let mut settings = TlsSettings::intermediate(&cert, &key)
                .map_err(|error| Failed::Start(format!("server.tls: {error}")))?;
            settings.enable_h2();
            front.add_tls_with_settings(&address.to_string(), None, settings);
        }
    }
    let mut admin = Service::new(
        "admin".to_owned(),
        Admin::new(
            world.clone(),
            keeper.store.clone(),
            bell(&keys, &ledger, &config.store),
        ),
    );
    admin.threads = Some(1);
    admin.add_tcp(&config.server.admin.to_string());
    let mut upkeep = background_service(
        "upkeep",
        Upkeep {
            keys,
            keeper,
            ledger: ledger.clone(),
            file: run.file,
        },
    );
    upkeep.threads = Some(1);
    server.add_service(front);
    server.add_service(admin);
    server.add_service(upkeep);
    Ok((server, ledger))
}

/// Runs until the end. Requests that were still under way when the time to drain was over end with Pingora's runtimes: what
/// they used is put down after that.
pub fn until_end(server: Server, ledger: &Ledger) -> ! {
    server.run(RunArgs::default());
    ledger.end();
    meter::flush_log();
    std::process::exit(0);
}

/// What the admin API tells the rest of the gateway.
fn bell(keys: &Keys, ledger: &Arc<Ledger>, config: &config::Store) -> Bell {
    let (keys, ledger) = (keys.clone(), ledger.clone());
    let (store, config) = (keys.store.clone(), config.clone());
    Bell {
        refresh_keys: Arc::new(move || {
            let keys = keys.clone();
            Box::pin(async move {
                if let Err(error) = keys.refresh().await {
                    tracing::warn!(%error, "the keys of the store have changed and cannot be read");
                }
            })
        }),
        flush_usage: Arc::new(move || {
            let ledger = ledger.clone();
            Box::pin(async move {
                ledger.flush().await;
            })
        }),
        server_secret: Arc::new(move || {
            let (store, config) = (store.clone(), config.clone());
            Box::pin(async move { open::server_secret(&store, &config).await })
        }),
    }
}

/// What happens beside the requests: probes, reloads, the end.
struct Upkeep {
    keys: Keys,
    keeper: Arc<Keeper>,
    ledger: Arc<Ledger>,
    file: Option<PathBuf>,
}

#[async_trait]
impl BackgroundService for Upkeep {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        watch_channels(&self.keys.world.load());
        let keys = self.keys.clone();
        tokio::spawn(async move { keys.keep().await });
        let keeper = self.keeper.clone();
        tokio::spawn(async move { keeper.keep().await });
        let ledger = self.ledger.clone();
        tokio::spawn(async move { ledger.run().await });
        let store = self.keeper.store.clone();
        tokio::spawn(async move { store.keep().await });
        let mut reloads =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
        loop {
            let hangup = async {
                match &mut reloads {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = shutdown.changed() => break,
                _ = hangup => self.reload().await,
            }
        }
        drain(&self.keeper, &self.ledger, &self.keys).await;
    }
}

impl Upkeep {
    /// Reads the config again: a valid one is used from the next request on, a wrong one changes
    /// nothing.
    async fn reload(&self) {
        let Some(path) = &self.file else {
            tracing::info!("SIGHUP: there is no config file to read again");
            return;
        };
        let file = path.display().to_string();
        let read = std::fs::read_to_string(path).map_err(|error| format!("{file}: {error}"));
        let config = read.and_then(|text| {
            let (config, report) = config::parse(&file, &text);
            config.ok_or_else(|| report.mistakes())
        });
        let result = match config {
            Ok(config) => {
                let old = self.keys.world.load_full();
                let world = Arc::new(World::new(
                    config,
                    old.book.clone(),
                    old.limiter.clone(),
                    Some(&old),
                ));
                watch_channels(&world);
                self.keys.take_over(world).await;
                tracing::info!(file, "the config has been read again");
                "ok"
            }
            Err(mistakes) => {
                tracing::error!(mistakes, "the config is wrong; the old one stays");
                "error"
            }
        };
        metrics().config_reloads.with_label_values(&[result]).inc();
    }
}

fn watch_channels(world: &World) {
    for channel in &world.channels {
        tokio::spawn(route::watch(Arc::downgrade(channel), |_| {}));
    }
}

/// Waits for the requests under way, as long as Pingora's grace lasts, and ends the process as soon as
/// there is none: Pingora itself would sleep its grace out.
async fn drain(keeper: &Keeper, ledger: &Ledger, keys: &Keys) {
    let mut quiet = 0;
    // Twice in a row, for a request may be between two states.
    while quiet < 2 {
        tokio::time::sleep(DRAIN_STEP).await;
        quiet = if requests_under_way() == 0 && keeper.is_quiet() {
            quiet + 1
        } else {
            0
        };
    }
    ledger.close().await;
    let limiter = keys.world.load().limiter.clone();
    // Redis is told what has ended; one that is away is not waited for.
    let _ = tokio::time::timeout(FLUSH_LIMIT, limiter.flush()).await;
    meter::flush_log();
    std::process::exit(0);
}
