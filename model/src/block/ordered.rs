//! The bits of a double as an integer that is greater where the double is: every bit pattern has one.

/// As IEEE 754 totalOrder: -NaN, -inf … -0.0, 0.0 … inf, NaN.
#[inline]
pub(super) fn ordered(value: f64) -> i64 {
    turned(value.to_bits() as i64)
}

/// Back.
#[inline]
pub(super) fn from_ordered(number: i64) -> f64 {
    f64::from_bits(turned(number) as u64)
}

/// Negative numbers the other way round; its own inverse.
#[inline]
fn turned(number: i64) -> i64 {
    number ^ ((number >> 63) & i64::MAX)
}

/// How much a value is above another, in steps of the last bit.
#[inline]
pub(super) fn off(value: f64, other: f64) -> i64 {
    ordered(value).wrapping_sub(ordered(other))
}

/// Without the `shift` lowest bits, which must be equal in all values (32-bit floats have 29 zeros).
#[inline]
pub(super) fn shortened(value: f64, shift: u32) -> i64 {
    let number = value.to_bits() as i64 >> shift;
    number ^ ((number >> 63) & (i64::MAX >> shift))
}

/// Back, with zeros.
#[inline]
pub(super) fn from_shortened(number: i64, shift: u32) -> f64 {
    let number = number ^ ((number >> 63) & (i64::MAX >> shift));
    f64::from_bits((number as u64) << shift)
}
