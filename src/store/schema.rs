//! The tables, and how an older database gets them. Each entry of [`STEPS`] is applied once, in order, and is never
//! changed afterwards.
//!
//! Content stands in columns of bytes, because PostgreSQL takes no NUL in a text, and apart from what is written
//! often, because SQLite writes a row as a whole.

use std::sync::atomic::Ordering;

use super::engine::{Work, args};
use super::error::{StoreError, Trouble};
use super::{Inner, signed};

/// All numbers are 64 bits wide; times are Unix milliseconds. For what the two databases call differently see [`said`].
const STEPS: [&str; 2] = [RESPONSES, KEYS_AND_USAGE];

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

const KEYS_AND_USAGE: &str = "
-- Numbers that there is one of each: `keys` grows with each change of a key; usage rows that ended before `swept` may be gone.
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters (name, value) VALUES ('keys', 0), ('swept', 0);
-- What the digests of keys are made with, or no more than its fingerprint where the config has it.
CREATE TABLE secrets (name TEXT PRIMARY KEY, secret BLOB, fingerprint BLOB NOT NULL);
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name SORTED_TEXT NOT NULL,
    group_name TEXT NOT NULL,
    digest BLOB NOT NULL,
    hint TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    -- JSON: three lists and an object.
    models TEXT NOT NULL,
    allow TEXT NOT NULL,
    deny TEXT NOT NULL,
    limits TEXT NOT NULL,
    expires BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX keys_name ON keys (name);
CREATE TABLE audit (
    id SERIAL_KEY,
    at BIGINT NOT NULL,
    by_whom TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL
);
-- The batches of usage that have been written, so that none is written twice.
CREATE TABLE batches (id TEXT PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX batches_at ON batches (at);
CREATE TABLE requests (
    id SERIAL_KEY,
    at BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    is_final BIGINT NOT NULL,
    admitted BIGINT NOT NULL,
    key_id SORTED_TEXT NOT NULL,
    key_name SORTED_TEXT NOT NULL,
    group_name SORTED_TEXT NOT NULL,
    channel SORTED_TEXT NOT NULL,
    surface TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model SORTED_TEXT NOT NULL,
    upstream_model TEXT NOT NULL,
    status BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    stream BIGINT NOT NULL,
    translated BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    ttft_us BIGINT,
    uncached BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write_5m BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    image_input BIGINT NOT NULL,
    audio_input BIGINT NOT NULL,
    image_output BIGINT NOT NULL,
    audio_output BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    -- Picodollars.
    cost BIGINT,
    tier TEXT NOT NULL,
    error TEXT NOT NULL,
    client TEXT NOT NULL
);
CREATE INDEX requests_at ON requests (at, id);
CREATE INDEX requests_key ON requests (key_id, at);
CREATE INDEX requests_request ON requests (request_id);
-- Sums of an hour. A sum of picodollars may pass 64 bits: it is cost_high * 10^9 + cost_low.
CREATE TABLE hours (
    hour BIGINT NOT NULL,
    key_id SORTED_TEXT NOT NULL,
    key_name SORTED_TEXT NOT NULL,
    group_name SORTED_TEXT NOT NULL,
    channel SORTED_TEXT NOT NULL,
    model SORTED_TEXT NOT NULL,
    requests BIGINT NOT NULL,
    admitted BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    cost_high BIGINT NOT NULL,
    cost_low BIGINT NOT NULL,
    PRIMARY KEY (hour, key_id, key_name, group_name, channel, model)
) WITHOUT ROWID;
-- What a key has spent in all.
CREATE TABLE spent (
    key_id SORTED_TEXT PRIMARY KEY,
    cost_high BIGINT NOT NULL,
    cost_low BIGINT NOT NULL
) WITHOUT ROWID;
";

/// A step in the words of one database. Texts that reports are sorted by are compared byte by byte on both.
fn said(step: &str, postgres: bool) -> String {
    let words = if postgres {
        [
            ("BLOB", "BYTEA"),
            ("SORTED_TEXT", "TEXT COLLATE \"C\""),
            (
                "SERIAL_KEY",
                "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
            ),
            (" WITHOUT ROWID", ""),
        ]
    } else {
        [
            ("BLOB", "BLOB"),
            ("SORTED_TEXT", "TEXT"),
            ("SERIAL_KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            (" WITHOUT ROWID", " WITHOUT ROWID"),
        ]
    };
    words
        .iter()
        .fold(step.to_owned(), |step, (word, own)| step.replace(word, own))
}

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
            work.script(said(step, self.engine.is_postgres())).await?;
            work.run(
                "INSERT INTO torouter_schema (version) VALUES ($1)",
                args![number],
            )
            .await?;
        }
        Ok(())
    }
}
