//! Every target's `main`: the binary's name says which one it is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailcap_fuzz::run(env!("CARGO_BIN_NAME"), data));
