//! The real binary against the simulator, over sockets.

mod agreement;
mod bad_input;
mod commands;
mod endpoints;
mod failover;
mod fidelity;
mod http1;
mod leaving;
mod ledger;
mod metering;
mod odd_upstreams;
#[allow(
    dead_code,
    reason = "the store's own tests use the rest; here a server is needed"
)]
#[path = "../store/place.rs"]
mod place;
mod recordings;
mod responses_only;
mod simulator;
mod socket;
mod stand;
mod state;
mod translation;
mod transports;
mod websocket;
