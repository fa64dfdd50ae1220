//! Requests of OpenAI Responses clients, for every platform.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torouter::dialect::Dialect;

fuzz_target!(|data: &[u8]| torouter_fuzz::request(Dialect::OpenAiResponses, data));
