//! What the machine has, what the daemon should make of it, and load generators to check the result.
//!
//! [`Machine`] and [`System`] read facts, [`plan`](plan()) turns them into numbers of threads and bytes (purely, with
//! reasons), [`advise`](advise()) says what an operator could change, [`blast`] sends statsd lines whose sums it knows, and
//! [`api_bench`] measures the API.

pub mod advise;
pub mod api_bench;
pub mod blast;
pub mod client;
pub mod exposition;
pub mod machine;
pub mod plan;
pub mod system;

pub use advise::{Finding, Setting, State, Wants, advise};
pub use machine::Machine;
pub use plan::{Plan, Reason, Wishes, plan};
pub use system::System;

/// Bytes in a form people read: `64 KiB`, `1.5 GiB`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let scale = (0..UNITS.len() - 1).take_while(|step| bytes >> (10 * (step + 1)) > 0).count();
    let value = bytes as f64 / (1u64 << (10 * scale)) as f64;
    let digits = if value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[scale])
}
