//! The only code that counts: metrics, usage of a request, the request log, the ledger of what was used.

mod costs;
mod ledger;
mod log;
mod metrics;
mod record;
mod spool;
mod tap;

pub use ledger::Ledger;
pub use log::{flush as flush_log, start as start_log};
pub use metrics::{metrics, register};
pub use record::{Attempted, Record, SeriesKey, in_flight};
pub use tap::Tap;
