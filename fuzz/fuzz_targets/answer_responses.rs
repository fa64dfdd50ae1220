//! Answers of OpenAI Responses providers, for every surface.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torouter::dialect::Dialect;

fuzz_target!(|data: &[u8]| torouter_fuzz::answer(Dialect::OpenAiResponses, data));
