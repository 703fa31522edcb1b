//! Medians, across columns and along a window. They need all values at once, so they come in bounded
//! tiles and in a tree of ranks.

use std::borrow::Cow;

use crate::rollup::sort_values;

/// Cells held at once while medians across columns are computed: 32 MiB.
const TILE_CELLS: usize = 1 << 22;

/// The median of each row over `width` columns of `len` rows, ignoring NaN.
///
/// If all cells do not fit in a tile, columns are computed once for each tile.
pub(super) fn across<'a, E>(
    len: usize,
    width: usize,
    column: impl Fn(usize) -> Result<Cow<'a, [f64]>, E>,
) -> Result<Vec<f64>, E> {
    across_tiles(len, width, TILE_CELLS, column)
}

fn across_tiles<'a, E>(
    len: usize,
    width: usize,
    tile_cells: usize,
    column: impl Fn(usize) -> Result<Cow<'a, [f64]>, E>,
) -> Result<Vec<f64>, E> {
    let rows_max = (tile_cells / width.max(1)).max(1);
    let mut medians = Vec::with_capacity(len);
    let mut tile = Vec::new();
    while medians.len() < len {
        let first = medians.len();
        let rows = rows_max.min(len - first);
        tile.clear();
        tile.resize(rows * width, f64::NAN);
        for index in 0..width {
            let values = column(index)?;
            for (row, value) in values[first..first + rows].iter().enumerate() {
                tile[row * width + index] = *value;
            }
        }
        medians.extend((0..rows).map(|row| of_row(&mut tile[row * width..(row + 1) * width])));
    }
    Ok(medians)
}

/// The median of unordered values, NaN ignored.
fn of_row(row: &mut [f64]) -> f64 {
    let mut count = 0;
    for index in 0..row.len() {
        if !row[index].is_nan() {
            row.swap(count, index);
            count += 1;
        }
    }
    if count == 0 {
        return f64::NAN;
    }
    let (below, middle, _) = row[..count].select_nth_unstable_by(count / 2, f64::total_cmp);
    match count % 2 {
        1 => *middle,
        _ => (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + *middle) / 2.0,
    }
}

/// The median of each window of `size` values, NaN ignored. `size` is at least 1 and at most the length.
pub(super) fn rolling(values: &[f64], size: usize) -> Vec<f64> {
    let mut ranks = Ranks::new(values);
    let mut medians = Vec::with_capacity(values.len() + 1 - size);
    for end in 0..values.len() {
        ranks.insert(end);
        if end + 1 >= size {
            medians.push(ranks.median());
            ranks.remove(end + 1 - size);
        }
    }
    medians
}

/// A multiset of values out of a known list, kept as counts by rank in a Fenwick tree (Fenwick 1994):
/// insertion, removal and selection in O(log n).
struct Ranks {
    /// All numbers of the list, ascending.
    sorted: Vec<f64>,
    /// For each position of the list its rank, counted from 1; 0 for NaN.
    rank_of: Vec<usize>,
    tree: Vec<isize>,
    count: usize,
}

impl Ranks {
    fn new(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).filter(|index| !values[*index].is_nan()).collect();
        order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut rank_of = vec![0; values.len()];
        order.iter().enumerate().for_each(|(rank, index)| rank_of[*index] = rank + 1);
        let mut sorted: Vec<f64> = order.iter().map(|index| values[*index]).collect();
        sort_values(&mut sorted);
        Ranks { tree: vec![0; sorted.len() + 1], sorted, rank_of, count: 0 }
    }

    fn insert(&mut self, index: usize) {
        self.add(self.rank_of[index], 1);
    }

    fn remove(&mut self, index: usize) {
        self.add(self.rank_of[index], -1);
    }

    fn add(&mut self, rank: usize, change: isize) {
        if rank == 0 {
            return;
        }
        self.count = self.count.wrapping_add_signed(change);
        let mut node = rank;
        while node < self.tree.len() {
            self.tree[node] += change;
            node += node & node.wrapping_neg();
        }
    }

    fn median(&self) -> f64 {
        match self.count {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.nth(odd / 2),
            even => (self.nth(even / 2 - 1) + self.nth(even / 2)) / 2.0,
        }
    }

    /// The value with `below` others before it.
    fn nth(&self, below: usize) -> f64 {
        let (mut node, mut left) = (0, below as isize);
        let mut step = self.tree.len().next_power_of_two() / 2;
        while step > 0 {
            if let Some(&held) = self.tree.get(node + step)
                && held <= left
            {
                node += step;
                left -= held;
            }
            step /= 2;
        }
        self.sorted[node]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: f64 = f64::NAN;

    #[test]
    fn rows_ignore_nan() {
        for (row, expected) in [
            (vec![3.0, X, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, X, 2.0, 3.0], 2.5),
            (vec![f64::NEG_INFINITY, 1.0], f64::NEG_INFINITY),
            (vec![7.0], 7.0),
        ] {
            assert_eq!(of_row(&mut row.clone()), expected, "{row:?}");
        }
        assert!(of_row(&mut [X, X]).is_nan() && of_row(&mut []).is_nan());
    }

    #[test]
    fn tiles_change_nothing() {
        let columns: Vec<Vec<f64>> =
            (0..5_u64).map(|c| (0..23_u64).map(|r| ((r * 7 + c * 13) % 11) as f64).collect()).collect();
        let with = |cells| {
            across_tiles::<()>(23, 5, cells, |index| Ok(Cow::Borrowed(columns[index].as_slice()))).unwrap()
        };
        assert_eq!(with(1), with(TILE_CELLS));
        assert_eq!(with(12), with(TILE_CELLS));
        let none = across::<()>(2, 0, |_| unreachable!("there is no column")).unwrap();
        assert!(none.len() == 2 && none.iter().all(|median| median.is_nan()));
    }

    #[test]
    fn windows_slide() {
        assert_eq!(rolling(&[5.0, 1.0, 1.0, 8.0, 2.0], 3), [1.0, 1.0, 2.0]);
        assert_eq!(rolling(&[5.0, X, 1.0, 8.0], 2)[..], [5.0, 1.0, 4.5]);
        assert!(rolling(&[X, X, 1.0], 2)[0].is_nan());
    }
}
