//! Sealing: the runs of a stretch of time that no longer changes become one block.
//!
//! Checkpoints leave a short run each, none across the border of an extent. Once an extent of slots is closed
//! its runs are merged, encoded for size, and replaced in one batch. A reader sees the same buckets before
//! and after.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use orzo_model::run::{RUN_SLOTS_MAX, Run};
use orzo_model::{Column, Granularity, MethodSet, MetricId, Partitions, Timestamp, block};

use crate::aggregates::{Overlay, decode};
use crate::error::Result;
use crate::keys::{self, RowKind, SERIES_PREFIX, Seq};
use crate::kv::{Batch, Family, Kv, Visit, WhenStalled, scan_past_damage};

/// A stretch of one granularity of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Whose.
    pub id: MetricId,
    /// Width of the buckets.
    pub width: Granularity,
    /// The methods that its policy keeps.
    pub methods: MethodSet,
    /// Its first bucket.
    pub start: Timestamp,
    /// The first bucket after it.
    pub end: Timestamp,
}

impl Extent {
    /// The extents of a series that are closed before `closed`: the one that was open at `before`, and
    /// those that buckets were written to from `from` on.
    pub fn closed(
        id: MetricId,
        width: Granularity,
        methods: MethodSet,
        before: Timestamp,
        from: Timestamp,
        closed: Timestamp,
    ) -> impl Iterator<Item = Extent> {
        let number = move |at: Timestamp| extent_of(id, width, at);
        let slot = move |number: u64| (number * RUN_SLOTS_MAX).saturating_sub(shift(id));
        let at = move |slot: u64| Timestamp::saturating_from_ns(slot.saturating_mul(width.ns()));
        let end = number(closed);
        let numbers: BTreeSet<u64> =
            (number(from)..end).chain([number(before)]).filter(|n| *n < end).collect();
        let extent =
            move |number| Extent { id, width, methods, start: at(slot(number)), end: at(slot(number + 1)) };
        numbers.into_iter().map(extent)
    }
}

/// Number of the extent in which an instant lies.
pub(crate) fn extent_of(id: MetricId, width: Granularity, at: Timestamp) -> u64 {
    (at.ns() / width.ns() + shift(id)) / RUN_SLOTS_MAX
}

/// Where extents begin differs from series to series, so that not all seal in the same second.
fn shift(id: MetricId) -> u64 {
    (id.bits() >> 16) as u64 % RUN_SLOTS_MAX
}

/// What a stored value holds.
struct Stored {
    key: Vec<u8>,
    seq: Seq,
    run: Run,
    is_block: bool,
}

/// Seals an extent, if it is not one block already.
pub(crate) fn seal(kv: &dyn Kv, partitions: Partitions, extent: &Extent) -> Result<()> {
    let prefix = keys::series(partitions.of(extent.id), extent.id, extent.width);
    let found = stored(kv, &prefix, extent)?;
    if matches!(found.as_slice(), [] | [Stored { is_block: true, .. }]) {
        return Ok(());
    }
    let mut batch = Batch::default();
    found.iter().for_each(|stored| batch.delete(Family::Rows, stored.key.as_slice()));
    let newest = found.iter().map(|stored| stored.seq).max().unwrap_or_default();
    let whole = merged(&found, extent);
    // Where no method had a value nothing is left.
    if let Some(first) = whole.starts().first() {
        batch.put(Family::Rows, keys::row(&prefix, RowKind::Run, *first), block::encode(&whole, newest));
    }
    kv.write(batch, WhenStalled::Wait)
}

/// The runs and blocks of an extent. Damaged ones stay where they are.
fn stored(kv: &dyn Kv, prefix: &[u8; SERIES_PREFIX], extent: &Extent) -> Result<Vec<Stored>> {
    let [from, to] = [extent.start, extent.end].map(|at| keys::row(prefix, RowKind::Run, at));
    let mut found = Vec::new();
    let visit: &mut Visit<'_> = &mut |key, bytes| {
        if let Some((seq, run)) = decode_all(bytes, extent) {
            found.push(Stored { key: key.to_vec(), seq, run, is_block: block::is_block(bytes) });
        }
        ControlFlow::Continue(())
    };
    scan_past_damage(kv, Family::Rows, &from, &to, visit, &mut |_, _| {})?;
    Ok(found)
}

fn decode_all(bytes: &[u8], extent: &Extent) -> Option<(Seq, Run)> {
    let mut seq = 0;
    let mut columns = Vec::new();
    for method in extent.methods.iter() {
        let decoded = decode(bytes, extent.width, method).ok()?;
        seq = decoded.seq;
        columns.push(decoded.column);
    }
    Some((seq, assemble(extent.width, &extent.methods, columns)))
}

fn merged(found: &[Stored], extent: &Extent) -> Run {
    let of_method = |method| {
        let mut overlay = Overlay::default();
        found.iter().for_each(|stored| overlay.add(stored.seq, stored.run.column(method)));
        overlay.finish()
    };
    assemble(extent.width, &extent.methods, extent.methods.iter().map(of_method).collect())
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
