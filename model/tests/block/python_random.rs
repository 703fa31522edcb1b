//! The random numbers of Python's `random.Random("some text")`: MT19937 seeded as version 2 does it.
//!
//! The data sets of the benchmarks are defined by a Python program; with the same numbers the series
//! here are the same, so that sizes can be compared with what was measured on other stores.

use std::f64::consts::TAU;

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// A generator, equal to Python's number for number.
pub(crate) struct Random {
    state: [u32; WORDS],
    next: usize,
    spare: Option<f64>,
}

impl Random {
    /// `random.Random(seed)`.
    pub(crate) fn new(seed: &str) -> Self {
        let number = [seed.as_bytes(), &sha512(seed.as_bytes())].concat();
        // The bytes are one big-endian number; its 32-bit digits come in with the lowest first.
        let digit = |chunk: &[u8]| chunk.iter().fold(0u32, |digit, byte| (digit << 8) | u32::from(*byte));
        let mut key: Vec<u32> = number.rchunks(4).map(digit).collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        Random { state: state_of(&key), next: WORDS, spare: None }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.turn();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn turn(&mut self) {
        for i in 0..WORDS {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }

    /// `random()`: uniform in [0, 1), 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// `gauss(0, deviation)`.
    pub(crate) fn gauss(&mut self, deviation: f64) -> f64 {
        let found = self.spare.take();
        let z = found.unwrap_or_else(|| {
            let angle = self.uniform() * TAU;
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            self.spare = Some(angle.sin() * radius);
            angle.cos() * radius
        });
        0.0 + z * deviation
    }

    /// `choice(items)`.
    pub(crate) fn choice<T: Copy>(&mut self, items: &[T]) -> T {
        let bits = usize::BITS - items.len().leading_zeros();
        loop {
            let index = (self.word() >> (32 - bits)) as usize;
            if index < items.len() {
                return items[index];
            }
        }
    }
}

fn state_of(key: &[u32]) -> [u32; WORDS] {
    let mut state = [19_650_218u32; WORDS];
    let mixed = |state: &[u32; WORDS], i: usize, factor: u32| {
        let before = state[i - 1];
        (before ^ (before >> 30)).wrapping_mul(factor)
    };
    for i in 1..WORDS {
        state[i] = mixed(&state, i, 1_812_433_253).wrapping_add(i as u32);
    }
    let mut i = 1;
    for j in 0..WORDS.max(key.len()) {
        let j = j % key.len();
        state[i] = (state[i] ^ mixed(&state, i, 1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
        i = step(&mut state, i);
    }
    for _ in 1..WORDS {
        state[i] = (state[i] ^ mixed(&state, i, 1_566_083_941)).wrapping_sub(i as u32);
        i = step(&mut state, i);
    }
    state[0] = 0x8000_0000;
    state
}

fn step(state: &mut [u32; WORDS], i: usize) -> usize {
    if i + 1 < WORDS {
        return i + 1;
    }
    state[0] = state[WORDS - 1];
    1
}

/// FIPS 180-4, for messages of at most 111 bytes: one chunk.
fn sha512(message: &[u8]) -> [u8; 64] {
    let mut chunk = [0u8; 128];
    chunk[..message.len()].copy_from_slice(message);
    chunk[message.len()] = 0x80;
    chunk[120..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    let mut w = [0u64; 80];
    for (word, bytes) in w.iter_mut().zip(chunk.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    for i in 16..80 {
        let (a, b) = (w[i - 15], w[i - 2]);
        let low = a.rotate_right(1) ^ a.rotate_right(8) ^ (a >> 7);
        let high = b.rotate_right(19) ^ b.rotate_right(61) ^ (b >> 6);
        w[i] = w[i - 16].wrapping_add(low).wrapping_add(w[i - 7]).wrapping_add(high);
    }
    let primes: Vec<u128> = (2..).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).take(80).collect();
    let start: [u64; 8] = std::array::from_fn(|i| root_fraction(primes[i], 2));
    let mut s = start;
    for (word, prime) in w.iter().zip(&primes) {
        s = sha512_round(s, word.wrapping_add(root_fraction(*prime, 3)));
    }
    let mut out = [0; 64];
    for (i, bytes) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *bytes = start[i].wrapping_add(s[i]).to_be_bytes();
    }
    out
}

fn sha512_round(s: [u64; 8], word: u64) -> [u64; 8] {
    let [a, b, c, d, e, f, g, h] = s;
    let big_e = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
    let big_a = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
    let choice = (e & f) ^ (!e & g);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let t1 = h.wrapping_add(big_e).wrapping_add(choice).wrapping_add(word);
    [t1.wrapping_add(big_a).wrapping_add(majority), a, b, c, d.wrapping_add(t1), e, f, g]
}

/// The first 64 bits behind the point of a square or cube root: SHA-512's own constants.
fn root_fraction(prime: u128, degree: u32) -> u64 {
    // root × 2^64 is the greatest x with x^degree ≤ prime × 2^(64 × degree), compared digit by digit.
    let target = |x: u128| product(&vec![x; degree as usize]) <= shifted(prime, degree as usize);
    let mut root = 0u128;
    for bit in (0..70).rev() {
        if target(root | (1 << bit)) {
            root |= 1 << bit;
        }
    }
    root as u64
}

/// Digits of 32 bits, the highest first, 8 of them.
fn product(factors: &[u128]) -> [u32; 8] {
    let mut digits = [0u32; 8];
    digits[7] = 1;
    for factor in factors {
        let parts = [(*factor & 0xffff_ffff), (*factor >> 32) & 0xffff_ffff, *factor >> 64];
        let mut sum = [0u128; 9];
        for (place, digit) in digits.iter().rev().enumerate() {
            for (shift, part) in parts.iter().enumerate().filter(|(shift, _)| place + shift < 8) {
                sum[place + shift] += u128::from(*digit) * part;
            }
        }
        for place in 0..8 {
            sum[place + 1] += sum[place] >> 32;
            digits[7 - place] = sum[place] as u32;
        }
    }
    digits
}

fn shifted(number: u128, by_64: usize) -> [u32; 8] {
    let mut digits = [0u32; 8];
    digits[7 - 2 * by_64] = number as u32;
    digits
}

#[test]
fn the_numbers_are_those_of_python() {
    // python3 -c 'import random; r = random.Random("1/temp/0"); print(r.random(), r.gauss(0, 1), r.choice((0, 1, 42)))'
    let mut random = Random::new("1/temp/0");
    let found = (random.uniform(), random.gauss(1.0), random.gauss(1.0), random.choice(&[0, 1, 42]));
    assert_eq!(found, (0.45189443597935286, -1.1075760443723532, -0.7982208365023603, 0));
}
