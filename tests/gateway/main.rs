//! The real binary against the simulator, over sockets.

mod bad_input;
mod commands;
mod endpoints;
mod failover;
mod fidelity;
mod http1;
mod leaving;
mod metering;
mod odd_upstreams;
mod recordings;
mod responses_only;
mod simulator;
mod socket;
mod stand;
mod state;
mod translation;
mod transports;
mod websocket;
