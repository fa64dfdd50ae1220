//! What a turn that continues another begins with: the chain of turns before it.

use super::engine::args;
use super::error::ContextError;
use super::response::{Stored, stored_columns};
use super::responses::pinned;
use super::{Inner, Owner, Store, conversations, item, now};

/// A response and all that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub stored: Stored,
    /// Oldest first; the last is the response's own. None of one that its channel keeps.
    pub turns: Vec<Turn>,
}

/// JSON arrays of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub input: String,
    pub output: String,
}

impl Store {
    /// What a turn that continues `id` begins with. A response that was made in a conversation continues from the
    /// items that the conversation had then, and its own turn.
    pub async fn context(
        &self,
        id: String,
        owner: Owner,
        max_bytes: usize,
    ) -> Result<Context, ContextError> {
        self.call(move |inner| async move { context(&inner, &id, &owner, max_bytes).await })
            .await
    }
}

async fn context(
    inner: &Inner,
    id: &str,
    owner: &Owner,
    max_bytes: usize,
) -> Result<Context, ContextError> {
    let max = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    // `total` ends the search as soon as there is too much, and keeps the content of such a chain unread.
    let rows = inner
        .engine
        .rows(
            concat!(
                "WITH RECURSIVE chain (depth, id, previous, conversation, total) AS (
                     SELECT CAST(0 AS BIGINT), r.id, r.previous, r.conversation, r.input_size + r.output_size
                     FROM responses r
                     WHERE r.id = $1 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4
                     UNION ALL
                     SELECT chain.depth + 1, r.id, r.previous, r.conversation,
                     chain.total + r.input_size + r.output_size
                     FROM chain JOIN responses r ON r.id = chain.previous
                     WHERE r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4
                     AND chain.conversation IS NULL AND chain.total <= $5
                 )
                 SELECT ",
                stored_columns!(),
                ", r.place, (SELECT MAX(total) FROM chain), c.input, c.output
                 FROM chain JOIN responses r ON r.id = chain.id JOIN contents c ON c.response = chain.id
                 WHERE (SELECT MAX(total) FROM chain) <= $5 OR chain.depth = 0
                 ORDER BY chain.depth DESC"
            ),
            args![id, &*owner.key, &*owner.group, now(), max],
        )
        .await?;
    let (Some(oldest), Some(own)) = (rows.first(), rows.last()) else {
        let stored = pinned(inner, id, owner).await?;
        let stored = stored.ok_or(ContextError::NotFound)?;
        return Ok(Context {
            stored,
            turns: Vec::new(),
        });
    };
    let stored = Stored::read(own)?;
    let total = own.int(9)?;
    if total > max {
        return Err(ContextError::TooLarge);
    }
    let mut turns = Vec::with_capacity(rows.len() + 1);
    match (oldest.opt_text(2)?, oldest.opt_text(1)?) {
        (Some(conversation), _) => {
            let left = usize::try_from(max - total).unwrap_or(0);
            let before = oldest.int(8)?;
            let items =
                conversations::items_before(inner, &conversation, owner, before, left).await?;
            let items = items.ok_or(ContextError::MissingAncestor(conversation))?;
            let items = items.items;
            if !items.is_empty() {
                turns.push(Turn {
                    input: item::array(&items),
                    output: "[]".to_owned(),
                });
            }
        }
        (None, Some(missing)) => return Err(ContextError::MissingAncestor(missing)),
        (None, None) => {}
    }
    for row in &rows {
        turns.push(Turn {
            input: row.content(10)?,
            output: row.content(11)?,
        });
    }
    Ok(Context { stored, turns })
}
