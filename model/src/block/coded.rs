//! Numbers as entropy-coded tokens and extra bits.
//!
//! Tokens are of the distance from a center: from the smallest number up, or to both sides of the
//! median.

use super::bits::{BitReader, BitWriter, SHORT_BITS};
use super::frequency::Frequencies;
use super::rans;
use super::token::{DETAIL_MAX, TOKENS_MAX, base_of, extra_bits, token_of, unzigzag, zigzag};
use crate::codec::{Corrupt, Reader, put_bytes, put_signed};

/// Where distances are measured from.
#[derive(Clone, Copy, Debug)]
struct Center {
    at: i64,
    two_sided: bool,
}

impl Center {
    #[inline]
    fn distance(self, number: i64) -> u64 {
        let distance = number.wrapping_sub(self.at);
        if self.two_sided { zigzag(distance) } else { distance as u64 }
    }

    #[inline]
    fn number(self, distance: u64) -> i64 {
        let distance = if self.two_sided { unzigzag(distance) } else { distance as i64 };
        self.at.wrapping_add(distance)
    }

    /// The two worth trying.
    fn candidates(numbers: &[i64]) -> [Center; 2] {
        let smallest = numbers.iter().copied().min().unwrap_or(0);
        let mut sorted = numbers.to_vec();
        let half = sorted.len() / 2;
        let (_, median, _) = sorted.select_nth_unstable(half);
        [Center { at: *median, two_sided: true }, Center { at: smallest, two_sided: false }]
    }
}

/// How these numbers are best coded, and what it takes.
#[derive(Debug)]
pub(super) struct Plan {
    center: Center,
    detail: u32,
    shares: Frequencies,
    /// About.
    pub(super) bytes: usize,
}

impl Plan {
    /// `None` if there are too many different tokens, or no number.
    pub(super) fn of(numbers: &[i64]) -> Option<Plan> {
        if numbers.is_empty() {
            return None;
        }
        let plans = Center::candidates(numbers).into_iter().filter_map(|center| {
            let finest = histogram(numbers, center);
            Plan::climb((0..=DETAIL_MAX).map_while(|detail| Plan::with(center, detail, &finest)))
        });
        plans.min_by_key(|plan| plan.bytes)
    }

    /// The shortest of plans of more and more detail, where the first longer one ends the search.
    fn climb(plans: impl Iterator<Item = Plan>) -> Option<Plan> {
        let mut best: Option<Plan> = None;
        for plan in plans {
            if best.as_ref().is_some_and(|best| plan.bytes > best.bytes) {
                break;
            }
            best = Some(plan);
        }
        best
    }

    fn with(center: Center, detail: u32, finest: &[u32]) -> Option<Plan> {
        let coarse = |fine| token_of(base_of(fine, DETAIL_MAX), detail);
        let mut counts = vec![0; coarse(finest.len() - 1) + 1];
        finest.iter().enumerate().for_each(|(fine, count)| counts[coarse(fine)] += count);
        let shares = Frequencies::of_counts(&counts)?;
        let extra = |(token, count): (usize, &u32)| u64::from(*count) * u64::from(extra_bits(token, detail));
        let extra: u64 = counts.iter().enumerate().map(extra).sum();
        let total: u32 = counts.iter().sum();
        let mut table = BitWriter::default();
        shares.encode(&mut table);
        let states = 4 * rans::lanes(total as usize);
        let bytes = (shares.cost(&counts) + extra as f64) as usize / 8 + table.finish().len() + states;
        Some(Plan { center, detail, shares, bytes })
    }

    /// Appends the numbers.
    pub(super) fn encode(&self, out: &mut Vec<u8>, numbers: &[i64]) {
        let mut bits = BitWriter::default();
        self.shares.encode(&mut bits);
        let mut tokens = Vec::with_capacity(numbers.len());
        for number in numbers {
            let distance = self.center.distance(*number);
            let token = token_of(distance, self.detail);
            tokens.push(token as u16);
            bits.put(distance - base_of(token, self.detail), extra_bits(token, self.detail));
        }
        out.push(self.detail as u8 | (u8::from(self.center.two_sided) << 3));
        put_signed(out, self.center.at);
        put_bytes(out, &bits.finish());
        let mut states = Vec::new();
        rans::encode(&mut states, &tokens, &self.shares);
        put_bytes(out, &states);
    }
}

/// How often each token of the greatest detail comes, up to the last that does.
fn histogram(numbers: &[i64], center: Center) -> Vec<u32> {
    let mut counts = vec![0; TOKENS_MAX];
    numbers.iter().for_each(|number| counts[token_of(center.distance(*number), DETAIL_MAX)] += 1);
    counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
    counts
}

/// Reads as many as `numbers` has room for.
pub(super) fn decode(reader: &mut Reader<'_>, numbers: &mut [i64]) -> Result<(), Corrupt> {
    let form = reader.byte()?;
    let detail = u32::from(form & 7);
    if detail > DETAIL_MAX || form > 15 {
        return Err(Corrupt);
    }
    let center = Center { at: reader.signed()?, two_sided: form & 8 != 0 };
    let bytes = reader.bytes()?;
    let mut bits = BitReader::new(bytes);
    let shares = Frequencies::decode(&mut bits, detail)?;
    let tokens = rans::decode(reader.bytes()?, numbers.len(), &shares)?;
    let spans: Vec<(u64, u32)> =
        (0..shares.of_token.len()).map(|token| (base_of(token, detail), extra_bits(token, detail))).collect();
    let short = spans.iter().all(|(_, extra)| *extra <= SHORT_BITS);
    for (number, token) in numbers.iter_mut().zip(&tokens) {
        let (base, extra) = spans[*token as usize];
        let extra = if short { bits.get_short(extra) } else { bits.get(extra) };
        *number = center.number(base + extra);
    }
    if bits.used() == bytes.len() { Ok(()) } else { Err(Corrupt) }
}
