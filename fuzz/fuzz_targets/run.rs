//! See `run` in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    orzo_fuzz::run(bytes);
});
