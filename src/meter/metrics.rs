//! The metric families. A new metric is one row here.

use once_cell::sync::OnceCell;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    register_histogram_vec, register_int_counter, register_int_counter_vec, register_int_gauge,
    register_int_gauge_vec,
};

use super::costs::Costs;

/// 100 µs to 10 min.
const SECONDS: [f64; 20] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0, 180.0, 600.0,
];
/// The gateway's own time: 5 µs upward.
const OVERHEAD_SECONDS: [f64; 14] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.05, 0.1, 1.0,
];
const TOKENS_PER_SECOND: [f64; 12] = [
    1.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 1000.0, 4000.0,
];

pub struct Metrics {
    pub requests: IntCounterVec,
    pub tokens: IntCounterVec,
    pub costs: Costs,
    pub duration: HistogramVec,
    pub first_token: HistogramVec,
    pub output_rate: HistogramVec,
    pub overhead: HistogramVec,
    pub attempts: IntCounterVec,
    pub channel_up: IntGaugeVec,
    pub channel_in_flight: IntGaugeVec,
    pub requests_in_flight: IntGaugeVec,
    pub tap_failures: IntCounterVec,
    pub store_failures: IntCounterVec,
    pub dropped_parameters: IntCounterVec,
    pub limit_rejections: IntCounterVec,
    pub usage_write_failures: IntCounter,
    pub usage_queue: IntGauge,
    pub config_reloads: IntCounterVec,
    build_info: IntGaugeVec,
}

// Of this crate, because the standard library's cell cannot fail while it is filled.
static METRICS: OnceCell<Metrics> = OnceCell::new();

/// Registers the metrics; at the start, so that a clash of names ends it there.
pub fn register() -> prometheus::Result<()> {
    METRICS.get_or_try_init(Metrics::register).map(|_| ())
}

/// The metrics of this process.
pub fn metrics() -> &'static Metrics {
    METRICS.get_or_init(|| {
        Metrics::register().expect("metric families are registered once, with valid names")
    })
}

impl Metrics {
    fn register() -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register_int_counter_vec!(Opts::new(name, help), labels)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register_int_gauge_vec!(Opts::new(name, help), labels)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            register_histogram_vec!(
                HistogramOpts::new(name, help).buckets(buckets.to_vec()),
                labels
            )
        };
        let metrics = Self {
            requests: counter(
                "torouter_requests_total",
                "Requests that have ended.",
                &[
                    "key", "group", "channel", "surface", "endpoint", "model", "status",
                ],
            )?,
            tokens: counter(
                "torouter_tokens_total",
                "Tokens: input counts all input, of which cache_read and cache_write; output counts all output, of which reasoning.",
                &["key", "group", "channel", "model", "type"],
            )?,
            costs: Costs::register(
                "torouter_cost_usd_total",
                "What requests cost, in US dollars; where a price is not known, nothing.",
                &["key", "group", "channel", "model"],
            )?,
            duration: histogram(
                "torouter_request_duration_seconds",
                "From the request's head to the answer's end.",
                &["key", "surface", "endpoint", "stream"],
                &SECONDS,
            )?,
            first_token: histogram(
                "torouter_time_to_first_token_seconds",
                "From the request's head to the first output.",
                &["key", "channel", "model"],
                &SECONDS,
            )?,
            output_rate: histogram(
                "torouter_output_tokens_per_second",
                "Output tokens of a stream over the time it took.",
                &["channel", "model"],
                &TOKENS_PER_SECOND,
            )?,
            overhead: histogram(
                "torouter_gateway_overhead_seconds",
                "What the gateway itself took of a request, up to the answer's head.",
                &["surface", "translated"],
                &OVERHEAD_SECONDS,
            )?,
            attempts: counter(
                "torouter_upstream_attempts_total",
                "Attempts on channels, by how they ended.",
                &["channel", "outcome"],
            )?,
            channel_up: gauge(
                "torouter_channel_up",
                "1 while the channel may be used.",
                &["channel"],
            )?,
            channel_in_flight: gauge(
                "torouter_channel_in_flight",
                "Requests under way on the channel.",
                &["channel"],
            )?,
            requests_in_flight: gauge(
                "torouter_requests_in_flight",
                "Requests under way of the key.",
                &["key"],
            )?,
            tap_failures: counter(
                "torouter_usage_missing_total",
                "Answers with output whose usage the provider did not state, so that it was estimated.",
                &["channel"],
            )?,

            store_failures: counter(
                "torouter_store_failures_total",
                "Calls that the store of responses could not do, by call.",
                &["call"],
            )?,
            dropped_parameters: counter(
                "torouter_dropped_parameters_total",
                "Parameters that a translation left out, because the platform has nothing like them.",
                &["surface", "platform", "parameter"],
            )?,
            limit_rejections: counter(
                "torouter_limit_rejections_total",
                "Requests that a limit of their key refused.",
                &["key", "limit"],
            )?,
            usage_write_failures: register_int_counter!(
                "torouter_usage_write_failures_total",
                "Rows of usage that were lost or put aside.",
            )?,
            usage_queue: register_int_gauge!(
                "torouter_usage_queue_length",
                "Rows of usage that are not in the store yet.",
            )?,
            config_reloads: counter(
                "torouter_config_reloads_total",
                "Readings of the config while running.",
                &["result"],
            )?,
            build_info: gauge("torouter_build_info", "Always 1.", &["version", "revision"])?,
        };
        let revision = option_env!("TOROUTER_REVISION").unwrap_or("unknown");
        metrics
            .build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION"), revision])
            .set(1);
        for result in ["ok", "error"] {
            metrics.config_reloads.with_label_values(&[result]);
        }
        Ok(metrics)
    }
}
