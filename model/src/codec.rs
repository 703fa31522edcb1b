//! Building blocks of everything stored: varints, floats, checksums, and a reader that cannot panic.

/// Stored bytes do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt bytes")]
pub struct Corrupt;

/// Appends an unsigned LEB128 number, 1 to 10 bytes.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    if (0x80..0x4000).contains(&value) {
        return out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
    }
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small magnitudes short.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends the bits of a float, little-endian.
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends a number of bytes and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The CRC-32 of bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Closes a value with the CRC-32 of all its bytes, little-endian.
pub fn seal(out: &mut Vec<u8>) {
    let sum = checksum(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Checks and takes off what [`seal`] put on.
pub fn unseal(bytes: &[u8]) -> Result<&[u8], Corrupt> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Corrupt)?;
    if checksum(body) == u32::from_le_bytes(*sum) { Ok(body) } else { Err(Corrupt) }
}

/// Reads what the functions above wrote.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What lies between here and where a copy of this reader has got to.
    pub fn until(&self, later: &Reader<'a>) -> &'a [u8] {
        &self.0[..self.0.len() - later.0.len()]
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Corrupt)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt)?;
        self.0 = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        Ok(self.array::<1>()?[0])
    }

    /// See [`put_varint`].
    pub fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Corrupt);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    /// See [`put_signed`].
    pub fn signed(&mut self) -> Result<i64, Corrupt> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// See [`put_f64`].
    pub fn f64(&mut self) -> Result<f64, Corrupt> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    /// See [`put_bytes`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let count = usize::try_from(self.varint()?).map_err(|_| Corrupt)?;
        self.take(count)
    }

    /// A count of things that each take at least `least` bytes: never more than can follow, so that
    /// it may size an allocation.
    pub fn count(&mut self, least: usize) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.varint()?).map_err(|_| Corrupt)?;
        if count.saturating_mul(least) <= self.0.len() { Ok(count) } else { Err(Corrupt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64, float: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned);
            put_signed(&mut out, signed);
            put_f64(&mut out, f64::from_bits(float));
            seal(&mut out);
            let mut reader = Reader::new(unseal(&out).unwrap());
            prop_assert_eq!(reader.varint().unwrap(), unsigned);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.f64().unwrap().to_bits(), float);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.bytes().is_ok() && !reader.is_empty() {}
            let _ = Reader::new(&bytes).count(8);
        }

        #[test]
        fn a_flipped_bit_is_noticed(mut bytes in proptest::collection::vec(any::<u8>(), 1..64), at: usize) {
            seal(&mut bytes);
            let at = at % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(unseal(&bytes), Err(Corrupt));
        }
    }
}
