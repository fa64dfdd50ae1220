//! What is known of a request when it ends, and the counting of it: once.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::costs::Cost;
use super::ledger::Ledger;
use super::log;
use super::metrics::metrics;
use crate::base::{Tier, Usage, Usd, clock};
use crate::dialect::{Operation, Surface};
use crate::store::UsageRow;

/// A request that has ended.
pub struct Record<'a> {
    pub request_id: &'a str,
    /// Empty: nobody was let in.
    pub key_id: &'a str,
    pub series: SeriesKey<'a>,
    /// Numbers of the key, of the channel in its config, and of that config, to find their series by; `u32::MAX`: none.
    pub ids: (u32, u32, u32),
    /// It counts against its key's limits.
    pub admitted: bool,
    pub upstream_model: &'a str,
    pub attempts: u32,
    pub duration: Duration,
    pub first_token: Option<Duration>,
    pub overhead: Option<Duration>,
    pub translated: bool,
    /// From the first output to the end.
    pub output_time: Option<Duration>,
    pub usage: Usage,
    pub estimated: bool,
    /// `None`: the price is not known.
    pub cost: Option<Usd>,
    pub tier: Tier,
    pub method: &'a str,
    pub path: &'a str,
    pub client: Option<std::net::IpAddr>,
    /// The gateway's word for what went wrong.
    pub error: Option<&'a str>,
    pub upstream_request_id: Option<&'a str>,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// The labels of a request. Where a request never came so far, they are empty.
#[derive(Clone, Copy)]
pub struct SeriesKey<'a> {
    pub key: &'a str,
    pub group: &'a str,
    pub channel: &'a str,
    pub surface: Surface,
    /// `None`: a path that is none.
    pub operation: Option<Operation>,
    /// Bounded by the caller.
    pub model: &'a str,
    pub status: u16,
    pub stream: bool,
}

/// Handles of one set of labels, so that counting is a few atomic additions.
struct Series {
    requests: IntCounter,
    duration: Histogram,
    /// By whether the answer was translated.
    overhead: [Histogram; 2],
    /// Made when first needed: a series that stays at 0 would say something that is not so.
    tokens: [OnceCell<IntCounter>; TOKEN_TYPES.len()],
    cost: OnceCell<Cost>,
    first_token: OnceCell<Histogram>,
    output_rate: OnceCell<Histogram>,
}

const TOKEN_TYPES: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

impl Series {
    fn new(labels: &SeriesKey<'_>) -> Self {
        let m = metrics();
        let surface = labels.surface.name();
        let endpoint = labels.operation.map_or("none", Operation::name);
        let status = labels.status.to_string();
        let stream = if labels.stream { "true" } else { "false" };
        Self {
            requests: m.requests.with_label_values(&[
                labels.key,
                labels.group,
                labels.channel,
                surface,
                endpoint,
                labels.model,
                &status,
            ]),
            duration: m
                .duration
                .with_label_values(&[labels.key, surface, endpoint, stream]),
            overhead: ["false", "true"]
                .map(|translated| m.overhead.with_label_values(&[surface, translated])),
            tokens: Default::default(),
            cost: OnceCell::new(),
            first_token: OnceCell::new(),
            output_rate: OnceCell::new(),
        }
    }

    fn count(&self, record: &Record<'_>) {
        self.requests.inc();
        self.duration.observe(record.duration.as_secs_f64());
        if let Some(overhead) = record.overhead {
            self.overhead[usize::from(record.translated)].observe(overhead.as_secs_f64());
        }
        self.count_tokens(record);
        let (m, labels) = (metrics(), &record.series);
        if let Some(first) = record.first_token {
            let names = [labels.key, labels.channel, labels.model];
            self.first_token
                .get_or_init(|| m.first_token.with_label_values(&names))
                .observe(first.as_secs_f64());
        }
        if let Some(time) = record.output_time
            && record.usage.output > 0
            && time >= Duration::from_millis(1)
        {
            let names = [labels.channel, labels.model];
            self.output_rate
                .get_or_init(|| m.output_rate.with_label_values(&names))
                .observe(record.usage.output as f64 / time.as_secs_f64());
        }
    }

    fn count_tokens(&self, record: &Record<'_>) {
        let labels = &record.series;
        for ((counter, amount), kind) in self.tokens.iter().zip(record.amounts()).zip(TOKEN_TYPES) {
            if amount > 0 {
                let names = [labels.key, labels.group, labels.channel, labels.model, kind];
                counter
                    .get_or_init(|| metrics().tokens.with_label_values(&names))
                    .inc_by(amount);
            }
        }
        if let Some(cost) = record.cost_of_use() {
            self.cost.get_or_init(|| labels.cost()).add(cost);
        }
    }
}

impl SeriesKey<'_> {
    fn cost(&self) -> Cost {
        let names = [self.key, self.group, self.channel, self.model];
        metrics().costs.of(names)
    }
}

/// The numbers that stand for a set of labels in a thread's cache.
type CacheKey = ((u32, u32, u32), Surface, Option<Operation>, u16, bool);

/// More sets than this of one thread are not kept: the next begins anew.
const MAX_CACHED: usize = 4096;

/// Series by the numbers of their labels, then by the model's name.
type Cached = HashMap<CacheKey, Vec<(Box<str>, Rc<Series>)>, ahash::RandomState>;

thread_local! {
    static CACHE: RefCell<Cached> = RefCell::default();
}

/// Gauges of this many keys are kept by a thread; then it begins anew.
const MAX_GAUGES: usize = 4096;

thread_local! {
    static GAUGES: RefCell<HashMap<u32, IntGauge, ahash::RandomState>> = RefCell::default();
}

/// The gauge of a key's requests under way.
pub fn in_flight(key: u32, name: &str) -> IntGauge {
    GAUGES.with_borrow_mut(|gauges| {
        if gauges.len() > MAX_GAUGES {
            gauges.clear();
        }
        let make = || metrics().requests_in_flight.with_label_values(&[name]);
        gauges.entry(key).or_insert_with(make).clone()
    })
}

fn series(labels: &SeriesKey<'_>, ids: (u32, u32, u32)) -> Rc<Series> {
    let key = (
        ids,
        labels.surface,
        labels.operation,
        labels.status,
        labels.stream,
    );
    CACHE.with_borrow_mut(|map| {
        if map.len() > MAX_CACHED {
            map.clear();
        }
        let models = map.entry(key).or_default();
        if let Some((_, series)) = models.iter().find(|(model, _)| **model == *labels.model) {
            return series.clone();
        }
        let series = Rc::new(Series::new(labels));
        models.push((labels.model.into(), series.clone()));
        series
    })
}

/// How a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// A request that has ended.
    Request,
    /// An attempt of it that failed, while the request goes on: what it used, and nothing else.
    InVain,
    /// The gateway itself makes the answer by another request, which counts: only its line is written.
    Elsewhere,
}

impl Record<'_> {
    /// Counts the request, writes its row and its line.
    pub fn settle(&self, how: Attempted, ledger: &Ledger) {
        match how {
            Attempted::Request => {
                series(&self.series, self.ids).count(self);
                log::write(self);
            }
            Attempted::InVain => self.count_in_vain(),
            Attempted::Elsewhere => return log::write(self),
        }
        // Whom nobody knows must not fill the store.
        if !self.key_id.is_empty() {
            ledger.push(self.row(how == Attempted::Request));
        }
    }

    /// Of each of [`TOKEN_TYPES`].
    fn amounts(&self) -> [u64; TOKEN_TYPES.len()] {
        let usage = &self.usage;
        [
            usage.input(),
            usage.output,
            usage.cache_read,
            usage.cache_write(),
            usage.reasoning,
        ]
    }

    /// Where nothing was used there is no sample.
    fn cost_of_use(&self) -> Option<Usd> {
        self.cost.filter(|_| !self.usage.is_empty())
    }

    /// Without the series of requests, which would show that there were none. It is rare: no handle is kept.
    fn count_in_vain(&self) {
        let labels = &self.series;
        for (amount, kind) in self.amounts().into_iter().zip(TOKEN_TYPES) {
            if amount > 0 {
                let names = [labels.key, labels.group, labels.channel, labels.model, kind];
                metrics().tokens.with_label_values(&names).inc_by(amount);
            }
        }
        if let Some(cost) = self.cost_of_use() {
            labels.cost().add(cost);
        }
    }

    fn row(&self, is_final: bool) -> UsageRow {
        let (labels, usage) = (&self.series, &self.usage);
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        UsageRow {
            at: clock::unix_ms().cast_signed(),
            request_id: self.request_id.to_owned(),
            is_final,
            admitted: self.admitted,
            key_id: self.key_id.to_owned(),
            key: labels.key.to_owned(),
            group: labels.group.to_owned(),
            channel: labels.channel.to_owned(),
            surface: labels.surface.name().to_owned(),
            endpoint: labels.operation.map_or("none", Operation::name).to_owned(),
            model: labels.model.to_owned(),
            upstream_model: self.upstream_model.to_owned(),
            status: labels.status,
            attempts: self.attempts,
            stream: labels.stream,
            translated: self.translated,
            duration_us: micros(self.duration),
            ttft_us: self.first_token.map(micros),
            uncached: tokens(usage.uncached),
            cache_read: tokens(usage.cache_read),
            cache_write_5m: tokens(usage.cache_write_5m),
            cache_write_1h: tokens(usage.cache_write_1h),
            output: tokens(usage.output),
            reasoning: tokens(usage.reasoning),
            image_input: tokens(usage.image_input),
            audio_input: tokens(usage.audio_input),
            image_output: tokens(usage.image_output),
            audio_output: tokens(usage.audio_output),
            estimated: self.estimated,
            cost_pico: self.cost.map(Usd::pico_i64),
            tier: self.tier.name().to_owned(),
            error: self.error.unwrap_or_default().to_owned(),
            client: self.client.map(|ip| ip.to_string()).unwrap_or_default(),
        }
    }
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
