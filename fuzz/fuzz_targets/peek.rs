//! Bodies whose model and stream the gateway looks up, and edits.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| torouter_fuzz::peek(data));
