//! A shard that knows its series, and a second of samples for it.

use std::hint::black_box;
use std::sync::Arc;

use orzo_aggregator::{Command, GaugeDialect, Resolution, Semantics, Shard, ShardConfig};
use orzo_model::batch::SAMPLES_PER_BATCH;
use orzo_model::sample::RATE_ONE;
use orzo_model::{
    ArchivePolicy, Batch, Flags, Granularity, Item, Kind, Method, MethodSet, Partitions, SECOND, Sample,
    SeriesIds, Timestamp,
};

const IDS: SeriesIds = SeriesIds::new(7);

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::saturating_from_ns(seconds * SECOND)
}

fn policy() -> Arc<ArchivePolicy> {
    let names = ["mean", "sum", "min", "max", "std", "count"];
    let methods = names.into_iter().filter_map(Method::parse).collect::<MethodSet>();
    let widths = [60, 3600].map(|seconds| Granularity::from_ns(seconds * SECOND));
    let item = |granularity| Item { granularity, points: Some(1440) };
    let items = widths.into_iter().flatten().map(item).collect();
    Arc::new(ArchivePolicy { name: "medium".into(), back_window: 0, items, methods })
}

fn sample(series: u64, value: f64) -> (Sample, String) {
    let kind = if series.is_multiple_of(10) { Kind::Gauge } else { Kind::Counter };
    let name = format!("service.{series:07}.requests");
    let id = IDS.id(kind, Flags::NONE, name.as_bytes());
    let aux = if kind.is_event() { RATE_ONE } else { 0 };
    (Sample { id, value: value.to_bits(), aux, name_len: 0, kind, flags: Flags::NONE }, name)
}

/// Each series once, in an order that no cache foresees.
pub(crate) fn batches(series: u64, arrived: Timestamp) -> Vec<Batch> {
    // Coprime to any power of ten.
    let mixed = (0..series).map(|n| n.wrapping_mul(7_368_787) % series);
    let samples: Vec<_> = mixed.map(|n| sample(n, n as f64)).collect();
    let fill = |chunk: &[(Sample, String)]| {
        let mut batch = Batch::new(0);
        batch.reopen(arrived);
        assert!(chunk.iter().all(|(sample, name)| batch.push(sample, name.as_bytes())));
        batch
    };
    samples.chunks(SAMPLES_PER_BATCH).map(fill).collect()
}

/// A shard that knows these series, as of second 1.
pub(crate) fn shard(series: u64) -> Shard {
    let config = ShardConfig {
        partitions: Partitions::DEFAULT,
        owned: Partitions::DEFAULT.all().collect(),
        flush_interval_ns: 10 * SECOND,
        checkpoint_age_ns: 86_400 * SECOND,
        series_max: usize::MAX,
        semantics: Semantics {
            gauge_dialect: GaugeDialect::Auto,
            gauge_ttl_ns: 3600 * SECOND,
            max_future_ns: 3600 * SECOND,
        },
    };
    let mut shard = Shard::new(config, Arc::default());
    let policy = policy();
    for chunk in batches(series, at(1)).chunks(64) {
        chunk.iter().for_each(|batch| shard.samples(batch));
        loop {
            shard.tick(Timestamp::EPOCH, false);
            let names = shard.outbox().names;
            if names.is_empty() {
                break;
            }
            let known = |id| (id, Resolution::Metric { id, policy: policy.clone(), level: None });
            shard.command(Command::Resolved(names.iter().map(|name| known(name.id)).collect()));
        }
    }
    commit(&mut shard, 2);
    shard
}

/// Ends a second.
pub(crate) fn commit(shard: &mut Shard, second: u64) {
    shard.tick(at(second), false);
    let mut commit = shard.commit().expect("something came");
    black_box(&commit.blobs);
    shard.apply(&mut commit, at(second));
}
