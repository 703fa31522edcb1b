//! The lines that nearly all are: `name:digits|type`, and nothing that needs a second look.
//!
//! Read from the end, where such a line gives itself away after a few bytes. Whatever is not one goes the long way, which
//! would have said the same of this.

use orzo_model::sample::RATE_ONE;
use orzo_model::{Flags, Kind, Sample, SeriesIds};

use super::number::EXACT_DIGITS;
use super::scan;
use crate::limits::METRIC_CHARS_MAX;

/// What lines of events and service checks begin with.
const OTHERS: u8 = b'_';

/// The sample of a plain line, and its name.
#[inline(always)]
pub(super) fn read<'a>(ids: &SeriesIds, line: &'a [u8]) -> Option<(Sample, &'a [u8])> {
    let (text, kind) = split_type(line)?;
    let (name, value) = split_digits(text)?;
    if name.len() > METRIC_CHARS_MAX || *name.first()? == OTHERS || scan::has_special_or_colon(name) {
        return None;
    }
    let sample = Sample {
        id: ids.id(kind, Flags::NONE, name),
        value: (value as f64).to_bits(),
        aux: if kind.is_event() { RATE_ONE } else { 0 },
        name_len: name.len() as u16,
        kind,
        flags: Flags::NONE,
    };
    Some((sample, name))
}

#[inline(always)]
fn split_type(line: &[u8]) -> Option<(&[u8], Kind)> {
    match line {
        [text @ .., b'|', b'c'] => Some((text, Kind::Counter)),
        [text @ .., b'|', b'm', b's'] => Some((text, Kind::Timer)),
        [text @ .., b'|', b'g'] => Some((text, Kind::Gauge)),
        [text @ .., b'|', b'h'] => Some((text, Kind::Histogram)),
        [text @ .., b'|', b'd'] => Some((text, Kind::Distribution)),
        _ => None,
    }
}

/// What stands before the `:`, and the number of digits behind it that a double holds for sure.
#[inline(always)]
fn split_digits(text: &[u8]) -> Option<(&[u8], i64)> {
    let (mut value, mut unit) = (0, 1);
    for (at, byte) in text.iter().enumerate().rev().take(EXACT_DIGITS + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (*byte == b':' && unit > 1).then(|| (&text[..at], value));
        }
        value += i64::from(digit) * unit;
        unit *= 10;
    }
    None
}
