//! Who changed which key, and what of it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::query::{Query, number};
use super::reply::{Refusal, Reply};
use super::value::Time;
use crate::store::AuditRow;

const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;
/// The largest number that every reader of JSON takes as it is.
const MAX_ID: i64 = 9_007_199_254_740_991;

/// A change of a key.
#[derive(Serialize, JsonSchema)]
pub struct Change {
    pub id: i64,
    pub at: Time,
    /// Over which way it came: cli, admin.
    pub by: String,
    /// key.create, key.update, key.delete.
    pub action: String,
    pub key_id: String,
    pub name: String,
    /// What changed, before and after.
    #[schemars(with = "serde_json::Value")]
    pub detail: Box<RawValue>,
}

impl From<AuditRow> for Change {
    fn from(row: AuditRow) -> Self {
        let detail =
            RawValue::from_string(row.detail).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            id: row.id,
            at: Time(row.at),
            by: row.by,
            action: row.action,
            key_id: row.subject,
            name: row.name,
            detail,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Changes {
    /// Newest first.
    pub changes: Vec<Change>,
    /// The `before` of the next page; null: this is the last one.
    pub next: Option<i64>,
}

/// Which changes are told.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct AuditParameters {
    /// How many at most; 100 when nothing is said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// `next` of the page before.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    before: Option<i64>,
}

impl Api {
    pub(super) async fn audit(&self, mut query: Query) -> Result<Reply, Refusal> {
        let limit = query.limit(MAX_PAGE, PAGE)?;
        let before = query.read("before", |text| {
            let before = number(text).filter(|before| *before <= MAX_ID);
            before.ok_or_else(|| "must be the next of a page before".to_owned())
        })?;
        query.end(&["limit", "before"])?;
        let mut rows = self.store.audit(before, limit + 1).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|last| last.id);
        let changes = rows.into_iter().map(Change::from).collect();
        Ok(Reply::json(200, &Changes { changes, next }))
    }
}
