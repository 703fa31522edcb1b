//! Sealed blocks: buckets of one granularity of one series that no longer change, all their methods.
//!
//! A block is slot numbers and a column per method, each stored in the shortest way that is exact to the
//! bit: as integers on a grid (`grid`), as fractions, as entries of a dictionary, or by what it follows
//! from (`follow`). All of these come down to streams of integers (`stream`). One method is read
//! without the others, but for those it follows from. Whatever bytes say, readers return: the work and
//! memory they can cause is bounded by [`BUCKETS_MAX`]. Layout: `docs/format/block.md`.

mod alone;
mod bits;
mod coded;
mod deviation;
mod digits;
mod draft;
mod estimate;
mod follow;
mod form;
mod fraction;
mod frequency;
mod grid;
mod open;
mod ordered;
pub(crate) mod packed;
mod points;
mod predict;
mod presence;
mod rans;
mod scale;
mod seal;
mod slots;
mod stream;
#[cfg(test)]
mod tests;
mod token;

use crate::codec::{Corrupt, Reader, put_varint, seal, unseal};
use crate::column::Column;
use crate::method::Method;
use crate::run::{Decoded, Run};
use crate::time::{Granularity, Timestamp};
use open::Columns;
use presence::Presence;
use slots::Slots;

/// Buckets of one block: with it, what a reader allocates is bounded.
pub const BUCKETS_MAX: usize = 65_536;
/// Columns that are read, one after the other, for the sake of one.
const COLUMN_DEPTH_MAX: usize = 4;
/// Different values that a dictionary can hold.
const FEW_MAX: usize = 256;

/// Other than that of a run, so that neither is taken for the other.
const VERSION: u8 = 0xb1;

/// Whether a stored value is a block, not a [`Run`] as a checkpoint leaves it.
pub fn is_block(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// The stored form of a run. `seq` orders blocks and runs that hold the same bucket: the higher one wins.
///
/// # Panics
/// If the run has more than [`BUCKETS_MAX`] buckets.
pub fn encode(run: &Run, seq: u64) -> Vec<u8> {
    assert!(run.starts().len() <= BUCKETS_MAX, "a block is cut before it is sealed");
    let mut out = vec![VERSION];
    put_varint(&mut out, seq);
    Slots::encode(&mut out, run.starts(), run.width());
    seal::encode(&mut out, run);
    seal(&mut out);
    out
}

/// Reads one method of a block, and no others but those it follows from.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode(bytes: &[u8], width: Granularity, method: Method) -> Result<Decoded, Corrupt> {
    let (seq, slots, mut reader) = open_head(bytes)?;
    let mut starts = slots.starts(&mut reader, width)?;
    let mut columns = Columns::decode(&mut reader, slots.count())?;
    let Some(index) = columns.methods().position(|known| known == method) else {
        return Ok(Decoded { seq, column: Column::default() });
    };
    let series = columns.series(index)?;
    if let Presence::Some(positions) = &series.presence {
        starts = positions.iter().map(|at| starts[*at as usize]).collect();
    }
    Ok(Decoded { seq, column: Column { starts, values: series.values } })
}

/// Reads all methods of a block: its `seq` and the run. The order of the methods is not kept.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode_run(bytes: &[u8], width: Granularity) -> Result<(u64, Run), Corrupt> {
    let (seq, slots, mut reader) = open_head(bytes)?;
    let mut run = Run::new(width, []);
    slots.starts(&mut reader, width)?.into_iter().for_each(|start| run.open_bucket(start));
    let mut columns = Columns::decode(&mut reader, slots.count())?;
    let methods: Vec<Method> = columns.methods().collect();
    for (index, method) in methods.into_iter().enumerate() {
        run.add_column(method, columns.kept(index)?.spread(slots.count()).into_iter());
    }
    Ok((seq, run))
}

/// What a block covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// See [`encode`].
    pub seq: u64,
    /// How many buckets it has.
    pub buckets: usize,
    /// Starts of the first and the last one, of all methods together; `None` if it has none.
    pub ends: Option<(Timestamp, Timestamp)>,
}

/// Reads what a block covers, without decoding a column.
///
/// # Errors
/// [`Corrupt`] if the checksum or the head does not hold.
pub fn span(bytes: &[u8], width: Granularity) -> Result<Span, Corrupt> {
    let (seq, slots, _) = open_head(bytes)?;
    Ok(Span { seq, buckets: slots.count(), ends: slots.ends(width)? })
}

fn open_head(bytes: &[u8]) -> Result<(u64, Slots, Reader<'_>), Corrupt> {
    let mut reader = Reader::new(unseal(bytes)?);
    if reader.byte()? != VERSION {
        return Err(Corrupt);
    }
    let seq = reader.varint()?;
    Ok((seq, Slots::decode(&mut reader)?, reader))
}
