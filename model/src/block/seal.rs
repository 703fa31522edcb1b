//! Writing: the columns of a block, each with those that it can follow from.

use super::COLUMN_DEPTH_MAX;
use super::draft::{self, Draft};
use super::form::{Form, Index};
use super::grid::Grid;
use super::presence::{Presence, Stored};
use super::scale::Unit;
use crate::codec::put_varint;
use crate::method::{Formula, Method};
use crate::run::{Run, Values};

/// A column that was written.
struct Written {
    method: Method,
    presence: Presence,
    values: Vec<f64>,
    /// Columns that must be read before it, one after the other.
    depth: usize,
    /// The column it is a copy of.
    copy_of: Option<Index>,
    unit: Option<Unit>,
    bytes: Vec<u8>,
}

/// Appends the directory and the columns.
pub(super) fn encode(out: &mut Vec<u8>, run: &Run) {
    let mut columns: Vec<(Method, &Values)> = run.columns().collect();
    columns.sort_by_key(|(method, _)| (method.is_rate(), rank(*method)));
    let mut written = Vec::with_capacity(columns.len());
    for (method, values) in columns {
        let column = write(&written, method, values, run.starts().len());
        written.push(column);
    }
    put_varint(out, written.len() as u64);
    for column in &written {
        out.push(column.method.index());
        put_varint(out, column.bytes.len() as u64);
    }
    written.iter().for_each(|column| out.extend_from_slice(&column.bytes));
}

/// Those that others follow from come first.
fn rank(method: Method) -> u8 {
    match method.formula() {
        Formula::Count => 0,
        Formula::Sum => 1,
        Formula::Mean => 2,
        Formula::Min => 3,
        Formula::Max => 4,
        Formula::First => 5,
        Formula::Last => 6,
        Formula::Std => 7,
        Formula::Median => 8,
        Formula::Percentile(percent) => 8 + percent,
    }
}

fn write(written: &[Written], method: Method, values: &Values, buckets: usize) -> Written {
    let present: Vec<Option<f64>> = (0..buckets).map(|bucket| values.get(bucket)).collect();
    let presence = Presence::of(present.iter().map(Option::is_some));
    let values: Vec<f64> = present.into_iter().flatten().collect();
    let others = Others { written, method, presence: &presence };
    let (draft, unit) = others.shortest(&values);
    let depth = 1 + draft.form.follows().map(|index| written[index as usize].depth).max().unwrap_or(0);
    let copy_of = if let Form::Copy(source) = draft.form { Some(source) } else { None };
    let mut bytes = Vec::new();
    let stored = others.stored_presence();
    draft.encode(&mut bytes, stored, &presence, buckets);
    Written { method, presence, values, depth, copy_of, unit, bytes }
}

/// The columns before the one being written.
struct Others<'a> {
    written: &'a [Written],
    method: Method,
    presence: &'a Presence,
}

impl Others<'_> {
    fn shortest(&self, values: &[f64]) -> (Draft, Option<Unit>) {
        if let Some((source, unit)) = self.copy(values) {
            return (Draft::exact(Form::Copy(source)), unit);
        }
        if let Some(draft) =
            self.quotient(values).filter(|draft| draft.bits < 2.0 * values.len() as f64 + 40.0)
        {
            return (draft, None);
        }
        let (mut best, fit) = draft::alone(values);
        let mut unit = None;
        if let Some(fit) = &fit {
            unit = match fit.grid {
                Grid::Even(unit, _) | Grid::Significant(unit, ..) => Some(unit),
                Grid::Bits(_) => None,
            };
            for formula in [Formula::Mean, Formula::Min, Formula::Max] {
                if let Some((index, other)) = self.find(formula) {
                    let draft = Draft::near(fit, values, index, &other);
                    if draft.bits < best.bits {
                        best = draft;
                    }
                }
            }
        }
        for draft in self.deviations(values) {
            if draft.bits < best.bits {
                best = draft;
            }
        }
        (best, unit)
    }

    fn copy(&self, values: &[f64]) -> Option<(Index, Option<Unit>)> {
        let same = |column: &Written| {
            column.presence == *self.presence
                && column.depth < COLUMN_DEPTH_MAX
                && column.values.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let found = self.written.iter().position(same)?;
        let column = &self.written[found];
        Some((column.copy_of.unwrap_or(found as Index), column.unit))
    }

    fn find(&self, formula: Formula) -> Option<(Index, Vec<f64>)> {
        let wanted = |column: &Written| {
            column.method.formula() == formula && column.method.is_rate() == self.method.is_rate()
        };
        let index = self.written.iter().position(wanted)?;
        let column = &self.written[index];
        if column.depth >= COLUMN_DEPTH_MAX {
            return None;
        }
        match (&column.presence, self.presence) {
            (has, own) if has == own => Some((index as Index, column.values.clone())),
            (Presence::All, Presence::Some(positions)) => {
                Some((index as Index, positions.iter().map(|at| column.values[*at as usize]).collect()))
            }
            _ => None,
        }
    }

    fn quotient(&self, values: &[f64]) -> Option<Draft> {
        if self.method.formula() != Formula::Mean {
            return None;
        }
        let (sum, sums) = self.find(Formula::Sum)?;
        let (count, counts) = self.find(Formula::Count)?;
        Some(Draft::quotient(values, (sum, count), &sums, &counts))
    }

    fn deviations(&self, values: &[f64]) -> Vec<Draft> {
        if self.method.formula() != Formula::Std || values.is_empty() {
            return Vec::new();
        }
        let (Some((mean, means)), Some((count, counts))) =
            (self.find(Formula::Mean), self.find(Formula::Count))
        else {
            return Vec::new();
        };
        let mut units: Vec<Unit> = Vec::new();
        for unit in self
            .written
            .iter()
            .filter(|column| column.method.formula() != Formula::Count)
            .filter_map(|column| column.unit)
        {
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
        units
            .into_iter()
            .filter_map(|unit| Draft::deviation(values, unit, (mean, count), &means, &counts))
            .collect()
    }

    fn stored_presence(&self) -> Option<Stored> {
        if *self.presence == Presence::All {
            return None;
        }
        let same = self
            .written
            .iter()
            .position(|column| column.presence == *self.presence && column.depth < COLUMN_DEPTH_MAX);
        if let Some(index) = same {
            return Some(Stored::As(index as Index));
        }
        let count = self.written.iter().position(|column| {
            column.method.formula() == Formula::Count
                && column.presence == Presence::All
                && Presence::of(column.values.iter().map(|value| *value > 1.0)) == *self.presence
        });
        Some(count.map_or(Stored::Runs, |index| Stored::AboveOne(index as Index)))
    }
}
