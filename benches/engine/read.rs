//! What a short read takes, by how its buckets lie in the store: out of long blocks, out of short ones, and not sealed
//! yet. Everything is in the cache.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orzo_model::Partitions;
use orzo_model::{Granularity, Method, MetricId, SECOND, Timestamp, rollup};
use orzo_store::{Aggregates, Closed, Extents, KvAggregates, MetricRuns, RowQuery};
use orzo_store_rocks::{RocksKv, Tuning};

use crate::{START, STEP, at, line, measures};

/// How long each is repeated.
const TIME: Duration = Duration::from_millis(500);
const SERIES: usize = 200;
const HOURS: usize = 24;
/// Buckets of one read.
const BUCKETS: u64 = 60;

pub(crate) fn run() {
    println!(
        "\nReading {BUCKETS} buckets of one method, {SERIES} series of {HOURS} hours, checkpointed hourly; mix"
    );
    let short = Extents::new(512, 512);
    for (what, extents, sealed) in [
        ("out of blocks of 4096 slots", Extents::default(), true),
        ("out of blocks of 512 slots", short, true),
        ("not sealed yet", Extents::default(), false),
    ] {
        line(what, read(extents, sealed), "µs a read", None);
    }
}

fn id(index: usize) -> MetricId {
    MetricId::from_bits(index as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn read(extents: Extents, sealed: bool) -> f64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let kv = Arc::new(RocksKv::open(directory.path(), &Tuning::default()).expect("an empty directory"));
    let aggregates = KvAggregates::new(kv.clone(), Partitions::DEFAULT).with_extents(extents);
    let width = Granularity::from_ns(STEP * SECOND).expect("a width is not zero");
    let methods = [Method::MEAN].into_iter().collect();
    for index in 0..SERIES {
        let whole = rollup::rollup(&measures("mix", index, HOURS), width, &methods, Timestamp::EPOCH);
        for (hour, run) in (1..).zip(whole.parts(|start| start.ns() / (3600 * SECOND))) {
            let metric = MetricRuns { id: id(index), seq: hour, runs: vec![run], horizons: Vec::new() };
            aggregates.write(&[metric]).expect("the disk works");
        }
        let (from, until) = (at(START), at(START + 2 * HOURS as u64 * 3600));
        let closed = Closed { id: id(index), width, methods, before: from, from, until };
        if sealed {
            aggregates.seal(&closed).expect("the disk works");
        }
    }
    kv.compact().expect("the disk works");
    let (begun, mut reads) = (Instant::now(), 0u64);
    while begun.elapsed() < TIME {
        let random = reads.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let slot = random % (HOURS as u64 * 3600 / STEP - BUCKETS);
        let (start, stop) = (at(START + slot * STEP), Some(at(START + (slot + BUCKETS) * STEP)));
        let query = RowQuery { id: id(random as usize % SERIES), width, method: Method::MEAN, start, stop };
        assert_eq!(black_box(aggregates.read(&query).expect("it is sound")).len() as u64, BUCKETS);
        reads += 1;
    }
    begun.elapsed().as_secs_f64() * 1e6 / reads as f64
}
