//! Databases for tests: a file and a PostgreSQL server in temporary folders that go with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use torouter::store::{Owner, Settings, Store};

pub const DAY: Duration = Duration::from_secs(86_400);

/// A folder of the test's own.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("torouter-store-{process}-{next}"));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database that a case has for itself.
pub struct Place {
    pub url: String,
    _folder: Option<Folder>,
}

impl Place {
    pub fn memory() -> Self {
        Self {
            url: "sqlite::memory:".to_owned(),
            _folder: None,
        }
    }

    pub fn file() -> Self {
        let folder = Folder::new();
        Self {
            url: format!("sqlite:{}/store.db", folder.0.display()),
            _folder: Some(folder),
        }
    }

    pub fn postgres(server: &Postgres, name: &str) -> Self {
        server.create_database(name);
        Self {
            url: server.url(name),
            _folder: None,
        }
    }

    /// Whether a second store sees what the first has written.
    pub fn is_shared(&self) -> bool {
        self.url != "sqlite::memory:"
    }

    pub fn settings(&self) -> Settings {
        Settings {
            url: self.url.clone(),
            responses_ttl: 30 * DAY,
            responses_max_bytes: 1 << 30,
            usage_ttl: 90 * DAY,
        }
    }

    pub fn open(&self) -> Store {
        Store::open(&self.settings()).expect("a store that opens")
    }

    pub fn open_for(&self, ttl: Duration) -> Store {
        let settings = Settings {
            responses_ttl: ttl,
            ..self.settings()
        };
        Store::open(&settings).expect("a store that opens")
    }

    /// Runs a statement past the store. Returns the first column of the first row, a number, if there is one.
    pub async fn sql(&self, sql: &'static str) -> Option<i64> {
        use sqlx::Row;
        if self.url.starts_with("sqlite:") {
            let url = &self.url;
            let mut connection = sqlx::SqliteConnection::connect(url).await.expect(url);
            let row = connection.fetch_optional(sql).await.expect(sql);
            row.map(|row| row.get(0))
        } else {
            let url = &self.url;
            let mut connection = sqlx::PgConnection::connect(url).await.expect(url);
            let row = connection.fetch_optional(sql).await.expect(sql);
            row.map(|row| row.get(0))
        }
    }
}

pub fn owner(key: &str, group: &str) -> Owner {
    Owner {
        key: key.into(),
        group: group.into(),
    }
}

pub fn alice() -> Owner {
    owner("alice", "default")
}

/// A PostgreSQL server of the test's own, on a free port of this machine. It ends with the thread that started it.
pub struct Postgres {
    folder: Folder,
    binaries: PathBuf,
    port: u16,
    process: Option<Child>,
}

fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .max()
        .expect("no PostgreSQL under /usr/lib/postgresql: install the package `postgresql` (make setup-test does)")
}

fn is_root(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).expect("a folder").uid() == 0
}

/// The port is chosen by asking for any: another may take it until the server does, so starting is tried again.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

impl Postgres {
    pub fn start() -> Self {
        let mut server = Self {
            folder: Folder::new(),
            binaries: binaries(),
            port: free_port(),
            process: None,
        };
        let folder = &server.folder.0;
        if is_root(folder) {
            let owned = Command::new("chown").arg("nobody").arg(folder).status();
            assert!(owned.expect("chown").success());
        }
        let mut initdb = server.command("initdb");
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        let made = initdb.arg(folder.join("data")).output().expect("initdb");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.run();
        server
    }

    /// One of the server's programs: not as root, which it refuses, and not longer than the test.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        if is_root(Path::new("/proc/self")) {
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
        }
        command
            .args(["--pdeathsig", "INT"])
            .arg(self.binaries.join(program));
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    pub fn run(&mut self) {
        let folder = &self.folder.0;
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut postgres = self.command("postgres");
        postgres
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder);
        postgres.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        postgres.args([
            "-c",
            "fsync=off",
            "-c",
            "max_connections=400",
            "-c",
            "shared_buffers=32MB",
        ]);
        let quiet = postgres.stdout(Stdio::null()).stderr(log);
        self.process = Some(quiet.spawn().expect("postgres"));
        let until = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.binaries.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // QUIT is its immediate shutdown: no goodbye, and recovery at the next start.
            let _ = Command::new("kill")
                .args(["-QUIT", &process.id().to_string()])
                .status();
            let _ = process.wait();
        }
    }

    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:hidden@127.0.0.1:{}/{database}",
            self.port
        )
    }

    pub fn create_database(&self, name: &str) {
        let made = Command::new(self.binaries.join("createdb"))
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                name,
            ])
            .output()
            .expect("createdb");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}
