//! What requests have used: a row each, their sums an hour, and what each key has spent, written together and once.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::engine::{Arg, Inserts, Row, args, text};
use super::error::StoreError;
use super::sums::{HOURS, SPENT, fold};
use super::{Inner, Store, now};
use crate::base::limits::MAX_COUNT;

/// One request that has ended, or one failed attempt of it that used tokens. The names that serde writes are those of
/// the spool's files: they stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// When it ended, in Unix milliseconds.
    #[serde(rename = "t")]
    pub at: i64,
    #[serde(rename = "id")]
    pub request_id: String,
    /// `false`: a failed attempt's own row, which counts no request.
    #[serde(rename = "f")]
    pub is_final: bool,
    /// It was let in under its key's limits, and counts against them.
    #[serde(rename = "ad")]
    pub admitted: bool,
    /// `key_…` or `config:NAME`; empty: none was recognised.
    #[serde(rename = "kid")]
    pub key_id: String,
    #[serde(rename = "k")]
    pub key: String,
    #[serde(rename = "g")]
    pub group: String,
    #[serde(rename = "c")]
    pub channel: String,
    #[serde(rename = "sf")]
    pub surface: String,
    #[serde(rename = "ep")]
    pub endpoint: String,
    /// As the client asked for it.
    #[serde(rename = "m")]
    pub model: String,
    #[serde(rename = "um")]
    pub upstream_model: String,
    #[serde(rename = "s")]
    pub status: u16,
    #[serde(rename = "a")]
    pub attempts: u32,
    #[serde(rename = "st")]
    pub stream: bool,
    #[serde(rename = "tr")]
    pub translated: bool,
    #[serde(rename = "d")]
    pub duration_us: i64,
    #[serde(rename = "tt")]
    pub ttft_us: Option<i64>,
    /// The four parts of the input are disjoint.
    #[serde(rename = "u")]
    pub uncached: i64,
    #[serde(rename = "cr")]
    pub cache_read: i64,
    #[serde(rename = "w5")]
    pub cache_write_5m: i64,
    #[serde(rename = "w1")]
    pub cache_write_1h: i64,
    /// With reasoning in it.
    #[serde(rename = "o")]
    pub output: i64,
    #[serde(rename = "r")]
    pub reasoning: i64,
    #[serde(rename = "ii")]
    pub image_input: i64,
    #[serde(rename = "ai")]
    pub audio_input: i64,
    #[serde(rename = "io")]
    pub image_output: i64,
    #[serde(rename = "ao")]
    pub audio_output: i64,
    #[serde(rename = "e")]
    pub estimated: bool,
    /// Picodollars. `None`: the price is not known.
    #[serde(rename = "p")]
    pub cost_pico: Option<i64>,
    #[serde(rename = "ti")]
    pub tier: String,
    /// The gateway's word, or empty.
    #[serde(rename = "er")]
    pub error: String,
    #[serde(rename = "cl")]
    pub client: String,
}

impl Store {
    /// Writes a batch, and what it adds to the sums, in one transaction. `false`: the batch of this id is there
    /// already, and nothing is changed. Ids are remembered for a week.
    pub async fn usage_write(
        &self,
        batch: String,
        rows: Vec<UsageRow>,
    ) -> Result<bool, StoreError> {
        self.call(move |inner| async move { write(&inner, batch, rows).await })
            .await
    }
}

async fn write(inner: &Inner, batch: String, mut rows: Vec<UsageRow>) -> Result<bool, StoreError> {
    for row in &mut rows {
        row.bound();
    }
    let (hours, spent) = fold(&rows);
    let mut work = inner.engine.begin().await?;
    let new = work
        .run(
            "INSERT INTO batches (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            args![batch, now()],
        )
        .await?;
    if new == 0 {
        return Ok(false);
    }
    let requests = rows.into_iter().map(UsageRow::columns);
    work.insert(&REQUESTS, requests).await?;
    // In the order of their keys: two gateways that write at once take their locks in one order.
    let hours = hours.into_iter().map(|(of, sums)| sums.columns(of));
    work.insert(&HOURS, hours).await?;
    let spent = spent
        .into_iter()
        .map(|(key, (high, low))| args![key, high, low]);
    work.insert(&SPENT, spent).await?;
    work.commit().await?;
    Ok(true)
}

macro_rules! request_columns {
    () => {
        "at, request_id, is_final, admitted, key_id, key_name, group_name, channel, surface, endpoint, model, upstream_model, status, attempts, stream, translated, duration_us, ttft_us, uncached, cache_read, cache_write_5m, cache_write_1h, output, reasoning, image_input, audio_input, image_output, audio_output, estimated, cost, tier, error, client"
    };
}
pub(super) use request_columns;

static REQUESTS: LazyLock<Inserts> =
    LazyLock::new(|| Inserts::new("requests", request_columns!(), ""));

impl UsageRow {
    pub(super) fn input(&self) -> i64 {
        self.uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    /// Brings all into the bounds that sums and databases can hold: no provider's number makes a batch unwritable.
    fn bound(&mut self) {
        for count in [
            &mut self.uncached,
            &mut self.cache_read,
            &mut self.cache_write_5m,
            &mut self.cache_write_1h,
            &mut self.output,
            &mut self.reasoning,
            &mut self.image_input,
            &mut self.audio_input,
            &mut self.image_output,
            &mut self.audio_output,
        ] {
            *count = (*count).clamp(0, MAX_COUNT);
        }
        self.at = self.at.max(0);
        self.cost_pico = self.cost_pico.map(|cost| cost.max(0));
        for name in [
            &mut self.request_id,
            &mut self.key_id,
            &mut self.key,
            &mut self.group,
            &mut self.channel,
            &mut self.model,
        ] {
            // Before the sums are made: two names that become one are one.
            *name = text(std::mem::take(name));
        }
    }

    /// In the order of [`request_columns`].
    fn columns(self) -> Vec<Arg> {
        args![
            self.at,
            self.request_id,
            self.is_final,
            self.admitted,
            self.key_id,
            self.key,
            self.group,
            self.channel,
            self.surface,
            self.endpoint,
            self.model,
            self.upstream_model,
            i64::from(self.status),
            i64::from(self.attempts),
            self.stream,
            self.translated,
            self.duration_us,
            self.ttft_us,
            self.uncached,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.output,
            self.reasoning,
            self.image_input,
            self.audio_input,
            self.image_output,
            self.audio_output,
            self.estimated,
            self.cost_pico,
            self.tier,
            self.error,
            self.client,
        ]
    }

    /// From the columns that follow `from`.
    pub(super) fn read(row: &Row, from: usize) -> Result<Self, StoreError> {
        let int = |at: usize| row.int(from + at);
        let (flag, text) = (
            |at: usize| row.flag(from + at),
            |at: usize| row.text(from + at),
        );
        Ok(Self {
            at: int(0)?,
            request_id: text(1)?,
            is_final: flag(2)?,
            admitted: flag(3)?,
            key_id: text(4)?,
            key: text(5)?,
            group: text(6)?,
            channel: text(7)?,
            surface: text(8)?,
            endpoint: text(9)?,
            model: text(10)?,
            upstream_model: text(11)?,
            status: u16::try_from(int(12)?).unwrap_or(u16::MAX),
            attempts: u32::try_from(int(13)?).unwrap_or(u32::MAX),
            stream: flag(14)?,
            translated: flag(15)?,
            duration_us: int(16)?,
            ttft_us: row.opt_int(from + 17)?,
            uncached: int(18)?,
            cache_read: int(19)?,
            cache_write_5m: int(20)?,
            cache_write_1h: int(21)?,
            output: int(22)?,
            reasoning: int(23)?,
            image_input: int(24)?,
            audio_input: int(25)?,
            image_output: int(26)?,
            audio_output: int(27)?,
            estimated: flag(28)?,
            cost_pico: row.opt_int(from + 29)?,
            tier: text(30)?,
            error: text(31)?,
            client: text(32)?,
        })
    }
}
