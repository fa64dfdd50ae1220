//! The two databases behind one face: statements with `$1` in them, arguments, rows, transactions.

mod inserts;
mod sqlite;

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{ConnectOptions, Executor, Postgres, Row as _, SqlSafeStr, Sqlite, Transaction};

use super::error::{StoreError, Trouble, of_postgres, of_sqlite};
use super::place::Place;

pub use inserts::Inserts;

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
    OptInt(Option<i64>),
    Text(String),
    OptText(Option<String>),
    Bytes(Vec<u8>),
    OptBytes(Option<Vec<u8>>),
}

/// PostgreSQL takes no NUL in a text. Those that stand in ids are names that nobody has.
pub fn text(text: String) -> String {
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

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::OptInt(number)
    }
}

impl From<bool> for Arg {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<String> for Arg {
    fn from(name: String) -> Self {
        Self::Text(text(name))
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
                Arg::OptInt(number) => query.bind(number),
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

/// How many of these rows go into the next statement: a power of two, so that few statements are kept prepared.
pub fn batch(rows: usize) -> usize {
    if rows >= 64 { 64 } else { padded(rows + 1) / 2 }
}

impl Engine {
    pub fn open(place: Place) -> Result<Self, String> {
        match place {
            Place::Memory => Ok(sqlite::in_memory()),
            Place::File(path) => sqlite::in_file(&path),
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
            Self::Sqlite { write, .. } => {
                let mut work = write.acquire().await.map_err(|error| of_sqlite(&error))?;
                // IMMEDIATE takes the lock at once: one that reads first and then finds the lock taken cannot wait.
                let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *work).await;
                begun.map_err(|error| of_sqlite(&error))?;
                Ok(Work::Sqlite(work))
            }
            Self::Postgres(pool) => match pool.begin().await {
                Ok(work) => Ok(Work::Postgres(work)),
                Err(error) => Err(of_postgres(&error)),
            },
        }
    }
}

/// A transaction. After an error it is over, and all that is left to do is to drop it: SQLite may have undone it, and
/// a statement that followed would stand by itself.
pub enum Work {
    /// The pool ends it when the connection comes back.
    Sqlite(PoolConnection<Sqlite>),
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
            Self::Sqlite(mut work) => match sqlx::query("COMMIT").execute(&mut *work).await {
                Ok(_) => Ok(()),
                Err(error) => Err(of_sqlite(&error)),
            },
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

    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
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

    pub fn bytes(&self, at: usize) -> Result<Vec<u8>, StoreError> {
        column!(self, at)
    }

    /// Content, which was a text when it was stored.
    pub fn content(&self, at: usize) -> Result<String, StoreError> {
        let bytes: Vec<u8> = column!(self, at)?;
        String::from_utf8(bytes)
            .map_err(|_| StoreError::new(Trouble::Failed, "stored content is damaged: not UTF-8"))
    }
}
