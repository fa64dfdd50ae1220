//! Frames of an event stream, cut anywhere.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| torouter_fuzz::frames(data));
