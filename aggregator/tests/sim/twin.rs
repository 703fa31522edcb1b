//! The obvious twin of the statsd side of a shard: what each commit must hold, worked out sample by sample.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use orzo_aggregator::limits::{COMMIT_INTERVAL_NS, REFUSAL_NS};
use orzo_model::{ArchivePolicy, Measure, MetricId, Sample};

use crate::oracle::What;
use crate::setup::Setup;
use crate::slot::{Said, Say, Slot};

/// One batch of one series on its way into a commit.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) id: MetricId,
    pub(crate) what: What,
    pub(crate) samples: u64,
}

/// What the index says of a series.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Known(MetricId, Arc<ArchivePolicy>, Option<Measure>),
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
    /// A slot for each second of events.
    opened: Vec<MetricId>,
    touched: Vec<MetricId>,
    touched_for_flush: Vec<MetricId>,
    refused: BTreeMap<MetricId, u64>,
    pub(crate) lane: VecDeque<Burst>,
    pub(crate) inbox: VecDeque<Told>,
    pending: Out,
    pub(crate) out: Option<Out>,
    /// For other shards.
    pub(crate) forwards: Vec<Part>,
    next_commit: u64,
    next_flush: u64,
    now: u64,
    /// It was told to stop.
    pub(crate) stopping: bool,
    /// Its last commit failed, and may be there all the same.
    pub(crate) in_doubt: bool,
}

impl Twin {
    /// Everything that waits is taken in. `level` is the newest value of a series of this shard.
    pub(crate) fn take_in(&mut self, setup: &Setup, level: impl Fn(MetricId) -> Option<Measure>) {
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
                    for (hash, answer) in answers {
                        self.resolved(hash, answer, setup, &level);
                    }
                }
                Told::Forward(parts) => self.pending.parts.extend(parts),
                Told::Forget(ids) => self.forget(&ids),
                Told::Policy(policy) => self.policy_changed(&policy),
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
            self.slots.insert(sample.id, Slot::new(sample, arrived));
        }
        let slot = self.slots.get_mut(&sample.id).expect("it was just put there");
        let seconds = slot.seconds();
        if !slot.apply(sample, arrived, &setup.semantics) {
            return;
        }
        if slot.is_event() {
            self.opened.extend((slot.seconds() > seconds).then_some(sample.id));
        } else if !slot.touched {
            slot.touched = true;
            let waits = slot.waits_for_flush();
            let list = if waits { &mut self.touched_for_flush } else { &mut self.touched };
            list.push(sample.id);
        }
    }

    fn resolved(
        &mut self,
        hash: MetricId,
        answer: Answer,
        setup: &Setup,
        level: &impl Fn(MetricId) -> Option<Measure>,
    ) {
        let Some(slot) = self.slots.get_mut(&hash) else { return };
        if slot.destination.is_some() {
            return;
        }
        match answer {
            Answer::Known(id, policy, told) => {
                slot.rebase(level(id).or(told), &setup.semantics);
                slot.destination = Some((id, policy));
            }
            Answer::Refused => {
                self.remove(hash);
                self.refused.insert(hash, self.now + REFUSAL_NS);
            }
        }
    }

    fn policy_changed(&mut self, changed: &Arc<ArchivePolicy>) {
        let known = self.slots.values_mut().filter_map(|slot| slot.destination.as_mut());
        known.filter(|known| known.1.name == changed.name).for_each(|known| known.1 = changed.clone());
    }

    fn forget(&mut self, ids: &[MetricId]) {
        self.pending.parts.retain(|part| !ids.contains(&part.id));
        let goes = |slot: &Slot| slot.destination.as_ref().is_some_and(|(id, _)| ids.contains(id));
        let gone = self.slots.iter().filter(|(_, slot)| goes(slot)).map(|(hash, _)| *hash);
        gone.collect::<Vec<_>>().into_iter().for_each(|hash| self.remove(hash));
    }

    fn remove(&mut self, hash: MetricId) {
        self.slots.remove(&hash);
        self.opened.retain(|opened| *opened != hash);
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
            self.out = Some(std::mem::take(&mut self.pending));
        }
    }

    fn collect(&mut self, now: u64, flush: bool, here: impl Fn(MetricId) -> bool) {
        for hash in std::mem::take(&mut self.opened) {
            let slot = self.slots.get_mut(&hash).expect("what is gone is not in the list");
            if let Some((id, policy)) = slot.destination.clone() {
                let said = slot.take_second(now);
                self.say(id, &policy, said, &here);
            } else {
                slot.close();
                self.opened.push(hash);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        if flush {
            touched.append(&mut self.touched_for_flush);
        }
        for hash in touched {
            let slot = self.slots.get_mut(&hash).expect("what is gone is not in the list");
            let Some((id, policy)) = slot.destination.clone() else {
                let list =
                    if slot.waits_for_flush() { &mut self.touched_for_flush } else { &mut self.touched };
                list.push(hash);
                continue;
            };
            slot.touched = false;
            for said in slot.take(now) {
                self.say(id, &policy, said, &here);
            }
        }
        self.slots.retain(|_, slot| !slot.is_silent(now));
    }

    fn say(&mut self, id: MetricId, policy: &ArchivePolicy, said: Said, here: &impl Fn(MetricId) -> bool) {
        let (at, say, samples) = said;
        let what = match say {
            Say::Point(value) => What::Points(policy.back_window, vec![(at, value)]),
            Say::Events(events) => What::Events(vec![events]),
        };
        let part = Part { id, what, samples };
        if here(id) { self.pending.parts.push(part) } else { self.forwards.push(part) }
    }

    /// Samples that are neither stored nor lost.
    pub(crate) fn samples_pending(&self) -> u64 {
        let parts =
            self.out.iter().flat_map(|out| &out.parts).chain(&self.pending.parts).chain(&self.forwards);
        parts.map(|part| part.samples).sum::<u64>()
            + self.slots.values().map(|slot| slot.samples).sum::<u64>()
    }
}

fn next_multiple(now: u64, interval: u64) -> u64 {
    (now / interval + 1) * interval
}
