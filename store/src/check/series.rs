//! Backlog and windows of one partition.

use std::sync::Arc;

use orzo_model::series::Series;
use orzo_model::{ArchivePolicy, Granularity, Item, Method, MetricId, Partition, Partitions, SECOND};

use super::{Known, ReadBlob, Walk, place};
use crate::backlog::Position;
use crate::error::Result;
use crate::keys::{self, Seq};
use crate::kv::Family;

/// What a batch that cannot be read costs.
const BATCHES: &str = "its measures are lost unless a checkpoint has them";

/// Blobs: each decodes, and above low water none is missing.
pub(super) fn backlog(
    walk: &mut Walk<'_>,
    partition: Partition,
    low: Option<Seq>,
    read_blob: ReadBlob,
    known: &mut Known,
) -> Result<()> {
    // Without a mark nobody knows which blob should be the first, nor which was the last.
    let mut next = low.filter(|low| *low > 0).map(|low| low + 1);
    let (low, mut newest, known_end) = (low.unwrap_or(0), low.unwrap_or(0), low.is_some());
    let number = u16::from_be_bytes(partition.to_bytes());
    walk.each(Family::Backlog, &partition.to_bytes(), |walk, key, bytes| {
        let Some(seq) = keys::backlog_seq(key).filter(|_| key.len() == 10) else {
            return walk.found(Family::Backlog, place::of_key(Family::Backlog, key), "is no key", BATCHES);
        };
        let ids = read_blob(bytes);
        if ids.is_none() {
            let costs = if seq > low { BATCHES } else { "nothing: checkpoints have it" };
            walk.found(Family::Backlog, place::blob(number, seq), "does not decode", costs);
        }
        if seq <= low {
            return;
        }
        if let Some(next) = next
            && seq != next
        {
            let what = format!("before it, blobs {next} to {} are missing", seq - 1);
            walk.found(Family::Backlog, place::blob(number, seq), what, BATCHES);
        }
        (next, newest) = (Some(seq + 1), seq);
        known.pending.extend(ids.into_iter().flatten());
    })?;
    let newest = if known_end { newest } else { Seq::MAX };
    known.positions.insert(partition, Position { low, newest });
    Ok(())
}

/// Windows: each decodes, is where it belongs, and knows no blob that was never written.
pub(super) fn windows(
    walk: &mut Walk<'_>,
    partitions: Partitions,
    partition: Partition,
    known: &mut Known,
) -> Result<()> {
    let (any, newest) = (any_policy(), known.newest(partition));
    walk.each(Family::Window, &partition.to_bytes(), |walk, key, bytes| {
        let id = key.get(2..).and_then(|id| id.try_into().ok()).map(MetricId::from_bytes);
        let Some(id) = id.filter(|id| partitions.of(*id) == partition) else {
            let what = "is no key of this partition";
            return walk.found(Family::Window, place::of_key(Family::Window, key), what, "nobody reads it");
        };
        known.windows.push(id);
        let policy = match known.metrics.active(id) {
            Some(policy) => policy.unwrap_or(&any).clone(),
            None if known.metrics.is_deleted(id) => any.clone(),
            None => {
                let what = "has a window, but is not in the index";
                return walk.found(Family::Window, place::metric(id), what, "nobody reads it");
            }
        };
        match Series::decode(bytes, policy) {
            Err(_) => {
                let costs = "raw measures of buckets that are still open; stored buckets stay";
                walk.found(Family::Window, place::metric(id), "its window does not decode", costs);
            }
            Ok(series) => judge(walk, id, &series, newest),
        }
    })
}

fn judge(walk: &mut Walk<'_>, id: MetricId, series: &Series, newest: Seq) {
    if !series.raw().is_sorted_by(|a, b| a.at < b.at) {
        let costs = "buckets that are still open may be wrong";
        walk.found(Family::Window, place::metric(id), "raw measures are not in order", costs);
    }
    if series.seq() > newest {
        let what = format!("its window knows blob {}, the newest there is is {newest}", series.seq());
        let costs = "the next batches would be passed over after a crash";
        walk.found(Family::Window, place::metric(id), what, costs);
    }
}

/// For windows whose policy is not known: reading one needs some policy.
fn any_policy() -> Arc<ArchivePolicy> {
    let granularity = Granularity::from_ns(SECOND).expect("a second is a granularity");
    let items = vec![Item { granularity, points: None }];
    Arc::new(ArchivePolicy {
        name: String::new(),
        back_window: 0,
        items,
        methods: [Method::MEAN].into_iter().collect(),
    })
}
