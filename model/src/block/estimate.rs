//! How many bits a stream will take, without coding it: for choosing between ways to say the same.

use super::packed;
use super::predict::{ORDER_MAX, Prediction, SMOOTHING_MAX};
use super::stream::CODED_MIN;
use super::token::zigzag;

/// A prediction and the bits it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) prediction: Prediction,
    pub(super) bits: f64,
}

/// The best prediction of these numbers.
pub(super) fn best(numbers: &[i64]) -> Estimate {
    let mut scratch = Vec::with_capacity(numbers.len());
    let mut with = |prediction: Prediction| {
        scratch.clear();
        scratch.extend_from_slice(numbers);
        prediction.errors(&mut scratch);
        let (firsts, errors) = scratch.split_at(prediction.order.min(numbers.len()));
        let bits = firsts.iter().map(|first| 8.0 + bit_length(*first)).sum::<f64>() + bits_of(errors);
        Estimate { prediction, bits }
    };
    let plain = |order| Prediction { order, smoothing: 0 };
    let mut best = with(plain(0));
    for order in 1..=ORDER_MAX {
        let next = with(plain(order));
        let better = next.bits < best.bits;
        if better {
            best = next;
        } else if order > 1 {
            break;
        }
    }
    if numbers.len() < CODED_MIN || best.prediction.order > 2 || best.bits == 0.0 {
        return best;
    }
    for order in [1, 2] {
        let mut before = f64::INFINITY;
        for smoothing in 1..=SMOOTHING_MAX {
            let next = with(Prediction { order, smoothing });
            if next.bits < best.bits {
                best = next;
            } else if next.bits > before {
                break;
            }
            before = next.bits;
        }
    }
    best
}

fn bit_length(number: i64) -> f64 {
    f64::from(u64::BITS - zigzag(number).leading_zeros())
}

/// The smaller of the packed and about the entropy-coded form.
fn bits_of(errors: &[i64]) -> f64 {
    let (smallest, width) = packed::frame(errors);
    let packed = f64::from(width) * errors.len() as f64 + bit_length(smallest);
    if errors.len() < CODED_MIN || width == 0 { packed } else { packed.min(coded_bits(errors)) }
}

/// Entropy of the bit lengths, with a flat rate for what the table takes.
fn coded_bits(errors: &[i64]) -> f64 {
    let center = center(errors);
    let mut counts = [0u32; 65];
    for error in errors {
        let distance = zigzag(error.wrapping_sub(center));
        counts[(u64::BITS - distance.leading_zeros()) as usize] += 1;
    }
    let total = (errors.len() as f64).log2();
    let bits = |(length, count): (usize, &u32)| {
        let count = f64::from(*count);
        12.0 + count * (total - count.log2() + length.saturating_sub(1) as f64)
    };
    counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bits).sum::<f64>() + 100.0
}

/// About the median.
fn center(errors: &[i64]) -> i64 {
    let mut sample = [0; 31];
    for (index, value) in sample.iter_mut().enumerate() {
        *value = errors[index * errors.len() / 31];
    }
    sample.sort_unstable();
    sample[15]
}
