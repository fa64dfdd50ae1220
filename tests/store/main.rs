//! The store, on each database that it can be in: the same cases, then what only one of them can suffer.

mod bounds;
mod conversations;
mod keys;
mod names;
mod opening;
mod paging;
mod place;
mod postgres;
mod reports;
mod retention;
mod secret;
mod speed;
mod sqlite;
mod suite;
mod turns;
mod usage;
