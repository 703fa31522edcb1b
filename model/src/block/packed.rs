//! Numbers as their distance from the smallest one, all with the same number of bits.

use super::bits::{BitReader, BitWriter};
use crate::codec::{Corrupt, Reader, put_signed};

/// Smallest number and bits of the largest distance from it; if those are all 64, from 0.
pub(super) fn frame(numbers: &[i64]) -> (i64, u32) {
    let smallest = numbers.iter().copied().min().unwrap_or(0);
    let largest = numbers.iter().copied().max().unwrap_or(0);
    let distance = largest.wrapping_sub(smallest) as u64;
    let width = u64::BITS - distance.leading_zeros();
    (if width == u64::BITS { 0 } else { smallest }, width)
}

/// Appends them.
pub(crate) fn encode(out: &mut Vec<u8>, numbers: &[i64]) {
    let (smallest, width) = frame(numbers);
    put_signed(out, smallest);
    out.push(width as u8);
    let mut bits = BitWriter::default();
    numbers.iter().for_each(|number| bits.put(number.wrapping_sub(smallest) as u64, width));
    out.extend_from_slice(&bits.finish());
}

/// Reads as many as `numbers` has room for.
pub(crate) fn decode(reader: &mut Reader<'_>, numbers: &mut [i64]) -> Result<(), Corrupt> {
    let smallest = reader.signed()?;
    let width = u32::from(reader.byte()?);
    if width > 64 {
        return Err(Corrupt);
    }
    let bytes = reader.take((numbers.len() * width as usize).div_ceil(8))?;
    let mut bits = BitReader::new(bytes);
    numbers.iter_mut().for_each(|number| *number = smallest.wrapping_add(bits.get(width) as i64));
    Ok(())
}
