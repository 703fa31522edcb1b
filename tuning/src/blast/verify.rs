//! Whether things add up: pure comparisons of what was sent, received and stored.
//!
//! Two laws: datagrams sent = received + dropped by the kernel; lines received = applied + every counted loss. Stored
//! counts and sums must be the sent ones to the last digit, or fall short by exactly the lines lost.

use super::ledger::Expected;
use super::lines::{Kind, Shape};
use super::report::SentReport;
use super::scrape::Scrape;
use super::send::Target;

/// What the daemon has of one series, over all its buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stored {
    /// Sum of `count`.
    pub(super) count: f64,
    /// Sum of `sum`.
    pub(super) sum: f64,
    /// Gauges: the newest `last`; sets: the greatest point.
    pub(super) last: Option<f64>,
}

/// Whether everything that was sent has been received or counted as lost, and nothing is on its way.
pub(super) fn arrived(sent: &SentReport, received: &Scrape, target: &Target) -> bool {
    let all = if target.is_stream() {
        received.lines >= sent.lines
    } else {
        received.datagrams + received.kernel_drops >= sent.datagrams
    };
    all && received.samples == received.applied + received.dropped_samples()
}

/// The laws that the daemon's counters break.
pub(super) fn counters(sent: &SentReport, received: &Scrape, target: &Target) -> Vec<String> {
    let mut broken = Vec::new();
    let mut law = |text: &str, left: u64, right: u64| {
        if left != right {
            broken.push(format!("{text}: {left} and {right}"));
        }
    };
    if !target.is_stream() {
        let counted = received.datagrams + received.kernel_drops;
        law("datagrams sent = received + dropped by the kernel", sent.datagrams, counted);
    }
    if received.kernel_drops == 0 {
        law("lines sent = received", sent.lines, received.lines);
    }
    // One sample a line: the generator packs no values.
    let lines = received.samples + received.skipped + received.dropped_lines();
    law("lines received = samples + skipped + dropped", received.lines, lines);
    let samples = received.applied + received.dropped_samples();
    law("samples = applied + dropped", received.samples, samples);
    broken
}

/// What became of the series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// How many were compared.
    pub(super) series: usize,
    /// How many are exactly as sent.
    pub(super) exact: usize,
    /// Lines that are missing from counters and timers.
    pub(super) missing_lines: u64,
    /// Gauges and sets that are not as sent, as happens when lines are lost.
    pub(super) doubtful: usize,
    /// What no loss explains: more than was sent, or a sum that does not belong to its count.
    pub(super) wrong: Vec<String>,
    /// Whether every line can be missed: no gauge and no set among the series.
    pub(super) only_events: bool,
}

impl Comparison {
    /// Whether all is stored as sent.
    pub(super) fn is_exact(&self) -> bool {
        self.exact == self.series
    }

    /// The laws broken, given how many lines are known to be lost.
    pub(super) fn failures(&self, lost_lines: u64) -> Vec<String> {
        let mut broken = self.wrong.clone();
        let (missing, doubtful) = (self.missing_lines, self.doubtful);
        if missing > lost_lines || (self.only_events && missing != lost_lines) {
            broken.push(format!("lines missing from the store = lines lost: {missing} and {lost_lines}"));
        }
        if lost_lines == 0 && doubtful > 0 {
            broken.push(format!("{doubtful} gauges or sets are not as sent, and nothing was lost"));
        }
        broken
    }
}

/// Compares every series; `before` is what was stored before the load.
pub(super) fn compare(
    shape: &Shape,
    expected: &[Expected],
    before: &[Stored],
    after: &[Stored],
) -> Comparison {
    let mut all = Comparison { series: expected.len(), only_events: true, ..Comparison::default() };
    for (series, expected) in expected.iter().enumerate() {
        let kind = shape.kind(series as u32);
        let fate = match kind {
            Kind::Gauge => gauge(expected, &after[series]),
            Kind::Set => set(expected, &before[series], &after[series]),
            _ => event(kind, shape.weight(series as u32), expected, &before[series], &after[series]),
        };
        all.only_events &= !matches!(kind, Kind::Gauge | Kind::Set);
        match fate {
            Fate::Exact => all.exact += 1,
            Fate::Missing(lines) => all.missing_lines += lines,
            Fate::Doubtful => all.doubtful += 1,
            Fate::Wrong(what) => all.wrong.push(format!("{}: {what}", shape.stored_name(series as u32))),
        }
    }
    all
}

#[derive(Debug, PartialEq)]
enum Fate {
    Exact,
    Missing(u64),
    Doubtful,
    Wrong(String),
}

/// Counters count lines; timers count what the lines stand for. Sums count what they stand for in both.
fn event(kind: Kind, weight: u64, expected: &Expected, before: &Stored, after: &Stored) -> Fate {
    let unit = if kind == Kind::Counter { 1 } else { weight };
    let (count, sum) = (after.count - before.count, after.sum - before.sum);
    let (sent_count, sent_sum) = ((expected.lines * unit) as f64, (expected.sum * weight) as f64);
    let short = (sent_count - count) / unit as f64;
    if (count, sum) == (sent_count, sent_sum) {
        Fate::Exact
    } else if short >= 1.0 && short.fract() == 0.0 && sum <= sent_sum {
        Fate::Missing(short as u64)
    } else {
        Fate::Wrong(format!("stored count {count} and sum {sum}, sent count {sent_count} and sum {sent_sum}"))
    }
}

fn gauge(expected: &Expected, after: &Stored) -> Fate {
    let sent = expected.last.map(f64::from);
    if sent.is_none() || sent == after.last { Fate::Exact } else { Fate::Doubtful }
}

/// A point a flush, of distinct values: none above the distinct values of all, and together at least as many.
fn set(expected: &Expected, before: &Stored, after: &Stored) -> Fate {
    let distinct = expected.values.len() as f64;
    let fresh = before.last.is_none();
    if fresh && after.last.is_some_and(|most| most > distinct) {
        return Fate::Wrong(format!(
            "a flush has {:?} distinct values, only {distinct} were sent",
            after.last
        ));
    }
    if after.sum - before.sum >= distinct { Fate::Exact } else { Fate::Doubtful }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::shape;
    use super::*;
    use std::collections::BTreeSet;

    fn sent(lines: u64, sum: u64) -> Expected {
        Expected { lines, sum, last: Some(9), values: BTreeSet::from([3, 9]) }
    }

    fn stored(count: f64, sum: f64) -> Stored {
        Stored { count, sum, last: None }
    }

    #[track_caller]
    fn check_event(kind: Kind, weight: u64, after: Stored, expected: Fate) {
        let fate = event(kind, weight, &sent(4, 40), &stored(10.0, 100.0), &after);
        match (&fate, &expected) {
            (Fate::Wrong(_), Fate::Wrong(_)) => {}
            _ => assert_eq!(fate, expected),
        }
    }

    #[test]
    fn counters_count_lines_and_timers_what_they_stand_for() {
        check_event(Kind::Counter, 2, stored(14.0, 180.0), Fate::Exact);
        check_event(Kind::Timer, 2, stored(18.0, 180.0), Fate::Exact);
        check_event(Kind::Timer, 2, stored(16.0, 160.0), Fate::Missing(1));
    }

    #[test]
    fn too_much_is_wrong_and_so_is_a_sum_without_its_count() {
        let wrong = || Fate::Wrong(String::new());
        check_event(Kind::Counter, 1, stored(15.0, 140.0), wrong());
        check_event(Kind::Counter, 1, stored(14.0, 139.0), wrong());
        check_event(Kind::Counter, 1, stored(13.0, 141.0), wrong());
        check_event(Kind::Timer, 2, stored(17.0, 180.0), wrong());
    }

    #[test]
    fn what_is_missing_must_be_what_was_lost() {
        let mut all =
            Comparison { series: 3, exact: 2, missing_lines: 5, only_events: true, ..Comparison::default() };
        assert!(all.failures(5).is_empty());
        assert_eq!(all.failures(6).len(), 1);
        assert_eq!(all.failures(4).len(), 1);
        all.only_events = false;
        assert!(all.failures(6).is_empty());
        assert_eq!(all.failures(0).len(), 1);
    }

    #[test]
    fn gauges_end_on_the_last_value_and_sets_stay_within_bounds() {
        let last = |value| Stored { last: value, ..Stored::default() };
        assert_eq!(gauge(&sent(4, 40), &last(Some(9.0))), Fate::Exact);
        assert_eq!(gauge(&sent(4, 40), &last(None)), Fate::Doubtful);
        let flushes = |sum, most| Stored { count: 0.0, sum, last: Some(most) };
        assert_eq!(set(&sent(4, 40), &Stored::default(), &flushes(3.0, 2.0)), Fate::Exact);
        assert_eq!(set(&sent(4, 40), &Stored::default(), &flushes(1.0, 1.0)), Fate::Doubtful);
        assert!(matches!(set(&sent(4, 40), &Stored::default(), &flushes(3.0, 3.0)), Fate::Wrong(_)));
    }

    #[test]
    fn a_doubtful_gauge_needs_a_loss() {
        let shape = shape(2, "g");
        let expected = [sent(1, 9), sent(1, 9)];
        let after = [Stored { last: Some(9.0), ..Stored::default() }, Stored::default()];
        let compared = compare(&shape, &expected, &[Stored::default(); 2], &after);
        assert_eq!((compared.exact, compared.doubtful, compared.is_exact()), (1, 1, false));
        assert_eq!(compared.failures(0).len(), 1);
        assert!(compared.failures(1).is_empty());
    }

    #[test]
    fn the_counters_obey_the_laws() {
        let report = SentReport { datagrams: 10, lines: 50, ..SentReport::default() };
        let udp = Target::Udp("127.0.0.1:1".parse().unwrap());
        let fine = Scrape {
            datagrams: 8,
            kernel_drops: 2,
            lines: 40,
            samples: 40,
            applied: 40,
            ..Scrape::default()
        };
        assert!(counters(&report, &fine, &udp).is_empty() && arrived(&report, &fine, &udp));
        let silent = Scrape { kernel_drops: 1, ..fine.clone() };
        assert_eq!(counters(&report, &silent, &udp).len(), 1);
        let busy = Scrape { applied: 39, ..fine.clone() };
        assert!(!arrived(&report, &busy, &udp));
        assert_eq!(counters(&report, &busy, &udp).len(), 1);
        let tcp = Target::Tcp("127.0.0.1:1".parse().unwrap());
        let stream = Scrape { lines: 50, samples: 50, applied: 50, ..Scrape::default() };
        assert!(counters(&report, &stream, &tcp).is_empty());
    }
}
