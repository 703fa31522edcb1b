//! A series whose stored state is lost goes on behind what is stored, and replaces none of it by less.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use orzo_model::series::{Series, SeriesKind};
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{ArchivePolicy, Granularity, Item, Measure, Method, MethodSet, SECOND, Timestamp};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ns(seconds * SECOND).unwrap()
}

fn minute() -> Granularity {
    Granularity::from_ns(60 * SECOND).unwrap()
}

fn resumed(kind: SeriesKind) -> Series {
    let items = vec![Item { granularity: minute(), points: None }];
    let methods = MethodSet::from_iter([Method::COUNT_OF]);
    // Accepts what is days old, if nothing says otherwise.
    let policy = ArchivePolicy { name: "p".into(), back_window: 10_000, items, methods };
    Series::resumed(kind, Arc::new(policy), 7, at(600))
}

/// Minutes and counts that readers see.
fn counts(series: &Series) -> Vec<(u64, f64)> {
    let column = series.column(minute(), Method::COUNT_OF);
    column.iter().map(|(start, value)| (start.ns() / minute().ns(), value)).collect()
}

#[test]
fn measures_of_stored_buckets_are_refused() {
    let mut series = resumed(SeriesKind::Sampled);
    assert_eq!((series.seq(), series.is_dirty()), (7, false));
    let mut batch: Vec<Measure> = [0, 599, 600, 660].map(|s| Measure { at: at(s), value: 1.0 }).into();
    assert_eq!(series.insert(8, &mut batch).refused, 2);
    assert_eq!(counts(&series), [(10, 1.0), (11, 1.0)]);
}

#[test]
fn so_are_events() {
    let mut series = resumed(SeriesKind::Event);
    let events = [0, 599, 600, 660].map(|s| Summary::of(at(s), 1.0, 1.0, Weighing::Event, Wants::ALL));
    assert_eq!(series.add(8, &events), 2);
    assert_eq!(counts(&series), [(10, 1.0), (11, 1.0)]);
}

#[test]
fn a_series_that_was_never_stored_accepts_everything() {
    let policy = resumed(SeriesKind::Sampled).policy().clone();
    let mut series = Series::resumed(SeriesKind::Event, policy, 0, Timestamp::EPOCH);
    let event = Summary::of(at(1), 1.0, 1.0, Weighing::Event, Wants::ALL);
    assert_eq!(series.add(1, &[event]), 0);
}
