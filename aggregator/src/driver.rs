//! The thread around a shard: the only place where the shard's wishes meet channels and the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use orzo_base::Consumer;
use orzo_model::batch::Batch;
use orzo_model::{MetricId, Timestamp};
use orzo_store::{Backlog, Error};

use crate::command::{Ack, Command, Commit, Name, Outbox, Pending, PostError};
use crate::handle::Handle;
use crate::limits::{BATCHES_PER_TURN, COMMANDS_PER_TURN};
use crate::series_table::CheckpointJob;
use crate::shard::Shard;

/// While the store is stalled, how often a waiting commit is tried again.
const STALL_RETRY: Duration = Duration::from_millis(5);
/// How long a commit waits for a stalled store before those who wait are told.
const STALL_MAX: Duration = Duration::from_secs(5);
/// The longest sleep: bounds how late a clock that was set back is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// When a post is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it survives a power cut.
    Synced,
    /// When it survives the death of the process.
    Buffered,
}

/// A shard and everything it talks to.
pub struct Driver {
    /// The state machine, recovered.
    pub shard: Shard,
    /// Samples.
    pub lane: Consumer<Batch>,
    /// Everything else.
    pub commands: Receiver<Command>,
    /// Where commits go.
    pub backlog: Arc<dyn Backlog>,
    /// When posts are answered.
    pub durability: Durability,
    /// To the syncer.
    pub syncer: Sender<Vec<Ack>>,
    /// To the resolver. Unbounded: names in flight are bounded by the shard.
    pub names: Sender<Vec<Name>>,
    /// To the flushers. Unbounded: one job per partition is under way at most.
    pub jobs: Sender<CheckpointJob>,
    /// To other shards.
    pub handle: Handle,
    /// The time.
    pub clock: fn() -> Timestamp,
}

impl Driver {
    /// Runs until the shard was told to stop, its samples have ended, and all is stored.
    pub fn run(mut self) {
        let mut stalled: Option<(Commit, Instant)> = None;
        let mut forwards = Vec::new();
        while !self.shard.finished() {
            let worked = self.take_in();
            self.shard.tick((self.clock)(), self.lane.ended());
            stalled = self.commit(stalled);
            let outbox = self.shard.outbox();
            self.perform(outbox, &mut forwards);
            if !worked && !self.shard.finished() {
                let retry = (stalled.is_some() || !forwards.is_empty()).then_some(STALL_RETRY);
                self.lane.doorbell().wait(retry.unwrap_or_else(|| self.until_tick()));
            }
        }
    }

    fn until_tick(&self) -> Duration {
        let now = (self.clock)();
        Duration::from_nanos(self.shard.next_tick().ns().saturating_sub(now.ns())).min(SLEEP_MAX)
    }

    /// A bounded amount of input; says whether there was any.
    fn take_in(&mut self) -> bool {
        let mut worked = false;
        self.shard.counters.lane_high_water.raise(self.lane.len() as u64);
        for _ in 0..BATCHES_PER_TURN {
            let Some(batch) = self.lane.receive() else { break };
            self.shard.samples(&batch);
            self.lane.give_back(batch.home(), batch);
            worked = true;
        }
        for command in self.commands.try_iter().take(COMMANDS_PER_TURN) {
            self.shard.command(command);
            worked = true;
        }
        worked
    }

    /// Stores what the shard gathered, or what a stalled store left waiting; returns what still waits.
    fn commit(&mut self, stalled: Option<(Commit, Instant)>) -> Option<(Commit, Instant)> {
        let since = stalled.as_ref().map(|(_, since)| *since);
        let commit = stalled.map(|(commit, _)| commit).or_else(|| self.shard.commit())?;
        match self.store(&commit) {
            Ok(()) => self.applied(commit),
            Err(Error::Busy) if since.is_none_or(|since| since.elapsed() < STALL_MAX) => {
                self.shard.counters.commits_stalled.add(1);
                return Some((commit, since.unwrap_or_else(Instant::now)));
            }
            Err(Error::Busy) => self.shard.reject(commit, &PostError::Busy),
            Err(error) => {
                tracing::error!(%error, "a commit could not be stored");
                self.shard.reject(commit, &PostError::Failed(error.to_string()));
            }
        }
        None
    }

    /// Windows first: once appended, nothing may fail any more.
    fn store(&mut self, commit: &Commit) -> Result<(), Error> {
        let load = |id: MetricId| Ok(Some((id, self.backlog.window(id)?)));
        let missing = self.shard.missing(commit).into_iter().filter_map(|id| load(id).transpose());
        for (id, window) in missing.collect::<Result<Vec<_>, Error>>()? {
            if let Some(window) = window {
                self.shard.load(id, &window, commit);
            }
        }
        self.backlog.append(&commit.blobs)
    }

    fn applied(&mut self, mut commit: Commit) {
        self.shard.apply(&mut commit, (self.clock)());
        if commit.acks.is_empty() {
            return;
        }
        match self.durability {
            // If the syncer is gone the senders drop, and those who wait see that.
            Durability::Synced => drop(self.syncer.send(commit.acks)),
            Durability::Buffered => commit.acks.into_iter().for_each(|ack| drop(ack.send(Ok(())))),
        }
    }

    /// Each of those who are told may be gone: then nobody misses it.
    fn perform(&mut self, outbox: Outbox, forwards: &mut Vec<Pending>) {
        for (reply, columns) in outbox.replies {
            let _ = reply.send(columns);
        }
        if !outbox.names.is_empty() {
            let _ = self.names.send(outbox.names);
        }
        for job in outbox.checkpoints {
            let _ = self.jobs.send(job);
        }
        forwards.extend(outbox.forwards);
        // Never waits for another shard, which may wait for this one.
        forwards.retain(|pending| {
            let shard = self.handle.owner(self.handle.partitions().of(pending.record.id));
            self.handle.try_tell(shard, Command::Forward(vec![pending.clone()])).is_err()
        });
    }
}
