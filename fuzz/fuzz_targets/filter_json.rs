//! See `filter_json` in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    orzo_fuzz::filter_json(bytes);
});
