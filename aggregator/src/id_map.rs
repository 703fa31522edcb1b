//! Maps and sets of keys that are random or hashed already.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::{HashMap, HashSet};
use orzo_model::MetricId;

/// Folds the halves of an id: the low bits name its partition, and some middle bits say that it is a UUID.
fn fold(bits: u128) -> u64 {
    (bits >> 64) as u64 ^ (bits as u64 >> 6)
}

/// Of an id.
#[inline]
pub(crate) fn hash(id: MetricId) -> u64 {
    fold(id.bits())
}

/// Takes a key for its own hash.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are single numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = fold(bits);
    }
}

/// A map by metric.
pub(crate) type IdMap<T> = HashMap<MetricId, T, BuildHasherDefault<IdHasher>>;

/// A set of metrics.
pub(crate) type IdSet = HashSet<MetricId, BuildHasherDefault<IdHasher>>;

/// A set of 64-bit hashes.
pub(crate) type HashedSet = HashSet<u64, BuildHasherDefault<IdHasher>>;
