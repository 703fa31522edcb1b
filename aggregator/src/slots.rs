//! The table of a shard's statsd series, and which of them have something to commit.

use orzo_base::near::bring_near;
use orzo_model::drop_reason::DropReason;
use orzo_model::sample::{Kind, Sample};
use orzo_model::{Measure, MetricId, SECOND, Timestamp};

use crate::arena::Arena;
use crate::gauge::Semantics;
use crate::id_index::IdIndex;
use crate::id_map::hash;
use crate::limits::SET_MEMBERS;
use crate::open_events::OpenEventList;
use crate::slot::{Arrival, Destination, Slot, SlotTail, Value};

/// Slots by id. A slot keeps its index for as long as it lives.
#[derive(Default)]
pub(crate) struct Slots {
    index: IdIndex,
    slots: Arena<Slot>,
    tails: Arena<SlotTail>,
    /// Indices of vacant slots that nothing refers to any more.
    free: Vec<u32>,
    /// Indices of slots that became vacant since the last commit.
    vacated: Vec<u32>,
    /// With events for the next commit.
    pub(crate) events: OpenEventList,
    /// With something else for the next commit.
    pub(crate) touched: Vec<u32>,
    /// With something for the next flush.
    pub(crate) touched_for_flush: Vec<u32>,
    /// Where the search for silent series goes on.
    sweep: u32,
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The first step of looking a series up; see [`IdIndex`].
    #[inline]
    pub(crate) fn look_for(&self, id: MetricId) {
        self.index.bring_near(hash(id));
    }

    /// The second.
    #[inline]
    pub(crate) fn likely(&self, id: MetricId) -> Option<u32> {
        self.index.likely(hash(id)).inspect(|slot| bring_near(&self.slots[*slot]))
    }

    /// The third. Asks for what [`Slots::apply`] will need as well.
    #[inline]
    pub(crate) fn find_from(&self, likely: Option<u32>, id: MetricId) -> Option<u32> {
        let found = likely.filter(|slot| self.slots[*slot].id == id).or_else(|| self.find(id))?;
        if let Value::Events(open) = &self.slots[found].value {
            self.events.bring_near(*open);
        }
        Some(found)
    }

    #[cold]
    fn find(&self, id: MetricId) -> Option<u32> {
        self.index.find(hash(id), |slot| self.slots[slot].id == id)
    }

    pub(crate) fn insert(&mut self, sample: &Sample, name: &[u8], arrived: Timestamp) -> u32 {
        let slot = Slot::new(sample, arrived);
        let tail = SlotTail { destination: Destination::Unknown(name.into()), timed: None };
        let index = match self.free.pop() {
            Some(index) => {
                (self.slots[index], self.tails[index]) = (slot, tail);
                index
            }
            None => {
                self.tails.push(tail);
                self.slots.push(slot)
            }
        };
        self.index.insert(hash(sample.id), index);
        index
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> (&mut Slot, &mut SlotTail) {
        (&mut self.slots[index], &mut self.tails[index])
    }

    /// Takes a sample in.
    ///
    /// # Errors
    /// Why it was dropped instead.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        index: u32,
        sample: &Sample,
        arrived: Arrival,
        rules: &Semantics,
    ) -> Result<(), DropReason> {
        let slot = &mut self.slots[index];
        if let Some(seconds) = sample.seconds() {
            apply_timed(slot, &mut self.tails[index], sample, seconds, arrived.exact, rules)?;
        } else {
            match &mut slot.value {
                Value::Events(open) => {
                    let tails = &self.tails;
                    let wants = || tails[index].destination.wants();
                    self.events.add(open, index, sample, arrived.rounded, wants);
                    slot.samples += 1;
                    return Ok(());
                }
                Value::Gauge(gauge) => gauge.set(sample, arrived.rounded, rules),
                Value::Set(members) if members.len() < SET_MEMBERS => {
                    members.insert(sample.value);
                }
                Value::Set(members) if members.contains(&sample.value) => {}
                Value::Set(_) => return Err(DropReason::SetFull),
                Value::Point(point) => apply_point(point, sample, arrived.exact),
            }
        }
        slot.samples += 1;
        self.touch(index);
        Ok(())
    }

    /// Notes that a slot has something to commit besides events.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        let slot = &mut self.slots[index];
        if !slot.touched {
            slot.touched = true;
            let list = if slot.waits_for_flush() { &mut self.touched_for_flush } else { &mut self.touched };
            list.push(index);
        }
    }

    /// Every slot of a series, with what is not needed for each sample.
    pub(crate) fn tails_mut(&mut self) -> impl Iterator<Item = &mut SlotTail> {
        // Vacant ones are among them: harmless, since nobody finds them.
        self.tails.iter_mut()
    }

    pub(crate) fn find_all(&self, wanted: impl Fn(&Slot, &SlotTail) -> bool) -> Vec<u32> {
        let wanted = |index: &u32| wanted(&self.slots[*index], &self.tails[*index]);
        self.index.iter().filter(wanted).collect()
    }

    /// Drops a slot; says how many samples went with it. Whatever still refers to it finds it vacant until
    /// [`Slots::reuse_vacated`].
    pub(crate) fn remove(&mut self, index: u32) -> u64 {
        let slot = &mut self.slots[index];
        if !self.index.remove(hash(slot.id), index) {
            return 0;
        }
        slot.vacant = true;
        slot.value = Value::Point(None);
        self.tails[index] = SlotTail { destination: Destination::Asked, timed: None };
        self.vacated.push(index);
        std::mem::take(&mut slot.samples)
    }

    /// A commit has passed all lists.
    pub(crate) fn reuse_vacated(&mut self) {
        self.free.append(&mut self.vacated);
    }

    /// Looks at the next `count` slots and drops those whose series have been silent for so many seconds.
    pub(crate) fn drop_silent(&mut self, now: u32, idle_seconds: u32, count: usize) {
        let slots = u32::try_from(self.slots.len()).expect("indices are 32 bits");
        for _ in 0..count.min(self.slots.len()) {
            self.sweep = if self.sweep + 1 < slots { self.sweep + 1 } else { 0 };
            let (slot, tail) = (&self.slots[self.sweep], &self.tails[self.sweep]);
            let silent = now.saturating_sub(slot.spoke) > idle_seconds;
            if silent && !slot.vacant && slot.samples == 0 && tail.destination.known(slot.id).is_some() {
                self.remove(self.sweep);
            }
        }
    }
}

fn apply_timed(
    slot: &mut Slot,
    tail: &mut SlotTail,
    sample: &Sample,
    seconds: u32,
    arrived: Timestamp,
    rules: &Semantics,
) -> Result<(), DropReason> {
    let at = u64::from(seconds) * SECOND;
    if at > arrived.ns().saturating_add(rules.max_future_ns) {
        return Err(DropReason::TooFarAhead);
    }
    if let Value::Gauge(gauge) = &mut slot.value {
        gauge.dogstatsd = true;
    }
    let (value, samples) = tail.timed.get_or_insert_default().entry(seconds).or_default();
    *samples += 1;
    // Counters of one second add up, of gauges the last one holds.
    *value = if slot.kind == Kind::Gauge { sample.number() } else { *value + sample.number() };
    Ok(())
}

fn apply_point(point: &mut Option<Measure>, sample: &Sample, arrived: Timestamp) {
    let before = match point {
        Some(point) if sample.kind == Kind::Counter => point.value,
        _ => 0.0,
    };
    let value =
        if sample.kind == Kind::Counter { sample.number() * sample.weight() } else { sample.number() };
    *point = Some(Measure { at: arrived, value: before + value });
}
