//! The time grid all series of a query share, and series laid on it.

use std::borrow::Cow;
use std::ops::Range;

use crate::column::Column;
use crate::ops::fill::Fill;
use crate::time::{Granularity, Timestamp};

/// The part of a column a query looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Inclusive, floored to the granularity.
    start: Option<Timestamp>,
    /// Exclusive.
    stop: Option<Timestamp>,
}

impl Bounds {
    pub(super) fn new(start: Option<Timestamp>, stop: Option<Timestamp>, width: Granularity) -> Self {
        Bounds { start: start.map(|start| start.floor(width)), stop }
    }

    pub(super) fn of(&self, times: &[Timestamp]) -> Range<usize> {
        let start = self.start.map_or(0, |start| times.partition_point(|time| *time < start));
        let stop = self.stop.map_or(times.len(), |stop| times.partition_point(|time| *time < stop));
        start..stop.max(start)
    }
}

/// Adds the times of one more series to a grid; both ascending without repetitions.
// Series of one granularity mostly have the same times: comparing comes first.
pub(super) fn unite(grid: &mut Vec<Timestamp>, times: &[Timestamp]) {
    if grid == times || times.is_empty() {
        return;
    }
    if grid.last() < times.first() {
        grid.extend_from_slice(times);
        return;
    }
    let old = std::mem::take(grid);
    grid.reserve(old.len().max(times.len()));
    let (mut left, mut right) = (old.as_slice(), times);
    while let (Some(&a), Some(&b)) = (left.first(), right.first()) {
        grid.push(a.min(b));
        left = &left[usize::from(a <= b)..];
        right = &right[usize::from(b <= a)..];
    }
    grid.extend_from_slice(left);
    grid.extend_from_slice(right);
}

/// The values of a column on a grid, holes filled. Borrowed where nothing has to be done.
pub(super) fn place<'a>(column: Cow<'a, Column>, grid: &[Timestamp], fill: Fill) -> Cow<'a, [f64]> {
    let part = within(&column.starts, grid);
    let complete = column.starts[part.clone()] == *grid;
    if complete && !fill.carries() {
        return match column {
            Cow::Borrowed(column) => Cow::Borrowed(&column.values[part]),
            Cow::Owned(mut column) => {
                column.values.truncate(part.end);
                column.values.drain(..part.start);
                Cow::Owned(column.values)
            }
        };
    }
    let mut cells = scatter(&column.starts[part.clone()], &column.values[part], grid, fill.missing());
    fill.carry(&mut cells);
    Cow::Owned(cells)
}

/// Where the times lie that are between the ends of the grid.
fn within(times: &[Timestamp], grid: &[Timestamp]) -> Range<usize> {
    let (Some(&first), Some(&last)) = (grid.first(), grid.last()) else { return 0..0 };
    times.partition_point(|time| *time < first)..times.partition_point(|time| *time <= last)
}

// Budget: 2 ns a cell. Times that are not on the grid appeared after it was made; they are left out.
fn scatter(times: &[Timestamp], values: &[f64], grid: &[Timestamp], missing: f64) -> Vec<f64> {
    let mut cells = vec![missing; grid.len()];
    let mut at = 0;
    for (time, value) in times.iter().zip(values) {
        while at < grid.len() && grid[at] < *time {
            at += 1;
        }
        if grid.get(at) == Some(time) {
            cells[at] = *value;
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: &[u64]) -> Vec<Timestamp> {
        seconds.iter().map(|second| Timestamp::from_ns(*second).unwrap()).collect()
    }

    fn column(starts: &[u64]) -> Column {
        Column { starts: times(starts), values: starts.iter().map(|start| *start as f64).collect() }
    }

    #[test]
    fn grids_unite_sorted_and_unique() {
        for (a, b, both) in [
            (vec![], vec![1, 2], vec![1, 2]),
            (vec![1, 3, 5], vec![2, 3, 6], vec![1, 2, 3, 5, 6]),
            (vec![1, 2], vec![3], vec![1, 2, 3]),
            (vec![3], vec![1, 2], vec![1, 2, 3]),
            (vec![1, 2], vec![], vec![1, 2]),
        ] {
            let mut grid = times(&a);
            unite(&mut grid, &times(&b));
            assert_eq!(grid, times(&both));
        }
    }

    #[test]
    fn complete_columns_are_not_copied() {
        let stored = column(&[1, 2, 3, 4]);
        let placed = place(Cow::Borrowed(&stored), &times(&[2, 3]), Fill::Number(9.0));
        assert!(matches!(placed, Cow::Borrowed([2.0, 3.0])));
        let owned = place(Cow::Owned(stored), &times(&[2, 3]), Fill::Null);
        assert_eq!(*owned, [2.0, 3.0]);
    }

    #[test]
    fn holes_are_filled_and_strangers_left_out() {
        let stored = column(&[1, 3, 4, 6, 9]);
        let placed = place(Cow::Borrowed(&stored), &times(&[2, 3, 5, 6]), Fill::Forward);
        assert!(placed[0].is_nan());
        assert_eq!(placed[1..], [3.0, 3.0, 6.0]);
        assert!(place(Cow::Borrowed(&stored), &[], Fill::Forward).is_empty());
    }
}
