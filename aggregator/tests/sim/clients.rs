//! What clients and operators do.

use crossbeam::channel::bounded;
use orzo_aggregator::{Command, Post as Posted};
use orzo_model::batch::SAMPLES_PER_BATCH;
use orzo_model::sample::RATE_ONE;
use orzo_model::series::SeriesKind;
use orzo_model::spread::EXACT_VALUES_MAX;
use orzo_model::{Flags, Item, Kind, Measure, MetricId, SECOND, Sample};
use orzo_store::index::{self, PolicyChange, Rule};

use crate::formulas::Event;
use crate::node::now;
use crate::oracle::What;
use crate::setup::{Name, at};
use crate::twin::{Part, Told};
use crate::world::{Begun, Post, World};

impl World {
    /// A burst of statsd lines, as a listener sends it.
    pub(crate) fn burst(&mut self) {
        let listener = self.rng.index(self.setup.listeners);
        // A batch may have been open for a while when it is sent.
        let arrived = now().ns() - self.rng.below(4) * self.rng.below(30_000_000);
        let count = self.rng.between(1, 20);
        let lines: Vec<(Sample, Vec<u8>)> = (0..count).map(|_| self.line(arrived)).collect();
        self.send_lines(listener, arrived, &lines);
    }

    /// More values of one timer in a second than are kept one by one.
    pub(crate) fn flood(&mut self) {
        let arrived = now().ns();
        let name = self.names.iter().find(|name| name.text == "took").expect("there is such a timer").clone();
        let count = self.rng.between(EXACT_VALUES_MAX as u64 + 1, 900);
        let lines: Vec<_> = (0..count)
            .map(|_| {
                let value = (self.rng.below(2000) as f64 * 0.25).to_bits();
                let aux = RATE_ONE / *self.rng.pick(&[1, 1, 1, 2]);
                let sample =
                    Sample { id: name.id, value, aux, name_len: 0, kind: name.kind, flags: name.flags };
                (sample, name.text.clone().into_bytes())
            })
            .collect();
        lines.chunks(SAMPLES_PER_BATCH).for_each(|lines| self.send_lines(0, arrived, lines));
    }

    /// A line for each of many series.
    pub(crate) fn storm(&mut self) {
        let arrived = now().ns();
        let (first, end) = (self.rng.below(100), self.setup.crowd);
        for names in (first..end).collect::<Vec<_>>().chunks(SAMPLES_PER_BATCH) {
            let id = |text: &str| self.setup.ids.id(Kind::Counter, Flags::NONE, text.as_bytes());
            let line = |number: &u64| {
                let text = format!("crowd.{number}");
                let value = (*number as f64).to_bits();
                let (kind, flags) = (Kind::Counter, Flags::NONE);
                let sample = Sample { id: id(&text), value, aux: RATE_ONE, name_len: 0, kind, flags };
                (sample, text.into_bytes())
            };
            let lines: Vec<_> = names.iter().map(line).collect();
            self.send_lines(0, arrived, &lines);
        }
    }

    fn send_lines(&mut self, listener: usize, arrived: u64, lines: &[(Sample, Vec<u8>)]) {
        let count = lines.len();
        for shard in 0..self.setup.shards {
            let mine: Vec<_> =
                lines.iter().filter(|(sample, _)| self.setup.owner(sample.id) == shard).collect();
            if mine.is_empty() {
                continue;
            }
            // No free batch, no reading: the lines stay in the kernel, and are lost there.
            let Some(mut batch) = self.node.producers[listener].take() else { continue };
            batch.reopen(at(arrived));
            assert!(mine.iter().all(|(sample, name)| batch.push(sample, name)));
            self.node.producers[listener].send(shard, batch);
            let samples = mine.into_iter().map(|(sample, _)| *sample).collect();
            self.twins[shard].lane.push_back((arrived, samples));
        }
        self.note(format!("burst of {count} lines that arrived {:?}", at(arrived)));
    }

    fn line(&mut self, arrived: u64) -> (Sample, Vec<u8>) {
        let name = self.rng.index(self.names.len());
        let name = self.names[name].clone();
        let (kind, mut flags) = (name.kind, name.flags);
        let mut aux = 0;
        let value = match kind {
            Kind::Set => self.rng.below(6),
            Kind::Gauge => {
                flags = flags.with(self.gauge_flags(&name));
                self.rng.between(0, 400) * 2
            }
            Kind::CounterAt => {
                flags = flags.with(Flags::HAS_TIME).with(Flags::DOGSTATSD);
                self.rng.below(100)
            }
            _ => {
                aux = RATE_ONE / *self.rng.pick(&[1, 1, 1, 2, 4, 10]);
                self.rng.below(2000)
            }
        };
        if flags.has(Flags::HAS_TIME) {
            let early = arrived.saturating_sub(self.rng.below(90) * SECOND) / SECOND;
            aux = if self.rng.percent(3) { early + 1200 } else { early } as u32;
        }
        let bits = if kind == Kind::Set { value } else { (value as f64 * 0.25).to_bits() };
        let bits = if flags.has(Flags::SIGNED) && self.rng.percent(50) { bits | 1 << 63 } else { bits };
        (Sample { id: name.id, value: bits, aux, name_len: 0, kind, flags }, name.text.into_bytes())
    }

    /// What a gauge sent to a metric made over HTTP starts from depends on when it was last stored: such
    /// gauges are absolute.
    fn gauge_flags(&mut self, name: &Name) -> Flags {
        if name.adopted || name.flags.has(Flags::GNOCCHI) {
            return Flags::NONE;
        }
        match self.rng.below(20) {
            0..5 => Flags::SIGNED,
            5 => Flags::DOGSTATSD,
            6 => Flags::SIGNED.with(Flags::DOGSTATSD),
            7 => Flags::HAS_TIME.with(Flags::DOGSTATSD),
            _ => Flags::NONE,
        }
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.metrics.len()).filter(|metric| self.metrics[*metric].alive).collect()
    }

    /// A request with measures for some metrics. It may take its time between being checked and arriving.
    pub(crate) fn post(&mut self) {
        let alive = self.alive();
        let mut posts: Vec<Posted> = Vec::new();
        for _ in 0..self.rng.between(1, 4) {
            let metric = *self.rng.pick(&alive);
            let id = self.metrics[metric].id;
            // Mostly metrics that no statsd client feeds.
            if !self.metrics[metric].label.contains("http") && self.rng.percent(70) {
                continue;
            }
            if posts.iter().any(|post| post.id == id) {
                continue;
            }
            posts.push(self.request(metric));
        }
        if self.rng.percent(10) {
            self.begun.push(Begun::Post(posts));
        } else {
            self.send(posts);
        }
    }

    fn request(&mut self, metric: usize) -> Posted {
        let id = self.metrics[metric].id;
        let known = index::metric(&*self.node.index, id).unwrap().expect("it is alive");
        let (policy, kind) = (known.policy.clone(), known.kind());
        Posted { id, policy, kind, measures: self.measures(metric).into() }
    }

    fn send(&mut self, posts: Vec<Posted>) {
        for shard in 0..self.setup.shards {
            let mine: Vec<Posted> =
                posts.iter().filter(|post| self.setup.owner(post.id) == shard).cloned().collect();
            if mine.is_empty() {
                continue;
            }
            let parts = mine.iter().map(|post| Part { id: post.id, what: what(post), samples: 0 });
            let (number, parts) = (self.posts_ever, parts.collect());
            self.posts_ever += 1;
            let what: Vec<String> =
                mine.iter().map(|post| format!("{} {:?}", self.label(post.id), post.measures)).collect();
            self.note(format!("post {number} to shard {shard}: {}", what.join(", ")));
            let (ack, answer) = bounded(1);
            self.node.handle.try_tell(shard, Command::Post(mine, ack)).unwrap();
            self.tell_twin(shard, Told::Post(number, parts));
            self.posts.insert(number, Post { answer, write: None });
        }
    }

    fn measures(&mut self, metric: usize) -> Vec<Measure> {
        let now = now().ns();
        // Seconds back from now, seconds around it, time between two.
        let (back, spread, step) = *self.rng.pick(&[
            (0, 1, SECOND),
            (0, 1, SECOND / 10),
            (0, 30, SECOND),
            (0, 30, SECOND / 2),
            (20, 40, SECOND / 2),
            (20, 200, SECOND),
            (300, 3600, 10 * SECOND),
        ]);
        let far = self.metrics[metric].label.contains("http") && self.rng.percent(1);
        let ahead = if far { self.rng.between(30, 2000) * SECOND } else { 0 };
        let mut measures = Vec::new();
        for _ in 0..self.rng.between(1, 12) {
            let known = &self.metrics[metric].posted;
            let again = !known.is_empty() && self.rng.percent(15);
            let ns = if again {
                let recent = known.len().saturating_sub(20);
                known[recent + self.rng.index(known.len() - recent)]
            } else {
                now + ahead - self.rng.between(back, back + spread) * SECOND - self.rng.below(SECOND)
            };
            let ns = ns / step * step;
            self.metrics[metric].posted.push(ns);
            measures.push(Measure { at: at(ns), value: self.value() });
        }
        measures
    }

    fn value(&mut self) -> f64 {
        match self.rng.below(60) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            _ => self.rng.below(16_000) as f64 / 16.0 - 300.0,
        }
    }

    /// Whatever was begun goes on.
    pub(crate) fn go_on(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let which = self.rng.index(self.begun.len());
        match self.begun.remove(which) {
            // Its metrics may be deleted by now.
            Begun::Post(posts) => self.send(posts),
            Begun::Forget(id) => {
                self.note(format!("forget {id}"));
                self.node.handle.forget(&[id]);
                self.tell_twins(&Told::Forget(vec![id]));
            }
            Begun::Policy(policy) => {
                self.note(format!("tell of {policy:?}"));
                self.node.handle.policy_changed(&policy);
                self.tell_twins(&Told::Policy(policy));
            }
        }
    }

    pub(crate) fn delete(&mut self) {
        let alive = self.alive();
        if alive.len() < 4 {
            return;
        }
        let metric = *self.rng.pick(&alive);
        let id = self.metrics[metric].id;
        self.note(format!("delete {id} {}", self.metrics[metric].label));
        if self.rng.percent(40) {
            // Somebody posts to it at that moment.
            let late = self.request(metric);
            self.begun.push(Begun::Post(vec![late]));
        }
        if self.node.index.delete_metrics(&[id]).is_ok() {
            self.coverage.count("metric deleted", 1);
            self.begun.push(Begun::Forget(id));
            self.metrics[metric].alive = false;
        } else {
            // It may be gone all the same; then only the janitor tells the shards.
            let found = index::metric(&*self.node.index, id);
            self.metrics[metric].alive = found.is_ok_and(|found| found.is_some());
        }
        self.soon();
    }

    pub(crate) fn change_policy(&mut self) {
        let name = self.rng.pick(&crate::setup::OVER_HTTP).to_string();
        let old = self.node.index.policy(&name).unwrap();
        let mut items = Vec::new();
        for item in &old.items {
            let compacts = self.setup.compacts;
            let points = item.points.map(|old| self.rng.between(3, if compacts { old + 1 } else { 80 }));
            items.push(Item { points, ..*item });
        }
        let change = PolicyChange { items, back_window: Some(self.rng.below(5) as u32) };
        self.note(format!("policy {name}: {change:?}"));
        if let Ok(policy) = self.node.index.update_policy(&name, change) {
            self.coverage.count("policy changed", 1);
            // One change at a time, so that the shards are told in order.
            self.begun.retain(|begun| !matches!(begun, Begun::Policy(other) if other.name == name));
            self.begun.push(Begun::Policy(policy));
        }
        self.soon();
    }

    /// Mostly the second half follows at once.
    fn soon(&mut self) {
        if self.rng.percent(70) && self.kv.dead().is_none() {
            while !self.begun.is_empty() {
                self.go_on();
            }
        }
    }

    /// From now on every series finds a policy.
    pub(crate) fn make_rule(&mut self) {
        let rule = Rule { name: "all".into(), pattern: "*".into(), policy: "plain".into() };
        let made = self.node.index.create_rule(rule).is_ok();
        self.note(format!("a rule for all: {made}"));
    }

    /// One look of the janitor: shards forget what was deleted since the last one, what had been deleted before
    /// is freed, once no checkpoint of it can be under way.
    pub(crate) fn clean_up(&mut self) {
        let told = self.twins.iter().all(|twin| twin.inbox.is_empty());
        if !told || !self.node.in_hand.is_empty() || !self.node.jobs.is_empty() {
            return;
        }
        let deleted = self.node.index.deleted_metrics(None, 100).unwrap_or_default();
        let deleted = deleted.into_iter().map(|metric| metric.id);
        let (old, new): (Vec<MetricId>, _) = deleted.partition(|id| self.node.seen_deleted.contains(id));
        old.into_iter().for_each(|id| self.expunge(id));
        self.note(format!("the janitor has seen {new:?}"));
        self.node.handle.forget(&new);
        self.tell_twins(&Told::Forget(new.clone()));
        self.node.seen_deleted.extend(new);
    }

    fn expunge(&mut self, id: MetricId) {
        self.note(format!("expunge {id}"));
        let node = &self.node;
        let freed = node.aggregates.retire(id).and_then(|()| node.backlog.forget(id));
        if freed.is_ok() && node.index.expunge(&[id]).is_ok() {
            self.coverage.count("metric expunged", 1);
        }
    }

    /// The engine merges tables and drops expired rows by the way, as the one on disk does.
    pub(crate) fn compact(&mut self) {
        if self.setup.compacts {
            let dropped = self.kv.compact();
            self.note(format!("{dropped} rows have expired"));
            self.coverage.count("row expired", dropped);
        }
    }
}

/// The batch that a post is.
fn what(post: &Posted) -> What {
    let points = post.measures.iter().map(|measure| (measure.at.ns(), measure.value));
    match post.kind {
        SeriesKind::Sampled => What::Points(post.policy.back_window, points.collect()),
        SeriesKind::Event => What::Events(points.map(|(at, value)| vec![Event::point(at, value)]).collect()),
    }
}
