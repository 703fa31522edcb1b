//! Doubles as integers times a unit: decimals, multiples, binary fractions.

use crate::codec::{Corrupt, Reader, put_signed, put_varint};

/// `10^0` to `10^22`: the powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `multiple / 10^places`.
    Decimal { places: u8, multiple: u64 },
    /// `2^exponent`, of a normal double.
    Binary { exponent: i16 },
}

/// The unit as two factors: `value = number × numerator / denominator`, each step rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    numerator: f64,
    denominator: f64,
}

const INTEGER: u8 = 0;
const DECIMAL: u8 = 1;
const MULTIPLE: u8 = 2;
const BINARY: u8 = 3;
/// Codes of units are below.
pub(super) const UNITS_END: u8 = 4;

impl Unit {
    /// Its code, told beside other things.
    pub(super) fn code(self) -> u8 {
        match self {
            Unit::Decimal { places: 0, multiple: 1 } => INTEGER,
            Unit::Decimal { multiple: 1, .. } => DECIMAL,
            Unit::Decimal { .. } => MULTIPLE,
            Unit::Binary { .. } => BINARY,
        }
    }

    /// Appends what its code leaves open.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Unit::Decimal { places: 0, multiple: 1 } => {}
            Unit::Decimal { places, multiple: 1 } => out.push(places),
            Unit::Decimal { places, multiple } => {
                out.push(places);
                put_varint(out, multiple);
            }
            Unit::Binary { exponent } => put_signed(out, i64::from(exponent)),
        }
    }

    /// Reads what [`Unit::encode`] wrote.
    pub(super) fn decode(code: u8, reader: &mut Reader<'_>) -> Result<Unit, Corrupt> {
        Ok(match code {
            INTEGER => Unit::Decimal { places: 0, multiple: 1 },
            DECIMAL => Unit::Decimal { places: reader.byte()?, multiple: 1 },
            MULTIPLE => Unit::Decimal { places: reader.byte()?, multiple: reader.varint()? },
            BINARY => Unit::Binary { exponent: i16::try_from(reader.signed()?).map_err(|_| Corrupt)? },
            _ => return Err(Corrupt),
        })
    }

    /// `None` past 10^22 or the exponents of normal doubles.
    pub(super) fn scale(self) -> Option<Scale> {
        match self {
            Unit::Decimal { places, multiple } => {
                let denominator = *TENS.get(usize::from(places))?;
                Some(Scale { numerator: multiple as f64, denominator })
            }
            Unit::Binary { exponent } => {
                let power = |exponent: i16| f64::from_bits(((1023 + i64::from(exponent)) as u64) << 52);
                let known = (-1022..=1022).contains(&exponent);
                known.then(|| Scale {
                    numerator: power(exponent.max(0)),
                    denominator: power(-exponent.min(0)),
                })
            }
        }
    }
}

impl Scale {
    /// The value of a number.
    #[inline]
    pub(super) fn value(self, number: i64) -> f64 {
        self.times_unit(number as f64)
    }

    /// The nearest number; saturating, 0 for NaN.
    #[inline]
    pub(super) fn number(self, value: f64) -> i64 {
        nearest(self.in_units(value))
    }

    /// `number` units.
    #[inline]
    pub(super) fn times_unit(self, number: f64) -> f64 {
        number * self.numerator / self.denominator
    }

    /// How many units `value` is.
    #[inline]
    pub(super) fn in_units(self, value: f64) -> f64 {
        value * self.denominator / self.numerator
    }
}

/// Halves go away from zero. (`f64::round` is a call into the C library on plain x86-64.)
#[inline]
pub(super) fn nearest(value: f64) -> i64 {
    // From 2^52 on there are no fractions, and adding a half could itself round up.
    let half = if value.abs() < 4_503_599_627_370_496.0 { 0.5f64.copysign(value) } else { 0.0 };
    (value + half) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_go_away_from_zero() {
        for (value, expected) in [
            (0.4, 0),
            (0.5, 1),
            (-2.5, -3),
            (4_503_599_627_370_495.5, 4_503_599_627_370_496),
            (4_503_599_627_370_497.0, 4_503_599_627_370_497),
            (1e300, i64::MAX),
            (f64::NEG_INFINITY, i64::MIN),
            (f64::NAN, 0),
        ] {
            assert_eq!(nearest(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn printed_decimals_are_on_their_grid(number in -(1i64 << 53)..1 << 53, places in 0u8..=22) {
            let value: f64 = format!("{number}e-{places}").parse().unwrap();
            let scale = Unit::Decimal { places, multiple: 1 }.scale().unwrap();
            prop_assert_eq!(scale.value(number), value);
            prop_assert!(number.abs() > 1 << 51 || scale.number(value) == number);
        }

        #[test]
        fn units_come_back(places: u8, multiple: u64, exponent: i16, binary: bool) {
            let unit = if binary { Unit::Binary { exponent } } else { Unit::Decimal { places, multiple } };
            let mut out = Vec::new();
            unit.encode(&mut out);
            prop_assert_eq!(Unit::decode(unit.code(), &mut Reader::new(&out)), Ok(unit));
            let known = if binary { (-1022..=1022).contains(&exponent) } else { places <= 22 };
            prop_assert_eq!(unit.scale().is_some(), known);
        }
    }
}
