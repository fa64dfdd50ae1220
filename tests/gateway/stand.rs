//! A simulator and a gateway, each a process of its own on free ports, in a temporary folder.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use torouter::store::{Filters, ReportQuery, Settings, Store};

use crate::http1::{Answer, Connection, request};

pub const KEY: &str = "sk-test-key-0001";

/// Ports of this process alone, below those that the system gives to clients. Tests run side by side, each a process: a lock
/// on a file says whose a block of ports is, as long as the process lives.
struct Ports {
    first: u32,
    next: AtomicU32,
    _lock: File,
}

impl Ports {
    const BLOCKS: u32 = 500;
    const PER_BLOCK: u32 = 32;

    fn own() -> &'static Self {
        static OWN: LazyLock<Ports> = LazyLock::new(|| {
            let folder = std::env::temp_dir().join("torouter-test-ports");
            std::fs::create_dir_all(&folder).expect("a folder");
            for n in 0..Ports::BLOCKS {
                let block = (std::process::id() + n) % Ports::BLOCKS;
                let file = File::create(folder.join(block.to_string())).expect("a file");
                if file.try_lock().is_ok() {
                    return Ports {
                        first: 15_000 + block * Ports::PER_BLOCK,
                        next: AtomicU32::new(0),
                        _lock: file,
                    };
                }
            }
            panic!("every block of ports is taken");
        });
        &OWN
    }
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    let ports = Ports::own();
    for _ in 0..Ports::PER_BLOCK * 4 {
        let port = ports.first + ports.next.fetch_add(1, Relaxed) % Ports::PER_BLOCK;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port as u16)) {
            return listener.local_addr().expect("an address");
        }
    }
    panic!("no port of this test's own is free");
}

/// Waits for what must come soon.
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for_port(address: SocketAddr, child: &mut Child, log: &Mutex<Vec<String>>) {
    eventually("the process listens", || {
        if let Some(status) = child.try_wait().expect("a child") {
            panic!("the process ended: {status}: {:#?}", log.lock());
        }
        TcpStream::connect(address).ok()
    });
}

/// A process that is ended with the test.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().expect("piped"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().expect("no panic").push(line);
            }
        });
        Self { child, log }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.expect("kill runs").success());
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        eventually("the process ends", || {
            self.child.try_wait().expect("a child")
        })
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log.lock().expect("no panic");
        let panicked = log.iter().find(|line| line.contains("panicked at"));
        if let (Some(line), false) = (panicked, std::thread::panicking()) {
            panic!("a process panicked: {line}");
        }
    }
}

pub fn torouter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torouter"));
    command.env("RUST_BACKTRACE", "0");
    command
}

pub struct Simulator {
    pub address: SocketAddr,
    pub process: Process,
}

impl Simulator {
    pub fn start(args: &[&str]) -> Self {
        Self::with_env(args, &[])
    }

    pub fn with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        let address = free_address();
        let mut command = torouter();
        command
            .args(["simulate", "--listen", &address.to_string()])
            .args(args)
            .envs(env.iter().copied());
        let mut process = Process::start(command);
        wait_for_port(address, &mut process.child, &process.log);
        Self { address, process }
    }

    pub fn get(&self, path: &str) -> serde_json::Value {
        let mut connection = Connection::open(self.address);
        connection.send(&request("GET", path, &[("connection", "close")], b""));
        connection.answer().expect("the simulator answers").json()
    }

    /// What the upstream was asked, but for the probes.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        let all = self.get("/__sim/requests");
        let all = all.as_array().expect("a list").clone();
        all.into_iter()
            .filter(|r| r["headers"]["user-agent"] != "torouter-probe")
            .collect()
    }
}

/// A channel of the test's config.
pub struct Channel<'a> {
    pub name: &'a str,
    pub platform: &'a str,
    pub lines: &'a str,
}

pub fn channel<'a>(name: &'a str, platform: &'a str, lines: &'a str) -> Channel<'a> {
    Channel {
        name,
        platform,
        lines,
    }
}

pub struct Gateway {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub process: Process,
    pub folder: PathBuf,
}

impl Gateway {
    /// A gateway whose config is made of `head` (sections), channels on `upstream`, one group and one key.
    pub fn start(upstream: SocketAddr, head: &str, channels: &[Channel<'_>]) -> Self {
        let gateway = Self::start_unready(upstream, head, channels);
        gateway.is_ready();
        gateway
    }

    /// The same, where it is not to be ready.
    pub fn start_unready(upstream: SocketAddr, head: &str, channels: &[Channel<'_>]) -> Self {
        let mut text = String::new();
        let mut names = Vec::new();
        for channel in channels {
            let path = if channel.platform == "openrouter" {
                "/api"
            } else {
                ""
            };
            let base = if channel.lines.contains("base_url") {
                String::new()
            } else {
                format!("base_url = \"http://{upstream}{path}\"\n")
            };
            text += &format!(
                "[[channels]]\nname = \"{}\"\nplatform = \"{}\"\n{base}api_key = {{ value = \"upstream-secret-{}\" }}\n{}\n",
                channel.name, channel.platform, channel.name, channel.lines
            );
            names.push(format!("\"{}\"", channel.name));
        }
        text += &format!(
            "[[groups]]\nname = \"default\"\nchannels = [{}]\naliases = {{ nick = \"gpt-5\" }}\n[[keys]]\nname = \"test\"\ngroup = \"default\"\nsecret = {{ value = \"{KEY}\" }}\n",
            names.join(", ")
        );
        Self::spawn(head, &text, &[])
    }

    pub fn with_config(head: &str, rest: &str) -> Self {
        Self::with_env(head, rest, &[])
    }

    pub fn with_env(head: &str, rest: &str, env: &[(&str, &str)]) -> Self {
        let gateway = Self::spawn(head, rest, env);
        gateway.is_ready();
        gateway
    }

    fn spawn(head: &str, rest: &str, env: &[(&str, &str)]) -> Self {
        let (address, admin) = (free_address(), free_address());
        let folder = std::env::temp_dir().join(format!(
            "torouter-test-{}-{}",
            std::process::id(),
            address.port()
        ));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("torouter.toml");
        let server =
            format!("[server]\nlisten = [\"{address}\"]\nadmin = \"{admin}\"\nthreads = 2\n");
        // Nothing outside of the test's own folder.
        let store = if head.contains("[store]") {
            ""
        } else {
            "[store]\nurl = \"sqlite::memory:\"\n"
        };
        // The usual spool of a store in PostgreSQL is outside of it.
        let head = if head.contains("postgres:") && !head.contains("spool =") {
            let spool = format!("[store]\nspool = \"{}\"", folder.join("spool").display());
            head.replace("[store]", &spool)
        } else {
            head.to_owned()
        };
        std::fs::write(&config, format!("{server}{head}\n{store}{rest}")).expect("a file");
        let mut command = torouter();
        command
            .args(["serve", "--config"])
            .arg(&config)
            .envs(env.iter().copied());
        let mut process = Process::start(command);
        wait_for_port(address, &mut process.child, &process.log);
        wait_for_port(admin, &mut process.child, &process.log);
        Self {
            address,
            admin,
            process,
            folder,
        }
    }

    fn is_ready(&self) {
        eventually("the gateway is ready", || {
            (self.admin("/readyz").status == 200).then_some(())
        });
    }

    /// Kills the process (SIGKILL) and starts another with the same config.
    pub fn kill_and_restart(&mut self) {
        if !self.process.has_ended() {
            self.process.signal("-KILL");
            self.process.wait();
        }
        let mut command = torouter();
        command
            .args(["serve", "--config"])
            .arg(self.folder.join("torouter.toml"));
        self.process = Process::start(command);
        wait_for_port(self.address, &mut self.process.child, &self.process.log);
        wait_for_port(self.admin, &mut self.process.child, &self.process.log);
        self.is_ready();
    }

    /// Starts another process with the same config that takes the sockets over, and ends this one as the service does.
    pub fn take_over(&self, socket: &std::path::Path) -> Process {
        let mut command = torouter();
        command
            .args(["serve", "--upgrade", "--config"])
            .arg(self.folder.join("torouter.toml"));
        let next = Process::start(command);
        eventually("the next process waits for the sockets", || {
            socket.exists().then_some(())
        });
        self.process.signal("-QUIT");
        next
    }

    pub fn admin(&self, path: &str) -> Answer {
        let mut connection = Connection::open(self.admin);
        connection.send(&request("GET", path, &[("connection", "close")], b""));
        connection.answer().expect("the admin listener answers")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = Connection::open(self.address);
        connection.send(&request(method, path, headers, body));
        connection.answer().expect("the gateway answers")
    }

    /// A POST with the test's key.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        let auth = format!("Bearer {KEY}");
        let headers = [
            ("authorization", auth.as_str()),
            ("content-type", "application/json"),
        ];
        self.send("POST", path, &headers, body.as_bytes())
    }

    /// The value of a metric with exactly these labels among others; 0 when there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin("/metrics").text();
        text.lines()
            .filter(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']))
            .filter(|line| {
                labels
                    .iter()
                    .all(|(n, v)| line.contains(&format!("{n}=\"{v}\"")))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// A store as the gateway has it.
pub fn open_store(url: &str) -> Store {
    let settings = Settings {
        url: url.to_owned(),
        responses_ttl: Duration::from_secs(86_400),
        responses_max_bytes: 1 << 30,
        usage_ttl: Duration::ZERO,
    };
    Store::open(&settings).expect("a store that opens")
}

/// How many requests a store knows of.
pub fn requests_in(store: &Store) -> u64 {
    let ask = ReportQuery {
        filters: Filters::default(),
        by: Vec::new(),
        limit: 1,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rows = runtime.block_on(store.usage_report(ask)).expect("a report");
    rows[0].requests.cast_unsigned()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub const CHAT: &str = r#"{"model":"gpt-5","messages":[{"role":"user","content":"Hello there"}]}"#;
pub const CHAT_STREAM: &str =
    r#"{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"Hello there"}]}"#;

/// A gateway with one channel of each platform.
pub fn all_platforms(head: &str) -> (Simulator, Gateway) {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(
        simulator.address,
        head,
        &[
            channel(
                "openai",
                "openai",
                "models = [\"gpt-*\", \"text-embedding-*\", \"whisper-1\", \"omni-*\", \"rerank-*\"]\nmodel_map = { latest = \"gpt-5\" }",
            ),
            channel("anthropic", "anthropic", "models = [\"claude-*\"]"),
            channel("gemini", "gemini", "models = [\"gemini-*\"]"),
            channel("openrouter", "openrouter", "models = [\"*/*\"]"),
            channel(
                "compatible",
                "openai-compatible",
                "models = [\"llama3:8b\"]",
            ),
        ],
    );
    (simulator, gateway)
}

/// An upstream that says exactly what it is told to: the same bytes to each request, after which it closes the
/// connection, or keeps it for `requests` of them.
pub struct RawUpstream {
    pub address: SocketAddr,
}

impl RawUpstream {
    pub fn start(answer: &[u8], requests: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer = answer.to_vec();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, &answer, requests));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: TcpStream, answer: &[u8], requests: usize) {
    use std::io::{Read as _, Write as _};
    let mut buffer = Vec::new();
    // The request after the last one is read and left without an answer, as a stale connection does.
    for turn in 0..=requests {
        let whole = loop {
            let text = String::from_utf8_lossy(&buffer).to_ascii_lowercase();
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
                let whole = end + 4 + length.unwrap_or(0);
                if buffer.len() >= whole {
                    break whole;
                }
            }
            let mut chunk = [0; 8192];
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(n) => buffer.extend_from_slice(&chunk[..n]),
            }
        };
        buffer.drain(..whole);
        if turn < requests && stream.write_all(answer).is_err() {
            return;
        }
    }
}
