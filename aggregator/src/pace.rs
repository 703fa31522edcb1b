//! How long series wait for a checkpoint: the longer, the less is written, and the more a start after a crash has to
//! replay.
//!
//! What a checkpoint writes hardly depends on how much has come since the last one: the window is written anew, and so
//! is the bucket of each granularity that is still open. So a shard takes its time, as long as is configured; but not so
//! long that too many measures wait, if that would be longer than [`CHECKPOINT_AGE_MIN_NS`].

use orzo_model::{SECOND, Timestamp};

use crate::limits::{CHECKPOINT_AGE_MIN_NS, REPLAY_MEASURES};

/// How often it is reckoned.
const PERIOD_NS: u64 = 60 * SECOND;

/// What came lately, and what follows from it.
#[derive(Debug)]
pub(crate) struct Pace {
    longest_ns: u64,
    age_ns: u64,
    since: Timestamp,
    measures: u64,
}

impl Pace {
    /// Nothing came yet. `longest_ns`: what is configured.
    pub(crate) fn new(longest_ns: u64) -> Self {
        Pace { longest_ns, age_ns: longest_ns, since: Timestamp::EPOCH, measures: 0 }
    }

    /// So many measures or events went into series.
    pub(crate) fn add(&mut self, measures: usize) {
        self.measures += measures as u64;
    }

    /// How old a measure may get before it is stored in rows, in nanoseconds.
    pub(crate) fn age_ns(&mut self, now: Timestamp) -> u64 {
        let passed_ns = now.ns().saturating_sub(self.since.ns());
        if passed_ns >= PERIOD_NS || now < self.since {
            let shortest_ns = CHECKPOINT_AGE_MIN_NS.min(self.longest_ns);
            // Per measure, since a period may be long and measures many.
            let wanted = REPLAY_MEASURES as f64 * (passed_ns as f64 / self.measures.max(1) as f64);
            self.age_ns = (wanted as u64).clamp(shortest_ns, self.longest_ns);
            (self.since, self.measures) = (now, 0);
        }
        self.age_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * SECOND;

    /// The age after some minutes with so many measures a second.
    fn check(longest_ns: u64, rate: usize, expected_ns: u64) {
        let mut pace = Pace::new(longest_ns);
        let at = |seconds| Timestamp::from_ns(1_700_000_000 * SECOND + seconds * SECOND).unwrap();
        assert_eq!(pace.age_ns(at(0)), longest_ns);
        for second in 1..=120 {
            pace.add(rate);
            pace.age_ns(at(second));
        }
        assert_eq!(pace.age_ns(at(120)), expected_ns, "{rate} a second");
    }

    #[test]
    fn the_more_comes_the_sooner_it_is_stored_within_bounds() {
        check(HOUR, 0, HOUR);
        check(HOUR, 1000, HOUR);
        check(HOUR, REPLAY_MEASURES as usize / 1000, 1000 * SECOND);
        check(HOUR, 10_000_000, CHECKPOINT_AGE_MIN_NS);
        check(SECOND, 10_000_000, SECOND);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_another_period() {
        let mut pace = Pace::new(HOUR);
        let at = |seconds| Timestamp::from_ns(seconds * SECOND).unwrap();
        pace.age_ns(at(10_000));
        pace.add(1 << 40);
        assert_eq!(pace.age_ns(at(5000)), CHECKPOINT_AGE_MIN_NS);
        assert_eq!(pace.age_ns(at(5060)), HOUR);
    }
}
