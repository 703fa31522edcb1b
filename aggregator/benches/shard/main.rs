//! What a shard does for statsd: a sample from a batch into its slot, and once a second a series from its slot into
//! blob and window.

#![allow(missing_docs)] // of what criterion's macros make

mod setup;

use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orzo_model::batch::SAMPLES_PER_BATCH;

use setup::{at, batches, commit, shard};

fn samples(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("samples");
    for series in [1_000, 10_000, 1_000_000] {
        let mut shard = shard(series);
        let batches = batches(series, at(2));
        batches.iter().for_each(|batch| shard.samples(batch));
        let mut next = batches.iter().cycle();
        group.throughput(Throughput::Elements(SAMPLES_PER_BATCH as u64));
        group.bench_function(BenchmarkId::from_parameter(series), |bencher| {
            bencher.iter_batched(
                || next.next().expect("it goes round"),
                |batch| shard.samples(batch),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Record, blob and window of each series that spoke, by series.
fn second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("second");
    group.sample_size(20);
    for series in [10_000, 100_000] {
        let mut shard = shard(series);
        let mut now = 2;
        group.throughput(Throughput::Elements(series));
        group.bench_function(BenchmarkId::from_parameter(series), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    batches(series, at(now)).iter().for_each(|batch| shard.samples(batch));
                    now += 1;
                    let since = Instant::now();
                    commit(&mut shard, now);
                    spent += since.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, samples, second);
criterion_main!(benches);
