#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| northc_fuzz::saved(bytes));
