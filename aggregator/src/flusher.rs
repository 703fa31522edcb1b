//! Takes checkpoints to the store: rows first, then windows and low-water marks, then the shard is told.
//!
//! The order is what makes recovery right. A crash in between leaves rows that a replay writes again;
//! never a window that knows of batches whose rows are missing.

use std::sync::Arc;

use crossbeam::channel::Receiver;
use orzo_model::run::Run;
use orzo_model::series::Checkpoint;
use orzo_model::{ArchivePolicy, Granularity, MetricId, Timestamp};
use orzo_store::{Aggregates, Backlog, Extent, MetricRuns, Result};

use crate::command::Command;
use crate::handle::Handle;
use crate::series_table::CheckpointJob;

/// Physical retention is by whole splits of so many buckets, as in the reference.
const SPLIT_BUCKETS: u64 = 3600;

/// The body of a flusher thread.
pub struct Flusher {
    /// Where rows go.
    pub aggregates: Arc<dyn Aggregates>,
    /// Where windows and low-water marks go.
    pub backlog: Arc<dyn Backlog>,
    /// Jobs; the thread ends when all senders are gone.
    pub jobs: Receiver<CheckpointJob>,
    /// Tells the shards.
    pub handle: Handle,
}

impl Flusher {
    /// Runs until no job can come any more.
    pub fn run(self) {
        for job in &self.jobs {
            let partition = job.partition;
            let stored = job.store_rows(&*self.aggregates).and_then(|()| job.store_windows(&*self.backlog));
            let stored = match stored {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, partition = partition.index(), "a checkpoint could not be stored");
                    false
                }
            };
            self.handle.tell(partition, Command::Checkpointed { partition, stored });
        }
    }
}

impl CheckpointJob {
    /// The first half: rows, and before when rows may go.
    ///
    /// # Errors
    /// Whatever the store says; then nothing was promised, and the same job may be stored again.
    pub fn store_rows(&self, aggregates: &dyn Aggregates) -> Result<()> {
        let mut metrics: Vec<MetricRuns> =
            self.series.iter().map(|(id, checkpoint)| runs(*id, checkpoint)).collect();
        // The store takes sorted keys several times faster than random ones.
        metrics.sort_unstable_by_key(|metric| metric.id);
        aggregates.write(&metrics)?;
        // Before the windows are: they say what has been sealed.
        let closed = self.series.iter().flat_map(|(id, checkpoint)| closed_extents(*id, checkpoint));
        closed.into_iter().try_for_each(|extent| aggregates.seal(&extent))
    }

    /// The second half: windows and low water, in one step.
    ///
    /// # Errors
    /// As of the first half.
    pub fn store_windows(self, backlog: &dyn Backlog) -> Result<()> {
        // ORDER: after the rows.
        let mut windows: Vec<(MetricId, Vec<u8>)> =
            self.series.into_iter().map(|(id, checkpoint)| (id, checkpoint.window())).collect();
        windows.sort_unstable_by_key(|(id, _)| *id);
        backlog.checkpoint(windows, &[(self.partition, self.low)])
    }
}

fn runs(id: MetricId, checkpoint: &Checkpoint) -> MetricRuns {
    let runs = checkpoint.runs();
    let horizon =
        |run: &Run| Some((run.width(), horizon(checkpoint.policy(), run.width(), *run.starts().last()?)?));
    let horizons = runs.iter().filter_map(horizon).collect();
    MetricRuns { id, seq: checkpoint.seq(), runs, horizons }
}

/// The extents that this checkpoint closed.
fn closed_extents(id: MetricId, checkpoint: &Checkpoint) -> Vec<Extent> {
    let (before, closed) = checkpoint.closed();
    let policy = checkpoint.policy();
    let of_width = |width: Granularity| {
        // A series that was never checkpointed begins with its first bucket.
        let first = checkpoint.from();
        let before = if before == Timestamp::EPOCH { first } else { before };
        Extent::closed(id, width, policy.methods, before, first, closed)
    };
    policy.items.iter().flat_map(|item| of_width(item.granularity)).collect()
}

/// Before when buckets may go, if any may yet: the start of the split that holds the oldest one kept.
fn horizon(policy: &ArchivePolicy, width: Granularity, newest: Timestamp) -> Option<Timestamp> {
    let timespan_ns = policy.item(width)?.timespan_ns()?;
    let oldest = newest.ns().checked_sub(timespan_ns)?;
    let split = Granularity::from_ns(width.ns().checked_mul(SPLIT_BUCKETS)?)?;
    Some(Timestamp::from_ns(oldest)?.floor(split))
}
