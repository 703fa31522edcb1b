//! Where the columns of an evaluation come from.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::column::Column;

/// The stored buckets of each series of a query, all of one granularity.
///
/// A column is read once for the time grid (and once more where an overlap is needed), then once for
/// each operation that consumes it, one at a time: what does not fit in memory may be read from the
/// store each time. Buckets that appear between two reads are not seen.
pub trait Columns {
    /// Why a column cannot be read.
    type Error;

    /// The buckets of a series. Those outside of the range of the query are ignored.
    fn read(&self, series: usize) -> Result<Cow<'_, Column>, Self::Error>;
}

/// Columns in memory.
impl Columns for [Column] {
    type Error = std::convert::Infallible;

    fn read(&self, series: usize) -> Result<Cow<'_, Column>, Self::Error> {
        Ok(Cow::Borrowed(&self[series]))
    }
}

/// Columns read when they are asked for, and kept as long as there is room.
///
/// Memory is bounded by the room and one column; what did not fit is read again each time.
#[derive(Debug)]
pub struct ColumnReader<F> {
    read: F,
    kept: Vec<OnceCell<Column>>,
    room_points: Cell<usize>,
}

impl<F> ColumnReader<F> {
    /// Reads by `read(series)` and keeps at most `room_points` points of 16 bytes.
    pub fn new(series: usize, room_points: usize, read: F) -> Self {
        let kept = (0..series).map(|_| OnceCell::new()).collect();
        ColumnReader { read, kept, room_points: Cell::new(room_points) }
    }
}

impl<F, E> Columns for ColumnReader<F>
where
    F: Fn(usize) -> Result<Column, E>,
{
    type Error = E;

    fn read(&self, series: usize) -> Result<Cow<'_, Column>, E> {
        if let Some(column) = self.kept[series].get() {
            return Ok(Cow::Borrowed(column));
        }
        let column = (self.read)(series)?;
        match self.room_points.get().checked_sub(column.len()) {
            None => Ok(Cow::Owned(column)),
            Some(left) => {
                self.room_points.set(left);
                Ok(Cow::Borrowed(self.kept[series].get_or_init(|| column)))
            }
        }
    }
}
