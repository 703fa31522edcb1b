//! A stream of integers: what everything in a block is made of.
//!
//! Numbers are predicted ([`Prediction`]), and the errors stored as one number if they are all the same,
//! packed to the same width, or entropy-coded, whatever is smallest.

use super::estimate::{self, CODED_MIN, Estimate};
use super::predict::Prediction;
use super::{coded, packed};
use crate::codec::{Corrupt, Reader, put_signed};

pub(super) const CONSTANT: u8 = 0;
pub(super) const PACKED: u8 = 1;
pub(super) const CODED: u8 = 2;

/// Numbers to be written, and how.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) numbers: Vec<i64>,
    estimate: Estimate,
}

impl Stream {
    /// In the way that is estimated to be the shortest.
    pub(super) fn new(numbers: Vec<i64>) -> Self {
        let estimate = estimate::best(&numbers);
        Stream { numbers, estimate }
    }

    /// What it takes, about.
    pub(super) fn bits(&self) -> f64 {
        self.estimate.bits
    }

    /// Appends it; its length is for others to tell. An empty one is nothing.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if self.numbers.is_empty() {
            return;
        }
        let Prediction { order, smoothing } = self.estimate.prediction;
        let mut errors = self.numbers.clone();
        self.estimate.prediction.errors(&mut errors);
        let (firsts, errors) = errors.split_at(order.min(errors.len()));
        let head = out.len();
        out.push(0);
        firsts.iter().for_each(|first| put_signed(out, *first));
        out[head] = encode_errors(out, errors) | ((order as u8) << 2) | ((smoothing as u8) << 5);
    }
}

fn encode_errors(out: &mut Vec<u8>, errors: &[i64]) -> u8 {
    let (smallest, width) = packed::frame(errors);
    if width == 0 {
        put_signed(out, smallest);
        return CONSTANT;
    }
    let packed_bytes = (errors.len() * width as usize).div_ceil(8);
    let plan = if errors.len() < CODED_MIN { None } else { coded::Plan::of(errors) };
    if let Some(plan) = plan.filter(|plan| plan.bytes < packed_bytes) {
        plan.encode(out, errors);
        return CODED;
    }
    packed::encode(out, errors);
    PACKED
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
