//! A mergeable sketch of weighted values with a relative error of 1 % on every percentile.
//!
//! After DDSketch (Masson, Rim, Lee, VLDB 2019): values are counted in buckets whose borders grow by a
//! constant factor. Ours because statsd sample rates need weights, which the published crates lack.

use crate::codec::{Corrupt, Reader, put_f64, put_signed, put_varint};

/// Border factor: (1 + 0.01) / (1 − 0.01).
const GAMMA: f64 = 1.01 / 0.99;
/// Magnitudes below it count as zero.
const TINY: f64 = 1e-12;

/// Weighted values by magnitude.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    negative: Side,
    zero: f64,
    positive: Side,
}

/// Buckets that hold something, ascending, with the weight in each: mostly there are some hundred.
#[derive(Clone, Debug, Default, PartialEq)]
struct Side(Vec<(i32, f64)>);

impl Side {
    fn add(&mut self, bucket: i32, weight: f64) {
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(found) => self.0[found].1 += weight,
            Err(place) => self.0.insert(place, (bucket, weight)),
        }
    }

    fn merge(&mut self, other: &Side) {
        other.0.iter().for_each(|(bucket, weight)| self.add(*bucket, *weight));
    }

    fn weight(&self) -> f64 {
        self.0.iter().map(|(_, weight)| weight).sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        let mut before = 0;
        for (bucket, weight) in &self.0 {
            put_signed(out, i64::from(*bucket) - before);
            put_f64(out, *weight);
            before = i64::from(*bucket);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let count = reader.count(9)?;
        let mut side = Side(Vec::with_capacity(count));
        let mut before: Option<i32> = None;
        for _ in 0..count {
            let bucket = i64::from(before.unwrap_or(0)).checked_add(reader.signed()?).ok_or(Corrupt)?;
            let bucket = i32::try_from(bucket).map_err(|_| Corrupt)?;
            if before.is_some_and(|before| before >= bucket) {
                return Err(Corrupt);
            }
            side.0.push((bucket, reader.f64()?));
            before = Some(bucket);
        }
        Ok(side)
    }
}

fn bucket_of(magnitude: f64) -> i32 {
    // Rounded up by hand: without an instruction for it, `ceil` is a call.
    let exact = magnitude.ln() / GAMMA.ln();
    let below = exact as i32;
    below.saturating_add(i32::from(exact > f64::from(below)))
}

/// The value that is within 1 % of everything in a bucket.
fn value_of(bucket: i32) -> f64 {
    2.0 * GAMMA.powi(bucket) / (GAMMA + 1.0)
}

impl Sketch {
    /// Adds a finite value `weight` times.
    pub fn add(&mut self, value: f64, weight: f64) {
        if value.abs() < TINY {
            self.zero += weight;
        } else if value < 0.0 {
            self.negative.add(bucket_of(-value), weight);
        } else {
            self.positive.add(bucket_of(value), weight);
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Sketch) {
        self.zero += other.zero;
        self.negative.merge(&other.negative);
        self.positive.merge(&other.positive);
    }

    /// How many groups of like values it tells apart, but for zero.
    pub fn groups(&self) -> usize {
        self.negative.0.len() + self.positive.0.len()
    }

    /// Weight of everything added.
    pub fn weight(&self) -> f64 {
        self.zero + self.negative.weight() + self.positive.weight()
    }

    /// A percentile, between the values at the two ranks beside it as they lie; `None` while empty.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = (self.weight() - 1.0) * (percent / 100.0);
        let (below, above) = (self.at_rank(rank.floor())?, self.at_rank(rank.ceil())?);
        // Equal infinities have no distance.
        Some(if below == above { below } else { below + (above - below) * (rank - rank.floor()) })
    }

    /// The value at a rank, counted from 0 in order of size; `None` while empty.
    fn at_rank(&self, rank: f64) -> Option<f64> {
        let negative = self.negative.0.iter().rev().map(|(bucket, weight)| (-value_of(*bucket), *weight));
        let positive = self.positive.0.iter().map(|(bucket, weight)| (value_of(*bucket), *weight));
        let mut below = 0.0;
        let mut last = None;
        for (value, weight) in negative.chain([(0.0, self.zero)]).chain(positive) {
            if weight > 0.0 {
                below += weight;
                last = Some(value);
                if rank < below {
                    break;
                }
            }
        }
        last
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_f64(out, self.zero);
        self.negative.encode(out);
        self.positive.encode(out);
    }

    /// Reads what [`Sketch::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let zero = reader.f64()?;
        let negative = Side::decode(reader)?;
        let positive = Side::decode(reader)?;
        Ok(Sketch { negative, zero, positive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranks_are_within_one_percent(mut values in proptest::collection::vec(-1e9f64..1e9, 1..200), split: usize) {
            let (mut left, mut right) = (Sketch::default(), Sketch::default());
            let split = split % values.len();
            values[..split].iter().for_each(|value| left.add(*value, 1.0));
            values[split..].iter().for_each(|value| right.add(*value, 1.0));
            left.merge(&right);
            values.sort_by(f64::total_cmp);
            for (rank, exact) in values.iter().enumerate() {
                let got = left.at_rank(rank as f64).unwrap();
                prop_assert!((got - exact).abs() <= 0.010001 * exact.abs() + TINY, "{got} for {exact}");
            }
            let mut out = Vec::new();
            left.encode(&mut out);
            prop_assert_eq!(Sketch::decode(&mut Reader::new(&out)).unwrap(), left);
        }
    }

    #[test]
    fn weights_count_as_repetitions() {
        let mut sketch = Sketch::default();
        sketch.add(10.0, 9.0);
        sketch.add(1000.0, 1.0);
        assert_eq!(sketch.weight(), 10.0);
        assert!((sketch.at_rank(8.0).unwrap() - 10.0).abs() < 0.11);
        assert!((sketch.at_rank(9.0).unwrap() - 1000.0).abs() < 10.1);
        assert_eq!(Sketch::default().at_rank(0.0), None);
        // Rank 8.91 of 0 to 9.
        assert!((sketch.percentile(99.0).unwrap() - 910.9).abs() < 9.2);
        assert_eq!(Sketch::default().percentile(50.0), None);
    }
}
