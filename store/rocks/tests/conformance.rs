//! RocksDB passes what every engine must pass, keeps it over a restart, and lets expired rows go.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;
use std::sync::Arc;

use orzo_model::run::Run;
use orzo_model::{Granularity, Method, MetricId, Partitions, SECOND, Timestamp};
use orzo_store::index::KvIndex;
use orzo_store::index::conformance::index_conformance;
use orzo_store::{
    Aggregates, Batch, Direction, Family, Index, Kv, KvAggregates, MetricRuns, WhenStalled, conformance,
};
use orzo_store_rocks::{RocksKv, Tuning};
use tempfile::TempDir;

fn open(directory: &TempDir) -> Arc<RocksKv> {
    Arc::new(RocksKv::open(directory.path(), &Tuning::default()).unwrap())
}

#[test]
fn conforms() {
    let mut directories = std::cell::RefCell::new(Vec::new());
    conformance::engine(|| {
        let directory = TempDir::new().unwrap();
        let kv = open(&directory);
        directories.borrow_mut().push(directory);
        kv
    });
    directories.get_mut().clear();
}

#[test]
fn holds_an_index() {
    index_conformance(|| {
        let directory = TempDir::new().unwrap();
        Box::new(move || -> Arc<dyn Index> { Arc::new(KvIndex::open(open(&directory)).unwrap()) })
    });
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let mut batch = Batch::default();
    Family::ALL.into_iter().for_each(|family| batch.put(family, "key", family.name()));
    open(&directory).write(batch, WhenStalled::Fail).unwrap();
    let kv = open(&directory);
    for family in Family::ALL {
        assert_eq!(kv.get(family, b"key").unwrap().as_deref(), Some(family.name().as_bytes()));
    }
}

#[test]
fn a_second_process_is_refused() {
    let directory = TempDir::new().unwrap();
    let _first = open(&directory);
    assert!(RocksKv::open(directory.path(), &Tuning::default()).is_err());
}

#[test]
fn expired_rows_go_with_the_next_merge() {
    let directory = TempDir::new().unwrap();
    let kv = open(&directory);
    let aggregates = KvAggregates::new(kv.clone(), Partitions::DEFAULT);
    let width = Granularity::from_ns(SECOND).unwrap();
    let at = |slot: u64| Timestamp::from_ns(slot * SECOND).unwrap();
    for (seq, first) in [(1, 0), (2, 600), (3, 5000)] {
        let mut run = Run::new(width, [Method::MEAN]);
        run.open_bucket(at(first));
        run.columns_mut().for_each(|(_, values)| values.push(Some(1.0)));
        let (id, horizons) = (MetricId::from_bits(9), vec![(width, at(1000))]);
        aggregates.write(&[MetricRuns { id, seq, runs: vec![run], horizons }]).unwrap();
    }
    let count = || {
        let mut count = 0;
        kv.scan(Family::Rows, b"", b"", Direction::Forward, &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        count
    };
    assert_eq!(count(), 4);
    kv.compact().unwrap();
    assert_eq!(count(), 3, "the run that ends before the horizon is gone, the horizon and two runs stay");
}
