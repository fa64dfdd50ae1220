//! What keys have used lately and in all: for limits, after a start.

use super::Store;
use super::engine::args;
use super::error::StoreError;
use super::reports::{INPUT, SWEPT, Source, usd};
use super::sums::{COST_PART, HOUR_MS};
use crate::base::Usd;

/// More ids are not asked for by name: all keys are read, and these taken out.
const NAMED: usize = 500;

/// What a key has used in one span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    pub key_id: String,
    /// Its time, in Unix milliseconds, by the asked step.
    pub bucket: i64,
    pub requests: i64,
    /// Input and output.
    pub tokens: i64,
    pub cost: Usd,
}

impl Store {
    /// What each of these keys (`None`: every key) has used since `since`, in buckets of `step_ms`, in their order.
    ///
    /// With a step of whole hours, whole hours come from their sums. Where rows are gone already, an hour's sums
    /// stand in the bucket of its last millisecond: they count longer rather than shorter.
    pub async fn used(
        &self,
        key_ids: Option<Vec<String>>,
        since: i64,
        step_ms: i64,
    ) -> Result<Vec<Used>, StoreError> {
        self.call(move |inner| async move {
            let few = key_ids.as_ref().filter(|ids| ids.len() <= NAMED);
            if few.is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
            let mut source = Source::default();
            let union = union(&mut source, few, since.max(0), step_ms.max(1));
            let sql = format!(
                "SELECT key_id, bucket, CAST(SUM(requests) AS BIGINT), CAST(SUM(tokens) AS BIGINT),
                 CAST(SUM(cost_high) AS BIGINT), CAST(SUM(cost_low) AS BIGINT)
                 FROM ({union}) AS used GROUP BY key_id, bucket ORDER BY key_id, bucket"
            );
            let rows = inner
                .engine
                .rows(sqlx::AssertSqlSafe(sql), source.args)
                .await?;
            let mut used = Vec::with_capacity(rows.len());
            for row in &rows {
                used.push(Used {
                    key_id: row.text(0)?,
                    bucket: row.int(1)?,
                    requests: row.int(2)?,
                    tokens: row.int(3)?,
                    cost: usd(row.int(4)?, row.int(5)?),
                });
            }
            if let Some(ids) = key_ids.filter(|ids| ids.len() > NAMED) {
                let ids: std::collections::HashSet<_> = ids.into_iter().collect();
                used.retain(|used| ids.contains(&used.key_id));
            }
            Ok(used)
        })
        .await
    }

    /// What each key has spent in all, deleted ones too.
    pub async fn spent(&self) -> Result<Vec<(String, Usd)>, StoreError> {
        self.call(move |inner| async move {
            let sql = "SELECT key_id, cost_high, cost_low FROM spent ORDER BY key_id";
            let rows = inner.engine.rows(sql, args![]).await?;
            rows.iter()
                .map(|row| Ok((row.text(0)?, usd(row.int(1)?, row.int(2)?))))
                .collect()
        })
        .await
    }
}

fn union(source: &mut Source, ids: Option<&Vec<String>>, since: i64, step: i64) -> String {
    let keys = ids.map_or("key_id <> ''".to_owned(), |ids| {
        source.among("key_id", ids).unwrap_or_default()
    });
    let step_mark = source.arg(step);
    let since_mark = source.arg(since);
    // From this hour on whole hours are taken from their sums.
    let first = since / HOUR_MS + i64::from(since % HOUR_MS != 0);
    let of_sums = |condition: String| {
        format!(
            "SELECT key_id, (hour * {HOUR_MS} + {HOUR_MS} - 1) / {step_mark} AS bucket, admitted AS requests, input + output AS tokens, cost_high, cost_low
             FROM hours WHERE {keys} AND {condition}"
        )
    };
    let of_rows = |condition: String| {
        format!(
            "SELECT key_id, at / {step_mark} AS bucket, is_final * admitted AS requests, {INPUT} + output AS tokens,
             COALESCE(cost, 0) / {COST_PART} AS cost_high, COALESCE(cost, 0) % {COST_PART} AS cost_low
             FROM requests WHERE {keys} AND at >= {since_mark} AND at >= {SWEPT} {condition}"
        )
    };
    let hour = source.arg(since / HOUR_MS);
    let parts = if step % HOUR_MS == 0 {
        let (first, end) = (source.arg(first), source.arg(first.saturating_mul(HOUR_MS)));
        [
            of_sums(format!("hour >= {first}")),
            of_sums(format!(
                "hour >= {hour} AND hour < {first} AND hour < {SWEPT} / {HOUR_MS}"
            )),
            of_rows(format!("AND at < {end}")),
        ]
        .to_vec()
    } else {
        [
            of_sums(format!("hour >= {hour} AND hour < {SWEPT} / {HOUR_MS}")),
            of_rows(String::new()),
        ]
        .to_vec()
    };
    parts.join(" UNION ALL ")
}
