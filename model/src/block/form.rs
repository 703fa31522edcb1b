//! The form of a column: how its values follow from its streams and from other columns.

use super::grid::{GRIDS_END, Grid};
use super::scale::Unit;
use crate::codec::{Corrupt, Reader};

/// Position of a column in its block; those it follows from come before it.
pub(super) type Index = u8;

/// How values are found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Points of a grid.
    Grid(Grid),
    /// Points of a grid, as distances from the nearest points to another column's values.
    Near(Grid, Index),
    /// Decimals, each divided by a small integer that is stored beside it.
    Fraction { places: u8 },
    /// One of a few values: one more than `more`.
    Dictionary { more: u8 },
    /// As another column.
    Copy(Index),
    /// A column divided by another.
    Quotient(Index, Index),
    /// The sample deviation of so many multiples of a unit with this mean.
    Deviation { mean: Index, count: Index, unit: Unit },
}

const NEAR: u8 = 1 << 4;
const FRACTION: u8 = GRIDS_END;
const DICTIONARY: u8 = 7;
const COPY: u8 = 8;
const QUOTIENT: u8 = 9;
const DEVIATION: u8 = 10;

/// Bits of the first byte that are not the form's.
pub(super) const CORRECTIONS: u8 = 1 << 5;
pub(super) const EXCEPTIONS: u8 = 1 << 6;
pub(super) const ABSENCES: u8 = 1 << 7;
pub(super) const OWN_BITS: u8 = 0x1f;

impl Form {
    /// Its part of the column's first byte.
    pub(super) fn code(&self) -> u8 {
        match self {
            Form::Grid(grid) => grid.code(),
            Form::Near(grid, _) => grid.code() | NEAR,
            Form::Fraction { .. } => FRACTION,
            Form::Dictionary { .. } => DICTIONARY,
            Form::Copy(_) => COPY,
            Form::Quotient(..) => QUOTIENT,
            Form::Deviation { .. } => DEVIATION,
        }
    }

    /// Appends what its code leaves open.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Form::Grid(grid) => grid.encode(out),
            Form::Near(grid, reference) => {
                grid.encode(out);
                out.push(*reference);
            }
            Form::Fraction { places } => out.push(*places),
            Form::Dictionary { more } => out.push(*more),
            Form::Copy(source) => out.push(*source),
            Form::Quotient(dividend, divisor) => out.extend_from_slice(&[*dividend, *divisor]),
            Form::Deviation { mean, count, unit } => {
                out.extend_from_slice(&[*mean, *count, unit.code()]);
                unit.encode(out);
            }
        }
    }

    /// The columns it follows from.
    pub(super) fn follows(&self) -> impl Iterator<Item = Index> {
        let (one, two) = match *self {
            Form::Grid(_) | Form::Fraction { .. } | Form::Dictionary { .. } => (None, None),
            Form::Near(_, one) | Form::Copy(one) => (Some(one), None),
            Form::Quotient(one, two) | Form::Deviation { mean: one, count: two, .. } => {
                (Some(one), Some(two))
            }
        };
        one.into_iter().chain(two)
    }

    /// Reads what [`Form::encode`] wrote behind the first byte `head`.
    pub(super) fn decode(head: u8, reader: &mut Reader<'_>) -> Result<Form, Corrupt> {
        Ok(match head & OWN_BITS {
            code if code < GRIDS_END => Form::Grid(Grid::decode(code, reader)?),
            FRACTION => Form::Fraction { places: reader.byte()? },
            DICTIONARY => Form::Dictionary { more: reader.byte()? },
            COPY => Form::Copy(reader.byte()?),
            QUOTIENT => Form::Quotient(reader.byte()?, reader.byte()?),
            DEVIATION => {
                let [mean, count, code] = reader.array()?;
                Form::Deviation { mean, count, unit: Unit::decode(code, reader)? }
            }
            code if code & NEAR != 0 => Form::Near(Grid::decode(code & !NEAR, reader)?, reader.byte()?),
            _ => return Err(Corrupt),
        })
    }
}
