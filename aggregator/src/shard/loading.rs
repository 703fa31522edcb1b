//! Series that speak and are not in memory: the driver reads their windows before their commit is applied.

use std::sync::Arc;

use orzo_model::series::{Series, SeriesKind};
use orzo_model::{ArchivePolicy, MetricId};
use orzo_store::Salvage;

use super::Shard;
use crate::command::{Commit, Pending};
use crate::series_table::SeriesRef;

/// A series to load.
#[derive(Clone, Debug)]
pub struct Missing {
    /// By which it is stored.
    pub id: MetricId,
    kind: SeriesKind,
    policy: Arc<ArchivePolicy>,
}

impl Shard {
    /// The series of a commit that are not in memory: load them before [`Shard::apply`].
    pub fn missing(&self, commit: &Commit) -> Vec<Missing> {
        let records = commit.lots.iter().flat_map(|lot| lot.records.iter().zip(&lot.series));
        let missing = |(pending, found): (&Pending, &SeriesRef)| {
            let id = pending.record.id;
            let wanted = !self.series.contains(*found, id) && !self.is_forgotten(id);
            wanted.then(|| Missing {
                id,
                kind: pending.record.payload.kind(),
                policy: pending.policy.clone(),
            })
        };
        let mut missing: Vec<Missing> = records.filter_map(missing).collect();
        // Stable: the first record of a series says what it is.
        missing.sort_by_key(|missing| missing.id);
        missing.dedup_by_key(|missing| missing.id);
        missing
    }

    /// Puts a series in memory, as the store has it; says whether its window could be read.
    pub fn load(&mut self, missing: &Missing, window: &[u8]) -> bool {
        let Ok(series) = Series::decode(window, missing.policy.clone()) else { return false };
        self.series.insert(missing.id, series);
        true
    }

    /// Puts a series in memory whose window is lost: it goes on behind what its rows have.
    pub fn resume(&mut self, missing: &Missing, salvage: Salvage) {
        let Missing { id, kind, policy } = missing;
        self.lost(*id, salvage);
        self.series.insert(*id, Series::resumed(*kind, policy.clone(), salvage.seq, salvage.until));
    }

    /// Says that a window is lost.
    pub(crate) fn lost(&self, id: MetricId, salvage: Salvage) {
        self.counters.damaged_windows.add(1);
        let until = salvage.until;
        tracing::error!(metric = %id, ?until, "a window is damaged: the series goes on behind its rows");
    }
}
