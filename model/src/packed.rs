//! Measures in a few bytes each: how windows hold them in memory, and how blobs and windows store them.
//!
//! A sequence has one [`Shape`]: the coarsest unit of time and the fewest decimals that are exact to the bit for
//! all of it. Of times the second differences are written, of values the differences of their decimals, or, if
//! they are not short decimals, what differs in their bits.

use crate::block::packed;
use crate::codec::{Corrupt, Reader, put_f64, put_signed, put_varint};
use crate::time::{Measure, Timestamp};

/// Units of time in nanoseconds, the coarsest first.
const UNITS: [i64; 4] = [1_000_000_000, 1_000_000, 1000, 1];

/// What a value is multiplied by, by its decimals.
const POWERS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

/// In place of a number of decimals: values are told by their bits.
const BITS: u8 = POWERS.len() as u8;

/// Products below it are exact, and so are their differences.
const NUMBER_MAX: f64 = (1u64 << 52) as f64;

/// How the measures of one sequence are told. The greater of each holds whatever the smaller holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    unit: u8,
    places: u8,
}

impl Shape {
    /// The least that holds all of these.
    fn of(measures: impl Iterator<Item = Measure> + Clone) -> Self {
        let mut shape = Shape::default();
        loop {
            let with_all = measures.clone().fold(shape, Shape::with);
            // A large number that is exact with few decimals may not be with many.
            if with_all == shape {
                return shape;
            }
            shape = with_all;
        }
    }

    /// One that holds this measure, and nothing coarser than this one.
    #[inline]
    pub(crate) fn with(self, measure: Measure) -> Self {
        let mut shape = self;
        while measure.at.ns() as i64 % shape.unit_ns() != 0 {
            shape.unit += 1;
        }
        while shape.places < BITS && decimal(measure.value, shape.places).is_none() {
            shape.places += 1;
        }
        shape
    }

    fn unit_ns(self) -> i64 {
        UNITS[usize::from(self.unit)]
    }

    /// Reads a shape told in one byte.
    pub(crate) fn decode(code: u8) -> Result<Self, Corrupt> {
        let shape = Shape { unit: code >> 4, places: code & 15 };
        let known = usize::from(shape.unit) < UNITS.len() && shape.places <= BITS;
        if known { Ok(shape) } else { Err(Corrupt) }
    }
}

/// `value` as a number of `10^-places`, if that is exact.
#[inline]
pub(crate) fn decimal(value: f64, places: u8) -> Option<i64> {
    let power = POWERS[usize::from(places)];
    let product = value * power;
    if product.abs() >= NUMBER_MAX || product.is_nan() {
        return None;
    }
    let number = nearest(product);
    (undecimal(number, places).to_bits() == value.to_bits()).then_some(number)
}

/// The nearest integer of what is near one. Without an instruction for it, `round` is a loop's worth of work.
#[inline]
fn nearest(product: f64) -> i64 {
    (product + 0.5f64.copysign(product)) as i64
}

/// Undoes [`decimal`].
pub(crate) fn undecimal(number: i64, places: u8) -> f64 {
    number as f64 / POWERS[usize::from(places)]
}

/// Where a sequence stands: all that the next measure's bytes depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Of the last measure, in units.
    at: i64,
    /// From the one before it, in units.
    step: i64,
    /// Its number or bits.
    value: i64,
}

impl State {
    /// Before a sequence that begins near `base`.
    fn after(base: Timestamp, shape: Shape) -> Self {
        State { at: base.ns() as i64 / shape.unit_ns(), ..State::default() }
    }

    /// The last measure.
    pub(crate) fn last(&self, shape: Shape) -> Measure {
        let at = Timestamp::saturating_from_ns((self.at as u64).saturating_mul(shape.unit_ns() as u64));
        Measure { at, value: value_of(self.value, shape.places) }
    }

    /// Appends a measure that the shape holds.
    #[inline]
    pub(crate) fn put(&mut self, shape: Shape, first: bool, measure: Measure, out: &mut Vec<u8>) {
        let at = measure.at.ns() as i64 / shape.unit_ns();
        let step = at.wrapping_sub(self.at);
        put_signed(out, step.wrapping_sub(self.step));
        let value = put_value(shape.places, self.value, measure.value, out);
        *self = State { at, step: if first { 0 } else { step }, value };
    }

    /// Reads the next measure.
    #[inline]
    pub(crate) fn get(
        &mut self,
        shape: Shape,
        first: bool,
        reader: &mut Reader<'_>,
    ) -> Result<Measure, Corrupt> {
        let step = self.step.wrapping_add(reader.signed()?);
        let at = self.at.wrapping_add(step);
        let value = get_value(shape.places, self.value, reader)?;
        *self = State { at, step: if first { 0 } else { step }, value };
        let ns = at.checked_mul(shape.unit_ns()).and_then(|ns| u64::try_from(ns).ok());
        let at = ns.and_then(Timestamp::from_ns).ok_or(Corrupt)?;
        Ok(Measure { at, value: value_of(value, shape.places) })
    }
}

/// Appends a value that so many places hold, by what stands for the one before. Returns what stands for it.
#[inline]
fn put_value(places: u8, before: i64, value: f64, out: &mut Vec<u8>) -> i64 {
    if places == BITS {
        let bits = value.to_bits() as i64;
        put_changed_bytes(out, (bits ^ before) as u64);
        return bits;
    }
    let number = nearest(value * POWERS[usize::from(places)]);
    put_signed(out, number - before);
    number
}

#[inline]
fn get_value(places: u8, before: i64, reader: &mut Reader<'_>) -> Result<i64, Corrupt> {
    if places == BITS {
        Ok(before ^ changed_bytes(reader)? as i64)
    } else {
        Ok(before.wrapping_add(reader.signed()?))
    }
}

fn value_of(value: i64, places: u8) -> f64 {
    if places == BITS { f64::from_bits(value as u64) } else { undecimal(value, places) }
}

/// The fewest decimals that hold all of these values.
fn places_of(values: &[f64]) -> u8 {
    let at = Timestamp::EPOCH;
    Shape::of(values.iter().map(|value| Measure { at, value: *value })).places
}

fn put_plain(out: &mut Vec<u8>, places: u8, values: &[f64]) {
    values.iter().fold(0, |before, value| put_value(places, before, *value, out));
}

fn read_plain(reader: &mut Reader<'_>, places: u8, count: usize) -> Result<Vec<f64>, Corrupt> {
    let Shape { places, .. } = Shape::decode(places)?;
    let mut before = 0;
    let mut next = |_| {
        before = get_value(places, before, reader)?;
        Ok(value_of(before, places))
    };
    (0..count).map(&mut next).collect()
}

/// Appends values without times: their places, then each.
pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64]) {
    let places = places_of(values);
    out.push(places);
    put_plain(out, places, values);
}

/// Reads so many values that [`put_values`] wrote.
pub(crate) fn read_values(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, Corrupt> {
    let places = reader.byte()?;
    read_plain(reader, places, count)
}

/// How a list of values is told, in five bits: places, and which way.
const WAY: u32 = 3;
/// Numbers, with as few bits as hold the distance of each from the smallest.
const NUMBERS: u8 = 1;
/// The same of their differences, without the zero bits at the end of all numbers.
const DIFFERENCES: u8 = 2;
/// Shorter lists are not worth it.
const PACKED_MIN: usize = 4;
/// Longer lists are not told so: what a few bytes make a reader do is bounded.
const PACKED_MAX: usize = 255;

/// Appends values in the shortest of some quick ways, and says which; see `docs/format/backlog.md`.
pub fn pack(out: &mut Vec<u8>, values: &[f64]) -> u8 {
    pack_in(places_of(values), out, values)
}

fn pack_in(places: u8, out: &mut Vec<u8>, values: &[f64]) -> u8 {
    let begin = out.len();
    put_plain(out, places, values);
    if places == BITS || !(PACKED_MIN..=PACKED_MAX).contains(&values.len()) {
        return places;
    }
    let number = |value: &f64| nearest(value * POWERS[usize::from(places)]);
    let numbers: Vec<i64> = values.iter().map(number).collect();
    let mut all = Vec::with_capacity(out.len() - begin);
    packed::encode(&mut all, &numbers);
    let zeros = numbers.iter().fold(0, |any, number| any | number).trailing_zeros() & 63;
    let mut apart = Vec::with_capacity(out.len() - begin);
    apart.push(zeros as u8);
    put_signed(&mut apart, numbers[0] >> zeros);
    let steps: Vec<i64> = numbers.windows(2).map(|pair| (pair[1] >> zeros) - (pair[0] >> zeros)).collect();
    packed::encode(&mut apart, &steps);
    let (way, shorter) = if all.len() <= apart.len() { (NUMBERS, all) } else { (DIFFERENCES, apart) };
    if shorter.len() >= out.len() - begin {
        return places;
    }
    out.truncate(begin);
    out.extend_from_slice(&shorter);
    places | way << WAY
}

/// Reads so many values that [`pack`] told this way.
///
/// # Errors
/// [`Corrupt`] if they do not decode.
pub fn unpack(reader: &mut Reader<'_>, way: u8, count: usize) -> Result<Vec<f64>, Corrupt> {
    let Shape { places, .. } = Shape::decode(way & ((1 << WAY) - 1))?;
    let way = way >> WAY;
    if way == 0 {
        return read_plain(reader, places, count);
    }
    if places == BITS || count == 0 || count > PACKED_MAX {
        return Err(Corrupt);
    }
    let mut numbers = vec![0; count];
    match way {
        NUMBERS => packed::decode(reader, &mut numbers)?,
        DIFFERENCES => {
            let zeros = u32::from(reader.byte()?);
            numbers[0] = reader.signed()?;
            packed::decode(reader, &mut numbers[1..])?;
            let mut sum = 0i64;
            for number in &mut numbers {
                sum = sum.wrapping_add(*number);
                *number = sum.checked_shl(zeros).ok_or(Corrupt)?;
            }
        }
        _ => return Err(Corrupt),
    }
    Ok(numbers.into_iter().map(|number| undecimal(number, places)).collect())
}

/// The bytes between the first and the last that are not zero, and where they are.
fn put_changed_bytes(out: &mut Vec<u8>, bits: u64) {
    if bits == 0 {
        return out.push(0);
    }
    let (above, below) = (bits.leading_zeros() / 8, bits.trailing_zeros() / 8);
    out.push((1 + above * 8 + below) as u8);
    let bytes = (bits >> (below * 8)).to_le_bytes();
    out.extend_from_slice(&bytes[..(8 - above - below) as usize]);
}

fn changed_bytes(reader: &mut Reader<'_>) -> Result<u64, Corrupt> {
    let Some(place) = reader.byte()?.checked_sub(1) else { return Ok(0) };
    let (above, below) = (usize::from(place / 8), usize::from(place % 8));
    let count = 8usize.checked_sub(above + below).filter(|count| *count > 0).ok_or(Corrupt)?;
    let mut bytes = [0; 8];
    bytes[below..below + count].copy_from_slice(reader.take(count)?);
    Ok(u64::from_le_bytes(bytes))
}

/// `value` as a decimal with no more places than it needs.
fn fewest_places(value: f64) -> Option<(u8, i64)> {
    const MOST: u8 = BITS - 1;
    if let Some(number) = decimal(value, 0) {
        return Some((0, number));
    }
    match decimal(value, MOST) {
        Some(number) if number % 100 == 0 => Some((1, number / 100)),
        Some(number) if number % 10 == 0 => Some((2, number / 10)),
        Some(number) => Some((MOST, number)),
        // Too large for the most places, perhaps not for fewer.
        None => (1..MOST).find_map(|places| Some((places, decimal(value, places)?))),
    }
}

/// Appends one number: as a short decimal if it is one, else by its bits.
pub(crate) fn put_number(out: &mut Vec<u8>, value: f64) {
    match fewest_places(value) {
        Some((places, number)) => put_signed(out, number << 3 | i64::from(places)),
        None => {
            put_signed(out, i64::from(BITS));
            put_f64(out, value);
        }
    }
}

/// Reads what [`put_number`] wrote.
pub(crate) fn number(reader: &mut Reader<'_>) -> Result<f64, Corrupt> {
    let told = reader.signed()?;
    match (told & 7) as u8 {
        BITS => reader.f64(),
        places if places < BITS => Ok(undecimal(told >> 3, places)),
        _ => Err(Corrupt),
    }
}

/// Appends a difference of times in nanoseconds; whole milliseconds are short.
pub(crate) fn put_difference(out: &mut Vec<u8>, ns: i64) {
    let (value, finer) = if ns % UNITS[1] == 0 { (ns / UNITS[1], 0) } else { (ns, 1) };
    put_signed(out, value << 1 | finer);
}

/// Reads what [`put_difference`] wrote.
pub(crate) fn difference(reader: &mut Reader<'_>) -> Result<i64, Corrupt> {
    let told = reader.signed()?;
    if told & 1 == 1 { Ok(told >> 1) } else { (told >> 1).checked_mul(UNITS[1]).ok_or(Corrupt) }
}

/// Appends times in any order: how many they are, their unit and a way, then their second differences, the first from
/// `base`; see `docs/format/backlog.md`.
pub fn put_times(out: &mut Vec<u8>, base: Timestamp, times: &[Timestamp]) {
    put_times_in(Shape::of(times.iter().map(|at| Measure { at: *at, value: 0.0 })), out, base, times);
}

fn put_times_in(shape: Shape, out: &mut Vec<u8>, base: Timestamp, times: &[Timestamp]) {
    // Behind the first two there is nothing if times are regular.
    let step_of = |pair: &[Timestamp]| pair[1].ns() as i64 - pair[0].ns() as i64;
    let mut steps = times.windows(2).map(step_of);
    let first = steps.next();
    let regular = (3..=PACKED_MAX).contains(&times.len()) && steps.all(|step| Some(step) == first);
    put_varint(out, (times.len() as u64) << 3 | u64::from(regular) << 2 | u64::from(shape.unit));
    let (mut before, mut step) = (base.ns() as i64 / shape.unit_ns(), 0);
    for (index, at) in times.iter().take(if regular { 2 } else { usize::MAX }).enumerate() {
        let at = at.ns() as i64 / shape.unit_ns();
        let to = at.wrapping_sub(before);
        put_signed(out, to.wrapping_sub(step));
        (before, step) = (at, if index == 0 { 0 } else { to });
    }
}

/// Reads what [`put_times`] wrote.
///
/// # Errors
/// [`Corrupt`] if it does not decode.
pub fn read_times(reader: &mut Reader<'_>, base: Timestamp) -> Result<Vec<Timestamp>, Corrupt> {
    let head = reader.varint()?;
    let (count, regular) = (head >> 3, head & 4 != 0);
    if regular && count > PACKED_MAX as u64 {
        return Err(Corrupt);
    }
    let shape = Shape { unit: (head & 3) as u8, places: 0 };
    let (mut at, mut step) = (base.ns() as i64 / shape.unit_ns(), 0i64);
    let mut next = |index| {
        let error = if regular && index >= 2 { 0 } else { reader.signed()? };
        let to = step.wrapping_add(error);
        (at, step) = (at.wrapping_add(to), if index == 0 { 0 } else { to });
        let ns = at.checked_mul(shape.unit_ns()).and_then(|ns| u64::try_from(ns).ok());
        ns.and_then(Timestamp::from_ns).ok_or(Corrupt)
    };
    (0..count).map(&mut next).collect()
}

/// Appends measures that the shape holds: times, way, values.
pub(crate) fn put_measures(shape: Shape, out: &mut Vec<u8>, base: Timestamp, measures: &[Measure]) {
    let times: Vec<Timestamp> = measures.iter().map(|measure| measure.at).collect();
    let values: Vec<f64> = measures.iter().map(|measure| measure.value).collect();
    put_times_in(shape, out, base, &times);
    let head = out.len();
    out.push(0);
    out[head] = pack_in(shape.places, out, &values);
}

/// Reads what [`put_measures`] wrote.
pub(crate) fn read_measures(reader: &mut Reader<'_>, base: Timestamp) -> Result<Vec<Measure>, Corrupt> {
    let times = read_times(reader, base)?;
    let way = reader.byte()?;
    let values = unpack(reader, way, times.len())?;
    Ok(times.into_iter().zip(values).map(|(at, value)| Measure { at, value }).collect())
}

/// Reads measures as blobs before version 4 and windows before version 3 have them: a count, the shape, then each time and
/// value, the first by its distance from `base`.
///
/// # Errors
/// [`Corrupt`] if it does not decode.
pub fn read_interleaved(reader: &mut Reader<'_>, base: Timestamp) -> Result<Vec<Measure>, Corrupt> {
    let count = reader.count(2)?;
    let shape = Shape::decode(reader.byte()?)?;
    let mut state = State::after(base, shape);
    (0..count).map(|index| state.get(shape, index == 0, reader)).collect()
}

/// What [`read_interleaved`] reads.
#[cfg(test)]
pub(crate) fn put_interleaved(out: &mut Vec<u8>, base: Timestamp, measures: &[Measure]) {
    put_varint(out, measures.len() as u64);
    let shape = Shape::of(measures.iter().copied());
    out.push(shape.unit << 4 | shape.places);
    let mut state = State::after(base, shape);
    for (index, measure) in measures.iter().enumerate() {
        state.put(shape, index == 0, *measure, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: Timestamp = Timestamp::saturating_from_ns(1_699_999_999_000_000_001);

    fn packed(measures: &[Measure]) -> Vec<u8> {
        let (mut apart, mut out) = (Vec::new(), Vec::new());
        put_measures(Shape::of(measures.iter().copied()), &mut apart, BASE, measures);
        put_interleaved(&mut out, BASE, measures);
        let bits =
            |list: &[Measure]| list.iter().map(|one| (one.at, one.value.to_bits())).collect::<Vec<_>>();
        let mut reader = Reader::new(&apart);
        assert_eq!(bits(&read_measures(&mut reader, BASE).unwrap()), bits(measures));
        assert!(reader.is_empty() && apart.len() <= out.len() + 1);
        let mut reader = Reader::new(&out);
        assert_eq!(bits(&read_interleaved(&mut reader, BASE).unwrap()), bits(measures));
        assert!(reader.is_empty());
        out
    }

    fn measures(start_ns: u64, step_ns: u64, values: impl IntoIterator<Item = f64>) -> Vec<Measure> {
        let at = |index| Timestamp::from_ns(start_ns + index * step_ns).unwrap();
        (0..).zip(values).map(|(index, value)| Measure { at: at(index), value }).collect()
    }

    #[test]
    fn regular_measures_take_two_or_three_bytes() {
        let (start, step) = (1_700_000_000_000_000_000, 10_000_000_000);
        let noise = |index: u64| (index * 7919 % 100) as f64;
        let size = |values: Vec<f64>| packed(&measures(start, step, values)).len() as f64 / 100.0;
        assert!(size(vec![5.0; 100]) < 2.2);
        assert!(size((0..100).map(|index| 40.0 + noise(index) / 10.0).collect()) < 3.2);
        assert!(size((0..100).map(|index| noise(index) * 1000.0).collect()) < 4.3);
        assert!(size((0..100).map(|index| noise(index).sqrt()).collect()) < 10.5);
    }

    proptest! {
        #[test]
        fn any_measures_come_back_to_the_bit(
            list in proptest::collection::vec((0..=Timestamp::MAX.ns(), any::<u64>()), 0..40),
        ) {
            let measure = |(ns, bits)| Measure { at: Timestamp::from_ns(ns).unwrap(), value: f64::from_bits(bits) };
            packed(&list.into_iter().map(measure).collect::<Vec<_>>());
        }

        #[test]
        fn decimals_of_all_sizes_come_back(
            list in proptest::collection::vec((any::<i32>(), 0usize..4, 0u32..20, any::<i64>()), 1..40),
        ) {
            let value = |(small, places, shift, large): (i32, usize, u32, i64)| {
                if shift < 2 { large as f64 } else { f64::from(small >> shift) / POWERS[places] }
            };
            packed(&measures(1_700_000_000_123_000_000, 999_000, list.into_iter().map(value)));
        }

        #[test]
        fn single_numbers_and_differences_come_back(
            bits: u64, short in -5000i32..5000, ns in -(1i64 << 61)..1 << 61, ms in -100_000i64..100_000,
        ) {
            for value in [f64::from_bits(bits), f64::from(short), f64::from(short) / 100.0, bits as f64] {
                let plain = (0..BITS).find_map(|places| Some((places, decimal(value, places)?)));
                prop_assert_eq!(fewest_places(value), plain);
                let mut out = Vec::new();
                put_number(&mut out, value);
                let mut reader = Reader::new(&out);
                prop_assert_eq!(number(&mut reader).unwrap().to_bits(), value.to_bits());
                prop_assert!(reader.is_empty());
            }
            for ns in [ns, ms * 1_000_000] {
                let mut out = Vec::new();
                put_difference(&mut out, ns);
                prop_assert_eq!(difference(&mut Reader::new(&out)), Ok(ns));
            }
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>) {
            for way in 0..=u8::MAX {
                let _ = unpack(&mut Reader::new(&bytes), way, 9);
            }
            let _ = read_measures(&mut Reader::new(&bytes), BASE);
            let _ = read_interleaved(&mut Reader::new(&bytes), BASE);
            let _ = (number(&mut Reader::new(&bytes)), difference(&mut Reader::new(&bytes)));
        }
    }

    #[test]
    fn what_is_no_short_decimal_is_told_by_its_bits() {
        let odd =
            [-0.0, f64::NAN, f64::INFINITY, 1e300, 5e-324, 9_007_199_254_740_993.0, 4_503_599_627_370_495.5];
        for value in odd {
            packed(&measures(1, 1, [1.5, value, 0.25]));
        }
        assert_eq!((decimal(-0.0, 0), decimal(0.125, 3), decimal(0.5, 0)), (None, Some(125), None));
    }
}
