//! Reading: one column and those it follows from.

use std::rc::Rc;

use super::COLUMN_DEPTH_MAX;
use super::deviation::Bucket;
use super::form::{ABSENCES, CORRECTIONS, EXCEPTIONS, Form, Index};
use super::fraction::Fraction;
use super::grid::Grid;
use super::ordered::{computed, from_ordered, ordered};
use super::presence::{self, Presence, Stored};
use super::scale::Unit;
use super::stream::{self, Numbers};
use crate::codec::{Corrupt, Reader};
use crate::method::Method;

/// A column as it was read.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) presence: Presence,
    /// Of the buckets that have one.
    pub(super) values: Vec<f64>,
}

impl Series {
    /// One value or none for each of `buckets`.
    pub(super) fn spread(&self, buckets: usize) -> Vec<Option<f64>> {
        let Presence::Some(positions) = &self.presence else {
            return self.values.iter().copied().map(Some).collect();
        };
        let mut spread = vec![None; buckets];
        positions.iter().zip(&self.values).for_each(|(at, value)| spread[*at as usize] = Some(*value));
        spread
    }
}

/// The columns of a block, read when asked for.
pub(super) struct Columns<'a> {
    buckets: usize,
    stored: Vec<(Method, &'a [u8])>,
    /// Those that others follow from, once read.
    known: Vec<Option<Rc<Series>>>,
}

impl<'a> Columns<'a> {
    /// Reads the directory and finds the columns, which are all that is left.
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
        if !reader.is_empty() {
            return Err(Corrupt);
        }
        Ok(Columns { buckets, known: vec![None; stored.len()], stored })
    }

    /// The methods, in the order of the block.
    pub(super) fn methods(&self) -> impl Iterator<Item = Method> {
        self.stored.iter().map(|(method, _)| *method)
    }

    /// The stored form of a column.
    #[cfg(test)]
    pub(super) fn bytes(&self, index: usize) -> &'a [u8] {
        self.stored[index].1
    }

    /// Reads one column.
    pub(super) fn series(&mut self, index: usize) -> Result<Series, Corrupt> {
        self.read(index, 0)
    }

    /// Reads one column and keeps it for those that follow from it.
    pub(super) fn kept(&mut self, index: usize) -> Result<Rc<Series>, Corrupt> {
        self.read_once(index, 0)
    }

    fn read_once(&mut self, index: usize, depth: usize) -> Result<Rc<Series>, Corrupt> {
        if let Some(Some(known)) = self.known.get(index) {
            return Ok(known.clone());
        }
        let series = Rc::new(self.read(index, depth)?);
        self.known[index] = Some(series.clone());
        Ok(series)
    }

    fn read(&mut self, index: usize, depth: usize) -> Result<Series, Corrupt> {
        let mut column = self.open(index, depth)?;
        let series = column.series()?;
        if column.reader.is_empty() { Ok(series) } else { Err(Corrupt) }
    }

    /// Reads only where a column has values.
    fn presence(&mut self, index: usize, depth: usize) -> Result<Presence, Corrupt> {
        let mut column = self.open(index, depth)?;
        let head = column.reader.byte()?;
        column.presence(head)
    }

    /// `depth` is how many columns wait for this one: bounded, and so is what garbage can make us do.
    fn open(&mut self, index: usize, depth: usize) -> Result<Open<'a, '_>, Corrupt> {
        let (_, bytes) = self.stored.get(index).filter(|_| depth < COLUMN_DEPTH_MAX).ok_or(Corrupt)?;
        Ok(Open { reader: Reader::new(bytes), columns: self, index, depth })
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
        let presence = self.presence(head)?;
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
        self.columns.read_once(self.before(index)?, self.depth + 1)
    }

    /// The position of a column that this one may follow from.
    fn before(&self, index: Index) -> Result<usize, Corrupt> {
        Some(usize::from(index)).filter(|index| *index < self.index).ok_or(Corrupt)
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

    fn presence(&mut self, head: u8) -> Result<Presence, Corrupt> {
        if head & ABSENCES == 0 {
            return Ok(Presence::All);
        }
        match Stored::decode(&mut self.reader, self.columns.buckets)? {
            Stored::Runs(runs) => presence::positions(&runs, self.columns.buckets),
            Stored::As(other) => self.columns.presence(self.before(other)?, self.depth + 1),
            Stored::AboveOne(other) => {
                let other = self.other(other)?;
                let above_one = || Presence::of(other.values.iter().map(|value| *value > 1.0));
                if other.presence == Presence::All { Ok(above_one()) } else { Err(Corrupt) }
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
            Form::Dictionary { more } => self.entries(usize::from(more) + 1, count),
            Form::Copy(other) => Ok(self.beside(other, presence)?.values.clone()),
            Form::Quotient(dividend, divisor) => {
                let (dividend, divisor) = (self.beside(dividend, presence)?, self.beside(divisor, presence)?);
                Ok(dividend.values.iter().zip(&divisor.values).map(|(a, b)| computed(a / b)).collect())
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
        let scale = Unit::Decimal { places, multiple: 1 }.scale().ok_or(Corrupt)?;
        let divisors = stream::decode(&mut self.reader, count)?.spread();
        let numbers = stream::decode(&mut self.reader, count)?.spread();
        let fraction = |(number, divisor)| Fraction { number, divisor }.value(scale);
        Ok(numbers.into_iter().zip(divisors).map(fraction).collect())
    }

    fn entries(&mut self, entries: usize, count: usize) -> Result<Vec<f64>, Corrupt> {
        let entries = stream::decode(&mut self.reader, entries)?.spread();
        let indexes = stream::decode(&mut self.reader, count)?.spread();
        let entry = |index| {
            let entry = usize::try_from(index).ok().and_then(|index| entries.get(index));
            entry.map(|entry| from_ordered(*entry)).ok_or(Corrupt)
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
