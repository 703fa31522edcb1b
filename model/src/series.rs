//! A live series: what it keeps between checkpoints, and the rows that follow from it.
//!
//! A *sampled* series keeps raw measures, an *event* series one summary per open bucket. Rows of sampled
//! series are evaluated lazily, at checkpoint and at query. Policies with rates are the exception: a rate
//! across a hole depends on the batches in which measures came, so their rows are computed at each batch,
//! by the reference's own rule (contract, `timeseries.md` 7.1), and kept as `fresh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{Corrupt, Reader, put_varint, seal, unseal};
use crate::column::Column;
use crate::method::Method;
use crate::open_buckets::OpenBuckets;
use crate::policy::ArchivePolicy;
use crate::rollup::rollup;
use crate::run::Run;
use crate::summary::{Summary, Wants, Weighing};
use crate::time::{Granularity, Measure, SECOND, Timestamp};
use crate::window::{Accepted, Window};

const VERSION: u8 = 3;
/// It is still read: in it each measure has its time before its value.
const VERSION_BEFORE: u8 = 2;
const MILLISECOND: u64 = SECOND / 1000;

/// Events this much older than the newest of their series still find their buckets open.
pub const EVENT_GRACE_NS: u64 = 60 * SECOND;

/// What the values of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// A signal read at instants: equal timestamps replace each other.
    Sampled,
    /// Things that happened: every one counts.
    Event,
}

/// The live state of one metric.
#[derive(Clone, Debug)]
pub struct Series {
    kind: SeriesKind,
    policy: Arc<ArchivePolicy>,
    /// Number of the last batch that went in, so that a replay puts nothing in twice.
    seq: u64,
    /// As of the last checkpoint: buckets that end here or before no longer change.
    closed: Timestamp,
    /// Raw measures; of an event series whose policy has rates, the sums of its batches.
    window: Window,
    /// Of an event series.
    open: OpenBuckets,
    /// Rows computed at each batch because the policy has rates.
    fresh: Fresh,
    /// Whether a checkpoint since it was loaded has told the store what its policy keeps.
    settled: bool,
    /// The oldest measure or event not yet taken by a checkpoint.
    dirty_from: Option<Timestamp>,
    /// The same, of a checkpoint under way.
    inflight: Option<Box<Inflight>>,
    /// When its last batch came; stored in whole milliseconds.
    heard: Timestamp,
    /// The newest measure or event of that batch.
    heard_newest: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Inflight {
    from: Timestamp,
    fresh: Fresh,
    closed: Timestamp,
}

impl Series {
    /// A series that has seen nothing.
    pub fn new(kind: SeriesKind, policy: Arc<ArchivePolicy>) -> Self {
        Series {
            kind,
            policy,
            seq: 0,
            closed: Timestamp::EPOCH,
            window: Window::default(),
            open: OpenBuckets::default(),
            fresh: Fresh::default(),
            settled: false,
            dirty_from: None,
            inflight: None,
            heard: Timestamp::EPOCH,
            heard_newest: Timestamp::EPOCH,
        }
    }

    /// A series whose stored state is lost: it has seen batch `seq`, and everything before `until` is stored
    /// and stays as it is. Later buckets begin anew.
    pub fn resumed(kind: SeriesKind, policy: Arc<ArchivePolicy>, seq: u64, until: Timestamp) -> Self {
        let mut series =
            Series { seq, closed: until, window: Window::after(until), ..Series::new(kind, policy) };
        if until > Timestamp::EPOCH {
            series.open.advance(until.saturating_add(EVENT_GRACE_NS));
        }
        series
    }

    /// What its values are.
    pub fn kind(&self) -> SeriesKind {
        self.kind
    }

    /// Its policy.
    pub fn policy(&self) -> &Arc<ArchivePolicy> {
        &self.policy
    }

    /// Applies a changed policy from the next batch on. Granularities and methods cannot change.
    pub fn set_policy(&mut self, policy: Arc<ArchivePolicy>) {
        self.policy = policy;
        self.settled = false;
    }

    /// Number of the last batch that went in.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Notes that a batch came, whatever became of it, and the newest measure or event in it.
    pub fn hear(&mut self, now: Timestamp, newest: Timestamp) {
        (self.heard, self.heard_newest) = (now, newest);
    }

    /// When its last batch came, and the newest measure or event of that. The first survives a restart, as
    /// of the last checkpoint; the epoch: it is not known.
    pub fn heard(&self) -> (Timestamp, Timestamp) {
        (self.heard, self.heard_newest)
    }

    /// Asks for what lies elsewhere of all that the next batch will need.
    #[inline]
    pub fn bring_open_near(&self) {
        self.open.bring_near();
    }

    /// Its raw measures.
    pub fn raw(&self) -> Vec<Measure> {
        self.window.points().since(Timestamp::EPOCH)
    }

    /// The newest of its raw measures.
    pub fn last(&self) -> Option<Measure> {
        self.window.points().last()
    }

    /// Whether it holds something that no checkpoint took.
    pub fn is_dirty(&self) -> bool {
        self.dirty_from.is_some()
    }

    /// [`Series::insert`] by the back window that was in force when the batch came: a replay must accept
    /// what was accepted then, and nothing else.
    pub fn insert_by(&mut self, back_window: u32, seq: u64, batch: &mut [Measure]) -> Accepted {
        if back_window == self.policy.back_window {
            return self.insert(seq, batch);
        }
        let then = ArchivePolicy { back_window, ..(*self.policy).clone() };
        let now = std::mem::replace(&mut self.policy, Arc::new(then));
        let accepted = self.insert(seq, batch);
        self.policy = now;
        accepted
    }

    /// Puts in a batch of measures; see [`Window::insert`]. Into an event series each goes as an event.
    pub fn insert(&mut self, seq: u64, batch: &mut [Measure]) -> Accepted {
        self.seq = seq;
        match self.kind {
            SeriesKind::Sampled => self.insert_sampled(batch),
            SeriesKind::Event => self.insert_as_events(batch),
        }
    }

    fn insert_sampled(&mut self, batch: &mut [Measure]) -> Accepted {
        // The reference recomputes from the oldest measure, even if it is refused, but nothing below the
        // threshold.
        let oldest = batch.iter().map(|measure| measure.at).min();
        let from = oldest.max(Some(self.window.threshold(&self.policy)));
        let accepted = self.window.insert(batch, &self.policy);
        if let Some(earliest) = accepted.earliest {
            self.touch(earliest);
            self.refresh(from.unwrap_or(earliest));
        }
        accepted
    }

    fn insert_as_events(&mut self, batch: &mut [Measure]) -> Accepted {
        batch.sort_by_key(|measure| measure.at);
        let wants = Wants::of(&self.policy.methods);
        let event = |measure: &Measure| Summary::of(measure.at, measure.value, 1.0, Weighing::Event, wants);
        let events: Vec<Summary> = batch.iter().map(event).collect();
        let refused = self.add(self.seq, &events);
        Accepted { refused, earliest: self.dirty_from.filter(|_| refused < events.len()) }
    }

    /// Merges summaries of events into the buckets in which they began; says how many were too old. A
    /// sampled series becomes one of events by that.
    pub fn add(&mut self, seq: u64, events: &[Summary]) -> usize {
        self.seq = seq;
        if self.kind == SeriesKind::Sampled {
            self.become_events();
        }
        self.open.open(self.policy.items.iter().map(|item| item.granularity));
        let threshold = self.open.newest().saturating_sub(EVENT_GRACE_NS);
        let mut sums = Vec::new();
        let mut refused = 0;
        for event in events {
            if event.at() < threshold {
                refused += 1;
                continue;
            }
            self.open.add(event);
            self.touch(event.at());
            sums.push(Measure { at: event.until(), value: event.sum() });
        }
        if self.policy.methods.has_rate() && !sums.is_empty() {
            let oldest = sums.iter().map(|sum| sum.at).min().unwrap_or_default();
            let from = oldest.max(self.window.threshold(&self.policy));
            self.window.insert(&mut sums, &self.policy);
            self.refresh(from);
        }
        refused
    }

    /// Measures came, over HTTP, before the first event did: each of them was an event. The window holds all
    /// of every bucket that can change or is not stored yet.
    fn become_events(&mut self) {
        self.kind = SeriesKind::Event;
        self.open.open(self.policy.items.iter().map(|item| item.granularity));
        let wants = Wants::of(&self.policy.methods);
        for point in self.raw() {
            self.open.add(&Summary::of(point.at, point.value, 1.0, Weighing::Event, wants));
        }
        // What the window refuses stays refused: older buckets are not whole.
        self.open.advance(self.window.floor().saturating_add(EVENT_GRACE_NS));
        if !self.policy.methods.has_rate() {
            self.window = Window::default();
        }
    }

    fn touch(&mut self, at: Timestamp) {
        self.dirty_from = Some(self.dirty_from.map_or(at, |from| from.min(at)));
    }

    /// If the policy has rates: computes rows now, from the first bucket this batch can have changed. The
    /// window may begin earlier, with measures of buckets that it no longer holds whole.
    fn refresh(&mut self, batch_oldest: Timestamp) {
        if !self.policy.methods.has_rate() {
            return;
        }
        let from = self.window.points().oldest().map_or(batch_oldest, |oldest| oldest.max(batch_oldest));
        let methods = match self.kind {
            SeriesKind::Sampled => self.policy.methods,
            SeriesKind::Event => self.policy.methods.only(true),
        };
        let reach = self.policy.items.iter().map(|item| reach(item.granularity, from)).min().unwrap_or(from);
        let points = self.window.points().since(reach);
        for item in &self.policy.items {
            self.fresh.merge(&rollup(&points, item.granularity, &methods, from));
        }
        self.window.truncate(&self.policy, None);
    }

    /// Buckets of one method that the store may not have yet: dirty or in flight. They overlay what the
    /// store says.
    pub fn column(&self, width: Granularity, method: Method) -> Column {
        let Some(from) = self.unstored_from() else { return Column::default() };
        match (self.kind, self.policy.methods.has_rate()) {
            (SeriesKind::Event, false) => self.open.column(width, method, from),
            (SeriesKind::Sampled, false) => {
                let points = self.window.points().since(reach(width, from));
                rollup(&points, width, &[method].into_iter().collect(), from).column(method)
            }
            _ => self.fresh_column(width, method, from),
        }
    }

    fn unstored_from(&self) -> Option<Timestamp> {
        let inflight = self.inflight.as_ref().map(|inflight| inflight.from);
        [self.dirty_from, inflight].into_iter().flatten().min()
    }

    fn fresh_column(&self, width: Granularity, method: Method, from: Timestamp) -> Column {
        let mut column = BTreeMap::new();
        let inflight = self.inflight.as_ref().map(|inflight| &inflight.fresh);
        for fresh in inflight.into_iter().chain([&self.fresh]) {
            column.extend(fresh.column(width, method));
        }
        if self.kind == SeriesKind::Event && !method.is_rate() {
            column.extend(self.open.column(width, method, from).iter());
        }
        column.into_iter().collect()
    }

    /// Takes everything dirty for a checkpoint; the series goes on. `None` if nothing is dirty.
    pub fn begin_checkpoint(&mut self) -> Option<Checkpoint> {
        let from = self.dirty_from.take()?;
        assert!(self.inflight.is_none(), "one checkpoint of a series at a time");
        let fresh = std::mem::take(&mut self.fresh);
        let closed = self.closed_now();
        self.inflight = Some(Box::new(Inflight { from, fresh: fresh.clone(), closed }));
        let state = Series { fresh, closed, inflight: None, ..self.clone() };
        self.settled = true;
        Some(Checkpoint { state, from, closed_before: self.closed })
    }

    fn closed_now(&self) -> Timestamp {
        match self.kind {
            SeriesKind::Sampled => self.window.threshold(&self.policy),
            SeriesKind::Event => self.open.newest().saturating_sub(EVENT_GRACE_NS),
        }
    }

    /// The checkpoint is stored: lets go of what only it needed.
    pub fn end_checkpoint(&mut self) {
        let Some(inflight) = self.inflight.take() else { return };
        self.closed = inflight.closed;
        self.window.truncate(&self.policy, self.dirty_from);
        self.open.truncate(EVENT_GRACE_NS, self.dirty_from);
    }

    /// The checkpoint failed: everything it took is dirty again.
    pub fn abort_checkpoint(&mut self) {
        let Some(inflight) = self.inflight.take() else { return };
        self.settled = false;
        self.touch(inflight.from);
        let newer = std::mem::replace(&mut self.fresh, inflight.fresh);
        for (bucket, row) in newer.0 {
            self.fresh.0.entry(bucket).or_default().extend(row);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.kind == SeriesKind::Event)];
        put_varint(&mut out, self.seq);
        put_varint(&mut out, self.closed.ns());
        self.window.encode(&mut out);
        self.open.encode(&mut out);
        put_varint(&mut out, self.heard.ns() / MILLISECOND);
        seal(&mut out);
        out
    }

    /// Reads a stored window.
    ///
    /// # Errors
    /// [`Corrupt`] if the checksum or the layout does not hold.
    pub fn decode(bytes: &[u8], policy: Arc<ArchivePolicy>) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(unseal(bytes)?);
        let version = reader.byte()?;
        if version != VERSION && version != VERSION_BEFORE {
            return Err(Corrupt);
        }
        let kind = match reader.byte()? {
            0 => SeriesKind::Sampled,
            1 => SeriesKind::Event,
            _ => return Err(Corrupt),
        };
        let seq = reader.varint()?;
        let closed = Timestamp::from_ns(reader.varint()?).ok_or(Corrupt)?;
        let window = Window::decode(&mut reader, version == VERSION_BEFORE)?;
        let open = OpenBuckets::decode(&mut reader)?;
        let heard_ms = reader.varint()?;
        let heard = heard_ms.checked_mul(MILLISECOND).and_then(Timestamp::from_ns).ok_or(Corrupt)?;
        Ok(Series { seq, closed, window, open, heard, ..Series::new(kind, policy) })
    }
}

/// How far back [`rollup`] looks.
fn reach(width: Granularity, from: Timestamp) -> Timestamp {
    from.floor(width).saturating_sub(width.ns())
}

/// The number of the last batch in a stored window.
///
/// # Errors
/// [`Corrupt`] if the checksum or the head does not hold.
pub fn stored_seq(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut reader = Reader::new(unseal(bytes)?);
    let [version, _kind] = reader.array()?;
    if version == VERSION || version == VERSION_BEFORE { reader.varint() } else { Err(Corrupt) }
}

/// What one checkpoint of one series stores: first the rows, then the window.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    state: Series,
    from: Timestamp,
    closed_before: Timestamp,
}

impl Checkpoint {
    /// Number of the last batch in it.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// The oldest measure or event in it.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// Buckets that end at the second instant or before no longer change; at the last checkpoint that was
    /// so of the first.
    pub fn closed(&self) -> (Timestamp, Timestamp) {
        (self.closed_before, self.state.closed)
    }

    /// Whether one before it has told the store what the policy keeps.
    pub fn is_settled(&self) -> bool {
        self.state.settled
    }

    /// The policy by which it was taken.
    pub fn policy(&self) -> &ArchivePolicy {
        &self.state.policy
    }

    /// Every bucket that may have changed, by granularity; no run is empty.
    pub fn runs(&self) -> Vec<Run> {
        let widths = self.state.policy.items.iter().map(|item| item.granularity);
        widths.flat_map(|width| self.runs_of(width)).filter(|run| !run.is_empty()).collect()
    }

    fn runs_of(&self, width: Granularity) -> Vec<Run> {
        let Series { kind, policy, window, open, fresh, .. } = &self.state;
        match (kind, policy.methods.has_rate()) {
            (SeriesKind::Sampled, false) => {
                let points = window.points().since(reach(width, self.from));
                vec![rollup(&points, width, &policy.methods, self.from)]
            }
            (SeriesKind::Sampled, true) => vec![fresh.run(width, policy.methods.iter())],
            (SeriesKind::Event, false) => vec![open.run(width, policy.methods.iter(), self.from)],
            (SeriesKind::Event, true) => {
                // Rates come from sums, the rest from summaries; a bucket is whole only with both.
                let mut rows = fresh.clone();
                rows.merge(&open.run(width, policy.methods.only(false).iter(), self.from));
                vec![rows.run(width, policy.methods.iter())]
            }
        }
    }

    /// The state of the series once its rows are stored.
    pub fn window(mut self) -> Vec<u8> {
        self.state.window.truncate(&self.state.policy, None);
        self.state.open.truncate(EVENT_GRACE_NS, None);
        self.state.encode()
    }
}

/// Rows computed ahead of the checkpoint, by granularity and start.
#[derive(Clone, Debug, Default)]
struct Fresh(BTreeMap<(Granularity, Timestamp), BTreeMap<Method, f64>>);

impl Fresh {
    /// Recomputed values replace; what is not recomputed stays.
    fn merge(&mut self, run: &Run) {
        for (bucket, start) in run.starts().iter().enumerate() {
            let row = self.0.entry((run.width(), *start)).or_default();
            row.extend(run.columns().filter_map(|(method, values)| Some((method, values.get(bucket)?))));
        }
    }

    fn rows(&self, width: Granularity) -> impl Iterator<Item = (Timestamp, &BTreeMap<Method, f64>)> {
        let range = (width, Timestamp::EPOCH)..=(width, Timestamp::MAX);
        self.0.range(range).map(|((_, start), row)| (*start, row))
    }

    fn column(&self, width: Granularity, method: Method) -> impl Iterator<Item = (Timestamp, f64)> {
        self.rows(width).filter_map(move |(start, row)| Some((start, *row.get(&method)?)))
    }

    fn run(&self, width: Granularity, methods: impl Iterator<Item = Method>) -> Run {
        let mut run = Run::new(width, methods);
        for (start, row) in self.rows(width) {
            run.open_bucket(start);
            run.columns_mut().for_each(|(method, values)| values.push(row.get(&method).copied()));
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Item;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ns(seconds * SECOND).unwrap()
    }

    fn width() -> Granularity {
        Granularity::from_ns(60 * SECOND).unwrap()
    }

    fn policy(methods: &str) -> Arc<ArchivePolicy> {
        let methods = methods.split(' ').map(|name| Method::parse(name).unwrap()).collect();
        let items = vec![Item { granularity: width(), points: None }];
        Arc::new(ArchivePolicy { name: "p".into(), back_window: 0, items, methods })
    }

    fn measures(list: &[(u64, f64)]) -> Vec<Measure> {
        list.iter().map(|(seconds, value)| Measure { at: at(*seconds), value: *value }).collect()
    }

    fn event(seconds: u64, value: f64) -> Summary {
        Summary::of(at(seconds), value, 1.0, Weighing::Event, Wants::ALL)
    }

    /// What readers see: minute and value.
    fn column(series: &Series, method: &str) -> Vec<(u64, f64)> {
        let column = series.column(width(), Method::parse(method).unwrap());
        column.iter().map(|(start, value)| (start.ns() / width().ns(), value)).collect()
    }

    #[test]
    fn measures_before_the_first_event_were_events() {
        let mut series = Series::new(SeriesKind::Sampled, policy("count sum"));
        series.insert(1, &mut measures(&[(30, 1.0), (130, 2.0)]));
        assert!(series.begin_checkpoint().is_some());
        series.end_checkpoint();
        assert_eq!(series.add(2, &[event(131, 4.0), event(131, 8.0)]), 0);
        assert_eq!((series.kind(), column(&series, "count")), (SeriesKind::Event, vec![(2, 3.0)]));
        assert_eq!(column(&series, "sum"), [(2, 14.0)]);
        // The window had let the first minute go: an event in it would make a bucket that is not whole.
        assert_eq!(series.add(3, &[event(59, 1.0)]), 1);
    }

    #[test]
    fn a_batch_is_judged_by_the_back_window_of_its_time() {
        let grown = Arc::new(ArchivePolicy { back_window: 2, ..(*policy("sum")).clone() });
        let mut series = Series::new(SeriesKind::Sampled, grown);
        series.insert(1, &mut measures(&[(150, 1.0)]));
        assert_eq!(series.insert_by(0, 2, &mut measures(&[(70, 2.0)])).refused, 1);
        assert_eq!(series.insert_by(2, 3, &mut measures(&[(70, 4.0)])).refused, 0);
        assert_eq!(column(&series, "sum"), [(1, 4.0), (2, 1.0)]);
        assert_eq!(series.policy().back_window, 2);
    }

    #[test]
    fn a_failed_checkpoint_loses_no_rate() {
        let mut series = Series::new(SeriesKind::Sampled, policy("sum rate:sum"));
        series.insert(1, &mut measures(&[(50, 1.0), (70, 3.0)]));
        series.insert(2, &mut measures(&[(130, 4.0)]));
        assert!(series.begin_checkpoint().is_some());
        // The measure before it has left the window: the bucket is computed anew without its rate.
        series.insert(3, &mut measures(&[(10, 0.0), (70, 9.0)]));
        series.abort_checkpoint();
        assert_eq!(column(&series, "sum"), [(0, 1.0), (1, 9.0), (2, 4.0)]);
        assert_eq!(column(&series, "rate:sum"), [(1, 2.0), (2, -5.0)]);
    }
}
