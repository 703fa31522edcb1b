//! What runs came across: a simulation that meets nothing proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use orzo_aggregator::{Recovered, ShardCounters};
use orzo_model::drop_reason::DropReason;

use crate::kv::{Moment, Purpose};

/// Where a crash hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Something had come that was not appended.
    BeforeAppend,
    /// Something was appended and not synced.
    BeforeSync,
    /// Rows of a checkpoint were stored, its windows not.
    BetweenRowsAndWindows,
    /// A checkpoint was stored, its shard did not know.
    BeforeToldOfCheckpoint,
    /// The index knew a series, its shard did not know.
    BeforeToldOfMetric,
    /// While it recovered.
    Recovering,
    /// While it stopped.
    Stopping,
}

impl Point {
    pub(crate) const ALL: [Point; 7] = [
        Point::BeforeAppend,
        Point::BeforeSync,
        Point::BetweenRowsAndWindows,
        Point::BeforeToldOfCheckpoint,
        Point::BeforeToldOfMetric,
        Point::Recovering,
        Point::Stopping,
    ];

    /// Where the engine died, if that says it.
    pub(crate) fn of(moment: Moment) -> Option<Self> {
        Some(match moment {
            Moment::Before(Purpose::Append) => Point::BeforeAppend,
            Moment::After(Purpose::Append) | Moment::BeforeSync => Point::BeforeSync,
            Moment::After(Purpose::Rows) | Moment::Before(Purpose::Windows) => Point::BetweenRowsAndWindows,
            Moment::After(Purpose::Windows) => Point::BeforeToldOfCheckpoint,
            Moment::After(Purpose::Index) => Point::BeforeToldOfMetric,
            _ => return None,
        })
    }
}

/// Whatever else runs must come across.
const EVENTS: [&str; 32] = [
    "sample applied",
    "sample forwarded",
    "sample too_old",
    "sample too_far_ahead",
    "sample series_limit",
    "sample no_policy",
    "sample metric_deleted",
    "sample store_failed",
    "measure accepted",
    "measure refused",
    "post acknowledged",
    "post rejected",
    "commit",
    "commit stalled",
    "checkpoint",
    "checkpoint failed",
    "extent sealed",
    "long extent sealed",
    "row expired",
    "backlog trimmed",
    "sketch committed",
    "series evicted",
    "blob replayed",
    "batch replayed",
    "orphan replayed",
    "metric deleted",
    "metric expunged",
    "policy changed",
    "clock set back",
    "store healed",
    "clean stop",
    "commit annulled",
];

/// How often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    /// By point, and whether the machine died with the process.
    crashes: BTreeMap<(Point, bool), u64>,
    events: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub(crate) fn crash(&mut self, point: Point, power_cut: bool) {
        *self.crashes.entry((point, power_cut)).or_default() += 1;
    }

    pub(crate) fn count(&mut self, event: &'static str, times: u64) {
        assert!(EVENTS.contains(&event), "{event} is not in the list");
        *self.events.entry(event).or_default() += times;
    }

    /// What a shard that ends has counted.
    pub(crate) fn shard(&mut self, counters: &ShardCounters) {
        for reason in DropReason::ALL {
            let dropped = counters.samples_dropped[reason.index()].get();
            let known = EVENTS.iter().find(|event| event.strip_prefix("sample ") == Some(reason.name()));
            match known {
                Some(event) => self.count(event, dropped),
                None => assert_eq!(dropped, 0, "samples are lost because of {reason:?}"),
            }
        }
        self.count("sample applied", counters.samples_applied.get());
        self.count("measure accepted", counters.measures_accepted.get());
        self.count("measure refused", counters.measures_refused.get());
        self.count("commit", counters.commits.get());
        self.count("commit stalled", counters.commits_stalled.get());
        self.count("checkpoint", counters.checkpoints.get());
        self.count("checkpoint failed", counters.checkpoints_failed.get());
    }

    /// What a recovery found.
    pub(crate) fn recovered(&mut self, found: &Recovered) {
        self.count("blob replayed", found.blobs);
        self.count("batch replayed", found.batches);
        self.count("orphan replayed", found.orphans);
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        other.crashes.iter().for_each(|(key, times)| *self.crashes.entry(*key).or_default() += times);
        other.events.iter().for_each(|(key, times)| *self.events.entry(key).or_default() += times);
    }

    /// What was never met.
    pub(crate) fn missing(&self) -> Vec<String> {
        let all = Point::ALL.into_iter().flat_map(|point| [(point, false), (point, true)]);
        let unseen = all.filter(|key| !self.crashes.contains_key(key)).map(|key| format!("{key:?}"));
        let seen = |event: &str| self.events.get(event).is_some_and(|times| *times > 0);
        let idle = EVENTS.into_iter().filter(|event| !seen(event)).map(str::to_owned);
        unseen.chain(idle).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((point, cut), times) in &self.crashes {
            writeln!(f, "{times:8} × {} {point:?}", if *cut { "power cut" } else { "crash" })?;
        }
        self.events.iter().try_for_each(|(event, times)| writeln!(f, "{times:8} × {event}"))
    }
}
