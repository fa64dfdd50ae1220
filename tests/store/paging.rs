//! The rows of usage, a page at a time.

use torouter::store::{Filters, RequestQuery, Store, UsageRow};

use super::place::Place;
use super::suite::list;
use super::usage::{DAY0, row, write};

list![
    pages_hold_each_row_once_newest_first,
    rows_that_come_meanwhile_move_no_page,
    filters_take_out_what_is_not_meant,
];

async fn pages(store: &Store, mut ask: RequestQuery) -> Vec<(i64, i64)> {
    let mut seen = Vec::new();
    loop {
        let page = store.requests(ask.clone()).await.expect("a page");
        assert!(page.len() <= ask.limit as usize);
        let Some(last) = page.last() else {
            return seen;
        };
        ask.before = Some((last.row.at, last.id));
        seen.extend(page.iter().map(|row| (row.row.at, row.id)));
    }
}

async fn pages_hold_each_row_once_newest_first(place: Place) {
    let store = place.open();
    // Many of one millisecond.
    let rows = (0..200).map(|n| row(DAY0 + n / 30, "a"));
    write(&store, "b", rows.collect()).await;
    for limit in [1, 7, 30, 1000] {
        let ask = RequestQuery {
            limit,
            ..RequestQuery::default()
        };
        let seen = pages(&store, ask).await;
        assert_eq!(seen.len(), 200);
        assert!(seen.windows(2).all(|two| two[0] > two[1]));
    }
}

async fn rows_that_come_meanwhile_move_no_page(place: Place) {
    let store = place.open();
    write(&store, "1", (0..20).map(|n| row(DAY0 + n, "a")).collect()).await;
    let ask = RequestQuery {
        limit: 10,
        ..RequestQuery::default()
    };
    let first = store.requests(ask.clone()).await.expect("a page");
    write(&store, "2", vec![row(DAY0 + 100, "a")]).await;
    let before = first.last().map(|row| (row.row.at, row.id));
    let second = store.requests(RequestQuery { before, ..ask }).await;
    let ats: Vec<_> = second.expect("a page").iter().map(|r| r.row.at).collect();
    assert_eq!(ats, (0..10).rev().map(|n| DAY0 + n).collect::<Vec<_>>());
}

async fn filters_take_out_what_is_not_meant(place: Place) {
    let store = place.open();
    let rows: Vec<_> = (0..60)
        .map(|n: i64| UsageRow {
            status: 200 + 100 * (n % 4) as u16,
            model: format!("m{}", n % 5),
            ..row(DAY0 + n, ["a", "b", "c"][n as usize % 3])
        })
        .collect();
    write(&store, "b", rows.clone()).await;
    let check = async |ask: RequestQuery, meant: &dyn Fn(&UsageRow) -> bool| {
        let ask = RequestQuery { limit: 100, ..ask };
        let found = store.requests(ask).await.expect("rows");
        let found: Vec<_> = found.into_iter().map(|row| row.row).collect();
        let expected: Vec<_> = rows
            .iter()
            .rev()
            .filter(|row| meant(row))
            .cloned()
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected);
    };
    let ask = RequestQuery::default;
    let with = |filters: Filters| RequestQuery { filters, ..ask() };
    for keys in [vec!["a", "key_b"], vec!["key_a", "b", "nobody"]] {
        let keys = keys.into_iter().map(str::to_owned).collect();
        let filters = Filters {
            keys,
            models: vec!["m1".to_owned(), "m2".to_owned()],
            ..Filters::default()
        };
        check(with(filters), &|row| {
            row.key != "c" && ["m1", "m2"].contains(&&*row.model)
        })
        .await;
    }
    let filters = Filters {
        since: Some(DAY0 + 10),
        until: Some(DAY0 + 20),
        groups: vec!["default".to_owned()],
        channels: vec!["up".to_owned()],
        ..Filters::default()
    };
    check(with(filters), &|row| {
        (DAY0 + 10..DAY0 + 20).contains(&row.at)
    })
    .await;
    let statuses = Some((400, 599));
    check(RequestQuery { statuses, ..ask() }, &|row| row.status >= 400).await;
    let request_id = Some(rows[7].request_id.clone());
    let id = request_id.clone();
    check(
        RequestQuery {
            request_id,
            ..ask()
        },
        &|row| Some(&row.request_id) == id.as_ref(),
    )
    .await;
}
