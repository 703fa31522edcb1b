//! Damaged values of the index: counted, said, and passed over, so that each costs only itself.

use std::sync::atomic::{AtomicU64, Ordering};

use super::KvIndex;
use super::documents::Counters;
use super::keys;
use super::scan::{NEXT, scan_prefix};
use crate::check::of_text_key;
use crate::error::Result;
use crate::kv::{Family, Kv};

/// Damaged values met.
#[derive(Debug, Default)]
pub(super) struct Damage(AtomicU64);

impl Damage {
    /// Notes a damaged value. The log has the first ones, and then fewer and fewer: readers meet the same
    /// one again and again.
    pub(super) fn note(&self, key: &[u8]) {
        // Relaxed: a statistic, ordered with nothing.
        let met = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if met.is_power_of_two() {
            tracing::error!(met, place = of_text_key(key), "a damaged value of the index is passed over");
        }
    }

    pub(super) fn met(&self) -> u64 {
        // Relaxed: a statistic, ordered with nothing.
        self.0.load(Ordering::Relaxed)
    }
}

impl KvIndex {
    /// What was read; nothing if it is damaged.
    pub(super) fn sound<T>(&self, key: &[u8], read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(error) if error.is_damage() => {
                self.damage.note(key);
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

impl Counters {
    /// The counters of an index whose own are damaged.
    pub(super) fn counted(kv: &dyn Kv) -> Result<Self> {
        let mut counters = Counters::default();
        scan_prefix(kv, Family::Index, keys::METRICS, &mut |_, _| {
            counters.metrics += 1;
            NEXT
        })?;
        scan_prefix(kv, Family::Index, keys::REVISIONS, &mut |key, _| {
            let number = keys::revision_parts(key).map_or(0, |(_, number)| number);
            counters.revision = counters.revision.max(number);
            NEXT
        })?;
        Ok(counters)
    }
}
