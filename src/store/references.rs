//! Items that are referred to by their ids, wherever the owner has them. Which place each is read from is found first,
//! then no content is read twice, nor more than was asked for.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::engine::{Arg, args, batch, padded, placeholders};
use super::error::{ContextError, StoreError};
use super::{Inner, Owner, Store, item, now};

/// Ids that are looked for at once.
const SOME: usize = 256;

impl Store {
    /// Items by their ids, out of the owner's stored responses and conversations: each once, with its id, in the order
    /// of these. Missing ones are left out. Of several with one id it is the newest response's, for a client may have
    /// sent it again in a later turn.
    pub async fn items(
        &self,
        ids: Vec<String>,
        owner: Owner,
        max_bytes: usize,
    ) -> Result<Vec<(String, String)>, ContextError> {
        self.call(move |inner| async move { items(&inner, ids, &owner, max_bytes).await })
            .await
    }
}

/// Items by their ids, as far as they fit.
struct Found {
    items: HashMap<String, String>,
    left: usize,
}

impl Found {
    fn add(&mut self, id: String, item: String) -> Result<(), ContextError> {
        let left = self.left.checked_sub(item.len());
        self.left = left.ok_or(ContextError::TooLarge)?;
        self.items.insert(id, item);
        Ok(())
    }
}

async fn items(
    inner: &Inner,
    mut ids: Vec<String>,
    owner: &Owner,
    max_bytes: usize,
) -> Result<Vec<(String, String)>, ContextError> {
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    drop(seen);
    let mut found = Found {
        items: HashMap::new(),
        left: max_bytes,
    };
    let mut responses: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for some in ids.chunks(SOME) {
        for (item, response) in newest_responses(inner, some, owner).await? {
            responses.entry(response).or_default().insert(item);
        }
    }
    for (response, wanted) in responses {
        of_response(inner, &response, wanted, &mut found).await?;
    }
    let missing: Vec<&String> = ids
        .iter()
        .filter(|id| !found.items.contains_key(*id))
        .collect();
    for some in missing.chunks(SOME) {
        of_conversations(inner, some, owner, &mut found).await?;
    }
    let pair = |id| found.items.remove_entry(&id);
    Ok(ids.into_iter().filter_map(pair).collect())
}

/// `($1, $2, …)` for these ids, padded with the last one again, so that few statements are kept prepared; then, in
/// order, whose they are and what time it is.
fn whose<T: AsRef<str>>(ids: &[T], owner: &Owner) -> (String, [String; 3], Vec<Arg>) {
    let count = padded(ids.len());
    let ids = ids.iter().chain(ids.last().into_iter().cycle()).take(count);
    let mut args: Vec<Arg> = ids.map(|id| Arg::from(id.as_ref())).collect();
    args.extend(args![&*owner.key, &*owner.group, now()]);
    let rest = [1, 2, 3].map(|at| format!("${}", count + at));
    (placeholders(1, count), rest, args)
}

/// Each of these items with the newest response that has it.
async fn newest_responses(
    inner: &Inner,
    ids: &[String],
    owner: &Owner,
) -> Result<Vec<(String, String)>, StoreError> {
    let (marks, [key, group, now], args) = whose(ids, owner);
    let sql = format!(
        "SELECT item, response FROM (
             SELECT i.item, i.response, ROW_NUMBER() OVER (PARTITION BY i.item ORDER BY r.created DESC, r.id DESC) AS nth
             FROM response_items i JOIN responses r ON r.id = i.response
             WHERE i.item IN {marks} AND r.owner_key = {key} AND r.owner_group = {group} AND r.expires > {now}
         ) AS known WHERE nth = 1"
    );
    let rows = inner.engine.rows(sqlx::AssertSqlSafe(sql), args).await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.text(1)?)))
        .collect()
}

/// These items of a response, in its output or else in its input. None, if it has been deleted meanwhile.
async fn of_response(
    inner: &Inner,
    response: &str,
    mut wanted: HashSet<String>,
    found: &mut Found,
) -> Result<(), ContextError> {
    let rows = inner
        .engine
        .rows(
            "SELECT input, output FROM contents WHERE response = $1",
            args![response],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    for column in [1, 0] {
        if wanted.is_empty() {
            break;
        }
        let content = row.content(column)?;
        for item in item::elements(&content) {
            if let Some(id) = item::id_of(item).and_then(|id| wanted.take(&id)) {
                found.add(id, item.to_owned())?;
            }
        }
    }
    Ok(())
}

/// These items, each out of the newest conversation that has it.
async fn of_conversations(
    inner: &Inner,
    ids: &[&String],
    owner: &Owner,
    found: &mut Found,
) -> Result<(), ContextError> {
    let (marks, [key, group, now], args) = whose(ids, owner);
    let sql = format!(
        "SELECT conversation, place, size FROM (
             SELECT i.conversation, i.place, i.size,
             ROW_NUMBER() OVER (PARTITION BY i.item ORDER BY v.created DESC, v.id DESC, i.place DESC) AS nth
             FROM conversation_items i JOIN conversations v ON v.id = i.conversation
             WHERE i.item IN {marks} AND v.owner_key = {key} AND v.owner_group = {group} AND v.expires > {now}
         ) AS known WHERE nth = 1"
    );
    let rows = inner.engine.rows(sqlx::AssertSqlSafe(sql), args).await?;
    let mut places = Vec::with_capacity(rows.len());
    let mut size = 0_i64;
    for row in &rows {
        places.push((row.text(0)?, row.int(1)?));
        size = size.saturating_add(row.int(2)?);
    }
    if usize::try_from(size).unwrap_or(usize::MAX) > found.left {
        return Err(ContextError::TooLarge);
    }
    let mut left = &places[..];
    while !left.is_empty() {
        let (some, rest) = left.split_at(batch(left.len()));
        left = rest;
        // A join: for `IN (VALUES …)` SQLite reads the whole table.
        let sql = format!(
            "WITH asked (conversation, place) AS (VALUES {})
             SELECT i.item, i.content FROM asked
             JOIN conversation_items i ON i.conversation = asked.conversation AND i.place = asked.place",
            placeholders(some.len(), 2)
        );
        let args = some
            .iter()
            .flat_map(|(conversation, place)| args![conversation, *place])
            .collect();
        let rows = inner.engine.rows(sqlx::AssertSqlSafe(sql), args).await?;
        for row in &rows {
            found.add(row.text(0)?, row.content(1)?)?;
        }
    }
    Ok(())
}
