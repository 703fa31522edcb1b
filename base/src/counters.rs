//! Counters that one thread writes and any thread reads.
//!
//! An increment is a load and a store, not a locked instruction: right because there is one writer, cheap
//! enough for every line of input. Group the counters of a thread in one struct inside [`CachePadded`], so
//! that two writers never share a cache line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use crossbeam::utils::CachePadded;

/// A number with one writing thread.
///
/// Relaxed throughout: a counter publishes nothing but itself. Two writers would lose increments.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Adds, wrapping. For the owning thread alone.
    #[inline]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Subtracts, wrapping: for numbers that go up and down. For the owning thread alone.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.set(self.get().wrapping_sub(n));
    }

    /// Replaces the value. For the owning thread alone.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Keeps the larger of the value and `n`: a high-water mark. For the owning thread alone.
    #[inline]
    pub fn raise(&self, n: u64) {
        if n > self.get() {
            self.set(n);
        }
    }

    /// The value; from any thread, possibly a moment old.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_down_and_keeps_the_highest() {
        let counter = Counter::new();
        counter.add(5);
        counter.sub(2);
        assert_eq!(counter.get(), 3);
        counter.raise(2);
        assert_eq!(counter.get(), 3);
        counter.raise(7);
        assert_eq!(counter.get(), 7);
    }

    #[test]
    fn readers_see_what_the_writer_wrote_before_it_ended() {
        let counter = CachePadded::new(Counter::new());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1000).for_each(|_| counter.add(1)));
        });
        assert_eq!(counter.get(), 1000);
    }
}
