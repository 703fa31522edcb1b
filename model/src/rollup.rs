//! Raw points to buckets: the aggregation methods, as pure functions of what a window holds.
//!
//! Values and order of additions are the reference's (contract, `timeseries.md` 6 and 7), so that sums
//! are equal to the bit.

use crate::method::{Formula, Method, MethodSet};
use crate::run::Run;
use crate::time::{Granularity, Measure, Timestamp};

/// Recomputes every bucket of `width` that starts at or after `floor(from, width)`.
///
/// `points` are ascending with unique timestamps and hold every accepted point of those buckets; rates
/// also look at the points of one bucket before.
pub fn rollup(points: &[Measure], width: Granularity, methods: &MethodSet, from: Timestamp) -> Run {
    let start = from.floor(width);
    let first = points.partition_point(|point| point.at < start);
    let mut run = Run::new(width, methods.iter());
    let mut scratch = Scratch::default();
    for bucket in buckets(&points[first..], width) {
        scratch.values.clear();
        scratch.values.extend(bucket.iter().map(|point| point.value));
        scratch.sort_if(needs_order(methods, false));
        run.open_bucket(bucket[0].at.floor(width));
        for (method, column) in run.columns_mut().filter(|(method, _)| !method.is_rate()) {
            column.push(evaluate(method.formula(), &scratch.values, &scratch.sorted));
        }
    }
    if methods.has_rate() {
        add_rates(&mut run, points, start, methods, &mut scratch);
    }
    run
}

fn add_rates(
    run: &mut Run,
    points: &[Measure],
    start: Timestamp,
    methods: &MethodSet,
    scratch: &mut Scratch,
) {
    let width = run.width();
    // A predecessor further back than one bucket before the first does not count.
    let reach = points.partition_point(|point| point.at < start.saturating_sub(width.ns()));
    let differences: Vec<Measure> = points[reach..]
        .windows(2)
        .filter(|pair| pair[1].at >= start)
        .map(|pair| Measure { at: pair[1].at, value: pair[1].value - pair[0].value })
        .collect();
    let mut rates = buckets(&differences, width).peekable();
    for bucket in 0..run.starts().len() {
        let label = run.starts()[bucket];
        let found = rates.next_if(|differences| differences[0].at.floor(width) == label);
        scratch.values.clear();
        scratch.values.extend(found.unwrap_or_default().iter().map(|point| point.value));
        scratch.sort_if(needs_order(methods, true));
        for (method, column) in run.columns_mut().filter(|(method, _)| method.is_rate()) {
            column.push(evaluate(method.formula(), &scratch.values, &scratch.sorted));
        }
    }
}

/// Splits ascending points at the borders of buckets; no part is empty.
fn buckets(points: &[Measure], width: Granularity) -> impl Iterator<Item = &[Measure]> {
    points.chunk_by(move |a, b| a.at.floor(width) == b.at.floor(width))
}

fn needs_order(methods: &MethodSet, rate: bool) -> bool {
    let ordered = |m: Method| matches!(m.formula(), Formula::Median | Formula::Percentile(_));
    methods.iter().any(|method| method.is_rate() == rate && ordered(method))
}

#[derive(Default)]
struct Scratch {
    values: Vec<f64>,
    sorted: Vec<f64>,
}

impl Scratch {
    fn sort_if(&mut self, needed: bool) {
        if needed {
            self.sorted.clone_from(&self.values);
            sort_values(&mut self.sorted);
        }
    }
}

/// Ascending; NaN sorts after every number.
pub fn sort_values(values: &mut [f64]) {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
}

/// One method over the values of one bucket in time order; `sorted` holds the same values in order of
/// size and is read only by the median and percentiles. `None`: the bucket does not exist.
pub fn evaluate(formula: Formula, values: &[f64], sorted: &[f64]) -> Option<f64> {
    let (first, last) = (*values.first()?, *values.last()?);
    let count = values.len() as f64;
    Some(match formula {
        Formula::Count => count,
        Formula::Sum => sum(values),
        Formula::Mean => sum(values) / count,
        Formula::First => first,
        Formula::Last => last,
        Formula::Min => values.iter().copied().fold(f64::NAN, f64::min),
        Formula::Max => values.iter().copied().fold(first, nan_max),
        Formula::Std => return deviation(values),
        Formula::Median => median(sorted),
        Formula::Percentile(percent) => percentile(sorted, f64::from(percent)),
    })
}

fn sum(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |total, value| total + value)
}

/// The greater one; NaN wins.
pub fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = sum(values) / values.len() as f64;
    let squares = values.iter().fold(0.0, |total, value| total + (value - mean) * (value - mean));
    Some((squares / (values.len() - 1) as f64).sqrt())
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Linear interpolation between the neighbours of rank `(n - 1) × percent / 100`.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (sorted.len() - 1) as f64 * (percent / 100.0);
    let (below, above) = (rank.floor(), rank.ceil());
    if below == above {
        return sorted[below as usize];
    }
    sorted[below as usize] * (above - rank) + sorted[above as usize] * (rank - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], name: &str, expected: Option<f64>) {
        let mut sorted = values.to_vec();
        sort_values(&mut sorted);
        let got = evaluate(Method::parse(name).unwrap().formula(), values, &sorted);
        let same = match (got, expected) {
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-12 * b.abs(),
            (a, b) => a == b,
        };
        assert!(same, "{name} of {values:?}: {got:?}, expected {expected:?}");
    }

    #[test]
    fn formulas_follow_the_contract() {
        let values = [8.0, 11.0, 22.0, 10.0, 42.0, 9.0];
        for (name, expected) in [
            ("count", 6.0),
            ("sum", 102.0),
            ("mean", 17.0),
            ("min", 8.0),
            ("max", 42.0),
            ("first", 8.0),
            ("last", 9.0),
            ("std", 13.2664991614216),
            ("median", 10.5),
            ("25pct", 9.25),
            ("95pct", 37.0),
        ] {
            check(&values, name, Some(expected));
        }
        check(&[3.0], "std", None);
        check(&[1e16, 1.0, -1e16, 1.0, 0.1, 0.2, 0.3], "sum", Some(1.6));
    }

    #[test]
    fn nan_and_infinity_follow_the_contract() {
        let values = [10.0, f64::NAN, 4.0];
        for (name, expected) in [
            ("max", f64::NAN),
            ("min", 4.0),
            ("median", 10.0),
            ("5pct", 4.6),
            ("count", 3.0),
            ("std", f64::NAN),
        ] {
            check(&values, name, Some(expected));
        }
        check(&[f64::NEG_INFINITY, f64::INFINITY, 4.0], "median", Some(4.0));
        check(&[f64::NAN, f64::NAN], "min", Some(f64::NAN));
    }
}
