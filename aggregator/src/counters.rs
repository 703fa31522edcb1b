//! What a shard counts. Written by its thread, read by anybody.

use orzo_base::Counter;
use orzo_model::drop_reason::DropReason;

/// Counters of one shard. `samples_received = samples_applied + Σ samples_dropped + samples_pending`.
#[derive(Debug, Default)]
pub struct ShardCounters {
    /// Samples taken from listeners.
    pub samples_received: Counter,
    /// Samples that are in the backlog and in their series.
    pub samples_applied: Counter,
    /// Samples that wait in slots for the next commit or flush; goes up and down.
    pub samples_pending: Counter,
    /// Samples lost, by [`DropReason::index`].
    pub samples_dropped: [Counter; DropReason::COUNT],
    /// Measures accepted over HTTP.
    pub measures_accepted: Counter,
    /// Measures over HTTP that were older than the window of their series.
    pub measures_refused: Counter,
    /// Statsd series known; goes up and down.
    pub slots: Counter,
    /// Series in memory; goes up and down.
    pub series: Counter,
    /// Series with something that no checkpoint has stored; goes up and down.
    pub series_dirty: Counter,
    /// Commits appended to the backlog.
    pub commits: Counter,
    /// Bytes appended to the backlog.
    pub backlog_bytes: Counter,
    /// Commits that waited because the store was stalled.
    pub commits_stalled: Counter,
    /// Checkpoints stored, each of many series.
    pub checkpoints: Counter,
    /// Checkpoints that failed and will be tried again.
    pub checkpoints_failed: Counter,
    /// Blobs that could not be read.
    pub damaged_blobs: Counter,
    /// Windows that could not be read.
    pub damaged_windows: Counter,
    /// When the oldest measure not yet checkpointed came, in nanoseconds since the epoch; 0: none waits.
    pub oldest_dirty_ns: Counter,
    /// Batches waiting in the lane when last looked at, the most ever.
    pub lane_high_water: Counter,
}

impl ShardCounters {
    /// Counts samples as lost.
    pub fn drop_samples(&self, reason: DropReason, samples: u64) {
        self.samples_dropped[reason.index()].add(samples);
    }
}
