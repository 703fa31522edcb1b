//! The backlog: measures not yet checkpointed, and the state of each series as of its last checkpoint.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orzo_model::{MetricId, Partition, Partitions, Timestamp, series};

use crate::aggregates::decode_run;
use crate::error::Result;
use crate::keys::{self, Seq};
use crate::kv::{Batch, Direction, Family, Kv, Visit, WhenStalled, prefix_end, scan_past_damage};

/// Blobs below the low-water mark are trimmed once at least so many can go in one range deletion.
const TRIM_BLOBS: Seq = 256;
/// More blobs than a block that cannot be read may hold.
const UNREADABLE_BLOBS: Seq = 1 << 20;

/// One commit of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Whose it is.
    pub partition: Partition,
    /// One more than that of the partition's blob before.
    pub seq: Seq,
    /// Opaque here.
    pub bytes: Vec<u8>,
}

/// What a partition has to replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Everything up to it is in windows and rows.
    pub low: Seq,
    /// The newest blob ever appended, as far as the store can tell.
    pub newest: Seq,
}

/// What rows tell of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// Number of the last blob in any of them.
    pub seq: Seq,
    /// Where the newest bucket of the finest granularity ends: what is older has been stored.
    pub until: Timestamp,
}

/// Single writer per partition, so the caller numbers the blobs.
pub trait Backlog: Send + Sync {
    /// Appends blobs, all or nothing. On return they survive the death of the process.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) at once while the store is stalled; nothing was written.
    fn append(&self, blobs: &[Blob]) -> Result<()>;

    /// Replaces windows and raises low-water marks, in one step.
    fn checkpoint(&self, windows: Vec<(MetricId, Vec<u8>)>, low: &[(Partition, Seq)]) -> Result<()>;

    /// The window of a metric as of its last checkpoint.
    fn window(&self, id: MetricId) -> Result<Option<Vec<u8>>>;

    /// What is still known of a series whose window is lost.
    fn salvage(&self, _id: MetricId) -> Result<Salvage> {
        Ok(Salvage::default())
    }

    /// How many damaged low-water marks were met.
    fn damaged(&self) -> u64 {
        0
    }

    /// Where a partition stands.
    fn position(&self, partition: Partition) -> Result<Position>;

    /// Visits the blobs above the low-water mark in order. In the place of blobs that cannot be read comes an
    /// empty one, numbered as the one before.
    fn replay(&self, partition: Partition, visit: &mut dyn FnMut(Seq, &[u8])) -> Result<()>;

    /// Drops the window of a metric.
    fn forget(&self, id: MetricId) -> Result<()>;

    /// On return everything appended before the call survives the death of the machine.
    fn sync(&self) -> Result<()>;
}

/// The backlog over a key-value engine. Layout: `docs/format/backlog.md`, `docs/format/window.md`.
pub struct KvBacklog {
    kv: Arc<dyn Kv>,
    partitions: Partitions,
    trim_blobs: Seq,
    damaged: AtomicU64,
}

impl KvBacklog {
    /// A view of the engine's backlog and window families.
    pub fn new(kv: Arc<dyn Kv>, partitions: Partitions) -> Self {
        KvBacklog { kv, partitions, trim_blobs: TRIM_BLOBS, damaged: AtomicU64::new(0) }
    }

    /// The same, but dead blobs go as soon as there are so many.
    pub fn with_trim(self, trim_blobs: Seq) -> Self {
        KvBacklog { trim_blobs, ..self }
    }

    /// The low-water mark; `None` if it is damaged.
    fn low(&self, partition: Partition) -> Result<Option<Seq>> {
        match self.kv.get(Family::Meta, &keys::low_water(partition)) {
            Ok(None) => Ok(Some(0)),
            Ok(Some(value)) => Ok(keys::read_low_water(&value)),
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first or the last blob. Of a partition whose first one cannot be read it is 0.
    fn edge(&self, partition: Partition, way: Direction) -> Result<Option<Seq>> {
        let mut found = None;
        let (from, to) = blobs(partition);
        let scanned = self.kv.scan(Family::Backlog, &from, &to, way, &mut |key, _| {
            found = keys::backlog_seq(key);
            ControlFlow::Break(())
        });
        match scanned {
            Err(error) if error.is_damage() && way == Direction::Forward => Ok(Some(0)),
            Err(error) if error.is_damage() => self.last_readable(partition).map(Some),
            other => other.map(|()| found),
        }
    }

    /// A number past those of a partition whose last blobs cannot be read.
    fn last_readable(&self, partition: Partition) -> Result<Seq> {
        let mut last = 0;
        let (from, to) = blobs(partition);
        let visit: &mut Visit<'_> = &mut |key, _| {
            last = keys::backlog_seq(key).unwrap_or(last);
            ControlFlow::Continue(())
        };
        scan_past_damage(&*self.kv, Family::Backlog, &from, &to, visit, &mut |_, _| {})?;
        Ok(last + UNREADABLE_BLOBS)
    }

    /// The highest number in the windows of a partition: new blobs must have higher ones, or a replay would
    /// pass over them.
    fn newest_in_windows(&self, partition: Partition) -> Result<Seq> {
        let mut newest = 0;
        let from = partition.to_bytes();
        let visit: &mut Visit<'_> = &mut |_, window| {
            newest = newest.max(series::stored_seq(window).unwrap_or(0));
            ControlFlow::Continue(())
        };
        scan_past_damage(&*self.kv, Family::Window, &from, &prefix_end(&from), visit, &mut |_, _| {})?;
        Ok(newest)
    }
}

/// The keys of a partition's blobs.
fn blobs(partition: Partition) -> ([u8; 10], [u8; 10]) {
    (keys::backlog(partition, 0), keys::backlog(partition, Seq::MAX))
}

impl Backlog for KvBacklog {
    fn append(&self, blobs: &[Blob]) -> Result<()> {
        let mut batch = Batch::default();
        for blob in blobs {
            batch.put(Family::Backlog, keys::backlog(blob.partition, blob.seq), blob.bytes.as_slice());
        }
        self.kv.write(batch, WhenStalled::Fail)
    }

    fn checkpoint(&self, windows: Vec<(MetricId, Vec<u8>)>, low: &[(Partition, Seq)]) -> Result<()> {
        let mut batch = Batch::default();
        for (id, window) in windows {
            batch.put(Family::Window, keys::metric(self.partitions.of(id), id), window);
        }
        for (partition, seq) in low {
            batch.put(Family::Meta, keys::low_water(*partition), keys::low_water_value(*seq));
            // One disjoint range at a time: many small range deletions ruin reads.
            let first = self.edge(*partition, Direction::Forward)?.unwrap_or(*seq);
            if seq.saturating_sub(first) >= self.trim_blobs {
                let (from, to) = (keys::backlog(*partition, first), keys::backlog(*partition, seq + 1));
                batch.delete_range(Family::Backlog, from, to);
            }
        }
        self.kv.write(batch, WhenStalled::Wait)
    }

    fn window(&self, id: MetricId) -> Result<Option<Vec<u8>>> {
        self.kv.get(Family::Window, &keys::metric(self.partitions.of(id), id))
    }

    /// Without a mark all blobs that are left are replayed, which changes nothing in series that have them.
    fn position(&self, partition: Partition) -> Result<Position> {
        let newest = self.edge(partition, Direction::Backward)?;
        if let Some(low) = self.low(partition)? {
            return Ok(Position { low, newest: newest.unwrap_or(low).max(low) });
        }
        // Relaxed: a statistic, ordered with nothing.
        self.damaged.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            partition = partition.index(),
            "the low-water mark is damaged: all blobs are replayed"
        );
        let newest = newest.unwrap_or(0).max(self.newest_in_windows(partition)?);
        let first = self.edge(partition, Direction::Forward)?;
        Ok(Position { low: first.map_or(newest, |first| first.saturating_sub(1)), newest })
    }

    fn salvage(&self, id: MetricId) -> Result<Salvage> {
        let prefix = keys::metric(self.partitions.of(id), id);
        let mut salvage = Salvage::default();
        let mut finest = None;
        let visit: &mut Visit<'_> = &mut |key, value| {
            // Keys sort by width.
            let width = keys::row_width(key);
            finest = finest.or(width);
            if let Some((seq, run)) = width.and_then(|width| decode_run(value, width).ok()) {
                salvage.seq = salvage.seq.max(seq);
                let end = run.starts().last().map(|last| last.saturating_add(run.width().ns()));
                salvage.until = salvage.until.max(end.filter(|_| width == finest).unwrap_or_default());
            }
            ControlFlow::Continue(())
        };
        scan_past_damage(&*self.kv, Family::Rows, &prefix, &prefix_end(&prefix), visit, &mut |_, _| {})?;
        Ok(salvage)
    }

    fn damaged(&self) -> u64 {
        // Relaxed: a statistic, ordered with nothing.
        self.damaged.load(Ordering::Relaxed)
    }

    fn replay(&self, partition: Partition, visit: &mut dyn FnMut(Seq, &[u8])) -> Result<()> {
        let low = self.low(partition)?.unwrap_or(0);
        let (from, to) = (keys::backlog(partition, low + 1), keys::backlog(partition, Seq::MAX));
        let visit = RefCell::new(visit);
        let blob: &mut Visit<'_> = &mut |key, bytes| {
            if let Some(seq) = keys::backlog_seq(key) {
                visit.borrow_mut()(seq, bytes);
            }
            ControlFlow::Continue(())
        };
        scan_past_damage(&*self.kv, Family::Backlog, &from, &to, blob, &mut |before, error| {
            let seq = keys::backlog_seq(before).filter(|_| before != from).unwrap_or(low);
            tracing::error!(
                partition = partition.index(),
                behind = seq,
                reason = error.reason(),
                "blobs are lost"
            );
            visit.borrow_mut()(seq, b"");
        })
    }

    fn forget(&self, id: MetricId) -> Result<()> {
        let mut batch = Batch::default();
        batch.delete(Family::Window, keys::metric(self.partitions.of(id), id));
        self.kv.write(batch, WhenStalled::Wait)
    }

    fn sync(&self) -> Result<()> {
        self.kv.sync()
    }
}
