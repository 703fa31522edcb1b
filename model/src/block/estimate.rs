//! How many bits a stream will take, without coding it: for choosing between ways to say the same.

use super::packed;
use super::predict::{ORDER_MAX, Prediction, SMOOTHING_MAX};
use super::token::zigzag;

/// Fewer numbers are not worth a table of frequencies.
pub(super) const CODED_MIN: usize = 48;
/// Fewer numbers do not tell how slow an average should be.
const SMOOTHED_MIN: usize = 128;
/// Bits of an entropy-coded stream besides its tokens.
const CODED_BITS: f64 = 100.0;
/// Bits of the frequency of each bit length.
const SHARE_BITS: f64 = 12.0;

/// A prediction and the bits it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) prediction: Prediction,
    pub(super) bits: f64,
}

/// The best prediction of these numbers.
pub(super) fn best(numbers: &[i64]) -> Estimate {
    let mut search = Search {
        numbers,
        scratch: Vec::with_capacity(numbers.len()),
        best: Estimate { prediction: Prediction::default(), bits: bits_of(numbers) },
    };
    if packed::frame(numbers).1 > 0 {
        search.orders();
        if numbers.len() >= SMOOTHED_MIN && search.best.prediction.order <= 2 {
            search.smoothings(1);
            search.smoothings(2);
        }
    }
    search.best
}

struct Search<'a> {
    numbers: &'a [i64],
    scratch: Vec<i64>,
    best: Estimate,
}

impl Search<'_> {
    /// Plain differences, as long as each order is better than the one before.
    fn orders(&mut self) {
        for order in 1..=ORDER_MAX {
            let before = self.best.bits;
            // Of a level with noise the first difference is worse, of a ramp only the second is better.
            if self.try_out(order, 0) >= before && order > 1 {
                return;
            }
        }
    }

    /// Slower and slower averages, as long as that helps.
    fn smoothings(&mut self, order: usize) {
        let mut before = f64::INFINITY;
        for smoothing in 1..=SMOOTHING_MAX {
            let bits = self.try_out(order, smoothing);
            if bits > before {
                return;
            }
            before = bits;
        }
    }

    fn try_out(&mut self, order: usize, smoothing: u32) -> f64 {
        let prediction = Prediction { order, smoothing };
        self.scratch.clear();
        self.scratch.extend_from_slice(self.numbers);
        prediction.errors(&mut self.scratch);
        let (firsts, errors) = self.scratch.split_at(order.min(self.numbers.len()));
        let bits = firsts.iter().map(|first| 8.0 + bit_length(*first)).sum::<f64>() + bits_of(errors);
        if bits < self.best.bits {
            self.best = Estimate { prediction, bits };
        }
        bits
    }
}

fn bit_length(number: i64) -> f64 {
    f64::from(u64::BITS - zigzag(number).leading_zeros())
}

/// Of the packed form, or about of the entropy-coded one, whichever is smaller.
fn bits_of(errors: &[i64]) -> f64 {
    let (smallest, width) = packed::frame(errors);
    let packed = 16.0 + bit_length(smallest) + f64::from(width) * errors.len() as f64;
    if errors.len() < CODED_MIN || width == 0 { packed } else { packed.min(coded_bits(errors)) }
}

/// Entropy of the bit lengths of distances from the center, and the bits behind the highest.
fn coded_bits(errors: &[i64]) -> f64 {
    let center = center(errors);
    let mut counts = [0u32; 65];
    for error in errors {
        let distance = zigzag(error.wrapping_sub(center));
        counts[(u64::BITS - distance.leading_zeros()) as usize] += 1;
    }
    let total = (errors.len() as f32).log2();
    let bits = |(length, count): (usize, &u32)| {
        let each = total - (*count as f32).log2() + length.saturating_sub(1) as f32;
        SHARE_BITS + f64::from(*count) * f64::from(each)
    };
    CODED_BITS + counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bits).sum::<f64>()
}

/// About the median.
fn center(errors: &[i64]) -> i64 {
    const SAMPLE: usize = 31;
    let mut sample: [i64; SAMPLE] = std::array::from_fn(|index| errors[index * errors.len() / SAMPLE]);
    *sample.select_nth_unstable(SAMPLE / 2).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::stream::Stream;

    #[test]
    fn estimates_are_near_what_is_written() {
        let noise =
            |below: i64| (0..2000).map(move |i: i64| (i * i * 7919 + i * 104_729) % 1_000_003 % below);
        let walk = noise(20).scan(0, |level, step| {
            *level += step - 9;
            Some(*level)
        });
        let mostly_zero = noise(50).map(|n| if n > 3 { 0 } else { n * 1000 });
        for numbers in
            [noise(2).collect(), noise(900).collect(), walk.collect(), mostly_zero.collect::<Vec<_>>()]
        {
            let estimate = best(&numbers).bits / 8.0;
            let mut out = Vec::new();
            Stream::new(numbers).encode(&mut out);
            let ratio = estimate / out.len() as f64;
            assert!((0.75..1.4).contains(&ratio), "{estimate} for {}", out.len());
        }
    }
}
