//! The tables, and how an older database gets them. Each entry of [`STEPS`] is applied once, in order, and is never
//! changed afterwards.
//!
//! Content stands in columns of bytes, because PostgreSQL takes no NUL in a text, and apart from what is written
//! often, because SQLite writes a row as a whole.

use std::sync::atomic::Ordering;

use super::engine::{Work, args};
use super::error::{StoreError, Trouble};
use super::{Inner, signed};

/// `BLOB` is `BYTEA` for PostgreSQL; all numbers are 64 bits wide; times are Unix milliseconds.
const STEPS: [&str; 1] = [RESPONSES];

const RESPONSES: &str = "
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- The response that is being made in it, or empty, and until when it is believed.
    locked_by TEXT NOT NULL,
    lease BIGINT NOT NULL,
    next_place BIGINT NOT NULL,
    size BIGINT NOT NULL,
    metadata BLOB NOT NULL
);
CREATE INDEX conversations_expires ON conversations (expires);
CREATE INDEX conversations_locked ON conversations (locked_by);
CREATE TABLE conversation_items (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    item TEXT,
    size BIGINT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (conversation, place)
);
CREATE INDEX conversation_items_item ON conversation_items (item);
CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    previous TEXT,
    conversation TEXT,
    -- Where the turn begins in its conversation.
    place BIGINT NOT NULL,
    background BIGINT NOT NULL,
    status TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    cancel BIGINT NOT NULL,
    input_size BIGINT NOT NULL,
    output_size BIGINT NOT NULL,
    -- Body and events.
    rest_size BIGINT NOT NULL
);
CREATE INDEX responses_expires ON responses (expires);
CREATE TABLE contents (
    response TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    input BLOB NOT NULL,
    output BLOB NOT NULL,
    body BLOB NOT NULL,
    events BLOB
);
CREATE TABLE response_items (
    item TEXT NOT NULL,
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    PRIMARY KEY (item, response)
);
CREATE INDEX response_items_response ON response_items (response);
-- Responses that their channel keeps.
CREATE TABLE pins (
    id TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_group TEXT NOT NULL,
    channel TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (id, owner_key, owner_group)
);
CREATE INDEX pins_expires ON pins (expires);
";

/// PostgreSQL's name for the right to migrate: any number that nobody else takes.
const MIGRATING: i64 = 0x746f_726f_7574_6572;

impl Inner {
    /// Looks once whether the schema is there, and makes it. Calls come here first.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.readying.lock().await;
        if self.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut work = self.engine.begin().await?;
        self.migrate(&mut work).await?;
        work.commit().await?;
        self.measure().await?;
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// In one transaction, under a lock: of two gateways that start at once one finds the work done.
    async fn migrate(&self, work: &mut Work) -> Result<(), StoreError> {
        if self.engine.is_postgres() {
            work.rows("SELECT pg_advisory_xact_lock($1)", args![MIGRATING])
                .await?;
        }
        work.script("CREATE TABLE IF NOT EXISTS torouter_schema (version BIGINT NOT NULL)".into())
            .await?;
        let version = work
            .rows(
                "SELECT COALESCE(MAX(version), 0) FROM torouter_schema",
                args![],
            )
            .await?;
        let version = version.first().map_or(Ok(0), |row| row.int(0))?;
        let known = signed(STEPS.len());
        if version > known {
            let what = format!(
                "the database has schema {version}, this torouter knows {known}: it was made by a newer one; run that, or use another database"
            );
            return Err(StoreError::new(Trouble::Failed, what));
        }
        for (step, number) in STEPS
            .iter()
            .zip(1..)
            .filter(|(_, number)| *number > version)
        {
            let step = if self.engine.is_postgres() {
                step.replace("BLOB", "BYTEA")
            } else {
                (*step).to_owned()
            };
            work.script(step).await?;
            work.run(
                "INSERT INTO torouter_schema (version) VALUES ($1)",
                args![number],
            )
            .await?;
        }
        Ok(())
    }
}
