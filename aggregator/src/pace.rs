//! When series are checkpointed: the longer they wait, the less is written, and the more a start after a crash has to
//! replay.
//!
//! What a checkpoint writes hardly depends on how much has come since the last one: the window is written anew, and so
//! is the bucket of each granularity that is still open. So a shard takes its time, as long as is configured; but not so
//! long that too many measures wait, if that would be longer than [`CHECKPOINT_AGE_MIN_NS`].
//!
//! Partitions take turns, so that checkpoints are spread. If they are made once an hour, or in some hours, the turns are
//! all in the first quarter of it, and none right at the hour: then what came in the hour before is there, its buckets are
//! closed, windows are small, and rows of the hour are written once.

use orzo_model::{Partition, SECOND, Timestamp};

use crate::limits::{CHECKPOINT_AGE_MIN_NS, REPLAY_MEASURES};

const HOUR_NS: u64 = 3600 * SECOND;
/// How often the age is reckoned.
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

    /// So many measures, or as much as these, went into series.
    pub(crate) fn add(&mut self, measures: usize) {
        self.measures += measures as u64;
    }

    /// The last turn of one of `partitions`: what became dirty then or before is due.
    pub(crate) fn last_turn(&mut self, partition: Partition, partitions: usize, now: Timestamp) -> Timestamp {
        let age_ns = self.age_ns(now);
        if age_ns == 0 {
            return now;
        }
        let hourly = age_ns.is_multiple_of(HOUR_NS);
        let (first_ns, end_ns) = if hourly { (age_ns / 32, age_ns / 4) } else { (0, age_ns) };
        let turn_ns = first_ns + (end_ns - first_ns) / partitions as u64 * partition.index() as u64;
        let last_ns = now.ns().saturating_sub(turn_ns) / age_ns * age_ns + turn_ns;
        Timestamp::saturating_from_ns(last_ns)
    }

    /// How old a measure may get before it is stored in rows, in nanoseconds.
    fn age_ns(&mut self, now: Timestamp) -> u64 {
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
    use orzo_model::Partitions;

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
    fn nobody_waits_for_longer_than_the_age_and_partitions_take_turns() {
        let partitions = Partitions::DEFAULT;
        for (age_ns, spread_ns) in [(HOUR, HOUR / 4), (600 * SECOND, 600 * SECOND), (SECOND, SECOND)] {
            let now = Timestamp::from_ns(1_700_000_400 * SECOND + age_ns - 1).unwrap();
            let turn = |partition| Pace::new(age_ns).last_turn(partition, partitions.count(), now);
            let turns: Vec<u64> = partitions.all().map(|partition| turn(partition).ns()).collect();
            assert!(turns.iter().all(|turn| *turn <= now.ns() && now.ns() - turn < age_ns));
            let phases: Vec<u64> = turns.iter().map(|turn| turn % age_ns).collect();
            assert!(phases.is_sorted() && phases[63] < spread_ns && phases[63] > spread_ns / 2);
        }
        assert_eq!(
            Pace::new(0).last_turn(partitions.all().last().unwrap(), 64, Timestamp::MAX),
            Timestamp::MAX
        );
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
