//! Decimal numbers as lines spell them.

/// Digits that always fit an `f64` without rounding.
pub(super) const EXACT_DIGITS: usize = 15;

/// Reads optional sign, digits with optional point, optional exponent; nothing else, no blanks, nothing
/// that is or becomes infinite.
#[inline]
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    match short(text) {
        Some(number) => Some(number),
        None => any_decimal(text),
    }
}

/// The common case: optional sign, up to 15 digits, perhaps a point.
#[inline]
pub(super) fn short(text: &[u8]) -> Option<f64> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if unsigned.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let (mut sum, mut count, mut divisor) = (0, 0, 0);
    for byte in unsigned {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            sum = sum * 10 + i64::from(digit);
            divisor *= 10;
            count += 1;
        } else if *byte == b'.' && divisor == 0 {
            divisor = 1;
        } else {
            return None;
        }
    }
    let magnitude = quotient(sum, divisor.max(1));
    let number = if is_negative { -magnitude } else { magnitude };
    (1..=EXACT_DIGITS).contains(&count).then_some(number)
}

/// The number that so many digits spell, `divisor` being a power of ten that has no more of them. A double holds both, and
/// their quotient is rounded once, as the text would be: the same to the bit.
#[inline(always)]
fn quotient(digits: i64, divisor: i64) -> f64 {
    // Signed: the conversion is one instruction.
    digits as f64 / divisor as f64
}

/// A run of up to [`Digits::MAX`] digits: two of them are one that a double holds.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    pub(super) value: i64,
    pub(super) count: usize,
}

impl Digits {
    pub(super) const MAX: usize = 7;

    const POWERS: [i64; Digits::MAX + 1] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

    /// The number that these and the others spell together.
    #[inline(always)]
    pub(super) fn followed_by(self, others: Digits) -> i64 {
        self.value * Self::POWERS[others.count] + others.value
    }

    /// The number with these digits before the point and those behind it, if there is any.
    #[inline(always)]
    pub(super) fn with_fraction(self, fraction: Digits) -> Option<f64> {
        let number = || quotient(self.followed_by(fraction), Self::POWERS[fraction.count]);
        (self.count + fraction.count > 0).then(number)
    }
}

/// What stands before the digits at the end, and these; of a longer run a part stays before them.
///
/// Eight bytes at a time in a register.
#[inline(always)]
pub(super) fn split_digits(text: &[u8]) -> (&[u8], Digits) {
    const LOW: u64 = u64::MAX / 0xff;
    let word = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => text.iter().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56),
    };
    // Digits are 0 to 9 now. In the high bit of each byte: whether it is none; the lowest byte counts as none.
    let digits = word ^ (LOW * u64::from(b'0'));
    let others = (((digits & (LOW * 0x7f)) + LOW * (0x7f - 9)) | digits) & (LOW * 0x80) | 0x80;
    let count = others.leading_zeros() / 8;
    // Zeros take the places of the others. Then neighbours are added, each time half as many and twice as wide.
    let ones = digits & u64::MAX.checked_shl(u64::BITS - 8 * count).unwrap_or(0);
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    let count = count as usize;
    (&text[..text.len() - count], Digits { value: value as i64, count })
}

fn any_decimal(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    // Keeps `inf` and `nan` out, which the library takes; hex and `_` it refuses itself.
    if !matches!(unsigned.first(), Some(b'0'..=b'9' | b'.')) {
        return None;
    }
    let magnitude: f64 = fast_float2::parse(unsigned).ok()?;
    let value = if text[0] == b'-' { -magnitude } else { magnitude };
    value.is_finite().then_some(value)
}

/// Reads a whole number of seconds above zero. Past `u32` it is the largest one: still a time, and one that
/// no bound on the future lets through.
pub(super) fn seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let sum =
        text.iter().fold(0u32, |sum, byte| sum.saturating_mul(10).saturating_add(u32::from(byte - b'0')));
    (sum > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious twin.
    fn slow_decimal(text: &str) -> Option<f64> {
        let plain = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        text.parse().ok().filter(|value: &f64| plain && value.is_finite())
    }

    #[test]
    fn accepts_what_the_grammar_accepts() {
        for (text, value) in [
            ("0", 0.0),
            ("123", 123.0),
            ("-3", -3.0),
            ("+4", 4.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("-1.5E-3", -0.0015),
            ("999999999999999", 999_999_999_999_999.0),
            ("12345678901234567890", 12_345_678_901_234_567_890.0),
        ] {
            assert_eq!(decimal(text.as_bytes()), Some(value), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "", "-", "+", ".", "e3", "1e", "nan", "inf", "-inf", "infinity", "0x10", "1_000", " 1", "1 ",
            "1e999", "+-1", "1.2.3", "1,5", "٣",
        ] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_digits_above_zero() {
        assert_eq!(seconds(b"1656581400"), Some(1_656_581_400));
        assert_eq!(seconds(b"99999999999999999999"), Some(u32::MAX));
        for text in ["", "0", "000", "-1", "+1", "1.0", "abc", " 1"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn digits_at_the_end_are_split_off() {
        for text in [
            "",
            ":",
            "1",
            "12:345",
            "a.0",
            "\u{0}\u{1}7",
            "x:1234567",
            "12345678",
            "123456789:",
            "é12",
            "/0:9",
            "é\u{3a}9",
        ] {
            let count = text.bytes().rev().take_while(u8::is_ascii_digit).count().min(Digits::MAX);
            let (before, digits) = text.split_at(text.len() - count);
            let (seen, Digits { value, count: seen_count }) = split_digits(text.as_bytes());
            assert_eq!(
                (seen, value, seen_count),
                (before.as_bytes(), digits.parse().unwrap_or(0), count),
                "{text}"
            );
        }
        for byte in 0..=255 {
            let (_, digits) = split_digits(&[b'1', byte, b'2', b'3']);
            assert_eq!(digits.count, if byte.is_ascii_digit() { 4 } else { 2 }, "{byte}");
            assert_eq!(
                split_digits(&[b'1', b'2', byte]).1.count,
                if byte.is_ascii_digit() { 3 } else { 0 },
                "{byte}"
            );
        }
    }

    proptest! {
        #[test]
        fn digits_equal_their_twin(text in "[0-9:.]{0,20}", fraction in 0u64..10_000_000) {
            let (before, digits) = split_digits(text.as_bytes());
            let end = &text[before.len()..];
            prop_assert!(end.chars().all(|c| c.is_ascii_digit()));
            prop_assert!(digits.count == Digits::MAX || !before.last().is_some_and(u8::is_ascii_digit));
            prop_assert_eq!(digits.value, end.parse().unwrap_or(0));
            let fraction = fraction.to_string();
            let (_, last) = split_digits(fraction.as_bytes());
            let spelled = format!("0{end}.{fraction}");
            prop_assert_eq!(digits.with_fraction(last).map(f64::to_bits), slow_decimal(&spelled).map(f64::to_bits));
            let spelled = format!("{end}{fraction}");
            prop_assert_eq!(Some(digits.followed_by(last)), spelled.parse().ok());
        }

        #[test]
        fn decimal_equals_its_twin(text in "[-+]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][-+]?[0-9]{0,4})?|[-+.eE0-9infax_]{0,8}") {
            prop_assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), slow_decimal(&text).map(f64::to_bits));
        }
    }
}
