//! Syncs that answers wait for, but no thread: those who come while one is under way share the next.

use std::sync::{Mutex, MutexGuard};

use orzo_store::Index;

/// Who waits for the next sync.
#[derive(Default)]
pub(crate) struct Syncs {
    queue: Mutex<Queue>,
}

/// Told whether the sync succeeded.
type Then = Box<dyn FnOnce(bool) + Send>;

#[derive(Default)]
struct Queue {
    waiting: Vec<Then>,
    under_way: bool,
}

impl Syncs {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder of the lock panics")
    }

    /// Has `then` called after a sync that began after the call. Blocks who finds nobody syncing: it syncs for all
    /// others, too, as long as some wait, so that none of them has to be woken for it.
    pub(crate) fn after_sync(&self, index: &dyn Index, then: impl FnOnce(bool) + Send + 'static) {
        let mut queue = self.queue();
        queue.waiting.push(Box::new(then));
        if !std::mem::replace(&mut queue.under_way, true) {
            drop(queue);
            self.run(index);
        }
    }

    /// Syncs as long as somebody waits.
    fn run(&self, index: &dyn Index) {
        loop {
            let waiting = {
                let mut queue = self.queue();
                queue.under_way = !queue.waiting.is_empty();
                std::mem::take(&mut queue.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            let outcome = index.sync();
            if let Err(error) = &outcome {
                tracing::error!(%error, "the index could not be synced");
            }
            waiting.into_iter().for_each(|then| then(outcome.is_ok()));
        }
    }
}
