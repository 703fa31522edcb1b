//! The janitor over the memory engine and one shard.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam::channel::bounded;
use orzo_aggregator::{Command, GaugeDialect, Post, Semantics, Shard, ShardConfig};
use orzo_model::resource::ResourceId;
use orzo_model::series::{Series, SeriesKind};
use orzo_model::{
    ArchivePolicy, Granularity, Item, Measure, Method, MethodSet, Partitions, SECOND, rollup::rollup,
};
use orzo_store::index::{KvIndex, MetricSpec, NewResource};
use orzo_store::kv::Visit;
use orzo_store::memory::MemoryKv;
use orzo_store::{Batch, Direction, Family, Kv, KvAggregates, KvBacklog, MetricRuns, WhenStalled};

use super::*;

const NOW: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns(seconds * SECOND).unwrap()
}

fn policy() -> ArchivePolicy {
    let granularity = Granularity::from_ns(60 * SECOND).unwrap();
    ArchivePolicy {
        name: "p".into(),
        back_window: 0,
        items: vec![Item { granularity, points: None }],
        methods: MethodSet::from_iter([Method::MEAN]),
    }
}

/// An engine that counts how often it is asked, and what it shows.
#[derive(Default)]
struct Counting {
    kv: MemoryKv,
    reads: AtomicU64,
}

impl Kv for Counting {
    fn get(&self, family: Family, key: &[u8]) -> orzo_store::Result<Option<Vec<u8>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.kv.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        way: Direction,
        visit: &mut Visit<'_>,
    ) -> orzo_store::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.kv.scan(family, from, to, way, &mut |key, value| -> ControlFlow<()> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        })
    }

    fn write(&self, batch: Batch, when_stalled: WhenStalled) -> orzo_store::Result<()> {
        self.kv.write(batch, when_stalled)
    }

    fn sync(&self) -> orzo_store::Result<()> {
        self.kv.sync()
    }
}

/// A janitor in a house of one shard, which answers until everybody has let go of the handle.
fn house(rules: Rules, heard: &[(MetricId, u64)]) -> (Arc<Counting>, Janitor) {
    let kv = Arc::new(Counting::default());
    (kv.clone(), janitor(kv, rules, heard))
}

fn janitor(kv: Arc<Counting>, rules: Rules, heard: &[(MetricId, u64)]) -> Janitor {
    janitor_of(kv, rules, heard)
}

fn janitor_of(any: Arc<dyn Kv>, rules: Rules, heard: &[(MetricId, u64)]) -> Janitor {
    let partitions = Partitions::DEFAULT;
    let (handle, mut inboxes) = Handle::new(partitions, vec![Arc::default()]);
    let (inbox, mut shard) = (inboxes.remove(0), shard(&handle));
    for (metric, seconds) in heard {
        hear(&mut shard, *metric, *seconds);
    }
    thread::spawn(move || {
        for command in inbox {
            shard.command(command);
            shard.outbox().heard.into_iter().for_each(|(reply, heard)| drop(reply.send(heard)));
        }
    });
    let index = Arc::new(KvIndex::open(any.clone()).unwrap());
    let aggregates = Arc::new(KvAggregates::new(any.clone(), partitions));
    let backlog = Arc::new(KvBacklog::new(any, partitions));
    let mut janitor = Janitor::new(index, aggregates, backlog, handle, rules, || at(NOW));
    janitor.walk = Walk::starting(Timestamp::EPOCH);
    janitor
}

fn shard(handle: &Handle) -> Shard {
    let config = ShardConfig {
        partitions: handle.partitions(),
        owned: handle.owned(0),
        flush_interval_ns: SECOND,
        checkpoint_age_ns: SECOND,
        series_max: 10,
        semantics: Semantics {
            gauge_dialect: GaugeDialect::Auto,
            gauge_ttl_ns: SECOND,
            max_future_ns: SECOND,
        },
    };
    Shard::new(config, handle.counters(0).clone())
}

/// A measure that came, and was made, at this time.
fn hear(shard: &mut Shard, metric: MetricId, seconds: u64) {
    let measures = [Measure { at: at(seconds), value: 1.0 }].into_iter().collect();
    let post = Post { id: metric, policy: Arc::new(policy()), kind: SeriesKind::Sampled, measures };
    shard.command(Command::Post(vec![post], bounded(1).0));
    let mut commit = shard.commit().unwrap();
    shard.apply(&mut commit, at(seconds));
}

fn rules() -> Rules {
    Rules {
        interval: Duration::from_secs(1),
        batch: 3,
        inactive_after: Some(Duration::from_secs(100)),
        cleanup_after: Some(Duration::from_secs(1000)),
    }
}

fn add(index: &dyn Index, name: &str, metrics: usize, made: u64) -> (ResourceId, Vec<MetricId>) {
    let spec = || MetricSpec::New { policy: Some("p".into()), unit: None };
    let new = NewResource {
        id: ResourceId::derive(name, Some("me")).unwrap(),
        original_id: name.into(),
        resource_type: "generic".into(),
        creator: "me".into(),
        user_id: None,
        project_id: None,
        started_at: None,
        ended_at: None,
        attributes: Vec::new(),
        metrics: (0..metrics).map(|number| (format!("m{number:07}"), spec())).collect(),
        now: at(made),
    };
    let made = index.create_resource(new).unwrap();
    (made.id, made.metrics.into_values().collect())
}

fn end_of(index: &dyn Index, id: ResourceId) -> Option<Timestamp> {
    index.resource("generic", id).unwrap().ended_at
}

/// The index of a house that nobody lives in yet.
fn index_of(kv: &Arc<Counting>) -> KvIndex {
    let index = KvIndex::open(kv.clone()).unwrap();
    index.create_policy(policy()).unwrap();
    index
}

#[test]
fn a_resource_ends_when_all_its_metrics_are_silent() {
    let kv = Arc::new(Counting::default());
    let index = index_of(&kv);
    let (long_ago, just_now) = (NOW - 101, NOW - 100);
    let (one_speaks, metrics) = add(&index, "one speaks", 20, 10);
    let (all_silent, quiet) = add(&index, "all silent", 20, 10);
    let (young, _) = add(&index, "young", 1, just_now);
    let (old, _) = add(&index, "never heard", 1, long_ago);
    let (empty, _) = add(&index, "empty", 0, 10);
    let mut heard = vec![(metrics[19], just_now)];
    heard.extend(quiet.iter().map(|metric| (*metric, long_ago)));
    let mut janitor = janitor(kv, rules(), &heard);
    // Five resources in pages of three, and the end of the walk.
    for _ in 0..3 {
        janitor.walk.due_now();
        janitor.end_silent().unwrap();
    }
    for (living, name) in [(one_speaks, "one speaks"), (young, "young"), (empty, "empty")] {
        assert_eq!(end_of(&*janitor.index, living), None, "{name}");
    }
    for ended in [all_silent, old] {
        assert_eq!(end_of(&*janitor.index, ended), Some(at(NOW)));
    }
}

/// Evicted from memory, a series is known by its window.
#[test]
fn silence_is_told_from_windows_too() {
    let kv = Arc::new(Counting::default());
    let index = index_of(&kv);
    let (speaks, spoken) = add(&index, "speaks", 1, 10);
    let (silent, quiet) = add(&index, "silent", 1, 10);
    let mut janitor = janitor(kv, rules(), &[]);
    for (metric, seconds) in [(spoken[0], NOW - 100), (quiet[0], NOW - 101)] {
        let mut series = Series::new(SeriesKind::Sampled, Arc::new(policy()));
        series.insert(1, &mut [Measure { at: at(seconds), value: 1.0 }]);
        series.hear(at(seconds), at(seconds));
        let window = series.begin_checkpoint().unwrap().window();
        janitor.backlog.checkpoint(vec![(metric, window)], &[]).unwrap();
    }
    janitor.end_silent().unwrap();
    assert_eq!(end_of(&*janitor.index, speaks), None);
    assert_eq!(end_of(&*janitor.index, silent), Some(at(NOW)));
}

#[test]
fn nothing_ends_before_the_daemon_has_listened_for_a_while() {
    let kv = Arc::new(Counting::default());
    let (id, _) = add(&index_of(&kv), "never heard", 1, 10);
    let mut janitor = janitor(kv, rules(), &[]);
    janitor.walk = Walk::starting(at(NOW - 99));
    janitor.end_silent().unwrap();
    assert_eq!(end_of(&*janitor.index, id), None);
    janitor.walk = Walk::starting(at(NOW - 100));
    janitor.end_silent().unwrap();
    assert_eq!(end_of(&*janitor.index, id), Some(at(NOW)));
}

#[test]
fn who_speaks_again_goes_on() {
    let kv = Arc::new(Counting::default());
    let index = index_of(&kv);
    let (id, metrics) = add(&index, "again", 1, 10);
    index.end_resources(&[id], at(NOW - 50)).unwrap();
    let before = janitor(kv.clone(), rules(), &[(metrics[0], NOW - 51)]);
    before.wake().unwrap();
    assert_eq!(end_of(&*before.index, id), Some(at(NOW - 50)));
    let after = janitor(kv, rules(), &[(metrics[0], NOW - 50)]);
    after.wake().unwrap();
    assert_eq!(end_of(&*after.index, id), None);
    after.wake().unwrap();
    assert_eq!(after.index.resource("generic", id).unwrap().revision_start, at(NOW), "nothing is told twice");
}

#[test]
fn what_ended_long_ago_is_deleted_step_by_step() {
    let kv = Arc::new(Counting::default());
    let index = index_of(&kv);
    for number in 0..10 {
        let (id, _) = add(&index, &format!("r{number}"), 2, 10);
        index.end_resources(&[id], at(NOW - 1000 - 4 + number)).unwrap();
    }
    let janitor = janitor(kv, rules(), &[]);
    janitor.delete_ended(&Stop::new()).unwrap();
    assert_eq!(janitor.index.metrics_count().unwrap(), 12, "four ended before");
    assert_eq!(janitor.index.deleted_metrics(None, 99).unwrap().len(), 8);
}

#[test]
fn deleted_metrics_leave_nothing_behind() {
    let (kv, mut janitor) = house(rules(), &[]);
    janitor.index.create_policy(policy()).unwrap();
    let (id, metrics) = add(&*janitor.index, "r", 10, 10);
    for metric in &metrics {
        let point = Measure { at: at(60), value: 1.0 };
        let run = rollup(&[point], policy().items[0].granularity, &policy().methods, point.at);
        let runs = MetricRuns { id: *metric, seq: 1, runs: vec![run], horizons: Vec::new() };
        janitor.aggregates.write(&[runs]).unwrap();
        janitor.backlog.checkpoint(vec![(*metric, b"window".to_vec())], &[]).unwrap();
    }
    let stored = |family| {
        let mut keys = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            keys += 1;
            ControlFlow::Continue(())
        };
        kv.kv.scan(family, &[], &[], Direction::Forward, &mut count).unwrap();
        keys
    };
    assert_eq!((stored(Family::Rows), stored(Family::Window)), (10, 10));
    janitor.index.delete_resource("generic", id, None).unwrap();
    let stop = Stop::new();
    janitor.expunge(Duration::ZERO, &stop).unwrap();
    assert_eq!((stored(Family::Rows), stored(Family::Window)), (10, 10), "checkpoints may be under way");
    janitor.expunge(Duration::ZERO, &stop).unwrap();
    assert_eq!((stored(Family::Rows), stored(Family::Window)), (0, 0));
    assert_eq!(janitor.index.deleted_metrics(None, 9).unwrap(), []);
    janitor.index.delete_policy("p").unwrap();
}

/// Reads of a round with nothing to do, in a house of so many resources with ten metrics each.
fn reads_of_a_round(resources: usize) -> (u64, Duration) {
    let kv = Arc::new(Counting::default());
    let index = index_of(&kv);
    for number in 0..resources {
        add(&index, &format!("r{number}"), 10, NOW - 1);
    }
    let batch = 100;
    let mut janitor = janitor(kv.clone(), Rules { batch, ..rules() }, &[]);
    janitor.round(&Stop::new());
    janitor.walk.due_now();
    let (reads, began) = (kv.reads.load(Ordering::Relaxed), Instant::now());
    janitor.wake().unwrap();
    janitor.round(&Stop::new());
    (kv.reads.load(Ordering::Relaxed) - reads, began.elapsed())
}

#[test]
fn a_round_costs_by_what_it_does_and_not_by_what_is_stored() {
    let ((few, _), (many, _)) = (reads_of_a_round(300), reads_of_a_round(3000));
    assert!(few > 100, "a page of resources was looked at: {few}");
    assert!(many <= few + 10, "{few} reads among 300 resources, {many} among 3000");
}

/// Ten thousand metrics with rows and windows, deleted: after a merge of the tables their bytes are gone.
#[test]
fn space_comes_back_on_a_real_disk() {
    const METRICS: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let kv = Arc::new(orzo_store_rocks::RocksKv::open(directory.path(), &Default::default()).unwrap());
    let bytes = |families: &[Family]| {
        kv.compact().unwrap();
        families.iter().map(|family| kv.bytes_on_disk(*family)).sum::<u64>()
    };
    let data = [Family::Rows, Family::Window];
    let index_families = [Family::Index, Family::IndexBy];
    let mut janitor = janitor_of(kv.clone(), Rules { batch: 1000, ..rules() }, &[]);
    janitor.index.create_policy(policy()).unwrap();
    let empty = bytes(&index_families);
    let (id, metrics) = add(&*janitor.index, "r", METRICS, 10);
    for chunk in metrics.chunks(1000) {
        let (runs, windows) = chunk.iter().map(|metric| rows_and_window(*metric)).unzip();
        let runs: Vec<MetricRuns> = runs;
        janitor.aggregates.write(&runs).unwrap();
        janitor.backlog.checkpoint(windows, &[]).unwrap();
    }
    let (full, full_index) = (bytes(&data), bytes(&index_families));
    assert!(full > 1_000_000 && full_index > 500_000, "{full} and {full_index} bytes");

    let began = Instant::now();
    janitor.index.delete_resource("generic", id, None).unwrap();
    let deleted = began.elapsed();
    for _ in 0..2 {
        janitor.expunge(Duration::ZERO, &Stop::new()).unwrap();
    }
    println!("deleted {METRICS} metrics in {deleted:?}, expunged in {:?}", began.elapsed() - deleted);
    assert!(bytes(&data) < 10_000, "{} bytes are left of {full}", bytes(&data));
    assert!(
        bytes(&index_families) < empty + 10_000,
        "{} bytes are left of {full_index}",
        bytes(&index_families)
    );
}

/// Some hours of noise.
fn rows_and_window(metric: MetricId) -> (MetricRuns, (MetricId, Vec<u8>)) {
    let noise = |minute: u64| (minute.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ metric.bits() as u64) as f64;
    let points: Vec<Measure> =
        (0..120).map(|minute| Measure { at: at(minute * 60), value: noise(minute) }).collect();
    let run = rollup(&points, policy().items[0].granularity, &policy().methods, points[0].at);
    let mut series = Series::new(SeriesKind::Sampled, Arc::new(policy()));
    series.insert(1, &mut points.clone());
    let window = series.begin_checkpoint().unwrap().window();
    (MetricRuns { id: metric, seq: 1, runs: vec![run], horizons: Vec::new() }, (metric, window))
}
