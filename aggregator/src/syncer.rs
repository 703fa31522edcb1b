//! Waits for the disk in the shards' place, and then tells those who wait for it.
//!
//! All that was appended before a sync is durable after it, so one sync answers everybody who came while
//! the one before was under way: group commit across shards and connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};
use orzo_store::Backlog;

use crate::command::{Ack, PostError};

/// The body of the syncer thread.
pub struct Syncer {
    /// Where appends went.
    pub backlog: Arc<dyn Backlog>,
    /// Who waits; the thread ends when all senders are gone.
    pub waiting: Receiver<Vec<Ack>>,
    /// Syncs at least so often, even if nobody waits. `None`: only when somebody does.
    pub interval: Option<Duration>,
}

impl Syncer {
    /// Runs until nobody can ask any more, and syncs once more.
    pub fn run(self) {
        let idle = self.interval.unwrap_or(Duration::from_secs(3600));
        let mut synced = Instant::now();
        loop {
            let due = idle.saturating_sub(synced.elapsed());
            let mut acks = match self.waiting.recv_timeout(due) {
                Ok(acks) => acks,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.waiting.try_iter().for_each(|more| acks.extend(more));
            self.sync(acks);
            synced = Instant::now();
        }
        self.sync(Vec::new());
    }

    /// Syncs, and tells those who waited for it.
    pub fn sync(&self, acks: Vec<Ack>) {
        let outcome = self.backlog.sync().map_err(|error| {
            // At debug only: whoever looks after the store says when it fails and when it works again.
            tracing::debug!(reason = error.reason(), "the log could not be synced");
            PostError::Failed(error.reason())
        });
        for ack in acks {
            // A client that has gone does not want to know.
            let _ = ack.send(outcome.clone());
        }
    }
}
