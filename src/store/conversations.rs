//! Conversations: their items, and the lock that lets one turn at a time be made in one.

use super::engine::{Arg, Work, args, batch, placeholders};
use super::error::{BeginError, ContextError, StoreError};
use super::{Inner, LEASE_MS, Owner, Store, item, now, signed};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    /// JSON object.
    pub metadata: String,
}

/// What a conversation held when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationItems {
    /// Oldest first.
    pub items: Vec<String>,
    /// Rises with each item that is added.
    pub version: i64,
}

impl Store {
    pub async fn create_conversation(
        &self,
        id: String,
        owner: Owner,
        metadata: String,
        items: Vec<String>,
    ) -> Result<Conversation, StoreError> {
        self.call(move |inner| async move {
            let size = metadata.len() + items.iter().map(String::len).sum::<usize>();
            inner.room(size).await?;
            let created = now();
            let mut work = inner.engine.begin().await?;
            work.run(
                "INSERT INTO conversations (id, owner_key, owner_group, created, expires, locked_by, lease, next_place,
                 size, metadata) VALUES ($1, $2, $3, $4, $5, '', 0, $6, $7, $8)",
                args![
                    &id, &*owner.key, &*owner.group, created, inner.expiry(), signed(items.len()),
                    signed(metadata.len()), metadata.as_bytes().to_vec(),
                ],
            )
            .await?;
            append(&mut work, &id, 0, items).await?;
            work.commit().await?;
            inner.grown(signed(size));
            Ok(Conversation { id, created: created.cast_unsigned() / 1000, metadata })
        })
        .await
    }

    pub async fn find_conversation(
        &self,
        id: String,
        owner: Owner,
    ) -> Result<Option<Conversation>, StoreError> {
        self.call(move |inner| async move {
            let rows = inner
                .engine
                .rows(
                    "SELECT id, created, metadata FROM conversations
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
                    args![&id, &*owner.key, &*owner.group, now()],
                )
                .await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            Ok(Some(Conversation {
                id: row.text(0)?,
                created: row.int(1)?.cast_unsigned() / 1000,
                metadata: row.content(2)?,
            }))
        })
        .await
    }

    /// Puts other metadata in place of the old. `None`: there is no such conversation.
    pub async fn change_conversation(
        &self,
        id: String,
        owner: Owner,
        metadata: String,
    ) -> Result<Option<Conversation>, StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            let rows = work
                .rows(
                    "UPDATE conversations SET metadata = $5, size = $6
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4 RETURNING created",
                    args![
                        &id, &*owner.key, &*owner.group, now(), metadata.as_bytes().to_vec(), signed(metadata.len()),
                    ],
                )
                .await?;
            work.commit().await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            let created = row.int(0)?.cast_unsigned() / 1000;
            Ok(Some(Conversation { id, created, metadata }))
        })
        .await
    }

    /// `false`: there was none.
    pub async fn delete_conversation(&self, id: String, owner: Owner) -> Result<bool, StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            let deleted = work
                .run(
                    "DELETE FROM conversations
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
                    args![&id, &*owner.key, &*owner.group, now()],
                )
                .await?;
            work.commit().await?;
            Ok(deleted > 0)
        })
        .await
    }

    /// All items. `None`: there is no such conversation.
    pub async fn conversation_items(
        &self,
        id: String,
        owner: Owner,
        max_bytes: usize,
    ) -> Result<Option<ConversationItems>, ContextError> {
        self.call(move |inner| async move {
            items_before(&inner, &id, &owner, i64::MAX, max_bytes).await
        })
        .await
    }

    /// `false`: there is no such conversation.
    pub async fn add_conversation_items(
        &self,
        id: String,
        owner: Owner,
        items: Vec<String>,
    ) -> Result<bool, StoreError> {
        self.call(move |inner| async move {
            let size = items.iter().map(String::len).sum::<usize>();
            inner.room(size).await?;
            let count = signed(items.len());
            let mut work = inner.engine.begin().await?;
            let rows = work
                .rows(
                    "UPDATE conversations SET next_place = next_place + $5
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4 RETURNING next_place",
                    args![&id, &*owner.key, &*owner.group, now(), count],
                )
                .await?;
            let Some(row) = rows.first() else {
                return Ok(false);
            };
            append(&mut work, &id, row.int(0)? - count, items).await?;
            work.commit().await?;
            inner.grown(signed(size));
            Ok(true)
        })
        .await
    }

    /// `false`: there was none.
    pub async fn delete_conversation_item(
        &self,
        id: String,
        owner: Owner,
        item: String,
    ) -> Result<bool, StoreError> {
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            let deleted = work
                .run(
                    "DELETE FROM conversation_items WHERE conversation = $1 AND item = $5 AND EXISTS (
                     SELECT 1 FROM conversations
                     WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4)",
                    args![&id, &*owner.key, &*owner.group, now(), &item],
                )
                .await?;
            work.commit().await?;
            Ok(deleted > 0)
        })
        .await
    }
}

/// The items whose place is below `before`, as far as they fit.
pub(super) async fn items_before(
    inner: &Inner,
    id: &str,
    owner: &Owner,
    before: i64,
    max_bytes: usize,
) -> Result<Option<ConversationItems>, ContextError> {
    let rows = inner
        .engine
        .rows(
            "SELECT next_place,
             CAST(COALESCE((SELECT SUM(size) FROM conversation_items WHERE conversation = $1 AND place < $5), 0)
             AS BIGINT) FROM conversations
             WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
            args![id, &*owner.key, &*owner.group, now(), before],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let version = row.int(0)?;
    if row.int(1)? > i64::try_from(max_bytes).unwrap_or(i64::MAX) {
        return Err(ContextError::TooLarge);
    }
    let rows = inner
        .engine
        .rows(
            "SELECT content FROM conversation_items WHERE conversation = $1 AND place < $2 ORDER BY place",
            // What has been added between the two is of a later version.
            args![id, before.min(version)],
        )
        .await?;
    let items: Result<_, StoreError> = rows.iter().map(|row| row.content(0)).collect();
    let items = items?;
    Ok(Some(ConversationItems { items, version }))
}

/// Locks a conversation for a response and says where its turn begins. One that has got items since it had that
/// `version` is as busy as one that is locked: the turn would be made without them.
pub(super) async fn lock(
    work: &mut Work,
    id: &str,
    response: &str,
    owner: &Owner,
    version: Option<i64>,
    expires: i64,
) -> Result<i64, BeginError> {
    let now = now();
    let rows = work
        .rows(
            "UPDATE conversations SET locked_by = $5, lease = $6,
             expires = CASE WHEN expires < $7 THEN $7 ELSE expires END
             WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4
             AND (locked_by = '' OR lease < $4) RETURNING next_place",
            args![
                id,
                &*owner.key,
                &*owner.group,
                now,
                response,
                now + LEASE_MS,
                expires
            ],
        )
        .await?;
    if let Some(row) = rows.first() {
        let place = row.int(0)?;
        // The lock is undone with the transaction.
        return match version {
            Some(version) if version != place => Err(BeginError::ConversationBusy),
            Some(_) | None => Ok(place),
        };
    }
    let there = work
        .rows(
            "SELECT 1 FROM conversations
             WHERE id = $1 AND owner_key = $2 AND owner_group = $3 AND expires > $4",
            args![id, &*owner.key, &*owner.group, now],
        )
        .await?;
    Err(if there.is_empty() {
        BeginError::NoConversation
    } else {
        BeginError::ConversationBusy
    })
}

/// Ends a response's turn in its conversation, with the items that it adds. A turn that has lost the lock adds none:
/// another one was begun without them. Returns the bytes added.
pub(super) async fn unlock(
    work: &mut Work,
    id: &str,
    response: &str,
    items: Vec<String>,
) -> Result<i64, StoreError> {
    let count = signed(items.len());
    let rows = work
        .rows(
            "UPDATE conversations SET locked_by = '', lease = 0, next_place = next_place + $3
             WHERE id = $1 AND locked_by = $2 RETURNING next_place",
            args![id, response, count],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(0);
    };
    let size = items.iter().map(String::len).sum::<usize>();
    append(work, id, row.int(0)? - count, items).await?;
    Ok(signed(size))
}

async fn append(
    work: &mut Work,
    id: &str,
    first: i64,
    items: Vec<String>,
) -> Result<(), StoreError> {
    let mut rows: Vec<Vec<Arg>> = items
        .into_iter()
        .zip(first..)
        .map(|(content, place)| {
            let name = item::id_of(&content);
            args![
                id,
                place,
                name.as_ref(),
                signed(content.len()),
                content.into_bytes()
            ]
        })
        .collect();
    while !rows.is_empty() {
        let count = batch(rows.len());
        let sql = format!(
            "INSERT INTO conversation_items (conversation, place, item, size, content) VALUES {}",
            placeholders(count, 5)
        );
        let args = rows.drain(..count).flatten().collect();
        work.run(sqlx::AssertSqlSafe(sql), args).await?;
    }
    Ok(())
}
