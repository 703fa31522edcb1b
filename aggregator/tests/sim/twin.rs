//! The obvious twin of the statsd side of a shard: what each commit must hold, worked out sample by sample.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use orzo_aggregator::limits::{COMMIT_INTERVAL_NS, REFUSAL_NS};
use orzo_aggregator::{GaugeDialect, Semantics};
use orzo_model::{ArchivePolicy, Flags, Kind, MetricId, SECOND, Sample};

use crate::formulas::Event;
use crate::oracle::What;
use crate::setup::Setup;

/// One batch of one series on its way into a commit.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) id: MetricId,
    pub(crate) policy: Arc<ArchivePolicy>,
    pub(crate) what: What,
    pub(crate) samples: u64,
}

/// What the index says of a series.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Known(MetricId, Arc<ArchivePolicy>, Option<f64>),
    Refused,
}

/// What a shard was told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The number of a post, and what it holds.
    Post(usize, Vec<Part>),
    Resolved(Vec<(MetricId, Answer)>),
    Forward(Vec<Part>),
    Forget(Vec<MetricId>),
    Policy(Arc<ArchivePolicy>),
    Stop,
}

/// Samples that arrived together.
pub(crate) type Burst = (u64, Vec<Sample>);

/// What is on its way into the backlog.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) parts: Vec<Part>,
    /// Posts that are answered by it.
    pub(crate) posts: Vec<usize>,
}

/// The twin of one shard.
#[derive(Debug, Default)]
pub(crate) struct Twin {
    slots: BTreeMap<MetricId, Slot>,
    touched: Vec<MetricId>,
    touched_for_flush: Vec<MetricId>,
    refused: BTreeMap<MetricId, u64>,
    pub(crate) lane: VecDeque<Burst>,
    pub(crate) inbox: VecDeque<Told>,
    pending: Out,
    pub(crate) out: Option<Out>,
    /// For other shards.
    pub(crate) forwards: Vec<Part>,
    policies: BTreeMap<String, Arc<ArchivePolicy>>,
    next_commit: u64,
    next_flush: u64,
    now: u64,
    /// When slots were last emptied.
    collected: u64,
    /// It was told to stop.
    pub(crate) stopping: bool,
}

impl Twin {
    /// Everything that waits is taken in. `level` is the newest value of a series of this shard.
    pub(crate) fn take_in(&mut self, setup: &Setup, level: impl Fn(MetricId) -> Option<f64>) {
        for (arrived, samples) in std::mem::take(&mut self.lane) {
            samples.iter().for_each(|sample| self.sample(sample, arrived, setup));
        }
        for told in std::mem::take(&mut self.inbox) {
            match told {
                Told::Post(number, parts) => {
                    self.pending.posts.push(number);
                    self.pending.parts.extend(parts);
                }
                Told::Resolved(answers) => {
                    answers.into_iter().for_each(|(hash, answer)| self.resolved(hash, answer, &level));
                }
                Told::Forward(parts) => self.pending.parts.extend(parts),
                Told::Forget(ids) => self.forget(&ids),
                Told::Policy(policy) => drop(self.policies.insert(policy.name.clone(), policy)),
                Told::Stop => self.stopping = true,
            }
        }
    }

    fn sample(&mut self, sample: &Sample, arrived: u64, setup: &Setup) {
        if !self.slots.contains_key(&sample.id) {
            if self.refused.get(&sample.id).is_some_and(|until| arrived < *until) {
                return;
            }
            self.refused.remove(&sample.id);
            if self.slots.len() >= setup.series_max {
                return;
            }
            self.slots.insert(sample.id, Slot::new(sample));
        }
        let slot = self.slots.get_mut(&sample.id).expect("it was just put there");
        if slot.apply(sample, arrived, &setup.semantics) && !slot.touched {
            slot.touched = true;
            let waits = slot.waits_for_flush();
            let list = if waits { &mut self.touched_for_flush } else { &mut self.touched };
            list.push(sample.id);
        }
    }

    fn resolved(&mut self, hash: MetricId, answer: Answer, level: &impl Fn(MetricId) -> Option<f64>) {
        let Some(slot) = self.slots.get_mut(&hash) else { return };
        if slot.destination.is_some() {
            return;
        }
        match answer {
            Answer::Known(id, policy, told) => {
                slot.rebase(level(id).or(told));
                slot.destination = Some((id, policy));
            }
            Answer::Refused => {
                self.remove(hash);
                self.refused.insert(hash, self.now + REFUSAL_NS);
            }
        }
    }

    fn forget(&mut self, ids: &[MetricId]) {
        self.pending.parts.retain(|part| !ids.contains(&part.id));
        let goes = |slot: &Slot| slot.destination.as_ref().is_some_and(|(id, _)| ids.contains(id));
        let gone = self.slots.iter().filter(|(_, slot)| goes(slot)).map(|(hash, _)| *hash);
        gone.collect::<Vec<_>>().into_iter().for_each(|hash| self.remove(hash));
    }

    fn remove(&mut self, hash: MetricId) {
        self.slots.remove(&hash);
        self.touched.retain(|touched| *touched != hash);
        self.touched_for_flush.retain(|touched| *touched != hash);
    }

    /// Time passes; whatever is due leaves the slots, and a commit begins unless one is out.
    pub(crate) fn tick(&mut self, now: u64, last: bool, setup: &Setup, here: impl Fn(MetricId) -> bool) {
        self.now = now;
        let set_back = self.next_commit > now + COMMIT_INTERVAL_NS;
        if now >= self.next_commit || set_back || last {
            self.next_commit = next_multiple(now, COMMIT_INTERVAL_NS);
            let set_back = self.next_flush > now + setup.flush_interval_ns;
            let flush = now >= self.next_flush || set_back || last;
            if flush {
                self.next_flush = next_multiple(now, setup.flush_interval_ns);
            }
            self.collect(now, flush, here);
        }
        if self.out.is_none() && !(self.pending.parts.is_empty() && self.pending.posts.is_empty()) {
            let mut out = std::mem::take(&mut self.pending);
            for part in &mut out.parts {
                if let What::Points(back_window, _) = &mut part.what {
                    let told = self.policies.get(&part.policy.name);
                    *back_window = told.unwrap_or(&part.policy).back_window;
                }
            }
            self.out = Some(out);
        }
    }

    /// Whether slots were emptied at that time.
    pub(crate) fn collected_at(&self, now: u64) -> bool {
        self.collected == now
    }

    fn collect(&mut self, now: u64, flush: bool, here: impl Fn(MetricId) -> bool) {
        self.collected = now;
        let mut touched = std::mem::take(&mut self.touched);
        if flush {
            touched.append(&mut self.touched_for_flush);
        }
        for hash in touched {
            let slot = self.slots.get_mut(&hash).expect("what is gone is not in the list");
            let Some((id, policy)) = slot.destination.clone() else {
                let list = if slot.waits_for_flush() { &mut self.touched_for_flush } else { &mut self.touched };
                list.push(hash);
                continue;
            };
            slot.touched = false;
            for (say, samples) in slot.take(now) {
                let what = match say {
                    Say::Point(at, value) => What::Points(0, vec![(at, value)]),
                    Say::Events(events) => What::Events(events),
                };
                let part = Part { id, policy: policy.clone(), what, samples };
                if here(id) { self.pending.parts.push(part) } else { self.forwards.push(part) }
            }
        }
    }

    /// Samples that are neither stored nor lost.
    pub(crate) fn samples_pending(&self) -> u64 {
        let parts = self.out.iter().flat_map(|out| &out.parts).chain(&self.pending.parts).chain(&self.forwards);
        parts.map(|part| part.samples).sum::<u64>() + self.slots.values().map(|slot| slot.samples).sum::<u64>()
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether a series that the index knows has something to hand over that does not wait for a flush.
    pub(crate) fn holds_back(&self) -> bool {
        self.touched.iter().any(|hash| self.slots[hash].destination.is_some())
    }
}

fn next_multiple(now: u64, interval: u64) -> u64 {
    (now / interval + 1) * interval
}

/// What a slot says when it is emptied.
#[derive(Clone, Debug)]
enum Say {
    Point(u64, f64),
    Events(Vec<Event>),
}

#[derive(Clone, Debug)]
struct Slot {
    kind: Kind,
    flags: Flags,
    destination: Option<(MetricId, Arc<ArchivePolicy>)>,
    touched: bool,
    samples: u64,
    /// Second by second, in order of arrival.
    events: Vec<Vec<Event>>,
    gauge: Gauge,
    members: HashSet<u64>,
    members_samples: u64,
    point: Option<(u64, f64, u64)>,
    timed: BTreeMap<u32, (f64, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Gauge {
    value: f64,
    known: bool,
    dogstatsd: bool,
    at: u64,
    samples: u64,
}

impl Slot {
    fn new(sample: &Sample) -> Self {
        Slot {
            kind: sample.kind,
            flags: sample.flags,
            destination: None,
            touched: false,
            samples: 0,
            events: Vec::new(),
            gauge: Gauge::default(),
            members: HashSet::new(),
            members_samples: 0,
            point: None,
            timed: BTreeMap::new(),
        }
    }

    fn gnocchi(&self) -> bool {
        self.flags.has(Flags::GNOCCHI)
    }

    fn waits_for_flush(&self) -> bool {
        self.gnocchi() || self.kind == Kind::Set
    }

    /// Whether the sample was taken.
    fn apply(&mut self, sample: &Sample, arrived: u64, semantics: &Semantics) -> bool {
        if let Some(seconds) = sample.seconds() {
            if u64::from(seconds) * SECOND > arrived + semantics.max_future_ns {
                return false;
            }
            self.gauge.dogstatsd = true;
            let entry = self.timed.entry(seconds).or_default();
            let before = if self.kind == Kind::Gauge { 0.0 } else { entry.0 };
            *entry = (before + sample.number(), entry.1 + 1);
        } else if self.kind == Kind::Set {
            self.members.insert(sample.value);
            self.members_samples += 1;
        } else if self.gnocchi() {
            let (before, samples) = self.point.map_or((0.0, 0), |(_, value, samples)| (value, samples));
            let counts = self.kind == Kind::Counter;
            let value = if counts { before + sample.number() * sample.weight() } else { sample.number() };
            self.point = Some((arrived, value, samples + 1));
        } else if self.kind == Kind::Gauge {
            self.gauge.set(sample, arrived, semantics);
        } else {
            self.event(sample, arrived);
        }
        self.samples += 1;
        true
    }

    fn event(&mut self, sample: &Sample, arrived: u64) {
        let (value, factor) = (sample.number(), sample.weight());
        let times = if sample.kind == Kind::Counter { 1.0 } else { factor };
        let event = Event { at: arrived, value, factor, times };
        match self.events.last_mut() {
            Some(second) if second[0].at / SECOND == arrived / SECOND => second.push(event),
            _ => self.events.push(vec![event]),
        }
    }

    fn rebase(&mut self, level: Option<f64>) {
        if !self.gauge.known {
            self.gauge.value += level.unwrap_or(0.0);
            self.gauge.known = true;
        }
    }

    /// Ascending in time, but for events, which come in order of arrival.
    fn take(&mut self, now: u64) -> Vec<(Say, u64)> {
        self.samples = 0;
        let events = std::mem::take(&mut self.events);
        let mut said: Vec<(Say, u64)> =
            events.into_iter().map(|events| (events.len() as u64, events)).map(|(n, e)| (Say::Events(e), n)).collect();
        let mut points: Vec<(u64, f64, u64)> = Vec::new();
        for (seconds, (value, samples)) in std::mem::take(&mut self.timed) {
            points.push((u64::from(seconds) * SECOND, value, samples));
        }
        if self.gauge.samples > 0 {
            points.push((self.gauge.at, self.gauge.value, std::mem::take(&mut self.gauge.samples)));
        }
        if !self.members.is_empty() {
            let members = std::mem::take(&mut self.members).len();
            points.push((now, members as f64, std::mem::take(&mut self.members_samples)));
        }
        points.extend(self.point.take());
        points.sort_by_key(|point| point.0);
        said.extend(points.into_iter().map(|(at, value, samples)| (Say::Point(at, value), samples)));
        said
    }
}

impl Gauge {
    fn set(&mut self, sample: &Sample, arrived: u64, semantics: &Semantics) {
        self.dogstatsd |= sample.flags.has(Flags::DOGSTATSD);
        let signed = sample.flags.has(Flags::SIGNED);
        let delta = match semantics.gauge_dialect {
            GaugeDialect::Auto => signed && !self.dogstatsd,
            GaugeDialect::Etsy => signed,
            GaugeDialect::Dogstatsd => false,
        };
        if delta {
            let silent = arrived.saturating_sub(self.at) > semantics.gauge_ttl_ns;
            if self.known && self.at > 0 && silent {
                self.value = 0.0;
            }
            self.value += sample.number();
        } else {
            self.value = sample.number();
            self.known = true;
        }
        self.at = arrived;
        self.samples += 1;
    }
}
