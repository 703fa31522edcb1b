//! `aggregate`: one column out of many, by adding one after the other to accumulators.

use std::rc::Rc;

use super::series::{Series, Source};
use super::{Columns, EvalError, Laid, median};
use crate::ops::expr::{Across, Statistic};
use crate::ops::resample::differences;

impl<C: Columns + ?Sized> Laid<'_, C> {
    /// Computes the column at once: whatever is above needs it.
    pub(super) fn aggregate(&self, across: Across, of: &Series) -> Result<Series, EvalError<C::Error>> {
        let mut values = self.statistic(across.statistic, of)?;
        let mut times = Rc::clone(&of.times);
        if across.rate {
            values = differences(&values);
            times = times.get(1..).unwrap_or_default().into();
        }
        Ok(Series { times, period: of.period, width: 1, source: Source::Ready(values) })
    }

    fn statistic(&self, statistic: Statistic, of: &Series) -> Result<Vec<f64>, EvalError<C::Error>> {
        if statistic == Statistic::Median {
            return median::across(of.times.len(), of.width, |index| self.column(of, index));
        }
        let mut cells = Cells::new(statistic, of.times.len());
        for index in 0..of.width {
            cells.add(&self.column(of, index)?);
        }
        Ok(cells.finish())
    }
}

/// A statistic of each cell of the grid over the columns so far. NaN is never counted.
enum Cells {
    Sum(Vec<f64>),
    Count(Vec<f64>),
    Min(Vec<f64>),
    Max(Vec<f64>),
    Mean { sums: Vec<f64>, counts: Vec<f64> },
    Deviation { moments: Vec<Moments>, root: bool },
}

impl Cells {
    fn new(statistic: Statistic, len: usize) -> Self {
        let (zeros, holes) = (|| vec![0.0; len], || vec![f64::NAN; len]);
        let deviation = |root| Cells::Deviation { moments: vec![Moments::default(); len], root };
        match statistic {
            Statistic::Sum => Cells::Sum(zeros()),
            Statistic::Count => Cells::Count(zeros()),
            Statistic::Min => Cells::Min(holes()),
            Statistic::Max => Cells::Max(holes()),
            Statistic::Mean => Cells::Mean { sums: zeros(), counts: zeros() },
            Statistic::Std => deviation(true),
            Statistic::Var => deviation(false),
            Statistic::Median => unreachable!("the median is gathered row by row"),
        }
    }

    // Budget: 2 ns a cell; 5 for deviations. `or_zero` and `present` compile to masks, not jumps.
    fn add(&mut self, column: &[f64]) {
        match self {
            Cells::Sum(sums) => fold(sums, column, |sum, value| *sum += or_zero(value)),
            Cells::Count(counts) => fold(counts, column, |count, value| *count += present(value)),
            Cells::Min(least) => fold(least, column, |least, value| *least = least.min(value)),
            Cells::Max(most) => fold(most, column, |most, value| *most = most.max(value)),
            Cells::Mean { sums, counts } => {
                fold(sums, column, |sum, value| *sum += or_zero(value));
                fold(counts, column, |count, value| *count += present(value));
            }
            Cells::Deviation { moments, .. } => fold(moments, column, |moments, value| moments.add(value)),
        }
    }

    fn finish(self) -> Vec<f64> {
        match self {
            Cells::Sum(cells) | Cells::Count(cells) | Cells::Min(cells) | Cells::Max(cells) => cells,
            // 0 ÷ 0 is NaN: no value, no mean.
            Cells::Mean { mut sums, counts } => {
                fold(&mut sums, &counts, |sum, count| *sum /= count);
                sums
            }
            Cells::Deviation { moments, root } => {
                let one =
                    |moments: &Moments| if root { moments.variance().sqrt() } else { moments.variance() };
                moments.iter().map(one).collect()
            }
        }
    }
}

fn fold<T>(cells: &mut [T], column: &[f64], mut add: impl FnMut(&mut T, f64)) {
    cells.iter_mut().zip(column).for_each(|(cell, value)| add(cell, *value));
}

fn or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn present(value: f64) -> f64 {
    f64::from(u8::from(!value.is_nan()))
}

/// Count, mean and sum of squared deviations, updated value by value (Welford) and mergeable (Chan).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn of(value: f64) -> Self {
        let mut moments = Moments::default();
        moments.add(value);
        moments
    }

    fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        // An infinite value makes this NaN, as it makes the deviation.
        self.squares += delta * (value - self.mean);
    }

    pub(super) fn merge(self, other: Self) -> Self {
        match (self.count, other.count) {
            (0.0, _) => other,
            (_, 0.0) => self,
            (left, right) => {
                let count = left + right;
                let delta = other.mean - self.mean;
                Moments {
                    count,
                    mean: self.mean + delta * (right / count),
                    squares: self.squares + other.squares + delta * delta * (left * right / count),
                }
            }
        }
    }

    /// Divided by n; NaN of nothing.
    pub(super) fn variance(&self) -> f64 {
        self.squares / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_merge_to_the_same() {
        let values = [3.0, f64::NAN, 5.0, 5.0, -1.0, 1e8, 1e8 + 1.0];
        let mut one_by_one = Moments::default();
        values.iter().for_each(|value| one_by_one.add(*value));
        let merged = values.iter().fold(Moments::default(), |sum, value| sum.merge(Moments::of(*value)));
        assert_eq!(one_by_one.count, 6.0);
        assert!((one_by_one.variance() / merged.variance() - 1.0).abs() < 1e-14);
        let infinite = Moments::of(1.0).merge(Moments::of(f64::INFINITY));
        assert!(infinite.variance().is_nan() && Moments::default().variance().is_nan());
    }
}
