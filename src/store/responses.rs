//! Responses that are known, here or at their channel: pinned, found, deleted.

use super::engine::{args, batch, placeholders, text};
use super::error::StoreError;
use super::response::{Status, Stored, seconds, stored_columns};
use super::upkeep::ROW_BYTES;
use super::{Inner, Owner, Store, conversations, now, signed};

impl Store {
    /// Responses and items that their channel keeps: only where they are. A full store takes them, too: the channel has
    /// made them already.
    pub async fn pin(
        &self,
        ids: Vec<String>,
        owner: Owner,
        channel: String,
    ) -> Result<(), StoreError> {
        self.call(move |inner| async move { pin(&inner, ids, &owner, &channel).await })
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
}

async fn pin(
    inner: &Inner,
    ids: Vec<String>,
    owner: &Owner,
    channel: &str,
) -> Result<(), StoreError> {
    let mut ids: Vec<String> = ids.into_iter().map(text).collect();
    // PostgreSQL writes no row twice in one statement; and who pins the same ones at once waits, in the same order.
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let (created, expires) = (now(), inner.expiry());
    let mut work = inner.engine.begin().await?;
    let mut left = &ids[..];
    while !left.is_empty() {
        let (some, rest) = left.split_at(batch(left.len()));
        left = rest;
        let sql = format!(
            "INSERT INTO pins (id, owner_key, owner_group, channel, created, expires) VALUES {}
             ON CONFLICT (id, owner_key, owner_group) DO UPDATE
             SET channel = excluded.channel, expires = excluded.expires",
            placeholders(some.len(), 6)
        );
        let args = some
            .iter()
            .flat_map(|id| args![id, &*owner.key, &*owner.group, channel, created, expires])
            .collect();
        work.run(sqlx::AssertSqlSafe(sql), args).await?;
    }
    work.commit().await?;
    inner.grown(signed(ids.len() * ROW_BYTES));
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
    let items = work
        .rows(
            "SELECT COUNT(*) FROM response_items WHERE response = $1",
            args![id],
        )
        .await?;
    let items = items.first().map_or(Ok(0), |row| row.int(0))?;
    let rows = work
        .rows(
            "DELETE FROM responses WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4
             RETURNING conversation, input_size + output_size + rest_size",
            whose(),
        )
        .await?;
    let mut freed = 0;
    if let Some(row) = rows.first() {
        freed = row.int(1)? + items * signed(ROW_BYTES);
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
    inner.grown(-freed - pins.cast_signed() * signed(ROW_BYTES));
    Ok(!rows.is_empty() || pins > 0)
}
