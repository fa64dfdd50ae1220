//! The store of a config, as the commands use it beside a gateway that may be running.

use std::future::Future;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{ConfigOption, Failed, check, tell};
use crate::admin::Refusal;
use crate::config::Config;
use crate::gate::secret;
use crate::store::{Store, StoreError};

/// How long the gateway may take to connect.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it may take to read the keys: it finds a change by itself in less.
pub const KEYS_WAIT: Duration = Duration::from_secs(3);
/// How long it may take to write its usage: a report without it would be wrong.
pub const USAGE_WAIT: Duration = Duration::from_secs(15);

/// The config and its store, open.
pub struct Opened {
    pub config: Config,
    pub store: Store,
}

pub fn open(option: &ConfigOption) -> Result<Opened, Failed> {
    let config = check::read_for_commands(&option.path())?;
    let url = config.store.url.expose();
    if url == "sqlite::memory:" {
        return Err(Failed::Input(
            "store.url is \"sqlite::memory:\": such a store lives in the running gateway alone. Use its admin API (/admin/v1/keys), or set [store] url to a file or to PostgreSQL."
                .to_owned(),
        ));
    }
    match Store::open(&super::run::open::settings(&config.store, url)) {
        Ok(store) => Ok(Opened { config, store }),
        Err(error) if config.store.configured => Err(Failed::Start(format!("store.url: {error}"))),
        Err(error) => Err(Failed::Input(format!(
            "no [store] is configured and the usual one cannot be used: {error}. Set [store] url to a file or to PostgreSQL, or use the admin API of the running gateway."
        ))),
    }
}

impl Opened {
    pub async fn server_secret(&self) -> Result<[u8; 32], StoreError> {
        super::run::open::server_secret(&self.store, &self.config.store).await
    }

    /// Tells the running gateway, if there is one, to read the keys anew and to write its usage; returns when it has, or
    /// has not within `wait`.
    pub async fn sync(&self, wait: Duration) {
        let address = reachable(self.config.server.admin);
        let secret = match self.server_secret().await {
            Ok(secret) => secret,
            Err(error) => return warn(address, &error.to_string()),
        };
        let token = secret::sync_token(&secret);
        let told = tokio::task::spawn_blocking(move || post(address, &token, wait)).await;
        match told {
            Ok(Ok(())) => {}
            Ok(Err(what)) => warn(address, &what),
            Err(_) => warn(address, "the request ended early"),
        }
    }
}

fn warn(address: SocketAddr, what: &str) {
    tell(&format!(
        "warning: the gateway at {address} could not be told ({what}); it finds out by itself within a second if it has the same store"
    ));
}

/// Where a listener on this address is reached from the same machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn post(address: SocketAddr, token: &str, wait: Duration) -> Result<(), String> {
    let mut stream = match TcpStream::connect_timeout(&address, CONNECT) {
        Ok(stream) => stream,
        // No gateway is running: it will read the store when it starts.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let request = format!(
        "POST /admin/v1/sync HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let mut answer = [0; 12];
    let asked = stream
        .set_read_timeout(Some(wait))
        .and_then(|()| stream.set_write_timeout(Some(CONNECT)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_exact(&mut answer));
    match (asked, &answer[9..]) {
        (Ok(()), b"200") => Ok(()),
        (Ok(()), b"401" | b"403") => Err("it has another store".to_owned()),
        (Ok(()), status) => Err(format!("it answered {}", String::from_utf8_lossy(status))),
        (Err(error), _) if error.kind() == ErrorKind::WouldBlock => {
            Err("it did not answer in time".to_owned())
        }
        (Err(error), _) => Err(error.to_string()),
    }
}

/// Runs a command's work to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::Start(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(work))
}

/// What the admin API would refuse: wrong input, or a store that is away.
impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let message = match &refusal.param {
            Some(param) => format!("{param}: {}", refusal.message),
            None => refusal.message,
        };
        if refusal.status >= 500 {
            Self::Start(message)
        } else {
            Self::Input(message)
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Start(format!("the store: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_on_the_loopback() {
        let reached = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(reached("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(reached("[::]:9090"), "[::1]:9090");
        assert_eq!(reached("10.0.0.1:9090"), "10.0.0.1:9090");
    }
}
