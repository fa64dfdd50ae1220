//! What was used and what it cost, over the admin API; the command `usage` tells the same rows.

use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::csv;
use super::query::Query;
use super::reply::{Refusal, Reply};
use super::value::{Plain, Time};
use crate::base::Usd;
use crate::store::{Dimension, Filters, ReportQuery, ReportRow};

/// More rows than this are cut off, and the answer says so.
pub const MAX_ROWS: u32 = 10_000;

const FILTERS: [&str; 6] = ["since", "until", "key", "group", "channel", "model"];

/// A point in time of a filter.
#[derive(JsonSchema)]
#[schemars(inline, transparent)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct When(
    /// RFC 3339, a date (its beginning in UTC), or how long ago: 24h, 7d
    #[schemars(extend("anyOf" = [{ "format": "date-time" }, { "format": "date" }, { "pattern": "^[0-9]{1,4}[smhd]$" }]))]
    String,
);

#[derive(Default)]
pub struct Asked {
    pub filters: Filters,
    pub csv: bool,
}

impl Asked {
    /// The parameters that usage and requests have in common.
    pub fn take(query: &mut Query) -> Result<Self, Refusal> {
        let since = query.read("since", time)?.map(|time| time.0);
        let until = query.read("until", time)?.map(|time| time.0);
        Ok(Self {
            filters: Filters {
                since,
                until,
                keys: query.all("key")?,
                groups: query.all("group")?,
                channels: query.all("channel")?,
                models: query.all("model")?,
            },
            csv: query.read("format", format)? == Some(true),
        })
    }

    pub fn known(more: &[&'static str]) -> Vec<&'static str> {
        FILTERS
            .iter()
            .chain(["format"].iter())
            .chain(more)
            .copied()
            .collect()
    }
}

/// A time in a query. The plus of an offset, where it is not escaped, has become a blank.
fn time(text: &str) -> Result<Time, String> {
    match text.rsplit_once(' ') {
        Some((at, offset)) if offset.len() == "00:00".len() => {
            Time::past(&format!("{at}+{offset}"))
        }
        _ => Time::past(text),
    }
}

fn format(text: &str) -> Result<bool, String> {
    match text {
        "json" => Ok(false),
        "csv" => Ok(true),
        _ => Err("must be json or csv".to_owned()),
    }
}

/// Dimensions by their names, each once: `day,key`.
pub fn dimensions(text: &str) -> Result<Vec<Dimension>, String> {
    let mut by = Vec::new();
    for word in text.split(',') {
        let Some((_, dimension)) = DIMENSIONS.iter().find(|(name, _)| *name == word) else {
            return Err(
                "must be a list of day, key, group, channel, model, like \"day,key\"".to_owned(),
            );
        };
        if !by.contains(dimension) {
            by.push(*dimension);
        }
    }
    Ok(by)
}

const DIMENSIONS: [(&str, Dimension); 5] = [
    ("day", Dimension::Day),
    ("key", Dimension::Key),
    ("group", Dimension::Group),
    ("channel", Dimension::Channel),
    ("model", Dimension::Model),
];

pub fn dimension_name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "day",
        Dimension::Key => "key",
        Dimension::Group => "group",
        Dimension::Channel => "channel",
        Dimension::Model => "model",
    }
}

/// The value of a row in a dimension.
pub fn dimension_of(row: &ReportRow, dimension: Dimension) -> &str {
    let value = match dimension {
        Dimension::Day => &row.day,
        Dimension::Key => &row.key,
        Dimension::Group => &row.group,
        Dimension::Channel => &row.channel,
        Dimension::Model => &row.model,
    };
    value.as_deref().unwrap_or_default()
}

/// A combination of the asked dimensions, and what was used in it.
#[derive(Serialize, JsonSchema)]
pub struct UsageView {
    /// In UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub requests: i64,
    /// Requests that ended with a status of 400 or above.
    pub errors: i64,
    /// All input: also what was read from a cache, and written to one.
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    /// All output, with reasoning.
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    /// Exact. null: no price is known. Where only some are known, their sum.
    #[schemars(with = "Option<f64>")]
    pub cost_usd: Option<Usd>,
    /// Requests whose tokens were counted here, since the provider did not tell.
    pub estimated: i64,
    /// Requests whose tokens have no known price.
    pub unpriced: i64,
}

impl From<&ReportRow> for UsageView {
    fn from(row: &ReportRow) -> Self {
        Self {
            day: row.day.clone(),
            key: row.key.clone(),
            group: row.group.clone(),
            channel: row.channel.clone(),
            model: row.model.clone(),
            requests: row.requests,
            errors: row.errors,
            input_tokens: row.input_tokens,
            cache_read_tokens: row.cache_read_tokens,
            cache_write_tokens: row.cache_write_tokens,
            output_tokens: row.output_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cost_usd: row.cost,
            estimated: row.estimated,
            unpriced: row.unpriced,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct UsageAnswer {
    pub rows: Vec<UsageView>,
    /// There are more rows than are told here.
    pub truncated: bool,
}

impl UsageAnswer {
    /// `rows` were asked for with one more than `limit`.
    pub fn new(rows: &[ReportRow], limit: u32) -> Self {
        let truncated = rows.len() > limit as usize;
        let rows = rows.iter().take(limit as usize);
        Self {
            rows: rows.map(UsageView::from).collect(),
            truncated,
        }
    }
}

/// The numbers of a row by their names, as tables and CSV have them.
pub fn numbers(row: &ReportRow) -> [(&'static str, i64); 9] {
    [
        ("requests", row.requests),
        ("errors", row.errors),
        ("input_tokens", row.input_tokens),
        ("cache_read_tokens", row.cache_read_tokens),
        ("cache_write_tokens", row.cache_write_tokens),
        ("output_tokens", row.output_tokens),
        ("reasoning_tokens", row.reasoning_tokens),
        ("estimated", row.estimated),
        ("unpriced", row.unpriced),
    ]
}

/// The rows as CSV, with a head. An unknown cost is empty.
pub fn to_csv(by: &[Dimension], rows: &[ReportRow]) -> String {
    let mut out = String::new();
    let names = numbers(&ReportRow::default()).map(|(name, _)| name);
    let dimensions = by.iter().map(|dimension| dimension_name(*dimension));
    csv::write(&mut out, dimensions.chain(names).chain(["cost_usd"]));
    for row in rows {
        let numbers = numbers(row).map(|(_, number)| number.to_string());
        let cost = row.cost.map_or_else(String::new, |cost| cost.to_string());
        let values = by.iter().map(|dimension| dimension_of(row, *dimension));
        let numbers = numbers.iter().map(String::as_str);
        csv::write(&mut out, values.chain(numbers).chain([cost.as_str()]));
    }
    out
}

/// Which usage is told, and how.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct UsageParameters {
    since: Option<When>,
    /// Until before this time.
    until: Option<When>,
    /// Names or ids of keys.
    key: Option<Vec<Plain>>,
    group: Option<Vec<Plain>>,
    channel: Option<Vec<Plain>>,
    /// Models as they were asked for.
    model: Option<Vec<Plain>>,
    /// A row for each combination of these; without it one row, the total.
    #[schemars(regex(
        pattern = r"^(day|key|group|channel|model)(,(day|key|group|channel|model)){0,4}$"
    ))]
    by: Option<String>,
    format: Option<Format>,
    /// How many rows at most; 10000 when nothing is said.
    #[schemars(range(min = 1, max = 10000))]
    limit: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
pub enum Format {
    Json,
    Csv,
}

impl Api {
    pub(super) async fn usage(&self, mut query: Query) -> Result<Reply, Refusal> {
        let asked = Asked::take(&mut query)?;
        let by = query.read("by", dimensions)?.unwrap_or_default();
        let limit = query.limit(MAX_ROWS, MAX_ROWS)?;
        query.end(&Asked::known(&["by", "limit"]))?;
        (self.bell.flush_usage)().await;
        let ask = ReportQuery {
            filters: asked.filters,
            by: by.clone(),
            limit: limit + 1,
        };
        let mut rows = self.store.usage_report(ask).await?;
        if asked.csv {
            let truncated = rows.len() > limit as usize;
            rows.truncate(limit as usize);
            let body = to_csv(&by, &rows).into_bytes();
            let reply = Reply::whole(200, csv::TYPE, body);
            return Ok(if truncated {
                reply.with("x-torouter-truncated", "true")
            } else {
                reply
            });
        }
        Ok(Reply::json(200, &UsageAnswer::new(&rows, limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plus_of_an_offset_need_not_be_escaped() {
        let since = |text: &str| {
            let mut query = Query::parse(&format!("since={text}")).ok()?;
            Asked::take(&mut query).ok()?.filters.since
        };
        let escaped = since("2026-11-23T02:00:00%2B02:00");
        assert_eq!(escaped, since("2026-11-23"));
        assert!(escaped.is_some());
        assert_eq!(since("2026-11-23T02:00:00+02:00"), escaped);
        assert_eq!(since("2026-11-22T22:00:00-02:00"), escaped);
        assert_eq!(since("2026-11-23+02:00"), None);
        assert_eq!(since("2026-11-23T02:00:00+"), None);
    }
}
