//! Integers with few significant digits as positions among all such integers.
//!
//! With 3 digits: 0 … 999, then 1000, 1010, 1020 … 9990, then 10000, 10100 … Measurements rounded to
//! significant digits lie close together then, whatever their size.

/// Most significant digits counted this way.
pub(super) const DIGITS_MAX: u8 = 6;

/// How many digits are significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    count: u8,
    /// `10^count`.
    limit: u64,
    /// Positions between a power of ten and the next: `9 × 10^(count - 1)`.
    decade: u64,
}

impl Digits {
    /// `None` unless 1 to [`DIGITS_MAX`].
    pub(super) fn new(count: u8) -> Option<Self> {
        let known = (1..=DIGITS_MAX).contains(&count);
        known.then(|| {
            let power = 10u64.pow(u32::from(count) - 1);
            Digits { count, limit: 10 * power, decade: 9 * power }
        })
    }

    /// How many.
    pub(super) fn count(self) -> u8 {
        self.count
    }

    /// Position of a number, or of the next one towards zero that has one.
    #[inline]
    pub(super) fn position(self, number: i64) -> i64 {
        let mut rest = number.unsigned_abs();
        let mut position = 0;
        while rest >= self.limit {
            rest /= 10;
            position += self.decade;
        }
        let position = (position + rest) as i64;
        if number < 0 { -position } else { position }
    }

    /// The number at a position; meaningless past `i64`.
    #[inline]
    pub(super) fn number(self, position: i64) -> i64 {
        let magnitude = position.unsigned_abs();
        if magnitude < self.limit {
            return position;
        }
        let behind = magnitude - self.limit;
        let decades = (behind / self.decade).min(u64::from(u8::MAX)) as u32;
        let leading = self.limit / 10 + behind % self.decade;
        let number = leading.wrapping_mul(10u64.wrapping_pow(decades + 1)) as i64;
        if position < 0 { number.wrapping_neg() } else { number }
    }

    /// Significant digits of a number: 1200 has two.
    pub(super) fn of(number: i64) -> u8 {
        let mut rest = number.unsigned_abs();
        while rest >= 10 && rest.is_multiple_of(10) {
            rest /= 10;
        }
        rest.checked_ilog10().unwrap_or(0) as u8 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_are_numbers_of_few_digits(position in -15_000i64..15_000, count in 3..=DIGITS_MAX) {
            let digits = Digits::new(count).unwrap();
            let number = digits.number(position);
            prop_assert_eq!(digits.position(number), position);
            prop_assert!(Digits::of(number) <= count);
            prop_assert!(digits.number(position + 1) > number);
        }

        #[test]
        fn any_position_has_some_number(position: i64, number: i64, count in 1..=DIGITS_MAX) {
            let digits = Digits::new(count).unwrap();
            digits.number(position);
            let found = digits.number(digits.position(number));
            prop_assert!(found.unsigned_abs() <= number.unsigned_abs());
        }
    }

    #[test]
    fn each_power_of_ten_has_as_many_positions() {
        let three = Digits::new(3).unwrap();
        let numbers = [999, 1000, 1001, 1899, 1900].map(|position| three.number(position));
        assert_eq!(numbers, [999, 1000, 1010, 9990, 10_000]);
        assert_eq!(three.position(-1019), -1001);
        assert_eq!([0, 7, 10, 1200, -30_300].map(Digits::of), [1, 1, 1, 2, 3]);
        assert_eq!((Digits::new(0), Digits::new(7)), (None, None));
    }
}
