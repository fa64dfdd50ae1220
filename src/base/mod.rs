//! The vocabulary that every other room speaks: ids, usage, money, limits, faults, secrets, time. No I/O.

pub mod clock;
pub mod fault;
pub mod glob;
pub mod id;
pub mod limits;
pub mod money;
pub mod outcome;
pub mod secret;
pub mod usage;

pub use fault::{Fault, FaultKind, UpstreamError};
pub use id::Ids;
pub use limits::{Limits, Span};
pub use money::Usd;
pub use outcome::Outcome;
pub use secret::Secret;
pub use usage::{Tier, Usage};
