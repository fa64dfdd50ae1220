//! How fast usage is written. A figure, and a guard with much room: machines differ, and these builds are not optimised.

use std::time::{Duration, Instant};

use torouter::store::{Dimension, Filters, ReportQuery, UsageRow};

use super::place::{Place, Postgres};
use super::usage::{DAY0, row, total};

const BATCH: i64 = 2_000;
/// 10 million rows are a month.
const APART_MS: i64 = 259;

/// As many as `STORE_ROWS` says.
fn rows() -> i64 {
    let rows = std::env::var("STORE_ROWS").ok();
    rows.map_or(200_000, |rows| rows.parse().expect("a number"))
}

/// A hundred combinations of key and model.
fn batch(from: i64) -> Vec<UsageRow> {
    let one = |n: i64| UsageRow {
        request_id: format!("req_{:024}", n.wrapping_mul(0x5851_f42d_4c95_7f2d)),
        model: format!("gpt-5.{}-2026-01-01", n % 10),
        ..row(DAY0 + n * APART_MS, &format!("team-{}", n / 10 % 10))
    };
    (from..from + BATCH).map(one).collect()
}

async fn write_and_report(place: &Place) {
    let store = place.open();
    let (count, mut written, mut making) = (rows(), 0, Duration::ZERO);
    let from = Instant::now();
    while written < count {
        let begun = Instant::now();
        let rows = batch(written);
        making += begun.elapsed();
        let new = store.usage_write(format!("batch_{written}"), rows).await;
        assert!(new.expect("written"));
        written += BATCH;
    }
    let took = (from.elapsed() - making).as_secs_f64();
    let rate = written as f64 / took;
    println!("{written} rows in batches of {BATCH}: {rate:.0} rows/s");
    assert!(rate > 5_000.0, "{rate} rows/s");
    let from = Instant::now();
    let ask = ReportQuery {
        filters: Filters {
            since: Some(DAY0 + 1234),
            ..Filters::default()
        },
        by: vec![Dimension::Day, Dimension::Key, Dimension::Model],
        limit: 100_000,
    };
    let told = store.usage_report(ask).await.expect("a report");
    let took = from.elapsed();
    println!(
        "a report by day, key, model: {} rows in {took:?}",
        told.len()
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(total(&store, Filters::default()).await.requests, written);
}

#[tokio::test]
async fn usage_is_written_fast_to_a_file() {
    write_and_report(&Place::file()).await;
}

#[tokio::test]
async fn usage_is_written_fast_to_postgresql() {
    let server = Postgres::start();
    write_and_report(&Place::postgres(&server, "speed")).await;
}
