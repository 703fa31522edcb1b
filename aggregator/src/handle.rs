//! What everybody else sees of the shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use orzo_base::Doorbell;
use orzo_model::{ArchivePolicy, Column, MetricId, Partition, Partitions};
use orzo_store::index::Heard;

use crate::command::{Command, Hearing, Post, PostError, ReadKey};
use crate::counters::ShardCounters;
use crate::limits::COMMANDS_WAITING;

/// One shard's end of things.
struct End {
    commands: Sender<Command>,
    bell: Arc<Doorbell>,
    counters: Arc<ShardCounters>,
}

/// Reaches every shard. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    partitions: Partitions,
    ends: Arc<[End]>,
    /// Shards that may still forward something.
    talking: Arc<AtomicUsize>,
}

impl Handle {
    /// Ends for shards with these doorbells, and the commands that will come out of them.
    pub fn new(partitions: Partitions, bells: Vec<Arc<Doorbell>>) -> (Self, Vec<Receiver<Command>>) {
        let make = |bell| {
            // Unbounded, since only such a channel drops what is queued as soon as the shard is gone. In a bounded
            // one it lies until the last handle goes, and whoever waits for an answer waits as long.
            let (commands, inbox) = unbounded();
            (End { commands, bell, counters: Arc::default() }, inbox)
        };
        let (ends, inboxes): (Vec<_>, _) = bells.into_iter().map(make).unzip();
        let talking = Arc::new(AtomicUsize::new(ends.len()));
        (Handle { partitions, ends: ends.into(), talking }, inboxes)
    }

    /// How metrics are divided.
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.ends.len()
    }

    /// The shard that owns a partition.
    pub fn owner(&self, partition: Partition) -> usize {
        partition.index() % self.ends.len()
    }

    /// The partitions that a shard owns.
    pub fn owned(&self, shard: usize) -> Vec<Partition> {
        self.partitions.all().filter(|partition| self.owner(*partition) == shard).collect()
    }

    /// What a shard counts.
    pub fn counters(&self, shard: usize) -> &Arc<ShardCounters> {
        &self.ends[shard].counters
    }

    fn shard_of(&self, id: MetricId) -> usize {
        self.owner(self.partitions.of(id))
    }

    /// Stores measures. On return they are as durable as configured, and every read shows them.
    ///
    /// # Errors
    /// If a shard is busy or the store failed. What other shards were given may be stored.
    pub fn post(&self, posts: Vec<Post>) -> Result<(), PostError> {
        let groups = group(posts, |post| self.shard_of(post.id));
        let asked = groups.len();
        let (ack, acks) = bounded(asked);
        for (shard, posts) in groups {
            self.try_tell(shard, Command::Post(posts, ack.clone()))?;
        }
        drop(ack);
        let answers: Vec<()> = acks.iter().collect::<Result<_, _>>()?;
        // Fewer answers: a shard ended before it could store.
        if answers.len() == asked { Ok(()) } else { Err(going_down()) }
    }

    /// Fresh buckets, in the order of the keys. They overlay what the store says *afterwards*.
    pub fn read(&self, keys: &[ReadKey]) -> Vec<Column> {
        let groups = group(keys.iter().enumerate().collect(), |(_, key)| self.shard_of(key.id));
        let ask = |(shard, keys): (usize, Vec<(usize, &ReadKey)>)| {
            let (reply, answer) = bounded(1);
            let (positions, keys): (Vec<usize>, Vec<ReadKey>) =
                keys.into_iter().map(|(at, key)| (at, *key)).unzip();
            self.tell_shard(shard, Command::Read(keys, reply));
            (positions, answer)
        };
        // All are asked before the first is waited for.
        let asked: Vec<_> = groups.into_iter().map(ask).collect();
        let mut columns = vec![Column::default(); keys.len()];
        for (positions, answer) in asked {
            // A shard that has ended has stored everything.
            let found = answer.recv().unwrap_or_default();
            positions.into_iter().zip(found).for_each(|(at, column)| columns[at] = column);
        }
        columns
    }

    /// The last batches of series that spoke after a silence or were checkpointed since this was asked last.
    pub fn news(&self) -> Vec<Heard> {
        let ask = |shard| self.ask_heard(shard, Hearing::News);
        let asked: Vec<_> = (0..self.ends.len()).map(ask).collect();
        asked.into_iter().flat_map(|answer| answer.recv().unwrap_or_default()).collect()
    }

    /// The last batches of those series that are in memory.
    pub fn heard(&self, ids: &[MetricId]) -> Vec<Heard> {
        let groups = group(ids.to_vec(), |id| self.shard_of(*id));
        let ask = |(shard, ids)| self.ask_heard(shard, Hearing::Of(ids));
        let asked: Vec<_> = groups.into_iter().map(ask).collect();
        asked.into_iter().flat_map(|answer| answer.recv().unwrap_or_default()).collect()
    }

    fn ask_heard(&self, shard: usize, hearing: Hearing) -> Receiver<Vec<Heard>> {
        let (reply, answer) = bounded(1);
        self.tell_shard(shard, Command::Heard(hearing, reply));
        answer
    }

    /// Drops the live state of metrics that are deleted. All shards are told: a statsd series may live in
    /// another than the metric it feeds.
    pub fn forget(&self, ids: &[MetricId]) {
        self.tell_all(|| Command::Forget(ids.to_vec()));
    }

    /// Applies a changed policy everywhere.
    pub fn policy_changed(&self, policy: &Arc<ArchivePolicy>) {
        self.tell_all(|| Command::PolicyChanged(policy.clone()));
    }

    /// Has everything stored that is dirty now, while samples go on coming; says whether that was done in time.
    pub fn checkpoint(&self, deadline: Instant) -> bool {
        let ask = |shard| {
            let (reply, answer) = bounded(1);
            self.tell_shard(shard, Command::Checkpoint(reply));
            answer
        };
        let asked: Vec<_> = (0..self.ends.len()).map(ask).collect();
        asked.into_iter().all(|answer| answer.recv_deadline(deadline).is_ok())
    }

    /// Nothing more will come: shards store everything and end.
    pub fn stop(&self) {
        self.tell_all(|| Command::Stop);
    }

    /// A shard will forward nothing more. Once for each.
    pub(crate) fn fall_silent(&self) {
        // ORDER: Release, so that whoever reads 0 with Acquire finds all that was forwarded.
        self.talking.fetch_sub(1, Ordering::Release);
        self.ends.iter().for_each(|end| end.bell.ring());
    }

    /// Whether no shard will forward anything more.
    pub(crate) fn all_silent(&self) -> bool {
        self.talking.load(Ordering::Acquire) == 0
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        (0..self.ends.len()).for_each(|shard| self.tell_shard(shard, command()));
    }

    /// Tells the owner of a partition. What comes this way is bounded by who sends it: readers that wait, names that
    /// were asked for, checkpoints under way.
    pub fn tell(&self, partition: Partition, command: Command) {
        self.tell_shard(self.owner(partition), command);
    }

    fn tell_shard(&self, shard: usize, command: Command) {
        // A shard that has ended needs no telling.
        let _ = self.ends[shard].commands.send(command);
        self.ends[shard].bell.ring();
    }

    /// Tells a shard if its inbox has room.
    ///
    /// # Errors
    /// [`PostError::Busy`] if it has none.
    pub fn try_tell(&self, shard: usize, command: Command) -> Result<(), PostError> {
        let End { commands, bell, .. } = &self.ends[shard];
        if commands.len() >= COMMANDS_WAITING {
            return Err(PostError::Busy);
        }
        let sent = commands.send(command);
        bell.ring();
        sent.map_err(|_| going_down())
    }
}

fn going_down() -> PostError {
    PostError::Failed("the daemon is going down".into())
}

fn group<T>(items: Vec<T>, shard_of: impl Fn(&T) -> usize) -> BTreeMap<usize, Vec<T>> {
    let mut groups: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for item in items {
        groups.entry(shard_of(&item)).or_default().push(item);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use orzo_model::series::SeriesKind;
    use orzo_model::{Granularity, Method};
    use std::sync::mpsc;
    use std::time::Duration;

    fn one_shard() -> (Handle, Receiver<Command>) {
        let (handle, mut inboxes) = Handle::new(Partitions::DEFAULT, vec![Arc::new(Doorbell::new())]);
        (handle, inboxes.remove(0))
    }

    /// What `ask` answers if its command was queued and the shard ended without looking.
    fn asked_in_vain<T: Send + 'static>(ask: impl FnOnce(&Handle) -> T + Send + 'static) -> T {
        let (handle, inbox) = one_shard();
        let (tell, told) = mpsc::channel();
        let asking = handle.clone();
        let thread = std::thread::spawn(move || tell.send(ask(&asking)).unwrap());
        while inbox.is_empty() {
            std::thread::yield_now();
        }
        drop(inbox);
        let answer =
            told.recv_timeout(Duration::from_secs(10)).expect("nobody waits for a shard that is gone");
        thread.join().unwrap();
        answer
    }

    #[test]
    fn whoever_waits_for_a_shard_that_ends_is_told() {
        assert_eq!(asked_in_vain(Handle::news), []);
        assert_eq!(asked_in_vain(|handle| handle.heard(&[MetricId::from_bits(1)])), []);
        let policy = || {
            Arc::new(ArchivePolicy {
                name: "p".into(),
                back_window: 0,
                items: vec![],
                methods: [].into_iter().collect(),
            })
        };
        let id = MetricId::from_bits(1);
        let post =
            move || Post { id, policy: policy(), kind: SeriesKind::Sampled, measures: Default::default() };
        assert_eq!(asked_in_vain(move |handle| handle.post(vec![post()])), Err(going_down()));
        let key = ReadKey { id, width: Granularity::from_ns(1).unwrap(), method: Method::MEAN };
        assert_eq!(asked_in_vain(move |handle| handle.read(&[key])), [Column::default()]);
    }

    #[test]
    fn a_shard_with_too_many_commands_is_busy() {
        let (handle, inbox) = one_shard();
        for _ in 0..COMMANDS_WAITING {
            handle.try_tell(0, Command::Forget(Vec::new())).unwrap();
        }
        assert_eq!(handle.try_tell(0, Command::Forget(Vec::new())), Err(PostError::Busy));
        inbox.recv().unwrap();
        assert_eq!(handle.try_tell(0, Command::Forget(Vec::new())), Ok(()));
        drop(inbox);
        assert_eq!(handle.try_tell(0, Command::Forget(Vec::new())), Err(going_down()));
    }
}
