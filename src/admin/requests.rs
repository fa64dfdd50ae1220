//! The request log over the admin API: in pages, or as one stream of CSV that is made page by page.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::csv;
use super::query::{Query, number};
use super::reply::{Body, Refusal, Reply};
use super::usage::{Asked, Format, When};
use super::value::{Plain, Time};
use crate::base::Usd;
use crate::store::{RequestQuery, RequestRow, Store, StoreError, UsageRow};

/// Rows of a page, where nothing else is asked, and of a stream's pages.
const PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;

/// A request that has ended, or a failed attempt of one that used tokens.
#[derive(Serialize, JsonSchema)]
pub struct RequestView {
    pub id: i64,
    /// When it ended.
    pub at: Time,
    pub request_id: String,
    /// false: a failed attempt's own row.
    pub r#final: bool,
    pub key_id: String,
    pub key: String,
    pub group: String,
    pub channel: String,
    pub surface: String,
    pub endpoint: String,
    /// As it was asked for.
    pub model: String,
    pub upstream_model: String,
    pub status: u16,
    pub attempts: u32,
    pub stream: bool,
    pub translated: bool,
    pub duration_ms: f64,
    pub ttft_ms: Option<f64>,
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub cache_write_5m_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub image_input_tokens: i64,
    pub audio_input_tokens: i64,
    pub image_output_tokens: i64,
    pub audio_output_tokens: i64,
    /// The tokens were counted here, since the provider did not tell.
    pub estimated: bool,
    /// Exact; null: the price is not known.
    #[schemars(with = "Option<f64>")]
    pub cost_usd: Option<Usd>,
    pub tier: String,
    /// The gateway's word for what went wrong, or empty.
    pub error: String,
    /// The client's address.
    pub client: String,
}

impl From<RequestRow> for RequestView {
    fn from(request: RequestRow) -> Self {
        let row: UsageRow = request.row;
        let ms = |us: i64| us as f64 / 1000.0;
        let cache_write = row.cache_write_5m.saturating_add(row.cache_write_1h);
        let input = row
            .uncached
            .saturating_add(row.cache_read)
            .saturating_add(cache_write);
        Self {
            id: request.id,
            at: Time(row.at),
            request_id: row.request_id,
            r#final: row.is_final,
            key_id: row.key_id,
            key: row.key,
            group: row.group,
            channel: row.channel,
            surface: row.surface,
            endpoint: row.endpoint,
            model: row.model,
            upstream_model: row.upstream_model,
            status: row.status,
            attempts: row.attempts,
            stream: row.stream,
            translated: row.translated,
            duration_ms: ms(row.duration_us),
            ttft_ms: row.ttft_us.map(ms),
            input_tokens: input,
            cache_read_tokens: row.cache_read,
            cache_write_tokens: cache_write,
            cache_write_5m_tokens: row.cache_write_5m,
            cache_write_1h_tokens: row.cache_write_1h,
            output_tokens: row.output,
            reasoning_tokens: row.reasoning,
            image_input_tokens: row.image_input,
            audio_input_tokens: row.audio_input,
            image_output_tokens: row.image_output,
            audio_output_tokens: row.audio_output,
            estimated: row.estimated,
            cost_usd: row.cost_pico.map(|pico| Usd::from_pico(pico.into())),
            tier: row.tier,
            error: row.error,
            client: row.client,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct RequestList {
    /// Newest first.
    pub rows: Vec<RequestView>,
    /// The `cursor` of the next page; null: this is the last one.
    pub next: Option<String>,
}

/// Which requests are told, and how.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct RequestParameters {
    since: Option<When>,
    /// Until before this time.
    until: Option<When>,
    /// Names or ids of keys.
    key: Option<Vec<Plain>>,
    group: Option<Vec<Plain>>,
    channel: Option<Vec<Plain>>,
    /// Models as they were asked for.
    model: Option<Vec<Plain>>,
    /// 429, 4xx, or 500-599.
    #[schemars(regex(pattern = r"^([1-5]xx|[1-5][0-9]{2}|[1-5][0-9]{2}-[1-5][0-9]{2})$"))]
    status: Option<String>,
    request_id: Option<Plain>,
    /// csv: all requests as one stream; limit does not hold for it.
    format: Option<Format>,
    /// How many rows at most; 100 when nothing is said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// `next` of the page before.
    #[schemars(regex(pattern = r"^[0-9]{1,15}-[0-9]{1,15}$"))]
    cursor: Option<String>,
}

/// `429`, `4xx`, `500-599`: from and to, both included.
fn statuses(text: &str) -> Result<(u16, u16), String> {
    let status = |text: &str| {
        let number: Option<u16> = number(text);
        number.filter(|number| (100..=599).contains(number))
    };
    let class = |text: &str| {
        let first = text.strip_suffix("xx").and_then(number::<u16>);
        let first = first.filter(|first| (1..=5).contains(first))? * 100;
        Some((first, first + 99))
    };
    let range = match text.split_once('-') {
        Some((from, to)) => status(from).zip(status(to)),
        None => class(text).or_else(|| status(text).map(|one| (one, one))),
    };
    range
        .map(|(from, to)| (from.min(to), from.max(to)))
        .ok_or_else(|| "must be a status like 429, 4xx or 500-599".to_owned())
}

fn cursor(text: &str) -> Result<(i64, i64), String> {
    text.split_once('-')
        .and_then(|(at, id)| number(at).zip(number(id)))
        .ok_or_else(|| "must be the next of a page before".to_owned())
}

impl Api {
    pub(super) async fn requests(&self, mut query: Query) -> Result<Reply, Refusal> {
        let asked = Asked::take(&mut query)?;
        let limit = query.limit(MAX_PAGE, PAGE)?;
        let mut ask = RequestQuery {
            filters: asked.filters,
            statuses: query.read("status", statuses)?,
            request_id: query.one("request_id")?,
            before: query.read("cursor", cursor)?,
            limit: limit + 1,
        };
        query.end(&Asked::known(&["status", "request_id", "limit", "cursor"]))?;
        (self.bell.flush_usage)().await;
        if asked.csv {
            ask.limit = MAX_PAGE;
            let pages = CsvPages::start(self.store.clone(), ask).await?;
            let mut reply = Reply::empty(200).with("content-type", csv::TYPE).with(
                "content-disposition",
                "attachment; filename=\"requests.csv\"",
            );
            reply.body = Body::Pages(Box::new(pages));
            return Ok(reply);
        }
        let mut rows = self.store.requests(ask).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more);
        let next = next.map(|last| format!("{}-{}", last.row.at, last.id));
        let rows = rows.into_iter().map(RequestView::from).collect();
        Ok(Reply::json(200, &RequestList { rows, next }))
    }
}

/// All requests that were asked for as CSV; at most one page is held.
pub struct CsvPages {
    store: Store,
    /// The page after the one that is held; `None`: there is none.
    ask: Option<RequestQuery>,
    page: Option<Vec<RequestRow>>,
    head: bool,
}

impl CsvPages {
    /// Reads the first page, so that a store in trouble can still be told as an error.
    async fn start(store: Store, ask: RequestQuery) -> Result<Self, StoreError> {
        let mut pages = Self {
            store,
            ask: Some(ask),
            page: None,
            head: true,
        };
        pages.page = pages.read().await?;
        Ok(pages)
    }

    async fn read(&mut self) -> Result<Option<Vec<RequestRow>>, StoreError> {
        let Some(ask) = self.ask.take() else {
            return Ok(None);
        };
        let rows = self.store.requests(ask.clone()).await?;
        if let Some(last) = rows.last().filter(|_| rows.len() >= ask.limit as usize) {
            self.ask = Some(RequestQuery {
                before: Some((last.row.at, last.id)),
                ..ask
            });
        }
        Ok(Some(rows))
    }

    /// The next piece of the text; `None`: that was all.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let page = match self.page.take() {
            Some(page) => page,
            None => match self.read().await? {
                Some(page) => page,
                None => return Ok(None),
            },
        };
        let mut out = String::new();
        if std::mem::take(&mut self.head) {
            let names = fields(nothing()).map(|(name, _)| name);
            csv::write(&mut out, names);
        }
        for row in page {
            let fields = fields(row);
            csv::write(&mut out, fields.iter().map(|(_, value)| value.as_str()));
        }
        Ok(Some(Bytes::from(out)))
    }
}

/// A row that only names are taken from.
fn nothing() -> RequestRow {
    RequestRow {
        id: 0,
        row: UsageRow::default(),
    }
}

/// The fields of a row by their names, in the order of the JSON.
fn fields(row: RequestRow) -> [(&'static str, String); 34] {
    let view = RequestView::from(row);
    let text = |value: bool| value.to_string();
    [
        ("id", view.id.to_string()),
        ("at", view.at.to_string()),
        ("request_id", view.request_id),
        ("final", text(view.r#final)),
        ("key_id", view.key_id),
        ("key", view.key),
        ("group", view.group),
        ("channel", view.channel),
        ("surface", view.surface),
        ("endpoint", view.endpoint),
        ("model", view.model),
        ("upstream_model", view.upstream_model),
        ("status", view.status.to_string()),
        ("attempts", view.attempts.to_string()),
        ("stream", text(view.stream)),
        ("translated", text(view.translated)),
        ("duration_ms", view.duration_ms.to_string()),
        (
            "ttft_ms",
            view.ttft_ms.map_or_else(String::new, |ms| ms.to_string()),
        ),
        ("input_tokens", view.input_tokens.to_string()),
        ("cache_read_tokens", view.cache_read_tokens.to_string()),
        ("cache_write_tokens", view.cache_write_tokens.to_string()),
        (
            "cache_write_5m_tokens",
            view.cache_write_5m_tokens.to_string(),
        ),
        (
            "cache_write_1h_tokens",
            view.cache_write_1h_tokens.to_string(),
        ),
        ("output_tokens", view.output_tokens.to_string()),
        ("reasoning_tokens", view.reasoning_tokens.to_string()),
        ("image_input_tokens", view.image_input_tokens.to_string()),
        ("audio_input_tokens", view.audio_input_tokens.to_string()),
        ("image_output_tokens", view.image_output_tokens.to_string()),
        ("audio_output_tokens", view.audio_output_tokens.to_string()),
        ("estimated", text(view.estimated)),
        (
            "cost_usd",
            view.cost_usd
                .map_or_else(String::new, |cost| cost.to_string()),
        ),
        ("tier", view.tier),
        ("error", view.error),
        ("client", view.client),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_a_class_or_a_range() {
        assert_eq!(statuses("429"), Ok((429, 429)));
        assert_eq!(statuses("4xx"), Ok((400, 499)));
        assert_eq!(statuses("200-299"), Ok((200, 299)));
        assert_eq!(statuses("299-200"), Ok((200, 299)));
        for wrong in [
            "", "xx", "6xx", "0xx", "99", "600", "4x", "200-", "-1", "+200", "200-2000",
        ] {
            assert!(statuses(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn csv_has_the_fields_of_the_json_in_their_order() {
        let view = serde_json::to_string(&RequestView::from(nothing())).expect("JSON");
        let mut from = 0;
        for (name, _) in fields(nothing()) {
            let at = view[from..].find(&format!("\"{name}\":"));
            from += at.unwrap_or_else(|| panic!("{name} is not where it should be"));
        }
        let object: serde_json::Value = serde_json::from_str(&view).expect("JSON");
        assert_eq!(object.as_object().map(serde_json::Map::len), Some(34));
    }
}
