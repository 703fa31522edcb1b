//! What the engine is measured by, each figure beside its aim: bytes at rest, bytes written for each measure, what
//! rollups cost, how fast sealed blocks are decoded, what a short read takes.
//!
//! Everything runs as in the daemon, on RocksDB in a temporary directory: shard, flusher, syncer. Only HTTP is left
//! out, and time is told by the bench, so that half a day of checkpoints takes a minute. `make bench-engine` runs it;
//! `ARGS='write 2000 12'` runs one part, with so many series and hours.

#[path = "../../model/tests/block/datasets.rs"]
mod datasets;
mod node;
#[path = "../../model/tests/block/python_random.rs"]
mod python_random;
mod read;
mod rest;
mod speed;
mod write;

use orzo_model::{ArchivePolicy, Granularity, Item, Measure, Method, SECOND, Timestamp};
use std::sync::Arc;

/// Seconds between two points.
const STEP: u64 = 10;
/// The methods of the default policies.
const SIX: &str = "mean min max sum std count";

fn at(seconds: u64) -> Timestamp {
    Timestamp::saturating_from_ns(seconds * SECOND)
}

/// When every series begins.
const START: u64 = 1_767_225_600;

/// A whole series of a data set.
fn measures(set: &str, index: usize, hours: usize) -> Vec<Measure> {
    let values = datasets::series(set, index, hours, STEP as usize);
    (0..).zip(values).map(|(n, value)| Measure { at: at(START + n * STEP), value }).collect()
}

/// A policy that keeps for a year; widths in seconds.
fn policy(widths: &[u64], methods: &str) -> Arc<ArchivePolicy> {
    let item = |width: &u64| Item {
        granularity: Granularity::from_ns(width * SECOND).expect("a width is not zero"),
        points: Some(366 * 86_400 / width),
    };
    let method = |name| Method::parse(name).expect("a known method");
    Arc::new(ArchivePolicy {
        name: "bench".into(),
        back_window: 0,
        items: widths.iter().map(item).collect(),
        methods: methods.split(' ').map(method).collect(),
    })
}

/// One line of the report. `aim`: at most so much, or if negative at least.
fn line(what: &str, found: f64, unit: &str, aim: Option<f64>) {
    let aim = aim.map_or(String::new(), |aim| {
        let met = if aim < 0.0 { found >= -aim } else { found <= aim };
        let sign = if aim < 0.0 { "at least" } else { "at most" };
        format!("aim {sign} {}{}", aim.abs(), if met { "" } else { "  MISSED" })
    });
    println!("{what:44} {found:10.3} {unit:22} {aim}");
}

fn main() {
    // Cargo says `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number =
        |place: usize, otherwise| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(otherwise);
    let part = words.first().map(String::as_str);
    let wanted = |name| part.is_none_or(|part| part == name);
    if wanted("rest") {
        rest::run(number(1, 50), number(2, 12));
    }
    if wanted("write") {
        write::run(number(1, 2000), number(2, 12));
    }
    if wanted("speed") {
        speed::run();
    }
    if wanted("read") {
        read::run();
    }
}
