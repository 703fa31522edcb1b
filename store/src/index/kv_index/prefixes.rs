//! How many metrics of statsd doors share the start of their names. Counted once, when the first door asks,
//! and kept in memory from then on by the one writer; without such a limit nothing is counted.

use std::collections::HashMap;

use orzo_model::metric::prefix;

use super::documents::{MetricDocument, decode};
use super::keys;
use super::scan::{NEXT, scan_prefix};
use super::transaction::Transaction;
use crate::error::Result as StoreResult;
use crate::kv::Family;

/// Counts as they are written.
#[derive(Debug)]
pub(super) struct Prefixes {
    segments: usize,
    counts: HashMap<Box<str>, u64>,
}

impl Prefixes {
    /// Takes over what a transaction has changed.
    pub(super) fn apply(&mut self, changes: HashMap<Box<str>, i64>) {
        for (prefix, change) in changes {
            match self.counts.get(&prefix).copied().unwrap_or(0).saturating_add_signed(change) {
                0 => self.counts.remove(&prefix),
                count => self.counts.insert(prefix, count),
            };
        }
    }
}

impl Transaction<'_> {
    /// Makes sure that prefixes of so many segments are counted.
    pub(super) fn count_prefixes(&mut self, segments: usize) -> StoreResult<()> {
        if self.prefixes().is_some_and(|prefixes| prefixes.segments == segments) {
            return Ok(());
        }
        let mut counts: HashMap<Box<str>, u64> = HashMap::new();
        scan_prefix(self.kv(), Family::Index, keys::METRICS, &mut |key, value| {
            let document: Option<MetricDocument> = self.index().sound(key, decode(value, "metric"))?;
            if let Some(name) = document.as_ref().and_then(counted_name) {
                *counts.entry(prefix(name, segments).into()).or_default() += 1;
            }
            NEXT
        })?;
        self.set_prefixes(Prefixes { segments, counts });
        Ok(())
    }

    /// How many metrics share the prefix of a name.
    pub(super) fn metrics_with_prefix_of(&self, name: &str) -> u64 {
        let Some(prefixes) = self.prefixes() else { return 0 };
        let prefix = prefix(name, prefixes.segments);
        let written = prefixes.counts.get(prefix).copied().unwrap_or(0);
        written.saturating_add_signed(self.prefix_changes.get(prefix).copied().unwrap_or(0))
    }

    /// Notes that a metric came (1) or went (-1).
    pub(super) fn note_prefix(&mut self, document: &MetricDocument, change: i64) {
        let Some(prefixes) = self.prefixes() else { return };
        let Some(name) = counted_name(document) else { return };
        let prefix = prefix(name, prefixes.segments).into();
        *self.prefix_changes.entry(prefix).or_default() += change;
    }

    /// The same, of a stored document that nobody has read yet.
    pub(super) fn note_prefix_of(&mut self, document: &[u8], change: i64) {
        // A damaged one was never counted.
        if self.prefixes().is_some()
            && let Ok(document) = decode::<MetricDocument>(document, "metric")
        {
            self.note_prefix(&document, change);
        }
    }
}

fn counted_name(document: &MetricDocument) -> Option<&str> {
    document.statsd.as_ref()?;
    document.name.as_deref()
}
