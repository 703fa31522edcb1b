//! Verifies a whole store: every value of every family decodes, and what they say of each other agrees.
//!
//! Reads only, and reads past what cannot be read. The engine finds bytes that rotted on the disk, checksums
//! find values that did, and cross-checks find what is missing: keys without documents and documents without
//! keys, rows without metrics and metrics without windows, holes in the backlog, blocks that overlap.
//!
//! Records of the backlog belong to the shards, so the caller brings the function that reads them.

mod meta;
mod place;
mod rows;
mod series;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "a suite fails by panicking")]
pub mod suite;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use orzo_model::{MetricId, Partition};

use crate::backlog::Position;
use crate::error::Result;
use crate::index::audit;
use crate::kv::{Family, Kv};

pub(crate) use place::{metric as of_metric, of_text_key};
pub(crate) use walk::Walk;
pub use walk::{Event, Finding, Tally};

/// Whose batches a blob holds; `None` if it does not decode.
pub type ReadBlob = fn(&[u8]) -> Option<Vec<MetricId>>;

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What was read.
    pub tallies: BTreeMap<Family, Tally>,
    /// Active metrics.
    pub metrics: u64,
    /// How many things were found; each was told.
    pub findings: u64,
}

/// Walks all families and tells what it finds.
///
/// # Errors
/// Only if the engine fails for another reason than damage: then the check is not complete.
pub fn check(kv: &dyn Kv, read_blob: ReadBlob, tell: &mut dyn FnMut(Event)) -> Result<Summary> {
    let mut walk = Walk::new(kv, tell);
    let metrics = audit::audit(&mut walk)?;
    let identity = meta::identity(&mut walk)?;
    let Some(identity) = identity else { return Ok(walk.summary(metrics.active.len())) };
    let mut low = meta::low_water_marks(&mut walk, identity.partitions)?;
    let mut known =
        Known { metrics, pending: BTreeSet::new(), positions: BTreeMap::new(), windows: Vec::new() };
    for partition in identity.partitions.all() {
        let low = low.remove(&partition).unwrap_or(Some(0));
        series::backlog(&mut walk, partition, low, read_blob, &mut known)?;
        series::windows(&mut walk, identity.partitions, partition, &mut known)?;
        rows::rows(&mut walk, identity.partitions, partition, &mut known)?;
        known.windows.clear();
    }
    walk.strays(identity.partitions)?;
    Ok(walk.summary(known.metrics.active.len()))
}

/// What one family needs to know of the others.
pub(crate) struct Known {
    /// What the index says.
    pub(crate) metrics: audit::Metrics,
    /// Metrics with batches above low water: their windows may be yet to come.
    pub(crate) pending: BTreeSet<MetricId>,
    /// Where partitions stand, as far as marks and blobs tell.
    pub(crate) positions: BTreeMap<Partition, Position>,
    /// Metrics of the present partition that have a window, ascending.
    pub(crate) windows: Vec<MetricId>,
}

impl Known {
    /// The number of the newest blob of a partition.
    pub(crate) fn newest(&self, partition: Partition) -> u64 {
        self.positions.get(&partition).map_or(0, |position| position.newest)
    }
}
