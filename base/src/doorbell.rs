//! Wakes one sleeping thread: a flag, and park and unpark around it.
//!
//! Why no ring is lost. Both sides change the flag with one atomic swap, so for each pair of a ring and a
//! wait, one swap comes first in the flag's own order:
//!
//! * the ring first: the wait's swap reads `true` and returns without sleeping;
//! * the wait first: the ring's swap reads `false` (or a ring after that wait did) and unparks. The unpark
//!   leaves a token, so a thread that has not yet parked does not sleep.
//!
//! ORDER: swaps are AcqRel. Release by the ring and Acquire by the wait show the waiter everything done
//! before the ring (rings between them are part of the release sequence). Release by the wait and Acquire
//! by the ring show the ringer the thread handle, which is set before the first swap.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A bell with one listening thread (the first that waits) and any number of ringers.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: AtomicBool,
    owner: OnceLock<Thread>,
}

impl Doorbell {
    /// A silent bell.
    pub const fn new() -> Self {
        Doorbell { rung: AtomicBool::new(false), owner: OnceLock::new() }
    }

    /// Wakes the owner, or makes its next wait return at once. Cheap when already rung.
    #[inline]
    pub fn ring(&self) {
        if !self.rung.swap(true, AcqRel)
            && let Some(owner) = self.owner.get()
        {
            owner.unpark();
        }
    }

    /// Sleeps until rung since the last wait, at most for `timeout`. True if it was rung.
    ///
    /// # Panics
    ///
    /// If two threads wait on one bell.
    pub fn wait(&self, timeout: Duration) -> bool {
        let owner = self.owner.get_or_init(thread::current);
        assert_eq!(owner.id(), thread::current().id(), "a doorbell has one owner");
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if self.rung.swap(false, AcqRel) {
                return true;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return false,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn a_ring_before_the_wait_is_kept_and_used_once() {
        let bell = Doorbell::new();
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::ZERO));
        assert!(!bell.wait(Duration::ZERO));
    }

    #[test]
    fn silence_ends_at_the_timeout() {
        assert!(!Doorbell::new().wait(Duration::from_millis(1)));
    }

    /// Two threads play ping-pong over two bells, relaxed data beside them: a lost ring would hang until
    /// the timeout, a missing ordering would show an old value.
    #[test]
    fn no_ring_is_lost_and_what_came_before_it_is_seen() {
        const ROUNDS: u64 = 20_000;
        let bells = Arc::new([Doorbell::new(), Doorbell::new()]);
        let ball = Arc::new(AtomicU64::new(0));
        let player = |me: usize| {
            let (bells, ball) = (Arc::clone(&bells), Arc::clone(&ball));
            move || {
                for round in 0..ROUNDS {
                    let turn = 2 * round + me as u64;
                    if turn > 0 {
                        assert!(bells[me].wait(Duration::from_secs(60)), "a ring was lost");
                    }
                    assert_eq!(ball.load(Relaxed), turn);
                    ball.store(turn + 1, Relaxed);
                    bells[1 - me].ring();
                }
            }
        };
        let other = thread::spawn(player(1));
        thread::spawn(player(0)).join().unwrap();
        other.join().unwrap();
        assert_eq!(ball.load(Relaxed), 2 * ROUNDS);
    }
}
