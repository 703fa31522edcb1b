//! The oracle of series: keeps everything that was ever accepted, and computes every bucket anew.
//!
//! Two models of the contract (`timeseries.md` 13): the streaming one, and the literal one for rates.

use std::collections::BTreeMap;
use std::sync::Arc;

use orzo_model::series::EVENT_GRACE_NS;
use orzo_model::spread::EXACT_VALUES_MAX;
use orzo_model::{ArchivePolicy, Granularity, Measure, Method, MethodSet};

use crate::formulas::{Event, evaluate};
use crate::setup::at;

/// Buckets by start.
pub(crate) type Buckets = BTreeMap<u64, f64>;

/// One batch of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// Points in order of arrival, and the back window by which they are judged.
    Points(u32, Vec<(u64, f64)>),
    /// Summaries of events.
    Events(Vec<Vec<Event>>),
}

impl What {
    /// How many points or summaries.
    pub(crate) fn len(&self) -> usize {
        match self {
            What::Points(_, points) => points.len(),
            What::Events(events) => events.len(),
        }
    }
}

/// Everything about one series.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    policy: Arc<ArchivePolicy>,
    /// Of a sampled series: all that were accepted, ever.
    points: BTreeMap<u64, f64>,
    gate: Gate,
    /// Of an event series: all that were accepted, ever, in order of arrival.
    events: Option<Vec<Event>>,
    newest_event: u64,
    /// If the policy has rates.
    literal: Literal,
}

impl Model {
    pub(crate) fn new(policy: Arc<ArchivePolicy>) -> Self {
        Model {
            policy,
            points: BTreeMap::new(),
            gate: Gate::default(),
            events: None,
            newest_event: 0,
            literal: Literal::default(),
        }
    }

    /// Takes a batch in; says how many of its points or summaries are refused.
    pub(crate) fn put(&mut self, what: &What) -> usize {
        match what {
            What::Points(back_window, points) if self.events.is_none() => self.sample(*back_window, points),
            What::Points(_, points) => {
                let mut points = points.clone();
                points.sort_by_key(|point| point.0);
                let each = points.iter().map(|(at, value)| vec![Event::point(*at, *value)]);
                self.happen(each.collect())
            }
            What::Events(events) => {
                self.become_events();
                self.happen(events.clone())
            }
        }
    }

    /// The newest point.
    pub(crate) fn level(&self) -> Option<Measure> {
        let points = if self.literal.raw.is_empty() { &self.points } else { &self.literal.raw };
        points.last_key_value().map(|(ns, value)| Measure { at: at(*ns), value: *value })
    }

    fn sample(&mut self, back_window: u32, points: &[(u64, f64)]) -> usize {
        let policy = ArchivePolicy { back_window, ..(*self.policy).clone() };
        let threshold = self.gate.threshold(&self.points, &policy);
        let refused = points.iter().filter(|(at, _)| *at < threshold).count();
        let accepted = resolve(points, threshold);
        if accepted.is_empty() {
            return refused;
        }
        self.points.extend(&accepted);
        self.gate.pass(&self.points, &policy);
        if self.policy.methods.has_rate() {
            // Nothing below the threshold is recomputed: what is kept of it may not be whole.
            let oldest = points.iter().map(|point| point.0).min().unwrap_or_default();
            self.literal.process(accepted, oldest.max(threshold), &self.policy, self.policy.methods);
            self.literal.cut(self.gate.floor, &self.policy);
        }
        refused
    }

    /// A sampled series that turns out to be one of events: each of its points was one.
    fn become_events(&mut self) {
        if self.events.is_none() {
            let newest = self.points.last_key_value().map_or(0, |(at, _)| *at);
            self.newest_event = newest.max(self.gate.floor + EVENT_GRACE_NS);
            self.events = Some(self.points.iter().map(|(at, value)| Event::point(*at, *value)).collect());
        }
    }

    /// One batch of summaries, each of at least one event: refused as a whole if it began too early.
    fn happen(&mut self, summaries: Vec<Vec<Event>>) -> usize {
        let threshold = self.newest_event.saturating_sub(EVENT_GRACE_NS);
        let began = |events: &Vec<Event>| events.iter().map(|event| event.at).min().unwrap();
        let (mut sums, came) = (Vec::new(), summaries.len());
        for events in summaries.into_iter().filter(|events| began(events) >= threshold) {
            let ended = events.iter().map(|event| event.at).max().unwrap();
            self.newest_event = self.newest_event.max(ended);
            sums.push((ended, events.iter().map(|event| event.value * event.factor).sum()));
            self.events.get_or_insert_default().extend(events);
        }
        if self.policy.methods.has_rate() && !sums.is_empty() {
            self.literal.add_sums(&sums, &self.policy);
        }
        came - sums.len()
    }

    /// Start of the newest bucket, whether any method has a value there or not.
    pub(crate) fn newest(&self, width: Granularity) -> Option<u64> {
        let events = self.events.iter().flatten().map(|event| event.at);
        events.chain(self.points.last_key_value().map(|(at, _)| *at)).max().map(|at| floor(at, width))
    }

    /// Whether a bucket holds more events than are kept one by one.
    pub(crate) fn is_rough(&self, width: Granularity, start: u64) -> bool {
        let events = self.events.iter().flatten().filter(|event| floor(event.at, width) == start);
        events.count() > EXACT_VALUES_MAX
    }

    /// All buckets of one method, expired ones included.
    pub(crate) fn column(&self, width: Granularity, method: Method) -> Buckets {
        let has_rate = self.policy.methods.has_rate();
        match &self.events {
            None if has_rate => self.literal.column(width, method),
            Some(_) if method.is_rate() => self.literal.column(width, method),
            Some(events) => buckets(events.iter().copied(), width, method),
            None => buckets(self.points.iter().map(|(at, value)| Event::point(*at, *value)), width, method),
        }
    }
}

/// Once the threshold has passed points it does not go back behind them.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    floor: u64,
}

impl Gate {
    fn threshold(&self, points: &BTreeMap<u64, f64>, policy: &ArchivePolicy) -> u64 {
        let newest = points.last_key_value().map(|(newest, _)| *newest);
        self.floor.max(newest.map_or(0, |newest| policy.first_block(at(newest)).ns()))
    }

    fn pass(&mut self, points: &BTreeMap<u64, f64>, policy: &ArchivePolicy) {
        let threshold = self.threshold(points, policy);
        if points.range(self.floor..threshold).next().is_some() {
            self.floor = threshold;
        }
    }
}

fn buckets(events: impl Iterator<Item = Event>, width: Granularity, method: Method) -> Buckets {
    let mut buckets: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    events.for_each(|event| buckets.entry(floor(event.at, width)).or_default().push(event));
    buckets.iter().filter_map(|(start, bucket)| Some((*start, evaluate(method, bucket)?))).collect()
}

fn floor(ns: u64, width: Granularity) -> u64 {
    ns / width.ns() * width.ns()
}

/// What is accepted of a batch: of equal times the smallest value, numbers before NaN.
fn resolve(points: &[(u64, f64)], threshold: u64) -> BTreeMap<u64, f64> {
    let mut accepted = BTreeMap::new();
    for (at, value) in points.iter().filter(|(at, _)| *at >= threshold) {
        let kept = accepted.entry(*at).or_insert(*value);
        if *value < *kept || kept.is_nan() {
            *kept = *value;
        }
    }
    accepted
}

/// The reference's own algorithm (`timeseries.md` 4.1): a window that is cut after each batch, and buckets that
/// are only ever overwritten.
#[derive(Clone, Debug, Default)]
struct Literal {
    raw: BTreeMap<u64, f64>,
    rows: BTreeMap<(u8, u64), Buckets>,
    /// Of the sums of event series.
    gate: Gate,
}

impl Literal {
    fn process(
        &mut self,
        accepted: BTreeMap<u64, f64>,
        oldest: u64,
        policy: &ArchivePolicy,
        methods: MethodSet,
    ) {
        self.raw.extend(accepted);
        let Some((first, _)) = self.raw.first_key_value() else { return };
        let from = oldest.max(*first);
        for item in &policy.items {
            for method in methods.iter() {
                let fresh = self.recompute(from, item.granularity, method);
                self.rows.entry((method.index(), item.granularity.ns())).or_default().extend(fresh);
            }
        }
    }

    fn recompute(&self, from: u64, width: Granularity, method: Method) -> Buckets {
        let start = floor(from, width);
        if !method.is_rate() {
            let points = self.raw.range(start..).map(|(at, value)| Event::point(*at, *value));
            return buckets(points, width, method);
        }
        let points: Vec<(u64, f64)> =
            self.raw.range(start.saturating_sub(width.ns())..).map(|(at, value)| (*at, *value)).collect();
        let differences = points.windows(2).map(|pair| Event::point(pair[1].0, pair[1].1 - pair[0].1));
        buckets(differences.filter(|difference| difference.at >= start), width, method)
    }

    /// Raw points are kept from the oldest bucket of any width on that can still change.
    fn cut(&mut self, floor_ns: u64, policy: &ArchivePolicy) {
        let keep = policy.items.iter().map(|item| floor(floor_ns, item.granularity)).min();
        self.raw = self.raw.split_off(&keep.unwrap_or(floor_ns));
    }

    /// What each of a batch of summaries adds up to is a point of its own.
    fn add_sums(&mut self, sums: &[(u64, f64)], policy: &ArchivePolicy) {
        let oldest = sums.iter().map(|sum| sum.0).min().unwrap_or_default();
        let threshold = self.gate.threshold(&self.raw, policy);
        self.process(resolve(sums, threshold), oldest.max(threshold), policy, policy.methods.only(true));
        self.gate.pass(&self.raw, policy);
        self.cut(self.gate.floor, policy);
    }

    fn column(&self, width: Granularity, method: Method) -> Buckets {
        self.rows.get(&(method.index(), width.ns())).cloned().unwrap_or_default()
    }
}
