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
    Some(Plain { value: if start == 1 { -magnitude } else { magnitude }, len })
}

/// Reads on: the digits from `at`, behind those of `sum`. More than fit leave nonsense.
#[inline]
fn digits(text: &[u8], mut at: usize, mut sum: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        sum = sum.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (sum, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_plain() {
        let read = |text: &str| plain(text.as_bytes()).map(|plain| (plain.value, plain.len));
        assert_eq!(read("12.50, "), Some((12.5, 5)));
        assert_eq!(read("-7}"), Some((-7.0, 2)));
        assert_eq!(read("0"), Some((0.0, 1)));
        assert_eq!(read("0.1.2"), Some((0.1, 3)));
        assert_eq!(read("9007199254740992"), Some((9_007_199_254_740_992.0, 16)));
        for text in ["", "-", ".5", "5.", "-.5", "-0", "-0.0", "9007199254740993", "1234567890123456789", "x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_library_reads(text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?[e ,}]?") {
            if let Some(Plain { value, len }) = plain(text.as_bytes()) {
                let own = &text[..len];
                prop_assert_eq!(own.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
                prop_assert!(!text[len..].starts_with(|c: char| c.is_ascii_digit()));
            }
        }

        #[test]
        fn short_numbers_are_plain(whole in 0u32.., places in 0usize..=6, fraction in 0u32..1_000_000) {
            let text = format!("{whole}.{fraction:0places$}");
            prop_assert!(plain(text.as_bytes()).is_some());
        }
    }
}
