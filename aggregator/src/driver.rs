//! The thread around a shard: the only place where the shard's wishes meet channels and the store.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use orzo_base::Consumer;
use orzo_model::batch::Batch;
use orzo_model::{SECOND, Timestamp};
use orzo_store::{Backlog, Error};

use crate::command::{Ack, Command, Commit, Name, Outbox, Pending, PostError};
use crate::handle::Handle;
use crate::limits::{BATCHES_PER_TURN, COMMANDS_PER_TURN};
use crate::series_table::CheckpointJob;
use crate::shard::Shard;

/// While the store is stalled, how often a waiting commit is tried again.
const STALL_RETRY: Duration = Duration::from_millis(5);
/// How long a commit waits for a stalled store before those who wait are told, in nanoseconds.
const STALL_MAX_NS: u64 = 5 * SECOND;
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
    pub fn run(self) {
        let mut running = Running::new(self);
        while !running.finished() {
            if !running.turn() && !running.finished() {
                running.rest();
            }
        }
    }
}

/// A driver at work: one turn after the other, so that a node can be run in one thread.
pub struct Running {
    driver: Driver,
    /// What a stalled store left waiting, and since when.
    stalled: Option<(Commit, Timestamp)>,
    /// What other shards had no room for yet.
    forwards: Vec<Pending>,
    /// Whether the other shards know that nothing more comes from this one.
    silent: bool,
    /// Whether the last commit failed.
    failing: bool,
}

impl Running {
    /// Before the first turn.
    pub fn new(driver: Driver) -> Self {
        Running { driver, stalled: None, forwards: Vec::new(), silent: false, failing: false }
    }

    /// Takes a bounded amount of input, stores it, and does what the shard wants done. Says whether there
    /// was any input.
    pub fn turn(&mut self) -> bool {
        let worked = self.take_in();
        let now = (self.driver.clock)();
        self.driver.shard.tick(now, self.driver.lane.ended());
        self.commit(now);
        let outbox = self.driver.shard.outbox();
        self.perform(outbox);
        self.fall_silent();
        worked
    }

    /// Whether everything is stored and nothing more will come, from other shards neither.
    pub fn finished(&self) -> bool {
        // ORDER: silence first, commands second: what a shard forwards is sent before it falls silent.
        self.driver.shard.finished()
            && self.forwards.is_empty()
            && self.driver.handle.all_silent()
            && self.driver.commands.is_empty()
    }

    /// Sleeps until there may be something to do.
    fn rest(&self) {
        let retry = (self.stalled.is_some() || !self.forwards.is_empty()).then_some(STALL_RETRY);
        self.driver.lane.doorbell().wait(retry.unwrap_or_else(|| self.until_tick()));
    }

    fn until_tick(&self) -> Duration {
        let now = (self.driver.clock)();
        let next = self.driver.shard.next_tick();
        Duration::from_nanos(next.ns().saturating_sub(now.ns())).min(SLEEP_MAX)
    }

    fn take_in(&mut self) -> bool {
        let Driver { shard, lane, commands, .. } = &mut self.driver;
        let mut worked = false;
        shard.counters.lane_high_water.raise(lane.len() as u64);
        for _ in 0..BATCHES_PER_TURN {
            let Some(batch) = lane.receive() else { break };
            shard.samples(&batch);
            lane.give_back(batch.home(), batch);
            worked = true;
        }
        for command in commands.try_iter().take(COMMANDS_PER_TURN) {
            shard.command(command);
            worked = true;
        }
        worked
    }

    /// Stores what the shard gathered, or what a stalled store left waiting.
    fn commit(&mut self, now: Timestamp) {
        let (commit, since) = match self.stalled.take() {
            // A clock that was set back starts again.
            Some((commit, since)) => (commit, since.min(now)),
            None => match self.driver.shard.commit() {
                Some(commit) => (commit, now),
                None => return,
            },
        };
        match self.store(&commit) {
            Ok(()) => {
                self.failing = false;
                self.applied(commit, now);
            }
            Err(Error::Busy) if now.ns() - since.ns() < STALL_MAX_NS => {
                self.driver.shard.counters.commits_stalled.add(1);
                self.stalled = Some((commit, since));
            }
            Err(Error::Busy) => self.driver.shard.reject(commit, &PostError::Busy),
            Err(error) => {
                self.failed(&error);
                self.driver.shard.reject(commit, &PostError::Failed(error.reason()));
            }
        }
    }

    /// Says it once, not for each commit while the store is down.
    fn failed(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                reason = error.reason(),
                "commits cannot be stored: they are refused and counted"
            );
        }
    }

    /// Windows first: once appended, nothing may fail any more.
    fn store(&mut self, commit: &Commit) -> Result<(), Error> {
        let Driver { shard, backlog, .. } = &mut self.driver;
        for missing in shard.missing(commit) {
            let sound = match backlog.window(missing.id) {
                Ok(window) => window.is_none_or(|window| shard.load(&missing, &window)),
                Err(error) if error.is_damage() => false,
                Err(error) => return Err(error),
            };
            if !sound {
                shard.resume(&missing, backlog.salvage(missing.id)?);
            }
        }
        backlog.append(&commit.blobs)
    }

    fn applied(&mut self, mut commit: Commit, now: Timestamp) {
        self.driver.shard.apply(&mut commit, now);
        if commit.acks.is_empty() {
            return;
        }
        match self.driver.durability {
            // If the syncer is gone the senders drop, and those who wait see that.
            Durability::Synced => drop(self.driver.syncer.send(commit.acks)),
            Durability::Buffered => commit.acks.into_iter().for_each(|ack| drop(ack.send(Ok(())))),
        }
    }

    /// Each of those who are told may be gone: then nobody misses it.
    fn perform(&mut self, outbox: Outbox) {
        for (reply, columns) in outbox.replies {
            let _ = reply.send(columns);
        }
        for (reply, heard) in outbox.heard {
            let _ = reply.send(heard);
        }
        if !outbox.names.is_empty() {
            let _ = self.driver.names.send(outbox.names);
        }
        for job in outbox.checkpoints {
            let _ = self.driver.jobs.send(job);
        }
        self.forwards.extend(outbox.forwards);
        // Never waits for another shard, which may wait for this one.
        let Driver { shard, handle, .. } = &mut self.driver;
        self.forwards.retain(|pending| {
            let owner = handle.owner(handle.partitions().of(pending.record.id));
            let told = handle.try_tell(owner, Command::Forward(vec![pending.clone()])).is_ok();
            if told {
                shard.handed_over(pending.samples);
            }
            !told
        });
    }

    fn fall_silent(&mut self) {
        if !self.silent && self.forwards.is_empty() && self.driver.shard.silent() {
            self.silent = true;
            self.driver.handle.fall_silent();
        }
    }
}
