//! Bytes on the wire: JSON spans, edits and appending, event-stream frames, multipart fields. No vendors, no
//! protocols, no I/O.

pub mod edit;
pub mod emit;
pub mod json;
pub mod multipart;
pub mod read;
pub mod sse;
pub mod watch;
