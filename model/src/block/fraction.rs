//! Doubles as decimals divided by small integers: means of which the sum and the count are gone.

use super::ordered::{computed, off};
use super::scale::{Scale, Unit};

/// Greatest divisor.
const DIVISOR_MAX: i64 = 1 << 14;
/// Greatest factor that a sum and a count are expected to share.
const MULTIPLE_MAX: i64 = 32;
/// Decimals times divisors stay below it: chance puts a double near a fraction of more bits.
const PRODUCT_MAX: f64 = 17_592_186_044_416.0;
/// Decimal places tried.
const PLACES_MAX: u8 = 4;
/// Values looked at.
const SAMPLE: usize = 16;

/// `number / divisor`, in units of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) number: i64,
    pub(super) divisor: i64,
}

impl Fraction {
    /// The value.
    #[inline]
    pub(super) fn value(self, scale: Scale) -> f64 {
        computed(scale.value(self.number) / self.divisor as f64)
    }

    /// A multiple that is `value` without rounding, if there is one: that which was divided.
    fn expanded(self, value: f64, scale: Scale) -> Fraction {
        let multiple = |by| Fraction { number: self.number * by, divisor: self.divisor * by };
        let exact = |fraction: &Fraction| off(value, fraction.value(scale)) == 0;
        let mut small =
            (1..=MULTIPLE_MAX).map(multiple).take_while(|fraction| fraction.divisor <= DIVISOR_MAX);
        small.find(exact).unwrap_or(self)
    }

    /// The simplest one that is `value` but for rounding: a convergent of its continued fraction.
    pub(super) fn of(value: f64, scale: Scale) -> Option<Fraction> {
        let mut rest = scale.in_units(value.abs());
        let (mut before, mut last) = ((0.0, 1.0), (1.0, 0.0));
        loop {
            let whole = rest.floor();
            (before, last) = (last, (whole * last.0 + before.0, whole * last.1 + before.1));
            if !(last.0 * last.1 < PRODUCT_MAX && last.1 <= DIVISOR_MAX as f64) {
                return None;
            }
            let number = if value < 0.0 { -last.0 } else { last.0 };
            let fraction = Fraction { number: number as i64, divisor: last.1 as i64 };
            if off(value, fraction.value(scale)).unsigned_abs() <= 2 {
                return Some(fraction.expanded(value, scale));
            }
            rest = 1.0 / (rest - whole);
        }
    }
}

/// The decimal places that give the shortest fractions; `None` if too many values have none.
pub(super) fn places(values: &[f64]) -> Option<u8> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<f64> = values.iter().step_by(step).copied().filter(|value| value.is_finite()).collect();
    let costs = (0..=PLACES_MAX).filter_map(|places| Some((cost(&sample, places)?, places)));
    costs.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, places)| places)
}

/// Bits of the fractions of a sample.
fn cost(sample: &[f64], places: u8) -> Option<f64> {
    let scale = Unit::Decimal { places, multiple: 1 }.scale()?;
    let mut misses = 0;
    let mut bits = 0.0;
    for value in sample {
        match Fraction::of(*value, scale) {
            Some(found) => bits += ((found.number.unsigned_abs() + 1) as f64 * found.divisor as f64).log2(),
            None => misses += 1,
        }
        if misses > sample.len() / 4 {
            return None;
        }
    }
    Some(bits + misses as f64 * 64.0)
}

/// The least common multiple of the divisors, if it is small.
pub(super) fn common_divisor(fractions: &[Fraction]) -> Option<i64> {
    let mut common = 1;
    for fraction in fractions {
        let shared = common_factor(common as u64, fraction.divisor as u64) as i64;
        common *= fraction.divisor / shared;
        if common > DIVISOR_MAX {
            return None;
        }
    }
    Some(common)
}

/// The greatest common divisor.
pub(super) fn common_factor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mean_shows_its_sum_and_count(
            sum in -1_000_000i64..1_000_000, count in 1i64..100, decimals in 0u8..=3,
        ) {
            let scale = Unit::Decimal { places: decimals, multiple: 1 }.scale().unwrap();
            let mean = scale.value(sum) / count as f64;
            let found = Fraction::of(mean, scale).unwrap();
            prop_assert_eq!(found.number * count, sum * found.divisor);
            prop_assert!(off(mean, found.value(scale)).abs() <= 2);
        }
    }

    #[test]
    fn doubles_that_are_no_short_fractions_are_left_alone() {
        let noise: Vec<f64> = (1..50).map(|i| f64::from(i).sqrt().fract()).collect();
        assert_eq!(places(&noise), None);
        let thirds: Vec<f64> = (1..50).map(|i| f64::from(i) / 30.0).collect();
        assert_eq!(places(&thirds), Some(1));
        let whole = Unit::Decimal { places: 0, multiple: 1 }.scale().unwrap();
        for value in [f64::NAN, f64::INFINITY, 1e300, 1e-300] {
            assert_eq!(Fraction::of(value, whole), None, "{value}");
        }
    }

    #[test]
    fn a_common_divisor_must_be_small() {
        let all = |divisors: &[i64]| {
            let fractions: Vec<_> =
                divisors.iter().map(|divisor| Fraction { number: 1, divisor: *divisor }).collect();
            common_divisor(&fractions)
        };
        assert_eq!(all(&[1, 2, 3, 6]), Some(6));
        assert_eq!(all(&[4093, 4091]), None);
        assert_eq!((common_factor(0, 12), common_factor(18, 12)), (12, 6));
    }
}
