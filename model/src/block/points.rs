//! Values as integers, and what is left over.

use super::ordered::off;

/// Rounding errors of a short sum or a deviation stay below it; a value further off is an exception.
const CORRECTION_MAX: u64 = 1 << 16;

/// What integers do not say.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// How much each value is above that of its number, in steps of the last bit; empty if none is.
    pub(super) corrections: Vec<i64>,
    /// Positions and values of those that are nowhere near.
    pub(super) exceptions: Vec<(usize, f64)>,
}

/// Values as integers.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// One per value; of an exception, the one before.
    pub(super) numbers: Vec<i64>,
    pub(super) leftovers: Leftovers,
}

impl Points {
    /// From the number of each value and the value of that number.
    pub(super) fn collect(values: &[f64], found: impl Iterator<Item = (i64, f64)>) -> Points {
        let mut points = Points { numbers: Vec::with_capacity(values.len()), ..Points::default() };
        for ((at, value), (number, meant)) in values.iter().enumerate().zip(found) {
            let off = off(*value, meant);
            if off.unsigned_abs() > CORRECTION_MAX {
                points.numbers.push(points.numbers.last().copied().unwrap_or(0));
                points.leftovers.exceptions.push((at, *value));
                continue;
            }
            points.numbers.push(number);
            if off != 0 {
                points.leftovers.corrections.resize(values.len(), 0);
                points.leftovers.corrections[at] = off;
            }
        }
        points
    }
}
