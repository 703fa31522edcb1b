//! The lines that nearly all are: `name:number|type`, perhaps with a rate, and nothing that needs a second look.
//!
//! Read from the end, where such a line gives itself away after a few bytes. Whatever is not one goes the long way, which
//! would have said the same of this.

use orzo_model::sample::RATE_ONE;
use orzo_model::{Flags, Kind, Sample, SeriesIds};

use super::number::EXACT_DIGITS;
use super::{group, number, scan};
use crate::limits::METRIC_CHARS_MAX;

/// What lines of events and service checks begin with.
const OTHERS: u8 = b'_';

/// The sample of a plain line, and its name.
#[inline(always)]
pub(super) fn read<'a>(ids: &SeriesIds, line: &'a [u8]) -> Option<(Sample, &'a [u8])> {
    let (text, kind, rate) = match split_type(line) {
        Some((text, kind)) => (text, kind, RATE_ONE),
        None => {
            let (line, rate) = split_rate(line)?;
            let (text, kind) = split_type(line)?;
            (text, kind, rate)
        }
    };
    let (name, value) = split_number(text)?;
    if name.len() > METRIC_CHARS_MAX || *name.first()? == OTHERS || scan::has_special_or_colon(name) {
        return None;
    }
    let sample = Sample {
        id: ids.id(kind, Flags::NONE, name),
        value: value.to_bits(),
        aux: if kind.is_event() { rate } else { 0 },
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

/// What stands before a short `|@rate` at the end, and the rate in billionths.
#[inline(always)]
fn split_rate(line: &[u8]) -> Option<(&[u8], u32)> {
    let is_other = |byte: &u8| !(byte.is_ascii_digit() || *byte == b'.');
    let len = line.iter().rev().take(EXACT_DIGITS + 1).position(is_other)?;
    let (text, rate) = line.split_at(line.len() - len);
    let text = text.strip_suffix(b"|@")?;
    Some((text, group::billionths(group::sample_rate(number::short(rate)?)?)))
}

/// What stands before the `:`, and the number of few digits behind it, with a point or without.
#[inline(always)]
fn split_number(text: &[u8]) -> Option<(&[u8], f64)> {
    let (before, last) = number::split_digits(text);
    match before {
        [name @ .., b':'] if last.count > 0 => Some((name, last.value as f64)),
        [whole @ .., b'.'] => {
            let (before, whole) = number::split_digits(whole);
            Some((before.strip_suffix(b":")?, whole.with_fraction(last)?))
        }
        [.., b'0'..=b'9'] => {
            let (before, first) = number::split_digits(before);
            Some((before.strip_suffix(b":")?, first.followed_by(last) as f64))
        }
        _ => None,
    }
}
