//! A shard as a state machine: no thread, clock, disk or channel is waited for in here.
//!
//! The driver feeds it samples, commands and the time, appends what [`Shard::commit`] returns to the
//! backlog, gives it back to [`Shard::apply`], and does what the [`Outbox`] says. So a node can be run in
//! one thread, step by step.

use std::sync::Arc;

use crossbeam::channel::Sender;
use orzo_model::batch::Batch;
use orzo_model::drop_reason::DropReason;
use orzo_model::series::Series;
use orzo_model::summary::Wants;
use orzo_model::{MetricId, Partition, Partitions, Timestamp};
use orzo_store::index::Heard;
use orzo_store::{Position, Seq};

use crate::command::{Command, Hearing, Outbox, Pending, Post, ReadKey, Resolution};
use crate::counters::ShardCounters;
use crate::gathered::Gathered;
use crate::gauge::Semantics;
use crate::id_map::IdSet;
use crate::limits::{
    COMMIT_INTERVAL_NS, DIRTY_MEASURES, FORGOTTEN_NS, NEWS_MAX, NUMBERS_PER_BLOB_BITS, SILENCE_NS,
};
use crate::pace::Pace;
use crate::record::{self, Payload};
use crate::series_table::{SeriesRef, SeriesTable};
use crate::statsd::Statsd;

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// How metrics are divided.
    pub partitions: Partitions,
    /// The partitions of this shard.
    pub owned: Vec<Partition>,
    /// Sets, and everything in the reference's own profile, are emitted so often, in nanoseconds.
    pub flush_interval_ns: u64,
    /// Series are checkpointed at least so often, in nanoseconds; more often if much comes in, see `pace`.
    pub checkpoint_age_ns: u64,
    /// Statsd series at most.
    pub series_max: usize,
    /// What samples mean.
    pub semantics: Semantics,
}

/// The owner of some partitions.
pub struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) counters: Arc<ShardCounters>,
    statsd: Statsd,
    pub(crate) series: SeriesTable,
    /// Waits for the next commit.
    gathered: Gathered,
    acks: Vec<crate::command::Ack>,
    /// Of the next blob, by partition.
    next_seq: Vec<Seq>,
    /// Of the next series that needs one, by partition.
    next_number: Vec<u64>,
    next_commit: Timestamp,
    next_flush: Timestamp,
    outbox: Outbox,
    stopping: bool,
    /// Who waits until everything is stored that was dirty at a time.
    hurried: Vec<(Timestamp, Sender<()>)>,
    last_words: bool,
    /// Whether a commit is out that is neither applied nor rejected yet.
    committing: bool,
    /// Partitions whose last commit failed and may be there all the same: the next blob takes its place. Until then no
    /// checkpoint begins, for low water must not pass the names that it relies on.
    doubtful: Vec<Partition>,
    /// Whether an empty blob will do for that, since no other has come for a while.
    annul: bool,
    /// Samples that have left their slots and are neither applied, dropped nor handed over yet.
    unstored: u64,
    raw_since_checkpoint: usize,
    pace: Pace,
    /// Whether there may be something to checkpoint.
    look: bool,
    /// See [`Hearing::News`].
    news: Vec<Heard>,
    /// Metrics deleted lately: what is still on its way for them must not be stored once nobody looks for it
    /// any more. The younger generation first.
    forgotten: [IdSet; 2],
    next_generation: Timestamp,
    /// Of the last tick.
    now: Timestamp,
}

impl Shard {
    /// A shard that knows no series.
    pub fn new(config: ShardConfig, counters: Arc<ShardCounters>) -> Self {
        Shard {
            statsd: Statsd::new(config.semantics, config.series_max),
            series: SeriesTable::new(config.partitions),
            gathered: Gathered::new(config.partitions),
            acks: Vec::new(),
            next_seq: vec![1; config.partitions.count()],
            next_number: vec![1; config.partitions.count()],
            next_commit: Timestamp::EPOCH,
            next_flush: Timestamp::EPOCH,
            outbox: Outbox::default(),
            stopping: false,
            hurried: Vec::new(),
            last_words: false,
            committing: false,
            doubtful: Vec::new(),
            annul: false,
            unstored: 0,
            raw_since_checkpoint: 0,
            pace: Pace::new(config.checkpoint_age_ns),
            look: false,
            news: Vec::new(),
            forgotten: Default::default(),
            next_generation: Timestamp::EPOCH,
            now: Timestamp::EPOCH,
            config,
            counters,
        }
    }

    /// Takes a batch of statsd samples in.
    pub fn samples(&mut self, batch: &Batch) {
        self.statsd.samples(batch, &self.counters);
        self.publish_pending();
    }

    /// Does what it is told.
    pub fn command(&mut self, command: Command) {
        match command {
            Command::Post(posts, ack) => {
                posts.into_iter().map(posted).for_each(|pending| self.gathered.push(pending));
                self.acks.push(ack);
            }
            Command::Read(keys, reply) => {
                let columns = keys.iter().map(|key| self.read(key)).collect();
                self.outbox.replies.push((reply, columns));
            }
            Command::Heard(hearing, reply) => {
                let heard = self.heard(hearing);
                self.outbox.heard.push((reply, heard));
            }
            Command::Resolved(answers) => {
                answers.into_iter().for_each(|(hash, answer)| self.resolved(hash, answer));
            }
            Command::Forward(records) => {
                self.unstored += samples_of(&records);
                records.into_iter().for_each(|pending| self.gathered.push(pending));
            }
            Command::Forget(ids) => self.forget(&ids),
            Command::PolicyChanged(policy) => {
                self.statsd.policy_changed(&policy);
                self.series
                    .iter_mut()
                    .filter(|series| series.policy().name == policy.name)
                    .for_each(|series| series.set_policy(policy.clone()));
            }
            Command::Checkpointed { partition, stored } => {
                self.look = true;
                self.series.end_checkpoint(partition, stored, self.now);
                let counter =
                    if stored { &self.counters.checkpoints } else { &self.counters.checkpoints_failed };
                counter.add(1);
                self.publish();
            }
            Command::Checkpoint(reply) => {
                self.look = true;
                self.hurried.push((self.now, reply));
            }
            Command::Stop => self.stopping = true,
        }
        self.publish_pending();
    }

    fn read(&self, key: &ReadKey) -> orzo_model::Column {
        self.series.get(key.id).map(|series| series.column(key.width, key.method)).unwrap_or_default()
    }

    fn heard(&mut self, hearing: Hearing) -> Vec<Heard> {
        match hearing {
            Hearing::News => std::mem::take(&mut self.news),
            Hearing::Of(ids) => ids.into_iter().filter_map(|id| self.series.heard(id)).collect(),
        }
    }

    fn tell(&mut self, news: impl IntoIterator<Item = Heard>) {
        let room = NEWS_MAX - self.news.len();
        self.news.extend(news.into_iter().take(room));
    }

    fn resolved(&mut self, hash: MetricId, answer: Resolution) {
        // Its own memory is newer than the window as of the last checkpoint.
        let answer = match answer {
            Resolution::Metric { id, policy, level } => {
                let newest = self.series.get(id).and_then(|series| series.last());
                Resolution::Metric { id, policy, level: newest.or(level) }
            }
            other => other,
        };
        self.statsd.resolved(hash, answer, self.now, &self.counters);
    }

    fn forget(&mut self, ids: &[MetricId]) {
        let ids: IdSet = ids.iter().copied().collect();
        ids.iter().for_each(|id| self.series.forget(*id));
        let mut lost = 0;
        self.gathered.retain(|pending| {
            let gone = ids.contains(&pending.record.id);
            lost += if gone { pending.samples } else { 0 };
            !gone
        });
        self.lose(DropReason::MetricDeleted, lost);
        self.statsd.forget(&ids, &self.counters);
        self.forgotten[0].extend(ids);
    }

    fn is_forgotten(&self, id: MetricId) -> bool {
        self.forgotten.iter().any(|ids| ids.contains(&id))
    }

    /// While the store fails a commit waits, and after a pause of the machine everything does: what lay there meanwhile
    /// must find who was forgotten before.
    fn age_forgotten(&mut self, before: Timestamp, now: Timestamp) {
        if self.committing || now.saturating_sub(FORGOTTEN_NS / 4) > before {
            self.next_generation = now.saturating_add(FORGOTTEN_NS);
        } else if is_due(self.next_generation, now, FORGOTTEN_NS) {
            self.next_generation = next_multiple(now, FORGOTTEN_NS);
            self.forgotten.swap(0, 1);
            self.forgotten[0].clear();
        }
    }

    /// Lets time pass: slots that are due hand over what they have, series that have waited long enough
    /// go to the flushers, unknown names to the index. `samples_ended`: no batch will come any more.
    pub fn tick(&mut self, now: Timestamp, samples_ended: bool) {
        let before = std::mem::replace(&mut self.now, now);
        self.statsd.ask_names(&mut self.outbox.names);
        let last = self.stopping && samples_ended;
        if is_due(self.next_commit, now, COMMIT_INTERVAL_NS) || last {
            self.next_commit = next_multiple(now, COMMIT_INTERVAL_NS);
            let flush = is_due(self.next_flush, now, self.config.flush_interval_ns) || last;
            if flush {
                self.next_flush = next_multiple(now, self.config.flush_interval_ns);
            }
            self.gathered.let_go();
            self.collect(now, flush);
            self.series.evict(now);
            self.age_forgotten(before, now);
            self.annul = !self.doubtful.is_empty();
            self.look = true;
            self.publish();
        }
        self.last_words = last;
        // A commit that waits tells series by numbers that hold as long as they are dirty.
        if self.look && !self.committing {
            self.look = last;
            self.begin_checkpoints(now, last);
        }
    }

    fn collect(&mut self, now: Timestamp, flush: bool) {
        let Shard { config: ShardConfig { partitions, owned, .. }, gathered, outbox, .. } = self;
        let owns_all = owned.len() == partitions.count();
        let mut samples = 0;
        self.statsd.collect(now, flush, &mut |pending: Pending| {
            samples += pending.samples;
            if owns_all || owned.contains(&partitions.of(pending.record.id)) {
                gathered.push(pending);
            } else {
                outbox.forwards.push(pending);
            }
        });
        self.unstored += samples;
    }

    fn begin_checkpoints(&mut self, now: Timestamp, all: bool) {
        let pressed = self.raw_since_checkpoint > DIRTY_MEASURES;
        if pressed {
            self.raw_since_checkpoint = 0;
        }
        let partitions = self.config.partitions.count();
        let hurried = self.hurried.iter().map(|(until, _)| *until).max().unwrap_or_default();
        for partition in self.config.owned.iter().filter(|partition| !self.doubtful.contains(partition)) {
            let before = match (all, pressed) {
                (true, _) => Timestamp::MAX,
                (false, true) => now,
                (false, false) => self.pace.last_turn(*partition, partitions, now),
            };
            let before = before.max(hurried);
            self.outbox.checkpoints.extend(self.series.begin_checkpoint(*partition, before, now));
        }
        let series = self.outbox.checkpoints.iter().flat_map(|job| &job.series);
        let heard: Vec<Heard> = series.filter_map(|(id, _)| self.series.heard(*id)).collect();
        self.tell(heard);
        let series = &self.series;
        for (_, waiting) in self.hurried.extract_if(.., |(until, _)| series.is_stored_until(*until)) {
            // Whoever has lost patience does not want to know.
            let _ = waiting.send(());
        }
    }

    fn lose(&mut self, reason: DropReason, samples: u64) {
        self.counters.drop_samples(reason, samples);
        self.unstored -= samples;
    }

    /// Another shard has taken what was in the outbox for it.
    pub fn handed_over(&mut self, samples: u64) {
        self.unstored -= samples;
        self.publish_pending();
    }

    /// What the turn wants done.
    pub fn outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    /// Whether everything is stored and nothing more will come.
    pub fn finished(&self) -> bool {
        self.last_words
            && !self.committing
            && self.doubtful.is_empty()
            && self.gathered.is_empty()
            && self.series.dirty_len() == 0
            && !self.series.in_flight()
            && self.statsd.nothing_waits()
    }

    /// Whether nothing more will be in the outbox for other shards.
    pub fn silent(&self) -> bool {
        self.last_words && self.statsd.nothing_waits() && self.outbox.forwards.is_empty()
    }

    /// When [`Shard::tick`] has something to do next.
    pub fn next_tick(&self) -> Timestamp {
        self.next_commit
    }

    /// Continues where the backlog stands.
    pub(crate) fn start_after(&mut self, partition: Partition, position: Position) {
        self.next_seq[partition.index()] = position.newest + 1;
        // Past every number that a blob may have: none gives out more than so many.
        self.next_number[partition.index()] = (position.newest + 1) << NUMBERS_PER_BLOB_BITS;
        self.series.start_after(partition, position);
    }

    pub(crate) fn publish(&self) {
        let counters = &self.counters;
        counters.slots.set(self.statsd.len() as u64);
        counters.series.set(self.series.len() as u64);
        counters.series_dirty.set(self.series.dirty_len() as u64);
        counters.oldest_dirty_ns.set(self.series.oldest_dirty().map_or(0, Timestamp::ns));
        self.publish_pending();
    }

    fn publish_pending(&self) {
        self.counters.samples_pending.set(self.statsd.waiting() + self.unstored);
    }
}

fn samples_of(pending: &[Pending]) -> u64 {
    pending.iter().map(|pending| pending.samples).sum()
}

fn posted(post: Post) -> Pending {
    let Post { id, policy, kind, measures } = post;
    let payload = Payload::of(kind, measures, Wants::of(&policy.methods));
    Pending { record: record::Record { id, back_window: policy.back_window, payload }, policy, samples: 0 }
}

/// What became of a record.
#[derive(Default)]
pub(crate) struct Put {
    /// How many of its measures or events were too old.
    refused: usize,
    /// Its series had been silent.
    returned: Option<Heard>,
}

/// Puts a record in its series.
pub(crate) fn put(
    table: &mut SeriesTable,
    found: SeriesRef,
    record: record::Record,
    seq: Seq,
    now: Timestamp,
) -> Put {
    let newest = record.payload.newest();
    let put = |series: &mut Series| {
        let silent = now.ns().saturating_sub(series.heard().0.ns()) >= SILENCE_NS;
        series.hear(now, newest);
        let refused = match record.payload {
            Payload::Measures(mut measures) => {
                series.insert_by(record.back_window, seq, &mut measures).refused
            }
            Payload::Events(events) => series.add(seq, &events),
        };
        Put { refused, returned: silent.then_some(Heard { metric: record.id, arrived: now, newest }) }
    };
    table.change((found, record.id), seq, now, put).unwrap_or_default()
}

/// Whether the time has come, or the clock was set back behind the interval before.
fn is_due(next: Timestamp, now: Timestamp, interval_ns: u64) -> bool {
    now >= next || next.ns() - now.ns() > interval_ns
}

fn next_multiple(now: Timestamp, interval_ns: u64) -> Timestamp {
    Timestamp::saturating_from_ns((now.ns() / interval_ns + 1).saturating_mul(interval_ns))
}

mod commits;
mod loading;
#[cfg(test)]
mod tests;
