//! The only code that counts: metrics, usage of a request, the request log.

mod log;
mod metrics;
mod record;
mod tap;

pub use log::{flush as flush_log, start as start_log};
pub use metrics::{metrics, register};
pub use record::{Record, SeriesKey, in_flight, reset_series};
pub use tap::Tap;
