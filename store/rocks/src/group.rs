//! Group commit: callers that come while a sync is under way share the next one.
//!
//! A sync of the log costs the same for one batch and for a hundred. RocksDB would run one for each caller, one after
//! the other.

use parking_lot::{Condvar, Mutex};

/// Who waits for which sync.
#[derive(Default)]
pub(crate) struct Group {
    turn: Mutex<Turn>,
    ended: Condvar,
}

#[derive(Default)]
struct Turn {
    /// Callers so far.
    asked: u64,
    /// The first so many of them are served.
    served: u64,
    /// Whether a caller is syncing for those before it.
    under_way: bool,
}

impl Group {
    /// Returns after a `sync` that began after the call. Whoever finds none under way runs it for everybody who waits; after
    /// a failure the next one tries for itself.
    pub(crate) fn sync<E>(&self, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut turn = self.turn.lock();
        turn.asked += 1;
        let own = turn.asked;
        while turn.under_way && turn.served < own {
            self.ended.wait(&mut turn);
        }
        if turn.served >= own {
            return Ok(());
        }
        turn.under_way = true;
        let serves = turn.asked;
        drop(turn);
        let outcome = sync();
        let mut turn = self.turn.lock();
        turn.under_way = false;
        if outcome.is_ok() {
            turn.served = serves;
        }
        self.ended.notify_all();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_comes_during_a_sync_shares_the_next() {
        let (group, syncs) = (&Group::default(), &AtomicU64::new(0));
        let (begun, has_begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                group.sync(|| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                    Ok::<_, ()>(())
                })
            });
            has_begun.recv().unwrap();
            for _ in 0..5 {
                scope.spawn(move || {
                    group.sync(|| {
                        syncs.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, ()>(())
                    })
                });
            }
            while group.turn.lock().asked < 6 {
                std::thread::yield_now();
            }
            end.send(()).unwrap();
        });
        assert_eq!(syncs.load(Ordering::Relaxed), 1);
        assert_eq!(group.turn.lock().served, 6);
    }

    #[test]
    fn a_failure_serves_nobody() {
        let group = Group::default();
        assert_eq!(group.sync(|| Err("full")), Err("full"));
        assert_eq!(group.turn.lock().served, 0);
        assert_eq!(group.sync(|| Ok::<_, ()>(())), Ok(()));
        assert_eq!(group.turn.lock().served, 2);
    }
}
