//! Writing: the columns of a block, each after those that it can follow from.

use super::follow::Others;
use super::form::{Form, Index};
use super::presence::{Presence, Stored};
use super::scale::Unit;
use crate::codec::put_varint;
use crate::method::{Formula, Method};
use crate::run::{Run, Values};

/// What a column of a short run takes, about.
const SHORT_COLUMN_BYTES: usize = 64;

/// A column that was written.
pub(super) struct Written {
    pub(super) method: Method,
    pub(super) presence: Presence,
    pub(super) values: Vec<f64>,
    /// Columns that a reader goes through, one after the other, to read this one.
    pub(super) depth: usize,
    /// The column it is a copy of.
    pub(super) copy_of: Option<Index>,
    /// What its values are multiples of.
    pub(super) unit: Option<Unit>,
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
    let presence = Presence::of((0..buckets).map(|bucket| values.get(bucket).is_some()));
    let values: Vec<f64> = (0..buckets).filter_map(|bucket| values.get(bucket)).collect();
    let others = Others { written, method, presence: &presence };
    let stored = others.stored_presence();
    let draft = others.shortest(&values);
    let follows = draft.form.follows().chain(stored.as_ref().and_then(Stored::follows));
    let depth = 1 + follows.map(|index| written[usize::from(index)].depth).max().unwrap_or(0);
    let mut bytes = Vec::with_capacity(SHORT_COLUMN_BYTES);
    draft.encode(&mut bytes, stored.as_ref());
    let (copy_of, unit) = match draft.form {
        Form::Copy(source) => (Some(source), written[usize::from(source)].unit),
        Form::Grid(grid) | Form::Near(grid, _) => (None, grid.unit()),
        _ => (None, None),
    };
    Written { method, presence, values, depth, copy_of, unit, bytes }
}
