//! `torouter`, an LLM API gateway: one host, one key, every model. `ARCHITECTURE.md` is the map.
//!
//! A library only so that tests and benches can reach the rooms; the product is the binary.

pub mod admin;
pub mod base;
pub mod chat;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod gate;
pub mod meter;
pub mod platform;
pub mod proxy;
pub mod route;
pub mod simulate;
pub mod store;
pub mod wire;
pub mod world;
