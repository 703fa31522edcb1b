//! The daemon's counters as `/metrics` shows them (Prometheus text format); `docs/metrics.md` says what each means.

use std::collections::BTreeMap;

use crate::exposition::{self, Sample};

/// The counters that a load is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scrape {
    /// `orzo_statsd_datagrams_total`
    pub(super) datagrams: u64,
    /// `orzo_statsd_kernel_drops_total`
    pub(super) kernel_drops: u64,
    /// `orzo_statsd_lines_total`
    pub(super) lines: u64,
    /// `orzo_statsd_samples_total`
    pub(super) samples: u64,
    /// `orzo_statsd_skipped_total`
    pub(super) skipped: u64,
    /// `orzo_statsd_dropped_total`, by reason.
    pub(super) dropped: BTreeMap<String, u64>,
    /// `orzo_samples_applied_total`
    pub(super) applied: u64,
    /// `orzo_samples_dropped_total`, by reason.
    pub(super) samples_dropped: BTreeMap<String, u64>,
}

impl Scrape {
    /// Adds up all labels but the reason.
    pub(super) fn parse(text: &str) -> Self {
        let mut scrape = Scrape::default();
        for sample in exposition::samples(text) {
            let value = sample.value as u64;
            match sample.name {
                "orzo_statsd_datagrams_total" => scrape.datagrams += value,
                "orzo_statsd_kernel_drops_total" => scrape.kernel_drops += value,
                "orzo_statsd_lines_total" => scrape.lines += value,
                "orzo_statsd_samples_total" => scrape.samples += value,
                "orzo_statsd_skipped_total" => scrape.skipped += value,
                "orzo_statsd_dropped_total" => add(&mut scrape.dropped, sample),
                "orzo_samples_applied_total" => scrape.applied += value,
                "orzo_samples_dropped_total" => add(&mut scrape.samples_dropped, sample),
                _ => {}
            }
        }
        scrape
    }

    /// What was counted after `before`. Reasons that did not move are left out.
    pub(super) fn since(&self, before: &Scrape) -> Scrape {
        Scrape {
            datagrams: self.datagrams.saturating_sub(before.datagrams),
            kernel_drops: self.kernel_drops.saturating_sub(before.kernel_drops),
            lines: self.lines.saturating_sub(before.lines),
            samples: self.samples.saturating_sub(before.samples),
            skipped: self.skipped.saturating_sub(before.skipped),
            dropped: less(&self.dropped, &before.dropped),
            applied: self.applied.saturating_sub(before.applied),
            samples_dropped: less(&self.samples_dropped, &before.samples_dropped),
        }
    }

    /// Lines refused for any reason.
    pub(super) fn dropped_lines(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Samples refused behind the listener for any reason.
    pub(super) fn dropped_samples(&self) -> u64 {
        self.samples_dropped.values().sum()
    }
}

fn add(reasons: &mut BTreeMap<String, u64>, sample: Sample<'_>) {
    *reasons.entry(sample.label("reason").unwrap_or("?").to_owned()).or_default() += sample.value as u64;
}

fn less(after: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = |(reason, value): (&String, &u64)| {
        let rest = value.saturating_sub(before.get(reason).copied().unwrap_or(0));
        (rest > 0).then(|| (reason.clone(), rest))
    };
    after.iter().filter_map(since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP orzo_statsd_lines_total Lines.\n# TYPE orzo_statsd_lines_total counter\n\
        orzo_statsd_lines_total{listener=\"0\",transport=\"udp\"} 10\n\
        orzo_statsd_lines_total{listener=\"1\",transport=\"udp\"} 5\n\
        orzo_statsd_dropped_total{listener=\"0\",reason=\"bad_value\"} 2\n\
        orzo_statsd_dropped_total{listener=\"1\",reason=\"bad_value\"} 1\n\
        orzo_statsd_dropped_total{listener=\"1\",reason=\"no_type\"} 0\n\
        orzo_samples_applied_total 1.2e1\n";

    #[test]
    fn labels_are_added_up_and_reasons_kept() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!((scrape.lines, scrape.applied, scrape.dropped_lines()), (15, 12, 3));
        assert_eq!(scrape.dropped.get("bad_value"), Some(&3));
    }

    #[test]
    fn differences_leave_out_what_did_not_move() {
        let before = Scrape::parse(TEXT);
        let after = Scrape { lines: 20, ..before.clone() };
        assert_eq!(after.since(&before), Scrape { lines: 5, ..Scrape::default() });
    }
}
