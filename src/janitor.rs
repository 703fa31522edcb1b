//! Frees what deleted metrics left behind.

use std::collections::HashSet;
use std::time::Duration;

use orzo_base::Stop;
use orzo_model::MetricId;
use orzo_store::index::Result;

use crate::stores::Stores;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_secs(10);
/// Metrics expunged in one round.
const METRICS_PER_ROUND: usize = 10_000;

/// Runs until stopped.
pub(crate) fn run(stores: &Stores, stop: &Stop) {
    let thread = std::thread::current();
    stop.on_request(move || thread.unpark());
    let mut seen = HashSet::new();
    while !stop.requested() {
        match round(stores, &seen) {
            Ok(still_there) => seen = still_there,
            Err(error) => tracing::error!(%error, "deleted metrics could not be expunged"),
        }
        std::thread::park_timeout(INTERVAL);
    }
}

/// Expunges the deleted metrics that were deleted in the round before already: by now no checkpoint of
/// them is under way. Says which ones are left.
fn round(stores: &Stores, seen: &HashSet<MetricId>) -> Result<HashSet<MetricId>> {
    let deleted = stores.index.deleted_metrics(None, METRICS_PER_ROUND)?;
    let (old, new): (Vec<MetricId>, Vec<MetricId>) =
        deleted.into_iter().map(|metric| metric.id).partition(|id| seen.contains(id));
    for id in &old {
        stores.aggregates.retire(*id)?;
        stores.backlog.forget(*id)?;
    }
    if !old.is_empty() {
        stores.index.expunge(&old)?;
        tracing::debug!(metrics = old.len(), "expunged deleted metrics");
    }
    Ok(new.into_iter().collect())
}
