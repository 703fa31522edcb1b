//! Numbers of any width, packed without gaps, the lowest bit first.

/// Appends numbers of up to 64 bits.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    word: u64,
    used: u32,
}

impl BitWriter {
    /// Appends the `count` low bits of `value`; the others are zero.
    #[inline]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count == 64 || value >> count == 0);
        self.word |= value << self.used;
        let room = 64 - self.used;
        if count < room {
            self.used += count;
            return;
        }
        self.bytes.extend_from_slice(&self.word.to_le_bytes());
        self.word = value.checked_shr(room).unwrap_or(0);
        self.used = count - room;
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let rest = self.used.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.word.to_le_bytes()[..rest]);
        self.bytes
    }
}

/// Bits that are there in one word, wherever in a byte it begins.
pub(super) const SHORT_BITS: u32 = 57;

/// Reads them back. Behind the end there are zeros; [`BitReader::used`] tells who went there.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0 }
    }

    /// The next number of `count` bits, at most 64.
    #[inline]
    pub(super) fn get(&mut self, count: u32) -> u64 {
        if count <= SHORT_BITS { self.get_short(count) } else { self.get_long(count) }
    }

    /// The next number of `count` bits, at most [`SHORT_BITS`].
    #[inline]
    pub(super) fn get_short(&mut self, count: u32) -> u64 {
        let value = self.peek() & ((1 << count) - 1);
        self.at += count as usize;
        value
    }

    fn get_long(&mut self, count: u32) -> u64 {
        let low = self.get_short(32);
        low | (self.get_short(count - 32) << 32)
    }

    /// At least [`SHORT_BITS`].
    #[inline]
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = rest.first_chunk().map_or_else(|| short_word(rest), |bytes| u64::from_le_bytes(*bytes));
        word >> (self.at % 8)
    }

    /// How many bytes were begun.
    pub(super) fn used(&self) -> usize {
        self.at.div_ceil(8)
    }
}

#[cold]
fn short_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_got(numbers in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..50)) {
            let cut = |value: u64, count: u32| value.checked_shr(64 - count).unwrap_or(0);
            let mut writer = BitWriter::default();
            numbers.iter().for_each(|(value, count)| writer.put(cut(*value, *count), *count));
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (value, count) in &numbers {
                prop_assert_eq!(reader.get(*count), cut(*value, *count));
            }
            prop_assert_eq!(reader.used(), bytes.len());
            prop_assert_eq!(reader.get(64), 0);
        }
    }
}
