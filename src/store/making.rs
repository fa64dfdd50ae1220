//! Responses that are being made: begun, renewed, asked to stop, finished.

use std::collections::HashSet;

use super::engine::{Arg, Work, args, padded, placeholders};
use super::error::{BeginError, StoreError};
use super::response::{Finished, NewResponse, Status};
use super::upkeep::ROW_BYTES;
use super::{Inner, LEASE_MS, Owner, Store, conversations, item, now, signed};

impl Store {
    /// Takes down that a response is being made. In one transaction: the response, the lock on its conversation, the
    /// new expiry of its ancestors. Its lease runs until the next [`renew`](Self::renew).
    pub async fn begin(&self, new: NewResponse) -> Result<(), BeginError> {
        self.call(move |inner| async move {
            let ids = item::ids_in(&new.input);
            let size = new.input.len() + new.body.len() + ids.len() * ROW_BYTES;
            inner.room(size).await?;
            begin(&inner, new, &ids).await?;
            inner.grown(signed(size));
            Ok(())
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

    /// A queued response has got somewhere: the status and the body of that. `false`: it is not queued any more, for
    /// its end came first, or it has been deleted; nothing of it is changed then.
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
                    "UPDATE responses SET status = $2, rest_size = $3 WHERE id = $1 AND status = 'queued'",
                    args![&id, status.as_str(), signed(body.len())],
                )
                .await?;
            if changed == 0 {
                return Ok(false);
            }
            work.run(
                "UPDATE contents SET body = $2 WHERE response = $1",
                args![&id, body.into_bytes()],
            )
            .await?;
            work.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Says that these responses are still being made here: every 10 s, for a lease lasts 30 s. Returns those whose
    /// making is to stop: somebody has asked to cancel them, or has deleted them.
    pub async fn renew(&self, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.call(move |inner| async move {
            let mut stop = Vec::new();
            for some in ids.chunks(64) {
                stop.extend(renew(&inner, some).await?);
            }
            Ok(stop)
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

async fn begin(inner: &Inner, new: NewResponse, ids: &[String]) -> Result<(), BeginError> {
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
                new.conversation_version,
                inner.ancestors_expiry(),
            )
            .await?
        }
        None => 0,
    };
    if let Some(previous) = &new.previous {
        touch(
            inner,
            &mut work,
            previous,
            &new.owner,
            inner.ancestors_expiry(),
        )
        .await?;
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
    work.run(
        "INSERT INTO contents (response, input, output, body, events) VALUES ($1, $2, $3, $4, NULL)",
        args![&new.id, new.input.into_bytes(), b"[]".to_vec(), new.body.into_bytes()],
    )
    .await?;
    note_items(&mut work, &new.id, ids).await?;
    work.commit().await?;
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
    inner.grown(grown + signed(ids.len() * ROW_BYTES));
    Ok(true)
}

async fn own_input(work: &mut Work, id: &str) -> Result<String, StoreError> {
    let rows = work
        .rows("SELECT input FROM contents WHERE response = $1", args![id])
        .await?;
    rows.first().map_or(Ok(String::new()), |row| row.content(0))
}

/// The ancestors that would expire before `$5`.
macro_rules! ancestors {
    () => {
        "WITH RECURSIVE chain (id, previous, conversation) AS (
             SELECT r.id, r.previous, r.conversation FROM responses r
             WHERE r.id = $1 AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4 AND r.expires < $5
             UNION
             SELECT r.id, r.previous, r.conversation FROM chain JOIN responses r ON r.id = chain.previous
             WHERE chain.conversation IS NULL
             AND r.owner_key = $2 AND r.owner_group = $3 AND r.expires > $4 AND r.expires < $5
         ) "
    };
}

/// A chain lives as long as its last turn: ancestors that would expire earlier are put off.
async fn touch(
    inner: &Inner,
    work: &mut Work,
    previous: &str,
    owner: &Owner,
    expires: i64,
) -> Result<(), StoreError> {
    let chain = || args![previous, &*owner.key, &*owner.group, now(), expires];
    if inner.engine.is_postgres() {
        // Turns that fork one chain share ancestors. In the order of an UPDATE's own plan they would lock each other
        // out: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
        let locked = work
            .rows(
                concat!(
                    ancestors!(),
                    "SELECT id FROM responses WHERE id IN (SELECT id FROM chain) ORDER BY id FOR UPDATE"
                ),
                chain(),
            )
            .await?;
        if locked.is_empty() {
            return Ok(());
        }
    }
    // Whoever had the locks before may have put them off already: they are looked for anew.
    let rows = work
        .rows(
            concat!(
                ancestors!(),
                "UPDATE responses SET expires = $5 WHERE id IN (SELECT id FROM chain) RETURNING conversation"
            ),
            chain(),
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

/// At most 64 at a time.
async fn renew(inner: &Inner, ids: &[String]) -> Result<Vec<String>, StoreError> {
    // Padded with the last one again: few statements, kept prepared.
    let count = padded(ids.len());
    let marks: Vec<String> = (1..=count).map(|at| format!("${at}")).collect();
    let (marks, lease) = (marks.join(", "), format!("${}", count + 1));
    let named = || -> Vec<Arg> {
        let last = ids.last().into_iter().cycle();
        ids.iter().chain(last).take(count).map(Arg::from).collect()
    };
    let until = || -> Vec<Arg> {
        let lease = Arg::from(now() + LEASE_MS);
        named().into_iter().chain([lease]).collect()
    };
    let mut work = inner.engine.begin().await?;
    let rows = work
        .rows(
            sqlx::AssertSqlSafe(format!(
                "UPDATE responses SET lease = {lease} WHERE id IN ({marks}) AND status IN ('queued', 'in_progress')
                 RETURNING id, cancel"
            )),
            until(),
        )
        .await?;
    work.run(
        sqlx::AssertSqlSafe(format!(
            "UPDATE conversations SET lease = {lease} WHERE locked_by IN ({marks})"
        )),
        until(),
    )
    .await?;
    let mut stop = Vec::new();
    for row in &rows {
        if row.flag(1)? {
            stop.push(row.text(0)?);
        }
    }
    if rows.len() < ids.len() {
        // The others have ended here meanwhile, or are gone.
        let there = work
            .rows(
                sqlx::AssertSqlSafe(format!("SELECT id FROM responses WHERE id IN ({marks})")),
                named(),
            )
            .await?;
        let there: Result<HashSet<String>, StoreError> =
            there.iter().map(|row| row.text(0)).collect();
        let there = there?;
        stop.extend(ids.iter().filter(|id| !there.contains(*id)).cloned());
    }
    work.commit().await?;
    Ok(stop)
}
