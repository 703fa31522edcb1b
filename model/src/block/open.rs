//! Reading: one column and those it follows from.

use std::rc::Rc;

use super::deviation::Bucket;
use super::form::{ABSENCES, CORRECTIONS, EXCEPTIONS, Form, Index};
use super::grid::Grid;
use super::ordered::{from_ordered, ordered};
use super::presence::{Presence, Stored};
use super::scale::{Scale, Unit};
use super::stream::{self, Numbers};
use super::{COLUMN_DEPTH_MAX, FEW_MAX};
use crate::codec::{Corrupt, Reader};
use crate::method::Method;

/// A column as it was read.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) presence: Presence,
    /// Of the buckets that have one.
    pub(super) values: Vec<f64>,
}

/// The columns of a block, read when asked for.
pub(super) struct Columns<'a> {
    buckets: usize,
    stored: Vec<(Method, &'a [u8])>,
    /// Those that others follow from, once read.
    known: Vec<Option<Rc<Series>>>,
}

impl<'a> Columns<'a> {
    /// Reads the directory; the rest is the columns themselves.
    pub(super) fn decode(reader: &mut Reader<'a>, buckets: usize) -> Result<Self, Corrupt> {
        let count = reader.count(2)?;
        if count > Method::COUNT {
            return Err(Corrupt);
        }
        let mut directory = Vec::with_capacity(count);
        for _ in 0..count {
            let method = Method::from_index(reader.byte()?).ok_or(Corrupt)?;
            directory.push((method, usize::try_from(reader.varint()?).map_err(|_| Corrupt)?));
        }
        let take = |(method, bytes)| Ok((method, reader.take(bytes)?));
        let stored = directory.into_iter().map(take).collect::<Result<Vec<_>, Corrupt>>()?;
        Ok(Columns { buckets, known: vec![None; stored.len()], stored })
    }

    /// The methods, in the order of the block.
    pub(super) fn methods(&self) -> impl Iterator<Item = Method> {
        self.stored.iter().map(|(method, _)| *method)
    }

    /// Reads one column.
    pub(super) fn series(&mut self, index: usize) -> Result<Series, Corrupt> {
        self.read(index, 0)
    }

    /// `depth` is how many columns wait for this one: bounded, and so is what garbage can make us do.
    fn read(&mut self, index: usize, depth: usize) -> Result<Series, Corrupt> {
        let mut column = Open {
            reader: Reader::new(self.stored.get(index).ok_or(Corrupt)?.1),
            columns: self,
            index,
            depth,
        };
        let series = column.series()?;
        if column.reader.is_empty() { Ok(series) } else { Err(Corrupt) }
    }
}

/// A column being read.
struct Open<'a, 'b> {
    reader: Reader<'a>,
    columns: &'b mut Columns<'a>,
    index: usize,
    depth: usize,
}

impl Open<'_, '_> {
    fn series(&mut self) -> Result<Series, Corrupt> {
        let head = self.reader.byte()?;
        let presence = if head & ABSENCES == 0 { Presence::All } else { self.presence()? };
        let count = presence.count(self.columns.buckets);
        let form = Form::decode(head, &mut self.reader)?;
        let exceptions = if head & EXCEPTIONS == 0 { Vec::new() } else { self.exceptions(count)? };
        let mut values = self.values(form, &presence, count)?;
        if head & CORRECTIONS != 0 {
            let corrections = stream::decode(&mut self.reader, count)?.spread();
            for (value, correction) in values.iter_mut().zip(corrections) {
                *value = from_ordered(ordered(*value).wrapping_add(correction));
            }
        }
        for (at, value) in exceptions {
            values[at] = value;
        }
        Ok(Series { presence, values })
    }

    /// Another column, read once.
    fn other(&mut self, index: Index) -> Result<Rc<Series>, Corrupt> {
        let index = usize::from(index);
        if index >= self.index || self.depth == COLUMN_DEPTH_MAX {
            return Err(Corrupt);
        }
        if let Some(known) = &self.columns.known[index] {
            return Ok(known.clone());
        }
        let series = Rc::new(self.columns.read(index, self.depth + 1)?);
        self.columns.known[index] = Some(series.clone());
        Ok(series)
    }

    /// The values of another column in the buckets of this one.
    fn beside(&mut self, index: Index, presence: &Presence) -> Result<Rc<Series>, Corrupt> {
        let other = self.other(index)?;
        match (&other.presence, presence) {
            (other_has, own) if other_has == own => Ok(other),
            (Presence::All, Presence::Some(positions)) => {
                let values = positions.iter().map(|at| other.values[*at as usize]).collect();
                Ok(Rc::new(Series { presence: presence.clone(), values }))
            }
            _ => Err(Corrupt),
        }
    }

    fn presence(&mut self) -> Result<Presence, Corrupt> {
        match Stored::decode(&mut self.reader)? {
            Stored::Runs => Presence::decode_runs(&mut self.reader, self.columns.buckets),
            Stored::As(other) => Ok(self.other(other)?.presence.clone()),
            Stored::AboveOne(other) => {
                let other = self.other(other)?;
                if other.presence != Presence::All {
                    return Err(Corrupt);
                }
                Ok(Presence::of(other.values.iter().map(|value| *value > 1.0)))
            }
        }
    }

    fn exceptions(&mut self, count: usize) -> Result<Vec<(usize, f64)>, Corrupt> {
        let exceptions = usize::try_from(self.reader.varint()?).map_err(|_| Corrupt)?;
        if exceptions > count {
            return Err(Corrupt);
        }
        let positions = stream::decode(&mut self.reader, exceptions)?.spread();
        let values = stream::decode(&mut self.reader, exceptions)?.spread();
        let checked = |(at, value)| match usize::try_from(at) {
            Ok(at) if at < count => Ok((at, from_ordered(value))),
            _ => Err(Corrupt),
        };
        positions.into_iter().zip(values).map(checked).collect()
    }

    fn values(&mut self, form: Form, presence: &Presence, count: usize) -> Result<Vec<f64>, Corrupt> {
        match form {
            Form::Grid(grid) => Ok(match stream::decode(&mut self.reader, count)? {
                Numbers::Same(number, count) => vec![grid.value(number); count],
                Numbers::All(numbers) => grid.values(numbers),
            }),
            Form::Near(grid, other) => self.near(grid, other, presence),
            Form::Fraction { places } => self.fractions(places, count),
            Form::Share { places, divisor } => {
                let divisors = self.beside(divisor, presence)?;
                let numbers = stream::decode(&mut self.reader, count)?.spread();
                Ok(divided(&decimals(places)?, numbers, &divisors.values))
            }
            Form::Dictionary => self.entries(count),
            Form::Copy(other) => Ok(self.beside(other, presence)?.values.clone()),
            Form::Quotient(dividend, divisor) => {
                let (dividend, divisor) = (self.beside(dividend, presence)?, self.beside(divisor, presence)?);
                Ok(dividend.values.iter().zip(&divisor.values).map(|(a, b)| a / b).collect())
            }
            Form::Deviation { mean, count, unit } => self.deviations(mean, count, unit, presence),
        }
    }

    fn near(&mut self, grid: Grid, other: Index, presence: &Presence) -> Result<Vec<f64>, Corrupt> {
        let other = self.beside(other, presence)?;
        let mut numbers = stream::decode(&mut self.reader, other.values.len())?.spread();
        for (number, value) in numbers.iter_mut().zip(&other.values) {
            *number = number.wrapping_add(grid.number(*value));
        }
        Ok(grid.values(numbers))
    }

    fn fractions(&mut self, places: u8, count: usize) -> Result<Vec<f64>, Corrupt> {
        let scale = decimals(places)?;
        let divisors = stream::decode(&mut self.reader, count)?.spread();
        let numbers = stream::decode(&mut self.reader, count)?.spread();
        let divisors: Vec<f64> = divisors.into_iter().map(|divisor| divisor as f64).collect();
        Ok(divided(&scale, numbers, &divisors))
    }

    fn entries(&mut self, count: usize) -> Result<Vec<f64>, Corrupt> {
        let entries = usize::from(self.reader.byte()?) + 1;
        if entries > FEW_MAX {
            return Err(Corrupt);
        }
        let entries = stream::decode(&mut self.reader, entries)?.spread();
        let indexes = stream::decode(&mut self.reader, count)?.spread();
        let entry = |index| {
            Ok(from_ordered(*usize::try_from(index).ok().and_then(|i| entries.get(i)).ok_or(Corrupt)?))
        };
        indexes.into_iter().map(entry).collect()
    }

    fn deviations(
        &mut self,
        mean: Index,
        count: Index,
        unit: Unit,
        presence: &Presence,
    ) -> Result<Vec<f64>, Corrupt> {
        let scale = unit.scale().ok_or(Corrupt)?;
        let (means, counts) = (self.beside(mean, presence)?, self.beside(count, presence)?);
        let numbers = stream::decode(&mut self.reader, means.values.len())?.spread();
        let deviation = |((number, mean), count): ((i64, &f64), &f64)| {
            Bucket::new(scale, *mean, *count).map_or(0.0, |bucket| bucket.deviation(number))
        };
        Ok(numbers.into_iter().zip(&means.values).zip(&counts.values).map(deviation).collect())
    }
}

fn decimals(places: u8) -> Result<Scale, Corrupt> {
    Unit::Decimal { places, multiple: 1 }.scale().ok_or(Corrupt)
}

fn divided(scale: &Scale, numbers: Vec<i64>, divisors: &[f64]) -> Vec<f64> {
    numbers.into_iter().zip(divisors).map(|(number, divisor)| scale.value(number) / divisor).collect()
}
