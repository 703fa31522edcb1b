//! Sealed blocks: writing, and reading of one method. Throughput is in buckets; the aim of reading is
//! 10 ns a bucket of constants and integers.
//!
//! Half a day of ten-second buckets with one method, for each shape of the data sets; 512 minutes
//! with six methods; and the ten minutes of them that one checkpoint leaves, beside the plain
//! encoding of the same run.

#[path = "../tests/block/datasets.rs"]
mod datasets;
#[path = "../tests/block/python_random.rs"]
mod python_random;

use criterion::{BenchmarkId, Criterion, Throughput};
use datasets::{MIX, SHAPES, series};
use orzo_model::run::{self, Run};
use orzo_model::{Granularity, Measure, Method, MethodSet, SECOND, Timestamp, block, rollup};

const SIX: [Method; 6] = [Method::MEAN, Method::MIN, Method::MAX, Method::SUM, Method::STD, Method::COUNT_OF];

/// The first `buckets` of `slot` seconds of a series of points that are ten seconds apart.
fn rolled((name, index): (&str, usize), slot: u64, buckets: usize, methods: &[Method]) -> Run {
    let point = |(at, value): (u64, &f64)| Measure {
        at: Timestamp::saturating_from_ns((1_767_225_600 + 10 * at) * SECOND),
        value: *value,
    };
    let values = series(name, index, 12, 10);
    let points: Vec<Measure> = (0..).zip(&values[..buckets * slot as usize / 10]).map(point).collect();
    let methods: MethodSet = methods.iter().copied().collect();
    let width = Granularity::from_ns(slot * SECOND).expect("a slot is not empty");
    rollup::rollup(&points, width, &methods, Timestamp::EPOCH)
}

fn shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block");
    let shapes = SHAPES.iter().map(|(name, _)| (*name, (*name, 0)));
    let mix = MIX.iter().enumerate().map(|(index, (name, _))| (*name, ("mix", index)));
    for (name, which) in shapes.chain(mix.skip(17)) {
        let run = rolled(which, 10, 4320, &[Method::MEAN]);
        let bytes = block::encode(&run, 1);
        group.throughput(Throughput::Elements(run.starts().len() as u64));
        group.bench_function(BenchmarkId::new("decode", name), |bencher| {
            bencher.iter(|| block::decode(&bytes, run.width(), Method::MEAN));
        });
        group.bench_function(BenchmarkId::new("encode", name), |bencher| {
            bencher.iter(|| block::encode(&run, 1));
        });
    }
    group.finish();
}

fn six_methods(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block of six methods");
    let run = rolled(("mix", 0), 60, 512, &SIX);
    let bytes = block::encode(&run, 1);
    group.throughput(Throughput::Elements(run.starts().len() as u64));
    for method in SIX {
        group.bench_function(BenchmarkId::new("decode", method), |bencher| {
            bencher.iter(|| block::decode(&bytes, run.width(), method));
        });
    }
    group.bench_function("decode all", |bencher| bencher.iter(|| block::decode_run(&bytes, run.width())));
    group.bench_function("encode", |bencher| bencher.iter(|| block::encode(&run, 1)));
    group.finish();
}

fn ten_minutes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block of a checkpoint");
    let short = rolled(("mix", 0), 60, 10, &SIX);
    let (bytes, plain) = (block::encode(&short, 1), short.encode(1));
    group.throughput(Throughput::Elements(short.starts().len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| block::encode(&short, 1)));
    group.bench_function("encode plain", |bencher| bencher.iter(|| short.encode(1)));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| block::decode(&bytes, short.width(), Method::MEAN));
    });
    group.bench_function("decode plain", |bencher| {
        bencher.iter(|| run::decode(&plain, short.width(), Method::MEAN));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    shapes(&mut criterion);
    six_methods(&mut criterion);
    ten_minutes(&mut criterion);
    criterion.final_summary();
}
