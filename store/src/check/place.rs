//! Keys in words.

use std::fmt::Write;

use orzo_model::timetext::push_iso_seconds;
use orzo_model::{Granularity, MetricId, Partition, Timestamp};

use crate::kv::Family;

/// A key of any family, as well as it can be said.
pub(super) fn of_key(family: Family, key: &[u8]) -> String {
    let words = match family {
        Family::Backlog => key.split_first_chunk::<2>().and_then(|(partition, seq)| {
            Some(blob(u16::from_be_bytes(*partition), u64::from_be_bytes(seq.try_into().ok()?)))
        }),
        Family::Window | Family::Rows => series(key),
        Family::Meta | Family::Index | Family::IndexBy => None,
    };
    words.unwrap_or_else(|| of_text_key(key))
}

/// A key of which parts are text.
pub(crate) fn of_text_key(key: &[u8]) -> String {
    let mut words = String::from("key ");
    for byte in key {
        match byte {
            b' '..=b'~' => words.push(char::from(*byte)),
            _ => write!(words, "\\x{byte:02x}").expect("a string takes everything"),
        }
    }
    words
}

/// A blob.
pub(super) fn blob(partition: u16, seq: u64) -> String {
    format!("blob {seq} of partition {partition}")
}

/// A partition.
pub(super) fn partition(partition: Partition) -> String {
    format!("partition {}", partition.index())
}

/// A metric.
pub(crate) fn metric(id: MetricId) -> String {
    format!("metric {id}")
}

/// What a key of a window or a row is about.
fn series(key: &[u8]) -> Option<String> {
    let id = MetricId::from_bytes(*key.get(2..)?.first_chunk()?);
    let Some(width) = key.get(18..26).and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
    else {
        return Some(metric(id));
    };
    let width = Granularity::from_ns(width)?;
    let start = key.get(27..).and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
    Some(buckets(id, width, start.and_then(Timestamp::from_ns).unwrap_or_default()))
}

/// Buckets of a metric.
pub(super) fn buckets(id: MetricId, width: Granularity, start: Timestamp) -> String {
    let mut words = format!("metric {id}, {width:?}, from ");
    push_iso_seconds(&mut words, start);
    words
}
