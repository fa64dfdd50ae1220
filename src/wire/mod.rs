//! Bytes on the wire: JSON spans and edits, event-stream frames, multipart fields. No vendors, no
//! protocols, no I/O.

pub mod edit;
pub mod json;
pub mod multipart;
pub mod read;
pub mod sse;
pub mod watch;
