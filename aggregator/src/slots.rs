//! The table of a shard's statsd series, and which of them have something to commit.

use hashbrown::HashTable;
use orzo_model::MetricId;
use orzo_model::sample::Sample;

use crate::id_map::fold;
use crate::slot::Slot;

/// Slots by id. A slot keeps its index for as long as it lives.
#[derive(Default)]
pub(crate) struct Slots {
    table: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// With something for the next commit.
    pub(crate) touched: Vec<u32>,
    /// With something for the next flush.
    pub(crate) touched_for_flush: Vec<u32>,
}

fn hash(id: MetricId) -> u64 {
    fold(id.bits())
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn find(&self, id: MetricId) -> Option<u32> {
        self.table.find(hash(id), |index| self.slots[*index as usize].id == id).copied()
    }

    pub(crate) fn insert(&mut self, sample: &Sample, name: &[u8]) -> u32 {
        let slot = Slot::new(sample, name);
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("the series limit is far below 2^32")
            }
        };
        let slots = &self.slots;
        self.table.insert_unique(hash(sample.id), index, |index| hash(slots[*index as usize].id));
        index
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    /// Notes that a slot has something to commit.
    #[inline]
    pub(crate) fn touch(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.touched {
            slot.touched = true;
            let list = if slot.waits_for_flush() { &mut self.touched_for_flush } else { &mut self.touched };
            list.push(index);
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        // Free slots are among them: harmless, since nobody finds them.
        self.slots.iter_mut()
    }

    pub(crate) fn find_all(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<u32> {
        self.table.iter().copied().filter(|index| wanted(&self.slots[*index as usize])).collect()
    }

    /// Drops a slot; says how many samples went with it. Its place among the touched ones stays: whoever
    /// comes by finds it empty, or another's.
    pub(crate) fn remove(&mut self, index: u32) -> u64 {
        let slot = &mut self.slots[index as usize];
        let samples = slot.clear();
        if let Ok(entry) = self.table.find_entry(hash(slot.id), |known| *known == index) {
            entry.remove();
            self.free.push(index);
        }
        samples
    }
}
