//! What a shard tells of its series, and when it hurries.

use crossbeam::channel::bounded;
use orzo_model::Measure;
use orzo_model::series::SeriesKind;

use super::*;
use crate::gauge::GaugeDialect;
use crate::testing::{at, policy};

const CHECKPOINT_AGE: u64 = 600;

fn shard() -> Shard {
    let second = orzo_model::SECOND;
    let semantics =
        Semantics { gauge_dialect: GaugeDialect::Auto, gauge_ttl_ns: second, max_future_ns: second };
    let config = ShardConfig {
        partitions: Partitions::DEFAULT,
        owned: Partitions::DEFAULT.all().collect(),
        flush_interval_ns: second,
        checkpoint_age_ns: CHECKPOINT_AGE * second,
        series_max: 10,
        semantics,
    };
    Shard::new(config, Arc::default())
}

fn id(number: usize) -> MetricId {
    // Spread like the ids of names, which the tables rely on.
    MetricId::from_bits((number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Measures of some metrics come and are applied.
fn post(shard: &mut Shard, now: u64, posts: impl IntoIterator<Item = (usize, Vec<Measure>)>) {
    let make = |(number, measures): (usize, Vec<Measure>)| Post {
        id: id(number),
        policy: policy(),
        kind: SeriesKind::Sampled,
        measures: measures.into(),
    };
    shard.command(Command::Post(posts.into_iter().map(make).collect(), bounded(1).0));
    let mut commit = shard.commit().unwrap();
    shard.apply(&mut commit, at(now));
}

fn one(seconds: u64) -> Vec<Measure> {
    vec![Measure { at: at(seconds), value: 1.0 }]
}

fn asked(shard: &mut Shard, hearing: Hearing) -> Vec<Heard> {
    let (reply, answer) = bounded(1);
    shard.command(Command::Heard(hearing, reply));
    for (reply, heard) in shard.outbox().heard {
        reply.send(heard).unwrap();
    }
    answer.recv().unwrap()
}

fn heard(number: usize, arrived: u64, newest: u64) -> Heard {
    Heard { metric: id(number), arrived: at(arrived), newest: at(newest) }
}

#[test]
fn a_series_is_news_when_it_speaks_after_a_silence() {
    let mut shard = shard();
    post(&mut shard, 1000, [(1, one(990))]);
    assert_eq!(asked(&mut shard, Hearing::News), [heard(1, 1000, 990)]);
    post(&mut shard, 1059, [(1, one(1050))]);
    assert_eq!(asked(&mut shard, Hearing::News), [], "it goes on speaking");
    post(&mut shard, 1119, [(1, one(1100))]);
    assert_eq!(asked(&mut shard, Hearing::News), [heard(1, 1119, 1100)]);
    // One batch before it is asked for is as good as the next.
    post(&mut shard, 1120, [(1, one(1110))]);
    assert_eq!(asked(&mut shard, Hearing::Of(vec![id(2), id(1)])), [heard(1, 1120, 1110)]);
}

#[test]
fn a_series_that_goes_on_speaking_is_news_at_its_checkpoint() {
    let mut shard = shard();
    post(&mut shard, 1000, [(1, one(1000))]);
    asked(&mut shard, Hearing::News);
    post(&mut shard, 1030, [(1, one(1001))]);
    shard.tick(at(1031), false);
    assert_eq!(asked(&mut shard, Hearing::News), []);
    shard.tick(at(1000 + CHECKPOINT_AGE), false);
    assert_eq!(asked(&mut shard, Hearing::News), [heard(1, 1030, 1001)]);
}

#[test]
fn news_that_nobody_asks_for_take_so_much_room() {
    let mut shard = shard();
    post(&mut shard, 1000, (0..NEWS_MAX + 1).map(|number| (number, one(1000))));
    assert_eq!(asked(&mut shard, Hearing::News).len(), NEWS_MAX);
    assert_eq!(asked(&mut shard, Hearing::News).len(), 0);
}

/// Memory of raw measures is bounded: past so many they go to the store early.
#[test]
fn one_measure_too_many_starts_checkpoints() {
    let mut shard = shard();
    let measures =
        (0..DIRTY_MEASURES as u64).map(|ns| Measure { at: Timestamp::from_ns(ns).unwrap(), value: 1.0 });
    post(&mut shard, 1000, [(1, measures.collect())]);
    shard.tick(at(1001), false);
    assert!(shard.outbox().checkpoints.is_empty());
    post(&mut shard, 1001, [(2, one(1001))]);
    shard.tick(at(1002), false);
    assert_eq!(shard.outbox().checkpoints.iter().map(|job| job.series.len()).sum::<usize>(), 2);
}

/// Takes the checkpoints that the shard wants to be stored, and says that they are.
fn store(shard: &mut Shard) -> usize {
    let jobs = shard.outbox().checkpoints;
    for job in &jobs {
        shard.command(Command::Checkpointed { partition: job.partition, stored: true });
    }
    jobs.len()
}

#[test]
fn whoever_hurries_is_told_when_all_that_was_dirty_is_stored() {
    let mut shard = shard();
    shard.tick(at(1000), false);
    post(&mut shard, 1000, [(1, one(1000)), (2, one(1000))]);
    let (reply, answer) = bounded(1);
    shard.command(Command::Checkpoint(reply));
    shard.tick(at(1001), false);
    // Dirty again while that is stored, and nobody's hurry.
    post(&mut shard, 1001, [(1, one(1001))]);
    assert!(answer.try_recv().is_err());
    assert_eq!(store(&mut shard), 2);
    shard.tick(at(1002), false);
    assert!(answer.try_recv().is_ok());
    assert_eq!(store(&mut shard), 0);

    let (reply, answer) = bounded(1);
    shard.command(Command::Checkpoint(reply));
    shard.tick(at(1003), false);
    assert_eq!(store(&mut shard), 1);
    shard.tick(at(1004), false);
    assert!(answer.try_recv().is_ok());
}
