//! Where handlers run, and where their answers wait for the disk.
//!
//! Most handlers get a blocking thread each. Those that change one object of the index run at the *desk*, one after the
//! other on one thread: the index has one writer, so on threads of their own they would be woken only to wait for each
//! other. Answers to what was written wait for a sync, on another thread, while the desk goes on; those that come while a
//! sync is under way share the next.

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
            tasks.into_iter().filter_map(run).for_each(|then| after.put(then));
        })?;
        Ok(Desk { tasks, syncs })
    }

    /// Runs a handler that changes one object, in its turn.
    pub(crate) fn take(&self, task: Task) {
        self.tasks.put(task);
    }

    /// Runs any other handler.
    pub(crate) fn send_away(&self, task: Task) {
        let syncs = self.syncs.clone();
        tokio::task::spawn_blocking(move || task().map(|then| syncs.put(then)));
    }
}

/// A handler that panics drops what its answer is told by, and nobody else's.
fn run(task: Task) -> Option<Then> {
    catch_unwind(AssertUnwindSafe(task)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use orzo_store::faulty::FaultyKv;
    use orzo_store::index::KvIndex;

    use super::*;

    #[test]
    fn answers_are_told_how_their_sync_ended_and_a_panic_is_nobody_elses() {
        let disk = Arc::new(FaultyKv::default());
        let desk = Desk::new(Arc::new(KvIndex::open(disk.clone()).unwrap())).unwrap();
        let (tell, told) = mpsc::channel();
        let ask = |number: u32| {
            let tell = tell.clone();
            desk.take(Box::new(move || Some(Box::new(move |synced| tell.send((number, synced)).unwrap()))));
        };
        ask(1);
        assert_eq!(told.recv().unwrap(), (1, true));
        disk.fail_syncs(Some("no disk"));
        (2..5).for_each(ask);
        assert_eq!(told.iter().take(3).collect::<Vec<_>>(), [(2, false), (3, false), (4, false)]);
        disk.fail_syncs(None);
        desk.take(Box::new(|| panic!("on the way")));
        desk.take(Box::new(|| None));
        ask(5);
        assert_eq!(told.recv().unwrap(), (5, true));
    }
}
