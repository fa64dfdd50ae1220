//! The store, on each database that it can be in: the same cases, then what only one of them can suffer.

mod bounds;
mod conversations;
mod names;
mod opening;
mod place;
mod postgres;
mod sqlite;
mod suite;
mod turns;
