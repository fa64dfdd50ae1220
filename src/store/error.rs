//! What can go wrong with a store. Messages hold what the database says of the trouble, never content and never a URL.

use std::fmt;

/// Why a store could not be opened.
#[derive(Debug)]
pub struct OpenError(pub(super) String);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// What kind of trouble a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or does not answer in time.
    Down,
    /// Somebody else holds its lock.
    Locked,
    /// The disk is full, or `responses_max_bytes` is reached.
    Full,
    /// What was to be written is nothing that it takes: it would never take it.
    Refused,
    /// Anything else: a damaged file, a schema that is not ours.
    Failed,
}

/// A call that the store could not do. Nothing of it has been done.
#[derive(Clone, Debug)]
pub struct StoreError {
    pub trouble: Trouble,
    pub message: String,
}

impl StoreError {
    pub(super) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self {
            trouble,
            message: message.into(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

/// Why a response could not be begun.
#[derive(Clone, Debug)]
pub enum BeginError {
    Store(StoreError),
    /// Another turn of the conversation is under way, or has ended since its items were read.
    ConversationBusy,
    NoConversation,
}

impl From<StoreError> for BeginError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why there is no context.
#[derive(Clone, Debug)]
pub enum ContextError {
    Store(StoreError),
    NotFound,
    /// A turn that the asked one rests on (this id, or this conversation) is gone.
    MissingAncestor(String),
    TooLarge,
}

impl From<StoreError> for ContextError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What SQLite says, by its primary code.
pub(super) fn of_sqlite(error: &sqlx::Error) -> StoreError {
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok());
    let trouble = match code.map(|code| (code & 0xff, code)) {
        Some((5 | 6, _)) => Trouble::Locked,
        // The shared memory beside a WAL cannot grow on a full disk.
        Some((13, _) | (_, 4874)) => Trouble::Full,
        Some((14, _)) => Trouble::Down,
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        Some((18..=20, _)) => Trouble::Refused,
        Some(_) => Trouble::Failed,
        // The pool has one writer: who waits for it in vain waits for a lock.
        None if matches!(error, sqlx::Error::PoolTimedOut) => Trouble::Locked,
        None if is_transport(error) => Trouble::Down,
        None => Trouble::Failed,
    };
    StoreError::new(trouble, format!("SQLite: {}", told(error)))
}

/// What PostgreSQL says, by its SQLSTATE.
pub(super) fn of_postgres(error: &sqlx::Error) -> StoreError {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let trouble = match code.as_deref() {
        // lock_not_available, query_canceled (statement_timeout), serialization_failure, deadlock_detected
        Some("55P03" | "57014" | "40001" | "40P01") => Trouble::Locked,
        Some("53100" | "53200") => Trouble::Full,
        // read_only_sql_transaction: a server that has become a standby.
        Some("25006") => Trouble::Down,
        // Data exceptions and broken constraints.
        Some(code) if ["22", "23"].iter().any(|c| code.starts_with(c)) => Trouble::Refused,
        // Connections lost or refused, too many of them, a server that starts or stops.
        Some(code) if ["08", "53", "57", "58"].iter().any(|c| code.starts_with(c)) => Trouble::Down,
        Some(_) => Trouble::Failed,
        None if is_transport(error) => Trouble::Down,
        None => Trouble::Failed,
    };
    StoreError::new(trouble, format!("PostgreSQL: {}", told(error)))
}

fn is_transport(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    matches!(
        error,
        Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed
    )
}

/// The database's words without its details, which may quote what was stored.
fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} ({code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
        other => {
            let text = format!("{other:?}");
            let kind: String = text
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            kind
        }
    }
}
