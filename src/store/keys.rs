//! Keys that the gateway hands out. Each change counts the version up, which is how other gateways see it, and leaves
//! a row in the audit. What a key may do is the gate's matter.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::engine::{Arg, Row, Work, args};
use super::error::{StoreError, Trouble};
use super::{Store, audit, now};
use crate::base::{Limits, Usd};

/// A key as it is kept. The secret itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// `key_` and 24 letters and digits.
    pub id: String,
    /// No other key has it.
    pub name: String,
    /// The name of its group.
    pub group: String,
    /// HMAC-SHA256 of the secret, with the server's own.
    pub digest: [u8; 32],
    /// `sk-…` and the last characters, to recognise it by.
    pub hint: String,
    pub enabled: bool,
    /// Globs; empty: all.
    pub models: Vec<String>,
    /// Networks, as text.
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    /// Unix milliseconds, as all times.
    pub expires: Option<i64>,
    pub limits: Limits,
    pub created: i64,
    pub updated: i64,
}

/// Why a key could not be changed.
#[derive(Clone, Debug)]
pub enum KeyError {
    Store(StoreError),
    /// Another key has the name.
    NameTaken,
    NotFound,
    /// It has been changed since it was read.
    Conflict,
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const COLUMNS: &str = "id, name, group_name, digest, hint, enabled, models, allow, deny, limits, expires, created, updated";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, group_name, digest, hint, enabled, models, allow, deny, limits, expires, created, updated FROM keys ",
            $rest
        )
    };
}

/// By its id; else by its name, which may look like another's id.
const FIND: &str =
    select!("WHERE id = $1 OR name = $1 ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END LIMIT 1");

impl Store {
    /// All keys, by their names, and the version at which they are so.
    pub async fn keys(&self) -> Result<(i64, Vec<KeyRow>), StoreError> {
        self.call(move |inner| async move {
            // One statement reads one state of the database, on both; without keys it has one row, of the version.
            let sql = "SELECT k.id, k.name, k.group_name, k.digest, k.hint, k.enabled, k.models, k.allow, k.deny,
                 k.limits, k.expires, k.created, k.updated, c.value
                 FROM counters c LEFT JOIN keys k ON c.name = 'keys' WHERE c.name = 'keys' ORDER BY k.name";
            let rows = inner.engine.rows(sql, args![]).await?;
            let version = rows.first().map_or(Ok(0), |row| row.int(13))?;
            let mut keys = Vec::with_capacity(rows.len());
            for row in &rows {
                if row.opt_text(0)?.is_some() {
                    keys.push(KeyRow::read(row)?);
                }
            }
            Ok((version, keys))
        })
        .await
    }

    /// Grows with each change of any key.
    pub async fn keys_version(&self) -> Result<i64, StoreError> {
        self.call(move |inner| async move {
            let sql = "SELECT value FROM counters WHERE name = 'keys'";
            let rows = inner.engine.rows(sql, args![]).await?;
            rows.first().map_or(Ok(0), |row| row.int(0))
        })
        .await
    }

    pub async fn key(&self, name_or_id: &str) -> Result<Option<KeyRow>, StoreError> {
        let name = name_or_id.to_owned();
        self.call(move |inner| async move {
            let rows = inner.engine.rows(FIND, args![name]).await?;
            rows.first().map(KeyRow::read).transpose()
        })
        .await
    }

    /// Keeps a new key. Returns it with the times that it got.
    pub async fn key_create(&self, mut key: KeyRow, by: &str) -> Result<KeyRow, KeyError> {
        let by = by.to_owned();
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            count_up(&mut work).await?;
            key.created = now();
            key.updated = key.created;
            let created = work.run(insert(), key.columns()).await?;
            if created == 0 {
                return Err(KeyError::NameTaken);
            }
            audit::note(&mut work, &by, "key.create", None, Some(&key)).await?;
            work.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Puts this in the place of the key with its id, if that is still as it was when `updated` was read.
    pub async fn key_update(&self, mut key: KeyRow, by: &str) -> Result<KeyRow, KeyError> {
        let by = by.to_owned();
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            count_up(&mut work).await?;
            let sql = select!("WHERE id = $1");
            let before = work.rows(sql, args![&key.id]).await?;
            let before = before.first().ok_or(KeyError::NotFound)?;
            let before = KeyRow::read(before)?;
            if before.updated != key.updated {
                return Err(KeyError::Conflict);
            }
            // No other change is under way: this one holds the version.
            let sql = "SELECT id FROM keys WHERE name = $1 AND id <> $2";
            if !work.rows(sql, args![&key.name, &key.id]).await?.is_empty() {
                return Err(KeyError::NameTaken);
            }
            key.created = before.created;
            key.updated = now().max(before.updated.saturating_add(1));
            let sql = "UPDATE keys SET name = $2, group_name = $3, digest = $4, hint = $5, enabled = $6, models = $7,
                 allow = $8, deny = $9, limits = $10, expires = $11, created = $12, updated = $13 WHERE id = $1";
            work.run(sql, key.columns()).await?;
            audit::note(&mut work, &by, "key.update", Some(&before), Some(&key)).await?;
            work.commit().await?;
            Ok(key)
        })
        .await
    }

    /// Deletes a key. Returns what it was.
    pub async fn key_delete(&self, name_or_id: &str, by: &str) -> Result<KeyRow, KeyError> {
        let (name, by) = (name_or_id.to_owned(), by.to_owned());
        self.call(move |inner| async move {
            let mut work = inner.engine.begin().await?;
            count_up(&mut work).await?;
            let found = work.rows(FIND, args![name]).await?;
            let key = KeyRow::read(found.first().ok_or(KeyError::NotFound)?)?;
            work.run("DELETE FROM keys WHERE id = $1", args![&key.id])
                .await?;
            audit::note(&mut work, &by, "key.delete", Some(&key), None).await?;
            work.commit().await?;
            Ok(key)
        })
        .await
    }
}

/// Comes first in each change: it also takes the lock under which changes of keys follow one another, so that a
/// version is never seen before the change that it stands for.
async fn count_up(work: &mut Work) -> Result<(), StoreError> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'keys'";
    work.run(sql, args![]).await.map(drop)
}

fn insert() -> sqlx::AssertSqlSafe<String> {
    let marks = super::engine::placeholders(1, 13);
    sqlx::AssertSqlSafe(format!(
        "INSERT INTO keys ({COLUMNS}) VALUES {marks} ON CONFLICT (name) DO NOTHING"
    ))
}

/// As JSON. Lists of texts and numbers are always written.
fn json(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn damaged(what: &str) -> StoreError {
    let message = format!("a stored key is damaged: its {what} cannot be read");
    StoreError::new(Trouble::Failed, message)
}

impl KeyRow {
    /// In the order of [`COLUMNS`].
    fn columns(&self) -> Vec<Arg> {
        let list = |list: &Vec<String>| json(list).get().to_owned();
        let limits: BTreeMap<_, _> = limits(&self.limits).into_iter().collect();
        args![
            &self.id,
            &self.name,
            &self.group,
            self.digest.to_vec(),
            &self.hint,
            self.enabled,
            list(&self.models),
            list(&self.allow),
            list(&self.deny),
            json(&limits).get(),
            self.expires,
            self.created,
            self.updated,
        ]
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let list =
            |at: usize, what: &str| serde_json::from_str(&row.text(at)?).map_err(|_| damaged(what));
        Ok(Self {
            id: row.text(0)?,
            name: row.text(1)?,
            group: row.text(2)?,
            digest: row.bytes(3)?.try_into().map_err(|_| damaged("digest"))?,
            hint: row.text(4)?,
            enabled: row.flag(5)?,
            models: list(6, "models")?,
            allow: list(7, "allow")?,
            deny: list(8, "deny")?,
            limits: read_limits(&row.text(9)?).ok_or_else(|| damaged("limits"))?,
            expires: row.opt_int(10)?,
            created: row.int(11)?,
            updated: row.int(12)?,
        })
    }

    /// What the audit may tell of a key, by the names that the fields have for users.
    pub(super) fn told(&self) -> Vec<(&'static str, Box<RawValue>)> {
        let mut told = vec![
            ("name", json(&self.name)),
            ("group", json(&self.group)),
            ("secret", json(&self.hint)),
            ("enabled", json(&self.enabled)),
            ("models", json(&self.models)),
            ("allow", json(&self.allow)),
            ("deny", json(&self.deny)),
            ("expires", json(&self.expires)),
        ];
        told.extend(limits(&self.limits));
        told
    }
}

/// Limits by their names, as numbers with all their digits.
fn limits(limits: &Limits) -> Vec<(&'static str, Box<RawValue>)> {
    vec![
        ("rpm", json(&limits.rpm)),
        ("rp5h", json(&limits.rp5h)),
        ("rpd", json(&limits.rpd)),
        ("rp7d", json(&limits.rp7d)),
        ("tpm", json(&limits.tpm)),
        ("max_in_flight", json(&limits.max_in_flight)),
        ("spend_usd", json(&limits.spend_usd)),
        ("spend_usd_5h", json(&limits.spend_usd_5h)),
        ("spend_usd_day", json(&limits.spend_usd_day)),
        ("spend_usd_7d", json(&limits.spend_usd_7d)),
        ("spend_usd_30d", json(&limits.spend_usd_30d)),
    ]
}

/// A limit that is not there is none.
fn read_limits(text: &str) -> Option<Limits> {
    let kept: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    let count = |name: &str| {
        kept.get(name)
            .map_or(Some(0), |number| number.get().parse().ok())
    };
    let usd = |name: &str| {
        kept.get(name)
            .map_or(Some(Usd::ZERO), |amount| Usd::parse(amount.get()))
    };
    Some(Limits {
        rpm: count("rpm")?,
        rp5h: count("rp5h")?,
        rpd: count("rpd")?,
        rp7d: count("rp7d")?,
        tpm: count("tpm")?,
        max_in_flight: count("max_in_flight")?,
        spend_usd: usd("spend_usd")?,
        spend_usd_5h: usd("spend_usd_5h")?,
        spend_usd_day: usd("spend_usd_day")?,
        spend_usd_7d: usd("spend_usd_7d")?,
        spend_usd_30d: usd("spend_usd_30d")?,
    })
}
