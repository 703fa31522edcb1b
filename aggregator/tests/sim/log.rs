//! Everything that was ever appended, and what follows from it: the oracle's own backlog, never trimmed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use orzo_aggregator::record::{Payload, Record};
use orzo_model::{ArchivePolicy, Formula, MetricId};
use orzo_store::Seq;

use crate::formulas::{Event, evaluate, same};
use crate::oracle::{Model, What};
use crate::twin::Part;

/// One blob as it was written.
#[derive(Clone, Debug)]
struct Version {
    /// Number of the write.
    write: u64,
    partition: usize,
    seq: Seq,
    parts: Vec<Part>,
    /// Whether the shard knows. If not, its next blob gets the same number.
    known: bool,
}

#[derive(Default)]
pub(crate) struct Log {
    versions: Vec<Version>,
    models: HashMap<MetricId, Model>,
    policies: HashMap<MetricId, Arc<ArchivePolicy>>,
}

impl Log {
    /// Says by which policy a metric is kept.
    pub(crate) fn meet(&mut self, id: MetricId, policy: Arc<ArchivePolicy>) {
        self.policies.insert(id, policy);
    }

    pub(crate) fn model(&self, id: MetricId) -> Option<&Model> {
        self.models.get(&id)
    }

    /// A blob was written. `known`: the shard knows that it was. Says how much of each part is refused then.
    pub(crate) fn append(
        &mut self,
        write: u64,
        (partition, seq): (usize, Seq),
        parts: Vec<Part>,
        known: bool,
    ) -> Vec<usize> {
        let mut refused = Vec::new();
        if known {
            assert_eq!(seq, self.newest(partition) + 1, "blobs are numbered without gaps");
            refused.extend(parts.iter().map(|part| self.put(part)));
        }
        self.versions.push(Version { write, partition, seq, parts, known });
        refused
    }

    /// Number of the newest blob that the shard knows of.
    fn newest(&self, partition: usize) -> Seq {
        let known = self.versions.iter().filter(|version| version.partition == partition && version.known);
        known.map(|version| version.seq).max().unwrap_or(0)
    }

    fn put(&mut self, part: &Part) -> usize {
        let policy = &self.policies[&part.id];
        self.models.entry(part.id).or_insert_with(|| Model::new(policy.clone())).put(&part.what)
    }

    /// What a replay would find: the newest version of each blob.
    fn blobs(&self) -> BTreeMap<(usize, Seq), &Version> {
        self.versions.iter().map(|version| ((version.partition, version.seq), version)).collect()
    }

    /// The process starts again, and all that was written up to `last` is there.
    pub(crate) fn restart(&mut self, last: u64) {
        self.versions.retain(|version| version.write <= last);
        self.versions.iter_mut().for_each(|version| version.known = true);
        self.models.clear();
        let blobs = self.blobs().into_values();
        let parts: Vec<Part> = blobs.flat_map(|version| version.parts.clone()).collect();
        for part in &parts {
            self.put(part);
        }
    }

    /// Metrics that something was appended for.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = MetricId> {
        self.versions.iter().flat_map(|version| version.parts.iter().map(|part| part.id))
    }
}

/// Whether a record says just that.
pub(crate) fn says(record: &Record, what: &What) -> bool {
    match (&record.payload, what) {
        (Payload::Measures(measures), What::Points(back_window, points)) => {
            let equal = |(measure, point): (&orzo_model::Measure, &(u64, f64))| {
                measure.at.ns() == point.0 && measure.value.to_bits() == point.1.to_bits()
            };
            record.back_window == *back_window
                && measures.len() == points.len()
                && measures.iter().zip(points).all(equal)
        }
        (Payload::Events(summaries), What::Events(events)) => {
            summaries.len() == events.len()
                && summaries.iter().zip(events).all(|(summary, events)| sums_up(summary, events))
        }
        _ => false,
    }
}

fn sums_up(summary: &orzo_model::summary::Summary, events: &[Event]) -> bool {
    let times = || events.iter().map(|event| event.at);
    let cheap = ["count", "sum", "mean", "min", "max", "first", "last"]
        .map(|name| orzo_model::Method::parse(name).unwrap());
    let agrees = |method: orzo_model::Method| {
        let found = summary.evaluate(method.formula());
        found.zip(evaluate(method, events)).is_some_and(|(found, expected)| same(method, found, expected))
    };
    debug_assert!(cheap.iter().all(|method| method.formula() != Formula::Std));
    Some(summary.at().ns()) == times().min()
        && Some(summary.until().ns()) == times().max()
        && cheap.into_iter().all(agrees)
}
