//! Bytes at rest: the rows on disk after everything is sealed, flushed and merged.

use orzo_aggregator::Post;
use orzo_model::MetricId;
use orzo_model::series::SeriesKind;
use orzo_store::Family;

use crate::node::Node;
use crate::{SIX, START, STEP, at, line, measures, policy};

/// Bytes a point, by data set.
const AIMS: [(&str, f64); 9] = [
    ("constant", 0.01),
    ("bit", 0.14),
    ("int20k", 1.85),
    ("counter", 1.7),
    ("temp", 0.21),
    ("latency", 1.6),
    ("double", 6.9),
    ("sine", 5.8),
    ("mix", 1.45),
];

pub(crate) fn run(series: usize, hours: usize) {
    println!("\nBytes at rest, {series} series of {hours} hours, a point each {STEP} seconds");
    for (name, aim) in AIMS {
        line(name, at_rest(name, series, hours, STEP, "mean"), "bytes a point", Some(aim));
    }
    let six = at_rest("mix", series, hours, 60, SIX);
    line("mix, six methods of minutes", six, "bytes a slot, all six", Some(8.0));
    let single = at_rest("mix", series, hours, STEP, SIX);
    line("mix, six methods of one point", single, "bytes a slot, all six", Some(1.6));
}

/// Bytes a slot of `width` seconds.
fn at_rest(set: &str, series: usize, hours: usize, width: u64, methods: &str) -> f64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(directory.path(), START);
    let policy = policy(&[width], methods);
    let post = |index: usize, measures: Vec<orzo_model::Measure>| Post {
        id: MetricId::from_bits(index as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        policy: policy.clone(),
        kind: SeriesKind::Sampled,
        measures: measures.into(),
    };
    (0..series).for_each(|index| node.post(vec![post(index, measures(set, index, hours))]));
    // Long after: everything before it is sealed.
    let end = START + hours as u64 * 3600;
    let late = orzo_model::Measure { at: at(end + 86_400), value: 0.0 };
    (0..series).for_each(|index| node.post(vec![post(index, vec![late])]));
    let kv = node.stop();
    kv.rocks.compact().expect("the disk works");
    kv.rocks.bytes_on_disk(Family::Rows) as f64 / (series as u64 * hours as u64 * 3600 / width) as f64
}
