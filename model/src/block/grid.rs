//! Grids: ways to see doubles as integers and back.
//!
//! Both directions are defined for every input and go upwards together. A value that comes back
//! changed is off the grid; whoever stores it must also store by how much.

use super::digits::Digits;
use super::ordered::{from_shortened, shortened};
use super::scale::{Scale, UNITS_END, Unit};
use crate::codec::{Corrupt, Reader};

/// A grid.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grid {
    /// Integers times a unit.
    Even(Unit, Scale),
    /// The same, counting only numbers with few significant digits.
    Significant(Unit, Scale, Digits),
    /// The bits of the double, less so many at the end.
    Bits(u8),
}

const SIGNIFICANT: u8 = UNITS_END;
const BITS: u8 = 5;
/// Codes of grids are below.
pub(super) const GRIDS_END: u8 = 6;

impl Grid {
    /// Integers times `unit`; `None` if there is no such unit.
    pub(super) fn even(unit: Unit) -> Option<Grid> {
        Some(Grid::Even(unit, unit.scale()?))
    }

    /// Integers of `digits` significant digits times `10^-places`.
    pub(super) fn significant(places: u8, digits: u8) -> Option<Grid> {
        let unit = Unit::Decimal { places, multiple: 1 };
        Some(Grid::Significant(unit, unit.scale()?, Digits::new(digits)?))
    }

    /// What its values are multiples of.
    pub(super) fn unit(&self) -> Option<Unit> {
        match self {
            Grid::Even(unit, _) | Grid::Significant(unit, ..) => Some(*unit),
            Grid::Bits(_) => None,
        }
    }

    /// The number of the nearest value on the grid.
    #[inline]
    pub(super) fn number(&self, value: f64) -> i64 {
        match self {
            Grid::Even(_, scale) => scale.number(value),
            Grid::Significant(_, scale, digits) => digits.position(scale.number(value)),
            Grid::Bits(shift) => shortened(value, u32::from(*shift)),
        }
    }

    /// The value of a number.
    #[inline]
    pub(super) fn value(&self, number: i64) -> f64 {
        match self {
            Grid::Even(_, scale) => scale.value(number),
            Grid::Significant(_, scale, digits) => scale.value(digits.number(number)),
            Grid::Bits(shift) => from_shortened(number, u32::from(*shift)),
        }
    }

    /// The values of numbers. One loop for each kind, so that none is chosen value by value.
    pub(super) fn values(&self, numbers: Vec<i64>) -> Vec<f64> {
        let numbers = numbers.into_iter();
        match *self {
            Grid::Even(_, scale) => numbers.map(|number| scale.value(number)).collect(),
            Grid::Significant(_, scale, digits) => {
                numbers.map(|number| scale.value(digits.number(number))).collect()
            }
            Grid::Bits(shift) => numbers.map(|number| from_shortened(number, u32::from(shift))).collect(),
        }
    }

    /// Its code, told beside other things.
    pub(super) fn code(&self) -> u8 {
        match self {
            Grid::Even(unit, _) => unit.code(),
            Grid::Significant(..) => SIGNIFICANT,
            Grid::Bits(_) => BITS,
        }
    }

    /// Appends what its code leaves open.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Grid::Even(unit, _) => unit.encode(out),
            Grid::Significant(unit, _, digits) => {
                let Unit::Decimal { places, .. } = unit else { unreachable!("digits are of decimals") };
                out.extend_from_slice(&[*places, digits.count()]);
            }
            Grid::Bits(shift) => out.push(*shift),
        }
    }

    /// Reads what [`Grid::encode`] wrote.
    pub(super) fn decode(code: u8, reader: &mut Reader<'_>) -> Result<Grid, Corrupt> {
        let grid = match code {
            SIGNIFICANT => Grid::significant(reader.byte()?, reader.byte()?),
            BITS => Some(reader.byte()?).filter(|shift| *shift < 64).map(Grid::Bits),
            unit => Grid::even(Unit::decode(unit, reader)?),
        };
        grid.ok_or(Corrupt)
    }
}
