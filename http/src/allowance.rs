//! How much one request may read, all its groups, granularities and series together.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use orzo_model::ops::Limits;

use crate::error::Outcome;

/// What is left of the limits of a query.
pub(crate) struct Allowance {
    limits: Limits,
    series: AtomicUsize,
    points: AtomicUsize,
}

impl Allowance {
    pub(crate) fn new(limits: Limits) -> Self {
        Allowance { limits, series: AtomicUsize::new(0), points: AtomicUsize::new(0) }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// 400 if the request would read more series than it may. To be asked before they are read.
    pub(crate) fn take_series(&self, more: usize) -> Outcome<()> {
        Ok(self.limits.check_series(add(&self.series, more))?)
    }

    /// 400 if the request has read more points than it may.
    pub(crate) fn take_points(&self, more: usize) -> Outcome<()> {
        Ok(self.limits.check_points(add(&self.points, more))?)
    }
}

/// Relaxed: a number, ordered with nothing.
fn add(total: &AtomicUsize, more: usize) -> usize {
    total.fetch_add(more, Relaxed).saturating_add(more)
}
