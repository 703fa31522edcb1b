//! Where handlers run, and where their answers wait for the disk.
//!
//! Most handlers get a blocking thread each. Those that change one object of the index run at the *desk*, one after the
//! other on one thread: the index has one writer, so on threads of their own they would be woken only to wait for each
//! other. What the desk has answered in one turn then waits for one sync, on another thread, while the desk goes on; those
//! who come while a sync is under way share the next.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use orzo_store::Index;

use crate::inbox::Inbox;

/// A handler about to run. Returns who waits for a sync, if somebody does.
pub(crate) type Task = Box<dyn FnOnce() -> Option<Then> + Send>;

/// Told whether the sync succeeded.
pub(crate) type Then = Box<dyn FnOnce(bool) + Send>;

/// Where handlers run.
pub(crate) struct Desk {
    tasks: Inbox<Task>,
    syncs: Arc<Inbox<Then>>,
}

impl Desk {
    /// Opens a desk for the handlers of an index.
    pub(crate) fn new(index: Arc<dyn Index>) -> io::Result<Self> {
        let syncs = Arc::new(Inbox::start("http-sync", move |waiting: Vec<Then>| {
            let outcome = index.sync();
            if let Err(error) = &outcome {
                tracing::error!(%error, "the index could not be synced");
            }
            waiting.into_iter().for_each(|then| then(outcome.is_ok()));
        })?);
        let after = syncs.clone();
        let tasks = Inbox::start("http-desk", move |tasks: Vec<Task>| {
            after.put(tasks.into_iter().filter_map(run));
        })?;
        Ok(Desk { tasks, syncs })
    }

    /// Runs a handler that changes one object, in its turn.
    pub(crate) fn take(&self, task: Task) {
        self.tasks.put([task]);
    }

    /// Runs any other handler.
    pub(crate) fn send_away(&self, task: Task) {
        let syncs = self.syncs.clone();
        tokio::task::spawn_blocking(move || syncs.put(task()));
    }
}

/// A handler that panics drops what its answer is told by, and nobody else's.
fn run(task: Task) -> Option<Then> {
    catch_unwind(AssertUnwindSafe(task)).ok().flatten()
}
