#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| northc_fuzz::lock(bytes));
