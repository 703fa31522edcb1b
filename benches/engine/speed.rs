//! What a core does: rollups of a checkpoint, and reading of sealed blocks.

use std::hint::black_box;
use std::time::{Duration, Instant};

use orzo_model::series::{Series, SeriesKind};
use orzo_model::{Granularity, Measure, Method, SECOND, Timestamp, block, rollup};

use crate::datasets::{MIX, SHAPES};
use crate::{SIX, STEP, line, measures, policy};

/// How long each is repeated.
const TIME: Duration = Duration::from_millis(500);
/// Series that are rolled up in turn.
const SERIES: usize = 1000;

pub(crate) fn run() {
    println!("\nOne checkpoint of ten minutes, six methods, minutes and hours; mix");
    checkpoint();
    println!("\nReading a sealed block of 4320 buckets, one column");
    for (name, _) in SHAPES {
        let aim = matches!(name, "constant" | "int20k").then_some(-100.0);
        line(name, decoded(name, 0), "million points a second", aim);
    }
    line(MIX[0].0, decoded("mix", 0), "million points a second", None);
}

fn checkpoint() {
    let policy = policy(&[60, 3600], SIX);
    let points: Vec<Vec<Measure>> = (0..SERIES).map(|index| measures("mix", index, 2)).collect();
    let mut series: Vec<Series> =
        (0..SERIES).map(|_| Series::new(SeriesKind::Sampled, policy.clone())).collect();
    let [mut inserting, mut rolling, mut encoding, mut storing] = [Duration::ZERO; 4];
    let mut checkpoints = 0;
    for minutes in (0..120).step_by(10) {
        let from = Instant::now();
        for (series, points) in series.iter_mut().zip(&points) {
            for minute in minutes..minutes + 10 {
                series.insert(minute + 1, &mut points[minute as usize * 6..][..6].to_vec());
            }
        }
        inserting += from.elapsed();
        for series in &mut series {
            let from = Instant::now();
            let checkpoint = series.begin_checkpoint().expect("it has changed");
            let runs = checkpoint.runs();
            rolling += from.elapsed();
            let from = Instant::now();
            runs.iter().for_each(|run| drop(black_box(block::encode(run, 1))));
            encoding += from.elapsed();
            let from = Instant::now();
            black_box(checkpoint.window());
            series.end_checkpoint();
            storing += from.elapsed();
            checkpoints += 1;
        }
    }
    let ns = |time: Duration| time.as_nanos() as f64 / f64::from(checkpoints);
    line("taking measures in, six at a time", ns(inserting) / 60.0, "ns a measure", None);
    line("rollups", ns(rolling) / 60.0, "ns a measure", None);
    line("rollups", ns(rolling) / 1000.0, "µs a series", None);
    line("blocks of them", ns(encoding) / 1000.0, "µs a series", None);
    line("windows to be stored", ns(storing) / 1000.0, "µs a series", None);
}

/// Millions of points a second.
fn decoded(set: &str, index: usize) -> f64 {
    let width = Granularity::from_ns(STEP * SECOND).expect("a width is not zero");
    let methods = [Method::MEAN].into_iter().collect();
    let run = rollup::rollup(&measures(set, index, 12), width, &methods, Timestamp::EPOCH);
    let bytes = block::encode(&run, 1);
    let (begun, mut points) = (Instant::now(), 0);
    while begun.elapsed() < TIME {
        let decoded = block::decode(black_box(&bytes), width, Method::MEAN).expect("it was encoded just now");
        points += black_box(decoded).column.starts.len();
    }
    points as f64 / begun.elapsed().as_secs_f64() / 1e6
}
