//! Who has changed which key, and what of it. Never a secret, and never a digest.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::engine::{Work, args};
use super::error::StoreError;
use super::keys::KeyRow;
use super::{Store, now};

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// `cli`, `admin`.
    pub by: String,
    /// `key.create`, `key.update`, `key.delete`.
    pub action: String,
    /// The key's id.
    pub subject: String,
    /// The key's name after the change.
    pub name: String,
    /// JSON: each field that has changed, with what stood there `before` and `after`.
    pub detail: String,
}

impl Store {
    /// The changes of keys, newest first; `before` an id, for the next page.
    pub async fn audit(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.call(move |inner| async move {
            let rows = inner
                .engine
                .rows(
                    "SELECT id, at, by_whom, action, subject, name, detail FROM audit
                     WHERE id < $1 ORDER BY id DESC LIMIT $2",
                    args![before.unwrap_or(i64::MAX), i64::from(limit)],
                )
                .await?;
            let read = |row: &super::engine::Row| {
                Ok(AuditRow {
                    id: row.int(0)?,
                    at: row.int(1)?,
                    by: row.text(2)?,
                    action: row.text(3)?,
                    subject: row.text(4)?,
                    name: row.text(5)?,
                    detail: row.text(6)?,
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }
}

#[derive(Serialize)]
struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a RawValue>,
}

/// What differs, field by field. A new secret is told by its hints.
fn detail(before: Option<&KeyRow>, after: Option<&KeyRow>) -> String {
    let new_secret = match (before, after) {
        (Some(before), Some(after)) => before.digest != after.digest,
        _ => true,
    };
    let (before, after) = (before.map(KeyRow::told), after.map(KeyRow::told));
    let mut names: Vec<&str> = Vec::new();
    for fields in [&before, &after].into_iter().flatten() {
        for (name, _) in fields {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    let value = |fields: &Option<Vec<(&'static str, Box<RawValue>)>>, name: &str| {
        let found = fields.as_ref()?.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let values: Vec<_> = names
        .into_iter()
        .map(|name| (name, value(&before, name), value(&after, name)))
        .collect();
    let changes: BTreeMap<_, _> = values
        .iter()
        .filter(|(name, before, after)| {
            let differs =
                before.as_ref().map(|value| value.get()) != after.as_ref().map(|value| value.get());
            differs || (*name == "secret" && new_secret)
        })
        .map(|(name, before, after)| {
            let (before, after) = (before.as_deref(), after.as_deref());
            (*name, Change { before, after })
        })
        .collect();
    // Names and raw values: nothing here can fail to be written.
    serde_json::to_string(&changes).unwrap_or_default()
}

/// Takes a change down, in the transaction that makes it.
pub(super) async fn note(
    work: &mut Work,
    by: &str,
    action: &str,
    before: Option<&KeyRow>,
    after: Option<&KeyRow>,
) -> Result<(), StoreError> {
    let Some(key) = after.or(before) else {
        return Ok(());
    };
    work.run(
        "INSERT INTO audit (at, by_whom, action, subject, name, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        args![now(), by, action, &key.id, &key.name, detail(before, after)],
    )
    .await?;
    Ok(())
}
