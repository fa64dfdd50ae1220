//! A Redis of a test's own, on a free port of this machine, that ends with the test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use torouter::base::{Limits, Secret, Usd};
use torouter::config::OnFailure;
use torouter::gate::limits::{Ask, Clock, Limiter, Spend, Tokens};

pub struct Redis {
    folder: PathBuf,
    pub port: u16,
    process: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("torouter-limits-{process}-{next}"));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let mut redis = Self {
            folder,
            port,
            process: None,
        };
        redis.run();
        redis
    }

    pub fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.port.to_string()])
            .arg("--dir")
            .arg(&self.folder)
            .stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is installed"));
        let from = Instant::now();
        while self.ask(&redis::cmd("PING")).is_err() {
            assert!(from.elapsed() < Duration::from_secs(10), "it starts");
            std::thread::yield_now();
        }
    }

    /// At once, as a machine dies.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it ran");
            process.wait().expect("it ran");
        }
    }

    /// Stops it (it accepts and does not answer), or lets it go on.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        assert!(status.expect("kill").success());
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn ask(&self, command: &redis::Cmd) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        command.query(&mut client.get_connection()?)
    }

    pub fn gateway(&self, on_failure: OnFailure, clock: Clock) -> Arc<Limiter> {
        Limiter::redis(&Secret::new(self.url()), on_failure, clock).expect("an address")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// So many tokens, for so many nanodollars; stated or not.
pub fn ask(input: u64, output: u64, stated: bool, nano: u64) -> Ask {
    let usd = |tokens: u64| Some(Usd::from_pico(i128::from(nano) * 1000).times(tokens));
    Ask {
        tokens: Tokens {
            input,
            output,
            stated,
        },
        spend: Spend {
            most: usd(input + output),
            least: usd(input + 1),
            stated,
        },
        counts: true,
    }
}

pub fn one() -> Ask {
    ask(1, 1, true, 0)
}

pub fn rpm(rpm: u64) -> Limits {
    Limits {
        rpm,
        ..Limits::default()
    }
}

/// Waits until it is so: what happens in the background of a gateway cannot be awaited from outside.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !so() {
        assert!(from.elapsed() < Duration::from_secs(15), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
