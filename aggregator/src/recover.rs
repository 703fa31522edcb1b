//! What a shard does before it takes anything: read windows and replay blobs.
//!
//! For each of its partitions: blobs above the low-water mark, in order; for each series in them its window
//! once, and then every batch that the window does not hold yet. Rows already written are written again with
//! the same content.

use orzo_model::series::Series;
use orzo_model::{ArchivePolicy, MetricId, Partition, Timestamp};
use orzo_store::index::Index;
use orzo_store::{Backlog, Result, Seq, index};
use std::sync::Arc;

use crate::id_map::IdMap;
use crate::record::{self, Names, Record};
use crate::series_table::SeriesRef;
use crate::shard::{Shard, put};

/// What a recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Blobs read.
    pub blobs: u64,
    /// Batches put in series.
    pub batches: u64,
    /// Batches of metrics that are gone.
    pub orphans: u64,
    /// Blobs or windows that did not decode.
    pub damaged: u64,
}

/// Brings a new shard to where the store is.
///
/// # Errors
/// When the store or the index cannot be read. Damage is counted instead, and skipped.
pub fn recover(
    shard: &mut Shard,
    backlog: &dyn Backlog,
    index: &dyn Index,
    now: Timestamp,
) -> Result<Recovered> {
    let mut replay =
        Replay { shard, backlog, index, now, known: IdMap::default(), found: Recovered::default() };
    for partition in replay.shard.config.owned.clone() {
        replay.partition(partition)?;
    }
    let Replay { shard, found, .. } = replay;
    shard.publish();
    Ok(found)
}

struct Replay<'a> {
    shard: &'a mut Shard,
    backlog: &'a dyn Backlog,
    index: &'a dyn Index,
    now: Timestamp,
    /// Number of the last batch in the stored window of each series met; `None`: the metric is gone.
    known: IdMap<Option<Seq>>,
    found: Recovered,
}

impl Replay<'_> {
    fn partition(&mut self, partition: Partition) -> Result<()> {
        let position = self.backlog.position(partition)?;
        self.shard.start_after(partition, position);
        // Collected first: a number may be told by a later blob if the one before it is damaged.
        let (mut blobs, mut names) = (Vec::new(), Names::default());
        self.backlog.replay(partition, &mut |seq, bytes| {
            // One that cannot be read is counted below.
            let _ = names.learn(bytes);
            blobs.push((seq, bytes.to_vec()));
        })?;
        for (seq, bytes) in blobs {
            self.found.blobs += 1;
            match record::decode(&bytes, &names) {
                Ok(records) => records.into_iter().try_for_each(|record| self.record(seq, record))?,
                Err(_) => {
                    tracing::error!(
                        partition = partition.index(),
                        seq,
                        "a blob is damaged: its measures are lost"
                    );
                    self.shard.counters.damaged_blobs.add(1);
                    self.found.damaged += 1;
                }
            }
            self.shard.series.appended(partition, seq, self.now);
        }
        Ok(())
    }

    fn record(&mut self, seq: Seq, record: Record) -> Result<()> {
        let stored = match self.known.get(&record.id) {
            Some(known) => *known,
            None => {
                let stored = self.load(&record)?;
                self.known.insert(record.id, stored);
                stored
            }
        };
        match stored {
            None => self.found.orphans += 1,
            Some(stored) if seq <= stored => {}
            Some(_) => {
                put(&mut self.shard.series, SeriesRef::NONE, record, seq, self.now);
                self.found.batches += 1;
            }
        }
        Ok(())
    }

    /// Puts a series in memory as its window has it.
    fn load(&mut self, record: &Record) -> Result<Option<Seq>> {
        let Some(policy) = self.policy(record.id)? else { return Ok(None) };
        let window = match self.backlog.window(record.id) {
            Err(error) if error.is_damage() => Some(Vec::new()),
            read => read?,
        };
        // Not what the index says: by now it may be another than when the record was made.
        let kind = record.payload.kind();
        let series = match window.map(|window| Series::decode(&window, policy.clone())) {
            Some(Ok(series)) => series,
            Some(Err(_)) => {
                self.found.damaged += 1;
                let salvage = self.backlog.salvage(record.id)?;
                self.shard.lost(record.id, salvage);
                Series::resumed(kind, policy, salvage.seq, salvage.until)
            }
            None => Series::new(kind, policy),
        };
        let stored = series.seq();
        self.shard.series.insert(record.id, series);
        Ok(Some(stored))
    }

    fn policy(&self, id: MetricId) -> Result<Option<Arc<ArchivePolicy>>> {
        let metric = match index::metric(self.index, id) {
            Err(index::Error::Store(error)) if !error.is_damage() => return Err(error),
            // What the index cannot read it counts; without a policy there is nothing to put batches in.
            found => found.unwrap_or_default(),
        };
        Ok(metric.map(|metric| metric.policy))
    }
}
