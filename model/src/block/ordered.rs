//! The bits of a double as an integer that is greater where the double is: every bit pattern has one.

/// In the order of IEEE 754's totalOrder: -NaN, -inf … -0.0, 0.0 … inf, NaN.
#[inline]
pub(super) fn ordered(value: f64) -> i64 {
    turned(value.to_bits() as i64, 0)
}

/// Back.
#[inline]
pub(super) fn from_ordered(number: i64) -> f64 {
    f64::from_bits(turned(number, 0) as u64)
}

/// How much a value is above another, in steps of the last bit.
#[inline]
pub(super) fn off(value: f64, other: f64) -> i64 {
    ordered(value).wrapping_sub(ordered(other))
}

/// Without the `shift` lowest bits, below 64, which the caller knows to be zero (32-bit floats have 29).
#[inline]
pub(super) fn shortened(value: f64, shift: u32) -> i64 {
    turned(value.to_bits() as i64 >> shift, shift)
}

/// Back, with zeros.
#[inline]
pub(super) fn from_shortened(number: i64, shift: u32) -> f64 {
    f64::from_bits((turned(number, shift) as u64) << shift)
}

/// Negative numbers the other way round; its own inverse.
#[inline]
fn turned(number: i64, shift: u32) -> i64 {
    number ^ ((number >> 63) & (i64::MAX >> shift))
}

/// The result of arithmetic, whose NaN would have other bits on another processor.
#[inline]
pub(super) fn computed(value: f64) -> f64 {
    const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);
    if value.is_nan() { NAN } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_bits_come_back_and_order_is_kept(a: u64, b: u64, shift in 0u32..64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assert_eq!(from_ordered(ordered(a)).to_bits(), a.to_bits());
            prop_assert_eq!(ordered(a).cmp(&ordered(b)), a.total_cmp(&b));
            let short = f64::from_bits(a.to_bits() >> shift << shift);
            prop_assert_eq!(from_shortened(shortened(short, shift), shift).to_bits(), short.to_bits());
        }
    }
}
