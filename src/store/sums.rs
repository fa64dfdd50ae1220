//! The sums of usage: what a batch adds to each hour, and to what each key has spent.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::engine::{Arg, Inserts, args};
use super::usage::UsageRow;

pub(super) const HOUR_MS: i64 = 3_600_000;
/// A sum of picodollars stands in two columns: as many of these, and the rest.
pub(super) const COST_PART: i64 = 1_000_000_000;

pub(super) static HOURS: LazyLock<Inserts> = LazyLock::new(|| {
    let sums = "requests, admitted, errors, input, cache_read, cache_write, output, reasoning, estimated, priced, unpriced, cost_high, cost_low";
    let of = "hour, key_id, key_name, group_name, channel, model";
    let add = adding("hours", sums);
    Inserts::new(
        "hours",
        &format!("{of}, {sums}"),
        &format!("ON CONFLICT ({of}) DO UPDATE SET {add}"),
    )
});

pub(super) static SPENT: LazyLock<Inserts> = LazyLock::new(|| {
    let add = adding("spent", "cost_high, cost_low");
    Inserts::new(
        "spent",
        "key_id, cost_high, cost_low",
        &format!("ON CONFLICT (key_id) DO UPDATE SET {add}"),
    )
});

fn adding(table: &str, columns: &str) -> String {
    let add = |column: &str| format!("{column} = {table}.{column} + excluded.{column}");
    columns.split(", ").map(add).collect::<Vec<_>>().join(", ")
}

/// What an hour's sums are of: hour, id and name of the key, group, channel, model.
pub(super) type Of = (i64, String, String, String, String, String);

#[derive(Default)]
pub(super) struct Sums {
    requests: i64,
    admitted: i64,
    errors: i64,
    input: i64,
    cache_read: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
    estimated: i64,
    priced: i64,
    unpriced: i64,
    cost_high: i64,
    cost_low: i64,
}

impl Sums {
    pub(super) fn columns(self, (hour, key_id, key, group, channel, model): Of) -> Vec<Arg> {
        args![
            hour,
            key_id,
            key,
            group,
            channel,
            model,
            self.requests,
            self.admitted,
            self.errors,
            self.input,
            self.cache_read,
            self.cache_write,
            self.output,
            self.reasoning,
            self.estimated,
            self.priced,
            self.unpriced,
            self.cost_high,
            self.cost_low,
        ]
    }

    fn add(&mut self, row: &UsageRow) {
        self.requests += i64::from(row.is_final);
        self.admitted += i64::from(row.is_final && row.admitted);
        self.errors += i64::from(row.is_final && row.status >= 400);
        self.input += row.input();
        self.cache_read += row.cache_read;
        self.cache_write += row.cache_write_5m + row.cache_write_1h;
        self.output += row.output;
        self.reasoning += row.reasoning;
        self.estimated += i64::from(row.estimated);
        let used = row.input() + row.output > 0;
        let cost = row.cost_pico;
        self.priced += i64::from(cost.is_some_and(|cost| used || cost > 0));
        self.unpriced += i64::from(used && cost.is_none());
        self.cost_high += cost.unwrap_or(0) / COST_PART;
        self.cost_low += cost.unwrap_or(0) % COST_PART;
    }
}

/// The sums of a batch, an hour and all else that reports tell apart; and what each key has spent in it.
pub(super) fn fold(rows: &[UsageRow]) -> (BTreeMap<Of, Sums>, BTreeMap<String, (i64, i64)>) {
    let (mut hours, mut spent) = (BTreeMap::<Of, Sums>::new(), BTreeMap::new());
    for row in rows {
        let of = (
            row.at / HOUR_MS,
            row.key_id.clone(),
            row.key.clone(),
            row.group.clone(),
            row.channel.clone(),
            row.model.clone(),
        );
        hours.entry(of).or_default().add(row);
        if let Some(cost) = row.cost_pico.filter(|cost| *cost > 0)
            && !row.key_id.is_empty()
        {
            let (high, low) = spent.entry(row.key_id.clone()).or_insert((0, 0));
            *high += cost / COST_PART;
            *low += cost % COST_PART;
        }
    }
    (hours, spent)
}
