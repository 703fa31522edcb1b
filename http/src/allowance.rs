//! How much one request may read, all its groups, granularities and series together.

use std::cell::Cell;

use orzo_model::ops::Limits;

use crate::error::Outcome;

/// What is left of the limits of a query.
pub(crate) struct Allowance {
    limits: Limits,
    series: Cell<usize>,
    points: Cell<usize>,
}

impl Allowance {
    pub(crate) fn new(limits: Limits) -> Self {
        Allowance { limits, series: Cell::new(0), points: Cell::new(0) }
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

fn add(total: &Cell<usize>, more: usize) -> usize {
    total.set(total.get().saturating_add(more));
    total.get()
}
