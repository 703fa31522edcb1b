//! Resampling: stored buckets regrouped into longer (or just other) ones with their own method.
//!
//! It is computed over *buckets*, never over raw points: the mean of means, the count of buckets, the
//! deviation of values already aggregated, and for a rate the differences of differences. That is the
//! reference's rule (contract, `queries.md` 3.2) and is kept.

use std::ops::Range;

use super::period::Period;
use super::refusal::Refusal;
use crate::column::Column;
use crate::method::{Formula, Method};
use crate::rollup::{evaluate, sort_values};
use crate::time::{Granularity, Timestamp};

/// The reference stores buckets in blocks of this many, and resamples whole blocks.
const BUCKETS_PER_BLOCK: u64 = 3600;

/// A read of one series that is resampled: what to fetch, and what to make of it.
///
/// ```
/// use orzo_model::ops::{Period, Resample};
/// use orzo_model::{Column, Granularity, Method, Timestamp};
///
/// let minute = Granularity::from_ns(60_000_000_000).unwrap();
/// let period = Period::parse("5m").unwrap();
/// let read = Resample::new(minute, Method::MAX, period, None, None)?;
/// let stored: Column = [(0, 1.0), (60, 3.0), (300, 2.0)]
///     .into_iter()
///     .map(|(seconds, value)| (Timestamp::from_ns(seconds * 1_000_000_000).unwrap(), value))
///     .collect();
/// assert_eq!(read.apply(&stored).values, [3.0, 2.0]);
/// # Ok::<(), orzo_model::ops::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Resample {
    granularity: Granularity,
    method: Method,
    period: Period,
    start: Option<Timestamp>,
    stop: Option<Timestamp>,
}

impl Resample {
    /// Checks that the method can be grouped so. `start` and `stop` are the client's, not rounded.
    pub fn new(
        granularity: Granularity,
        method: Method,
        period: Period,
        start: Option<Timestamp>,
        stop: Option<Timestamp>,
    ) -> Result<Self, Refusal> {
        check_rate(method, period)?;
        Ok(Resample { granularity, method, period, start, stop })
    }

    /// First bucket to fetch: groups at the edge of the range may hold buckets outside of it.
    ///
    /// Spans see what the reference sees, whole blocks; the first group of a calendar, where the
    /// reference fails, is always whole.
    pub fn read_start(&self) -> Option<Timestamp> {
        let start = self.start?;
        let block = start.floor(self.block());
        match self.period {
            Period::Span(_) => Some(block),
            Period::Calendar(_) => Some(block.min(self.period.start_of(start))),
        }
    }

    /// End of what to fetch, exclusive.
    pub fn read_stop(&self) -> Option<Timestamp> {
        let block = self.block();
        self.stop.map(|stop| stop.floor(block).saturating_add(block.ns()))
    }

    fn block(&self) -> Granularity {
        let ns = self.granularity.ns().saturating_mul(BUCKETS_PER_BLOCK).min(Timestamp::MAX.ns());
        Granularity::from_ns(ns).expect("between one bucket and the end of time")
    }

    /// Resamples what was fetched and cuts it to the client's range: `start` floored to its group,
    /// `stop` compared with the new labels.
    pub fn apply(&self, fetched: &Column) -> Column {
        let grouped = resample(fetched, self.method, self.period);
        let start = self.start.map_or(Timestamp::EPOCH, |start| self.period.start_of(start));
        let wanted = |label: Timestamp| label >= start && self.stop.is_none_or(|stop| label < stop);
        grouped.iter().filter(|(label, _)| wanted(*label)).collect()
    }
}

/// The rule of [`Resample::new`].
pub(super) fn check_rate(method: Method, period: Period) -> Result<(), Refusal> {
    match period {
        Period::Calendar(_) if method.is_rate() => {
            Err(Refusal::argument("resample", format!("'{method}' cannot be resampled by the calendar")))
        }
        _ => Ok(()),
    }
}

fn resample(column: &Column, method: Method, period: Period) -> Column {
    let groups = Groups::new(&column.starts, method, period);
    let values = groups.apply(&column.values);
    Column { starts: groups.labels, values }
}

/// How the cells of a time grid fall into groups; the same for every series on the grid.
#[derive(Debug)]
pub(super) struct Groups {
    method: Method,
    ranges: Vec<Range<usize>>,
    /// Start of each group that has a value.
    pub(super) labels: Vec<Timestamp>,
}

impl Groups {
    /// `times` ascending.
    pub(super) fn new(times: &[Timestamp], method: Method, period: Period) -> Self {
        // A difference carries the time of the later cell: the first one has none.
        let times = if method.is_rate() { times.get(1..).unwrap_or_default() } else { times };
        let mut groups = Groups { method, ranges: Vec::new(), labels: Vec::new() };
        let mut first = 0;
        while let Some(&at) = times.get(first) {
            let end = period.end_ns(at);
            let len = times[first..].partition_point(|time| time.ns() < end);
            groups.add(period.start_of(at), first..first + len);
            first += len;
        }
        groups
    }

    fn add(&mut self, label: Timestamp, range: Range<usize>) {
        if self.method.formula() == Formula::Std && range.len() < 2 {
            return;
        }
        self.labels.push(label);
        self.ranges.push(range);
    }

    /// One value per label; `values` lie on the grid.
    pub(super) fn apply(&self, values: &[f64]) -> Vec<f64> {
        if self.method.is_rate() {
            return self.fold(&differences(values));
        }
        self.fold(values)
    }

    fn fold(&self, values: &[f64]) -> Vec<f64> {
        let formula = self.method.formula();
        let ordered = matches!(formula, Formula::Median | Formula::Percentile(_));
        let mut sorted = Vec::new();
        let mut one = |range: &Range<usize>| {
            let group = &values[range.clone()];
            if ordered {
                sorted.clear();
                sorted.extend_from_slice(group);
                sort_values(&mut sorted);
            }
            evaluate(formula, group, &sorted).expect("groups are not empty, and longer for deviations")
        };
        self.ranges.iter().map(&mut one).collect()
    }
}

/// Each value less the one before; one fewer than `values`.
pub(super) fn differences(values: &[f64]) -> Vec<f64> {
    values.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
