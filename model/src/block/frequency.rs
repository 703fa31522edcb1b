//! How often each token comes, rounded so that it is short to tell and sums up to a power of two.

use super::bits::{BitReader, BitWriter};
use super::token::tokens;
use crate::codec::Corrupt;

/// The greatest scale: with it the three numbers of a coder's slot fit into 32 bits.
pub(super) const SCALE_MAX: u32 = 11;
const SCALE_MIN: u32 = 4;

/// Bits behind the highest one that are told of a share. Shares that are off by a tenth cost less than
/// a hundredth of a bit a token; telling more costs more than that.
const DIGITS: u32 = 2;

/// The share of each token, out of `1 << scale`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frequencies {
    pub(super) scale: u32,
    pub(super) of_token: Vec<u16>,
    /// The token that has what the others leave, so that its share need not be told.
    rest: usize,
}

impl Frequencies {
    /// Shares in the proportion of `counts`; `None` if there are no tokens or too many for that.
    pub(super) fn of_counts(counts: &[u32]) -> Option<Self> {
        let end = counts.iter().rposition(|count| *count > 0)? + 1;
        let total: u32 = counts.iter().sum();
        let used = counts.iter().filter(|count| **count > 0).count() as u32;
        let wanted = total.ilog2().saturating_sub(1).max(used.ilog2() + 3);
        let scale = wanted.clamp(SCALE_MIN, SCALE_MAX);
        let share = |count: &u32| match count {
            0 => 0,
            _ => rounded((f64::from(*count) * f64::from(1 << scale) / f64::from(total)) as f32),
        };
        let mut shares = Frequencies {
            scale,
            of_token: counts[..end].iter().map(share).collect(),
            rest: (0..end).max_by_key(|token| counts[*token])?,
        };
        shares.give_rest()?;
        Some(shares)
    }

    fn give_rest(&mut self) -> Option<()> {
        self.of_token[self.rest] = 0;
        let told: u32 = self.of_token.iter().map(|share| u32::from(*share)).sum();
        let rest = (1u32 << self.scale).checked_sub(told).filter(|rest| *rest > 0)?;
        self.of_token[self.rest] = rest as u16;
        Some(())
    }

    /// Bits that the coder takes if tokens come that often.
    pub(super) fn cost(&self, counts: &[u32]) -> f64 {
        let bits = |(count, share): (&u32, &u16)| {
            f64::from(*count) * (self.scale as f32 - f32::from((*share).max(1)).log2()) as f64
        };
        counts.iter().zip(&self.of_token).filter(|(count, _)| **count > 0).map(bits).sum()
    }

    /// Appends them.
    pub(super) fn encode(&self, out: &mut BitWriter) {
        let end = self.of_token.len();
        out.put(u64::from(self.scale - SCALE_MIN), 3);
        out.put(end as u64 - 1, 10);
        out.put(self.rest as u64, index_bits(end));
        let told = |token: &usize| if *token == self.rest { 0 } else { self.of_token[*token] };
        let mut token = 0;
        while token < end {
            let zeros = (token..end).take_while(|token| told(token) == 0).count();
            if zeros == 0 {
                put_share(out, self.of_token[token]);
                token += 1;
            } else {
                token += put_zeros(out, zeros);
            }
        }
    }

    /// Reads what [`Frequencies::encode`] wrote, of tokens with this detail.
    pub(super) fn decode(bits: &mut BitReader<'_>, detail: u32) -> Result<Self, Corrupt> {
        let scale = bits.get(3) as u32 + SCALE_MIN;
        let end = bits.get(10) as usize + 1;
        let rest = bits.get(index_bits(end)) as usize;
        if scale > SCALE_MAX || end > tokens(detail) || rest >= end {
            return Err(Corrupt);
        }
        let mut of_token = Vec::with_capacity(end);
        while of_token.len() < end {
            match Told::get(bits) {
                Told::Share(share) => of_token.push(share),
                Told::Zeros(count) if count <= end - of_token.len() => {
                    of_token.resize(of_token.len() + count, 0);
                }
                Told::Zeros(_) => return Err(Corrupt),
            }
        }
        let mut shares = Frequencies { scale, of_token, rest };
        shares.give_rest().ok_or(Corrupt)?;
        Ok(shares)
    }
}

/// The nearest number above 0 that is told exactly.
fn rounded(share: f32) -> u16 {
    if share < (2 << DIGITS) as f32 {
        return share.round().max(1.0) as u16;
    }
    let unit = 1u16 << ((share as u16).ilog2() - DIGITS);
    (share / f32::from(unit)).round() as u16 * unit
}

/// Bits of an index below `end`.
fn index_bits(end: usize) -> u32 {
    usize::BITS - (end - 1).leading_zeros()
}

/// What the shares are told in: four bits of class, then the class's own bits. Class 0 is a zero,
/// classes 1 to 11 a share of so many bits, 12 to 14 a run of zeros.
enum Told {
    Share(u16),
    Zeros(usize),
}

/// Shortest run and bits of its length, of classes 12 to 14.
const RUNS: [(usize, u32); 3] = [(2, 3), (10, 6), (74, 10)];
const CLASS_OF_RUNS: usize = 12;

fn put_share(out: &mut BitWriter, share: u16) {
    let below = share.ilog2();
    let digits = below.min(DIGITS);
    out.put(u64::from(below + 1), 4);
    out.put(u64::from(share >> (below - digits)) & ((1 << digits) - 1), digits);
}

/// Returns how many it told; the rest needs another call.
fn put_zeros(out: &mut BitWriter, zeros: usize) -> usize {
    let Some(class) = RUNS.iter().rposition(|(shortest, _)| *shortest <= zeros) else {
        out.put(0, 4);
        return 1;
    };
    let (shortest, bits) = RUNS[class];
    let more = (zeros - shortest).min((1 << bits) - 1);
    out.put((CLASS_OF_RUNS + class) as u64, 4);
    out.put(more as u64, bits);
    shortest + more
}

impl Told {
    fn get(bits: &mut BitReader<'_>) -> Told {
        let class = bits.get(4) as usize;
        match (class, RUNS.get(class.wrapping_sub(CLASS_OF_RUNS))) {
            (_, Some((shortest, more))) => Told::Zeros(shortest + bits.get(*more) as usize),
            (0, None) => Told::Zeros(1),
            (_, None) => {
                let below = (class as u32 - 1).min(SCALE_MAX - 1);
                let digits = below.min(DIGITS);
                Told::Share(((1 << digits | bits.get(digits)) << (below - digits)) as u16)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::token::DETAIL_MAX;
    use proptest::prelude::*;

    fn check(counts: &[u32]) -> Option<Frequencies> {
        let shares = Frequencies::of_counts(counts)?;
        let sum: u32 = shares.of_token.iter().map(|share| u32::from(*share)).sum();
        assert_eq!(sum, 1 << shares.scale);
        for (count, share) in counts.iter().zip(&shares.of_token) {
            assert_eq!(*count > 0, *share > 0, "{counts:?}");
        }
        let mut bits = BitWriter::default();
        shares.encode(&mut bits);
        let bytes = bits.finish();
        assert_eq!(Frequencies::decode(&mut BitReader::new(&bytes), DETAIL_MAX).as_ref(), Ok(&shares));
        Some(shares)
    }

    proptest! {
        #[test]
        fn shares_are_told_exactly(
            counts in proptest::collection::vec(prop_oneof![Just(0u32), 1u32..5000], 1..900),
        ) {
            check(&counts);
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>, detail in 0..=DETAIL_MAX) {
            let _ = Frequencies::decode(&mut BitReader::new(&bytes), detail);
        }
    }

    #[test]
    fn shares_follow_the_counts() {
        assert_eq!(check(&[]), None);
        assert_eq!(check(&[0, 0]), None);
        assert_eq!(check(&[0, 7]).unwrap().of_token, [0, 16]);
        let shares = check(&[8192, 0, 4096, 4096]).unwrap();
        assert_eq!((shares.scale, shares.of_token.as_slice()), (SCALE_MAX, [1024, 0, 512, 512].as_slice()));
        assert_eq!(shares.cost(&[8192, 0, 4096, 4096]), 8192.0 + 2.0 * 8192.0);
        // A long run of zeros, and one of a share that is told in full.
        let mut counts = vec![0; 900];
        (counts[0], counts[899]) = (1, 1000);
        assert_eq!(check(&counts).unwrap().of_token[0], 1);
    }
}
