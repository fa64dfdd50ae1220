//! Limits: against a simple reference, under races, and while Redis goes away. On both ledgers.

mod dying;
mod model;
mod outage;
mod race;
mod server;
