//! The pooled unit of hand-over from a listener to a shard: up to 512 samples and their names.

use arrayvec::ArrayVec;

use crate::sample::Sample;
use crate::time::Timestamp;

/// Samples in a full batch.
pub const SAMPLES_PER_BATCH: usize = 512;
/// Bytes of names in a full batch.
pub const NAME_BYTES_PER_BATCH: usize = 32 * 1024;

/// Samples of one burst of input, for one shard, with the names that ride along one after another.
#[derive(Debug)]
pub struct Batch {
    samples: ArrayVec<Sample, SAMPLES_PER_BATCH>,
    names: ArrayVec<u8, NAME_BYTES_PER_BATCH>,
    arrived: Timestamp,
    home: u16,
}

impl Batch {
    /// An empty batch that belongs to the listener with index `home`.
    pub fn new(home: usize) -> Self {
        let home = u16::try_from(home).expect("listeners are threads: far fewer than 65536");
        Batch { samples: ArrayVec::new(), names: ArrayVec::new(), arrived: Timestamp::EPOCH, home }
    }

    /// Empties it for a burst that arrived at `arrived`.
    #[inline]
    pub fn reopen(&mut self, arrived: Timestamp) {
        self.samples.clear();
        self.names.clear();
        self.arrived = arrived;
    }

    /// Appends a sample and its name, or returns false if there is no room for both. `name_len` is set
    /// here.
    #[inline]
    pub fn push(&mut self, sample: &Sample, name: &[u8]) -> bool {
        let Ok(name_len) = u16::try_from(name.len()) else { return false };
        if self.samples.is_full() || self.names.try_extend_from_slice(name).is_err() {
            return false;
        }
        self.samples.push(Sample { name_len, ..*sample });
        true
    }

    /// The samples, in order of arrival.
    #[inline]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Each sample with the name that rides along (see [`Sample::names`]).
    pub fn iter(&self) -> impl Iterator<Item = (&Sample, &[u8])> {
        let mut names = self.names.as_slice();
        self.samples.iter().map(move |sample| {
            let (name, rest) = names.split_at(usize::from(sample.name_len));
            names = rest;
            (sample, name)
        })
    }

    /// How many samples.
    #[inline]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// When its burst was read: the arrival time of every sample in it.
    #[inline]
    pub fn arrived(&self) -> Timestamp {
        self.arrived
    }

    /// Index of the listener whose pool it goes back to.
    #[inline]
    pub fn home(&self) -> usize {
        usize::from(self.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MetricId;
    use crate::sample::{Flags, Kind};

    fn sample(n: u64) -> Sample {
        let (kind, flags) = (Kind::Counter, Flags::NONE);
        Sample { id: MetricId::from_bits(u128::from(n)), value: n, aux: 0, name_len: 0, kind, flags }
    }

    #[test]
    fn names_stay_with_their_samples() {
        let mut batch = Batch::new(3);
        batch.reopen(Timestamp::MAX);
        for (n, name) in ["a", "", "a.long.one"].into_iter().enumerate() {
            assert!(batch.push(&sample(n as u64), name.as_bytes()));
        }
        let seen: Vec<_> = batch.iter().map(|(sample, name)| (sample.value, name)).collect();
        assert_eq!(seen, [(0, &b"a"[..]), (1, b""), (2, b"a.long.one")]);
        assert_eq!((batch.home(), batch.arrived()), (3, Timestamp::MAX));
        batch.reopen(Timestamp::EPOCH);
        assert!(batch.is_empty() && batch.iter().next().is_none());
    }

    #[test]
    fn full_means_samples_or_names_and_changes_nothing() {
        let mut batch = Batch::new(0);
        assert!((0..SAMPLES_PER_BATCH as u64).all(|n| batch.push(&sample(n), b"n")));
        assert!(!batch.push(&sample(0), b"n"));
        assert_eq!(batch.len(), SAMPLES_PER_BATCH);

        batch.reopen(Timestamp::EPOCH);
        assert!(batch.push(&sample(0), &[b'x'; NAME_BYTES_PER_BATCH - 1]));
        assert!(!batch.push(&sample(1), b"xx"));
        assert!(batch.push(&sample(2), b"x"));
        assert_eq!(batch.iter().map(|(sample, name)| (sample.value, name.len())).last(), Some((2, 1)));
    }
}
