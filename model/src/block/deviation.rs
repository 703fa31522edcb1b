//! The sample deviation of decimals as an integer: what their sum of squares has above the least it
//! can be.
//!
//! Let n points be integers in some unit, S their sum, Q the sum of their squares. Then
//! n × Q - S² = n × number + rest, where the rest follows from S modulo n alone, and the deviation is
//! the root of that over n (n - 1). The reference adds up squared distances instead, so its last bits
//! differ by what its own rounding does; they are stored as corrections.

use super::ordered::computed;
use super::scale::{Scale, nearest};

/// More points in a bucket are not looked at this way.
const COUNT_MAX: f64 = 1_048_576.0;

/// How the deviation of one bucket is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    scale: Scale,
    count: f64,
    rest: f64,
}

impl Bucket {
    /// `None` if it has no deviation, or not that of whole points.
    #[inline]
    pub(super) fn new(scale: Scale, mean: f64, count: f64) -> Option<Self> {
        if !(2.0..=COUNT_MAX).contains(&count) || count != count.trunc() {
            return None;
        }
        let points = count as i64;
        let sum = scale.number(mean * count).rem_euclid(points);
        let rest = (points - sum * sum % points) % points;
        Some(Bucket { scale, count, rest: rest as f64 })
    }

    /// The nearest number to a deviation.
    #[inline]
    pub(super) fn number(self, deviation: f64) -> i64 {
        let root = self.scale.in_units(deviation);
        let product = root * root * self.count * (self.count - 1.0);
        nearest((product - self.rest) / self.count)
    }

    /// The deviation of a number.
    #[inline]
    pub(super) fn deviation(self, number: i64) -> f64 {
        let product = number as f64 * self.count + self.rest;
        computed(self.scale.times_unit((product / (self.count * (self.count - 1.0))).sqrt()))
    }
}
