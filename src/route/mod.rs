//! Which channel takes a request: groups, channels and their health, cool-downs, the plan of
//! attempts. Knows nothing of bodies.

mod channel;
mod group;
mod health;
mod resolve;

pub use channel::{Channel, Claim};
pub use group::{Group, Pick, Plan};
pub use health::watch;
