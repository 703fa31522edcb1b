//! The level of a gauge, and how its lines change it.

use orzo_model::sample::{Flags, Sample};
use orzo_model::{Measure, Timestamp};

/// How a sign on a gauge is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GaugeDialect {
    /// Absolute if the series was ever seen with a DogStatsD-only feature, else a change.
    #[default]
    Auto,
    /// A change.
    Etsy,
    /// Part of the number.
    Dogstatsd,
}

/// What samples mean beyond their bytes.
#[derive(Clone, Copy, Debug)]
pub struct Semantics {
    /// How a sign on a gauge is read.
    pub gauge_dialect: GaugeDialect,
    /// After so much silence a change of a gauge starts from 0 again, in nanoseconds.
    pub gauge_ttl_ns: u64,
    /// A sample's own time may be so far ahead of its arrival, in nanoseconds.
    pub max_future_ns: u64,
}

/// A level.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    value: f64,
    /// When it last spoke; the epoch: never.
    at: Timestamp,
    /// Whether it spoke since it was last taken.
    fresh: bool,
    /// Whether `value` is absolute, not a sum of changes to a level that is not known yet.
    known: bool,
    /// Whether it was seen with a feature that only DogStatsD has.
    pub(crate) dogstatsd: bool,
}

impl Gauge {
    #[inline]
    pub(crate) fn set(&mut self, sample: &Sample, arrived: Timestamp, rules: &Semantics) {
        self.dogstatsd |= sample.flags.has(Flags::DOGSTATSD);
        let absolute = !sample.flags.has(Flags::SIGNED)
            || match rules.gauge_dialect {
                GaugeDialect::Auto => self.dogstatsd,
                GaugeDialect::Etsy => false,
                GaugeDialect::Dogstatsd => true,
            };
        if absolute {
            self.value = sample.number();
            self.known = true;
        } else {
            if self.known && is_silence(self.at, arrived, rules) {
                self.value = 0.0;
            }
            self.value += sample.number();
        }
        self.at = arrived;
        self.fresh = true;
    }

    /// The level since it was last taken, if it spoke.
    pub(crate) fn take(&mut self) -> Option<Measure> {
        std::mem::take(&mut self.fresh).then_some(Measure { at: self.at, value: self.value })
    }

    /// Tells it the level before its first change here.
    pub(crate) fn rebase(&mut self, level: Option<Measure>, rules: &Semantics) {
        if self.known {
            return;
        }
        self.known = true;
        let Some(level) = level else { return };
        if self.at == Timestamp::EPOCH {
            (self.at, self.value) = (level.at, level.value);
        } else if !is_silence(level.at, self.at, rules) {
            self.value += level.value;
        }
    }
}

fn is_silence(from: Timestamp, to: Timestamp, rules: &Semantics) -> bool {
    from > Timestamp::EPOCH && to.ns().saturating_sub(from.ns()) > rules.gauge_ttl_ns
}
