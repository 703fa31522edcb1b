//! What a column can follow from: the columns before it, where that is shorter than its own values.

use std::borrow::Cow;

use super::alone;
use super::deviation::Bucket;
use super::draft::{Draft, HEAD_BITS};
use super::form::{Form, Index};
use super::ordered::computed;
use super::points::{Leftovers, Points};
use super::presence::{Presence, Stored};
use super::scale::Unit;
use super::seal::Written;
use super::stream::Stream;
use super::{COLUMN_DEPTH_MAX, ordered};
use crate::method::{Formula, Method};

/// Bits a value below which a mean that follows from a sum is not looked at any further.
const QUOTIENT_SHORT: f64 = 2.0;
/// The same of a deviation: by itself it is hardly ever shorter than a double.
const DEVIATION_SHORT: f64 = 36.0;

/// The columns before the one being written.
pub(super) struct Others<'a> {
    pub(super) written: &'a [Written],
    pub(super) method: Method,
    pub(super) presence: &'a Presence,
}

/// Another column's values, in the buckets of this one.
type Beside<'a> = (Index, Cow<'a, [f64]>);

impl<'a> Others<'a> {
    /// The shortest way to store the column.
    pub(super) fn shortest(&self, values: &[f64]) -> Draft {
        if let Some(source) = self.copied(values) {
            return Draft::of(Form::Copy(source), Vec::new(), Leftovers::default());
        }
        let (derived, short) = match self.method.formula() {
            Formula::Mean => (self.quotient(values), QUOTIENT_SHORT),
            Formula::Std => (self.deviation(values), DEVIATION_SHORT),
            _ => (None, 0.0),
        };
        let short = HEAD_BITS + short * values.len() as f64;
        match derived {
            Some(draft) if draft.bits() < short => draft,
            derived => derived.into_iter().fold(self.near(alone::shortest(values)), Draft::or),
        }
    }

    /// How the buckets with a value are stored, unless all have one.
    pub(super) fn stored_presence(&self) -> Option<Stored> {
        let Presence::Some(positions) = self.presence else { return None };
        let same = |column: &Written| column.presence == *self.presence;
        let above_one = |column: &Written| {
            let above = || Presence::of(column.values.iter().map(|value| *value > 1.0));
            column.method.formula() == Formula::Count
                && column.presence == Presence::All
                && above() == *self.presence
        };
        let found = self.find(same).map(Stored::As).or_else(|| self.find(above_one).map(Stored::AboveOne));
        Some(found.unwrap_or_else(|| Stored::runs(positions)))
    }

    /// The first column of that kind which a reader may go through.
    fn find(&self, wanted: impl Fn(&Written) -> bool) -> Option<Index> {
        let found =
            self.written.iter().position(|column| column.depth < COLUMN_DEPTH_MAX && wanted(column))?;
        Index::try_from(found).ok()
    }

    fn copied(&self, values: &[f64]) -> Option<Index> {
        let same = |a: &[f64]| a.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits());
        let found = self.find(|column| column.presence == *self.presence && same(&column.values))?;
        Some(self.written[usize::from(found)].copy_of.unwrap_or(found))
    }

    /// The column of a formula, over the same values or differences, if it has a value wherever this one has.
    fn beside(&self, formula: Formula) -> Option<Beside<'a>> {
        let rate = self.method.is_rate();
        let found =
            self.find(|column| column.method.formula() == formula && column.method.is_rate() == rate)?;
        let column = &self.written[usize::from(found)];
        match (&column.presence, self.presence) {
            (other_has, own) if other_has == own => Some((found, Cow::Borrowed(column.values.as_slice()))),
            (Presence::All, Presence::Some(positions)) => {
                Some((found, positions.iter().map(|at| column.values[*at as usize]).collect()))
            }
            _ => None,
        }
    }

    fn quotient(&self, values: &[f64]) -> Option<Draft> {
        let (sum, sums) = self.beside(Formula::Sum)?;
        let (count, counts) = self.beside(Formula::Count)?;
        let means = sums.iter().zip(&*counts).map(|(sum, count)| computed(sum / count));
        let off = |(value, mean): (&f64, f64)| ordered::off(*value, mean);
        let mut corrections: Vec<i64> = values.iter().zip(means).map(off).collect();
        if corrections.iter().all(|correction| *correction == 0) {
            corrections.clear();
        }
        let leftovers = Leftovers { corrections, exceptions: Vec::new() };
        Some(Draft::of(Form::Quotient(sum, count), Vec::new(), leftovers))
    }

    /// In the unit of any column before.
    fn deviation(&self, values: &[f64]) -> Option<Draft> {
        let mean = self.beside(Formula::Mean)?;
        let count = self.beside(Formula::Count)?;
        let mut units: Vec<Unit> = Vec::new();
        for column in self.written.iter().filter(|column| column.method.formula() != Formula::Count) {
            units.extend(column.unit.filter(|unit| !units.contains(unit)));
        }
        let drafts = units.into_iter().filter_map(|unit| deviation_in(unit, values, &mean, &count));
        drafts.reduce(Draft::or)
    }

    /// By the distance from the nearest of the columns that are likely to be near, if that is shorter.
    fn near(&self, alone: Draft) -> Draft {
        let Form::Grid(grid) = alone.form else { return alone };
        let formulas = [Formula::Mean, Formula::Min, Formula::Max, Formula::Median];
        let near = formulas.into_iter().filter_map(|formula| self.beside(formula)).map(|(index, other)| {
            let numbers = &alone.streams[0].numbers;
            let distance = |(number, other): (&i64, &f64)| number.wrapping_sub(grid.number(*other));
            let mut distances: Vec<i64> = numbers.iter().zip(&*other).map(distance).collect();
            for at in alone.exceptions() {
                distances[at] = at.checked_sub(1).map_or(0, |before| distances[before]);
            }
            (Form::Near(grid, index), Stream::new(distances))
        });
        match near.min_by(|a, b| a.1.bits().total_cmp(&b.1.bits())) {
            Some((form, stream)) => alone.or_as(form, stream),
            None => alone,
        }
    }
}

fn deviation_in(unit: Unit, values: &[f64], mean: &Beside<'_>, count: &Beside<'_>) -> Option<Draft> {
    let scale = unit.scale()?;
    let found = values.iter().zip(&*mean.1).zip(&*count.1).map(|((value, mean), count)| {
        let Some(bucket) = Bucket::new(scale, *mean, *count) else { return (0, 0.0) };
        let number = bucket.number(*value);
        (number, bucket.deviation(number))
    });
    let points = Points::collect(values, found);
    Some(Draft::of_points(Form::Deviation { mean: mean.0, count: count.0, unit }, points))
}
