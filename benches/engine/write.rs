//! Bytes written to disk for each measure accepted, the log and compaction included.
//!
//! A series has a point each ten seconds and is posted each minute with six of them, or each ten minutes with sixty;
//! a post has two hundred series and is answered when it is synced. Who posts each ten minutes does so at a minute of its
//! own; all posts of a minute come at the same time. Time passes as it does in the daemon, so that each series is checkpointed once an hour.

use std::thread;

use orzo_aggregator::Post;
use orzo_model::series::SeriesKind;
use orzo_model::{Measure, MetricId};
use orzo_store::Family;
use uuid::Uuid;

use crate::node::Node;
use crate::{SIX, START, STEP, line, measures, policy};

/// Series in one post.
const TOGETHER: usize = 200;
/// The widths of the policy `medium`.
const MEDIUM: [u64; 2] = [60, 3600];
const AIM: f64 = 4.0;

pub(crate) fn run(series: usize, hours: usize) {
    println!(
        "\nBytes written a measure, mix of {series} series, {hours} hours, policy medium, {TOGETHER} series a post"
    );
    let all: Vec<Vec<Measure>> = (0..series).map(|index| measures("mix", index, hours)).collect();
    for points in [6, 60] {
        feed(&all, points);
    }
}

fn feed(all: &[Vec<Measure>], points: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(directory.path(), START);
    let ids: Vec<MetricId> = (0..all.len()).map(|_| MetricId::from_bits(Uuid::new_v4().as_u128())).collect();
    let policy = policy(&MEDIUM, SIX);
    let before = written();
    for end in (6..=all[0].len()).step_by(6) {
        node.advance(START + end as u64 * STEP);
        let groups = ids.chunks(TOGETHER).zip(all.chunks(TOGETHER)).enumerate();
        let due = groups.filter(|(group, _)| end / 6 % (points / 6) == group % (points / 6));
        thread::scope(|scope| {
            for (_, (ids, series)) in due {
                let post = |(id, measures): (&MetricId, &Vec<Measure>)| Post {
                    id: *id,
                    policy: policy.clone(),
                    kind: SeriesKind::Sampled,
                    measures: measures[end.saturating_sub(points)..end].into(),
                };
                let posts = ids.iter().zip(series).map(post).collect();
                scope.spawn(|| node.post(posts));
            }
        });
    }
    let kv = node.stop();
    let each = |bytes: u64| bytes as f64 / (all.len() * all[0].len()) as f64;
    let name = |what: &str| format!("{points} points a series: {what}");
    line(&name("all, as the kernel counts"), each(written() - before), "bytes a measure", Some(AIM));
    let by_engine = kv.rocks.written();
    line(&name("log"), each(by_engine.log), "bytes a measure", None);
    line(&name("tables from memory"), each(by_engine.flushed), "bytes a measure", None);
    line(&name("tables merged"), each(by_engine.merged), "bytes a measure", None);
    for (family, what) in [
        (Family::Backlog, "given to the backlog"),
        (Family::Window, "given to windows"),
        (Family::Rows, "given to rows"),
    ] {
        line(&name(what), each(kv.given(family)), "bytes a measure", None);
    }
    line(&name("at rest"), each(kv.rocks.bytes_on_disk(Family::Rows)), "bytes a measure", None);
}

/// Bytes that this process had written to disks.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    found.unwrap_or(0)
}
