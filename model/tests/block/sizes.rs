//! Bytes a bucket on the data sets of the benchmarks. Sizes do not depend on the machine, so a change
//! of the codec that makes anything larger fails here.

use orzo_model::run::Run;
use orzo_model::{Granularity, Measure, Method, MethodSet, SECOND, Timestamp, block, rollup};

use super::datasets::series;

const STEP: u64 = 10;
const HOURS: usize = 12;
const SIX: &str = "mean min max sum std count";

/// The buckets of `slot` seconds of a series of a data set.
fn rolled(name: &str, index: usize, hours: usize, slot: u64, methods: &str) -> Run {
    let point = |(at, value): (u64, &f64)| Measure {
        at: Timestamp::from_ns((1_767_225_600 + at * STEP) * SECOND).unwrap(),
        value: *value,
    };
    let values = series(name, index, hours, STEP as usize);
    let points: Vec<Measure> = (0..).zip(&values).map(point).collect();
    let methods: MethodSet = methods.split(' ').map(|method| Method::parse(method).unwrap()).collect();
    rollup::rollup(&points, Granularity::from_ns(slot * SECOND).unwrap(), &methods, Timestamp::EPOCH)
}

fn assert_read_back(run: &Run, bytes: &[u8]) {
    for (method, _) in run.columns() {
        let (found, expected) =
            (block::decode(bytes, run.width(), method).unwrap().column, run.column(method));
        assert_eq!(found.starts, expected.starts);
        assert!(found.values.iter().zip(&expected.values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

/// Averages over `count` series; `most` is what it was, rounded up.
fn check(name: &str, count: usize, slot: u64, methods: &str, most: f64) {
    let size = |index| {
        let run = rolled(name, index, HOURS, slot, methods);
        let bytes = block::encode(&run, 1);
        assert_read_back(&run, &bytes);
        bytes.len() as f64 / run.starts().len() as f64
    };
    let average = (0..count).map(size).sum::<f64>() / count as f64;
    println!("{name} in {slot} s, {methods}: {average:.4}");
    assert!(average <= most, "{name} in {slot} s, {methods}: {average:.4} bytes, {most} expected");
}

#[test]
fn plain_shapes() {
    check("constant", 5, STEP, "mean", 0.005);
    check("bit", 5, STEP, "mean", 0.13);
    check("int20k", 5, STEP, "mean", 1.81);
    check("counter", 5, STEP, "mean", 1.59);
    check("temp", 5, STEP, "mean", 0.188);
    check("latency", 5, STEP, "mean", 1.237);
    check("double", 5, STEP, "mean", 6.635);
    check("sine", 5, STEP, "mean", 0.777);
}

#[test]
fn the_mix_of_a_host() {
    check("mix", 40, STEP, "mean", 1.285);
}

#[test]
fn six_methods_of_one_point_are_stored_once() {
    check("mix", 20, STEP, SIX, 1.292);
}

#[test]
fn six_methods_of_six_points() {
    check("mix", 40, 60, SIX, 7.87);
}

#[test]
fn what_a_checkpoint_writes_as_a_block_and_as_a_run() {
    let sizes = |slot: u64, count: usize| {
        let whole = rolled("mix", 0, 1, slot, SIX);
        let mut short = Run::new(whole.width(), []);
        whole.starts()[..count].iter().for_each(|start| short.open_bucket(*start));
        for (method, values) in whole.columns() {
            short.add_column(method, (0..count).map(|bucket| values.get(bucket)));
        }
        let bytes = block::encode(&short, 1);
        assert_read_back(&short, &bytes);
        (bytes.len(), short.encode(1).len())
    };
    assert_eq!(sizes(10, 10), (51, 88));
    assert_eq!(sizes(60, 10), (112, 293));
    assert_eq!(sizes(60, 1), (56, 42));
}
