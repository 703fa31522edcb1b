//! Readers: memory first, then the store, memory wins, as the engine of the daemon reads.

use std::collections::BTreeMap;

use crossbeam::channel::{Receiver, bounded};
use orzo_aggregator::{Command, ReadKey};
use orzo_model::{Column, Granularity, Method, MetricId};
use orzo_store::RowQuery;

use crate::formulas::{is_percentile, near, same};
use crate::oracle::Buckets;
use crate::setup::at;
use crate::world::World;

/// A reader that has asked the shard and not the store.
pub(crate) struct OpenRead {
    key: ReadKey,
    answer: Receiver<Vec<Column>>,
    /// What the shard said.
    fresh: Option<Column>,
    /// All that was true since.
    truths: Vec<Buckets>,
}

/// From when to before when.
type Bounds = (u64, Option<u64>);

impl World {
    fn truth(&self, key: &ReadKey) -> Buckets {
        self.log.model(key.id).map(|model| model.column(key.width, key.method)).unwrap_or_default()
    }

    /// Buckets at or before it have expired.
    fn horizon(&self, key: &ReadKey, newest: Option<u64>) -> Option<u64> {
        let metric = self.metric(key.id)?;
        let policy = self.node.index.policy(&metric.policy).unwrap();
        newest?.checked_sub(policy.item(key.width)?.timespan_ns()?)
    }

    /// Rows are freed by the newest bucket of their series, whatever its methods: where `std` or a rate lags far
    /// behind, buckets of it that would still be visible are gone.
    fn freed_before(&self, key: &ReadKey) -> u64 {
        let newest = self.log.model(key.id).and_then(|model| model.newest(key.width));
        if self.setup.compacts { self.horizon(key, newest).unwrap_or(0) } else { 0 }
    }

    fn visible(&self, key: &ReadKey, buckets: Buckets, (start, stop): Bounds) -> Buckets {
        let horizon = self.horizon(key, buckets.last_key_value().map(|(start, _)| *start));
        let wanted = |at: u64| {
            at >= start && stop.is_none_or(|stop| at < stop) && horizon.is_none_or(|horizon| at > horizon)
        };
        buckets.into_iter().filter(|(at, _)| wanted(*at)).collect()
    }

    fn keys(&self, id: MetricId) -> Vec<ReadKey> {
        let policy = self.node.index.policy(&self.metric(id).expect("only metrics are read").policy).unwrap();
        let widths = policy.items.iter().map(|item| item.granularity);
        let keys =
            |width: Granularity| policy.methods.iter().map(move |method| ReadKey { id, width, method });
        widths.flat_map(keys).collect()
    }

    /// Reads everything of these metrics.
    pub(crate) fn check(&mut self, ids: &[MetricId]) {
        let mut shards: BTreeMap<usize, Vec<ReadKey>> = BTreeMap::new();
        ids.iter().for_each(|id| shards.entry(self.setup.owner(*id)).or_default().extend(self.keys(*id)));
        for (shard, keys) in shards {
            let truths: Vec<Buckets> = keys.iter().map(|key| self.truth(key)).collect();
            let (reply, answer) = bounded(1);
            self.node.handle.try_tell(shard, Command::Read(keys.clone(), reply)).unwrap();
            self.turn(shard);
            if self.kv.dead().is_some() {
                return;
            }
            let columns = answer.try_recv().unwrap_or_else(|_| panic!("shard {shard} does not answer"));
            let bounds = self.draw_bounds();
            for ((key, fresh), truth) in keys.iter().zip(columns).zip(truths) {
                let mut found = self.read(key, fresh, bounds);
                let mut expected = self.visible(key, truth, bounds);
                let freed = self.freed_before(key);
                found.retain(|at, _| *at > freed);
                expected.retain(|at, _| *at > freed);
                self.compare_columns(key, &found, &expected);
            }
        }
    }

    fn draw_bounds(&mut self) -> Bounds {
        let now = crate::node::now().ns();
        match self.rng.below(4) {
            0 => (now - 120_000_000_000, None),
            1 => (now - 400_000_000_000, Some(now - 30_000_000_000)),
            _ => (0, None),
        }
    }

    /// As the daemon's engine does it.
    fn read(&self, key: &ReadKey, fresh: Column, (start, stop): Bounds) -> Buckets {
        let ReadKey { id, width, method } = *key;
        let query = RowQuery { id, width, method, start: at(start), stop: stop.map(at) };
        let stored = self.node.aggregates.read(&query).unwrap();
        let newest = match stop {
            None => stored.starts.last().copied(),
            Some(_) => self.node.aggregates.newest(id, width, method, at(0)).unwrap(),
        };
        let newest = newest.max(fresh.starts.last().copied()).map(|newest| newest.ns());
        let horizon = self.horizon(key, newest);
        let wanted = |at: u64| {
            at >= start && stop.is_none_or(|stop| at < stop) && horizon.is_none_or(|horizon| at > horizon)
        };
        let both = stored.iter().chain(fresh.iter()).map(|(start, value)| (start.ns(), value));
        both.collect::<Buckets>().into_iter().filter(|(at, _)| wanted(*at)).collect()
    }

    fn compare_columns(&self, key: &ReadKey, found: &Buckets, expected: &Buckets) {
        let equal = found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| a.0 == b.0 && self.agree(key, *a.0, *a.1, *b.1));
        assert!(equal, "{}", self.difference(key, found, expected));
    }

    /// A percentile of more values than are kept one by one may be a little off.
    fn agree(&self, key: &ReadKey, start: u64, found: f64, expected: f64) -> bool {
        let rough = || self.log.model(key.id).is_some_and(|model| model.is_rough(key.width, start));
        same(key.method, found, expected) || (is_percentile(key.method) && rough() && near(found, expected))
    }

    fn difference(&self, key: &ReadKey, found: &Buckets, expected: &Buckets) -> String {
        let mut text = format!("{} of {} at {:?}:", key.method, self.label(key.id), key.width);
        let starts: std::collections::BTreeSet<u64> = found.keys().chain(expected.keys()).copied().collect();
        for start in starts {
            let (found, expected) = (found.get(&start), expected.get(&start));
            if !found.zip(expected).is_some_and(|(found, expected)| self.agree(key, start, *found, *expected))
            {
                text += &format!("\n  {:?}: found {found:?}, expected {expected:?}", at(start));
            }
        }
        text
    }

    /// A reader begins, or goes on: others work between its two looks.
    pub(crate) fn read_slowly(&mut self) {
        if self.open_read.is_some() {
            return self.end_read();
        }
        let alive: Vec<MetricId> =
            self.metrics.iter().filter(|metric| metric.alive).map(|metric| metric.id).collect();
        let id = *self.rng.pick(&alive);
        let keys = self.keys(id);
        let key = *self.rng.pick(&keys);
        let (reply, answer) = bounded(1);
        let shard = self.setup.owner(key.id);
        if self.node.handle.try_tell(shard, Command::Read(vec![key], reply)).is_ok() {
            self.note(format!("a reader asks for {} of {}", key.method, key.id));
            self.open_read = Some(OpenRead { key, answer, fresh: None, truths: Vec::new() });
        }
    }

    /// Notes what is true now, for the reader who waits. `before`: the shard may answer in what follows.
    pub(crate) fn observe(&mut self) {
        let Some(mut read) = self.open_read.take() else { return };
        let truth = self.truth(&read.key);
        if read.truths.last() != Some(&truth) {
            read.truths.push(truth);
        }
        if read.fresh.is_none()
            && let Ok(mut columns) = read.answer.try_recv()
        {
            read.fresh = columns.pop();
        }
        self.open_read = Some(read);
    }

    fn end_read(&mut self) {
        let Some(read) = self.open_read.take() else { return };
        let gone = !self.metrics.iter().any(|metric| metric.id == read.key.id && metric.alive);
        let Some(fresh) = read.fresh.filter(|_| !gone) else { return };
        let ReadKey { id, width, method }: ReadKey = read.key;
        let everything = RowQuery { id, width, method, start: at(0), stop: None };
        let stored = self.node.aggregates.read(&everything).unwrap();
        let found: Buckets =
            stored.iter().chain(fresh.iter()).map(|(start, value)| (start.ns(), value)).collect();
        self.note(format!("a reader has read {} of {id}", method_name(method)));
        let once_true = |start: u64, value: f64| {
            read.truths.iter().any(|truth| {
                truth.get(&start).is_some_and(|truth| self.agree(&read.key, start, value, *truth))
            })
        };
        for (start, value) in &found {
            assert!(
                once_true(*start, *value),
                "{value} was never true at {:?} for {:?}",
                at(*start),
                read.key
            );
        }
        let first = read.truths.first().expect("a truth was noted when the reader began");
        let freed = self.freed_before(&read.key);
        for start in first.keys().filter(|start| **start > freed) {
            assert!(found.contains_key(start), "a reader misses {:?} of {:?}", at(*start), read.key);
        }
    }
}

fn method_name(method: Method) -> String {
    method.to_string()
}
