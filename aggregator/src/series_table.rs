//! The series a shard holds in memory, and which of them are dirty, in the order in which they became so.

use std::collections::VecDeque;

use orzo_base::near::bring_near;
use orzo_model::series::{Checkpoint, Series};
use orzo_model::{MetricId, Partition, Partitions, Timestamp};
use orzo_store::index::Heard;
use orzo_store::{Position, Seq};

use crate::arena::Arena;
use crate::id_index::IdIndex;
use crate::id_map::hash;
use crate::limits::{EVICTIONS_PER_TICK, IDLE_NS, SERIES_PER_CHECKPOINT};

struct Dirty {
    /// Or [`NOBODY`]. A million of them wait, and an option would take 16 bytes more.
    id: MetricId,
    /// Number of the first blob that is not in a checkpoint.
    first_seq: Seq,
    since: Timestamp,
}

/// Blobs have come that low water must pass, with nothing in them that a series took.
const NOBODY: MetricId = MetricId::from_bits(0);

/// A series that was stored whole when it had seen this blob.
struct Clean {
    id: MetricId,
    seq: Seq,
    since: Timestamp,
}

/// The number by which blobs tell of a series, and whether two of them have said whose it is. It holds while the series
/// is dirty: so long the first of the two is above low water.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(u64);

impl Number {
    /// A number that one blob will tell.
    pub(crate) fn told_once(number: u64) -> Self {
        Number(number << 1)
    }

    /// The same, told by another blob.
    pub(crate) fn told_again(self) -> Self {
        Number(self.0 | 1)
    }

    pub(crate) fn get(self) -> u64 {
        self.0 >> 1
    }

    pub(crate) fn is_known(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Where a series was when it was looked up. By the time this is used it may have gone, so that it is always used with
/// an id, and is no more than a short way to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesRef(u32);

impl SeriesRef {
    /// It was not in memory, or nobody looked.
    pub(crate) const NONE: SeriesRef = SeriesRef(u32::MAX);
}

/// A series in memory.
struct Live {
    id: MetricId,
    /// None: the place is vacant.
    series: Option<Box<Series>>,
    /// 0: none.
    number: Number,
}

impl Live {
    fn is(&self, id: MetricId) -> bool {
        self.id == id && self.series.is_some()
    }
}

#[derive(Default)]
struct Queue {
    dirty: VecDeque<Dirty>,
    /// Taken by the job under way.
    in_flight: Option<Vec<Dirty>>,
    last_seq: Seq,
    /// Low water as of the last job.
    low: Seq,
}

/// Series of one partition on their way to the store.
#[derive(Debug)]
pub struct CheckpointJob {
    /// Whose.
    pub partition: Partition,
    /// What to store.
    pub series: Vec<(MetricId, Checkpoint)>,
    /// Once all that is stored, no blob up to this number is needed.
    pub low: Seq,
}

/// Series by id, queues by partition.
pub(crate) struct SeriesTable {
    partitions: Partitions,
    index: IdIndex,
    lives: Arena<Live>,
    /// Indices of vacant places.
    free: Vec<u32>,
    queues: Vec<Queue>,
    /// In the order in which they were stored.
    clean: VecDeque<Clean>,
}

impl SeriesTable {
    pub(crate) fn new(partitions: Partitions) -> Self {
        let queues = (0..partitions.count()).map(|_| Queue::default()).collect();
        SeriesTable {
            partitions,
            index: IdIndex::default(),
            lives: Arena::default(),
            free: Vec::new(),
            queues,
            clean: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn dirty_len(&self) -> usize {
        self.queues.iter().map(|queue| queue.dirty.len()).sum()
    }

    /// Looks series up: each step for all of them, so that what the next one needs is near by then.
    pub(crate) fn find_all(&self, ids: impl Iterator<Item = MetricId> + Clone) -> Vec<SeriesRef> {
        ids.clone().for_each(|id| self.index.bring_near(hash(id)));
        let near = |at: &u32| bring_near(&self.lives[*at]);
        let likely: Vec<Option<u32>> =
            ids.clone().map(|id| self.index.likely(hash(id)).inspect(near)).collect();
        let find = |(likely, id): (Option<u32>, MetricId)| {
            let found = likely.filter(|at| self.lives[*at].is(id)).or_else(|| self.find(id));
            found.map_or(SeriesRef::NONE, SeriesRef)
        };
        likely.into_iter().zip(ids).map(find).collect()
    }

    fn find(&self, id: MetricId) -> Option<u32> {
        self.index.find(hash(id), |at| self.lives[at].is(id))
    }

    fn live(&self, found: SeriesRef, id: MetricId) -> Option<&Live> {
        let near = self.lives.get(found.0).filter(|live| live.is(id));
        near.or_else(|| self.find(id).map(|at| &self.lives[at]))
    }

    fn live_mut(&mut self, found: SeriesRef, id: MetricId) -> Option<&mut Live> {
        let near = self.lives.get(found.0).is_some_and(|live| live.is(id));
        let at = if near { found.0 } else { self.find(id)? };
        Some(&mut self.lives[at])
    }

    pub(crate) fn contains(&self, found: SeriesRef, id: MetricId) -> bool {
        self.live(found, id).is_some()
    }

    pub(crate) fn get(&self, id: MetricId) -> Option<&Series> {
        self.live(SeriesRef::NONE, id)?.series.as_deref()
    }

    fn get_mut(&mut self, id: MetricId) -> Option<&mut Series> {
        self.live_mut(SeriesRef::NONE, id)?.series.as_deref_mut()
    }

    /// Asks for what a change of these series will need: each step for all of them.
    pub(crate) fn bring_near(&self, found: &[SeriesRef]) {
        let live = |found: &SeriesRef| self.lives.get(found.0)?.series.as_deref();
        let series: Vec<&Series> = found.iter().filter_map(live).collect();
        series.iter().for_each(|series| bring_near(*series));
        series.iter().for_each(|series| series.bring_open_near());
    }

    /// The last batch of a series that is in memory.
    pub(crate) fn heard(&self, id: MetricId) -> Option<Heard> {
        let (arrived, newest) = self.get(id)?.heard();
        Some(Heard { metric: id, arrived, newest })
    }

    pub(crate) fn insert(&mut self, id: MetricId, series: Series) {
        let live = Live { id, series: Some(Box::new(series)), number: Number::default() };
        if let Some(at) = self.find(id) {
            self.lives[at] = live;
            return;
        }
        let at = match self.free.pop() {
            Some(at) => {
                self.lives[at] = live;
                at
            }
            None => self.lives.push(live),
        };
        self.index.insert(hash(id), at);
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.lives.iter_mut().filter_map(|live| live.series.as_deref_mut())
    }

    /// Changes a series by blob `seq`, and queues it if that made it dirty.
    pub(crate) fn change<T>(
        &mut self,
        (found, id): (SeriesRef, MetricId),
        seq: Seq,
        now: Timestamp,
        change: impl FnOnce(&mut Series) -> T,
    ) -> Option<T> {
        let series = self.live_mut(found, id)?.series.as_deref_mut()?;
        let was_dirty = series.is_dirty();
        let answer = change(series);
        if !was_dirty && series.is_dirty() {
            let queue = &mut self.queues[self.partitions.of(id).index()];
            queue.dirty.push_back(Dirty { id, first_seq: seq, since: now });
        }
        Some(answer)
    }

    /// The number by which a series is told, if it has one.
    pub(crate) fn number(&self, found: SeriesRef, id: MetricId) -> Option<Number> {
        self.live(found, id).map(|live| live.number).filter(|number| *number != Number::default())
    }

    /// A blob that is in the series has told its number. If nothing of it was taken low water may pass that blob.
    pub(crate) fn set_number(&mut self, id: MetricId, number: Number) {
        let dirty = |live: &&mut Live| live.series.as_ref().is_some_and(|series| series.is_dirty());
        if let Some(live) = self.live_mut(SeriesRef::NONE, id).filter(dirty) {
            live.number = number;
        }
    }

    /// Where a partition stands before the first blob.
    pub(crate) fn start_after(&mut self, partition: Partition, position: Position) {
        let queue = &mut self.queues[partition.index()];
        (queue.low, queue.last_seq) = (position.low, position.newest);
    }

    /// Notes the newest blob of a partition; its batches are in their series. If all of them were refused it
    /// must be passed by low water all the same, or the backlog would grow for ever.
    pub(crate) fn appended(&mut self, partition: Partition, seq: Seq, now: Timestamp) {
        let queue = &mut self.queues[partition.index()];
        queue.last_seq = seq;
        if queue.dirty.is_empty() && queue.low < seq {
            queue.dirty.push_back(Dirty { id: NOBODY, first_seq: seq, since: now });
        }
    }

    /// Drops a series. If it is dirty its place in the queue passes with the next checkpoint.
    pub(crate) fn forget(&mut self, id: MetricId) {
        let Some(at) = self.find(id) else { return };
        self.index.remove(hash(id), at);
        self.lives[at].series = None;
        self.free.push(at);
    }

    /// When the oldest measure came that no checkpoint has taken.
    pub(crate) fn oldest_dirty(&self) -> Option<Timestamp> {
        self.queues.iter().filter_map(|queue| queue.dirty.front()).map(|dirty| dirty.since).min()
    }

    /// Takes the oldest dirty series of a partition, if they have been dirty since `before` and no other
    /// job of the partition is under way. Those of the future are from before the clock was set back.
    pub(crate) fn begin_checkpoint(
        &mut self,
        partition: Partition,
        before: Timestamp,
        now: Timestamp,
    ) -> Option<CheckpointJob> {
        let queue = &mut self.queues[partition.index()];
        let due = |dirty: &Dirty| dirty.since <= before || dirty.since > now;
        if queue.in_flight.is_some() || !queue.dirty.front().is_some_and(due) {
            return None;
        }
        let count = queue.dirty.len().min(SERIES_PER_CHECKPOINT);
        let taken: Vec<Dirty> = queue.dirty.drain(..count).collect();
        let low = queue.dirty.front().map_or(queue.last_seq, |dirty| dirty.first_seq - 1);
        queue.low = low;
        let begin = |dirty: &Dirty| {
            let live = self.live_mut(SeriesRef::NONE, dirty.id)?;
            live.number = Number::default();
            Some((dirty.id, live.series.as_deref_mut()?.begin_checkpoint()?))
        };
        let series = taken.iter().filter_map(begin).collect();
        let queue = &mut self.queues[partition.index()];
        queue.in_flight = Some(taken);
        Some(CheckpointJob { partition, series, low })
    }

    /// The job of a partition is done. If it failed, its series are dirty again, and the oldest.
    pub(crate) fn end_checkpoint(&mut self, partition: Partition, stored: bool, now: Timestamp) {
        let in_flight = self.queues[partition.index()].in_flight.take();
        for taken in in_flight.into_iter().flatten().rev() {
            if stored {
                self.stored(taken.id, now);
                continue;
            }
            let id = taken.id;
            let is_there = self.get_mut(id).map(Series::abort_checkpoint).is_some();
            let queue = &mut self.queues[partition.index()];
            if is_there {
                queue.dirty.retain(|dirty| dirty.id != id);
            }
            queue.dirty.push_front(taken);
        }
    }

    fn stored(&mut self, id: MetricId, now: Timestamp) {
        let Some(series) = self.get_mut(id) else { return };
        series.end_checkpoint();
        let clean = (!series.is_dirty()).then_some(Clean { id, seq: series.seq(), since: now });
        self.clean.extend(clean);
    }

    /// Lets series go that have been silent since a checkpoint stored all they had, some time ago. They come
    /// back from the store when they speak.
    pub(crate) fn evict(&mut self, now: Timestamp) {
        let due = |clean: &Clean| clean.since.saturating_add(IDLE_NS) <= now;
        for _ in 0..EVICTIONS_PER_TICK {
            let Some(clean) = self.clean.pop_front_if(|clean| due(clean)) else { break };
            // If it has spoken since, there is or will be a later entry.
            let silent = |series: &Series| !series.is_dirty() && series.seq() == clean.seq;
            if self.get(clean.id).is_some_and(silent) {
                self.forget(clean.id);
            }
        }
    }

    /// Whether everything is stored that was dirty at `time`.
    pub(crate) fn is_stored_until(&self, time: Timestamp) -> bool {
        let after = |dirty: Option<&Dirty>| dirty.is_none_or(|dirty| dirty.since > time);
        let first_in_flight = |queue: &Queue| after(queue.in_flight.as_ref().and_then(|taken| taken.first()));
        self.queues.iter().all(|queue| after(queue.dirty.front()) && first_in_flight(queue))
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.queues.iter().any(|queue| queue.in_flight.is_some())
    }
}
