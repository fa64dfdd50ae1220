//! What a response is: how it comes, how it is finished, how it is found again.

use super::engine::Row;
use super::error::{StoreError, Trouble};
use super::{Owner, now};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::InProgress,
            Self::Completed,
            Self::Incomplete,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }

    /// Somebody is still at it.
    pub fn under_way(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }
}

/// A response that is about to be made here.
#[derive(Clone, Debug)]
pub struct NewResponse {
    pub id: String,
    pub owner: Owner,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    /// The version of it that the turn was made from; `None`: from none of its items.
    pub conversation_version: Option<i64>,
    pub background: bool,
    pub status: Status,
    /// JSON array: the turn's own input items.
    pub input: String,
    /// The response object so far.
    pub body: String,
}

/// What a response has become.
#[derive(Clone, Debug)]
pub struct Finished {
    pub status: Status,
    /// JSON array.
    pub output: String,
    pub body: String,
    /// Of a background stream, for resuming.
    pub events: Option<Vec<u8>>,
}

/// A response that is known, here or at its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    /// The channel that keeps it; empty: kept here.
    pub channel: String,
    pub previous: Option<String>,
    pub conversation: Option<String>,
    pub background: bool,
    pub status: Status,
    /// It was under way in a process that is gone.
    pub interrupted: bool,
    /// Unix seconds.
    pub created: u64,
    pub body: String,
}

/// The columns that [`Stored::read`] takes, of `r` and `c`.
macro_rules! stored_columns {
    () => {
        "r.id, r.previous, r.conversation, r.background, r.status, r.lease, r.created, c.body"
    };
}
pub(super) use stored_columns;

impl Stored {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let status = Status::parse(&row.text(4)?)
            .ok_or_else(|| StoreError::new(Trouble::Failed, "a stored status is not known"))?;
        let interrupted = status.under_way() && row.int(5)? < now();
        Ok(Self {
            id: row.text(0)?,
            channel: String::new(),
            previous: row.opt_text(1)?,
            conversation: row.opt_text(2)?,
            background: row.flag(3)?,
            status: if interrupted { Status::Failed } else { status },
            interrupted,
            created: seconds(row.int(6)?),
            body: row.content(7)?,
        })
    }
}

pub(super) fn seconds(unix_ms: i64) -> u64 {
    unix_ms.max(0).cast_unsigned() / 1000
}
