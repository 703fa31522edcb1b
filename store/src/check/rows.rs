//! Rows of one partition.

use orzo_model::run::Run;
use orzo_model::{Granularity, MetricId, Partition, Partitions, Timestamp, block};

use super::{Known, Walk, place};
use crate::aggregates::decode_run;
use crate::error::Result;
use crate::keys::{RowKind, SERIES_PREFIX, Seq};
use crate::kv::Family;

const BUCKETS: &str = "its buckets are left out of every answer";
const UNREAD: &str = "nobody reads it";

/// One key, taken apart.
struct Key {
    id: MetricId,
    width: Granularity,
    kind: u8,
    start: Timestamp,
}

impl Key {
    fn read(key: &[u8]) -> Option<Self> {
        let (series, rest) = key.split_first_chunk::<SERIES_PREFIX>()?;
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Some(Key {
            id: MetricId::from_bytes(series[2..18].try_into().ok()?),
            width: Granularity::from_ns(number(&series[18..])?)?,
            kind: *rest.first()?,
            start: Timestamp::from_ns(number(&rest[1..])?)?,
        })
    }
}

/// The series that is being walked.
#[derive(Default)]
struct Present {
    series: Option<(MetricId, Granularity)>,
    /// The last bucket of its last block, and of what kind that is.
    sealed: Option<(RowKind, Timestamp)>,
    /// Whether a number past the newest blob was told.
    ahead: bool,
}

/// Rows: each decodes, begins where its key says, is of a metric and granularity that exist; blocks do not
/// overlap; a metric that has any has a window, too.
pub(super) fn rows(
    walk: &mut Walk<'_>,
    partitions: Partitions,
    partition: Partition,
    known: &mut Known,
) -> Result<()> {
    let newest = known.newest(partition);
    let mut present = Present::default();
    walk.each(Family::Rows, &partition.to_bytes(), |walk, bytes, value| {
        let Some(key) = Key::read(bytes).filter(|key| partitions.of(key.id) == partition) else {
            let what = "is no key of this partition";
            return walk.found(Family::Rows, place::of_key(Family::Rows, bytes), what, UNREAD);
        };
        if present.series != Some((key.id, key.width)) {
            let first_of_metric = present.series.is_none_or(|(id, _)| id != key.id);
            present = Present { series: Some((key.id, key.width)), ..Present::default() };
            judge_series(walk, &key, first_of_metric, known);
        }
        match RowKind::of(key.kind) {
            Some(RowKind::Horizon) => judge_horizon(walk, &key, value),
            Some(kind) => judge_value(walk, &key, kind, value, newest, &mut present),
            None => {
                walk.found(Family::Rows, place::of_key(Family::Rows, bytes), "is of no known kind", UNREAD)
            }
        }
    })
}

fn judge_series(walk: &mut Walk<'_>, key: &Key, first_of_metric: bool, known: &Known) {
    let mut found = |what: &str, costs| walk.found(Family::Rows, place::metric(key.id), what, costs);
    let Some(policy) = known.metrics.active(key.id) else {
        if first_of_metric && !known.metrics.is_deleted(key.id) {
            found("has rows, but is not in the index", UNREAD);
        }
        return;
    };
    if policy.is_some_and(|policy| policy.item(key.width).is_none()) {
        found(&format!("has rows of {:?}, which its archive policy has not", key.width), UNREAD);
    }
    let has_window = known.windows.binary_search(&key.id).is_ok() || known.pending.contains(&key.id);
    if first_of_metric && !has_window {
        found("has rows, but no window", "raw measures of buckets that were open; stored buckets stay");
    }
}

fn judge_horizon(walk: &mut Walk<'_>, key: &Key, value: &[u8]) {
    if value.len() != 8 || key.start != Timestamp::EPOCH {
        let costs = "expired rows of this series stay until the next checkpoint";
        walk.found(Family::Rows, place::buckets(key.id, key.width, key.start), "is no horizon", costs);
    }
}

fn judge_value(
    walk: &mut Walk<'_>,
    key: &Key,
    kind: RowKind,
    value: &[u8],
    newest: Seq,
    present: &mut Present,
) {
    let place = || place::buckets(key.id, key.width, key.start);
    let (seq, run) = match decode_run(value, key.width) {
        Ok(decoded) => decoded,
        Err(_) => return walk.found(Family::Rows, place(), "does not decode", BUCKETS),
    };
    if let Some((what, costs)) = judge_run(key, kind, &run) {
        return walk.found(Family::Rows, place(), what, costs);
    }
    if seq > newest && !present.ahead {
        present.ahead = true;
        let what = format!("knows blob {seq}, the newest there is is {newest}");
        walk.found(Family::Rows, place(), what, "it would win over newer rows");
    }
    if block::is_block(value) {
        let before = present.sealed.filter(|(before, _)| *before == kind).map(|(_, last)| last);
        if before.is_some_and(|last| key.start <= last) {
            walk.found(Family::Rows, place(), "overlaps the block before", "the newer one is shown");
        }
        present.sealed = run.starts().last().copied().max(before).map(|last| (kind, last));
    }
}

fn judge_run(key: &Key, kind: RowKind, run: &Run) -> Option<(&'static str, &'static str)> {
    let (Some(first), Some(last)) = (run.starts().first(), run.starts().last()) else {
        return Some(("holds no bucket", "nothing"));
    };
    if *first != key.start {
        return Some(("begins at another time than its key says", "some of its buckets are not found"));
    }
    if !run.starts().is_sorted_by(|a, b| a < b) {
        return Some(("its buckets are not in order", BUCKETS));
    }
    if last.ns() - first.ns() >= kind.slots_max() * key.width.ns() {
        return Some(("spans more slots than a read looks back", "some of its buckets are not found"));
    }
    None
}
