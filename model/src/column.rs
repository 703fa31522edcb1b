//! A series as columns: what reads return and queries compute with.

use crate::time::Timestamp;

/// Buckets of one method and one granularity, ascending; both vectors have the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Where each bucket starts.
    pub starts: Vec<Timestamp>,
    /// Its value.
    pub values: Vec<f64>,
}

impl Column {
    /// How many buckets.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Appends a bucket.
    pub fn push(&mut self, start: Timestamp, value: f64) {
        self.starts.push(start);
        self.values.push(value);
    }

    /// Keeps the buckets that start at `from` or after, and before `to`.
    pub fn clip(&mut self, from: Timestamp, to: Option<Timestamp>) {
        let end = to.map_or(self.len(), |to| self.starts.partition_point(|start| *start < to));
        self.starts.truncate(end);
        self.values.truncate(end);
        let begin = self.starts.partition_point(|start| *start < from);
        self.starts.drain(..begin);
        self.values.drain(..begin);
    }

    /// Appends all buckets of another column.
    pub fn extend(&mut self, other: &Column) {
        self.starts.extend_from_slice(&other.starts);
        self.values.extend_from_slice(&other.values);
    }

    /// Takes the buckets from the position `at` on away, and gives them.
    pub fn split_off(&mut self, at: usize) -> Column {
        Column { starts: self.starts.split_off(at), values: self.values.split_off(at) }
    }

    /// Start and value of each bucket.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> + '_ {
        self.starts.iter().copied().zip(self.values.iter().copied())
    }
}

impl FromIterator<(Timestamp, f64)> for Column {
    fn from_iter<I: IntoIterator<Item = (Timestamp, f64)>>(buckets: I) -> Self {
        let (starts, values) = buckets.into_iter().unzip();
        Column { starts, values }
    }
}
