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

/// Called with the number of a prefix, and each key and value under it; breaking ends the whole scan.
pub type VisitUnder<'a> = dyn FnMut(usize, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key-value engine.
pub trait Kv: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The values of many keys, in their order. Cheaper than one by one, most of all if the keys ascend.
    fn get_all(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(family, key)).collect()
    }

    /// Visits the keys in `[from, to)`; an empty `to` means no upper bound. A scan sees one moment.
    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<()>;

    /// Visits the keys under each of some prefixes, which ascend and of which none starts another. Cheaper than one
    /// scan for each.
    fn scan_under(&self, family: Family, prefixes: &[Vec<u8>], visit: &mut VisitUnder<'_>) -> Result<()> {
        for (number, prefix) in prefixes.iter().enumerate() {
            let mut ended = false;
            self.scan(family, prefix, &prefix_end(prefix), Direction::Forward, &mut |key, value| {
                let flow = visit(number, key, value);
                ended = flow.is_break();
                flow
            })?;
            if ended {
                break;
            }
        }
        Ok(())
    }

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

/// At least as many bytes as keys of series have: places between keys are looked for in so many.
const KEY_BYTES: usize = 48;

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
    let mut start = from.to_vec();
    let mut last = from.to_vec();
    loop {
        let mut ended = false;
        let scanned = kv.scan(family, &start, to, Direction::Forward, &mut |key, value| {
            last.clear();
            last.extend_from_slice(key);
            let flow = visit(key, value);
            ended = flow.is_break();
            flow
        });
        match scanned {
            Err(error) if error.is_damage() && !ended => {
                damaged(&last, &error);
                match readable_behind(kv, family, &last, to)? {
                    Some(behind) => (start, last) = (behind.clone(), behind),
                    None => return Ok(()),
                }
            }
            other => return other,
        }
    }
}

/// The first place behind a key from which the engine can read; `None` if that is the end. Looked for in steps
/// that double, and then by halves: if a step meets the next damaged block, what lies between is passed over.
fn readable_behind(kv: &dyn Kv, family: Family, key: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut place = key.to_vec();
    place.resize(KEY_BYTES.max(key.len() + 1), 0);
    let bits = 8 * place.len();
    let mut reached = None;
    for bit in 0..bits {
        if is_readable(kv, family, plus(&place, bit), to)? {
            reached = Some(bit);
            break;
        }
    }
    // Half of the step that reached it did not.
    let reached = reached.unwrap_or(bits);
    for bit in (0..reached).rev() {
        match plus(&place, bit) {
            Some(next) if !is_readable(kv, family, Some(next.clone()), to)? => place = next,
            _ => {}
        }
    }
    Ok(plus(&place, 0).filter(|place| is_before(place, to)))
}

/// Whether the engine can read from a place on; past the end there is nothing to be read.
fn is_readable(kv: &dyn Kv, family: Family, place: Option<Vec<u8>>, to: &[u8]) -> Result<bool> {
    let Some(place) = place.filter(|place| is_before(place, to)) else { return Ok(true) };
    match kv.scan(family, &place, to, Direction::Forward, &mut |_, _| ControlFlow::Break(())) {
        Err(error) if error.is_damage() => Ok(false),
        scanned => scanned.map(|()| true),
    }
}

fn is_before(place: &[u8], to: &[u8]) -> bool {
    to.is_empty() || place < to
}

/// A big-endian number plus a power of two; `None` if it does not fit.
fn plus(number: &[u8], bit: usize) -> Option<Vec<u8>> {
    let mut sum = number.to_vec();
    let mut byte = sum.len().checked_sub(1 + bit / 8)?;
    let (added, mut carry) = sum[byte].overflowing_add(1 << (bit % 8));
    sum[byte] = added;
    while carry {
        byte = byte.checked_sub(1)?;
        (sum[byte], carry) = sum[byte].overflowing_add(1);
    }
    Some(sum)
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
