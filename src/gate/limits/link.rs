//! The connection to Redis: made, kept alive, given up when it does not answer, and made again. Requests never wait
//! for one that is known to be away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A request waits no longer for Redis.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often it is said that this gateway lives, and for how long that counts (also in `common.lua`).
const BEAT: Duration = Duration::from_secs(3);
const LIVE_MS: u64 = 10_000;

/// How long until a Redis that is away is tried again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was not tried yet.
    New,
    Up,
    Down,
}

pub struct Link {
    client: Client,
    /// The key that says that this gateway lives.
    live: String,
    connection: Mutex<Option<MultiplexedConnection>>,
    state: watch::Sender<State>,
}

/// What is wrong, without anything of the address.
pub fn told(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None => error.category().to_owned(),
    }
}

impl Link {
    pub fn new(client: Client, live: String) -> Self {
        Self {
            client,
            live,
            connection: Mutex::new(None),
            state: watch::Sender::new(State::New),
        }
    }

    pub fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    fn current(&self) -> Option<MultiplexedConnection> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection.clone()
    }

    /// The connection, if Redis is there. Only the first requests of a process wait for it.
    pub async fn connection(&self) -> Option<MultiplexedConnection> {
        if *self.state.borrow() == State::New {
            let mut state = self.state.subscribe();
            let tried = state.wait_for(|state| *state != State::New);
            // Not tried in time is away too.
            let _ = timeout(PATIENCE, tried).await;
        }
        self.current()
    }

    /// The connection, when Redis is there.
    pub async fn wait(&self) -> MultiplexedConnection {
        let mut state = self.state.subscribe();
        loop {
            if let Some(connection) = self.current() {
                return connection;
            }
            if state.wait_for(|state| *state == State::Up).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A call did not get its answer.
    pub fn failed(&self, error: &RedisError) {
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        if self.state.send_replace(State::Down) != State::Down {
            tracing::warn!(
                error = told(error),
                "Redis is away: limits.on_failure decides until it is back"
            );
        }
    }

    fn found(&self, connection: MultiplexedConnection) {
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(connection);
        if self.state.send_replace(State::Up) == State::Down {
            tracing::info!("Redis is back: it counts for the limits again");
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(4 * PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = &self.client;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        self.beat(&mut connection).await?;
        Ok(connection)
    }

    async fn beat(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut set = ::redis::cmd("SET");
        set.arg(&self.live).arg(1).arg("PX").arg(LIVE_MS);
        set.query_async(connection).await
    }

    /// Keeps the connection, for as long as the process lives.
    pub async fn keep(self: Arc<Self>) {
        let mut state = self.state.subscribe();
        loop {
            let result = match self.current() {
                Some(mut connection) => self.beat(&mut connection).await,
                None => self
                    .connect()
                    .await
                    .map(|connection| self.found(connection)),
            };
            if let Err(error) = result {
                self.failed(&error);
            }
            let down = state.wait_for(|state| *state == State::Down);
            if timeout(BEAT, down).await.is_ok() {
                sleep(AGAIN).await;
            }
        }
    }
}
