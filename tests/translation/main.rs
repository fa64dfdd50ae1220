//! The translation, without sockets: what each protocol's reader makes of what providers sent, and what each writer
//! makes of that.

mod corpus;
mod flavors;
mod golden;
mod grammar;
mod hear;
mod laws;
mod losses;
mod regressions;
mod relay;
mod requests;
mod round_trip;
mod schemas;
