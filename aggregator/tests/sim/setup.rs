//! What a run is made of: policies, statsd names, and how the node is configured. All drawn from the seed.

use orzo_aggregator::{Durability, GaugeDialect, Semantics, StatsdRules};
use orzo_model::{
    ArchivePolicy, Flags, Granularity, Item, Kind, Method, MetricId, Partitions, SECOND, SeriesIds, Timestamp,
};
use orzo_store::index::StatsdHome;
use orzo_store::{Extents, Seq};

use crate::kv::partitions;
use crate::rng::Rng;

/// Where simulated time begins: no multiple of any width.
pub(crate) const START_NS: u64 = 1_700_000_003 * SECOND + 123_456_789;

/// How the node is configured.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) partitions: Partitions,
    pub(crate) shards: usize,
    pub(crate) listeners: usize,
    pub(crate) durability: Durability,
    pub(crate) flush_interval_ns: u64,
    pub(crate) checkpoint_age_ns: u64,
    /// So many dead blobs of a partition go together.
    pub(crate) trim_blobs: Seq,
    pub(crate) series_max: usize,
    /// So many counters that speak all at once.
    pub(crate) crowd: u64,
    pub(crate) semantics: Semantics,
    /// Whether expired rows are freed. Then policies never keep more than before: what is gone is gone.
    pub(crate) compacts: bool,
    /// Small ones close more often.
    pub(crate) extents: Extents,
    pub(crate) ids: SeriesIds,
}

impl Setup {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        // More series than fit in one checkpoint.
        let crowd = if rng.percent(6) { 300 + rng.below(300) } else { 0 };
        let count = if crowd > 0 { 1 } else { *rng.pick(&[1, 2, 4, 8]) };
        let extents = [Extents::default(), Extents::new(32, 128), Extents::new(4, 16)];
        let dialects = [GaugeDialect::Auto, GaugeDialect::Auto, GaugeDialect::Etsy, GaugeDialect::Dogstatsd];
        Setup {
            partitions: partitions(count),
            shards: rng.between(1, 1 + count.min(3)) as usize,
            listeners: rng.between(1, 3) as usize,
            durability: if rng.percent(75) { Durability::Synced } else { Durability::Buffered },
            flush_interval_ns: rng.between(2, 11) * SECOND,
            checkpoint_age_ns: *rng.pick(&[0, 1, 5, 30, 600]) * SECOND,
            trim_blobs: *rng.pick(&[1, 5, 30]),
            series_max: if crowd == 0 && rng.percent(15) { 6 } else { 1000 },
            crowd,
            semantics: Semantics {
                gauge_dialect: *rng.pick(&dialects),
                gauge_ttl_ns: rng.between(20, 300) * SECOND,
                max_future_ns: 600 * SECOND,
            },
            compacts: rng.percent(30),
            extents: *rng.fork().pick(&extents),
            ids: SeriesIds::new(rng.next()),
        }
    }

    pub(crate) fn owner(&self, id: MetricId) -> usize {
        self.partitions.of(id).index() % self.shards
    }
}

/// A statsd series that clients send.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    pub(crate) id: MetricId,
    /// A metric was made over HTTP for it.
    pub(crate) adopted: bool,
}

/// The statsd series of a run: every kind in both profiles, some without a policy, some whose metrics exist.
pub(crate) fn names(ids: SeriesIds) -> Vec<Name> {
    let native = [
        ("hits", Kind::Counter),
        ("errors", Kind::Counter),
        ("shared", Kind::Counter),
        ("shared", Kind::Gauge),
        ("took", Kind::Timer),
        ("sizes", Kind::Histogram),
        ("ruled.sizes", Kind::Histogram),
        ("spread", Kind::Distribution),
        ("load", Kind::Gauge),
        ("depth", Kind::Gauge),
        ("users", Kind::Set),
        ("billed", Kind::CounterAt),
    ];
    let gnocchi =
        [("n.c|c", Kind::Counter), ("n.g|g", Kind::Gauge), ("n.t|ms", Kind::Timer), ("n.s|s", Kind::Set)];
    let adopted = [("a.c", Kind::Counter), ("a.g", Kind::Gauge), ("a.t", Kind::Timer)];
    let name = |flags: Flags, adopted| {
        move |(text, kind): (&str, Kind)| Name {
            text: text.into(),
            kind,
            flags,
            id: ids.id(kind, flags, text.as_bytes()),
            adopted,
        }
    };
    native
        .into_iter()
        .map(name(Flags::NONE, false))
        .chain(gnocchi.into_iter().map(name(Flags::GNOCCHI, false)))
        .chain(adopted.into_iter().map(name(Flags::NONE, true)))
        .collect()
}

pub(crate) fn rules() -> StatsdRules {
    let policy = |kind: Kind| match kind {
        Kind::Timer => Some("timers".to_owned()),
        Kind::Distribution => Some("event-rates".into()),
        Kind::Histogram => None,
        _ => Some("plain".into()),
    };
    StatsdRules {
        home: StatsdHome {
            resource_type: "generic".into(),
            attribute_type: "statsd".into(),
            creator: "statsd".into(),
            default_resource: "statsd".into(),
            metrics_max: None,
            metrics_per_resource_max: None,
            prefix_max: None,
        },
        policies: Kind::ALL.map(policy),
    }
}

fn policy(name: &str, back_window: u32, items: &[(u64, u64)], methods: &str) -> ArchivePolicy {
    let item = |(seconds, points): &(u64, u64)| Item {
        granularity: Granularity::from_ns(seconds * SECOND).unwrap(),
        points: (*points > 0).then_some(*points),
    };
    ArchivePolicy {
        name: name.into(),
        back_window,
        items: items.iter().map(item).collect(),
        methods: methods.split(' ').map(|method| Method::parse(method).unwrap()).collect(),
    }
}

/// Names of the policies that metrics over HTTP are made with.
pub(crate) const OVER_HTTP: [&str; 9] =
    ["plain", "one", "long", "two", "unaligned", "forever", "sparse", "rates", "unaligned-rates"];

pub(crate) fn policies() -> Vec<ArchivePolicy> {
    vec![
        policy("plain", 0, &[(10, 36), (60, 60)], "mean min max sum count last first std"),
        policy("timers", 0, &[(5, 12), (60, 60)], "mean min max sum count std median 90pct 99pct"),
        policy("event-rates", 0, &[(10, 100), (60, 100)], "count sum rate:sum rate:last"),
        // Kept so long that rows lie far behind the newest and not yet expired.
        policy("one", 0, &[(1, 3000)], "mean sum count last"),
        // And this over several of the splits by which they are freed.
        policy("long", 0, &[(1, 20_000)], "mean sum count last"),
        policy("two", 1, &[(60, 20), (10, 30)], "mean min max sum std count first last median 25pct 95pct"),
        policy("unaligned", 2, &[(7, 40), (60, 30), (25, 20)], "sum count median"),
        policy("forever", 3, &[(30, 0)], "last max std"),
        policy("sparse", 1, &[(1, 600), (20, 30)], "std rate:std"),
        policy("rates", 0, &[(10, 60), (60, 60)], "mean sum count rate:mean rate:sum rate:count rate:std"),
        policy("unaligned-rates", 1, &[(7, 60), (30, 60)], "count last rate:last rate:max rate:min"),
    ]
}

pub(crate) fn at(ns: u64) -> Timestamp {
    Timestamp::from_ns(ns).unwrap()
}
