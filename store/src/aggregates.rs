//! The aggregates: every bucket ever computed, in runs.

use std::cmp::Reverse;
use std::iter::repeat_n;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orzo_model::codec::Corrupt;
use orzo_model::run::{self, Decoded, Run};
use orzo_model::{Column, Granularity, Method, MetricId, Partitions, Timestamp, block};

use crate::error::{Error, Result};
use crate::extent::{Closed, Extents};
use crate::keys::{self, RowKind, Seq};
use crate::kv::{Batch, Direction, Family, Kv, Visit, WhenStalled, prefix_end, scan_past_damage};
use crate::seal;

/// Runs of fewer buckets stay runs: what they save would not pay for the head of a block.
const BLOCK_BUCKETS_MIN: usize = 4;

/// Runs of one metric from one checkpoint.
#[derive(Clone, Debug)]
pub struct MetricRuns {
    /// Whose they are.
    pub id: MetricId,
    /// Of the last batch in them: where runs overlap, the higher number wins.
    pub seq: Seq,
    /// Not empty; each of another granularity.
    pub runs: Vec<Run>,
    /// Before when buckets may go, by granularity.
    pub horizons: Vec<(Granularity, Timestamp)>,
}

/// One method of one granularity of one metric, from `start` to before `stop`.
#[derive(Clone, Copy, Debug)]
pub struct RowQuery {
    /// Whose.
    pub id: MetricId,
    /// Width of the buckets.
    pub width: Granularity,
    /// Which column.
    pub method: Method,
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive; `None`: to the newest.
    pub stop: Option<Timestamp>,
}

/// Where buckets are kept.
pub trait Aggregates: Send + Sync {
    /// Stores runs. On return they survive the death of the process, and whatever is written to the
    /// backlog afterwards does not survive a death of the machine that they do not.
    fn write(&self, metrics: &[MetricRuns]) -> Result<()>;

    /// Merges what lies in extents in which nothing changes any more, for size and for quick reads.
    fn seal(&self, closed: &Closed) -> Result<()>;

    /// The buckets asked for, ascending. Damaged runs are skipped and counted.
    fn read(&self, query: &RowQuery) -> Result<Column>;

    /// Start of the newest bucket that has a value of `method`, if it is at `since` or after.
    fn newest(
        &self,
        id: MetricId,
        width: Granularity,
        method: Method,
        since: Timestamp,
    ) -> Result<Option<Timestamp>>;

    /// Drops everything of a metric.
    fn retire(&self, id: MetricId) -> Result<()>;

    /// How many damaged values reads have met.
    fn damaged(&self) -> u64;
}

/// The aggregates over a key-value engine. Layout: `docs/format/rows.md`.
pub struct KvAggregates {
    kv: Arc<dyn Kv>,
    partitions: Partitions,
    extents: Extents,
    damaged: AtomicU64,
}

impl KvAggregates {
    /// A view of the engine's rows family.
    pub fn new(kv: Arc<dyn Kv>, partitions: Partitions) -> Self {
        KvAggregates { kv, partitions, extents: Extents::default(), damaged: AtomicU64::new(0) }
    }

    /// The same, with extents of other sizes than a database has.
    pub fn with_extents(self, extents: Extents) -> Self {
        KvAggregates { extents, ..self }
    }

    fn extent_of(&self, query: &RowQuery, kind: RowKind, at: Timestamp) -> u64 {
        self.extents.number(kind, query.id, query.width, at)
    }

    /// Visits one method of what is stored as `kind`. The query bounds where it may have buckets.
    fn visit(
        &self,
        query: &RowQuery,
        kind: RowKind,
        way: Direction,
        visit: &mut dyn FnMut(Decoded) -> ControlFlow<()>,
    ) -> Result<()> {
        let prefix = keys::series(self.partitions.of(query.id), query.id, query.width);
        // What starts before the query may reach into it, from within the same extent.
        let extent = self.extent_of(query, kind, query.start);
        let from = keys::row(&prefix, kind, self.extents.range(kind, query.id, query.width, extent).start);
        let to = keys::row(&prefix, kind, query.stop.unwrap_or(Timestamp::MAX));
        let mut visit_one: Box<Visit<'_>> =
            Box::new(|_, bytes| match decode(bytes, query.width, query.method) {
                Ok(decoded) => visit(decoded),
                Err(_) => {
                    self.note_damage(query);
                    ControlFlow::Continue(())
                }
            });
        match way {
            Direction::Backward => self.kv.scan(Family::Rows, &from, &to, way, &mut visit_one),
            Direction::Forward => {
                let damaged: &mut dyn FnMut(&[u8], &Error) = &mut |_, _| self.note_damage(query);
                scan_past_damage(&*self.kv, Family::Rows, &from, &to, &mut visit_one, damaged)
            }
        }
    }

    fn overlay(&self, query: &RowQuery, kind: RowKind) -> Result<Overlay> {
        let mut overlay = Overlay::default();
        self.visit(query, kind, Direction::Forward, &mut |Decoded { seq, mut column }| {
            column.clip(query.start, query.stop);
            overlay.add(seq, column);
            ControlFlow::Continue(())
        })?;
        Ok(overlay)
    }

    fn newest_of(&self, query: &RowQuery, kind: RowKind) -> Result<Option<Timestamp>> {
        let extent = |at: Option<Timestamp>| at.map(|at| self.extent_of(query, kind, at));
        let mut newest = None;
        self.visit(query, kind, Direction::Backward, &mut |Decoded { column, .. }| {
            newest = newest.max(column.starts.last().copied());
            // What starts earlier may reach further, but only within its extent.
            let first = column.starts.first().copied();
            if first.is_some() && extent(first) < extent(newest) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(newest.filter(|newest| *newest >= query.start))
    }

    /// The log has the first damaged runs, and then fewer and fewer: each read meets them again.
    fn note_damage(&self, query: &RowQuery) {
        // Relaxed: a statistic, ordered with nothing.
        let met = self.damaged.fetch_add(1, Ordering::Relaxed) + 1;
        if met.is_power_of_two() {
            tracing::error!(met, metric = %query.id, width = ?query.width, "damaged rows are passed over");
        }
    }
}

impl Aggregates for KvAggregates {
    fn write(&self, metrics: &[MetricRuns]) -> Result<()> {
        let mut batch = Batch::default();
        for metric in metrics {
            for run in &metric.runs {
                let prefix = keys::series(self.partitions.of(metric.id), metric.id, run.width());
                let extent = |start| self.extents.number(RowKind::Run, metric.id, run.width(), start);
                for part in run.parts(extent) {
                    let key = keys::row(&prefix, RowKind::Run, part.starts()[0]);
                    batch.put(Family::Rows, key, encode(&part, metric.seq));
                }
            }
            for (width, before) in &metric.horizons {
                let prefix = keys::series(self.partitions.of(metric.id), metric.id, *width);
                let key = keys::row(&prefix, RowKind::Horizon, Timestamp::EPOCH);
                batch.put(Family::Rows, key, before.ns().to_be_bytes());
            }
        }
        self.kv.write(batch, WhenStalled::Wait)
    }

    fn seal(&self, closed: &Closed) -> Result<()> {
        let mut extents = self.extents.sealed_by(closed);
        extents.try_for_each(|(kind, extent)| {
            seal::seal(&*self.kv, self.partitions, closed, kind, &extent, self.extents.worth(kind))
        })
    }

    fn read(&self, query: &RowQuery) -> Result<Column> {
        let [newer, older] = RowKind::BUCKETS.map(|kind| self.overlay(query, kind));
        let mut whole = older?;
        whole.append(newer?);
        Ok(whole.finish())
    }

    fn newest(
        &self,
        id: MetricId,
        width: Granularity,
        method: Method,
        since: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let mut query = RowQuery { id, width, method, start: since, stop: None };
        let mut newest = None;
        for kind in RowKind::BUCKETS {
            match self.newest_of(&query, kind) {
                // The long way, past what cannot be read.
                Err(error) if error.is_damage() => return Ok(self.read(&query)?.starts.last().copied()),
                found => newest = newest.max(found?),
            }
            query.start = newest.unwrap_or(since);
        }
        Ok(newest)
    }

    fn retire(&self, id: MetricId) -> Result<()> {
        let prefix = keys::metric(self.partitions.of(id), id);
        let end = prefix_end(&prefix);
        let mut batch = Batch::default();
        let mut unreadable = false;
        let visit: &mut Visit<'_> = &mut |key, _| {
            batch.delete(Family::Rows, key);
            ControlFlow::Continue(())
        };
        scan_past_damage(&*self.kv, Family::Rows, &prefix, &end, visit, &mut |_, _| unreadable = true)?;
        if unreadable {
            batch.delete_range(Family::Rows, prefix, end);
        }
        self.kv.write(batch, WhenStalled::Wait)
    }

    fn damaged(&self) -> u64 {
        // Relaxed: a statistic, ordered with nothing.
        self.damaged.load(Ordering::Relaxed)
    }
}

/// A block is smaller than a run, unless there are but a few buckets.
fn encode(run: &Run, seq: Seq) -> Vec<u8> {
    if run.starts().len() < BLOCK_BUCKETS_MIN { run.encode(seq) } else { block::encode(run, seq) }
}

/// Reads one method of a run or of a block; their first byte tells which it is.
pub(crate) fn decode(
    bytes: &[u8],
    width: Granularity,
    method: Method,
) -> std::result::Result<Decoded, Corrupt> {
    if block::is_block(bytes) {
        block::decode(bytes, width, method)
    } else {
        run::decode(bytes, width, method)
    }
}

/// Reads all methods of a run or of a block.
pub(crate) fn decode_run(bytes: &[u8], width: Granularity) -> std::result::Result<(Seq, Run), Corrupt> {
    if block::is_block(bytes) { block::decode_run(bytes, width) } else { run::decode_run(bytes, width) }
}

/// Puts runs on top of each other, best in order of their starts: per bucket the highest number wins.
#[derive(Default)]
pub(crate) struct Overlay {
    column: Column,
    /// Where the buckets of each run begin, and its number.
    runs: Vec<(usize, Seq)>,
    overlapping: bool,
}

impl Overlay {
    pub(crate) fn add(&mut self, seq: Seq, column: Column) {
        self.append(Overlay { column, runs: vec![(0, seq)], overlapping: false });
    }

    /// Takes all runs of another one.
    pub(crate) fn append(&mut self, other: Overlay) {
        let Some(last) = self.column.starts.last() else {
            *self = other;
            return;
        };
        let begin = self.column.len();
        self.overlapping |=
            other.overlapping || other.column.starts.first().is_some_and(|first| first <= last);
        self.runs.extend(other.runs.into_iter().map(|(at, seq)| (begin + at, seq)));
        self.column.extend(&other.column);
    }

    pub(crate) fn finish(self) -> Column {
        if !self.overlapping {
            return self.column;
        }
        let ends = self.runs[1..].iter().map(|(begin, _)| *begin).chain([self.column.len()]);
        let seqs = self.runs.iter().zip(ends).flat_map(|((begin, seq), end)| repeat_n(*seq, end - begin));
        let mut buckets: Vec<(Timestamp, Seq, f64)> =
            self.column.iter().zip(seqs).map(|((start, value), seq)| (start, seq, value)).collect();
        buckets.sort_by_key(|(start, seq, _)| (*start, Reverse(*seq)));
        buckets.dedup_by_key(|(start, ..)| *start);
        buckets.into_iter().map(|(start, _, value)| (start, value)).collect()
    }
}
