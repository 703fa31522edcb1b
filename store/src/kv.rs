//! The ground under the stores: an ordered key-value engine with families, atomic batches and one log.
//!
//! The layouts of `Backlog`, `Aggregates` and `Index` are written once, over this trait; an engine
//! (memory, RocksDB) brings only the bytes. A back end that is no ordered key-value engine (SQL, an
//! object store) implements the three traits instead.

use std::ops::ControlFlow;

use crate::error::{Error, Result};

/// A keyspace with tuning of its own. Batches are atomic across families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Format version, seed, partitions, low-water marks.
    Meta,
    /// Measures not yet checkpointed, by partition and sequence number.
    Backlog,
    /// The live state of each series as of its last checkpoint.
    Window,
    /// Buckets.
    Rows,
    /// Documents of the index, by key.
    Index,
    /// Secondary keys of the index: empty values, prefix scans.
    IndexBy,
}

impl Family {
    /// Every family, in the order of the enum.
    pub const ALL: [Family; 6] =
        [Family::Meta, Family::Backlog, Family::Window, Family::Rows, Family::Index, Family::IndexBy];

    /// Its name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Meta => "meta",
            Family::Backlog => "backlog",
            Family::Window => "window",
            Family::Rows => "rows",
            Family::Index => "index",
            Family::IndexBy => "index_by",
        }
    }
}

/// One change of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Key, value.
    Put(Vec<u8>, Vec<u8>),
    /// Key.
    Delete(Vec<u8>),
    /// First key, first key after.
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// Changes that happen together or not at all, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What changes, and where.
    pub changes: Vec<(Family, Change)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, family: Family, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((family, Change::Put(key.into(), value.into())));
    }

    /// Takes a key away, if it is there.
    pub fn delete(&mut self, family: Family, key: impl Into<Vec<u8>>) {
        self.changes.push((family, Change::Delete(key.into())));
    }

    /// Takes away all keys in `[from, to)`.
    pub fn delete_range(&mut self, family: Family, from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) {
        self.changes.push((family, Change::DeleteRange(from.into(), to.into())));
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// What a write does while the engine catches up with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStalled {
    /// Waits.
    Wait,
    /// Returns [`Error::Busy`](crate::Error::Busy) at once.
    Fail,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Called with each key and value of a scan; breaking ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key-value engine.
pub trait Kv: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Visits the keys in `[from, to)`; an empty `to` means no upper bound. A scan sees one moment.
    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()>;

    /// Applies a batch. On return it survives the death of the process, not of the machine.
    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> Result<()>;

    /// On return everything written before the call survives the death of the machine.
    fn sync(&self) -> Result<()>;

    /// Called after writes have failed for a while, with nothing lost by it: an engine that stays broken
    /// until it is opened again does that here.
    fn revive(&self) -> Result<()> {
        Ok(())
    }
}

/// More bytes than most keys have behind the start of a scan.
const KEY_BYTES: usize = 16;

/// Visits the keys in `[from, to)`, ascending, also behind blocks that the engine cannot read: `damaged` is
/// told of each such place, and the scan goes on at the nearest key behind it that can be read.
pub fn scan_past_damage(
    kv: &dyn Kv,
    family: Family,
    from: &[u8],
    to: &[u8],
    visit: &mut Visit<'_>,
    damaged: &mut dyn FnMut(&[u8], &Error),
) -> Result<()> {
    let mut last = None;
    let mut starts: Box<dyn Iterator<Item = Vec<u8>>> = Box::new(std::iter::once(from.to_vec()));
    while let Some(start) = starts.next() {
        let (mut advanced, mut ended) = (false, false);
        let scanned = kv.scan(family, &start, to, Direction::Forward, &mut |key, value| {
            (last, advanced) = (Some(key.to_vec()), true);
            let flow = visit(key, value);
            ended = flow.is_break();
            flow
        });
        match scanned {
            Err(error) if error.is_damage() && !ended => {
                // Nothing new was read: the same place, seen from a key further on.
                if advanced || start == from {
                    damaged(last.as_deref().unwrap_or(from), &error);
                    starts = further(last.clone(), from, to);
                }
            }
            other => return other,
        }
    }
    Ok(())
}

/// Keys behind the last one read, each further away than the one before: level by level, from its last byte
/// to its first, those that differ there. If none was read yet, it is taken to have been the first that can
/// be.
fn further(last: Option<Vec<u8>>, from: &[u8], to: &[u8]) -> Box<dyn Iterator<Item = Vec<u8>>> {
    let key = last.unwrap_or_else(|| [from, &[0; KEY_BYTES]].concat());
    let to = to.to_vec();
    let levels = (1..=key.len()).rev().flat_map({
        let key = key.clone();
        move |len| {
            let (head, byte) = (&key[..len - 1], key[len - 1]);
            let next = prefix_end(&key[..len]);
            let inside_next = children(next.clone());
            let others = (byte.saturating_add(2)..=u8::MAX).map(|byte| [head, &[byte]].concat());
            std::iter::once(next).chain(inside_next).chain(others).collect::<Vec<_>>()
        }
    });
    let starts = std::iter::once([key.as_slice(), &[0]].concat()).chain(levels);
    Box::new(starts.filter(move |start| !start.is_empty() && (to.is_empty() || *start < to)))
}

/// Keys of one more byte.
fn children(key: Vec<u8>) -> Vec<Vec<u8>> {
    if key.is_empty() { Vec::new() } else { (1..=u8::MAX).map(|byte| [&key[..], &[byte]].concat()).collect() }
}

/// The first key after all keys that start with `prefix`; empty if there is none.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    end
}
