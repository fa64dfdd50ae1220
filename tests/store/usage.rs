//! Usage as it is written: once, and as a whole.

use torouter::base::Usd;
use torouter::store::{Filters, ReportQuery, ReportRow, RequestQuery, Store, UsageRow};

use super::place::Place;
use super::suite::list;

list![
    a_batch_is_written_once,
    rows_are_read_as_they_were_written,
    numbers_out_of_bounds_and_nul_are_brought_in,
    costs_beyond_64_bits_are_summed_exactly,
    a_price_that_is_not_known_is_no_zero,
    batches_that_race_are_all_summed,
    what_a_key_has_used_is_told_by_buckets,
];

pub const HOUR: i64 = 3_600_000;
/// 2026-11-23, midnight.
pub const DAY0: i64 = 20_780 * 24 * HOUR;

pub fn row(at: i64, key: &str) -> UsageRow {
    UsageRow {
        at,
        request_id: format!("req_{at}"),
        is_final: true,
        admitted: true,
        key_id: format!("key_{key}"),
        key: key.to_owned(),
        group: "default".to_owned(),
        channel: "up".to_owned(),
        surface: "openai_chat".to_owned(),
        endpoint: "chat".to_owned(),
        model: "m".to_owned(),
        upstream_model: "m-1".to_owned(),
        status: 200,
        attempts: 1,
        stream: true,
        translated: true,
        duration_us: 1_234_567,
        ttft_us: Some(9),
        uncached: 1,
        cache_read: 20,
        cache_write_5m: 300,
        cache_write_1h: 4_000,
        output: 50_000,
        reasoning: 600,
        image_input: 1,
        audio_input: 2,
        image_output: 3,
        audio_output: 4,
        estimated: true,
        cost_pico: Some(7_000_000_000_001),
        tier: "standard".to_owned(),
        error: String::new(),
        client: "10.0.0.1".to_owned(),
    }
}

pub async fn total(store: &Store, filters: Filters) -> ReportRow {
    let ask = ReportQuery {
        filters,
        by: Vec::new(),
        limit: 10,
    };
    let mut rows = store.usage_report(ask).await.expect("a report");
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

pub async fn all(store: &Store) -> Vec<UsageRow> {
    let ask = RequestQuery {
        limit: 100_000,
        ..RequestQuery::default()
    };
    let rows = store.requests(ask).await.expect("rows");
    rows.into_iter().map(|row| row.row).collect()
}

pub async fn write(store: &Store, batch: &str, rows: Vec<UsageRow>) {
    let written = store.usage_write(batch.to_owned(), rows).await;
    assert!(written.expect("written"));
}

async fn a_batch_is_written_once(place: Place) {
    let store = place.open();
    let rows: Vec<_> = (0..1000).map(|n| row(DAY0 + n, "a")).collect();
    write(&store, "b1", rows.clone()).await;
    let again = store.usage_write("b1".to_owned(), rows.clone()).await;
    assert!(!again.expect("an answer"));
    let racing: Vec<_> = (0..6)
        .map(|_| {
            let (store, rows) = (store.clone(), rows.clone());
            tokio::spawn(async move { store.usage_write("b2".to_owned(), rows).await })
        })
        .collect();
    let mut written = 0;
    for one in racing {
        written += u32::from(one.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(written, 1);
    write(&store, "empty", Vec::new()).await;
    assert_eq!(all(&store).await.len(), 2000);
    let total = total(&store, Filters::default()).await;
    assert_eq!((total.requests, total.output_tokens), (2000, 100_000_000));
    assert_eq!(
        store.spent().await.expect("spent"),
        [("key_a".to_owned(), Usd::from_pico(2000 * 7_000_000_000_001))]
    );
}

async fn rows_are_read_as_they_were_written(place: Place) {
    let store = place.open();
    let other = UsageRow {
        at: DAY0 - 1,
        is_final: false,
        status: 503,
        ttft_us: None,
        cost_pico: None,
        error: "'); DROP TABLE requests; --".to_owned(),
        ..UsageRow::default()
    };
    let rows = vec![row(DAY0, "a"), other];
    write(&store, "b", rows.clone()).await;
    assert_eq!(all(&store).await, rows);
    // As they stand in the spool.
    for row in rows {
        let line = serde_json::to_string(&row).expect("JSON");
        assert_eq!(serde_json::from_str::<UsageRow>(&line).expect("read"), row);
    }
    let line = r#"{"t":5,"id":"r","f":true,"kid":"key_a","o":7,"p":1}"#;
    let read: UsageRow = serde_json::from_str(line).expect("read");
    let expected = UsageRow {
        at: 5,
        request_id: "r".to_owned(),
        is_final: true,
        key_id: "key_a".to_owned(),
        output: 7,
        cost_pico: Some(1),
        ..UsageRow::default()
    };
    assert_eq!(read, expected);
}

async fn numbers_out_of_bounds_and_nul_are_brought_in(place: Place) {
    let store = place.open();
    let wild = UsageRow {
        at: -5,
        uncached: i64::MAX,
        output: i64::MIN,
        cost_pico: Some(i64::MIN),
        model: "m\0".to_owned(),
        ..row(0, "a")
    };
    let same = UsageRow {
        model: "m\u{fffd}".to_owned(),
        ..wild.clone()
    };
    write(&store, "b\0", vec![wild, same]).await;
    let total = total(&store, Filters::default()).await;
    assert_eq!(total.input_tokens, 2 * (1_000_000_000_000 + 4320));
    assert_eq!((total.output_tokens, total.cost), (0, Some(Usd::ZERO)));
}

async fn costs_beyond_64_bits_are_summed_exactly(place: Place) {
    let store = place.open();
    let dear = UsageRow {
        cost_pico: Some(i64::MAX),
        ..row(DAY0, "a")
    };
    for batch in ["1", "2", "3"] {
        write(&store, batch, vec![dear.clone(); 5]).await;
    }
    let cost = Usd::from_pico(15 * i128::from(i64::MAX));
    let whole = total(&store, Filters::default()).await;
    assert_eq!(whole.cost, Some(cost));
    // From rows.
    let cut = Filters {
        since: Some(DAY0 - 1),
        until: Some(DAY0 + 1),
        ..Filters::default()
    };
    assert_eq!(total(&store, cut).await, whole);
    assert_eq!(
        store.spent().await.expect("spent"),
        [("key_a".to_owned(), cost)]
    );
}

async fn a_price_that_is_not_known_is_no_zero(place: Place) {
    let store = place.open();
    let unknown = UsageRow {
        cost_pico: None,
        ..row(DAY0, "a")
    };
    // A request that was refused used nothing, which costs nothing at any price.
    let refused = UsageRow {
        status: 429,
        cost_pico: Some(0),
        uncached: 0,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        output: 0,
        ..row(DAY0 + 1, "a")
    };
    let nothing = total(&store, Filters::default()).await;
    assert_eq!((nothing.unpriced, nothing.cost), (0, Some(Usd::ZERO)));
    write(&store, "1", vec![refused]).await;
    let free = total(&store, Filters::default()).await;
    assert_eq!((free.unpriced, free.cost), (0, Some(Usd::ZERO)));
    assert_eq!((free.requests, free.errors), (1, 1));
    write(&store, "2", vec![unknown]).await;
    let null = total(&store, Filters::default()).await;
    assert_eq!((null.unpriced, null.cost), (1, None));
    write(&store, "3", vec![row(DAY0, "a")]).await;
    let both = total(&store, Filters::default()).await;
    assert_eq!(both.unpriced, 1);
    assert_eq!(both.cost, Some(Usd::from_pico(7_000_000_000_001)));
}

/// Two gateways that write the same sums in other orders, which must not wait for each other in a circle.
async fn batches_that_race_are_all_summed(place: Place) {
    let stores = if place.is_shared() {
        vec![place.open(), place.open()]
    } else {
        vec![place.open()]
    };
    let writing: Vec<_> = (0..8)
        .map(|number| {
            let store = stores[number % stores.len()].clone();
            tokio::spawn(async move {
                for round in 0..5 {
                    let mut rows: Vec<_> = (0..50).map(|n| row(DAY0, &format!("k{n}"))).collect();
                    if number % 2 == 0 {
                        rows.reverse();
                    }
                    write(&store, &format!("{number}-{round}"), rows).await;
                }
            })
        })
        .collect();
    for one in writing {
        one.await.expect("written");
    }
    let total = total(&stores[0], Filters::default()).await;
    assert_eq!((total.requests, total.output_tokens), (2000, 100_000_000));
    let spent = stores[0].spent().await.expect("spent");
    assert_eq!(spent.len(), 50);
    let each = Usd::from_pico(40 * 7_000_000_000_001);
    assert!(spent.iter().all(|(_, cost)| *cost == each));
}

async fn what_a_key_has_used_is_told_by_buckets(place: Place) {
    let store = place.open();
    let tokens = 54_321;
    let attempt = UsageRow {
        is_final: false,
        ..row(DAY0 + 1, "a")
    };
    let nobodys = UsageRow {
        key_id: String::new(),
        ..row(DAY0, "")
    };
    // What a limit refused does not count against limits.
    let refused = UsageRow {
        admitted: false,
        status: 429,
        uncached: 0,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        output: 0,
        cost_pico: Some(0),
        ..row(DAY0 + 2, "a")
    };
    let rows = vec![
        refused,
        row(DAY0 - HOUR, "a"),
        row(DAY0, "a"),
        attempt,
        row(DAY0 + 61_000, "a"),
        row(DAY0 + HOUR, "b"),
        nobodys,
    ];
    write(&store, "b", rows).await;
    let used = async |keys: Option<&str>, since: i64, step: i64| {
        let keys = keys.map(|key| vec![key.to_owned()]);
        let used = store.used(keys, since, step).await.expect("used");
        used.into_iter()
            .map(|used| {
                assert_eq!(used.tokens % tokens, 0);
                let rows = used.tokens / tokens;
                assert_eq!(
                    used.cost,
                    Usd::from_pico(i128::from(rows) * 7_000_000_000_001)
                );
                (used.key_id, used.bucket, used.requests, rows)
            })
            .collect::<Vec<_>>()
    };
    let (a, b) = (|| "key_a".to_owned(), || "key_b".to_owned());
    let minute = DAY0 / 60_000;
    assert_eq!(
        used(None, DAY0, 60_000).await,
        [
            (a(), minute, 1, 2),
            (a(), minute + 1, 1, 1),
            (b(), minute + 60, 1, 1)
        ]
    );
    assert_eq!(
        used(Some("key_b"), 0, 60_000).await,
        [(b(), minute + 60, 1, 1)]
    );
    assert_eq!(used(Some("nobody"), 0, 60_000).await, []);
    assert_eq!(
        used(Some("key_a"), DAY0 + 1, 60_000).await,
        [(a(), minute, 0, 1), (a(), minute + 1, 1, 1)]
    );
    let hour = DAY0 / HOUR;
    for (since, first) in [(DAY0 - HOUR, Some(1)), (DAY0 - HOUR + 1, None)] {
        let before = first.map(|rows| (a(), hour - 1, rows, rows));
        let expected: Vec<_> = before
            .into_iter()
            .chain([(a(), hour, 2, 3), (b(), hour + 1, 1, 1)])
            .collect();
        assert_eq!(used(None, since, HOUR).await, expected);
    }
    // Cut in the hour: exact.
    assert_eq!(
        used(Some("key_a"), DAY0 + 1, 24 * HOUR).await,
        [(a(), DAY0 / (24 * HOUR), 1, 2)]
    );
    let many: Vec<_> = (0..1000).map(|n| format!("x{n}")).chain([b()]).collect();
    let found = store.used(Some(many), 0, HOUR).await.expect("used");
    assert_eq!(found.len(), 1);
    assert_eq!(store.used(Some(Vec::new()), 0, 1).await.expect("used"), []);
}
