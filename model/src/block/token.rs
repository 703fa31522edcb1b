//! A number as a token, which is worth entropy coding, and extra bits, which are not.
//!
//! A token tells the position of the highest bit and the `detail` bits behind it; numbers below
//! `2 << detail` are tokens themselves. (The "hybrid integers" of JPEG XL, ISO 18181-1.)

/// The most detail there is.
pub(super) const DETAIL_MAX: u32 = 4;
/// How many tokens there are, at most.
pub(super) const TOKENS_MAX: usize = tokens(DETAIL_MAX);

/// How many tokens there are.
pub(super) const fn tokens(detail: u32) -> usize {
    (65 - detail as usize) << detail
}

/// The token of a number.
#[inline]
pub(super) fn token_of(value: u64, detail: u32) -> usize {
    if value < 1 << detail {
        return value as usize;
    }
    let extra = value.ilog2() - detail;
    ((extra as usize) << detail) + (value >> extra) as usize
}

/// How many extra bits come with a token.
#[inline]
pub(super) fn extra_bits(token: usize, detail: u32) -> u32 {
    ((token >> detail) as u32).saturating_sub(1)
}

/// The smallest number with this token.
#[inline]
pub(super) fn base_of(token: usize, detail: u32) -> u64 {
    let extra = extra_bits(token, detail);
    (token as u64 - (u64::from(extra) << detail)) << extra
}

/// Signed to unsigned, small magnitudes small.
#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Back.
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_and_its_extra_bits_are_the_number(value: u64, shift in 0u32..64, detail in 0..=DETAIL_MAX) {
            let value = value >> shift;
            let token = token_of(value, detail);
            let extra = value - base_of(token, detail);
            prop_assert!(token < tokens(detail));
            prop_assert_eq!(extra.checked_shr(extra_bits(token, detail)).unwrap_or(0), 0);
            prop_assert!(value == u64::MAX || token_of(value + 1, detail) >= token);
            prop_assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }
    }

    #[test]
    fn the_last_token_is_that_of_the_greatest_number() {
        for detail in 0..=DETAIL_MAX {
            assert_eq!(token_of(u64::MAX, detail) + 1, tokens(detail));
        }
    }
}
