//! The backlog: measures not yet checkpointed, and the state of each series as of its last checkpoint.

use std::ops::ControlFlow;
use std::sync::Arc;

use orzo_model::{MetricId, Partition, Partitions};

use crate::error::{Error, Result};
use crate::keys::{self, Seq};
use crate::kv::{Batch, Direction, Family, Kv, WhenStalled};

/// Blobs below the low-water mark are trimmed once at least so many can go in one range deletion.
const TRIM_BLOBS: Seq = 1024;

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

/// Single writer per partition, so the caller numbers the blobs.
pub trait Backlog: Send + Sync {
    /// Appends blobs, all or nothing. On return they survive the death of the process.
    ///
    /// # Errors
    /// [`Error::Busy`] at once while the store is stalled; nothing was written.
    fn append(&self, blobs: &[Blob]) -> Result<()>;

    /// Replaces windows and raises low-water marks, in one step.
    fn checkpoint(&self, windows: Vec<(MetricId, Vec<u8>)>, low: &[(Partition, Seq)]) -> Result<()>;

    /// The window of a metric as of its last checkpoint.
    fn window(&self, id: MetricId) -> Result<Option<Vec<u8>>>;

    /// Where a partition stands.
    fn position(&self, partition: Partition) -> Result<Position>;

    /// Visits the blobs above the low-water mark in order.
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
}

impl KvBacklog {
    /// A view of the engine's backlog and window families.
    pub fn new(kv: Arc<dyn Kv>, partitions: Partitions) -> Self {
        KvBacklog { kv, partitions }
    }

    fn low(&self, partition: Partition) -> Result<Seq> {
        let stored = self.kv.get(Family::Meta, &keys::low_water(partition))?;
        stored.map_or(Ok(0), |bytes| {
            keys::read_low_water(&bytes).ok_or(Error::Corrupt { what: "low-water mark" })
        })
    }

    fn first(&self, partition: Partition) -> Result<Option<Seq>> {
        self.edge(partition, Direction::Forward)
    }

    fn edge(&self, partition: Partition, way: Direction) -> Result<Option<Seq>> {
        let mut found = None;
        let (from, to) = (keys::backlog(partition, 0), keys::backlog(partition, Seq::MAX));
        self.kv.scan(Family::Backlog, &from, &to, way, &mut |key, _| {
            found = keys::backlog_seq(key);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
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
            let first = self.first(*partition)?.unwrap_or(*seq);
            if seq.saturating_sub(first) >= TRIM_BLOBS {
                let (from, to) = (keys::backlog(*partition, first), keys::backlog(*partition, seq + 1));
                batch.delete_range(Family::Backlog, from, to);
            }
        }
        self.kv.write(batch, WhenStalled::Wait)
    }

    fn window(&self, id: MetricId) -> Result<Option<Vec<u8>>> {
        self.kv.get(Family::Window, &keys::metric(self.partitions.of(id), id))
    }

    fn position(&self, partition: Partition) -> Result<Position> {
        let low = self.low(partition)?;
        let newest = self.edge(partition, Direction::Backward)?.unwrap_or(low).max(low);
        Ok(Position { low, newest })
    }

    fn replay(&self, partition: Partition, visit: &mut dyn FnMut(Seq, &[u8])) -> Result<()> {
        let from = keys::backlog(partition, self.low(partition)? + 1);
        let to = keys::backlog(partition, Seq::MAX);
        self.kv.scan(Family::Backlog, &from, &to, Direction::Forward, &mut |key, bytes| {
            if let Some(seq) = keys::backlog_seq(key) {
                visit(seq, bytes);
            }
            ControlFlow::Continue(())
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
