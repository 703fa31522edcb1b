//! The statsd side of a shard: samples into slots, slots into records.

use std::collections::VecDeque;
use std::sync::Arc;

use orzo_model::batch::{Batch, SAMPLES_PER_BATCH};
use orzo_model::drop_reason::DropReason;
use orzo_model::sample::Sample;
use orzo_model::{ArchivePolicy, MetricId, Timestamp};
use smallvec::SmallVec;

use crate::command::{Name, Pending, Resolution};
use crate::counters::ShardCounters;
use crate::gauge::Semantics;
use crate::id_map::{IdMap, IdSet};
use crate::limits::{
    IDLE_SECONDS, NAMES_PER_ASK, NAMES_WAITING, REFUSAL_NS, SAMPLES_BETWEEN_STEPS, SLOTS_PER_SWEEP,
};
use crate::open_events::OpenRef;
use crate::record::{Payload, Record};
use crate::slot::{Arrival, Destination, Part, Slot, SlotTail, Value, second};
use crate::slots::Slots;

/// A slot, or why there is none.
type Found = Result<u32, DropReason>;

pub(crate) struct Statsd {
    semantics: Semantics,
    series_max: usize,
    slots: Slots,
    /// Slots the index must be asked about.
    unknown: VecDeque<u32>,
    /// Slots that wait for an answer.
    asked: IdMap<u32>,
    /// Series the index refused, why, and when to ask again.
    refused: IdMap<(DropReason, Timestamp)>,
    waiting: u64,
}

impl Statsd {
    pub(crate) fn new(semantics: Semantics, series_max: usize) -> Self {
        Statsd {
            semantics,
            series_max,
            slots: Slots::default(),
            unknown: VecDeque::new(),
            asked: IdMap::default(),
            refused: IdMap::default(),
            waiting: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Samples that wait in slots.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Whether every slot with content has been emptied.
    pub(crate) fn nothing_waits(&self) -> bool {
        self.waiting == 0
    }

    /// Takes a batch in. Each sample takes its steps some samples apart, so that what the next step needs is near by then.
    pub(crate) fn samples(&mut self, batch: &Batch, counters: &ShardCounters) {
        const STEPS: usize = 4;
        let arrived = Arrival::new(batch.arrived());
        let samples = batch.samples();
        let mut named = batch.iter();
        let mut likely = [None; SAMPLES_PER_BATCH];
        let mut found: [Found; SAMPLES_PER_BATCH] = [Ok(0); SAMPLES_PER_BATCH];
        let mut applied = 0;
        for turn in 0..samples.len() + (STEPS - 1) * SAMPLES_BETWEEN_STEPS {
            let whose =
                |step: usize| turn.checked_sub(step * SAMPLES_BETWEEN_STEPS).filter(|at| *at < samples.len());
            if let Some(at) = whose(0) {
                self.slots.look_for(samples[at].id);
            }
            if let Some(at) = whose(1) {
                likely[at] = self.slots.likely(samples[at].id);
            }
            if let Some(at) = whose(2)
                && let Some((sample, name)) = named.next()
            {
                found[at] = match self.slots.find_from(likely[at], sample.id) {
                    Some(index) => Ok(index),
                    None => self.admit(sample, name, batch.arrived()),
                };
            }
            if let Some(at) = whose(3) {
                match found[at]
                    .and_then(|index| self.slots.apply(index, &samples[at], arrived, &self.semantics))
                {
                    Ok(()) => applied += 1,
                    Err(reason) => counters.drop_samples(reason, 1),
                }
            }
        }
        self.waiting += applied;
        counters.samples_received.add(batch.len() as u64);
    }

    /// Makes a slot for a series not seen before, if there is room.
    #[cold]
    fn admit(&mut self, sample: &Sample, name: &[u8], arrived: Timestamp) -> Found {
        if let Some((reason, until)) = self.refused.get(&sample.id) {
            if arrived < *until {
                return Err(*reason);
            }
            self.refused.remove(&sample.id);
        }
        if self.slots.len() >= self.series_max {
            return Err(DropReason::SeriesLimit);
        }
        if self.unknown.len() + self.asked.len() >= NAMES_WAITING {
            return Err(DropReason::NamesPending);
        }
        let index = self.slots.insert(sample, name, arrived);
        self.unknown.push_back(index);
        Ok(index)
    }

    /// Names the index must be asked about, not too many at once.
    pub(crate) fn ask_names(&mut self, names: &mut Vec<Name>) {
        while names.len() < NAMES_PER_ASK {
            let Some(index) = self.unknown.pop_front() else { break };
            let (slot, tail) = self.slots.get_mut(index);
            let destination = std::mem::replace(&mut tail.destination, Destination::Asked);
            if let Destination::Unknown(bytes) = destination {
                names.push(Name { id: slot.id, kind: slot.kind, flags: slot.flags, bytes });
                self.asked.insert(slot.id, index);
            }
        }
    }

    /// The index has answered.
    pub(crate) fn resolved(
        &mut self,
        hash: MetricId,
        answer: Resolution,
        now: Timestamp,
        counters: &ShardCounters,
    ) {
        let Some(index) = self.asked.remove(&hash) else { return };
        match answer {
            Resolution::Metric { id, policy, level } => {
                let (slot, tail) = self.slots.get_mut(index);
                if let Value::Gauge(gauge) = &mut slot.value {
                    gauge.rebase(level, &self.semantics);
                }
                tail.destination = Destination::new(hash, id, policy);
            }
            Resolution::Refused(reason) => {
                self.drop_slot(index, reason, counters);
                if self.refused.len() >= NAMES_WAITING {
                    self.refused.clear();
                }
                self.refused.insert(hash, (reason, now.saturating_add(REFUSAL_NS)));
            }
        }
    }

    fn drop_slot(&mut self, index: u32, reason: DropReason, counters: &ShardCounters) {
        let samples = self.slots.remove(index);
        self.waiting -= samples;
        counters.drop_samples(reason, samples);
    }

    /// Takes out of the slots what is due: everything the index has answered about.
    pub(crate) fn collect(&mut self, now: Timestamp, flush: bool, out: &mut impl FnMut(Pending)) {
        self.collect_events(now, out);
        let touched = std::mem::take(&mut self.slots.touched);
        self.collect_from(touched, false, now, out);
        if flush {
            let touched = std::mem::take(&mut self.slots.touched_for_flush);
            self.collect_from(touched, true, now, out);
        }
        self.slots.reuse_vacated();
        self.slots.drop_silent(second(now), IDLE_SECONDS, SLOTS_PER_SWEEP);
    }

    fn collect_events(&mut self, now: Timestamp, out: &mut impl FnMut(Pending)) {
        let mut taken = self.slots.events.take();
        let count = taken.len();
        for events in taken.drain(..) {
            let (slot, tail) = self.slots.get_mut(events.slot);
            if slot.vacant {
                continue;
            }
            slot.value = Value::Events(OpenRef::NONE);
            let Some((id, policy)) = tail.destination.known(slot.id) else {
                self.slots.events.keep(events);
                continue;
            };
            slot.spoke = second(now);
            let samples = u64::from(events.samples);
            slot.samples -= samples;
            self.waiting -= samples;
            let payload = Payload::Events(SmallVec::from_buf([events.summary]));
            let record = Record { id, back_window: policy.back_window, payload };
            out(Pending { record, policy: policy.clone(), samples });
        }
        self.slots.events.reuse(taken, count);
    }

    fn collect_from(
        &mut self,
        touched: Vec<u32>,
        flushed: bool,
        now: Timestamp,
        out: &mut impl FnMut(Pending),
    ) {
        let mut parts: Vec<Part> = Vec::new();
        for index in touched {
            let (slot, tail) = self.slots.get_mut(index);
            // The place of a slot that was removed: the one that is there now is in the other list.
            if slot.vacant || slot.waits_for_flush() != flushed {
                continue;
            }
            slot.touched = false;
            let Some((id, policy)) = tail.destination.known(slot.id) else {
                self.slots.touch(index);
                continue;
            };
            let policy = policy.clone();
            slot.spoke = second(now);
            slot.take(tail, now, &mut parts);
            for Part { payload, samples } in parts.drain(..) {
                self.waiting -= samples;
                let record = Record { id, back_window: policy.back_window, payload };
                out(Pending { record, policy: policy.clone(), samples });
            }
        }
    }

    /// Applies a changed policy.
    pub(crate) fn policy_changed(&mut self, changed: &Arc<ArchivePolicy>) {
        let policies = self.slots.tails_mut().filter_map(|tail| tail.destination.policy_mut());
        policies.filter(|policy| policy.name == changed.name).for_each(|policy| *policy = changed.clone());
    }

    /// These metrics are gone: their series, should they speak again, are new ones.
    pub(crate) fn forget(&mut self, ids: &IdSet, counters: &ShardCounters) {
        let gone = |slot: &Slot, tail: &SlotTail| {
            tail.destination.known(slot.id).is_some_and(|(id, _)| ids.contains(&id))
        };
        for index in self.slots.find_all(gone) {
            self.drop_slot(index, DropReason::MetricDeleted, counters);
        }
    }
}

#[cfg(test)]
mod tests;
