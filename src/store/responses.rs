//! Responses: begun, finished, found, deleted; the leases by which one is known to be under way.

use super::engine::{Arg, Row, Work, args, padded, placeholders};
use super::error::{BeginError, StoreError, Trouble};
use super::{Inner, LEASE_MS, Owner, Store, conversations, item, now, signed};

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

fn seconds(unix_ms: i64) -> u64 {
    unix_ms.max(0).cast_unsigned() / 1000
}

impl Store {
    /// A response that its channel keeps: only where it is.
    pub async fn pin(&self, id: String, owner: Owner, channel: String) -> Result<(), StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            work.run(
                "INSERT INTO pins (id, owner_key, owner_group, channel, created, expires)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id, owner_key, owner_group) DO UPDATE
                 SET channel = excluded.channel, expires = excluded.expires",
                args![
                    &id,
                    &*owner.key,
                    &*owner.group,
                    &channel,
                    now(),
                    inner.expiry()
                ],
            )
            .await?;
            work.commit().await
        })
        .await
    }

    /// Takes down that a response is being made. In one transaction: the response, the lock on its conversation, the
    /// new expiry of its ancestors. Its lease runs until the next [`renew`](Self::renew).
    pub async fn begin(&self, new: NewResponse) -> Result<(), BeginError> {
        self.call(move |inner| async move {
            inner.room(new.input.len() + new.body.len()).await?;
            begin(&inner, new).await
        })
        .await
    }

    /// Takes down what a response has become, and unlocks its conversation, which gets the items of the turn if it is
    /// completed or incomplete. `false`: it has been deleted.
    ///
    /// A turn that has lost its conversation's lock, because its lease ran out and another turn was begun, is finished
    /// too, and `true`, but its conversation gets none of its items: the other turn was begun without them.
    pub async fn finish(&self, id: String, done: Finished) -> Result<bool, StoreError> {
        self.call(move |inner| async move { finish(&inner, id, done).await })
            .await
    }

    /// `false`: it has been deleted.
    pub async fn set_status(
        &self,
        id: String,
        status: Status,
        body: String,
    ) -> Result<bool, StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            let changed = work
                .run(
                    "UPDATE responses SET status = $2, rest_size = $3 WHERE id = $1",
                    args![&id, status.as_str(), signed(body.len())],
                )
                .await?;
            work.run(
                "UPDATE contents SET body = $2 WHERE response = $1",
                args![&id, body.into_bytes()],
            )
            .await?;
            work.commit().await?;
            Ok(changed > 0)
        })
        .await
    }

    pub async fn find(&self, id: String, owner: Owner) -> Result<Option<Stored>, StoreError> {
        self.call(move |inner| async move { find(&inner, &id, &owner).await })
            .await
    }

    /// The events of a background stream that has been finished.
    pub async fn events(&self, id: String, owner: Owner) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(move |inner| async move {
            let rows = inner
                .engine
                .rows(
                    "SELECT c.events FROM responses r JOIN contents c ON c.response = r.id
                     WHERE r.id = $1 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4",
                    args![&id, &*owner.key, &*owner.group, now()],
                )
                .await?;
            rows.first().map_or(Ok(None), |row| row.opt_bytes(0))
        })
        .await
    }

    /// The content is gone; turns that continue it then miss an ancestor. `false`: there was none.
    pub async fn delete(&self, id: String, owner: Owner) -> Result<bool, StoreError> {
        self.call(move |inner| async move { delete(&inner, &id, &owner).await })
            .await
    }

    /// Says that these responses are still being made here: every 10 s, for a lease lasts 30 s. Returns those that
    /// somebody has asked to cancel.
    pub async fn renew(&self, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.call(move |inner| async move {
            let mut asked = Vec::new();
            for some in ids.chunks(64) {
                asked.extend(renew(&inner, some).await?);
            }
            Ok(asked)
        })
        .await
    }

    /// Asks whoever is making a response to stop. `false`: nobody is.
    pub async fn ask_cancel(&self, id: String, owner: Owner) -> Result<bool, StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            let asked = work
                .run(
                    "UPDATE responses SET cancel = 1
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4
                     AND status IN ('queued', 'in_progress') AND lease >= $4",
                    args![&id, &*owner.key, &*owner.group, now()],
                )
                .await?;
            work.commit().await?;
            Ok(asked > 0)
        })
        .await
    }
}

async fn begin(inner: &Inner, new: NewResponse) -> Result<(), BeginError> {
    let (now, expires) = (now(), inner.expiry());
    let Owner { key, group } = &new.owner;
    let mut work = inner.engine.begin().await?;
    let place = match &new.conversation {
        Some(conversation) => {
            conversations::lock(
                &mut work,
                conversation,
                &new.id,
                &new.owner,
                inner.ancestors_expiry(),
            )
            .await?
        }
        None => 0,
    };
    if let Some(previous) = &new.previous {
        touch(&mut work, previous, &new.owner, inner.ancestors_expiry()).await?;
    }
    let (input_size, body_size) = (signed(new.input.len()), signed(new.body.len()));
    work.run(
        "INSERT INTO responses (id, owner_key, owner_group, previous, conversation, place, background, status,
         created, expires, lease, cancel, input_size, output_size, rest_size)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, 0, $13)",
        args![
            &new.id, &**key, &**group, new.previous.as_ref(), new.conversation.as_ref(), place, new.background,
            new.status.as_str(), now, expires, now + LEASE_MS, input_size, body_size,
        ],
    )
    .await?;
    let ids = item::ids_in(&new.input);
    work.run(
        "INSERT INTO contents (response, input, output, body, events) VALUES ($1, $2, $3, $4, NULL)",
        args![&new.id, new.input.into_bytes(), b"[]".to_vec(), new.body.into_bytes()],
    )
    .await?;
    note_items(&mut work, &new.id, &ids).await?;
    work.commit().await?;
    inner.grown(input_size + body_size);
    Ok(())
}

async fn finish(inner: &Inner, id: String, done: Finished) -> Result<bool, StoreError> {
    let events_size = done.events.as_ref().map_or(0, Vec::len);
    let (output_size, rest_size) = (
        signed(done.output.len()),
        signed(done.body.len() + events_size),
    );
    let mut work = inner.engine.begin().await?;
    let rows = work
        .rows(
            "UPDATE responses SET status = $2, output_size = $3, rest_size = $4, lease = 0, cancel = 0
             WHERE id = $1 RETURNING conversation",
            args![&id, done.status.as_str(), output_size, rest_size],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    let mut grown = output_size + rest_size;
    if let Some(conversation) = row.opt_text(0)? {
        let items = match done.status {
            Status::Completed | Status::Incomplete => {
                let input = own_input(&mut work, &id).await?;
                let both = [item::elements(&input), item::elements(&done.output)].concat();
                both.into_iter().map(str::to_owned).collect()
            }
            Status::Queued | Status::InProgress | Status::Failed | Status::Cancelled => Vec::new(),
        };
        grown += conversations::unlock(&mut work, &conversation, &id, items).await?;
    }
    let ids = item::ids_in(&done.output);
    work.run(
        "UPDATE contents SET output = $2, body = $3, events = $4 WHERE response = $1",
        args![
            &id,
            done.output.into_bytes(),
            done.body.into_bytes(),
            done.events
        ],
    )
    .await?;
    note_items(&mut work, &id, &ids).await?;
    work.commit().await?;
    inner.grown(grown);
    Ok(true)
}

async fn own_input(work: &mut Work, id: &str) -> Result<String, StoreError> {
    let rows = work
        .rows("SELECT input FROM contents WHERE response = $1", args![id])
        .await?;
    rows.first().map_or(Ok(String::new()), |row| row.content(0))
}

/// A chain lives as long as its last turn: ancestors that would expire earlier are put off.
async fn touch(
    work: &mut Work,
    previous: &str,
    owner: &Owner,
    expires: i64,
) -> Result<(), StoreError> {
    let rows = work
        .rows(
            "WITH RECURSIVE chain (id, previous, conversation) AS (
                 SELECT r.id, r.previous, r.conversation FROM responses r
                 WHERE r.id = $1 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4 AND r.expires < $5
                 UNION
                 SELECT r.id, r.previous, r.conversation FROM chain JOIN responses r ON r.id = chain.previous
                 WHERE chain.conversation IS NULL
                 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4 AND r.expires < $5
             )
             UPDATE responses SET expires = $5 WHERE id IN (SELECT id FROM chain) RETURNING conversation",
            args![previous, &*owner.key, &*owner.group, now(), expires],
        )
        .await?;
    for row in &rows {
        if let Some(conversation) = row.opt_text(0)? {
            work.run(
                "UPDATE conversations SET expires = $2 WHERE id = $1 AND expires < $2",
                args![&conversation, expires],
            )
            .await?;
        }
    }
    Ok(())
}

/// Takes down by which ids a response's items can be referred to.
async fn note_items(work: &mut Work, response: &str, ids: &[String]) -> Result<(), StoreError> {
    for some in ids.chunks(64) {
        // Padded with the last one again: few statements, kept prepared.
        let rows = padded(some.len());
        let sql = format!(
            "INSERT INTO response_items (item, response) VALUES {} ON CONFLICT DO NOTHING",
            placeholders(rows, 2)
        );
        let last = some.last().into_iter().cycle();
        let args = some.iter().chain(last).take(rows);
        let args = args.flat_map(|id| args![id, response]).collect();
        work.run(sqlx::AssertSqlSafe(sql), args).await?;
    }
    Ok(())
}

async fn find(inner: &Inner, id: &str, owner: &Owner) -> Result<Option<Stored>, StoreError> {
    let rows = inner
        .engine
        .rows(
            concat!(
                "SELECT ",
                stored_columns!(),
                " FROM responses r JOIN contents c ON c.response = r.id
                 WHERE r.id = $1 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4"
            ),
            args![id, &*owner.key, &*owner.group, now()],
        )
        .await?;
    if let Some(row) = rows.first() {
        return Stored::read(row).map(Some);
    }
    pinned(inner, id, owner).await
}

pub(super) async fn pinned(
    inner: &Inner,
    id: &str,
    owner: &Owner,
) -> Result<Option<Stored>, StoreError> {
    let rows = inner
        .engine
        .rows(
            "SELECT id, channel, created FROM pins
             WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
            args![id, &*owner.key, &*owner.group, now()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Stored {
        id: row.text(0)?,
        channel: row.text(1)?,
        previous: None,
        conversation: None,
        background: false,
        // How far it is only its channel knows.
        status: Status::Completed,
        interrupted: false,
        created: seconds(row.int(2)?),
        body: String::new(),
    }))
}

async fn delete(inner: &Inner, id: &str, owner: &Owner) -> Result<bool, StoreError> {
    let whose = || args![id, &*owner.key, &*owner.group, now()];
    let mut work = inner.engine.begin().await?;
    let rows = work
        .rows(
            "DELETE FROM responses WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4
             RETURNING conversation, input_size + output_size + rest_size",
            whose(),
        )
        .await?;
    let mut freed = 0;
    if let Some(row) = rows.first() {
        freed = row.int(1)?;
        if let Some(conversation) = row.opt_text(0)? {
            conversations::unlock(&mut work, &conversation, id, Vec::new()).await?;
        }
    }
    let pins = work
        .run(
            "DELETE FROM pins WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
            whose(),
        )
        .await?;
    work.commit().await?;
    inner.grown(-freed);
    Ok(!rows.is_empty() || pins > 0)
}

/// At most 64 at a time.
async fn renew(inner: &Inner, ids: &[String]) -> Result<Vec<String>, StoreError> {
    let rows = padded(ids.len());
    let marks: Vec<String> = (2..rows + 2).map(|at| format!("${at}")).collect();
    let marks = marks.join(", ");
    let args = || -> Vec<Arg> {
        let last = ids.last().into_iter().cycle();
        let ids = ids.iter().chain(last).take(rows);
        let lease = std::iter::once(Arg::from(now() + LEASE_MS));
        lease.chain(ids.map(Arg::from)).collect()
    };
    let mut work = inner.engine.begin().await?;
    let rows = work
        .rows(
            sqlx::AssertSqlSafe(format!(
                "UPDATE responses SET lease = $1 WHERE id IN ({marks}) AND status IN ('queued', 'in_progress')
                 RETURNING id, cancel"
            )),
            args(),
        )
        .await?;
    work.run(
        sqlx::AssertSqlSafe(format!(
            "UPDATE conversations SET lease = $1 WHERE locked_by IN ({marks})"
        )),
        args(),
    )
    .await?;
    work.commit().await?;
    let mut asked = Vec::new();
    for row in &rows {
        if row.flag(1)? {
            asked.push(row.text(0)?);
        }
    }
    Ok(asked)
}
