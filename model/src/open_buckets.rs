//! The open buckets of an event series: one summary each, for every granularity.
//!
//! Only the last bucket of each granularity lies open in memory; those before it, which wait for a checkpoint
//! or for late events, are kept as they will be stored.

use orzo_base::near::bring_near;

use crate::codec::{Corrupt, Reader, put_varint};
use crate::column::Column;
use crate::method::Method;
use crate::run::Run;
use crate::summary::Summary;
use crate::time::{Granularity, Timestamp};

/// Buckets that can still change or are not stored yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenBuckets {
    /// Arrival of the newest event, or what stands for it.
    newest: Timestamp,
    /// By granularity, in the policy's order; none before the first event.
    lanes: Vec<Lane>,
}

/// What most buckets take at most.
const BUCKET_BYTES: usize = 24;
/// A lane gets so many bytes more at a time, so that little is held in reserve.
const GROWTH: usize = 48;

/// A bucket by its start.
type Bucket = (Timestamp, Summary);

/// The buckets of one granularity.
#[derive(Clone, Debug, PartialEq)]
struct Lane {
    width: Granularity,
    /// In place: who adds to one lane adds to all, so that they had better lie side by side.
    last: Option<Bucket>,
    /// Those before the last, ascending: each a slot number, counted from the one before, and a summary.
    packed: Vec<u8>,
    packed_count: u32,
    packed_last: Timestamp,
}

impl Lane {
    fn new(width: Granularity) -> Self {
        Lane { width, last: None, packed: Vec::new(), packed_count: 0, packed_last: Timestamp::EPOCH }
    }

    fn add(&mut self, event: &Summary) {
        let start = event.at().floor(self.width);
        match &mut self.last {
            Some(last) if last.0 == start => last.1.merge(event),
            Some(last) if last.0 > start => self.add_late(start, event),
            Some(last) => {
                let (before, summary) = std::mem::replace(last, (start, event.clone()));
                self.pack(before, &summary);
            }
            None => self.last = Some((start, event.clone())),
        }
    }

    fn add_late(&mut self, start: Timestamp, event: &Summary) {
        let mut buckets = self.unpack();
        match buckets.binary_search_by_key(&start, |(known, _)| *known) {
            Ok(found) => buckets[found].1.merge(event),
            Err(place) => buckets.insert(place, (start, event.clone())),
        }
        self.repack(&buckets);
    }

    /// Behind all others.
    fn pack(&mut self, start: Timestamp, summary: &Summary) {
        if self.packed.capacity() - self.packed.len() < BUCKET_BYTES {
            self.packed.reserve_exact(GROWTH);
        }
        let slots = (start.ns() - self.packed_last.ns()) / self.width.ns();
        put_varint(&mut self.packed, slots);
        summary.encode(start, &mut self.packed);
        self.packed_count += 1;
        self.packed_last = start;
    }

    fn repack(&mut self, buckets: &[Bucket]) {
        (self.packed, self.packed_count, self.packed_last) = (Vec::new(), 0, Timestamp::EPOCH);
        buckets.iter().for_each(|(start, summary)| self.pack(*start, summary));
    }

    fn unpack(&self) -> Vec<Bucket> {
        let mut reader = Reader::new(&self.packed);
        let buckets = read_buckets(&mut reader, self.packed_count as usize, self.width);
        buckets.expect("a lane holds what was put in")
    }

    /// Buckets from that of `from` on.
    fn since(&self, from: Timestamp) -> Vec<Bucket> {
        let start = from.floor(self.width);
        let mut buckets = if self.packed_last >= start { self.unpack() } else { Vec::new() };
        buckets.extend(self.last.clone());
        buckets.retain(|(known, _)| *known >= start);
        buckets
    }

    /// Lets buckets go that ended at `keep` or before.
    fn truncate(&mut self, keep: Timestamp) {
        let open = |start: Timestamp| start.saturating_add(self.width.ns()) > keep;
        if self.last.as_ref().is_some_and(|last| !open(last.0)) {
            self.last = None;
        }
        let mut buckets = self.unpack();
        buckets.retain(|(start, _)| open(*start));
        self.repack(&buckets);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.width.ns());
        put_varint(out, u64::from(self.packed_count) + u64::from(self.last.is_some()));
        out.extend_from_slice(&self.packed);
        if let Some((start, summary)) = &self.last {
            put_varint(out, (start.ns() - self.packed_last.ns()) / self.width.ns());
            summary.encode(*start, out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut lane = Lane::new(Granularity::from_ns(reader.varint()?).ok_or(Corrupt)?);
        let count = reader.count(4)?;
        let mut buckets = read_buckets(reader, count, lane.width)?;
        lane.last = buckets.pop();
        lane.repack(&buckets);
        Ok(lane)
    }
}

fn read_buckets(reader: &mut Reader<'_>, count: usize, width: Granularity) -> Result<Vec<Bucket>, Corrupt> {
    let mut buckets = Vec::with_capacity(count);
    let mut before: Option<Timestamp> = None;
    for _ in 0..count {
        let ns = reader.varint()?.checked_mul(width.ns()).ok_or(Corrupt)?;
        let ns = before.unwrap_or_default().ns().checked_add(ns).ok_or(Corrupt)?;
        let start = Timestamp::from_ns(ns).filter(|start| before < Some(*start)).ok_or(Corrupt)?;
        buckets.push((start, Summary::decode(start, reader)?));
        before = Some(start);
    }
    Ok(buckets)
}

impl OpenBuckets {
    /// Makes room for buckets of these granularities, if there is none yet.
    pub fn open(&mut self, widths: impl IntoIterator<Item = Granularity>) {
        if self.lanes.is_empty() {
            self.lanes = widths.into_iter().map(Lane::new).collect();
        }
    }

    /// Asks for what [`OpenBuckets::add`] will need.
    #[inline]
    pub fn bring_near(&self) {
        self.lanes.iter().for_each(bring_near);
    }

    /// Arrival of the newest event; the epoch if there was none.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// As if the newest event had not come before `newest`.
    pub fn advance(&mut self, newest: Timestamp) {
        self.newest = self.newest.max(newest);
    }

    /// Merges a summary into the bucket of each granularity in which it began.
    pub fn add(&mut self, event: &Summary) {
        self.newest = self.newest.max(event.until());
        self.lanes.iter_mut().for_each(|lane| lane.add(event));
    }

    fn since(&self, width: Granularity, from: Timestamp) -> Vec<Bucket> {
        let lane = self.lanes.iter().find(|lane| lane.width == width);
        lane.map(|lane| lane.since(from)).unwrap_or_default()
    }

    /// One method of the buckets from that of `from` on.
    pub fn column(&self, width: Granularity, method: Method, from: Timestamp) -> Column {
        let buckets = self.since(width, from);
        let value = |(start, summary): &Bucket| Some((*start, summary.evaluate(method.formula())?));
        buckets.iter().filter_map(value).collect()
    }

    /// These methods of the buckets from that of `from` on.
    pub fn run(&self, width: Granularity, methods: impl Iterator<Item = Method>, from: Timestamp) -> Run {
        let mut run = Run::new(width, methods);
        for (start, summary) in self.since(width, from) {
            run.open_bucket(start);
            run.columns_mut().for_each(|(method, values)| values.push(summary.evaluate(method.formula())));
        }
        run
    }

    /// Lets buckets go that ended more than `grace_ns` before the newest event, and none from that of
    /// `keep_from` on, whose rows are not stored yet.
    pub fn truncate(&mut self, grace_ns: u64, keep_from: Option<Timestamp>) {
        let closed = self.newest.saturating_sub(grace_ns);
        let keep = keep_from.map_or(closed, |keep| keep.min(closed));
        self.lanes.iter_mut().for_each(|lane| lane.truncate(keep));
    }

    /// Appends the stored form; see `docs/format/window.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.newest.ns());
        put_varint(out, self.lanes.len() as u64);
        self.lanes.iter().for_each(|lane| lane.encode(out));
    }

    /// Reads what [`OpenBuckets::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it does not decode.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let newest = Timestamp::from_ns(reader.varint()?).ok_or(Corrupt)?;
        let lanes = (0..reader.count(2)?).map(|_| Lane::decode(reader)).collect::<Result<_, Corrupt>>()?;
        Ok(OpenBuckets { newest, lanes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Formula;
    use crate::summary::{Wants, Weighing};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn width(ns: u64) -> Granularity {
        Granularity::from_ns(ns).unwrap()
    }

    proptest! {
        /// The twin: a map from bucket to sum and count.
        #[test]
        fn buckets_are_a_map_by_start(
            events in proptest::collection::vec((0u64..5000, -50i32..50), 1..120), from in 0u64..5000, keep in 0u64..5000,
        ) {
            let mut open = OpenBuckets::default();
            open.open([width(10), width(600)]);
            let mut twin: BTreeMap<(u64, u64), (f64, f64)> = BTreeMap::new();
            for (index, (ns, value)) in events.iter().enumerate() {
                let value = f64::from(*value);
                let at = Timestamp::from_ns(*ns).unwrap();
                open.add(&Summary::of(at, value, 1.0, Weighing::Event, Wants::ALL));
                for width in [10, 600] {
                    let (sum, count) = twin.entry((width, ns - ns % width)).or_default();
                    (*sum, *count) = (*sum + value, *count + 1.0);
                }
                if index % 20 == 19 {
                    open.truncate(0, Timestamp::from_ns(keep));
                    let newest = open.newest().ns();
                    twin.retain(|(width, start), _| start + width > keep.min(newest));
                }
                let mut out = Vec::new();
                open.encode(&mut out);
                prop_assert_eq!(&OpenBuckets::decode(&mut Reader::new(&out)).unwrap(), &open);
            }
            for ns in [10, 600] {
                let seen = open.since(width(ns), Timestamp::from_ns(from).unwrap());
                let value = |summary: &Summary, formula| summary.evaluate(formula).unwrap();
                let seen: Vec<_> = seen
                    .iter()
                    .map(|(start, all)| (start.ns(), (value(all, Formula::Sum), value(all, Formula::Count))))
                    .collect();
                let expected = twin.range((ns, from - from % ns)..(ns + 1, 0));
                prop_assert_eq!(seen, expected.map(|((_, start), both)| (*start, *both)).collect::<Vec<_>>());
            }
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes: Vec<u8>) {
            let _ = OpenBuckets::decode(&mut Reader::new(&bytes));
        }
    }
}
