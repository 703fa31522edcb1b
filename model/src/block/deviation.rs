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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::ordered::off;
    use crate::block::scale::Unit;
    use crate::method::Formula;
    use crate::rollup::evaluate;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_number_is_what_squares_have_above_the_least(
            points in proptest::collection::vec(-2000i64..2000, 2..40), places in 0u8..4,
        ) {
            let scale = Unit::Decimal { places, multiple: 1 }.scale().unwrap();
            let values: Vec<f64> = points.iter().map(|point| scale.value(*point)).collect();
            let of = |formula| evaluate(formula, &values, &[]).unwrap();
            let bucket = Bucket::new(scale, of(Formula::Mean), of(Formula::Count)).unwrap();
            let number = bucket.number(of(Formula::Std));
            let (count, sum) = (points.len() as i64, points.iter().sum::<i64>());
            let squares: i64 = points.iter().map(|point| point * point).sum();
            let least = (sum * sum).div_euclid(count) + i64::from(sum * sum % count != 0);
            prop_assert_eq!(number, squares - least);
            // What the reference rounds away between values of thousands and deviations of some.
            prop_assert!(off(of(Formula::Std), bucket.deviation(number)).abs() < 1 << 16);
        }
    }

    #[test]
    fn buckets_without_a_deviation_are_refused() {
        let scale = Unit::Decimal { places: 0, multiple: 1 }.scale().unwrap();
        for count in [1.0, 0.0, 2.5, -3.0, 1e9, f64::NAN, f64::INFINITY] {
            assert!(Bucket::new(scale, 1.0, count).is_none(), "{count}");
        }
        let bucket = Bucket::new(scale, f64::NAN, 2.0).unwrap();
        assert_eq!(bucket.deviation(-5).to_bits(), 0x7ff8_0000_0000_0000);
    }
}
