//! `rolling`: a statistic over each run of n consecutive cells, in time that does not grow with n.

use super::across::Moments;
use super::median;
use crate::ops::expr::{Across, Statistic};
use crate::ops::resample::differences;

/// A window that fits its grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    across: Across,
    /// From 1 to the length of the grid.
    size: usize,
}

impl Window {
    /// Over a grid of `len` times; or why not.
    pub(super) fn new(across: Across, size: u64, len: usize) -> Result<Self, String> {
        match usize::try_from(size) {
            Ok(size @ 1..) if size <= len => Ok(Window { across, size }),
            _ => Err(format!("Rolling window '{size}' is greater than serie length '{len}'")),
        }
    }

    /// How many times at the start of the grid have no value.
    pub(super) fn skipped(&self) -> usize {
        self.size - 1 + usize::from(self.across.rate)
    }

    /// One value for each time but the skipped ones.
    pub(super) fn apply(&self, values: &[f64]) -> Vec<f64> {
        let rolled = self.statistic(values);
        if self.across.rate { differences(&rolled) } else { rolled }
    }

    fn statistic(&self, values: &[f64]) -> Vec<f64> {
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let sums = || {
            let sum_and_count = |value: f64| if value.is_nan() { (0.0, 0.0) } else { (value, 1.0) };
            self.fold(values, sum_and_count, add)
        };
        let moments = || self.fold(values, Moments::of, Moments::merge);
        match self.across.statistic {
            Statistic::Sum => sums().map(|(sum, _)| sum).collect(),
            Statistic::Count => sums().map(|(_, count)| count).collect(),
            Statistic::Mean => sums().map(|(sum, count)| sum / count).collect(),
            Statistic::Min => self.fold(values, |value| value, f64::min).collect(),
            Statistic::Max => self.fold(values, |value| value, f64::max).collect(),
            Statistic::Var => moments().map(|moments| moments.variance()).collect(),
            Statistic::Std => moments().map(|moments| moments.variance().sqrt()).collect(),
            Statistic::Median => median::rolling(values, self.size),
        }
    }

    /// Combines each window out of the end of one block and the start of the next (van Herk 1992, Gil
    /// and Werman 1993): nothing is ever subtracted, so nothing drifts.
    fn fold<T: Copy>(
        &self,
        values: &[f64],
        item: impl Fn(f64) -> T,
        combine: impl Fn(T, T) -> T,
    ) -> impl Iterator<Item = T> {
        let size = self.size;
        let items: Vec<T> = values.iter().map(|value| item(*value)).collect();
        let mut from_block_start = items.clone();
        let mut to_block_end = items;
        for block in from_block_start.chunks_mut(size) {
            (1..block.len()).for_each(|at| block[at] = combine(block[at - 1], block[at]));
        }
        for block in to_block_end.chunks_mut(size) {
            (1..block.len()).rev().for_each(|at| block[at - 1] = combine(block[at - 1], block[at]));
        }
        (0..values.len() + 1 - size).map(move |first| match first % size {
            0 => to_block_end[first],
            _ => combine(to_block_end[first], from_block_start[first + size - 1]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: f64 = f64::NAN;

    fn check(name: &str, size: u64, values: &[f64], expected: &[f64]) {
        let window = Window::new(Across::parse(name).unwrap(), size, values.len()).unwrap();
        let got = window.apply(values);
        assert_eq!(values.len() - window.skipped(), got.len());
        assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{name} of {size}");
    }

    #[test]
    fn windows_of_any_size() {
        let values = [1.0, 2.0, X, 4.0, 8.0];
        check("sum", 1, &values, &[1.0, 2.0, 0.0, 4.0, 8.0]);
        check("sum", 2, &values, &[3.0, 2.0, 4.0, 12.0]);
        check("count", 3, &values, &[2.0, 2.0, 2.0]);
        check("mean", 4, &values, &[7.0 / 3.0, 14.0 / 3.0]);
        check("max", 5, &values, &[8.0]);
        check("min", 2, &[X, X, 1.0], &[X, 1.0]);
        check("mean", 1, &[X, 1.0], &[X, 1.0]);
        check("std", 2, &[1.0, 3.0, X], &[1.0, 0.0]);
        check("var", 3, &[1.0, 3.0, 5.0], &[8.0 / 3.0]);
        check("rate:sum", 2, &values, &[-1.0, 2.0, 8.0]);
        check("rate:sum", 5, &values, &[]);
    }

    #[test]
    fn large_values_leave_no_trace() {
        check("sum", 2, &[1e17, 1.0, 1.0, 1.0], &[1e17 + 1.0, 2.0, 2.0]);
    }

    #[test]
    fn windows_fit_the_grid() {
        let refused = Window::new(Across::parse("mean").unwrap(), 6, 5).unwrap_err();
        assert_eq!(refused, "Rolling window '6' is greater than serie length '5'");
        assert!(Window::new(Across::parse("mean").unwrap(), u64::MAX, 5).is_err());
    }
}
