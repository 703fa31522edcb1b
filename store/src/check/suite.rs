//! A small store with something of everything, each kind of damage it may take, and what a check must say
//! of it. Each engine runs it.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use orzo_model::codec::{seal, unseal};
use orzo_model::resource::ResourceId;
use orzo_model::resource_type::ResourceType;
use orzo_model::series::{Series, SeriesKind};
use orzo_model::{
    ArchivePolicy, Granularity, Item, Measure, Method, MethodSet, MetricId, Partitions, SECOND, Timestamp,
};

use super::{Event, Finding, Summary, check};
use crate::aggregates::{Aggregates, KvAggregates, MetricRuns};
use crate::backlog::{Backlog, Blob, KvBacklog};
use crate::extent::{Closed, Extents};
use crate::identity::Identity;
use crate::index::{Index, KvIndex, MetricSpec, NewResource, ResourcePatch, Rule};
use crate::keys;
use crate::kv::{Batch, Direction, Family, Kv, WhenStalled};

const PARTITIONS: Partitions = Partitions::DEFAULT;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns(seconds * SECOND).unwrap()
}

fn minute() -> Granularity {
    Granularity::from_ns(60 * SECOND).unwrap()
}

fn policy() -> ArchivePolicy {
    let items = vec![Item { granularity: minute(), points: Some(100_000) }];
    let methods = MethodSet::from_iter([Method::MEAN, Method::COUNT_OF]);
    ArchivePolicy { name: "low".into(), back_window: 0, items, methods }
}

/// Blobs of this suite are a sealed id.
fn read_blob(bytes: &[u8]) -> Option<Vec<MetricId>> {
    let id = unseal(bytes).ok()?.try_into().ok()?;
    Some(vec![MetricId::from_bytes(id)])
}

/// Where blocks begin depends on the id: this one has several, of which the first is not short.
const FIRST_ID: u64 = 1_000;

thread_local! {
    static NEXT_ID: Cell<u64> = const { Cell::new(FIRST_ID) };
}

fn next_id() -> MetricId {
    MetricId::from_bits(NEXT_ID.replace(NEXT_ID.get() + 1).into())
}

/// A store that is sound: metrics `a` (active, with a window, sealed blocks, a run and blobs) and `b` (deleted).
pub struct Sample<K> {
    /// The engine.
    pub kv: Arc<K>,
    a: MetricId,
    b: MetricId,
}

impl<K: Kv> Sample<K> {
    /// Fills an empty engine.
    pub fn new(kv: Arc<K>) -> Self {
        let any: Arc<dyn Kv> = kv.clone();
        Identity::open(&*any, Identity { salt: 7, partitions: PARTITIONS }).unwrap();
        NEXT_ID.set(FIRST_ID);
        let index = KvIndex::open(any.clone()).unwrap().with_ids(next_id);
        let resource = index_sample(&index);
        let (a, b) = (resource.metrics["a"], resource.metrics["b"]);
        index.delete_metrics(&[b]).unwrap();
        let sample = Sample { kv, a, b };
        sample.series();
        sample
    }

    /// Days of minutes, checkpointed each hour as a daemon would, the last time after one, which is too little for a
    /// block; then blobs that no checkpoint has.
    fn series(&self) {
        let any: Arc<dyn Kv> = self.kv.clone();
        let backlog = KvBacklog::new(any.clone(), PARTITIONS);
        let aggregates = KvAggregates::new(any, PARTITIONS).with_extents(Extents::new(128, 512));
        let partition = PARTITIONS.of(self.a);
        let mut bytes = self.a.to_bytes().to_vec();
        seal(&mut bytes);
        let blob = |seq| Blob { partition, seq, bytes: bytes.clone() };
        let policy = Arc::new(policy());
        let mut series = Series::new(SeriesKind::Sampled, policy.clone());
        for hour in 0..40 {
            let minutes = hour * 60..hour * 60 + if hour == 39 { 1 } else { 60 };
            let mut measures: Vec<Measure> =
                minutes.map(|n| Measure { at: at(n * 60), value: n as f64 }).collect();
            backlog.append(&[blob(hour + 1)]).unwrap();
            series.insert(hour + 1, &mut measures);
            let checkpoint = series.begin_checkpoint().unwrap();
            let horizons = vec![(minute(), Timestamp::EPOCH)];
            let runs = MetricRuns { id: self.a, seq: checkpoint.seq(), runs: checkpoint.runs(), horizons };
            aggregates.write(&[runs]).unwrap();
            backlog.checkpoint(vec![(self.a, checkpoint.window())], &[(partition, hour + 1)]).unwrap();
            series.end_checkpoint();
        }
        let (methods, until) = (policy.methods, at(40 * 3600));
        let closed = Closed { id: self.a, width: minute(), methods, before: at(0), from: at(0), until };
        aggregates.seal(&closed).unwrap();
        backlog.append(&[blob(41), blob(42), blob(43)]).unwrap();
        backlog.sync().unwrap();
    }

    /// What a check says.
    pub fn check(&self) -> (Summary, Vec<String>) {
        let mut found = Vec::new();
        let said =
            |finding: Finding| format!("{}: {}: {}", finding.family.name(), finding.place, finding.what);
        let summary = check(&*self.kv, read_blob, &mut |event| {
            if let Event::Found(finding) = event {
                found.push(said(finding));
            }
        });
        (summary.unwrap(), found)
    }

    fn window_key(&self) -> Vec<u8> {
        keys::metric(PARTITIONS.of(self.a), self.a).to_vec()
    }

    fn blob_key(&self, seq: u64) -> Vec<u8> {
        keys::backlog(PARTITIONS.of(self.a), seq).to_vec()
    }

    /// Keys of a family that begin so.
    fn keys(&self, family: Family, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let visit = &mut |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        };
        self.kv.scan(family, prefix, &crate::kv::prefix_end(prefix), Direction::Forward, visit).unwrap();
        keys
    }

    /// Keys of sealed blocks or of runs.
    fn row_keys(&self, blocks: bool) -> Vec<Vec<u8>> {
        let mut keys = self.keys(Family::Rows, &self.window_key());
        keys.retain(|key| {
            let value = self.value(Family::Rows, key);
            value.len() > 8 && orzo_model::block::is_block(&value) == blocks
        });
        keys
    }

    fn value(&self, family: Family, key: &[u8]) -> Vec<u8> {
        self.kv.get(family, key).unwrap().expect("it is there")
    }

    fn put(&self, family: Family, key: &[u8], value: Vec<u8>) {
        let mut batch = Batch::default();
        batch.put(family, key, value);
        self.kv.write(batch, WhenStalled::Wait).unwrap();
    }

    fn delete(&self, family: Family, key: &[u8]) {
        let mut batch = Batch::default();
        batch.delete(family, key);
        self.kv.write(batch, WhenStalled::Wait).unwrap();
    }

    /// Flips a bit in the middle of a value.
    fn flip(&self, family: Family, key: &[u8]) {
        let mut value = self.value(family, key);
        let middle = value.len() / 2;
        value[middle] ^= 0x10;
        self.put(family, key, value);
    }

    fn document(&self, table: &[u8]) -> Vec<u8> {
        self.keys(Family::Index, table).swap_remove(0)
    }

    fn rewrite(&self, family: Family, key: &[u8], old: &str, new: &str) {
        let text = String::from_utf8(self.value(family, key)).unwrap();
        assert!(text.contains(old), "{text}");
        self.put(family, key, text.replace(old, new).into_bytes());
    }
}

fn index_sample(index: &dyn Index) -> orzo_model::resource::Resource {
    index.create_policy(policy()).unwrap();
    let rule = Rule { name: "all".into(), pattern: "*".into(), policy: "low".into() };
    index.create_rule(rule).unwrap();
    let host = ResourceType { name: "host".into(), version: 0, attributes: Default::default() };
    index.create_resource_type(host).unwrap();
    let fresh = || MetricSpec::New { policy: None, unit: None };
    let resource = index
        .create_resource(NewResource {
            id: ResourceId::derive("web1", Some("alice")).unwrap(),
            original_id: "web1".into(),
            resource_type: "host".into(),
            creator: "alice".into(),
            user_id: Some("u".into()),
            project_id: Some("p".into()),
            started_at: None,
            ended_at: None,
            attributes: Vec::new(),
            metrics: vec![("a".into(), fresh()), ("b".into(), fresh())],
            now: at(100),
        })
        .unwrap();
    let user_id = Some(Some("v".into()));
    let patch = ResourcePatch { user_id, now: at(200), ..Default::default() };
    index.patch_resource("host", resource.id, patch).unwrap();
    resource
}

/// One kind of damage, and what a check says of it.
type Case<K> = (&'static str, fn(&Sample<K>), &'static [&'static str]);

/// Each kind of damage is found, and called by its name; a sound store has none.
pub fn every_damage_is_found<K: Kv>(make: impl Fn() -> Arc<K>) {
    let (summary, found) = Sample::new(make()).check();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!((summary.findings, summary.metrics), (0, 1));
    assert!(summary.tallies.values().all(|tally| tally.values > 0), "{:?}", summary.tallies);
    for (name, damage, expected) in meta_and_series().into_iter().chain(documents()) {
        let sample = Sample::new(make());
        damage(&sample);
        let (summary, found) = sample.check();
        assert_eq!(summary.findings as usize, found.len(), "{name}");
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (finding, expected) in found.iter().zip(expected) {
            assert!(finding.contains(expected), "{name}: {expected:?} is not in {found:#?}");
        }
    }
}

fn meta_and_series<K: Kv>() -> Vec<Case<K>> {
    vec![
        ("identity", |s| s.flip(Family::Meta, b"identity"), &["identity: corrupt identity"]),
        (
            "low water",
            |s| s.flip(Family::Meta, &keys::low_water(PARTITIONS.of(s.a))),
            &["low-water mark of partition"],
        ),
        ("blob", |s| s.flip(Family::Backlog, &s.blob_key(42)), &["blob 42 of partition"]),
        (
            "lost blob",
            |s| s.delete(Family::Backlog, &s.blob_key(42)),
            &["before it, blobs 42 to 42 are missing"],
        ),
        ("window", |s| s.flip(Family::Window, &s.window_key()), &["its window does not decode"]),
        (
            "lost window and blobs",
            |s| {
                s.delete(Family::Window, &s.window_key());
                (41..44).for_each(|seq| s.delete(Family::Backlog, &s.blob_key(seq)));
            },
            &["has rows, but no window"],
        ),
        (
            "window ahead",
            |s| {
                (1..44).for_each(|seq| s.delete(Family::Backlog, &s.blob_key(seq)));
                s.put(Family::Meta, &keys::low_water(PARTITIONS.of(s.a)), keys::low_water_value(9).into());
            },
            &["its window knows blob 40, the newest there is is 9", "the newest there is is 9"],
        ),
        (
            "stray window",
            |s| s.put(Family::Window, &[s.window_key(), vec![0]].concat(), vec![1]),
            &["is no key of this partition"],
        ),
        ("run", |s| s.flip(Family::Rows, s.row_keys(false).last().unwrap()), &["rows: metric"]),
        ("block", |s| s.flip(Family::Rows, &s.row_keys(true)[0]), &["does not decode"]),
        ("long block", |s| s.flip(Family::Rows, s.row_keys(true).last().unwrap()), &["does not decode"]),
        (
            "moved block",
            |s| {
                let key = &s.row_keys(true)[1];
                let mut moved = key.clone();
                *moved.last_mut().unwrap() ^= 1;
                s.put(Family::Rows, &moved, s.value(Family::Rows, key));
            },
            &["begins at another time than its key says"],
        ),
        ("overlapping blocks", overlapping, &["overlaps the block before"]),
        (
            "horizon",
            |s| s.put(Family::Rows, &s.keys(Family::Rows, &s.window_key())[0], vec![1]),
            &["is no horizon"],
        ),
        (
            "rows of nobody",
            |s| {
                let prefix =
                    keys::series(PARTITIONS.of(MetricId::from_bits(3)), MetricId::from_bits(3), minute());
                let key = keys::row(&prefix, keys::RowKind::Horizon, Timestamp::EPOCH);
                s.put(Family::Rows, &key, vec![0; 8]);
            },
            &["has rows, but is not in the index"],
        ),
    ]
}

/// Puts a block that starts in the middle of another.
fn overlapping<K: Kv>(sample: &Sample<K>) {
    let value = sample.value(Family::Rows, &sample.row_keys(true)[0]);
    let (seq, run) = orzo_model::block::decode_run(&value, minute()).unwrap();
    let mut part = orzo_model::run::Run::new(minute(), []);
    part.open_bucket(run.starts()[5]);
    part.add_column(Method::MEAN, [Some(1.0)].into_iter());
    let prefix = keys::series(PARTITIONS.of(sample.a), sample.a, minute());
    let key = keys::row(&prefix, keys::RowKind::Run, run.starts()[5]);
    sample.put(Family::Rows, &key, orzo_model::block::encode(&part, seq));
}

fn documents<K: Kv>() -> Vec<Case<K>> {
    vec![
        (
            "policy",
            |s| s.put(Family::Index, &s.document(b"P"), b"{".to_vec()),
            &["key Plow: does not decode", "names the archive policy", "names the archive policy"],
        ),
        ("rule", |s| s.put(Family::Index, &s.document(b"R"), b"{".to_vec()), &["key Rall: does not decode"]),
        (
            "resource",
            |s| s.rewrite(Family::Index, &s.document(b"r"), "\"since\"", "\"sinc\""),
            &["does not decode", "has no state", "", "", "", "", "", ""],
        ),
        (
            "lost resource",
            |s| s.delete(Family::Index, &s.document(b"r")),
            &["has no state that can be read", "", "", "", "", "", ""],
        ),
        ("history", |s| s.put(Family::Index, &s.document(b"h"), b"{}".to_vec()), &["does not decode"]),
        (
            "counters",
            |s| s.rewrite(Family::Index, b"c", "\"metrics\":1", "\"metrics\":2"),
            &["counts 2 metrics, there are 1"],
        ),
        (
            "deleted metric",
            |s| s.put(Family::Index, &s.document(b"d"), b"x".to_vec()),
            &["is deleted, and does not decode", "key k", "key l", "key p"],
        ),
        (
            "metric",
            |s| s.put(Family::Index, &s.document(b"m"), b"x".to_vec()),
            &["index: metric", "key k", "key l", "key n", "key p"],
        ),
        (
            "lost metric",
            |s| s.delete(Family::Index, &s.document(b"m")),
            &["counts 1 metrics", "key k", "key l", "key n", "key p", "has a window", "has rows"],
        ),
        (
            "lost name",
            |s| s.delete(Family::IndexBy, &s.keys(Family::IndexBy, b"n")[0]),
            &["has no secondary key by resource and name"],
        ),
        (
            "name of another metric",
            |s| {
                let key = &s.keys(Family::IndexBy, b"n")[0];
                s.put(Family::IndexBy, key, s.b.to_bytes().to_vec());
            },
            &["leads to nothing that says so", "has no secondary key by resource and name"],
        ),
        (
            "lost order",
            |s| s.delete(Family::IndexBy, &s.keys(Family::IndexBy, b"a")[0]),
            &["has no secondary key by time"],
        ),
        (
            "burned although it lives",
            |s| {
                s.put(Family::IndexBy, &[b"B".as_slice(), &s.a.to_bytes()].concat(), Vec::new());
            },
            &["leads to nothing that says so"],
        ),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_engine_shows_every_damage() {
        super::every_damage_is_found(|| std::sync::Arc::new(crate::memory::MemoryKv::new()));
    }
}
