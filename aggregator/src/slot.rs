//! A slot: what one statsd series has said since its last commit.
//!
//! Events are summed up second by second, so that a summary never straddles two buckets of a policy with
//! whole seconds. Levels keep the last value. Sets, and everything in the reference's own profile, wait
//! for the flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::drop_reason::DropReason;
use orzo_model::sample::{Flags, Kind, Sample};
use orzo_model::summary::{Summary, Wants, Weighing};
use orzo_model::{ArchivePolicy, Measure, MetricId, SECOND, Timestamp};

use crate::id_map::HashedSet;
use crate::limits::{ARRIVAL_NS, SET_MEMBERS};
use crate::record::Payload;

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

/// When a batch of samples arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    exact: Timestamp,
    /// To the millisecond: finer times only make records and windows longer.
    rounded: Timestamp,
}

impl Arrival {
    pub(crate) fn new(exact: Timestamp) -> Self {
        Arrival { exact, rounded: Timestamp::saturating_from_ns(exact.ns() / ARRIVAL_NS * ARRIVAL_NS) }
    }
}

/// Where a slot's content goes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The index has not been asked: the name that rode along.
    Unknown(Box<[u8]>),
    /// The index has been asked.
    Asked,
    /// The id by which it is stored, and what is kept.
    Known(MetricId, Arc<ArchivePolicy>),
}

/// One statsd series.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: MetricId,
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    pub(crate) destination: Destination,
    /// Whether it is in the list of slots with something to commit.
    pub(crate) touched: bool,
    /// Samples since the last commit.
    pub(crate) samples: u64,
    value: Value,
    /// Values that carry a time of their own: the value and how many samples made it, by second.
    timed: BTreeMap<u32, (f64, u64)>,
}

#[derive(Debug)]
enum Value {
    Events(Events),
    Gauge(Gauge),
    Set(HashedSet),
    /// The reference's own profile: one point per flush.
    Point(Option<Measure>),
}

#[derive(Debug, Default)]
struct Events {
    open: Option<(Summary, u64)>,
    closed: Vec<(Summary, u64)>,
}

#[derive(Debug, Default)]
struct Gauge {
    value: f64,
    /// Whether `value` is absolute, not a sum of changes to a level that is not known yet.
    known: bool,
    dogstatsd: bool,
    /// When it last spoke.
    at: Option<Timestamp>,
    fresh: u64,
}

/// One thing to commit, and how many samples made it.
pub(crate) struct Part {
    pub(crate) payload: Payload,
    pub(crate) samples: u64,
}

impl Part {
    fn at(&self) -> Timestamp {
        self.payload.at().unwrap_or_default()
    }
}

impl Slot {
    pub(crate) fn new(sample: &Sample, name: &[u8]) -> Self {
        let value = match (sample.flags.has(Flags::GNOCCHI), sample.kind) {
            (_, Kind::Set) => Value::Set(HashedSet::default()),
            (true, _) => Value::Point(None),
            (false, Kind::Gauge) => Value::Gauge(Gauge::default()),
            (false, _) => Value::Events(Events::default()),
        };
        Slot {
            id: sample.id,
            kind: sample.kind,
            flags: sample.flags,
            destination: Destination::Unknown(name.into()),
            touched: false,
            samples: 0,
            value,
            timed: BTreeMap::new(),
        }
    }

    /// Whether it waits for the flush, not the commit.
    pub(crate) fn waits_for_flush(&self) -> bool {
        matches!(self.value, Value::Set(_) | Value::Point(_))
    }

    /// Takes a sample in.
    ///
    /// # Errors
    /// Why it was dropped instead.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        sample: &Sample,
        arrived: Arrival,
        rules: &Semantics,
    ) -> Result<(), DropReason> {
        if let Some(seconds) = sample.seconds() {
            self.apply_timed(sample, seconds, arrived.exact, rules)?;
        } else {
            match &mut self.value {
                Value::Events(events) => events.add(sample, arrived.rounded, &self.destination),
                Value::Gauge(gauge) => gauge.set(sample, arrived.rounded, rules),
                Value::Set(members) if members.len() < SET_MEMBERS => {
                    members.insert(sample.value);
                }
                Value::Set(members) if members.contains(&sample.value) => {}
                Value::Set(_) => return Err(DropReason::SetFull),
                Value::Point(point) => apply_point(point, sample, arrived.exact),
            }
        }
        self.samples += 1;
        Ok(())
    }

    fn apply_timed(
        &mut self,
        sample: &Sample,
        seconds: u32,
        arrived: Timestamp,
        rules: &Semantics,
    ) -> Result<(), DropReason> {
        let at = u64::from(seconds) * SECOND;
        if at > arrived.ns().saturating_add(rules.max_future_ns) {
            return Err(DropReason::TooFarAhead);
        }
        if let Value::Gauge(gauge) = &mut self.value {
            gauge.dogstatsd = true;
        }
        let (value, samples) = self.timed.entry(seconds).or_default();
        *samples += 1;
        // Counters of one second add up, of gauges the last one holds.
        *value = if self.kind == Kind::Gauge { sample.number() } else { *value + sample.number() };
        Ok(())
    }

    /// Takes everything out. `now` dates what has no time of its own.
    pub(crate) fn take(&mut self, now: Timestamp, parts: &mut Vec<Part>) {
        let from = parts.len();
        self.take_all(now, parts);
        // Each is a batch of its own: in order of time, none makes another too old.
        parts[from..].sort_by_key(Part::at);
    }

    fn take_all(&mut self, now: Timestamp, parts: &mut Vec<Part>) {
        let timed: u64 = self.timed.values().map(|(_, samples)| samples).sum();
        let untimed = std::mem::take(&mut self.samples) - timed;
        for (seconds, (value, samples)) in std::mem::take(&mut self.timed) {
            let at = Timestamp::saturating_from_ns(u64::from(seconds) * SECOND);
            parts.push(point(at, value, samples));
        }
        match &mut self.value {
            Value::Events(events) => {
                let all = events.closed.drain(..).chain(events.open.take());
                parts.extend(
                    all.map(|(event, samples)| Part { payload: Payload::Events(vec![event]), samples }),
                );
            }
            Value::Gauge(gauge) => {
                let samples = std::mem::take(&mut gauge.fresh);
                if let Some(at) = gauge.at.filter(|_| samples > 0) {
                    parts.push(point(at, gauge.value, samples));
                }
            }
            Value::Set(members) => {
                if !members.is_empty() {
                    parts.push(point(now, members.len() as f64, untimed));
                    members.clear();
                }
            }
            Value::Point(measure) => {
                parts.extend(measure.take().map(|measure| point(measure.at, measure.value, untimed)));
            }
        }
    }

    /// Forgets everything; says how many samples that was.
    pub(crate) fn clear(&mut self) -> u64 {
        let samples = self.samples;
        self.take(Timestamp::EPOCH, &mut Vec::new());
        samples
    }

    /// Tells a gauge the level before its first change here.
    pub(crate) fn rebase(&mut self, level: Option<f64>) {
        if let Value::Gauge(gauge) = &mut self.value
            && !gauge.known
        {
            gauge.value += level.unwrap_or(0.0);
            gauge.known = true;
        }
    }
}

fn point(at: Timestamp, value: f64, samples: u64) -> Part {
    Part { payload: Payload::Measures(vec![Measure { at, value }]), samples }
}

/// What the policy asks for; everything while it is not known.
fn wants(destination: &Destination) -> Wants {
    match destination {
        Destination::Known(_, policy) => Wants::of(&policy.methods),
        _ => Wants::ALL,
    }
}

impl Events {
    #[inline]
    fn add(&mut self, sample: &Sample, arrived: Timestamp, destination: &Destination) {
        let weighing = if sample.kind == Kind::Counter { Weighing::Value } else { Weighing::Event };
        let (value, weight) = (sample.number(), sample.weight());
        match &mut self.open {
            Some((summary, samples)) if same_second(summary.at(), arrived) => {
                summary.add(arrived, value, weight, weighing);
                *samples += 1;
            }
            open => {
                let fresh = Summary::of(arrived, value, weight, weighing, wants(destination));
                self.closed.extend(open.replace((fresh, 1)));
            }
        }
    }
}

fn same_second(a: Timestamp, b: Timestamp) -> bool {
    a.ns() / SECOND == b.ns() / SECOND
}

impl Gauge {
    fn set(&mut self, sample: &Sample, arrived: Timestamp, rules: &Semantics) {
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
            let silent_ns = self.at.map_or(0, |at| arrived.ns().saturating_sub(at.ns()));
            if self.known && silent_ns > rules.gauge_ttl_ns {
                self.value = 0.0;
            }
            self.value += sample.number();
        }
        self.at = Some(arrived);
        self.fresh += 1;
    }
}

fn apply_point(point: &mut Option<Measure>, sample: &Sample, arrived: Timestamp) {
    let before = match point {
        Some(point) if sample.kind == Kind::Counter => point.value,
        _ => 0.0,
    };
    let value =
        if sample.kind == Kind::Counter { sample.number() * sample.weight() } else { sample.number() };
    *point = Some(Measure { at: arrived, value: before + value });
}
