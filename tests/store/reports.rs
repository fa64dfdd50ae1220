//! Reports, against a naive reference and within their time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use torouter::base::Usd;
use torouter::store::{Dimension, Filters, ReportQuery, ReportRow, Store, UsageRow};

use super::place::Place;
use super::suite::list;
use super::usage::{DAY0, HOUR, row, write};

list![
    every_report_says_what_its_rows_say,
    a_report_is_ordered_and_bounded,
    a_month_of_sums_is_reported_in_time,
];

const DIMENSIONS: [Dimension; 5] = [
    Dimension::Day,
    Dimension::Key,
    Dimension::Group,
    Dimension::Channel,
    Dimension::Model,
];

/// Names whose order differs between alphabets and bytes.
const NAMES: [&str; 5] = ["a", "B", "é", "a-b", ""];

fn random_row(random: &mut StdRng) -> UsageRow {
    let mut name = || (*NAMES.choose(random).expect("names")).to_owned();
    let (key, group, channel, model) = (name(), name(), name(), name());
    let mut count = |most: i64| {
        if random.random_bool(0.5) {
            random.random_range(0..most)
        } else {
            0
        }
    };
    UsageRow {
        uncached: count(9),
        cache_read: count(1_000),
        cache_write_5m: count(1_000_000),
        cache_write_1h: count(9),
        output: count(1_000_000_000),
        reasoning: count(1_000),
        status: 200 + 100 * count(4) as u16,
        is_final: random.random_bool(0.8),
        estimated: random.random_bool(0.3),
        cost_pico: random
            .random_bool(0.7)
            .then(|| random.random_range(0..i64::MAX)),
        // Often at the edge of an hour.
        at: DAY0
            + random.random_range(-30..30) * HOUR
            + *[0, -1, 1, random.random_range(0..HOUR)]
                .choose(random)
                .expect("one"),
        key_id: format!("key_{key}"),
        group,
        channel,
        model,
        ..row(0, &key)
    }
}

fn random_filters(random: &mut StdRng) -> Filters {
    let mut some = |prefix: &str| {
        let count = if random.random_bool(0.6) {
            0
        } else {
            random.random_range(1..4)
        };
        (0..count)
            .map(|_| {
                let name = NAMES.choose(random).expect("names");
                format!("{prefix}{name}")
            })
            .collect::<Vec<_>>()
    };
    let (keys, groups, channels, models) = (
        [some(""), some("key_")].concat(),
        some(""),
        some(""),
        some(""),
    );
    let mut time = || {
        let hours = random.random_range(-32..32);
        let within = [0, 1, HOUR - 1, random.random_range(0..HOUR)];
        random
            .random_bool(0.7)
            .then(|| DAY0 + hours * HOUR + within.choose(random).expect("one"))
    };
    Filters {
        since: time(),
        until: time(),
        keys,
        groups,
        channels,
        models,
    }
}

fn is_meant(row: &UsageRow, filters: &Filters) -> bool {
    let among = |names: &[String], of: &[&String]| {
        names.is_empty() || of.iter().any(|name| names.contains(name))
    };
    filters.since.is_none_or(|since| row.at >= since)
        && filters.until.is_none_or(|until| row.at < until)
        && among(&filters.keys, &[&row.key, &row.key_id])
        && among(&filters.groups, &[&row.group])
        && among(&filters.channels, &[&row.channel])
        && among(&filters.models, &[&row.model])
}

/// The report as anybody would write it who has all rows in hand.
fn reference(rows: &[UsageRow], ask: &ReportQuery) -> Vec<ReportRow> {
    let mut sums: BTreeMap<Vec<String>, (ReportRow, bool)> = BTreeMap::new();
    if ask.by.is_empty() {
        sums.insert(Vec::new(), (ReportRow::default(), false));
    }
    for row in rows.iter().filter(|row| is_meant(row, &ask.filters)) {
        let of = |dimension: &Dimension| match dimension {
            Dimension::Day => format!("2026-11-{:02}", 23 + (row.at - DAY0).div_euclid(24 * HOUR)),
            Dimension::Key => row.key.clone(),
            Dimension::Group => row.group.clone(),
            Dimension::Channel => row.channel.clone(),
            Dimension::Model => row.model.clone(),
        };
        let named = ask.by.iter().map(of).collect();
        let (sum, any_priced) = sums.entry(named).or_default();
        for dimension in &ask.by {
            let name = Some(of(dimension));
            match dimension {
                Dimension::Day => sum.day = name,
                Dimension::Key => sum.key = name,
                Dimension::Group => sum.group = name,
                Dimension::Channel => sum.channel = name,
                Dimension::Model => sum.model = name,
            }
        }
        let input = row.uncached + row.cache_read + row.cache_write_5m + row.cache_write_1h;
        let used = input > 0 || row.output > 0;
        if row.is_final {
            sum.requests += 1;
            sum.errors += i64::from(row.status >= 400);
        }
        sum.input_tokens += input;
        sum.cache_read_tokens += row.cache_read;
        sum.cache_write_tokens += row.cache_write_5m + row.cache_write_1h;
        sum.output_tokens += row.output;
        sum.reasoning_tokens += row.reasoning;
        sum.estimated += i64::from(row.estimated);
        match row.cost_pico {
            Some(cost) => {
                sum.cost = Some(sum.cost.unwrap_or_default() + Usd::from_pico(cost.into()));
                *any_priced |= used || cost > 0;
            }
            None => sum.unpriced += i64::from(used),
        }
    }
    sums.into_values()
        .map(|(mut sum, any_priced)| {
            sum.cost = (any_priced || sum.unpriced == 0).then(|| sum.cost.unwrap_or_default());
            sum
        })
        .collect()
}

async fn every_report_says_what_its_rows_say(place: Place) {
    let store = place.open();
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for batch in 0..6 {
        let new: Vec<_> = (0..random.random_range(1..120))
            .map(|_| random_row(&mut random))
            .collect();
        write(&store, &format!("{batch}"), new.clone()).await;
        rows.extend(new);
    }
    for _ in 0..150 {
        let mut by = DIMENSIONS.to_vec();
        by.retain(|_| random.random_bool(0.4));
        let ask = ReportQuery {
            filters: random_filters(&mut random),
            by,
            limit: 100_000,
        };
        let told = store.usage_report(ask.clone()).await.expect("a report");
        assert_eq!(told, reference(&rows, &ask), "seed {seed}: {ask:?}");
    }
}

async fn report(store: &Store, by: &[Dimension], limit: u32) -> Vec<ReportRow> {
    let ask = ReportQuery {
        filters: Filters::default(),
        by: by.to_vec(),
        limit,
    };
    store.usage_report(ask).await.expect("a report")
}

async fn a_report_is_ordered_and_bounded(place: Place) {
    let store = place.open();
    let rows = (0..30).map(|n| row(DAY0 - n * 24 * HOUR, NAMES[n as usize % 3]));
    write(&store, "b", rows.collect()).await;
    let told = report(&store, &[Dimension::Key, Dimension::Day], 12).await;
    let told: Vec<_> = told.iter().map(|row| (&row.key, &row.day)).collect();
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!((told.len(), &told), (12, &sorted));
    assert_eq!(told[0].0.as_deref(), Some("B"));
    assert_eq!(told[0].1.as_deref(), Some("2026-10-26"));
}

/// As many sums as a month of 100 combinations of key, channel and model has, of however many requests.
async fn a_month_of_sums_is_reported_in_time(place: Place) {
    if !place.is_shared() {
        return;
    }
    let store = place.open();
    // 494 000 is an hour of 2026.
    place
        .sql(
            "INSERT INTO hours
             WITH RECURSIVE h(hour) AS (SELECT 494000 UNION ALL SELECT hour + 1 FROM h WHERE hour < 494719),
             k(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM k WHERE k < 9),
             m(m) AS (SELECT 0 UNION ALL SELECT m + 1 FROM m WHERE m < 9)
             SELECT hour, 'key_' || k, 'k' || k, 'default', 'up', 'm' || m, 139, 139, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 5
             FROM h, k, m",
        )
        .await;
    let from = Instant::now();
    let told = report(
        &store,
        &[Dimension::Day, Dimension::Key, Dimension::Model],
        100_000,
    )
    .await;
    let took = from.elapsed();
    println!("72 000 sums by day, key, model: {took:?}");
    assert!(told.len() >= 30 * 100, "{}", told.len());
    let requests: i64 = told.iter().map(|row| row.requests).sum();
    assert_eq!(requests, 72_000 * 139);
    assert!(took < Duration::from_secs(1), "{took:?}");
}
