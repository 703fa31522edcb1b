//! The aggregation methods once more, as plainly as the contract writes them (`timeseries.md` 6, `ingest.md` 4).

use orzo_model::{Formula, Method};

/// One value of a bucket. A point of a sampled series has factor and times 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) value: f64,
    /// Its part of the sum is `value × factor`.
    pub(crate) factor: f64,
    /// So often it counts.
    pub(crate) times: f64,
}

impl Event {
    pub(crate) fn point(at: u64, value: f64) -> Self {
        Event { at, value, factor: 1.0, times: 1.0 }
    }
}

/// One method over the values of one bucket, in order of arrival.
pub(crate) fn evaluate(method: Method, bucket: &[Event]) -> Option<f64> {
    let mut bucket = bucket.to_vec();
    bucket.sort_by_key(|event| event.at);
    let (first, last) = (bucket.first()?, bucket.last()?);
    let count: f64 = bucket.iter().map(|event| event.times).sum();
    let sum = bucket.iter().fold(0.0, |sum, event| sum + event.value * event.factor);
    let values = || bucket.iter().map(|event| event.value);
    Some(match method.formula() {
        Formula::Count => count,
        Formula::Sum => sum,
        Formula::Mean => sum / count,
        Formula::First => first.value,
        Formula::Last => last.value,
        Formula::Min => values().filter(|value| !value.is_nan()).reduce(f64::min).unwrap_or(f64::NAN),
        Formula::Max if values().any(f64::is_nan) => f64::NAN,
        Formula::Max => values().fold(f64::NEG_INFINITY, f64::max),
        Formula::Std => return deviation(&bucket, count),
        Formula::Median => percentile(&bucket, 50.0),
        Formula::Percentile(percent) => percentile(&bucket, f64::from(percent)),
    })
}

fn deviation(bucket: &[Event], count: f64) -> Option<f64> {
    if count <= 1.0 {
        return None;
    }
    let mean = bucket.iter().map(|event| event.times * event.value).sum::<f64>() / count;
    let square = |event: &Event| event.times * (event.value - mean) * (event.value - mean);
    Some((bucket.iter().map(square).sum::<f64>() / (count - 1.0)).sqrt())
}

fn percentile(bucket: &[Event], percent: f64) -> f64 {
    let repeat = |event: &Event| vec![event.value; event.times.round().max(1.0) as usize];
    let mut sorted: Vec<f64> = bucket.iter().flat_map(repeat).collect();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
    let rank = (sorted.len() - 1) as f64 * percent / 100.0;
    let (below, above) = (rank.floor(), rank.ceil());
    if below == above {
        return sorted[below as usize];
    }
    sorted[below as usize] * (above - rank) + sorted[above as usize] * (rank - below)
}

/// Equal as the contract asks: counts, sums and picked values to the bit, the rest within 1e-9.
pub(crate) fn same(method: Method, a: f64, b: f64) -> bool {
    let exact = matches!(
        method.formula(),
        Formula::Count | Formula::Sum | Formula::Min | Formula::Max | Formula::First | Formula::Last
    );
    let tolerance = if exact { 0.0 } else { 1e-9 * (1.0 + a.abs().max(b.abs())) };
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

pub(crate) fn is_percentile(method: Method) -> bool {
    matches!(method.formula(), Formula::Median | Formula::Percentile(_))
}

/// As near as a sketch comes: one percent, and what lies between neighbours in a crowd of values below 500.
pub(crate) fn near(a: f64, b: f64) -> bool {
    !(a - b).is_finite() || (a - b).abs() <= 0.0101 * a.abs().max(b.abs()) + 4.0
}
