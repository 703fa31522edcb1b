//! Asks threads to come to an end. It is a wish, not a cancellation: each finishes what it holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;

type Waker = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    requested: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

/// A flag that is set once, and wakes those who sleep. Clones share it.
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, then calls every waker. Later calls do nothing.
    pub fn request(&self) {
        if !self.0.requested.swap(true, SeqCst) {
            self.0.wakers.lock().iter().for_each(|wake| wake());
        }
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        self.0.requested.load(SeqCst)
    }

    /// Registers what ends a sleep; called at once if the flag is set already. It must not use this `Stop`.
    ///
    /// Wakers are kept as long as the `Stop`: one that owned a descriptor and was dropped after its call
    /// would take back, with the descriptor, the event it has just caused.
    ///
    /// ORDER: the flag is read after the push, under the lock that [`Stop::request`] takes after setting
    /// it: one of the two calls the waker, at worst both, and waking twice is harmless.
    pub fn on_request(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut wakers = self.0.wakers.lock();
        wakers.push(Box::new(wake));
        if self.requested() {
            wakers.last().into_iter().for_each(|wake| wake());
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.requested()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn what_a_waker_owns_outlives_its_call() {
        let (stop, owned) = (Stop::new(), Arc::new(()));
        let held = Arc::clone(&owned);
        stop.on_request(move || assert!(Arc::strong_count(&held) > 0));
        stop.request();
        assert_eq!(Arc::strong_count(&owned), 2);
        drop(stop);
        assert_eq!(Arc::strong_count(&owned), 1);
    }

    #[test]
    fn wakes_early_and_late_registrations_once() {
        let stop = Stop::new();
        let woken = Arc::new(AtomicU32::new(0));
        let waker = || {
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, SeqCst);
            }
        };
        stop.on_request(waker());
        assert!(!stop.requested());
        stop.request();
        stop.clone().request();
        assert!(stop.requested());
        assert_eq!(woken.load(SeqCst), 1);
        stop.on_request(waker());
        assert_eq!(woken.load(SeqCst), 2);
    }
}
