//! The real binary against the simulator, over sockets.

mod admin;
mod agreement;
mod bad_input;
mod commands;
mod endpoints;
mod failover;
mod fidelity;
mod handed_out;
mod http1;
mod keys;
mod leaving;
mod ledger;
mod limits;
mod metering;
mod odd_upstreams;
#[allow(
    dead_code,
    reason = "the store's own tests use the rest; here a server is needed"
)]
#[path = "../store/place.rs"]
mod place;
mod recordings;
#[allow(
    dead_code,
    reason = "the limits' own tests use the rest; here a server is needed"
)]
#[path = "../limits/server.rs"]
mod redis;
mod responses_only;
mod shared;
mod simulator;
mod socket;
mod stand;
mod state;
mod translation;
mod transports;
mod upgrade;
mod websocket;
