//! An entropy coder for tokens: rANS with fixed frequencies, several states in turn.
//!
//! Jarek Duda, "Asymmetric numeral systems" (arXiv 1311.2540); the layout with 32-bit states and 16-bit
//! words follows Fabian Giesen, "Interleaved entropy coders" (arXiv 1402.3392).

use super::frequency::Frequencies;
use crate::codec::Corrupt;

/// States that take turns, so that the processor can work on several tokens at once; each takes four
/// bytes, which few tokens do not repay.
pub(super) fn lanes(count: usize) -> usize {
    match count {
        0..256 => 1,
        256..2048 => 2,
        _ => LANES_MAX,
    }
}

const LANES_MAX: usize = 4;
/// A state never falls below it.
const LOW: u32 = 1 << 16;

/// Appends the states and words of these tokens; each must have a frequency above 0.
pub(super) fn encode(out: &mut Vec<u8>, tokens: &[u16], frequencies: &Frequencies) {
    let scale = frequencies.scale;
    let starts = starts(frequencies);
    let lanes = lanes(tokens.len());
    let mut states = [LOW; LANES_MAX];
    let mut words = Vec::with_capacity(tokens.len() / 2);
    for (index, token) in tokens.iter().enumerate().rev() {
        let frequency = u32::from(frequencies.of_token[*token as usize]);
        let state = &mut states[index % lanes];
        if u64::from(*state) >= u64::from(frequency) << (32 - scale) {
            words.push(*state as u16);
            *state >>= 16;
        }
        *state = ((*state / frequency) << scale) + *state % frequency + starts[*token as usize];
    }
    states[..lanes].iter().for_each(|state| out.extend_from_slice(&state.to_le_bytes()));
    words.iter().rev().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

fn starts(frequencies: &Frequencies) -> Vec<u32> {
    let running = frequencies.of_token.iter().scan(0, |sum, frequency| {
        let start = *sum;
        *sum += u32::from(*frequency);
        Some(start)
    });
    running.collect()
}

/// What a state says in its low bits: the token, its frequency less one, and how far behind the
/// token's first slot this one is.
struct Slot(u32);

impl Slot {
    fn new(token: usize, frequency: u32, behind: u32) -> Self {
        Slot(token as u32 | ((frequency - 1) << 10) | (behind << 21))
    }

    #[inline]
    fn token(&self) -> u16 {
        (self.0 & 0x3ff) as u16
    }

    /// The state before this token was put on it.
    #[inline]
    fn before(&self, high: u32) -> u32 {
        (((self.0 >> 10) & 0x7ff) + 1) * high + (self.0 >> 21)
    }
}

fn slots(frequencies: &Frequencies) -> Vec<Slot> {
    let mut slots = Vec::with_capacity(1 << frequencies.scale);
    for (token, frequency) in frequencies.of_token.iter().enumerate() {
        let frequency = u32::from(*frequency);
        slots.extend((0..frequency).map(|behind| Slot::new(token, frequency, behind)));
    }
    slots
}

/// Reads `count` tokens, which must take up all of `bytes`.
///
/// # Errors
/// [`Corrupt`] if words are missing or left over.
pub(super) fn decode(bytes: &[u8], count: usize, frequencies: &Frequencies) -> Result<Vec<u16>, Corrupt> {
    match lanes(count) {
        1 => decode_lanes::<1>(bytes, count, frequencies),
        2 => decode_lanes::<2>(bytes, count, frequencies),
        _ => decode_lanes::<LANES_MAX>(bytes, count, frequencies),
    }
}

fn decode_lanes<const LANES: usize>(
    bytes: &[u8],
    count: usize,
    frequencies: &Frequencies,
) -> Result<Vec<u16>, Corrupt> {
    let slots = slots(frequencies);
    let mask = (1usize << frequencies.scale) - 1;
    // Not a check but a hint: the mask then proves that no look-up is out of bounds.
    let slots = slots.get(..=mask).ok_or(Corrupt)?;
    let (states, words) = bytes.split_at_checked(4 * LANES).ok_or(Corrupt)?;
    let mut states: [u32; LANES] = std::array::from_fn(|lane| u32::from_le_bytes(states.as_chunks().0[lane]));
    let words = words.as_chunks::<2>().0;
    let mut next = 0;
    let mut step = |state: &mut u32, token: &mut u16| {
        let slot = &slots[*state as usize & mask];
        *token = slot.token();
        let before = slot.before(*state >> frequencies.scale);
        let word = words.get(next).map_or(0, |bytes| u16::from_le_bytes(*bytes));
        let short = before < LOW;
        *state = if short { (before << 16) | u32::from(word) } else { before };
        next += usize::from(short);
    };
    let mut tokens = vec![0u16; count];
    for turn in tokens.chunks_mut(LANES) {
        turn.iter_mut().zip(&mut states).for_each(|(token, state)| step(state, token));
    }
    if next == words.len() && states == [LOW; LANES] { Ok(tokens) } else { Err(Corrupt) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens 0 to `kinds - 1`, the first half of the time.
    fn check(count: usize, kinds: u16) {
        let token = |at: usize| if at.is_multiple_of(2) { 0 } else { (at * 7919 / 2) as u16 % kinds };
        let tokens: Vec<u16> = (0..count).map(token).collect();
        let mut counts = vec![0; usize::from(kinds)];
        tokens.iter().for_each(|token| counts[usize::from(*token)] += 1);
        let shares = Frequencies::of_counts(&counts).unwrap();
        let mut bytes = Vec::new();
        encode(&mut bytes, &tokens, &shares);
        let most = shares.cost(&counts) / 8.0 + 4.0 * lanes(count) as f64 + 2.0;
        assert!(bytes.len() as f64 <= most * 1.001, "{} of {most} bytes", bytes.len());
        assert_eq!(decode(&bytes, count, &shares), Ok(tokens));
        assert_eq!(decode(&bytes[..bytes.len() - 1], count, &shares), Err(Corrupt));
        assert_eq!(decode(&[bytes, vec![0; 2]].concat(), count, &shares), Err(Corrupt));
    }

    #[test]
    fn tokens_come_back_however_many_states_take_turns() {
        for count in [1, 2, 3, 255, 256, 257, 2047, 2048, 2049, 2050, 2051, 20_000] {
            check(count, 1);
            check(count, 2);
            check(count, 300);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>, count in 1usize..3000) {
            let shares = Frequencies::of_counts(&[1, 0, 500, 20]).unwrap();
            prop_assert_eq!(decode(&bytes, count, &shares), Err(Corrupt));
        }
    }
}
