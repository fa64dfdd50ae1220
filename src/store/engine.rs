//! The two databases behind one face: statements with `$1` in them, arguments, rows, transactions.

use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Executor, Postgres, Row as _, SqlSafeStr, Sqlite, Transaction};

use super::error::{StoreError, Trouble, of_postgres, of_sqlite};
use super::place::Place;

const BUSY: Duration = Duration::from_secs(2);
/// How long a call waits for a connection: for its turn at SQLite's writer, or for a server that is away.
const ACQUIRE: Duration = Duration::from_secs(3);

/// A database.
pub enum Engine {
    /// SQLite lets one write at a time: who queues for the one connection that writes is served in turn, which its
    /// own way of waiting would not do. In memory both are the same connection.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

/// A value for a statement.
pub enum Arg {
    Int(i64),
    Text(String),
    OptText(Option<String>),
    Bytes(Vec<u8>),
    OptBytes(Option<Vec<u8>>),
}

/// PostgreSQL takes no NUL in a text. Those that stand in ids are names that nobody has.
fn text(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Arg {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<&str> for Arg {
    fn from(name: &str) -> Self {
        Self::Text(text(name.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(name: &String) -> Self {
        Self::Text(text(name.clone()))
    }
}

impl From<Option<&String>> for Arg {
    fn from(name: Option<&String>) -> Self {
        Self::OptText(name.cloned().map(text))
    }
}

impl From<Vec<u8>> for Arg {
    fn from(content: Vec<u8>) -> Self {
        Self::Bytes(content)
    }
}

impl From<Option<Vec<u8>>> for Arg {
    fn from(content: Option<Vec<u8>>) -> Self {
        Self::OptBytes(content)
    }
}

/// Arguments from whatever can be one.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::engine::Arg::from($value)),*] };
}
pub(super) use args;

macro_rules! bound {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query($sql);
        for arg in $args {
            query = match arg {
                Arg::Int(number) => query.bind(number),
                Arg::Text(text) => query.bind(text),
                Arg::OptText(text) => query.bind(text),
                Arg::Bytes(bytes) => query.bind(bytes),
                Arg::OptBytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

/// `($1, $2), ($3, $4)`: `rows` rows of `columns` placeholders.
pub fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let marks: Vec<String> = (1..=columns)
            .map(|column| format!("${}", row * columns + column))
            .collect();
        format!("({})", marks.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The next number of rows for which a statement is kept prepared: a power of two.
pub fn padded(rows: usize) -> usize {
    rows.next_power_of_two()
}

impl Engine {
    pub fn open(place: Place) -> Result<Self, String> {
        match place {
            Place::Memory => {
                let only = SqlitePoolOptions::new()
                    .min_connections(1)
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .test_before_acquire(false)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy_with(sqlite_options().in_memory(true).shared_cache(false));
                Ok(Self::Sqlite {
                    write: only.clone(),
                    read: only,
                })
            }
            Place::File(path) => {
                make_private(&path)?;
                let options = sqlite_options()
                    .filename(&path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                let pool = |connections| {
                    SqlitePoolOptions::new()
                        .max_connections(connections)
                        .idle_timeout(None)
                        .max_lifetime(None)
                        .test_before_acquire(false)
                        .acquire_timeout(ACQUIRE)
                        .connect_lazy_with(options.clone())
                };
                Ok(Self::Sqlite {
                    write: pool(1),
                    read: pool(4),
                })
            }
            Place::Postgres(options) => {
                let options = options
                    .application_name("torouter")
                    .disable_statement_logging();
                let pool = PgPoolOptions::new()
                    .max_connections(16)
                    .acquire_timeout(ACQUIRE)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            let bounds = "SET lock_timeout = '3s'; SET statement_timeout = '9s'; SET idle_in_transaction_session_timeout = '30s'";
                            connection.execute(sqlx::raw_sql(bounds)).await?;
                            Ok(())
                        })
                    })
                    .connect_lazy_with(options);
                Ok(Self::Postgres(pool))
            }
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A call that has not ended in its time.
    pub fn too_slow(&self) -> StoreError {
        match self {
            Self::Sqlite { .. } => {
                StoreError::new(Trouble::Locked, "SQLite: no answer within 10 s")
            }
            Self::Postgres(_) => {
                StoreError::new(Trouble::Down, "PostgreSQL: no answer within 10 s")
            }
        }
    }

    /// A statement that only reads.
    pub async fn rows(
        &self,
        sql: impl SqlSafeStr + Send,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite { read, .. } => {
                let rows = bound!(sql, args).fetch_all(read).await;
                let rows = rows.map_err(|error| of_sqlite(&error))?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(pool) => {
                let rows = bound!(sql, args).fetch_all(pool).await;
                let rows = rows.map_err(|error| of_postgres(&error))?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// A transaction that writes. It is undone when it is dropped before its `commit`.
    pub async fn begin(&self) -> Result<Work, StoreError> {
        match self {
            // IMMEDIATE takes the lock at once: one that reads first and then finds the lock taken cannot wait.
            Self::Sqlite { write, .. } => match write.begin_with("BEGIN IMMEDIATE").await {
                Ok(work) => Ok(Work::Sqlite(work)),
                Err(error) => Err(of_sqlite(&error)),
            },
            Self::Postgres(pool) => match pool.begin().await {
                Ok(work) => Ok(Work::Postgres(work)),
                Err(error) => Err(of_postgres(&error)),
            },
        }
    }
}

fn sqlite_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Makes the file if it is not there, for this user only: it will hold what people say. SQLite gives its own files
/// beside it the same mode.
fn make_private(path: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                format!(
                    "the folder {} is not there; make it, for the user that runs torouter",
                    folder.display()
                )
            }
            _ => format!("the file cannot be opened for writing: {error}"),
        })
}

/// A transaction.
pub enum Work {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Work {
    /// The number of rows that were changed.
    pub async fn run(
        &mut self,
        sql: impl SqlSafeStr + Send,
        args: Vec<Arg>,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(work) => match bound!(sql, args).execute(&mut **work).await {
                Ok(done) => Ok(done.rows_affected()),
                Err(error) => Err(of_sqlite(&error)),
            },
            Self::Postgres(work) => match bound!(sql, args).execute(&mut **work).await {
                Ok(done) => Ok(done.rows_affected()),
                Err(error) => Err(of_postgres(&error)),
            },
        }
    }

    pub async fn rows(
        &mut self,
        sql: impl SqlSafeStr + Send,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(work) => match bound!(sql, args).fetch_all(&mut **work).await {
                Ok(rows) => Ok(rows.into_iter().map(Row::Sqlite).collect()),
                Err(error) => Err(of_sqlite(&error)),
            },
            Self::Postgres(work) => match bound!(sql, args).fetch_all(&mut **work).await {
                Ok(rows) => Ok(rows.into_iter().map(Row::Postgres).collect()),
                Err(error) => Err(of_postgres(&error)),
            },
        }
    }

    /// Several statements without arguments.
    pub async fn script(&mut self, sql: String) -> Result<(), StoreError> {
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        match self {
            Self::Sqlite(work) => match work.execute(sql).await {
                Ok(_) => Ok(()),
                Err(error) => Err(of_sqlite(&error)),
            },
            Self::Postgres(work) => match work.execute(sql).await {
                Ok(_) => Ok(()),
                Err(error) => Err(of_postgres(&error)),
            },
        }
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(work) => work.commit().await.map_err(|error| of_sqlite(&error)),
            Self::Postgres(work) => work.commit().await.map_err(|error| of_postgres(&error)),
        }
    }
}

/// A row of an answer; columns are asked for by their place.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! column {
    ($row:expr, $at:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($at).map_err(|error| of_sqlite(&error)),
            Row::Postgres(row) => row.try_get($at).map_err(|error| of_postgres(&error)),
        }
    };
}

impl Row {
    pub fn int(&self, at: usize) -> Result<i64, StoreError> {
        column!(self, at)
    }

    pub fn flag(&self, at: usize) -> Result<bool, StoreError> {
        Ok(self.int(at)? != 0)
    }

    pub fn text(&self, at: usize) -> Result<String, StoreError> {
        column!(self, at)
    }

    pub fn opt_text(&self, at: usize) -> Result<Option<String>, StoreError> {
        column!(self, at)
    }

    pub fn opt_bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        column!(self, at)
    }

    /// Content, which was a text when it was stored.
    pub fn content(&self, at: usize) -> Result<String, StoreError> {
        let bytes: Vec<u8> = column!(self, at)?;
        String::from_utf8(bytes)
            .map_err(|_| StoreError::new(Trouble::Failed, "stored content is damaged: not UTF-8"))
    }
}
