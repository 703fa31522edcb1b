//! Keys of series data. Numbers are big-endian, so that keys sort by partition, metric, width and time.
//! Drawn in `docs/format/`.

use orzo_model::codec::checksum;
use orzo_model::run::RUN_SLOTS_MAX;
use orzo_model::{Granularity, MetricId, Partition, Timestamp};

/// Number of a backlog blob within its partition, from 1.
pub type Seq = u64;

/// Bytes of a row key before its kind: everything about one granularity of one metric.
pub const SERIES_PREFIX: usize = 2 + 16 + 8;

/// Table of the names of metrics in the secondary keys of the index: its keys go on with the resource and the name.
pub const NAMES: u8 = b'n';

/// The part of a secondary key of the index that the names of one resource share; `None` if it is no such key.
pub fn names_prefix(key: &[u8]) -> Option<&[u8]> {
    key.get(..1 + 16).filter(|prefix| prefix[0] == NAMES)
}

/// Slots of a long extent: so many that the key and the head of its block weigh little beside what is in it, so few that
/// reading one value takes a tenth of a millisecond at most.
const LONG_SLOTS_MAX: u64 = 4096;

/// What a key of the rows family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Before which rows of the prefix may go. Sorts first.
    Horizon = 0,
    /// Buckets of a short extent: a run, or a block.
    Run = 1,
    /// A block of a long extent.
    Long = 2,
}

impl RowKind {
    /// The kinds that hold buckets, in the order in which a reader asks for them: what is sealed meanwhile it meets twice,
    /// and does not miss.
    pub const BUCKETS: [RowKind; 2] = [RowKind::Run, RowKind::Long];

    /// The kind of a row, by the byte in its key that says it.
    pub fn of(byte: u8) -> Option<Self> {
        [RowKind::Horizon, RowKind::Run, RowKind::Long].into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Slots that a value of this kind spans at most.
    pub const fn slots_max(self) -> u64 {
        match self {
            RowKind::Horizon => 0,
            RowKind::Run => RUN_SLOTS_MAX,
            RowKind::Long => LONG_SLOTS_MAX,
        }
    }
}

/// Key of a backlog blob.
pub fn backlog(partition: Partition, seq: Seq) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&partition.to_bytes());
    key[2..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Number of the blob with this key.
pub fn backlog_seq(key: &[u8]) -> Option<Seq> {
    Some(Seq::from_be_bytes(*key.last_chunk::<8>()?))
}

/// Key of a low-water mark in the meta family.
pub fn low_water(partition: Partition) -> Vec<u8> {
    [b"low/".as_slice(), &partition.to_bytes()].concat()
}

/// The value of a low-water mark: a checksum, and the number.
pub fn low_water_value(seq: Seq) -> [u8; 12] {
    let mut value = [0; 12];
    value[..4].copy_from_slice(&checksum(&seq.to_be_bytes()).to_le_bytes());
    value[4..].copy_from_slice(&seq.to_be_bytes());
    value
}

/// Reads a low-water mark; `None` if it is damaged. Marks of before they had a checksum are the number alone.
pub fn read_low_water(value: &[u8]) -> Option<Seq> {
    let (sum, seq) = value.split_last_chunk::<8>()?;
    let sound = sum.is_empty() || sum == checksum(seq).to_le_bytes();
    sound.then(|| Seq::from_be_bytes(*seq))
}

/// Key of everything about one metric: of its window, and the prefix of its rows.
pub fn metric(partition: Partition, id: MetricId) -> [u8; 18] {
    let mut key = [0; 18];
    key[..2].copy_from_slice(&partition.to_bytes());
    key[2..].copy_from_slice(&id.to_bytes());
    key
}

/// Prefix of all rows of one granularity of one metric.
pub fn series(partition: Partition, id: MetricId, width: Granularity) -> [u8; SERIES_PREFIX] {
    let mut key = [0; SERIES_PREFIX];
    key[..18].copy_from_slice(&metric(partition, id));
    key[18..].copy_from_slice(&width.ns().to_be_bytes());
    key
}

/// The granularity in the key of a row.
pub fn row_width(key: &[u8]) -> Option<Granularity> {
    let bytes = key.get(SERIES_PREFIX - 8..SERIES_PREFIX)?.try_into().ok()?;
    Granularity::from_ns(u64::from_be_bytes(bytes))
}

/// Key of a row. A horizon has start 0.
pub fn row(prefix: &[u8; SERIES_PREFIX], kind: RowKind, start: Timestamp) -> [u8; SERIES_PREFIX + 9] {
    let mut key = [0; SERIES_PREFIX + 9];
    key[..SERIES_PREFIX].copy_from_slice(prefix);
    key[SERIES_PREFIX] = kind as u8;
    key[SERIES_PREFIX + 1..].copy_from_slice(&start.ns().to_be_bytes());
    key
}
