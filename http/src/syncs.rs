//! Syncs that answers wait for. Nobody waits on a thread: those who come while one is under way share the next.

use std::sync::{Arc, Mutex, MutexGuard};

use orzo_store::Index;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Who waits for the next sync.
#[derive(Default)]
pub(crate) struct Syncs {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<oneshot::Sender<bool>>,
    under_way: bool,
}

impl Syncs {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder of the lock panics")
    }

    /// Returns after a sync that began after the call; `false` if it failed.
    pub(crate) async fn sync(self: &Arc<Self>, index: &Arc<dyn Index>) -> bool {
        self.ask(index).await.unwrap_or(false)
    }

    fn ask(self: &Arc<Self>, index: &Arc<dyn Index>) -> oneshot::Receiver<bool> {
        let (told, synced) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push(told);
        if !std::mem::replace(&mut queue.under_way, true) {
            let (syncs, index) = (self.clone(), index.clone());
            spawn_blocking(move || syncs.run(&*index));
        }
        synced
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
            for told in waiting {
                // A client that has gone does not want to know.
                let _ = told.send(outcome.is_ok());
            }
        }
    }
}
