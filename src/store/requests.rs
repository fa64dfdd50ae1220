//! The rows of usage one by one, newest first, a page at a time.

use super::Store;
use super::engine::Arg;
use super::error::StoreError;
use super::reports::{Filters, Source};
use super::usage::{UsageRow, request_columns};

#[derive(Clone, Debug, Default)]
pub struct RequestQuery {
    pub filters: Filters,
    /// From, to, both included.
    pub statuses: Option<(u16, u16)>,
    pub request_id: Option<String>,
    /// When and which the last row of the page before was.
    pub before: Option<(i64, i64)>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RequestRow {
    pub id: i64,
    pub row: UsageRow,
}

impl Store {
    /// Newest first. The next page is what comes `before` the last row's time and id.
    pub async fn requests(&self, ask: RequestQuery) -> Result<Vec<RequestRow>, StoreError> {
        self.call(move |inner| async move {
            let (sql, args) = select(&ask);
            let rows = inner.engine.rows(sqlx::AssertSqlSafe(sql), args).await?;
            rows.iter()
                .map(|row| {
                    Ok(RequestRow {
                        id: row.int(0)?,
                        row: UsageRow::read(row, 1)?,
                    })
                })
                .collect()
        })
        .await
    }
}

fn select(ask: &RequestQuery) -> (String, Vec<Arg>) {
    let mut source = Source::default();
    let mut conditions = source.filters(&ask.filters);
    if let Some(since) = ask.filters.since {
        let since = source.arg(since);
        conditions.push(format!("at >= {since}"));
    }
    if let Some(until) = ask.filters.until {
        let until = source.arg(until);
        conditions.push(format!("at < {until}"));
    }
    if let Some((from, to)) = ask.statuses {
        let (from, to) = (source.arg(i64::from(from)), source.arg(i64::from(to)));
        conditions.push(format!("status BETWEEN {from} AND {to}"));
    }
    if let Some(id) = &ask.request_id {
        let id = source.arg(id);
        conditions.push(format!("request_id = {id}"));
    }
    if let Some((at, id)) = ask.before {
        let (at, id) = (source.arg(at), source.arg(id));
        conditions.push(format!("(at, id) < ({at}, {id})"));
    }
    let conditions = match conditions.join(" AND ") {
        none if none.is_empty() => none,
        some => format!("WHERE {some}"),
    };
    let limit = source.arg(i64::from(ask.limit));
    let sql = format!(
        "SELECT id, {} FROM requests {conditions} ORDER BY at DESC, id DESC LIMIT {limit}",
        request_columns!()
    );
    (sql, source.args)
}
