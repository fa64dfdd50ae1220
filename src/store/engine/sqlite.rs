//! How SQLite is opened, and how a connection is left clean.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::{ACQUIRE, Engine};

const BUSY: Duration = Duration::from_secs(2);

pub(super) fn in_memory() -> Engine {
    let only = pool(1)
        .min_connections(1)
        // All that is stored lives in this connection: it is never given up.
        .after_release(|connection, _| {
            Box::pin(async {
                undo(connection).await;
                Ok(true)
            })
        })
        .connect_lazy_with(options().in_memory(true).shared_cache(false));
    Engine::Sqlite {
        write: only.clone(),
        read: only,
    }
}

pub(super) fn in_file(path: &Path) -> Result<Engine, String> {
    make_private(path)?;
    let options = options()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let write =
        pool(1).after_release(|connection, _| Box::pin(async { Ok(undo(connection).await) }));
    Ok(Engine::Sqlite {
        write: write.connect_lazy_with(options.clone()),
        read: pool(4).connect_lazy_with(options),
    })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE)
}

/// Undoes what a connection comes back with, before anybody else gets it: a transaction that was dropped, one whose
/// COMMIT has failed, or one of whose statements was still on its way when its future was dropped, for a connection
/// does one after the other. Whether it is clean now.
///
/// sqlx has transactions of its own, but counts what it has begun and never looks. SQLite undoes one by itself when
/// the disk is full or broken (<https://sqlite.org/lang_transaction.html>); sqlx then fails to undo it again, and
/// refuses every other on that connection.
async fn undo(connection: &mut SqliteConnection) -> bool {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => true,
        // SQLITE_ERROR: no transaction is active, as after every COMMIT.
        Err(sqlx::Error::Database(error)) => error.code().as_deref() == Some("1"),
        Err(_) => false,
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Makes the file if it is not there, for this user only: it will hold what people say. SQLite gives its own files
/// beside it the same mode.
fn make_private(path: &Path) -> Result<(), String> {
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
