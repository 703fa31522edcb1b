//! One `values "|" type *( "|" field )` of a metric line: lines may hold several, one after another.

use memchr::{memchr, memchr2};
use orzo_model::DropReason::{self, BadRate, BadTimestamp, BadType, NoType};
use orzo_model::Kind;
use orzo_model::sample::RATE_ONE;

use super::number;
use super::tags::Tags;
use super::trim;
use crate::limits::RATE_MIN;

/// Values of one type with the fields they share.
pub(super) struct Group<'a> {
    /// The values' text: several with `:` between them, except for a set.
    pub(super) values: &'a [u8],
    pub(super) kind: Kind,
    /// Whether a sign in the values' text means anything.
    pub(super) signs: bool,
    /// In (0, 1].
    pub(super) rate: f64,
    /// The same in billionths.
    pub(super) rate_billionths: u32,
    /// The time that came with it.
    pub(super) seconds: Option<u32>,
    /// Whether there was a field that only DogStatsD clients write.
    pub(super) dogstatsd: bool,
}

/// What follows a field.
enum Next<'a> {
    Nothing,
    Field(&'a [u8]),
    Group(&'a [u8]),
}

impl<'a> Group<'a> {
    /// Reads one, adding its tags to `tags`; also returns the text of the next one, if there is one.
    #[inline(always)]
    pub(super) fn read(text: &'a [u8], tags: &mut Tags<'a>) -> Result<(Self, Option<&'a [u8]>), DropReason> {
        let bar = text.iter().position(|&byte| byte == b'|').ok_or(NoType)?;
        let (wire_type, mut next) = split_at_colon_too(&text[bar + 1..]);
        let (kind, signs) = kind(trim(wire_type)).ok_or(BadType)?;
        let values = &text[..bar];
        let mut group = Group {
            values,
            kind,
            signs,
            rate: 1.0,
            rate_billionths: RATE_ONE,
            seconds: None,
            dogstatsd: false,
        };
        loop {
            next = match next {
                Next::Nothing => return Ok((group, None)),
                Next::Group(text) => return Ok((group, Some(text))),
                Next::Field(text) => group.field(text, tags)?,
            }
        }
    }

    /// Reads the first field of `text`.
    #[inline(always)]
    fn field(&mut self, text: &'a [u8], tags: &mut Tags<'a>) -> Result<Next<'a>, DropReason> {
        if let Some(text) = text.strip_prefix(b"@") {
            let (rate, next) = split_at_colon_too(text);
            self.rate = number::decimal(trim(rate)).and_then(sample_rate).ok_or(BadRate)?;
            self.rate_billionths = billionths(self.rate);
            return Ok(next);
        }
        let (field, next) = split(text);
        match field {
            [b'#', items @ ..] => tags.add_field(items)?,
            [b'T', digits @ ..] => self.seconds = Some(number::seconds(trim(digits)).ok_or(BadTimestamp)?),
            // Container id, external data, cardinality.
            [b'c' | b'e', b':', ..] | [b'c', b'a', b'r', b'd', b':', ..] => {}
            _ => return Ok(next),
        }
        self.dogstatsd = true;
        Ok(next)
    }
}

fn kind(wire_type: &[u8]) -> Option<(Kind, bool)> {
    match wire_type {
        b"c" | b"m" => Some((Kind::Counter, false)),
        b"g" => Some((Kind::Gauge, true)),
        b"ms" => Some((Kind::Timer, false)),
        b"h" => Some((Kind::Histogram, false)),
        b"d" => Some((Kind::Distribution, false)),
        b"s" => Some((Kind::Set, false)),
        b"kv" => Some((Kind::Gauge, false)),
        _ => None,
    }
}

/// Above zero, and no smaller than a billionth; rates above 1 are 1.
#[inline]
pub(super) fn sample_rate(number: f64) -> Option<f64> {
    (number >= RATE_MIN).then_some(number.min(1.0))
}

/// A rate in billionths, to the nearest: half of one is the least that comes here, so the sum is exact.
#[inline]
pub(super) fn billionths(rate: f64) -> u32 {
    (rate * f64::from(RATE_ONE) + 0.5) as u32
}

fn split(text: &[u8]) -> (&[u8], Next<'_>) {
    match memchr(b'|', text) {
        Some(at) => (&text[..at], Next::Field(&text[at + 1..])),
        None => (text, Next::Nothing),
    }
}

/// For the type and the rate, the two fields in which a `:` starts a new sample.
#[inline]
fn split_at_colon_too(text: &[u8]) -> (&[u8], Next<'_>) {
    match memchr2(b'|', b':', text) {
        Some(at) if text[at] == b'|' => (&text[..at], Next::Field(&text[at + 1..])),
        Some(at) => (&text[..at], Next::Group(&text[at + 1..])),
        None => (text, Next::Nothing),
    }
}
