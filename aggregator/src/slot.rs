//! A slot: what one statsd series has said since its last commit.
//!
//! Events add up in the list of [`crate::open_events`], levels keep the last value. Sets, and everything in the
//! reference's own profile, wait for the flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::sample::{Flags, Kind, Sample};
use orzo_model::summary::Wants;
use orzo_model::{ArchivePolicy, Measure, Measures, MetricId, SECOND, Timestamp};

use crate::gauge::Gauge;
use crate::id_map::HashedSet;
use crate::limits::ARRIVAL_NS;
use crate::open_events::OpenRef;
use crate::record::Payload;

/// When a batch of samples arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) exact: Timestamp,
    /// To the millisecond: finer times only make records and windows longer.
    pub(crate) rounded: Timestamp,
}

impl Arrival {
    pub(crate) fn new(exact: Timestamp) -> Self {
        Arrival { exact, rounded: Timestamp::saturating_from_ns(exact.ns() / ARRIVAL_NS * ARRIVAL_NS) }
    }
}

/// One statsd series, as far as each of its samples needs it: a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) id: MetricId,
    pub(crate) value: Value,
    /// Since the last commit.
    pub(crate) samples: u64,
    /// Second in which it last had something to commit.
    pub(crate) spoke: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    /// Whether it is in the list of slots with something to commit.
    pub(crate) touched: bool,
    /// Whether it belongs to no series.
    pub(crate) vacant: bool,
}

const _: () = assert!(size_of::<Slot>() == 64);

/// What it has said.
#[derive(Debug)]
pub(crate) enum Value {
    /// Where its summary is.
    Events(OpenRef),
    Gauge(Gauge),
    Set(Box<HashedSet>),
    /// The reference's own profile: one point per flush.
    Point(Option<Measure>),
}

/// The rest of it.
#[derive(Debug)]
pub(crate) struct SlotTail {
    pub(crate) destination: Destination,
    /// Values that carry a time of their own.
    pub(crate) timed: Option<Box<Timed>>,
}

/// Where a slot's content goes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The index has not been asked: the name that rode along.
    Unknown(Box<[u8]>),
    /// The index has been asked.
    Asked,
    /// It is stored by the slot's own id.
    Own(Arc<ArchivePolicy>),
    /// It is stored by another id: a metric of that name was deleted before.
    Other(Box<(MetricId, Arc<ArchivePolicy>)>),
}

impl Destination {
    pub(crate) fn new(own: MetricId, id: MetricId, policy: Arc<ArchivePolicy>) -> Self {
        if own == id { Destination::Own(policy) } else { Destination::Other(Box::new((id, policy))) }
    }

    /// By which id it is stored, and what is kept, if that is known.
    pub(crate) fn known(&self, own: MetricId) -> Option<(MetricId, &Arc<ArchivePolicy>)> {
        match self {
            Destination::Own(policy) => Some((own, policy)),
            Destination::Other(other) => Some((other.0, &other.1)),
            Destination::Unknown(_) | Destination::Asked => None,
        }
    }

    pub(crate) fn policy_mut(&mut self) -> Option<&mut Arc<ArchivePolicy>> {
        match self {
            Destination::Own(policy) => Some(policy),
            Destination::Other(other) => Some(&mut other.1),
            Destination::Unknown(_) | Destination::Asked => None,
        }
    }

    /// What the policy asks for; everything while it is not known.
    pub(crate) fn wants(&self) -> Wants {
        let policy = match self {
            Destination::Own(policy) => policy,
            Destination::Other(other) => &other.1,
            Destination::Unknown(_) | Destination::Asked => return Wants::ALL,
        };
        Wants::of(&policy.methods)
    }
}

/// By second: a value, and how many samples made it.
pub(crate) type Timed = BTreeMap<u32, (f64, u64)>;

/// One thing to commit, and how many samples made it.
pub(crate) struct Part {
    pub(crate) payload: Payload,
    pub(crate) samples: u64,
}

impl Slot {
    pub(crate) fn new(sample: &Sample, arrived: Timestamp) -> Self {
        let value = match (sample.flags.has(Flags::GNOCCHI), sample.kind) {
            (_, Kind::Set) => Value::Set(Box::default()),
            (true, _) => Value::Point(None),
            (false, Kind::Gauge) => Value::Gauge(Gauge::default()),
            (false, _) => Value::Events(OpenRef::NONE),
        };
        Slot {
            id: sample.id,
            value,
            samples: 0,
            spoke: second(arrived),
            kind: sample.kind,
            flags: sample.flags,
            touched: false,
            vacant: false,
        }
    }

    /// Whether it waits for the flush, not the commit.
    pub(crate) fn waits_for_flush(&self) -> bool {
        matches!(self.value, Value::Set(_) | Value::Point(_))
    }

    /// Takes everything out but events that wait in their list. `now` dates what has no time of its own.
    pub(crate) fn take(&mut self, tail: &mut SlotTail, now: Timestamp, parts: &mut Vec<Part>) {
        let from = parts.len();
        let mut timed = 0;
        for (seconds, (value, samples)) in tail.timed.take().map(|timed| *timed).unwrap_or_default() {
            let at = Timestamp::saturating_from_ns(u64::from(seconds) * SECOND);
            parts.push(Part::point(Measure { at, value }, samples));
            timed += samples;
        }
        if let Some(point) = self.take_point(now) {
            parts.push(Part::point(point, self.samples - timed));
        }
        self.samples -= parts[from..].iter().map(|part| part.samples).sum::<u64>();
        // Each is a batch of its own: in order of time, none makes another too old.
        parts[from..].sort_by_key(|part| part.payload.at());
    }

    fn take_point(&mut self, now: Timestamp) -> Option<Measure> {
        match &mut self.value {
            Value::Events(_) => None,
            Value::Gauge(gauge) => gauge.take(),
            Value::Point(measure) => measure.take(),
            Value::Set(members) => {
                let count = members.len();
                members.clear();
                (count > 0).then_some(Measure { at: now, value: count as f64 })
            }
        }
    }
}

impl Part {
    fn point(point: Measure, samples: u64) -> Self {
        Part { payload: Payload::Measures(Measures::from_iter([point])), samples }
    }
}

/// Seconds since the epoch; past 2106 it is always the last one.
pub(crate) fn second(at: Timestamp) -> u32 {
    u32::try_from(at.ns() / SECOND).unwrap_or(u32::MAX)
}
