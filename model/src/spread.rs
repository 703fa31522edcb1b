//! The values of a summary, for the median and percentiles: each of them while they are few, a sketch when they are many.

use crate::codec::{Corrupt, Reader, put_varint};
use crate::packed::{number, put_number};
use crate::sketch::Sketch;

/// Values kept one by one; beyond it a sketch takes over. Three bytes each, if they are short decimals.
pub const EXACT_VALUES_MAX: usize = 512;

/// The values, if a policy asks for the median or a percentile.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// Nobody asks.
    None,
    /// Each in order of arrival; at most [`EXACT_VALUES_MAX`].
    Exact(Values),
    /// More than that came.
    Sketch(Box<Sketch>),
}

/// Values with their weights, packed as they will be stored: whoever merges or stores them copies bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Value and weight of each, then how many they are, in [`COUNT_BYTES`]. A list of bytes and nothing beside, since
    /// there is one for each series and granularity; the count at the end, where the next value goes.
    bytes: Vec<u8>,
}

const COUNT_BYTES: usize = 2;
/// Room from the start: for some values.
const FIRST_BYTES: usize = 16;

impl Values {
    fn of(value: f64, weight: f64) -> Self {
        let mut bytes = Vec::with_capacity(FIRST_BYTES);
        bytes.resize(COUNT_BYTES, 0);
        let mut values = Values { bytes };
        values.push(value, weight);
        values
    }

    fn len(&self) -> usize {
        let count = self.bytes.last_chunk().expect("there are as many from the start");
        usize::from(u16::from_le_bytes(*count))
    }

    fn packed(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - COUNT_BYTES]
    }

    /// Appends so many more, which `put` writes behind those before.
    #[inline]
    fn append(&mut self, more: usize, put: impl FnOnce(&mut Vec<u8>)) {
        let count = u16::try_from(self.len() + more).expect("the most that are kept are far below 2^16");
        self.bytes.truncate(self.bytes.len() - COUNT_BYTES);
        put(&mut self.bytes);
        self.bytes.extend_from_slice(&count.to_le_bytes());
    }

    fn push(&mut self, value: f64, weight: f64) {
        self.append(1, |bytes| {
            put_number(bytes, value);
            put_number(bytes, weight);
        });
    }

    fn extend(&mut self, others: &Values) {
        self.append(others.len(), |bytes| bytes.extend_from_slice(others.packed()));
    }

    /// Value and weight of each.
    fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        let mut reader = Reader::new(self.packed());
        let mut next = move || number(&mut reader).expect("it is what was put in, or was read before");
        (0..self.len()).map(move |_| (next(), next()))
    }

    /// As if each value stood there `round(weight)` times, at least once.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let mut sorted: Vec<(f64, f64)> = self.iter().collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let times = |weight: f64| weight.round().max(1.0);
        let total: f64 = sorted.iter().map(|(_, weight)| times(*weight)).sum();
        let rank = (total - 1.0) * (percent / 100.0);
        let at = |rank: f64| {
            let mut below = 0.0;
            let found = sorted.iter().find(|(_, weight)| {
                below += times(*weight);
                rank < below
            });
            found.or(sorted.last()).map(|(value, _)| *value)
        };
        let (low, high) = (rank.floor(), rank.ceil());
        if low == high {
            return at(low);
        }
        Some(at(low)? * (high - rank) + at(high)? * (rank - low))
    }

    fn sketch(&self) -> Sketch {
        let mut sketch = Sketch::default();
        self.iter().for_each(|(value, weight)| sketch.add(value, weight));
        sketch
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        out.extend_from_slice(self.packed());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let count = reader.count(2)?;
        if count > EXACT_VALUES_MAX {
            return Err(Corrupt);
        }
        let start = *reader;
        for _ in 0..2 * count {
            number(reader)?;
        }
        let told = u16::try_from(count).map_err(|_| Corrupt)?;
        Ok(Values { bytes: [start.until(reader), &told.to_le_bytes()].concat() })
    }
}

impl Spread {
    /// Of one value.
    pub(crate) fn of(value: f64, weight: f64) -> Self {
        Spread::Exact(Values::of(value, weight))
    }

    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        match self {
            Spread::None => {}
            Spread::Exact(values) if values.len() < EXACT_VALUES_MAX => values.push(value, weight),
            Spread::Exact(values) => {
                let mut sketch = values.sketch();
                sketch.add(value, weight);
                *self = Spread::Sketch(Box::new(sketch));
            }
            Spread::Sketch(sketch) => sketch.add(value, weight),
        }
    }

    pub(crate) fn merge(&mut self, other: &Spread) {
        match (&mut *self, other) {
            (_, Spread::None) => {}
            (Spread::None, other) => *self = other.clone(),
            (Spread::Exact(mine), Spread::Exact(theirs)) if mine.len() + theirs.len() <= EXACT_VALUES_MAX => {
                mine.extend(theirs);
            }
            (Spread::Sketch(mine), Spread::Sketch(theirs)) => mine.merge(theirs),
            (Spread::Sketch(mine), Spread::Exact(theirs)) => {
                theirs.iter().for_each(|(value, weight)| mine.add(value, weight));
            }
            (Spread::Exact(mine), theirs) => {
                *self = Spread::Sketch(Box::new(mine.sketch()));
                self.merge(theirs);
            }
        }
    }

    /// How many values, or groups of like values, are kept.
    pub(crate) fn kept(&self) -> usize {
        match self {
            Spread::None => 0,
            Spread::Exact(values) => values.len(),
            Spread::Sketch(sketch) => sketch.groups(),
        }
    }

    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        match self {
            Spread::None => None,
            Spread::Exact(values) => values.percentile(percent),
            Spread::Sketch(sketch) => sketch.percentile(percent),
        }
    }

    /// Which of the three it is, in two bits.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Spread::None => 0,
            Spread::Exact(_) => 1,
            Spread::Sketch(_) => 2,
        }
    }

    /// Appends the stored form; see `docs/format/backlog.md`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Spread::None => {}
            Spread::Exact(values) => values.encode(out),
            Spread::Sketch(sketch) => sketch.encode(out),
        }
    }

    /// Reads what [`Spread::encode`] wrote of one with this code.
    pub(crate) fn decode(code: u8, reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        match code {
            0 => Ok(Spread::None),
            1 => Ok(Spread::Exact(Values::decode(reader)?)),
            2 => Ok(Spread::Sketch(Box::new(Sketch::decode(reader)?))),
            _ => Err(Corrupt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread(values: &[(f64, f64)]) -> Spread {
        let (first, rest) = values.split_first().unwrap();
        let mut spread = Spread::of(first.0, first.1);
        rest.iter().for_each(|(value, weight)| spread.add(*value, *weight));
        spread
    }

    proptest! {
        /// Values of any bits: they come back as they were put in, whether one by one, merged, or stored.
        #[test]
        fn few_values_are_kept_to_the_bit(
            bits in proptest::collection::vec((any::<u64>(), -9999i32..9999), 2..EXACT_VALUES_MAX), split: usize,
        ) {
            let values: Vec<(f64, f64)> =
                bits.iter().map(|(bits, cents)| (f64::from_bits(*bits), f64::from(*cents) / 100.0)).collect();
            let split = 1 + split % (values.len() - 1);
            let mut merged = spread(&values[..split]);
            merged.merge(&spread(&values[split..]));
            let mut out = Vec::new();
            merged.encode(&mut out);
            for found in [&merged, &spread(&values), &Spread::decode(1, &mut Reader::new(&out)).unwrap()] {
                let Spread::Exact(found) = found else { panic!("a sketch of {}", values.len()) };
                let bits = |(value, weight): (f64, f64)| (value.to_bits(), weight.to_bits());
                prop_assert!(found.iter().map(bits).eq(values.iter().copied().map(bits)));
            }
        }
    }

    #[test]
    fn past_the_bound_percentiles_stay_within_one_percent() {
        let values: Vec<(f64, f64)> = (1..=EXACT_VALUES_MAX * 4).map(|value| (value as f64, 1.0)).collect();
        assert!(matches!(spread(&values[..EXACT_VALUES_MAX]), Spread::Exact(_)));
        assert!(matches!(spread(&values[..=EXACT_VALUES_MAX]), Spread::Sketch(_)));
        let exact = values.len() as f64 * 0.9;
        let whole = spread(&values);
        for split in [1, EXACT_VALUES_MAX, EXACT_VALUES_MAX + 1, 2 * EXACT_VALUES_MAX] {
            let mut merged = spread(&values[..split]);
            merged.merge(&spread(&values[split..]));
            assert_eq!(merged, whole);
            let got = merged.percentile(90.0).unwrap();
            assert!((got - exact).abs() < 0.011 * exact, "{got} for {exact}");
        }
    }

    #[test]
    fn more_than_may_be_kept_is_corrupt() {
        let mut out = Vec::new();
        put_varint(&mut out, EXACT_VALUES_MAX as u64 + 1);
        out.resize(out.len() + 2 * (EXACT_VALUES_MAX + 1), 0);
        assert_eq!(Spread::decode(1, &mut Reader::new(&out)), Err(Corrupt));
        assert_eq!(Spread::decode(3, &mut Reader::new(&out)), Err(Corrupt));
    }
}
