//! Sums of usage, by day, key, group, channel and model: whole hours come from the sums that are kept, what a range
//! cuts of an hour from the rows themselves.

use super::Store;
use super::engine::{Arg, Row};
use super::error::StoreError;
use super::sums::{COST_PART, HOUR_MS};
use crate::base::Usd;
use crate::base::clock;

const DAY_HOURS: i64 = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// In UTC.
    Day,
    Key,
    Group,
    Channel,
    Model,
}

/// Which rows are meant. Of an empty list: all.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Unix milliseconds: from here on, and until before there.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Names or ids.
    pub keys: Vec<String>,
    pub groups: Vec<String>,
    pub channels: Vec<String>,
    pub models: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ReportQuery {
    pub filters: Filters,
    pub by: Vec<Dimension>,
    pub limit: u32,
}

/// The sums of one combination of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportRow {
    /// `2026-11-23`.
    pub day: Option<String>,
    pub key: Option<String>,
    pub group: Option<String>,
    pub channel: Option<String>,
    pub model: Option<String>,
    pub requests: i64,
    /// Requests whose status was 400 or more.
    pub errors: i64,
    /// All input, with what was read from and written to caches.
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    /// Rows whose usage was estimated.
    pub estimated: i64,
    /// Rows that used tokens at a price that is not known.
    pub unpriced: i64,
    /// Of the rows whose price is known; `None` where there are only others.
    pub cost: Option<Usd>,
}

impl Store {
    /// A row per combination of the asked dimensions, ordered by them; without dimensions one row, the total.
    pub async fn usage_report(&self, ask: ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
        self.call(move |inner| async move {
            let (sql, args) = report(&ask);
            let rows = inner.engine.rows(sqlx::AssertSqlSafe(sql), args).await?;
            rows.iter()
                .map(|row| ReportRow::read(row, &ask.by))
                .collect()
        })
        .await
    }
}

fn report(ask: &ReportQuery) -> (String, Vec<Arg>) {
    let mut source = Source::default();
    let union = source.of(&ask.filters);
    let names: Vec<&str> = ask.by.iter().map(|by| by.column()).collect();
    let of = names.iter().map(|name| format!("{name}, "));
    let sums = SUMS.map(|name| format!("CAST(COALESCE(SUM({name}), 0) AS BIGINT)"));
    let mut sql = format!(
        "SELECT {}{} FROM ({union}) AS used",
        of.collect::<String>(),
        sums.join(", ")
    );
    if !names.is_empty() {
        let names = names.join(", ");
        sql.push_str(&format!(" GROUP BY {names} ORDER BY {names}"));
    }
    let limit = source.arg(i64::from(ask.limit));
    sql.push_str(&format!(" LIMIT {limit}"));
    (sql, source.args)
}

/// The sums, in the order in which each part of a [`Source`] has them behind its dimensions.
const SUMS: [&str; 12] = [
    "requests",
    "errors",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "estimated",
    "priced",
    "unpriced",
    "cost_high",
    "cost_low",
];

impl Dimension {
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Key => "key_name",
            Self::Group => "group_name",
            Self::Channel => "channel",
            Self::Model => "model",
        }
    }
}

/// A statement that is being made, with its arguments.
#[derive(Default)]
pub(super) struct Source {
    pub args: Vec<Arg>,
}

impl Source {
    /// The placeholder of one more argument.
    pub fn arg(&mut self, arg: impl Into<Arg>) -> String {
        self.args.push(arg.into());
        format!("${}", self.args.len())
    }

    /// `column IN (…)`, or nothing for an empty list.
    pub fn among(&mut self, column: &str, names: &[String]) -> Option<String> {
        if names.is_empty() {
            return None;
        }
        let marks: Vec<String> = names.iter().map(|name| self.arg(name)).collect();
        Some(format!("{column} IN ({})", marks.join(", ")))
    }

    /// The conditions of all filters but the range.
    pub fn filters(&mut self, filters: &Filters) -> Vec<String> {
        let keys = self
            .among("key_name", &filters.keys)
            .zip(self.among("key_id", &filters.keys))
            .map(|(name, id)| format!("({name} OR {id})"));
        let rest = [
            self.among("group_name", &filters.groups),
            self.among("channel", &filters.channels),
            self.among("model", &filters.models),
        ];
        keys.into_iter().chain(rest.into_iter().flatten()).collect()
    }

    /// Everything in the range, in one statement, so that it is one state of the database: the whole hours from their
    /// sums, the hours that the range cuts from their rows; of hours whose rows may be gone the whole sums.
    fn of(&mut self, filters: &Filters) -> String {
        let ranges = Ranges::of(filters.since, filters.until);
        let conditions = self.filters(filters);
        let conditions = |range: String| {
            let all: Vec<_> = std::iter::once(range).chain(conditions.clone()).collect();
            all.join(" AND ")
        };
        let (from, to) = (self.arg(ranges.whole.0), self.arg(ranges.whole.1));
        let mut parts = vec![hours(&conditions(format!(
            "hour >= {from} AND hour < {to}"
        )))];
        for (since, until) in ranges.cut {
            let hour = self.arg(since / HOUR_MS);
            let (since, until) = (self.arg(since), self.arg(until));
            parts.push(hours(&conditions(format!(
                "hour = {hour} AND hour < {SWEPT} / {HOUR_MS}"
            ))));
            parts.push(rows(&conditions(format!(
                "at >= {since} AND at < {until} AND at >= {SWEPT}"
            ))));
        }
        parts.join(" UNION ALL ")
    }
}

/// Rows that ended before this may be gone; a whole hour.
pub(super) const SWEPT: &str = "(SELECT value FROM counters WHERE name = 'swept')";

fn hours(condition: &str) -> String {
    let sums = SUMS.join(", ");
    format!(
        "SELECT hour / {DAY_HOURS} AS day, key_name, group_name, channel, model, {sums} FROM hours WHERE {condition}"
    )
}

/// Rows as if each were an hour: says the same as `Sums::add`.
fn rows(condition: &str) -> String {
    format!(
        "SELECT at / {day} AS day, key_name, group_name, channel, model, is_final AS requests,
         CASE WHEN is_final = 1 AND status >= 400 THEN 1 ELSE 0 END AS errors,
         {INPUT} AS input, cache_read, cache_write_5m + cache_write_1h AS cache_write, output, reasoning, estimated,
         CASE WHEN cost IS NOT NULL AND (cost > 0 OR {INPUT} + output > 0) THEN 1 ELSE 0 END AS priced,
         CASE WHEN cost IS NULL AND {INPUT} + output > 0 THEN 1 ELSE 0 END AS unpriced,
         COALESCE(cost, 0) / {COST_PART} AS cost_high, COALESCE(cost, 0) % {COST_PART} AS cost_low
         FROM requests WHERE {condition}",
        day = DAY_HOURS * HOUR_MS,
    )
}

pub(super) const INPUT: &str = "(uncached + cache_read + cache_write_5m + cache_write_1h)";

/// A range of time: the whole hours in it, and the parts of hours at its ends.
#[derive(Debug, PartialEq, Eq)]
struct Ranges {
    whole: (i64, i64),
    cut: Vec<(i64, i64)>,
}

impl Ranges {
    fn of(since: Option<i64>, until: Option<i64>) -> Self {
        let since = since.unwrap_or(0).max(0);
        // Up to the last whole hour that there is.
        let until = until.unwrap_or(i64::MAX).min(i64::MAX / HOUR_MS * HOUR_MS);
        if since >= until {
            return Self {
                whole: (0, 0),
                cut: Vec::new(),
            };
        }
        let first = since / HOUR_MS + i64::from(since % HOUR_MS != 0);
        let end = until / HOUR_MS;
        if first > end {
            return Self {
                whole: (0, 0),
                cut: vec![(since, until)],
            };
        }
        let cut = [(since, first * HOUR_MS), (end * HOUR_MS, until)];
        Self {
            whole: (first, end),
            cut: cut.into_iter().filter(|(from, to)| from < to).collect(),
        }
    }
}

/// An amount from its two columns.
pub(super) fn usd(high: i64, low: i64) -> Usd {
    Usd::from_pico(i128::from(high) * i128::from(COST_PART) + i128::from(low))
}

impl ReportRow {
    fn read(row: &Row, by: &[Dimension]) -> Result<Self, StoreError> {
        let mut read = Self::default();
        for (at, dimension) in by.iter().enumerate() {
            match dimension {
                Dimension::Day => read.day = Some(date(row.int(at)?)),
                Dimension::Key => read.key = Some(row.text(at)?),
                Dimension::Group => read.group = Some(row.text(at)?),
                Dimension::Channel => read.channel = Some(row.text(at)?),
                Dimension::Model => read.model = Some(row.text(at)?),
            }
        }
        let sum = |at: usize| row.int(by.len() + at);
        read.requests = sum(0)?;
        read.errors = sum(1)?;
        read.input_tokens = sum(2)?;
        read.cache_read_tokens = sum(3)?;
        read.cache_write_tokens = sum(4)?;
        read.output_tokens = sum(5)?;
        read.reasoning_tokens = sum(6)?;
        read.estimated = sum(7)?;
        read.unpriced = sum(9)?;
        let only_unpriced = sum(8)? == 0 && read.unpriced > 0;
        read.cost = (!only_unpriced).then_some(usd(sum(10)?, sum(11)?));
        Ok(read)
    }
}

/// `2026-11-23`, of a number of days since 1970.
fn date(days: i64) -> String {
    let ms = days.saturating_mul(DAY_HOURS * HOUR_MS).max(0);
    let mut date = clock::rfc3339_ms(ms.cast_unsigned());
    date.truncate(10);
    date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_whole_hours_and_what_is_cut_of_hours() {
        const H: i64 = HOUR_MS;
        for (since, until, whole, cut) in [
            (Some(0), Some(2 * H), (0, 2), vec![]),
            (Some(1), Some(2 * H), (1, 2), vec![(1, H)]),
            (Some(H), Some(2 * H + 5), (1, 2), vec![(2 * H, 2 * H + 5)]),
            (
                Some(H - 1),
                Some(H + 1),
                (1, 1),
                vec![(H - 1, H), (H, H + 1)],
            ),
            (Some(7), Some(9), (0, 0), vec![(7, 9)]),
            (Some(9), Some(9), (0, 0), vec![]),
            (Some(-5), Some(-1), (0, 0), vec![]),
            (None, None, (0, i64::MAX / H), vec![]),
        ] {
            let ranges = Ranges::of(since, until);
            assert_eq!(ranges, Ranges { whole, cut }, "{since:?} {until:?}");
        }
    }
}
