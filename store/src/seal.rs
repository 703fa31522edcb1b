//! Sealing: the runs of a stretch of time that no longer changes become one block.
//!
//! Checkpoints leave a short run each, none across the border of an extent. Once an extent is closed all that
//! lies in it is merged, encoded for size, and replaced in one batch: first what is in a short extent, if that is much,
//! then what is in a long one. A reader sees the same buckets before and after.

use std::ops::{ControlFlow, Range};

use orzo_model::run::Run;
use orzo_model::{Column, Granularity, MethodSet, Partitions, Timestamp, block};

use crate::aggregates::{Overlay, decode};
use crate::error::Result;
use crate::extent::Closed;
use crate::keys::{self, RowKind, SERIES_PREFIX, Seq};
use crate::kv::{Batch, Family, Kv, Visit, WhenStalled, scan_past_damage};

/// What a stored value holds.
struct Stored {
    key: Vec<u8>,
    seq: Seq,
    run: Run,
    is_block: bool,
}

/// Seals an extent, if it holds at least `enough` values and is not one block already.
pub(crate) fn seal(
    kv: &dyn Kv,
    partitions: Partitions,
    closed: &Closed,
    kind: RowKind,
    extent: &Range<Timestamp>,
    enough: usize,
) -> Result<()> {
    let prefix = keys::series(partitions.of(closed.id), closed.id, closed.width);
    let mut found = stored(kv, &prefix, closed, RowKind::Run, extent)?;
    if kind == RowKind::Long {
        found.extend(stored(kv, &prefix, closed, kind, extent)?);
        found.sort_by_key(|stored| stored.run.starts().first().copied());
    }
    if found.len() < enough || matches!(found.as_slice(), [Stored { is_block: true, .. }]) {
        return Ok(());
    }
    let mut batch = Batch::default();
    found.iter().for_each(|stored| batch.delete(Family::Rows, stored.key.as_slice()));
    let newest = found.iter().map(|stored| stored.seq).max().unwrap_or_default();
    let whole = merged(&found, closed);
    // Where no method had a value nothing is left.
    if let Some(first) = whole.starts().first() {
        batch.put(Family::Rows, keys::row(&prefix, kind, *first), block::encode(&whole, newest));
    }
    kv.write(batch, WhenStalled::Wait)
}

/// What lies in an extent. What is damaged stays where it is.
fn stored(
    kv: &dyn Kv,
    prefix: &[u8; SERIES_PREFIX],
    closed: &Closed,
    kind: RowKind,
    extent: &Range<Timestamp>,
) -> Result<Vec<Stored>> {
    let [from, to] = [extent.start, extent.end].map(|at| keys::row(prefix, kind, at));
    let mut found = Vec::new();
    let visit: &mut Visit<'_> = &mut |key, bytes| {
        if let Some((seq, run)) = decode_all(bytes, closed) {
            found.push(Stored { key: key.to_vec(), seq, run, is_block: block::is_block(bytes) });
        }
        ControlFlow::Continue(())
    };
    scan_past_damage(kv, Family::Rows, &from, &to, visit, &mut |_, _| {})?;
    Ok(found)
}

fn decode_all(bytes: &[u8], closed: &Closed) -> Option<(Seq, Run)> {
    let mut seq = 0;
    let mut columns = Vec::new();
    for method in closed.methods.iter() {
        let decoded = decode(bytes, closed.width, method).ok()?;
        seq = decoded.seq;
        columns.push(decoded.column);
    }
    Some((seq, assemble(closed.width, &closed.methods, columns)))
}

fn merged(found: &[Stored], closed: &Closed) -> Run {
    let of_method = |method| {
        let mut overlay = Overlay::default();
        found.iter().for_each(|stored| overlay.add(stored.seq, stored.run.column(method)));
        overlay.finish()
    };
    assemble(closed.width, &closed.methods, closed.methods.iter().map(of_method).collect())
}

/// One run of columns that need not have the same buckets.
fn assemble(width: Granularity, methods: &MethodSet, columns: Vec<Column>) -> Run {
    let mut starts: Vec<Timestamp> =
        columns.iter().flat_map(|column| column.starts.iter().copied()).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut run = Run::new(width, []);
    starts.iter().for_each(|start| run.open_bucket(*start));
    for (method, column) in methods.iter().zip(columns) {
        let mut buckets = column.iter().peekable();
        run.add_column(method, starts.iter().map(|start| Some(buckets.next_if(|(at, _)| at == start)?.1)));
    }
    run
}
