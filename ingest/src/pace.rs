//! When to let datagrams gather instead of being woken for each.
//!
//! A wake-up costs more than a datagram. Above some rate a listener that sleeps a little between turns
//! reads the same datagrams with half the processor time, and the kernel's buffer holds what gathers
//! meanwhile. Below that rate, or with a small buffer, it blocks and is woken at once.

use std::time::{Duration, Instant};

/// How long to sleep between turns. What is committed each second need not be read sooner.
const NAP: Duration = Duration::from_millis(5);
/// So many times as long with a larger buffer, at most.
const NAPS_MAX: u64 = 4;
/// But only as long as no more gather than the processor's caches hold.
const GATHERED_MAX: u64 = 256;
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
    /// What came in a second, lately.
    rate: u64,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Pace { since: now, before: 0, rate: 0 }
    }

    /// How long to sleep now. `datagrams`: ever received. `buffer_bytes`: the smallest buffer granted. `streams`: whether
    /// there are connections, whose senders wait for us when their smaller buffers are full.
    pub(crate) fn nap(
        &mut self,
        now: Instant,
        datagrams: u64,
        buffer_bytes: u64,
        streams: bool,
    ) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            self.rate = (datagrams - self.before) * 1_000_000 / elapsed.as_micros() as u64;
            (self.since, self.before) = (now, datagrams);
        }
        if self.rate < NAP_RATE || buffer_bytes < BUFFER_BYTES_MIN {
            return None;
        }
        let gathered = self.rate * NAP.as_micros() as u64 / 1_000_000;
        let longest = if streams { 1 } else { (GATHERED_MAX / gathered.max(1)).clamp(1, NAPS_MAX) };
        Some(NAP * (buffer_bytes / BUFFER_BYTES_MIN).min(longest) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nap(rate: u64, buffer_bytes: u64, streams: bool) -> Option<Duration> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let at = |tick| start + Duration::from_millis(tick);
        let naps = (1..=50).map(|tick| pace.nap(at(tick), rate * tick / 1000, buffer_bytes, streams));
        naps.last().flatten()
    }

    #[test]
    fn naps_only_where_they_pay_and_lose_nothing() {
        assert_eq!(nap(2 * NAP_RATE, BUFFER_BYTES_MIN, false), Some(NAP));
        assert_eq!(nap(NAP_RATE / 2, BUFFER_BYTES_MIN, false), None);
        assert_eq!(nap(100 * NAP_RATE, BUFFER_BYTES_MIN - 1, false), None);
    }

    #[test]
    fn a_larger_buffer_allows_for_longer_naps_unless_streams_wait() {
        assert_eq!(nap(2 * NAP_RATE, 3 * BUFFER_BYTES_MIN, false), Some(3 * NAP));
        assert_eq!(nap(2 * NAP_RATE, 99 * BUFFER_BYTES_MIN, false), Some(4 * NAP));
        assert_eq!(nap(2 * NAP_RATE, 99 * BUFFER_BYTES_MIN, true), Some(NAP));
    }

    #[test]
    fn no_more_gather_than_the_caches_hold() {
        let nap = |rate| nap(rate, 99 * BUFFER_BYTES_MIN, false);
        assert_eq!([5000, 20_000, 50_000, 500_000].map(nap), [4, 2, 1, 1].map(|naps| Some(naps * NAP)));
    }

    #[test]
    fn wakes_again_when_the_load_is_gone() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(pace.nap(start + WINDOW, 10 * NAP_RATE, u64::MAX, false).is_some());
        assert!(pace.nap(start + 2 * WINDOW, 10 * NAP_RATE, u64::MAX, false).is_none());
    }
}
