//! Decimal numbers as lines spell them.

/// Digits that always fit an `f64` without rounding.
pub(super) const EXACT_DIGITS: usize = 15;

/// Reads optional sign, digits with optional point, optional exponent; nothing else, no blanks, nothing
/// that is or becomes infinite.
#[inline]
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    match short_integer(text) {
        Some(integer) => Some(integer),
        None => any_decimal(text),
    }
}

/// The common case: up to 15 digits.
#[inline]
fn short_integer(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > EXACT_DIGITS {
        return None;
    }
    // Signed: the conversion is one instruction.
    let mut sum = 0i64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum = sum * 10 + i64::from(digit);
    }
    Some(sum as f64)
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

    proptest! {
        #[test]
        fn decimal_equals_its_twin(text in "[-+]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][-+]?[0-9]{0,4})?|[-+.eE0-9infax_]{0,8}") {
            prop_assert_eq!(decimal(text.as_bytes()).map(f64::to_bits), slow_decimal(&text).map(f64::to_bits));
        }
    }
}
