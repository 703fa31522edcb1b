//! The twin of a slot: what one statsd series has said since its last commit, kept sample by sample.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use orzo_aggregator::limits::{ARRIVAL_NS, IDLE_SECONDS};
use orzo_aggregator::{GaugeDialect, Semantics};
use orzo_model::{ArchivePolicy, Flags, Kind, Measure, MetricId, SECOND, Sample};

use crate::formulas::Event;

/// What a slot says when it is emptied.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Point(f64),
    Events(Vec<Event>),
}

/// When, what, and of how many samples.
pub(crate) type Said = (u64, Say, u64);

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    kind: Kind,
    flags: Flags,
    pub(crate) destination: Option<(MetricId, Arc<ArchivePolicy>)>,
    pub(crate) touched: bool,
    pub(crate) samples: u64,
    /// Second in which it last had something to say.
    pub(crate) spoke: u64,
    /// Second by second, in order of arrival.
    events: VecDeque<Vec<Event>>,
    /// Whether the next event begins a second of its own.
    closed: bool,
    gauge: Gauge,
    members: HashSet<u64>,
    members_samples: u64,
    point: Option<(u64, f64, u64)>,
    timed: BTreeMap<u32, (f64, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Gauge {
    value: f64,
    known: bool,
    dogstatsd: bool,
    at: u64,
    samples: u64,
}

impl Slot {
    pub(crate) fn new(sample: &Sample, arrived: u64) -> Self {
        Slot {
            kind: sample.kind,
            flags: sample.flags,
            destination: None,
            touched: false,
            samples: 0,
            spoke: arrived / SECOND,
            events: VecDeque::new(),
            closed: false,
            gauge: Gauge::default(),
            members: HashSet::new(),
            members_samples: 0,
            point: None,
            timed: BTreeMap::new(),
        }
    }

    fn gnocchi(&self) -> bool {
        self.flags.has(Flags::GNOCCHI)
    }

    pub(crate) fn waits_for_flush(&self) -> bool {
        self.gnocchi() || self.kind == Kind::Set
    }

    /// Whether the sample was taken.
    pub(crate) fn apply(&mut self, sample: &Sample, arrived: u64, semantics: &Semantics) -> bool {
        let rounded = arrived / ARRIVAL_NS * ARRIVAL_NS;
        if let Some(seconds) = sample.seconds() {
            if u64::from(seconds) * SECOND > arrived + semantics.max_future_ns {
                return false;
            }
            self.gauge.dogstatsd = true;
            let entry = self.timed.entry(seconds).or_default();
            let before = if self.kind == Kind::Gauge { 0.0 } else { entry.0 };
            *entry = (before + sample.number(), entry.1 + 1);
        } else if self.kind == Kind::Set {
            self.members.insert(sample.value);
            self.members_samples += 1;
        } else if self.gnocchi() {
            let (before, samples) = self.point.map_or((0.0, 0), |(_, value, samples)| (value, samples));
            let counts = self.kind == Kind::Counter;
            let value = if counts { before + sample.number() * sample.weight() } else { sample.number() };
            self.point = Some((arrived, value, samples + 1));
        } else if self.kind == Kind::Gauge {
            self.gauge.set(sample, rounded, semantics);
        } else {
            self.event(sample, rounded);
        }
        self.samples += 1;
        true
    }

    fn event(&mut self, sample: &Sample, arrived: u64) {
        let (value, factor) = (sample.number(), sample.weight());
        let times = if sample.kind == Kind::Counter { 1.0 } else { factor };
        let event = Event { at: arrived, value, factor, times };
        match self.events.back_mut() {
            Some(second) if !self.closed && second[0].at / SECOND == arrived / SECOND => second.push(event),
            _ => self.events.push_back(vec![event]),
        }
        self.closed = false;
    }

    /// Whether its samples are events in the native profile.
    pub(crate) fn is_event(&self) -> bool {
        self.kind.is_event() && !self.gnocchi()
    }

    /// Seconds of events that wait.
    pub(crate) fn seconds(&self) -> usize {
        self.events.len()
    }

    /// The events of its first second.
    pub(crate) fn take_second(&mut self, now: u64) -> Said {
        let events = self.events.pop_front().expect("it was opened");
        let began = events.iter().map(|event| event.at).min().expect("no second is empty");
        let samples = events.len() as u64;
        self.spoke = now / SECOND;
        self.samples -= samples;
        (began, Say::Events(events), samples)
    }

    /// What waits for the index stays as it is.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn rebase(&mut self, level: Option<Measure>, semantics: &Semantics) {
        let Gauge { value, known, at, .. } = &mut self.gauge;
        if !std::mem::replace(known, true)
            && let Some(level) = level
        {
            let told = level.at.ns();
            if *at == 0 {
                (*at, *value) = (told, level.value);
            } else if told == 0 || at.saturating_sub(told) <= semantics.gauge_ttl_ns {
                *value += level.value;
            }
        }
    }

    /// Whether it has been forgotten by now.
    pub(crate) fn is_silent(&self, now: u64) -> bool {
        let silence = (now / SECOND).saturating_sub(self.spoke);
        self.destination.is_some() && self.samples == 0 && silence > u64::from(IDLE_SECONDS)
    }

    /// All but events, in order of time.
    pub(crate) fn take(&mut self, now: u64) -> Vec<Said> {
        self.spoke = now / SECOND;
        let mut said = Vec::new();
        for (seconds, (value, samples)) in std::mem::take(&mut self.timed) {
            said.push((u64::from(seconds) * SECOND, Say::Point(value), samples));
        }
        if self.gauge.samples > 0 {
            let samples = std::mem::take(&mut self.gauge.samples);
            said.push((self.gauge.at, Say::Point(self.gauge.value), samples));
        }
        if !self.members.is_empty() {
            let members = std::mem::take(&mut self.members).len();
            said.push((now, Say::Point(members as f64), std::mem::take(&mut self.members_samples)));
        }
        said.extend(self.point.take().map(|(at, value, samples)| (at, Say::Point(value), samples)));
        said.sort_by_key(|said| said.0);
        self.samples -= said.iter().map(|said| said.2).sum::<u64>();
        said
    }
}

impl Gauge {
    fn set(&mut self, sample: &Sample, arrived: u64, semantics: &Semantics) {
        self.dogstatsd |= sample.flags.has(Flags::DOGSTATSD);
        let signed = sample.flags.has(Flags::SIGNED);
        let delta = match semantics.gauge_dialect {
            GaugeDialect::Auto => signed && !self.dogstatsd,
            GaugeDialect::Etsy => signed,
            GaugeDialect::Dogstatsd => false,
        };
        if delta {
            let silent = arrived.saturating_sub(self.at) > semantics.gauge_ttl_ns;
            if self.known && self.at > 0 && silent {
                self.value = 0.0;
            }
            self.value += sample.number();
        } else {
            self.value = sample.number();
            self.known = true;
        }
        self.at = arrived;
        self.samples += 1;
    }
}
