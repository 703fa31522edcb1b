//! When to let datagrams gather instead of being woken for each.
//!
//! A wake-up costs more than a datagram. Above some rate a listener that sleeps a little between turns
//! reads the same datagrams with half the processor time, and the kernel's buffer holds what gathers
//! meanwhile. Below that rate, or with a small buffer, it blocks and is woken at once.

use std::time::{Duration, Instant};

/// How long to sleep between turns. What is committed each second need not be read sooner.
const NAP: Duration = Duration::from_millis(5);
/// Datagrams a second from which naps pay: those that gather in one save a few wake-ups, of listener and shard.
const NAP_RATE: u64 = 1000;
/// The rate is taken over so long.
const WINDOW: Duration = Duration::from_millis(20);
/// Granted receive buffer from which nothing is lost in a nap: it holds what comes in five at half a million
/// large datagrams a second.
const BUFFER_BYTES_MIN: u64 = 8 << 20;

/// Decides between napping and blocking.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    /// Datagrams ever received, at that time.
    before: u64,
    naps: bool,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Pace { since: now, before: 0, naps: false }
    }

    /// How long to sleep now. `datagrams`: ever received. `buffer_bytes`: the smallest buffer granted.
    pub(crate) fn nap(&mut self, now: Instant, datagrams: u64, buffer_bytes: u64) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let expected = NAP_RATE * elapsed.as_micros() as u64 / 1_000_000;
            self.naps = datagrams - self.before >= expected && buffer_bytes >= BUFFER_BYTES_MIN;
            (self.since, self.before) = (now, datagrams);
        }
        self.naps.then_some(NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naps(rate: u64, buffer_bytes: u64) -> bool {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut nap = None;
        for tick in 1..=50 {
            let elapsed = Duration::from_millis(tick);
            nap = pace.nap(start + elapsed, rate * tick / 1000, buffer_bytes);
        }
        nap.is_some()
    }

    #[test]
    fn naps_only_where_they_pay_and_lose_nothing() {
        assert!(naps(2 * NAP_RATE, BUFFER_BYTES_MIN));
        assert!(!naps(NAP_RATE / 2, BUFFER_BYTES_MIN));
        assert!(!naps(100 * NAP_RATE, BUFFER_BYTES_MIN - 1));
    }

    #[test]
    fn wakes_again_when_the_load_is_gone() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(pace.nap(start + WINDOW, 10 * NAP_RATE, u64::MAX).is_some());
        assert!(pace.nap(start + 2 * WINDOW, 10 * NAP_RATE, u64::MAX).is_none());
    }
}
