//! Decimal numbers as nearly all measures spell them, read while they are looked for.

/// Powers of ten that a float holds exactly, as far as they are needed.
const POWERS: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
/// So many digits fit an integer.
const DIGITS_MAX: usize = 18;
/// Integers up to it are floats, too.
const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// What [`plain`] has read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plain {
    /// The nearest float.
    pub(crate) value: f64,
    /// Bytes that it takes.
    pub(crate) len: usize,
    /// Whether it has no fraction.
    pub(crate) is_whole: bool,
}

/// Reads `-?[0-9]+(\.[0-9]+)?`, the longest there is; what follows is for the caller to look at. `None` for anything
/// else, and for numbers whose nearest float takes more than one division to find, or that are minus zero.
#[inline]
pub(crate) fn plain(text: &[u8]) -> Option<Plain> {
    let start = usize::from(text.first() == Some(&b'-'));
    let (mut sum, mut len) = digits(text, start, 0);
    let mut count = len - start;
    if count == 0 {
        return None;
    }
    let mut places = 0;
    if text.get(len) == Some(&b'.') {
        let point = len;
        (sum, len) = digits(text, point + 1, sum);
        places = len - point - 1;
        count += places;
        if places == 0 {
            return None;
        }
    }
    if count > DIGITS_MAX || sum > EXACT_MAX || (start == 1 && sum == 0) {
        return None;
    }
    // Signed: the conversion is one instruction.
    let magnitude = sum as i64 as f64 / POWERS[places];
    Some(Plain { value: if start == 1 { -magnitude } else { magnitude }, len, is_whole: places == 0 })
}

/// Reads on: the digits from `at`, behind those of `sum`. More than fit leave nonsense.
#[inline]
fn digits(text: &[u8], mut at: usize, mut sum: u64) -> (u64, usize) {
    while let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk()).and_then(eight_digits) {
        sum = sum.wrapping_mul(100_000_000).wrapping_add(eight);
        at += 8;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (sum, at)
}

/// The number that eight digits tell, all at once: neighbours are joined to pairs, pairs to fours, fours to eight.
#[inline]
fn eight_digits(text: &[u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_le_bytes(*text);
    // A digit's upper half is three, and stays so when six is added.
    let upper = (bytes | bytes.wrapping_add(EACH * 0x06)) & (EACH * 0xf0);
    if upper != EACH * 0x30 || bytes & (EACH * 0xf0) != EACH * 0x30 {
        return None;
    }
    let digits = bytes - EACH * 0x30;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_plain() {
        let read = |text: &str| plain(text.as_bytes()).map(|plain| (plain.value, plain.len, plain.is_whole));
        assert_eq!(read("12.50, "), Some((12.5, 5, false)));
        assert_eq!(read("-7}"), Some((-7.0, 2, true)));
        assert_eq!(read("0"), Some((0.0, 1, true)));
        assert_eq!(read("0.1.2"), Some((0.1, 3, false)));
        assert_eq!(read("9007199254740992"), Some((9_007_199_254_740_992.0, 16, true)));
        for text in ["", "-", ".5", "5.", "-.5", "-0", "-0.0", "9007199254740993", "1234567890123456789", "x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_library_reads(text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?[e ,}]?") {
            if let Some(Plain { value, len, is_whole }) = plain(text.as_bytes()) {
                let own = &text[..len];
                prop_assert_eq!(own.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
                prop_assert_eq!(is_whole, !own.contains('.'));
                prop_assert!(!text[len..].starts_with(|c: char| c.is_ascii_digit()));
            }
        }

        #[test]
        fn eight_digits_are_read_at_once(text in "[0-9]{8}|[/-:]{8}|[0-9]{7}.", noise: [u8; 8]) {
            for bytes in [text.as_bytes().first_chunk().unwrap(), &noise] {
                let text = std::str::from_utf8(bytes).ok().filter(|_| bytes.iter().all(u8::is_ascii_digit));
                prop_assert_eq!(eight_digits(bytes), text.map(|text| text.parse().unwrap()));
            }
        }

        #[test]
        fn short_numbers_are_plain(whole in 0u32.., places in 0usize..=6, fraction in 0u32..1_000_000) {
            let text = format!("{whole}.{fraction:0places$}");
            prop_assert!(plain(text.as_bytes()).is_some());
        }
    }
}
