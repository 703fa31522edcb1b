//! Takes checkpoints to the store: rows first, then windows and low-water marks, then the shard is told.
//!
//! The order is what makes recovery right. A crash in between leaves rows that a replay writes again;
//! never a window that knows of batches whose rows are missing.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Receiver;
use orzo_model::run::{Run, Values};
use orzo_model::series::Checkpoint;
use orzo_model::{ArchivePolicy, Granularity, MetricId, Timestamp};
use orzo_store::{Aggregates, Backlog, Closed, MetricRuns, Result, RowQuery};

use crate::command::Command;
use crate::handle::Handle;
use crate::series_table::CheckpointJob;

/// Physical retention is by whole splits of so many buckets, as in the reference.
const SPLIT_BUCKETS: u64 = 3600;

/// How long a store that fails is left alone between two checkpoints.
const RETRY: Duration = Duration::from_millis(500);

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
        let mut failing = false;
        for job in &self.jobs {
            let partition = job.partition;
            let stored = job.store_rows(&*self.aggregates).and_then(|()| job.store_windows(&*self.backlog));
            if let Err(error) = &stored {
                if !failing {
                    tracing::error!(
                        reason = error.reason(),
                        "checkpoints cannot be stored: they are tried again"
                    );
                }
                // The shard submits it again at once.
                std::thread::sleep(RETRY);
            }
            failing = stored.is_err();
            self.handle.tell(partition, Command::Checkpointed { partition, stored: !failing });
        }
    }
}

impl CheckpointJob {
    /// The first half: rows, and before when rows may go.
    ///
    /// # Errors
    /// Whatever the store says; then nothing was promised, and the same job may be stored again.
    pub fn store_rows(&self, aggregates: &dyn Aggregates) -> Result<()> {
        let runs = self.series.iter().map(|(id, checkpoint)| runs(*id, checkpoint, aggregates));
        let mut metrics: Vec<MetricRuns> = runs.collect::<Result<_>>()?;
        // The store takes sorted keys several times faster than random ones.
        metrics.sort_unstable_by_key(|metric| metric.id);
        aggregates.write(&metrics)?;
        // Before the windows are: they say what has been sealed.
        let mut closed = self.series.iter().flat_map(|(id, checkpoint)| closed(*id, checkpoint));
        closed.try_for_each(|closed| aggregates.seal(&closed))
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

fn runs(id: MetricId, checkpoint: &Checkpoint, aggregates: &dyn Aggregates) -> Result<MetricRuns> {
    let mut runs = checkpoint.runs();
    runs.iter_mut().try_for_each(|run| fill_in_rates(id, run, aggregates))?;
    let horizons = runs.iter().filter_map(|run| Some((run.width(), new_horizon(checkpoint, run)?))).collect();
    Ok(MetricRuns { id, seq: checkpoint.seq(), runs, horizons })
}

/// A bucket that is recomputed may lose its rate, because the measure before has left the window; then what
/// is stored stays. A run may replace another, so it takes over what it does not have itself.
fn fill_in_rates(id: MetricId, run: &mut Run, aggregates: &dyn Aggregates) -> Result<()> {
    let starts = run.starts().to_vec();
    let (Some(start), Some(last)) = (starts.first().copied(), starts.last()) else { return Ok(()) };
    let (width, stop) = (run.width(), Some(last.saturating_add(run.width().ns())));
    let lacks = |values: &Values| (0..starts.len()).any(|bucket| values.get(bucket).is_none());
    for (method, values) in run.columns_mut().filter(|(method, values)| method.is_rate() && lacks(values)) {
        let stored = aggregates.read(&RowQuery { id, width, method, start, stop })?;
        let mut stored = stored.iter().peekable();
        let mut filled = Values::default();
        for (bucket, start) in starts.iter().enumerate() {
            while stored.next_if(|(at, _)| at < start).is_some() {}
            let before = stored.next_if(|(at, _)| at == start).map(|(_, value)| value);
            filled.push(values.get(bucket).or(before));
        }
        *values = filled;
    }
    Ok(())
}

/// What this checkpoint closed, by granularity.
fn closed(id: MetricId, checkpoint: &Checkpoint) -> impl Iterator<Item = Closed> {
    let (before, until) = checkpoint.closed();
    let (policy, from) = (checkpoint.policy(), checkpoint.from());
    // A series that was never checkpointed begins with its first bucket.
    let before = if before == Timestamp::EPOCH { from } else { before };
    let of_width = move |width| Closed { id, width, methods: policy.methods, before, from, until };
    policy.items.iter().map(move |item| of_width(item.granularity))
}

/// Before when buckets may go, unless the store knows that or has none that old.
fn new_horizon(checkpoint: &Checkpoint, run: &Run) -> Option<Timestamp> {
    let (first, last) = (run.starts().first()?, run.starts().last()?);
    let horizon_at = |newest| horizon(checkpoint.policy(), run.width(), newest);
    let new = horizon_at(*last)?;
    let (before, _) = checkpoint.closed();
    let due = if before == Timestamp::EPOCH {
        *first < new
    } else {
        !checkpoint.is_settled() || horizon_at(before) != Some(new)
    };
    due.then_some(new)
}

/// Before when buckets may go, if any may yet: the start of the split that holds the oldest one kept.
fn horizon(policy: &ArchivePolicy, width: Granularity, newest: Timestamp) -> Option<Timestamp> {
    let timespan_ns = policy.item(width)?.timespan_ns()?;
    let oldest = newest.ns().checked_sub(timespan_ns)?;
    let split = Granularity::from_ns(width.ns().checked_mul(SPLIT_BUCKETS)?)?;
    Some(Timestamp::from_ns(oldest)?.floor(split))
}
