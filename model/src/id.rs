//! Who a metric is, and which partition owns it.

use std::fmt;

use uuid::Uuid;

/// Identifies a metric: 128 bits that read as a UUID. The remainder by the number of partitions
/// names its owner, as the reference does with sacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(u128);

impl MetricId {
    /// Derives the id of a statsd series from its canonical name. `salt` tells databases (and, mixed
    /// in by the caller, resources and types) apart. The bits say UUID version 8 ("custom").
    #[inline]
    pub fn from_name(salt: u64, name: &[u8]) -> Self {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        let hash = xxhash_rust::xxh3::xxh3_128_with_seed(name, salt);
        MetricId((hash & !VERSION & !VARIANT) | (8 << 76) | (0b10 << 62))
    }

    /// The id with these 128 bits.
    pub const fn from_bits(bits: u128) -> Self {
        MetricId(bits)
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Big-endian bytes, the form used in keys.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads the form written by [`MetricId::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        MetricId(u128::from_be_bytes(bytes))
    }
}

impl From<Uuid> for MetricId {
    fn from(uuid: Uuid) -> Self {
        MetricId(uuid.as_u128())
    }
}

impl From<MetricId> for Uuid {
    fn from(id: MetricId) -> Self {
        Uuid::from_u128(id.0)
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from(*self).fmt(f)
    }
}

impl fmt::Debug for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A fixed slice of the metric ids: the unit of ownership and recovery (the reference's sack).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// Position among all partitions, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Big-endian bytes, the form used in keys.
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// How many partitions a database has; fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// Partitions of a new database.
    pub const DEFAULT: Partitions = Partitions(64);

    /// `None` unless `count` is 1 to 4096 and a power of two (so that shards share them evenly).
    pub const fn new(count: u16) -> Option<Self> {
        if count.is_power_of_two() && count <= 4096 { Some(Partitions(count)) } else { None }
    }

    /// How many there are.
    pub const fn count(self) -> usize {
        self.0 as usize
    }

    /// The partition that owns `id`.
    #[inline]
    pub const fn of(self, id: MetricId) -> Partition {
        Partition((id.0 as u16) & (self.0 - 1))
    }

    /// All of them, in order.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_version_8_uuids_and_stable() {
        let id = MetricId::from_name(7, b"page.views");
        assert_eq!(Uuid::from(id).get_version_num(), 8);
        assert_eq!(Uuid::from(id).get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id, MetricId::from_name(7, b"page.views"));
        assert_ne!(id, MetricId::from_name(8, b"page.views"));
    }

    #[test]
    fn partition_is_the_remainder() {
        let id = MetricId::from_bits(0x1234_5678);
        assert_eq!(Partitions::DEFAULT.of(id).index(), 0x1234_5678 % 64);
        assert_eq!(Partitions::new(48), None);
        assert_eq!(MetricId::from_bytes(id.to_bytes()), id);
    }
}
