//! What every key-value engine must do for the backlog and the aggregates; each engine runs it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use orzo_model::run::Run;
use orzo_model::{Column, Granularity, Method, MetricId, Partition, Partitions, SECOND, Timestamp};

use crate::aggregates::{Aggregates, KvAggregates, MetricRuns, RowQuery};
use crate::backlog::{Backlog, Blob, KvBacklog, Position};
use crate::extent::{Closed, Extents};
use crate::identity::Identity;
use crate::keys::{self, RowKind, SERIES_PREFIX};
use crate::kv::{Batch, Direction, Family, Kv, WhenStalled, prefix_end};

const PARTITIONS: Partitions = Partitions::DEFAULT;

/// Runs everything; `make` gives an empty engine each time.
pub fn engine<K: Kv>(make: impl Fn() -> Arc<K>) {
    batches_are_ordered_and_ranges_half_open(&*make());
    scans_go_both_ways_and_stop_when_told(&*make());
    prefixes_are_scanned_in_turn(&*make());
    identity_is_made_once(&*make());
    backlog_replays_above_low_water(make());
    backlog_trims_what_is_below(make());
    newer_runs_win(make());
    sealing_changes_no_answer(make());
    sealing_stops_at_the_border(make());
    sealing_buckets_without_values_leaves_nothing(make());
    long_extents_change_no_answer(make());
    long_runs_are_found_from_their_middle(make());
    retired_metrics_leave_nothing(make());
}

fn found_keys<K: Kv>(kv: &K, family: Family, from: &[u8], to: &[u8], way: Direction) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    kv.scan(family, from, to, way, &mut |key, _| {
        found.push(key.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn batches_are_ordered_and_ranges_half_open<K: Kv>(kv: &K) {
    let mut batch = Batch::default();
    for key in ["a", "b", "c"] {
        batch.put(Family::Index, key, "old");
    }
    batch.delete_range(Family::Index, "a", "c");
    batch.put(Family::Index, "b", "new");
    batch.put(Family::Meta, "b", "other family");
    kv.write(batch, WhenStalled::Wait).unwrap();
    assert_eq!(kv.get(Family::Index, b"a").unwrap(), None);
    assert_eq!(kv.get(Family::Index, b"b").unwrap().as_deref(), Some(b"new".as_slice()));
    assert_eq!(kv.get(Family::Index, b"c").unwrap().as_deref(), Some(b"old".as_slice()));
    assert_eq!(found_keys(kv, Family::Meta, b"", b"", Direction::Forward), [b"b"]);
}

fn scans_go_both_ways_and_stop_when_told<K: Kv>(kv: &K) {
    let mut batch = Batch::default();
    for key in [&[1u8, 0][..], &[1, 255], &[2], &[255, 255]] {
        batch.put(Family::IndexBy, key, b"");
    }
    kv.write(batch, WhenStalled::Wait).unwrap();
    let end = prefix_end(&[1]);
    assert_eq!(found_keys(kv, Family::IndexBy, &[1], &end, Direction::Forward), [vec![1, 0], vec![1, 255]]);
    assert_eq!(found_keys(kv, Family::IndexBy, &[1], &end, Direction::Backward), [vec![1, 255], vec![1, 0]]);
    assert_eq!(found_keys(kv, Family::IndexBy, &[2], &prefix_end(&[255]), Direction::Forward).len(), 2);
    assert!(found_keys(kv, Family::IndexBy, &[3], &[2], Direction::Forward).is_empty());
    let mut seen = 0;
    kv.scan(Family::IndexBy, &[], &[], Direction::Backward, &mut |key, _| {
        seen += 1;
        assert_eq!(key, [255, 255]);
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(seen, 1);
}

fn prefixes_are_scanned_in_turn<K: Kv>(kv: &K) {
    let under =
        |resource: u8, name: &str| [[keys::NAMES].as_slice(), &[resource; 16], name.as_bytes()].concat();
    let mut batch = Batch::default();
    for resource in 1..=6 {
        for name in ["a", "b"] {
            batch.put(Family::IndexBy, under(resource, name), [resource]);
            batch.put(Family::Index, under(resource, name), [resource]);
        }
    }
    kv.write(batch, WhenStalled::Wait).unwrap();
    let mut batch = Batch::default();
    for (resource, name) in [(2, "a"), (3, "a"), (3, "b")] {
        batch.delete(Family::IndexBy, under(resource, name));
        batch.delete(Family::Index, under(resource, name));
    }
    kv.write(batch, WhenStalled::Wait).unwrap();
    let prefixes = [0, 1, 2, 3, 5, 9].map(|resource| under(resource, ""));
    for family in [Family::IndexBy, Family::Index] {
        for limit in [1, 3, 100] {
            let mut seen = Vec::new();
            kv.scan_under(family, &prefixes, &mut |number, key, value| {
                seen.push((number, key.to_vec(), value[0]));
                if seen.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .unwrap();
            let all = [(1, 1, "a"), (1, 1, "b"), (2, 2, "b"), (4, 5, "a"), (4, 5, "b")];
            let expected = all.map(|(number, resource, name)| (number, under(resource, name), resource));
            assert_eq!(seen, expected[..limit.min(all.len())]);
        }
        kv.scan_under(family, &[], &mut |_, _, _| panic!("there is nothing to visit")).unwrap();
    }
}

fn identity_is_made_once<K: Kv>(kv: &K) {
    let (first, second) = (42, 43);
    let fresh = |salt| Identity { salt, partitions: PARTITIONS };
    assert_eq!(Identity::open(kv, fresh(first)).unwrap(), fresh(first));
    assert_eq!(Identity::open(kv, fresh(second)).unwrap(), fresh(first));
}

fn partition() -> Partition {
    PARTITIONS.of(MetricId::from_bits(3))
}

fn blob(seq: u64) -> Blob {
    Blob { partition: partition(), seq, bytes: seq.to_le_bytes().to_vec() }
}

fn replayed(backlog: &dyn Backlog) -> Vec<u64> {
    let mut seen = Vec::new();
    backlog
        .replay(partition(), &mut |seq, bytes| {
            assert_eq!(bytes, seq.to_le_bytes());
            seen.push(seq);
        })
        .unwrap();
    seen
}

fn backlog_replays_above_low_water<K: Kv>(kv: Arc<K>) {
    let backlog = KvBacklog::new(kv, PARTITIONS);
    let id = MetricId::from_bits(3);
    assert_eq!(backlog.position(partition()).unwrap(), Position::default());
    backlog.append(&(1..=300).map(blob).collect::<Vec<_>>()).unwrap();
    assert_eq!(replayed(&backlog), (1..=300).collect::<Vec<_>>());
    backlog.checkpoint(vec![(id, b"window".to_vec())], &[(partition(), 256)]).unwrap();
    assert_eq!(replayed(&backlog), (257..=300).collect::<Vec<_>>());
    assert_eq!(backlog.position(partition()).unwrap(), Position { low: 256, newest: 300 });
    assert_eq!(backlog.window(id).unwrap().as_deref(), Some(b"window".as_slice()));
    backlog.forget(id).unwrap();
    assert_eq!(backlog.window(id).unwrap(), None);
    backlog.sync().unwrap();
}

fn backlog_trims_what_is_below<K: Kv>(kv: Arc<K>) {
    let backlog = KvBacklog::new(kv.clone(), PARTITIONS);
    backlog.append(&(1..=3000).map(blob).collect::<Vec<_>>()).unwrap();
    backlog.checkpoint(Vec::new(), &[(partition(), 2990)]).unwrap();
    assert_eq!(found_keys(&*kv, Family::Backlog, b"", b"", Direction::Forward).len(), 10);
    backlog.checkpoint(Vec::new(), &[(partition(), 3000)]).unwrap();
    assert_eq!(backlog.position(partition()).unwrap(), Position { low: 3000, newest: 3000 });
}

fn width() -> Granularity {
    Granularity::from_ns(60 * SECOND).unwrap()
}

fn runs(id: MetricId, seq: u64, slots: impl Iterator<Item = u64>, value: f64) -> MetricRuns {
    let mut run = Run::new(width(), [Method::SUM, Method::COUNT_OF]);
    for slot in slots {
        run.open_bucket(Timestamp::from_ns(slot * width().ns()).unwrap());
        run.columns_mut().for_each(|(_, values)| values.push(Some(value)));
    }
    MetricRuns { id, seq, runs: vec![run], horizons: Vec::new() }
}

fn read(aggregates: &dyn Aggregates, id: MetricId, from: u64, to: Option<u64>) -> Vec<(u64, f64)> {
    let (start, stop) = (at(from), to.map(at));
    let column = aggregates.read(&RowQuery { id, width: width(), method: Method::SUM, start, stop }).unwrap();
    Column::iter(&column).map(|(start, value)| (start.ns() / width().ns(), value)).collect()
}

fn newer_runs_win<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv, PARTITIONS);
    let (id, other) = (MetricId::from_bits(1), MetricId::from_bits(2));
    aggregates.write(&[runs(id, 10, 100..103, 1.0), runs(other, 1, 100..101, 9.0)]).unwrap();
    aggregates.write(&[runs(id, 30, 101..104, 3.0)]).unwrap();
    aggregates.write(&[runs(id, 20, 99..105, 2.0)]).unwrap();
    let expected = [(99, 2.0), (100, 2.0), (101, 3.0), (102, 3.0), (103, 3.0), (104, 2.0)];
    assert_eq!(read(&aggregates, id, 0, None), expected);
    assert_eq!(read(&aggregates, id, 100, Some(103)), expected[1..4]);
    let newest = aggregates.newest(id, width(), Method::COUNT_OF, Timestamp::EPOCH).unwrap();
    assert_eq!(newest, Timestamp::from_ns(104 * width().ns()));
    let since = |slot: u64| Timestamp::from_ns(slot * width().ns()).unwrap();
    for (slot, found) in [(104, newest), (105, None)] {
        assert_eq!(aggregates.newest(id, width(), Method::COUNT_OF, since(slot)).unwrap(), found);
    }
    assert_eq!(aggregates.newest(id, width(), Method::MAX, Timestamp::EPOCH).unwrap(), None);
}

fn at(slot: u64) -> Timestamp {
    Timestamp::from_ns(slot * width().ns()).unwrap()
}

/// What a checkpoint closes that writes from slot `from` on, the one before having closed all up to `before`.
fn closed(id: MetricId, before: u64, from: u64, until: u64) -> Closed {
    let methods = [Method::SUM, Method::COUNT_OF].into_iter().collect();
    Closed { id, width: width(), methods, before: at(before), from: at(from), until: at(until) }
}

/// Short overlapping runs, as checkpoints leave them, before and after sealing.
fn sealing_changes_no_answer<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv.clone(), PARTITIONS);
    let id = MetricId::from_bits(5 << 16 | 7);
    for checkpoint in 0..200u64 {
        let first = checkpoint * 10;
        aggregates.write(&[runs(id, checkpoint + 1, first..first + 12, checkpoint as f64)]).unwrap();
    }
    let before = read(&aggregates, id, 0, None);
    assert_eq!(before.len(), 2002);
    for again in 0..2 {
        aggregates.seal(&closed(id, 0, 0, 1600)).unwrap();
        assert_eq!(read(&aggregates, id, 0, None), before, "sealed {} times", again + 1);
    }
    let stored = found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).len();
    assert!((40..60).contains(&stored), "three blocks and what is not closed, not {stored} values");
    aggregates.write(&[runs(id, 900, 700..702, 9.0)]).unwrap();
    assert_eq!(read(&aggregates, id, 700, Some(703))[..2], [(700, 9.0), (701, 9.0)]);
}

/// Runs that begin in one extent and end in the next, the newest of them first.
fn sealing_stops_at_the_border<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv.clone(), PARTITIONS);
    let id = MetricId::from_bits(5 << 16 | 7);
    let across = [(101, 505..515), (102, 506..510), (103, 503..509), (104, 507..508)];
    for (seq, slots) in (1..=16).map(|seq| (seq, seq..seq + 2)).chain(across) {
        aggregates.write(&[runs(id, seq, slots, seq as f64)]).unwrap();
    }
    let before = read(&aggregates, id, 0, None);
    aggregates.seal(&closed(id, 0, 0, 507)).unwrap();
    assert_eq!(read(&aggregates, id, 0, None), before);
    assert_eq!(found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).len(), 2, "one on each side");
}

/// As a policy with `std` alone leaves it, if values come one by one.
fn sealing_buckets_without_values_leaves_nothing<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv.clone(), PARTITIONS);
    let (id, methods) = (MetricId::from_bits(7), [Method::STD].into_iter().collect());
    for seq in 1..20 {
        let mut run = Run::new(width(), [Method::STD]);
        run.open_bucket(at(seq));
        run.columns_mut().for_each(|(_, values)| values.push(None));
        aggregates.write(&[MetricRuns { id, seq, runs: vec![run], horizons: Vec::new() }]).unwrap();
    }
    aggregates.seal(&Closed { methods, ..closed(id, 0, 0, 600) }).unwrap();
    assert_eq!(found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).len(), 0);
}

/// A series from its first checkpoint on, some of them lost with the machine after they had sealed, some with buckets
/// long closed: each answer is as if nothing was ever sealed.
fn long_extents_change_no_answer<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv.clone(), PARTITIONS).with_extents(Extents::new(64, 256));
    let id = MetricId::from_bits(37 << 16 | 7);
    let mut expected = BTreeMap::new();
    let mut before = 0;
    for checkpoint in 1..400u64 {
        let first = checkpoint * 3;
        let late = (checkpoint % 90 == 0).then(|| first - 200);
        for from in late.into_iter().chain([first]) {
            let slots = || (from..from + 5).filter(|slot| slot % 11 > 0);
            let value = checkpoint as f64 + if from < first { 0.5 } else { 0.0 };
            aggregates.write(&[runs(id, checkpoint, slots(), value)]).unwrap();
            expected.extend(slots().map(|slot| (slot, value)));
        }
        aggregates.seal(&closed(id, before, late.unwrap_or(first), first)).unwrap();
        // The next one after each seventh does not know of it, as after a crash before its window was stored.
        before = if checkpoint % 7 == 0 { before } else { first };
        if checkpoint % 9 == 0 {
            [0, first.saturating_sub(210), first - 3, first + 4]
                .into_iter()
                .for_each(|from| answers_are(&aggregates, id, from, &expected));
        }
    }
    let stored = found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward);
    let long = stored.iter().filter(|key| key[SERIES_PREFIX] == RowKind::Long as u8).count();
    assert_eq!(long, 4, "as many as long extents have closed");
    assert!(stored.len() < long + 3 + 30, "{} values", stored.len());
    let last = *expected.last_key_value().unwrap().0;
    let salvage = KvBacklog::new(kv.clone(), PARTITIONS).salvage(id).unwrap();
    assert_eq!((salvage.seq, salvage.until), (399, at(last + 1)));
    // All of it closes, and what is newest is in a long block.
    aggregates.seal(&closed(id, before, before, 5000)).unwrap();
    [0, 700, last].into_iter().for_each(|from| answers_are(&aggregates, id, from, &expected));
    assert_eq!(found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).len(), 5);
    aggregates.retire(id).unwrap();
    assert!(found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).is_empty());
}

/// Reads from a slot on, of several lengths, and looks for the newest bucket.
fn answers_are(aggregates: &dyn Aggregates, id: MetricId, from: u64, expected: &BTreeMap<u64, f64>) {
    for to in [None, Some(from + 1), Some(from + 90), Some(from + 700)] {
        let slots = expected.range(from..to.unwrap_or(u64::MAX)).map(|(slot, value)| (*slot, *value));
        assert_eq!(read(aggregates, id, from, to), slots.collect::<Vec<_>>(), "{from} to {to:?}");
    }
    let newest = aggregates.newest(id, width(), Method::SUM, at(from)).unwrap();
    assert_eq!(newest, expected.range(from..).next_back().map(|(slot, _)| at(*slot)), "{from}");
}

fn long_runs_are_found_from_their_middle<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv, PARTITIONS);
    let id = MetricId::from_bits(77);
    aggregates.write(&[runs(id, 1, 0..5000, 1.0)]).unwrap();
    assert_eq!(read(&aggregates, id, 0, None).len(), 5000);
    assert_eq!(read(&aggregates, id, 1023, Some(1026)), [(1023, 1.0), (1024, 1.0), (1025, 1.0)]);
}

fn retired_metrics_leave_nothing<K: Kv>(kv: Arc<K>) {
    let aggregates = KvAggregates::new(kv.clone(), PARTITIONS);
    let (id, other) = (MetricId::from_bits(65), MetricId::from_bits(129));
    let mut metric = runs(id, 1, 0..10, 1.0);
    metric.horizons.push((width(), Timestamp::EPOCH));
    aggregates.write(&[metric, runs(other, 1, 0..1, 1.0)]).unwrap();
    aggregates.retire(id).unwrap();
    assert!(read(&aggregates, id, 0, None).is_empty());
    assert_eq!(read(&aggregates, other, 0, None).len(), 1);
    assert_eq!(found_keys(&*kv, Family::Rows, b"", b"", Direction::Forward).len(), 1);
    assert_eq!(aggregates.damaged(), 0);
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_engine_conforms() {
        super::engine(|| std::sync::Arc::new(crate::memory::MemoryKv::new()));
    }
}
