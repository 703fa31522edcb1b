//! Expired rows go when tables are merged: no tombstones, no scans.
//!
//! The horizon of a series sorts before its runs. A filter remembers the last horizon it met and drops
//! the runs of that series that end before it. If a merge sees the runs without the horizon they stay
//! until the next one; reads clip anyway, so only space is late.

use std::ffi::CStr;

use orzo_store::keys::{RowKind, SERIES_PREFIX};
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

const NAME: &CStr = c"orzo-retention-1";

/// Makes one filter for each merge.
pub(crate) struct RetentionFactory;

impl CompactionFilterFactory for RetentionFactory {
    type Filter = Retention;

    fn create(&mut self, _context: CompactionFilterContext) -> Retention {
        Retention::default()
    }

    fn name(&self) -> &CStr {
        NAME
    }
}

/// The last horizon met.
#[derive(Default)]
pub(crate) struct Retention {
    prefix: [u8; SERIES_PREFIX],
    before_ns: u64,
}

impl CompactionFilter for Retention {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> CompactionDecision {
        if self.expired(key, value) { CompactionDecision::Remove } else { CompactionDecision::Keep }
    }

    fn name(&self) -> &CStr {
        NAME
    }
}

impl Retention {
    /// Total: a key or value of any shape keeps the row.
    fn expired(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some((prefix, rest)) = key.split_first_chunk::<SERIES_PREFIX>() else { return false };
        let Some((&kind, start)) = rest.split_first() else { return false };
        let Some(kind) = RowKind::of(kind) else { return false };
        if kind == RowKind::Horizon {
            self.prefix = *prefix;
            self.before_ns = value.try_into().map_or(0, u64::from_be_bytes);
            return false;
        }
        let Ok(start_ns) = start.try_into().map(u64::from_be_bytes) else { return false };
        let Some(width_ns) = prefix.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) else {
            return false;
        };
        let end_ns = start_ns.saturating_add(width_ns.saturating_mul(kind.slots_max()));
        *prefix == self.prefix && end_ns <= self.before_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orzo_model::{Granularity, MetricId, Partitions, SECOND, Timestamp};
    use orzo_store::keys;

    fn key(id: u128, kind: RowKind, slot: u64) -> Vec<u8> {
        let (id, width) = (MetricId::from_bits(id), Granularity::from_ns(SECOND).unwrap());
        let prefix = keys::series(Partitions::DEFAULT.of(id), id, width);
        keys::row(&prefix, kind, Timestamp::from_ns(slot * SECOND).unwrap()).to_vec()
    }

    #[test]
    fn drops_only_runs_that_end_before_the_horizon_of_their_own_series() {
        let mut filter = Retention::default();
        let horizon = (5000 * SECOND).to_be_bytes();
        assert!(!filter.expired(&key(1, RowKind::Run, 0), b""));
        assert!(!filter.expired(&key(1, RowKind::Horizon, 0), &horizon));
        for kind in RowKind::BUCKETS {
            assert!(filter.expired(&key(1, kind, 5000 - kind.slots_max()), b""));
            assert!(!filter.expired(&key(1, kind, 5001 - kind.slots_max()), b""));
        }
        assert!(!filter.expired(&key(2, RowKind::Run, 0), b""));
        assert!(!filter.expired(&key(1, RowKind::Horizon, 0), b"short"));
        assert!(!filter.expired(&key(1, RowKind::Run, 0), b""));
    }

    #[test]
    fn keys_of_any_shape_are_kept() {
        let mut filter = Retention::default();
        for len in 0..64 {
            assert!(!filter.expired(&vec![0; len], b"x"));
            assert!(!filter.expired(&vec![255; len], &[255; 8]));
        }
    }
}
