#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hyclus_fuzz::entry::parquet(bytes));
