//! Sealed blocks: the buckets of one granularity of one series that no longer change.
//!
//! A block holds slot numbers and one column per method. Everything in it is exact to the bit. Layout in
//! `docs/format/block.md`.

mod bits;
mod coded;
mod deviation;
mod digits;
mod draft;
mod estimate;
mod fit;
mod form;
mod fraction;
mod frequency;
mod grid;
mod open;
mod ordered;
mod packed;
mod predict;
mod presence;
mod rans;
mod scale;
mod seal;
mod slots;
mod stream;
mod token;

use crate::codec::{Corrupt, Reader, put_varint, seal, unseal};
use crate::column::Column;
use crate::method::Method;
use crate::run::{Decoded, Run};
use crate::time::{Granularity, Timestamp};
use open::Columns;
use presence::Presence;
use slots::Slots;

/// Buckets that one block may hold: with it, what a reader allocates is bounded.
pub const BUCKETS_MAX: usize = 65_536;
/// Columns that are read one after the other for the sake of one.
const COLUMN_DEPTH_MAX: usize = 4;
/// Values of a dictionary.
const FEW_MAX: usize = 256;

const VERSION: u8 = 0xb1;

/// Whether a stored value is a block, not a [`Run`] as a checkpoint leaves it.
pub fn is_block(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// The stored form of a run of at most [`BUCKETS_MAX`] buckets. `seq` orders blocks and runs that hold
/// the same bucket: the higher one wins.
pub fn encode(run: &Run, seq: u64) -> Vec<u8> {
    assert!(run.starts().len() <= BUCKETS_MAX, "the caller cuts longer runs");
    let mut out = vec![VERSION];
    put_varint(&mut out, seq);
    Slots::encode(&mut out, run.starts(), run.width());
    seal::encode(&mut out, run);
    seal(&mut out);
    out
}

/// Where the buckets of a block are, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the first bucket.
    pub first: Timestamp,
    /// Start of the last one.
    pub last: Timestamp,
}

/// Reads one method of a block, and no others but those it follows from.
///
/// # Errors
/// [`Corrupt`] if the checksum or the layout does not hold.
pub fn decode(bytes: &[u8], width: Granularity, method: Method) -> Result<Decoded, Corrupt> {
    let (seq, slots, mut reader) = head(unseal(bytes)?)?;
    let mut starts = slots.starts(&mut reader, width)?;
    let mut columns = Columns::decode(&mut reader, slots.count)?;
    let Some(index) = columns.methods().position(|known| known == method) else {
        return Ok(Decoded { seq, column: Column::default() });
    };
    let series = columns.series(index)?;
    if let Presence::Some(positions) = &series.presence {
        starts = positions.iter().map(|at| starts[*at as usize]).collect();
    }
    Ok(Decoded { seq, column: Column { starts, values: series.values } })
}

fn head(body: &[u8]) -> Result<(u64, Slots, Reader<'_>), Corrupt> {
    let mut reader = Reader::new(body);
    if reader.byte()? != VERSION {
        return Err(Corrupt);
    }
    let seq = reader.varint()?;
    Ok((seq, Slots::decode(&mut reader)?, reader))
}
