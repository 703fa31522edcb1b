//! Prediction of the next number from those before it, so that only the error is stored.
//!
//! `order` differences are taken, the last of them against a running average instead of the number
//! before: with `smoothing` h the average moves by 1/2^h of the error (0: by all of it, the plain
//! difference). Statistics calls this ARIMA(0, order, 1). Everything wraps, so that it is exact for any
//! numbers.

/// How numbers are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prediction {
    /// Differences taken.
    pub(super) order: usize,
    /// How slow the average of the last difference is.
    pub(super) smoothing: u32,
}

/// Differences that pay at most: those of a sine with 53 bits.
pub(super) const ORDER_MAX: usize = 7;
/// Slowest average: beyond it, it is a constant.
pub(super) const SMOOTHING_MAX: u32 = 7;

impl Prediction {
    /// Leaves, in place, the first number of each difference and the errors behind them.
    pub(super) fn errors(self, numbers: &mut [i64]) {
        for level in 1..=self.order.min(numbers.len()) {
            let numbers = &mut numbers[level - 1..];
            match if level == self.order { self.smoothing } else { 0 } {
                0 => difference(numbers),
                smoothing => difference_smoothed(numbers, smoothing),
            }
        }
    }

    /// Back.
    pub(super) fn restore(self, numbers: &mut [i64]) {
        for level in (1..=self.order.min(numbers.len())).rev() {
            let numbers = &mut numbers[level - 1..];
            match if level == self.order { self.smoothing } else { 0 } {
                0 => sum(numbers),
                smoothing => sum_smoothed(numbers, smoothing),
            }
        }
    }
}

fn difference(numbers: &mut [i64]) {
    for i in (1..numbers.len()).rev() {
        numbers[i] = numbers[i].wrapping_sub(numbers[i - 1]);
    }
}

fn sum(numbers: &mut [i64]) {
    let mut total = 0i64;
    for number in numbers {
        total = total.wrapping_add(*number);
        *number = total;
    }
}

/// The average times `1 << smoothing`: exact without fractions.
fn average_at_first(numbers: &[i64], smoothing: u32) -> i64 {
    numbers.first().map_or(0, |first| first.wrapping_shl(smoothing))
}

fn difference_smoothed(numbers: &mut [i64], smoothing: u32) {
    let mut average = average_at_first(numbers, smoothing);
    for number in numbers.iter_mut().skip(1) {
        *number = number.wrapping_sub(average >> smoothing);
        average = average.wrapping_add(*number);
    }
}

fn sum_smoothed(numbers: &mut [i64], smoothing: u32) {
    let mut average = average_at_first(numbers, smoothing);
    for number in numbers.iter_mut().skip(1) {
        let error = *number;
        *number = error.wrapping_add(average >> smoothing);
        average = average.wrapping_add(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn errors_restore_the_numbers(
            numbers: Vec<i64>, order in 0..=ORDER_MAX, smoothing in 0..=SMOOTHING_MAX,
        ) {
            let prediction = Prediction { order, smoothing };
            let mut errors = numbers.clone();
            prediction.errors(&mut errors);
            prediction.restore(&mut errors);
            prop_assert_eq!(errors, numbers);
        }
    }

    #[test]
    fn a_polynomial_leaves_nothing_and_noise_is_not_doubled() {
        let mut squares: Vec<i64> = (0..9).map(|i| i * i).collect();
        Prediction { order: 3, smoothing: 0 }.errors(&mut squares);
        assert_eq!(squares, [0, 1, 2, 0, 0, 0, 0, 0, 0]);
        let mut noise: Vec<i64> = (0..9).map(|i| 1000 + 64 * (i % 2)).collect();
        Prediction { order: 1, smoothing: 3 }.errors(&mut noise);
        assert!(noise[1..].iter().all(|error| (-64..=64).contains(error)), "{noise:?}");
    }
}
