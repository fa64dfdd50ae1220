//! What the mock and the load client have in common: the little of HTTP/1.1 that they need, and what they say to
//! each other through the proxy between them.
//!
//! Written by hand on raw sockets, because the two share a core: what they burn is taken from the load they can make.

pub mod flags;
pub mod http1;
pub mod talk;
