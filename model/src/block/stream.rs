//! A stream of integers: what everything in a block is made of.
//!
//! Numbers are predicted ([`Prediction`]), and the errors stored as one number if they are all the same,
//! packed to the same width, or entropy-coded, whatever is smallest.

use super::estimate;
use super::predict::Prediction;
use super::{coded, packed};
use crate::codec::{Corrupt, Reader, put_signed};

const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const CODED: u8 = 2;

/// Fewer numbers are not worth a table of frequencies.
pub(super) const CODED_MIN: usize = 48;

/// Appends numbers in the way that is estimated the smallest.
pub(super) fn encode(out: &mut Vec<u8>, numbers: &[i64]) {
    encode_predicted(out, numbers, estimate::best(numbers).prediction);
}

/// Appends numbers with this prediction.
pub(super) fn encode_predicted(out: &mut Vec<u8>, numbers: &[i64], prediction: Prediction) {
    if numbers.is_empty() {
        return;
    }
    let mut errors = numbers.to_vec();
    prediction.errors(&mut errors);
    let (firsts, errors) = errors.split_at(prediction.order.min(numbers.len()));
    let head = |kind: u8| kind | ((prediction.order as u8) << 2) | ((prediction.smoothing as u8) << 5);
    let at = out.len();
    out.push(0);
    firsts.iter().for_each(|first| put_signed(out, *first));
    out[at] = head(encode_errors(out, errors));
}

fn encode_errors(out: &mut Vec<u8>, errors: &[i64]) -> u8 {
    let (smallest, width) = packed::frame(errors);
    if width == 0 {
        put_signed(out, smallest);
        return CONSTANT;
    }
    let packed_bytes = (errors.len() * width as usize).div_ceil(8);
    let plan = if errors.len() < CODED_MIN { None } else { coded::Plan::of(errors) };
    match plan {
        Some(plan) if plan.bytes < packed_bytes => {
            plan.encode(out, errors);
            CODED
        }
        _ => {
            packed::encode(out, errors);
            PACKED
        }
    }
}

/// Numbers as they were read.
pub(super) enum Numbers {
    /// So many times the same one: nothing was spread out yet.
    Same(i64, usize),
    /// Any.
    All(Vec<i64>),
}

impl Numbers {
    /// All of them.
    pub(super) fn spread(self) -> Vec<i64> {
        match self {
            Numbers::Same(number, count) => vec![number; count],
            Numbers::All(numbers) => numbers,
        }
    }
}

/// Reads a stream of `count` numbers, which the caller has bounded.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Numbers, Corrupt> {
    if count == 0 {
        return Ok(Numbers::All(Vec::new()));
    }
    let head = reader.byte()?;
    let prediction = Prediction { order: usize::from((head >> 2) & 7), smoothing: u32::from(head >> 5) };
    if head & 3 == CONSTANT && prediction.order == 0 {
        return Ok(Numbers::Same(reader.signed()?, count));
    }
    let mut numbers = vec![0; count];
    let (firsts, errors) = numbers.split_at_mut(prediction.order.min(count));
    for first in firsts {
        *first = reader.signed()?;
    }
    match head & 3 {
        CONSTANT => errors.fill(reader.signed()?),
        PACKED => packed::decode(reader, errors)?,
        CODED => coded::decode(reader, errors)?,
        _ => return Err(Corrupt),
    }
    prediction.restore(&mut numbers);
    Ok(Numbers::All(numbers))
}
